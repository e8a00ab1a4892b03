//! The shape of a source that is the changes of a view, beside the sources that are read from outside.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::spellings::{Name, SpanText};
use super::{RawComputed, RawSource};
use crate::decode::{At, Decode, Parts, Shape, Spelled, record};
use crate::diagnostic::Place;
use crate::tree::{Content, Node};

record! {
    /// Events that say that the features of a view have changed: for views over a view.
    pub struct RawChanges = "source of changes" {
        /// Lower-case letters, digits and underscores, starting with a letter, at most 64.
        #[schemars(with = "Name")]
        name: At<String>,
        /// The view whose changes are the events. Their columns are the keys of the view's entity, its features that are
        /// single values, each also as `{feature}_before`, and `changed_at`.
        changes_of: At<String>,
        /// How much longer than views over it need them changes are kept; zero unless written.
        #[schemars(with = "Option<SpanText>")]
        lateness: Option<At<Spelled>>,
        /// Computed columns, applied in order.
        select: Option<Parts<RawComputed>>,
        /// For people.
        #[allow(dead_code, reason = "read by people in the file")]
        description: Option<Spelled>,
    }
}

/// A source: read from outside, or the changes of a view.
#[derive(Clone, Debug)]
pub enum RawEvents {
    Read(Box<RawSource>),
    Changes(Box<RawChanges>),
}

impl RawEvents {
    pub fn name(&self) -> &At<String> {
        match self {
            RawEvents::Read(source) => &source.name,
            RawEvents::Changes(changes) => &changes.name,
        }
    }

    /// The view it is the changes of.
    pub fn changes_of(&self) -> Option<&At<String>> {
        match self {
            RawEvents::Read(_) => None,
            RawEvents::Changes(changes) => Some(&changes.changes_of),
        }
    }
}

impl Decode for RawEvents {
    fn decode(node: &Node, shape: &mut Shape) -> Option<RawEvents> {
        let changes = match &node.content {
            Content::Map(entries) => entries.iter().any(|(key, _)| key.text == "changes_of"),
            _ => false,
        };
        match changes {
            true => RawChanges::decode(node, shape).map(|changes| RawEvents::Changes(Box::new(changes))),
            false => RawSource::decode(node, shape).map(|source| RawEvents::Read(Box::new(source))),
        }
    }

    fn lost(place: &Place) -> RawEvents {
        RawEvents::Read(Box::new(RawSource::lost(place)))
    }
}

impl JsonSchema for RawEvents {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RawEvents".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (read, changes) = (generator.subschema_for::<RawSource>(), generator.subschema_for::<RawChanges>());
        schemars::json_schema!({ "anyOf": [read, changes] })
    }
}
