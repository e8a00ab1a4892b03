//! `golden DIR [--live] [--out OUT] | golden DIR --subset USERS --out OUT`: see `tests/golden/run`.

mod suite;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

/// Compares Freshet's values with those of a golden set.
#[derive(Parser)]
struct Arguments {
    /// Holds events.parquet, spine.parquet, spec_*.json and expected_*.parquet.
    directory: PathBuf,
    /// Through the running engine instead of the dataset command's code.
    #[arg(long)]
    live: bool,
    /// Where definitions and values are written; a temporary directory unless given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Writes the part of the set that belongs to so many of its keys to OUT, and compares nothing.
    #[arg(long, requires = "out", conflicts_with = "live")]
    subset: Option<usize>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("golden: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all values agree.
fn run(arguments: &Arguments) -> Result<bool, String> {
    match (&arguments.subset, &arguments.out) {
        (Some(keys), Some(out)) => suite::subset::write_subset(&arguments.directory, *keys, out).map(|()| true),
        (_, Some(out)) => compare(arguments, out),
        (_, None) => {
            let out = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
            compare(arguments, out.path())
        }
    }
}

fn compare(arguments: &Arguments, out: &Path) -> Result<bool, String> {
    let way = if arguments.live { suite::Way::Live } else { suite::Way::Dataset };
    let mut agree = true;
    for spec in suite::specs(&arguments.directory)? {
        let outcome = suite::run(&arguments.directory, &spec, way, out)?;
        println!("{outcome}");
        agree &= outcome.agrees();
    }
    Ok(agree)
}
