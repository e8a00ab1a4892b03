//! `freshet ledger`: what was consumed and not admitted, and why.
//!
//! A ledger in use must not be opened a second time, for opening repairs its files: a copy is looked at instead.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use freshet_config::diagnostic::suggestion;
use freshet_connectors::events::Rejection;
use freshet_connectors::ledger::Ledger;
use serde_json::json;
use tempfile::TempDir;

use super::arguments;
use crate::data_dir;
use crate::exit::Failure;
use crate::output::{self, Table};

/// Show what was not admitted, and why.
#[derive(Debug, Args)]
#[command(name = "ledger")]
pub struct LedgerCommand {
    /// Only this source.
    #[arg(value_name = "SOURCE")]
    source: Option<String>,
    /// The data directory of the process that keeps the ledger.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// How many of the newest records of each source to show.
    #[arg(long, value_name = "N", default_value = "10", value_parser = arguments::shown, allow_negative_numbers = true)]
    latest: usize,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

impl LedgerCommand {
    pub fn run(self) -> Result<(), Failure> {
        let (ledger, _copy) = open_copy(&data_dir::ledger(&self.data_dir))?;
        let mut counts = ledger.summary();
        let mut names: Vec<String> = counts.iter().map(|count| count.source.clone()).collect();
        names.dedup();
        if let Some(source) = &self.source {
            if !names.contains(source) {
                let hint = suggestion(source, names.iter().map(String::as_str));
                return Err(Failure::data(format!("the ledger knows no source `{source}`; {hint}")));
            }
            counts.retain(|count| count.source == *source);
            names.retain(|name| name == source);
        }
        let mut latest = Vec::new();
        for name in names {
            let newest = ledger.read(&name, self.latest).map_err(|error| Failure::data(error.to_string()))?;
            latest.push((name, newest));
        }
        if self.json {
            return output::json(&json!({
                "counts": counts,
                "latest": latest.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            }));
        }
        let mut table = Table::new(["source", "reason", "code", "records"]);
        for count in &counts {
            let (reason, code) = (count.reason.to_string(), count.code.to_string());
            table.row([count.source.clone(), reason, code, count.count.to_string()]);
        }
        if table.is_empty() {
            return output::line("everything consumed was admitted");
        }
        output::print(&(table.text() + &newest(&latest)))
    }
}

fn newest(latest: &[(String, Vec<Rejection>)]) -> String {
    let mut text = String::new();
    for (source, rejections) in latest.iter().filter(|(_, rejections)| !rejections.is_empty()) {
        text.push_str(&format!("\nnewest of {source}:\n"));
        for rejection in rejections {
            text.push_str(&format!("  {rejection}\n"));
            if !rejection.payload_excerpt.is_empty() {
                text.push_str(&format!("    {}\n", printable(&rejection.payload_excerpt)));
            }
        }
    }
    text
}

/// What came from outside must not move the cursor of whoever looks at it.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

fn open_copy(directory: &Path) -> Result<(Ledger, TempDir), Failure> {
    let unreadable = |error| {
        Failure::unavailable(format!(
            "cannot read a ledger in {}: {error}; name the data directory of a Freshet with --data-dir",
            directory.display()
        ))
    };
    let copy = tempfile::tempdir()
        .map_err(|error| Failure::cannot_write(format!("cannot create a temporary directory: {error}")))?;
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.file_type().map_err(unreadable)?.is_file() {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).map_err(unreadable)?;
        }
    }
    let ledger = Ledger::open(copy.path()).map_err(|error| Failure::data(error.to_string()))?;
    Ok((ledger, copy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(printable("{\"a\":\"ü\u{1b}[2J\"}"), "{\"a\":\"ü\\u{1b}[2J\"}");
    }
}
