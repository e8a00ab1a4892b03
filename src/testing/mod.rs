//! `freshet test`: tables of events and expected values, and properties that hold for every view.
//!
//! Law: a test's values are made by the code that makes datasets, from the events of the test alone. Nothing outside
//! the directory is read, no clock is asked, and one seed gives one outcome.

mod compare;
mod events;
mod properties;
mod questions;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use freshet_config::cases::Case;
use freshet_config::definitions::{Definitions, FileFormat, Files};
use freshet_config::diagnostic::Diagnostics;
use freshet_engine::plan::Plan;
use tempfile::TempDir;

use crate::exit::Failure;

pub use properties::check as check_properties;

/// Definitions that read the files of a temporary directory instead of their own sources.
pub struct Bench {
    directory: TempDir,
    plan: Plan,
}

/// What came out of the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub passed: usize,
    pub failed: usize,
    /// One line per expectation that does not hold.
    pub lines: Vec<String>,
}

impl Bench {
    /// `plan` is that of the directory as it is, so that its errors are told already.
    pub fn new(plan: &Plan) -> Result<Bench, Failure> {
        Bench::over(Definitions::clone(&plan.definitions))
    }

    fn over(mut definitions: Definitions) -> Result<Bench, Failure> {
        let directory = tempfile::tempdir()
            .map_err(|error| Failure::cannot_write(format!("cannot make a temporary directory: {error}")))?;
        let file = |path: String| Some(Files { format: FileFormat::Ndjson, path });
        // Changes of views follow from the events of others.
        for source in definitions.sources.iter_mut().filter(|source| source.changes_of.is_none()) {
            source.stream = None;
            source.history = file(events_file(&source.name));
        }
        for dimension in &mut definitions.dimensions {
            dimension.changes = None;
            dimension.table = file(rows_file(&dimension.name));
        }
        let plan = Plan::compile(definitions, directory.path()).map_err(|errors| Failure::definitions(&errors))?;
        Ok(Bench { directory, plan })
    }

    /// Runs every case; names and types that do not fit the definitions are one failure with all of them, and with those
    /// that are known.
    pub fn run(&self, cases: &[Case], mut errors: Diagnostics) -> Result<Outcome, Failure> {
        let read: Vec<_> = cases
            .iter()
            .map(|case| {
                let files = events::files(&self.plan.definitions, case, &mut errors);
                (case, files, questions::questions(&self.plan, case, &mut errors))
            })
            .collect();
        let read = errors.into_result(read).map_err(|errors| Failure::definitions(&errors))?;
        let mut outcome = Outcome::default();
        for (case, files, questions) in read {
            for (name, text) in files {
                let path = self.directory.path().join(name);
                fs::write(&path, text)
                    .map_err(|error| Failure::cannot_write(format!("cannot write {}: {error}", path.display())))?;
            }
            let lines = questions::answer(&self.plan, &case.name.value, &questions)?;
            match lines.is_empty() {
                true => outcome.passed += 1,
                false => outcome.failed += 1,
            }
            outcome.lines.extend(lines);
        }
        Ok(outcome)
    }
}

fn events_file(source: &str) -> String {
    format!("source_{source}.ndjson")
}

fn rows_file(dimension: &str) -> String {
    format!("dimension_{dimension}.ndjson")
}

/// Reads, compiles and runs the tables of a directory.
pub fn run_tables(directory: &Path, plan: &Arc<Plan>) -> Result<Outcome, Failure> {
    let (cases, errors) = freshet_config::load_cases(directory);
    if cases.is_empty() && errors.is_empty() {
        return Ok(Outcome::default());
    }
    Bench::new(plan)?.run(&cases, errors)
}
