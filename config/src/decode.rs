//! [`Node`] -> typed shape: every wrong kind, unknown field and missing field of a file in one pass.
//!
//! A record with an error of shape decodes to `None`, and everything around it goes on being decoded and checked.

mod scalars;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::diagnostic::{Diagnostic, Diagnostics, Place, nearest, suggestion};
use crate::tree::{Content, Node};

pub use scalars::{Numeral, Spelled};

/// Collects errors of shape, under the code of the kind of file being read.
pub struct Shape {
    /// The code of errors of shape: `DEF-YAML`, `CFG-SHAPE`.
    pub code: &'static str,
    pub errors: Diagnostics,
    /// The field being decoded, for messages.
    field: Option<String>,
}

impl Shape {
    pub fn new(code: &'static str) -> Shape {
        Shape { code, errors: Diagnostics::default(), field: None }
    }

    /// Records an error of shape.
    pub fn refuse(&mut self, place: &Place, message: impl Into<String>, hint: Option<String>) {
        let diagnostic = Diagnostic::new(place, self.code, message);
        self.errors.push(match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        });
    }

    fn mismatch<T>(&mut self, node: &Node, what: &str, hint: Option<&str>) -> Option<T> {
        let hint = if matches!(node.content, Content::Null) { Some("write a value there") } else { hint };
        let message = match &self.field {
            Some(field) => format!("`{field}` takes {what}, not {}", node.kind()),
            None => format!("expected {what}, found {}", node.kind()),
        };
        self.refuse(&node.place, message, hint.map(str::to_string));
        None
    }
}

/// A type that can be read from a [`Node`].
pub trait Decode: Sized {
    /// `None` exactly when an error was recorded.
    fn decode(node: &Node, shape: &mut Shape) -> Option<Self>;

    /// The value of a field that is not written; `None`: the field is required.
    fn absent() -> Option<Self> {
        None
    }
}

/// What may be left out is left out as a whole: a name without a value is a slip, or a value that got lost.
impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, shape: &mut Shape) -> Option<Self> {
        match node.content {
            Content::Null => {
                let field = shape.field.as_deref().unwrap_or("this field");
                let message = format!("`{field}` has no value");
                shape.refuse(&node.place, message, Some(format!("write a value, or remove `{field}`")));
                None
            }
            _ => T::decode(node, shape).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl Decode for bool {
    fn decode(node: &Node, shape: &mut Shape) -> Option<bool> {
        match node.content {
            Content::Bool(value) => Some(value),
            _ => shape.mismatch(node, "true or false", Some("write `true` or `false`, without quotes")),
        }
    }
}

/// A name or another text; numbers and truth values are not taken for one.
impl Decode for String {
    fn decode(node: &Node, shape: &mut Shape) -> Option<String> {
        match &node.content {
            Content::Text(text) => Some(text.clone()),
            Content::Bool(_) | Content::Number(_) => shape.mismatch(node, "text", Some("put it in quotes")),
            _ => shape.mismatch(node, "text", Some(ONE_TEXT)),
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    pub value: T,
    pub place: Place,
}

impl<T: Decode> Decode for At<T> {
    fn decode(node: &Node, shape: &mut Shape) -> Option<At<T>> {
        let place = node.place.clone();
        T::decode(node, shape).map(|value| At { value, place })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

const ONE_TEXT: &str = "write one text, without brackets";
const BRACKETS: &str = "put it in brackets, or write an item per line behind `-`";

/// A list whose sound elements are kept when others are not.
#[derive(Clone, Debug)]
pub struct Parts<T> {
    pub items: Vec<T>,
    /// Whether an element was left out, its errors recorded.
    pub broken: bool,
    pub place: Place,
}

impl<T: Decode> Decode for Parts<T> {
    fn decode(node: &Node, shape: &mut Shape) -> Option<Parts<T>> {
        let Content::List(nodes) = &node.content else { return shape.mismatch(node, "a list", Some(BRACKETS)) };
        let items: Vec<T> = nodes.iter().filter_map(|item| T::decode(item, shape)).collect();
        Some(Parts { broken: items.len() < nodes.len(), items, place: node.place.clone() })
    }
}

/// A section of a file, which may be empty: all of it may be commented out.
pub struct Section<T>(pub Vec<T>);

impl<T: Decode> Decode for Section<T> {
    fn decode(node: &Node, shape: &mut Shape) -> Option<Section<T>> {
        match node.content {
            Content::Null => Section::absent(),
            _ => Parts::decode(node, shape).map(|parts| Section(parts.items)),
        }
    }

    fn absent() -> Option<Section<T>> {
        Some(Section(Vec::new()))
    }
}

impl<T: JsonSchema> JsonSchema for Parts<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        <Vec<T>>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <Vec<T>>::json_schema(generator)
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, shape: &mut Shape) -> Option<OneOrMany<T>> {
        match &node.content {
            Content::List(nodes) => {
                let items: Vec<T> = nodes.iter().filter_map(|item| T::decode(item, shape)).collect();
                (items.len() == nodes.len()).then_some(OneOrMany(items))
            }
            _ => T::decode(node, shape).map(|item| OneOrMany(vec![item])),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, many) = (generator.subschema_for::<T>(), generator.subschema_for::<Vec<T>>());
        schemars::json_schema!({ "anyOf": [one, many] })
    }
}

/// A map from names of the user's choosing, in the file's order.
#[derive(Clone, Debug)]
pub struct Pairs<T> {
    pub entries: Vec<(At<String>, T)>,
    pub place: Place,
}

impl<T: Decode> Decode for Pairs<T> {
    fn decode(node: &Node, shape: &mut Shape) -> Option<Pairs<T>> {
        let Content::Map(nodes) = &node.content else {
            return shape.mismatch(node, "a map", Some("write `{name: value}`"));
        };
        let mut entries = Vec::with_capacity(nodes.len());
        for (key, value) in nodes {
            let key = At { value: key.text.clone(), place: key.place.clone() };
            shape.field = Some(shorten(&key.value));
            entries.extend(T::decode(value, shape).map(|value| (key, value)));
        }
        (entries.len() == nodes.len()).then(|| Pairs { entries, place: node.place.clone() })
    }
}

impl<T: JsonSchema> JsonSchema for Pairs<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Pairs_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "object", "additionalProperties": value })
    }
}

