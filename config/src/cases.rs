//! Test files: events, instants and the values expected there, every value with its place.
//!
//! Shape only: what the names refer to and which types they have is known where a test is run. A value is read in a
//! type with [`Written::scalar`] and [`Written::feature`].

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::decode::{Decode, Shape, record, shorten};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::time::EventTime;
use crate::tree::{Content, Node};
use crate::value::{DataType, FeatureType, Value};
use crate::yaml;

pub use crate::decode::{At, Pairs, Parts};

/// The code of everything that is wrong with a test file.
pub const CODE: &str = "TEST-CASE";

record! {
    /// Events, and what features are expected to be.
    pub struct Case = "test" {
        /// For people; what a failure is reported under.
        name: At<String>,
        /// Per source, its events. Columns left out are null; sources left out have no events.
        events: Option<Pairs<Parts<Pairs<Written>>>>,
        /// Per dimension, its rows. Dimensions left out have none.
        dimensions: Option<Pairs<Parts<Pairs<Written>>>>,
        /// Questions with their answers.
        ask: Parts<Ask>,
    }
}

record! {
    /// One question to a service and the answers expected.
    pub struct Ask = "question" {
        /// The service's name.
        service: At<String>,
        /// Its join keys.
        keys: Option<Pairs<Written>>,
        /// Its request fields.
        request: Option<Pairs<Written>>,
        /// The instant asked for, RFC 3339 with a zone.
        at: Written,
        /// Features by their served names, and their values.
        expect: Pairs<Written>,
    }
}

/// A value as it stands in the file.
#[derive(Clone, Debug)]
pub struct Written(Node);

impl Decode for Written {
    fn decode(node: &Node, _: &mut Shape) -> Option<Written> {
        Some(Written(node.clone()))
    }

    fn lost(place: &Place) -> Written {
        Written(Node { place: place.clone(), content: Content::Null })
    }
}

impl JsonSchema for Written {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Written".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

impl Written {
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// The value in a scalar type; `what` names it in the error: `` column `amount` ``.
    pub fn scalar(&self, what: &str, data_type: DataType) -> Result<Value, Diagnostic> {
        scalar(&self.0.content, data_type).ok_or_else(|| self.refuse(what, &data_type.to_string()))
    }

    /// The value in a feature's type.
    pub fn feature(&self, what: &str, feature_type: &FeatureType) -> Result<Value, Diagnostic> {
        feature(&self.0, feature_type).ok_or_else(|| unfit(&self.0, what, feature_type))
    }

