//! `freshet dataflow`: the compiled plan as text.

use std::path::PathBuf;

use clap::Args;

use crate::exit::Failure;
use crate::output;

/// Print the dataflow that definitions compile into.
#[derive(Debug, Args)]
pub struct Dataflow {
    /// The directory of definition files.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Dataflow {
    pub fn run(self) -> Result<(), Failure> {
        output::print(&super::compile(&self.directory)?.to_string())
    }
}