/// The fields of one record while it is decoded.
pub struct Fields<'n> {
    node: &'n Node,
    /// What the record is called in messages: `source`, `aggregate`.
    word: &'static str,
    sound: bool,
    /// Known fields that an unknown one was probably meant to be: not reported as missing on top.
    misspelled: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens a record with these fields; every other one is refused. Nothing at all reads as a record without fields.
    pub fn open(node: &'n Node, word: &'static str, known: &[&'static str], shape: &mut Shape) -> Option<Fields<'n>> {
        let mut fields = Fields { node, word, sound: true, misspelled: Vec::new() };
        match &node.content {
            Content::Null => {}
            Content::Map(entries) => {
                for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str())) {
                    let hint = match known.is_empty() {
                        true => "it takes none".to_string(),
                        false => suggestion(&key.text, known.iter().copied()),
                    };
                    let message = format!("unknown field `{}` in {}", shorten(&key.text), fields.title());
                    shape.refuse(&key.place, message, Some(hint));
                    fields.sound = false;
                    fields.misspelled.extend(nearest(&key.text, known.iter().copied()));
                }
            }
            _ => {
                let hint = match (known.is_empty(), word.ends_with(']')) {
                    (_, true) => format!("write {} {word}, and its fields below", article(word)),
                    (true, _) => "write `{}`".to_string(),
                    (false, _) => format!("write `{{name: value}}`; there is {}", known.join(", ")),
                };
                return shape.mismatch(node, &format!("{} {word} (a map)", article(word)), Some(&hint));
            }
        }
        Some(fields)
    }

    /// The value of a field. `None`, the error recorded, when it is unsound or missing.
    pub fn take<T: Decode>(&mut self, name: &str, shape: &mut Shape) -> Option<T> {
        let entries = match &self.node.content {
            Content::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        let value = match entries.iter().find(|(key, _)| key.text == name) {
            Some((_, node)) => {
                let outer = shape.field.replace(name.to_string());
                let value = T::decode(node, shape);
                shape.field = outer;
                value
            }
            None if self.misspelled.contains(&name) => T::absent(),
            None => T::absent().or_else(|| {
                let message = format!("{} needs the field `{name}`", self.title());
                shape.refuse(&self.node.place, message, Some(format!("add `{name}`")));
                None
            }),
        };
        self.sound &= value.is_some();
        value
    }

    /// The record in messages: by its name where it has one.
    fn title(&self) -> String {
        if let Content::Map(entries) = &self.node.content
            && let Some((_, Node { content: Content::Text(name), .. })) =
                entries.iter().find(|(key, _)| key.text == "name")
        {
            return format!("{} `{}`", self.word, shorten(name));
        }
        format!("{} {}", article(self.word), self.word)
    }

    /// Whether nothing was wrong with any field.
    pub fn sound(&self) -> bool {
        self.sound
    }
}

/// `a`, `an`, or `the` for what there is one of: a section of the settings.
pub fn article(word: &str) -> &'static str {
    if word.ends_with(']') {
        return "the";
    }
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// Text from a file as messages show it between backticks: at most 80 characters, control characters escaped, no backtick.
pub fn shorten(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(80) {
        match c {
            '`' => shown.push('\''),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

/// Declares a struct with one field per field of a record, and how it is decoded; the doc comments become the
/// descriptions of the JSON Schema. Fields of type `Option` may be left out.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident = $word:literal { $($(#[$about:meta])* $field:ident $(= $key:literal)?: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub struct $name {
            $($(#[$about])* $(#[schemars(rename = $key)])? pub $field: $type,)*
        }

        impl $crate::decode::Decode for $name {
            fn decode(node: &$crate::tree::Node, shape: &mut $crate::decode::Shape) -> Option<Self> {
                const KNOWN: &[&str] = &[$($crate::decode::record!(@key $field $($key)?)),*];
                #[allow(unused_mut)]
                let mut fields = $crate::decode::Fields::open(node, $word, KNOWN, shape)?;
                // All fields before the first `?`: every error is wanted.
                $(let $field = fields.take($crate::decode::record!(@key $field $($key)?), shape);)*
                fields.sound().then_some(())?;
                Some($name { $($field: $field?,)* })
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
}
pub(crate) use record;