    fn refuse(&self, what: &str, wanted: &str) -> Diagnostic {
        refuse(&self.0, what, wanted)
    }
}

/// The error of the innermost part that has not the type of its place.
fn unfit(node: &Node, what: &str, feature_type: &FeatureType) -> Diagnostic {
    match (feature_type, &node.content) {
        (FeatureType::List(element), Content::List(nodes)) => {
            let wrong = nodes.iter().find(|node| feature(node, element).is_none());
            wrong.map(|node| unfit(node, &format!("an element of {what}"), element))
        }
        (FeatureType::Map(_, value), Content::Map(entries)) => {
            let wrong = entries.iter().find(|(_, node)| feature(node, value).is_none());
            wrong.map(|(key, node)| unfit(node, &format!("the value of `{}` in {what}", shorten(&key.text)), value))
        }
        _ => None,
    }
    .unwrap_or_else(|| refuse(node, what, &feature_type.to_string()))
}

fn refuse(node: &Node, what: &str, wanted: &str) -> Diagnostic {
    let found = match node.spelling() {
        Some(text) => format!("{} `{}`", node.kind(), shorten(&text)),
        None => node.kind().to_string(),
    };
    let diagnostic = Diagnostic::new(&node.place, CODE, format!("{what} is {wanted}, not {found}"));
    match (&node.content, wanted) {
        (Content::Number(_) | Content::Bool(_), "string") => diagnostic.hint("put it in quotes"),
        (_, "string") => diagnostic.hint("write a text, or null"),
        (_, "timestamp") => diagnostic.hint("write an instant with a zone, such as 2026-01-31T12:00:00Z"),
        (_, "bool") => diagnostic.hint("write true, false or null"),
        (_, "int32" | "int64") => diagnostic.hint("write a whole number within its range, such as 3, or null"),
        (_, "float32" | "float64") => {
            diagnostic.hint("write a number, null, or one of \"NaN\", \"Infinity\" and \"-Infinity\" in quotes")
        }
        _ => diagnostic.hint("write a list as [..] and a map as {..}, or null"),
    }
}

fn scalar(content: &Content, data_type: DataType) -> Option<Value> {
    match (data_type, content) {
        (_, Content::Null) => Some(Value::Null),
        (DataType::Int32, Content::Number(text)) => text.parse().ok().map(Value::Int32),
        (DataType::Int64, Content::Number(text)) => text.parse().ok().map(Value::Int64),
        (DataType::Float32, content) => float(content).map(|wide| Value::Float32(wide as f32)),
        (DataType::Float64, content) => float(content).map(Value::Float64),
        (DataType::String, Content::Text(text)) => Some(Value::String(text.clone())),
        (DataType::Bool, Content::Bool(value)) => Some(Value::Bool(*value)),
        (DataType::Timestamp, Content::Text(text)) => EventTime::parse(text).ok().map(Value::Timestamp),
        _ => None,
    }
}

fn float(content: &Content) -> Option<f64> {
    match content {
        Content::Number(text) => text.parse().ok().filter(|value: &f64| value.is_finite()),
        Content::Text(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn feature(node: &Node, feature_type: &FeatureType) -> Option<Value> {
    match (feature_type, &node.content) {
        (FeatureType::Scalar(data_type), content) => scalar(content, *data_type),
        (_, Content::Null) => Some(Value::Null),
        (FeatureType::List(element), Content::List(nodes)) => {
            nodes.iter().map(|node| feature(node, element)).collect::<Option<_>>().map(Value::List)
        }
        (FeatureType::Map(key, value), Content::Map(entries)) => {
            let entry =
                |(name, node): &(crate::tree::Key, Node)| Some((map_key(&name.text, *key)?, feature(node, value)?));
            entries.iter().map(entry).collect::<Option<_>>().map(Value::Map)
        }
        _ => None,
    }
}

/// The key of a map, which YAML has as text.
fn map_key(text: &str, data_type: DataType) -> Option<Value> {
    let text = text.to_string();
    let content = match data_type {
        DataType::String | DataType::Timestamp => Content::Text(text),
        DataType::Bool => Content::Bool(text.parse().ok()?),
        _ => Content::Number(text),
    };
    scalar(&content, data_type)
}

/// Reads test files from `(file name, text)` pairs, and every error of shape: in cases that have some, what is refused is
/// marked as lost.
pub(crate) fn parse_cases(files: &[(String, String)]) -> (Vec<Case>, Diagnostics) {
    let mut shape = Shape::new(CODE);
    let mut cases = Vec::new();
    for (name, text) in files {
        match yaml::read(&name.as_str().into(), text, &mut shape.errors) {
            Ok(None) => {}
            Ok(Some(node)) => {
                cases.extend(Parts::<Case>::decode(&node, &mut shape).into_iter().flat_map(|parts| parts.items));
            }
            Err(diagnostic) => shape.errors.push(diagnostic),
        }
    }
    (cases, shape.errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Case>, String> {
        let (cases, errors) = parse_cases(&[("tests/a.yaml".to_string(), text.to_string())]);
        errors.into_result(cases).map_err(|errors| errors.to_string())
    }

    #[test]
    fn values_are_read_in_the_types_asked_for() {
        let text = "- name: n\n  ask:\n    - {service: s, at: 2026-01-01T00:00:00Z, expect: {a: [1, null], b: {x: 2}, c: 07}}\n";
        let cases = parsed(text).unwrap();
        let ask = &cases[0].ask.items[0];
        assert!(matches!(ask.at.scalar("at", DataType::Timestamp), Ok(Value::Timestamp(_))));
        let of = |index: usize| &ask.expect.entries[index].1;
        let list = FeatureType::List(Box::new(DataType::Int64.into()));
        assert_eq!(of(0).feature("a", &list), Ok(Value::List(vec![Value::Int64(1), Value::Null])));
        let map = FeatureType::Map(DataType::String, Box::new(DataType::Float64.into()));
        let entry = (Value::String("x".into()), Value::Float64(2.0));
        assert_eq!(of(1).feature("b", &map), Ok(Value::Map(vec![entry])));
        let error = of(0).feature("feature `a`", &DataType::String.into()).unwrap_err().to_string();
        assert_eq!(error, "tests/a.yaml:3:58: feature `a` is string, not a list [TEST-CASE]; write a text, or null");
        assert!(of(2).scalar("c", DataType::String).unwrap_err().to_string().ends_with("; put it in quotes"));
    }

    #[test]
    fn every_error_of_shape_is_told() {
        let errors = parsed("- name: n\n  asks: []\n- {name: m, ask: [{service: s}]}\n").unwrap_err();
        assert_eq!(
            errors.lines().collect::<Vec<_>>(),
            [
                "tests/a.yaml:2:3: unknown field `asks` in test `n` [TEST-CASE]; did you mean `ask`?",
                "tests/a.yaml:3:19: a question needs the field `at` [TEST-CASE]; add `at`",
                "tests/a.yaml:3:19: a question needs the field `expect` [TEST-CASE]; add `expect`",
            ]
        );
    }
}
