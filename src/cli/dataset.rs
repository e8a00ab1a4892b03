//! `freshet dataset`: point-in-time values for every row of a spine, and what of the history could not be used.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::exit::{Failure, Status};
use crate::output;
use freshet_engine::dataset::{DatasetError, DatasetOptions, DatasetReport, FailedValues, run};

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
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
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
        let report = run(&options).map_err(failed)?;
        // A closed stderr hides what `--json` tells as well.
        let _ = std::io::stderr().write_all(left_out(&report).as_bytes());
        match self.json {
            true => output::json(&json(&report)),
            false => {
                let rows = if report.rows == 1 { "row" } else { "rows" };
                output::line(&format!("{}: {} {rows}", out.display(), report.rows))
            }
        }
    }
}

fn failed(error: DatasetError) -> Failure {
    let status = match &error {
        DatasetError::Write { .. } => Status::CannotWrite,
        DatasetError::OverSpine(_) => Status::Usage,
        _ => Status::Data,
    };
    Failure::new(status, error.to_string())
}

/// A line for each kind of event or value that is not in the dataset.
fn left_out(report: &DatasetReport) -> String {
    let mut text = String::new();
    let mut sources: Vec<&str> = Vec::new();
    for refused in &report.refused {
        if !sources.contains(&refused.source.as_str()) {
            sources.push(&refused.source);
        }
    }
    for source in sources {
        let of_source = || report.refused.iter().filter(|refused| refused.source == source);
        let total: u64 = of_source().map(|refused| refused.count).sum();
        let counts: Vec<String> = of_source().map(|refused| format!("{} {}", refused.code, refused.count)).collect();
        let first = of_source().next().map_or("", |refused| refused.first.as_str());
        let counts = counts.join(", ");
        let rows = match total {
            1 => format!("1 row of the history of source `{source}` is no event and was left out"),
            _ => format!("{total} rows of the history of source `{source}` are no events and were left out"),
        };
        text.push_str(&format!("{rows} ({counts}); the first: {first}\n"));
    }
    if report.failed_expressions > 0 {
        let why = report.first_failure.as_deref().unwrap_or("unknown");
        let results = match report.failed_expressions {
            1 => "1 result of SQL could not be computed and is null".to_string(),
            n => format!("{n} results of SQL could not be computed and are null; the first"),
        };
        text.push_str(&format!("{results}: {why}\n"));
    }
    for FailedValues { feature, served, reason, count, first_row } in &report.errors {
        let (values, are) = if *count == 1 { ("value", "is an error") } else { ("values", "are errors") };
        let rows = if *count == 1 { "in row" } else { "the first in row" };
        let kept = if *served { " and null" } else { ", which others are computed from" };
        text.push_str(&format!("{count} {values} of `{feature}` {are}{kept}: {reason}; {rows} {first_row}\n"));
    }
    text
}

fn json(report: &DatasetReport) -> serde_json::Value {
    let refused = report.refused.iter().map(|refused| {
        serde_json::json!({
            "source": refused.source,
            "code": refused.code,
            "events": refused.count,
            "first": refused.first,
        })
    });
    let errors = report.errors.iter().map(|failed| {
        serde_json::json!({
            "feature": failed.feature,
            "served": failed.served,
            "reason": failed.reason,
            "values": failed.count,
            "firstRow": failed.first_row,
        })
    });
    serde_json::json!({
        "rows": report.rows,
        "views": report.views,
        "features": report.features,
        "events": report.events,
        "refusedEvents": report.refused_events(),
        "refused": refused.collect::<Vec<_>>(),
        "duplicates": report.duplicates,
        "failedExpressions": report.failed_expressions,
        "firstFailure": report.first_failure,
        "failedValues": report.failed_values(),
        "errors": errors.collect::<Vec<_>>(),
    })
}
