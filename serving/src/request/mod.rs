//! Requests as they arrive: strict JSON objects, borrowed from the body.
//!
//! Both spellings of proto3 JSON are read (`joinKeyMap`, `join_key_map`), null means absent, a field given twice or
//! unknown is an error with its line and column.

mod context;
mod features;
mod keys;
mod object;
mod scalar;

pub use context::read_context;
pub use features::{FeatureParams, MetadataParams, Selection, parse};
pub use keys::encode_row;
pub(crate) use object::object;
pub use object::unknown_field;
pub use scalar::{Flag, JoinKeyMap, Text};
