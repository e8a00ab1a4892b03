//! `freshet test`: the tests of a directory of definitions, and properties of its views on generated events.

use std::path::PathBuf;

use clap::Args;

use crate::exit::Failure;
use crate::output;
use crate::testing;

/// Test definitions: the tables in DIR/tests/*.yaml, and what must hold for every view on generated events.
#[derive(Debug, Args)]
pub struct Test {
    /// The directory of definition files.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Generated questions per view; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100_000), allow_negative_numbers = true)]
    cases: u32,
    /// What generated events and questions are drawn from; printed, and drawn anew each time, unless written.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
}

impl Test {
    pub fn run(self) -> Result<(), Failure> {
        super::start_logging("warn")?;
        let plan = super::compile(&self.directory)?;
        let tables = testing::run_tables(&self.directory, &plan)?;
        // Short enough to be typed again.
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
        let mut summary = vec![match (tables.failed, tables.passed) {
            (0, passed) => format!("{} passed", counted(passed, "test")),
            (failed, passed) => format!("{failed} of {} failed", counted(passed + failed, "test")),
        }];
        let mut lines = tables.lines;
        if self.cases > 0 {
            let checked = testing::check_properties(&plan, self.cases as usize, seed)?;
            let about = format!(
                "{} of {} (seed {seed})",
                counted(checked.cases, "generated case"),
                counted(checked.views, "view")
            );
            summary.push(match checked.lines.len() {
                0 => format!("{about} passed"),
                wrong => format!("{about}: {}", counted(wrong, "wrong value")),
            });
            summary.extend(checked.left_out);
            lines.extend(checked.lines.into_iter().take(MOST_LINES));
        }
        if lines.is_empty() {
            return output::line(&summary.join("\n"));
        }
        lines.extend(summary);
        Err(Failure::data(lines.join("\n")))
    }
}

/// Wrong values shown of generated cases: one cause has many.
const MOST_LINES: usize = 20;

/// `1 test`, `2 tests`.
fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
