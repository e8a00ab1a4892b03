//! A file as a tree of values, each with its place: what both YAML definitions and TOML settings are read into.
//!
//! Decoding from a tree instead of straight into structs is what lets one run report every error of a file:
//! a decoder that stops at the first unknown or missing field cannot.

use crate::diagnostic::Place;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub content: Content,
}

/// What a node holds. Numbers keep a spelling instead of a type: each reader knows the range it wants.
#[derive(Clone, Debug)]
pub enum Content {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// Entries in the file's order.
    Map(Vec<(Key, Node)>),
}

/// A map's key and where it stands.
#[derive(Clone, Debug)]
pub struct Key {
    pub place: Place,
    pub text: String,
}

impl Node {
    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a truth value",
            Content::Number(_) => "a number",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }

    /// The spelling of a scalar; `None` for null, lists and maps.
    pub fn spelling(&self) -> Option<String> {
        match &self.content {
            Content::Bool(value) => Some(value.to_string()),
            Content::Number(text) | Content::Text(text) => Some(text.clone()),
            Content::Null | Content::List(_) | Content::Map(_) => None,
        }
    }
}
