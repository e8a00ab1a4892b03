//! [`Node`] -> typed shape: every wrong kind, unknown field and missing field of a file in one pass.
//!
//! Law: what has an error of shape is stood in for by a lost value, whose place is marked (`Place::lost`), and everything
//! around it goes on being decoded and checked. Whatever is said at a lost place follows from an error that is recorded
//! already, and is dropped (`Diagnostics::push`): no check has to ask whether what it looks at is there.

mod scalars;

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::diagnostic::{Diagnostic, Diagnostics, Place, nearest, suggestion};
use crate::tree::{Content, Key, Node};

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
    /// `None` only when an error was recorded. A record that is a map is read, lost values standing in for unsound fields.
    fn decode(node: &Node, shape: &mut Shape) -> Option<Self>;

    /// What stands in for a value whose error of shape is recorded; `place` is marked as lost.
    fn lost(place: &Place) -> Self;

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

    /// Written, if not soundly: nobody is to miss it.
    fn lost(place: &Place) -> Self {
        Some(T::lost(place))
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

    fn lost(_: &Place) -> bool {
        false
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

    fn lost(_: &Place) -> String {
        String::new()
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

    fn lost(place: &Place) -> At<T> {
        At { value: T::lost(place), place: place.clone() }
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

/// The value of a node; a lost one stands in when it is unsound.
fn decoded<T: Decode>(node: &Node, shape: &mut Shape) -> T {
    T::decode(node, shape).unwrap_or_else(|| T::lost(&node.place.as_lost()))
}

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

    fn lost(place: &Place) -> Parts<T> {
        Parts { items: Vec::new(), broken: true, place: place.clone() }
    }
}

/// A section of a file, which may be empty: all of it may be commented out. `None`: lost.
pub struct Section<T>(pub Option<Vec<T>>);

impl<T: Decode> Decode for Section<T> {
    fn decode(node: &Node, shape: &mut Shape) -> Option<Section<T>> {
        match node.content {
            Content::Null => Section::absent(),
            _ => Parts::decode(node, shape).map(|parts| Section((!parts.broken).then_some(parts.items))),
        }
    }

    fn lost(_: &Place) -> Section<T> {
        Section(None)
    }

    fn absent() -> Option<Section<T>> {
        Some(Section(Some(Vec::new())))
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
            Content::List(nodes) => Some(OneOrMany(nodes.iter().map(|item| decoded(item, shape)).collect())),
            _ => T::decode(node, shape).map(|item| OneOrMany(vec![item])),
        }
    }

    fn lost(place: &Place) -> OneOrMany<T> {
        OneOrMany(vec![T::lost(place)])
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

/// A map from names of the user's choosing, in the file's order. Of a name that stands twice the first counts.
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
        let mut entries: Vec<(At<String>, T)> = Vec::with_capacity(nodes.len());
        let mut seen = BTreeSet::new();
        for (key, value) in nodes.iter().filter(|(key, _)| seen.insert(key.text.as_str())) {
            let key = At { value: key.text.clone(), place: key.place.clone() };
            shape.field = Some(shorten(&key.value));
            entries.push((key, decoded(value, shape)));
        }
        Some(Pairs { entries, place: node.place.clone() })
    }

    fn lost(place: &Place) -> Pairs<T> {
        Pairs { entries: Vec::new(), place: place.clone() }
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
    /// What the record is called in messages: `source`, `aggregate`.
    word: &'static str,
    place: &'n Place,
    entries: &'n [(Key, Node)],
    /// Known fields that are not written, each with the value of an unknown one that was probably meant to be it.
    misspelled: Vec<(&'static str, &'n Node)>,
    strange: bool,
}

impl<'n> Fields<'n> {
    /// Opens a record with these fields; every other one is refused. Nothing at all reads as a record without fields.
    pub fn open(node: &'n Node, word: &'static str, known: &[&'static str], shape: &mut Shape) -> Option<Fields<'n>> {
        let entries = match &node.content {
            Content::Null => &[][..],
            Content::Map(entries) => entries.as_slice(),
            _ => {
                let hint = match (known.is_empty(), word.ends_with(']')) {
                    (_, true) => format!("write {} {word}, and its fields below", article(word)),
                    (true, _) => "write `{}`".to_string(),
                    (false, _) => format!("write `{{name: value}}`; there is {}", known.join(", ")),
                };
                return shape.mismatch(node, &format!("{} {word} (a map)", article(word)), Some(&hint));
            }
        };
        let mut fields = Fields { word, place: &node.place, entries, misspelled: Vec::new(), strange: false };
        for (key, value) in entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str())) {
            fields.unknown(key, value, known, shape);
        }
        Some(fields)
    }

    /// Refuses a field, and keeps its value for the one that was probably meant.
    fn unknown(&mut self, key: &Key, value: &'n Node, known: &[&'static str], shape: &mut Shape) {
        let hint = match known.is_empty() {
            true => "it takes none".to_string(),
            false => suggestion(&key.text, known.iter().copied()),
        };
        let message = format!("unknown field `{}` in {}", shorten(&key.text), self.title());
        shape.refuse(&key.place, message, Some(hint));
        match nearest(&key.text, known.iter().copied()) {
            Some(meant) if !self.entries.iter().any(|(key, _)| key.text == meant) => {
                self.misspelled.push((meant, value));
            }
            Some(_) => {}
            None => self.strange = true,
        }
    }

    /// The value of a field: a lost one, the error recorded, when it is unsound or missing.
    pub fn take<T: Decode>(&mut self, name: &str, shape: &mut Shape) -> T {
        match self.written(name).next() {
            Some(node) => self.read(name, node, shape),
            None => self.missing(name, shape),
        }
    }

    /// The values of a field that may be left out, and be written again.
    pub fn take_each<T: Decode>(&mut self, name: &str, shape: &mut Shape) -> Vec<T> {
        self.written(name).map(|node| self.read(name, node, shape)).collect()
    }

    /// The nodes of a field, as it is called or as it was probably meant to be.
    fn written<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'n Node> + use<'f, 'n> {
        let entries = self.entries.iter().filter(move |(key, _)| key.text == name).map(|(_, node)| node);
        entries.chain(self.misspelled.iter().filter(move |(meant, _)| *meant == name).map(|(_, node)| *node))
    }

    fn read<T: Decode>(&self, name: &str, node: &Node, shape: &mut Shape) -> T {
        let outer = shape.field.replace(name.to_string());
        // Of a name as short as `n` or `by` it is a guess which was meant: it is written, and not looked at closely.
        let guessed = name.len() <= 3 && self.misspelled.iter().any(|(meant, _)| *meant == name);
        let value = match guessed {
            true => decoded(&Node { place: node.place.as_lost(), content: node.content.clone() }, shape),
            false => decoded(node, shape),
        };
        shape.field = outer;
        value
    }

    fn missing<T: Decode>(&self, name: &str, shape: &mut Shape) -> T {
        T::absent().unwrap_or_else(|| {
            let message = format!("{} needs the field `{name}`", self.title());
            shape.refuse(self.place, message, Some(format!("add `{name}`")));
            T::lost(&self.place.as_lost())
        })
    }

    /// The record in messages: by its name where it has one.
    fn title(&self) -> String {
        if let Some((_, Node { content: Content::Text(name), .. })) =
            self.entries.iter().find(|(key, _)| key.text == "name")
        {
            return format!("{} `{}`", self.word, shorten(name));
        }
        format!("{} {}", article(self.word), self.word)
    }

    /// Whether there is a field that is like no known one, so that it may be meant for any that is not there.
    pub fn strange(&self) -> bool {
        self.strange
    }
}

/// A thing in messages: ``source `x` ``, or `a source` where its name is lost.
pub fn called(word: &str, name: &At<String>) -> String {
    match name.place.lost {
        true => format!("{} {word}", article(word)),
        false => format!("{word} `{}`", shorten(&name.value)),
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
        #[derive(Clone, Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        $(#[$meta])*
        pub struct $name {
            $($(#[$about])* $(#[schemars(rename = $key)])? pub $field: $type,)*
            /// Whether it has a field that is like no known one: what is not there may be meant by it.
            #[allow(dead_code, reason = "only records that miss something ask")]
            #[schemars(skip)]
            pub strange: bool,
        }

        impl $crate::decode::Decode for $name {
            fn decode(node: &$crate::tree::Node, shape: &mut $crate::decode::Shape) -> Option<Self> {
                const KNOWN: &[&str] = &[$($crate::decode::record!(@key $field $($key)?)),*];
                #[allow(unused_mut)]
                let mut fields = $crate::decode::Fields::open(node, $word, KNOWN, shape)?;
                Some($name {
                    $($field: fields.take($crate::decode::record!(@key $field $($key)?), shape),)*
                    strange: fields.strange(),
                })
            }

            #[allow(unused_variables)]
            fn lost(place: &$crate::diagnostic::Place) -> Self {
                $name { $($field: $crate::decode::Decode::lost(place),)* strange: true }
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
}
pub(crate) use record;
