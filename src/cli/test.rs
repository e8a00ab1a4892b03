//! `freshet test`: the tests of a directory of definitions.

use std::path::PathBuf;

use clap::Args;

use crate::exit::Failure;
use crate::output;
use crate::testing;

/// Run the tests of a directory of definitions: its tests/*.yaml.
#[derive(Debug, Args)]
pub struct Test {
    /// The directory of definition files.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Test {
    pub fn run(self) -> Result<(), Failure> {
        super::start_logging("warn")?;
        let plan = super::compile(&self.directory)?;
        let outcome = testing::run_tables(&self.directory, &plan)?;
        if outcome.failed > 0 {
            let total = outcome.passed + outcome.failed;
            let summary = format!("{} of {total} tests failed", outcome.failed);
            return Err(Failure::data(format!("{}\n{summary}", outcome.lines.join("\n"))));
        }
        match outcome.passed {
            1 => output::line("1 test passed"),
            passed => output::line(&format!("{passed} tests passed")),
        }
    }
}
