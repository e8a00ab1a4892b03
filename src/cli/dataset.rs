//! `freshet dataset`: point-in-time values for every row of a spine.

use std::path::PathBuf;

use clap::Args;

use crate::exit::Failure;
use crate::output;
use freshet_engine::dataset::{DatasetOptions, run};

/// Compute a service's features at the instant of every spine row: training sets and batch inference.
#[derive(Debug, Args)]
pub struct Dataset {
    /// The directory of definition files.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The feature service.
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Rows with join keys and an instant each: a .parquet, .csv or .ndjson file.
    #[arg(long, value_name = "FILE")]
    spine: PathBuf,
    /// Where to write the spine's columns and the features: a .parquet, .csv or .ndjson file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The spine's column with the instant; may be left out when it has one timestamp column.
    #[arg(long, value_name = "NAME")]
    time_column: Option<String>,
}

impl Dataset {
    pub fn run(self) -> Result<(), Failure> {
        super::start_logging("warn")?;
        let out = self.out.clone();
        let options = DatasetOptions {
            definitions: self.directory,
            service: self.service,
            spine: self.spine,
            out: self.out,
            time_column: self.time_column,
        };
        let report = run(&options).map_err(|error| Failure::data(error.to_string()))?;
        output::line(&format!("{}: {} rows", out.display(), report.rows))
    }
}
