//! Requests as they arrive: strict JSON objects, borrowed from the body.
//!
//! Both spellings of proto3 JSON are read (`joinKeyMap`, `join_key_map`), null means absent, a field given twice or
//! unknown is an error with its line and column.

mod features;
mod keys;
mod object;
mod scalar;

pub use features::{FeatureParams, MetadataParams, RequestOptions, Selection, parse};
pub use keys::encode_row;
pub(crate) use object::object;
pub use object::unknown_field;
pub use scalar::{ContextMap, Flag, JoinKeyMap, Text};
