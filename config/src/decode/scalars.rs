//! Scalars that are read later, by whoever knows what they are for.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Decode, ONE_TEXT, Shape};
use crate::diagnostic::Place;
use crate::tree::{Content, Node};

/// A scalar as it is spelled, whatever kind it looks like: spans, instants and SQL are parsed later, with better words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelled(pub String);

impl Decode for Spelled {
    fn decode(node: &Node, shape: &mut Shape) -> Option<Spelled> {
        match node.spelling() {
            Some(text) => Some(Spelled(text)),
            None => shape.mismatch(node, "text", Some(ONE_TEXT)),
        }
    }

    fn lost(_: &Place) -> Spelled {
        Spelled(String::new())
    }
}

impl JsonSchema for Spelled {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Spelled".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// A number as it is spelled: its range and whether it is whole are checked by whoever knows what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numeral(pub String);

impl Decode for Numeral {
    fn decode(node: &Node, shape: &mut Shape) -> Option<Numeral> {
        match &node.content {
            Content::Number(text) => Some(Numeral(text.clone())),
            _ => shape.mismatch(node, "a number", Some("write digits without quotes, such as 3")),
        }
    }

    fn lost(_: &Place) -> Numeral {
        Numeral(String::new())
    }
}

impl JsonSchema for Numeral {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Numeral".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "number" })
    }
}
