//! `freshet schema`: the JSON Schema of definition files.

use clap::Args;

use crate::exit::Failure;
use crate::output;

/// Print the JSON Schema of definition files, for editors.
#[derive(Debug, Args)]
pub struct Schema {}

impl Schema {
    pub fn run(self) -> Result<(), Failure> {
        output::json(&freshet_config::json_schema())
    }
}
