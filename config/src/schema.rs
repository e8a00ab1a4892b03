//! The JSON Schema of definition files, for editors.

use crate::raw::RawFile;

/// The schema of one file, draft 2020-12. It knows shapes only; references and types are the resolver's.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(RawFile).to_value()
}
