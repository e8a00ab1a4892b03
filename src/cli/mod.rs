//! Commands: one file each. This one reads the command line and hands over.

mod arguments;
mod check;
mod dataflow;
mod dataset;
mod demo;
mod get;
mod ingest;
mod ledger;
mod run;
mod schema;

use std::path::Path;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use freshet_engine::plan::Plan;

use crate::exit::{Failure, Status};

pub use demo::{Flights as FlightsArguments, Fraud as FraudArguments, Place as DemoPlace};

/// A feature platform in one binary: definitions in files, exact windows over streams, lookups over HTTP.
#[derive(Debug, Parser)]
#[command(name = "freshet", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Check(check::Check),
    Schema(schema::Schema),
    Dataflow(dataflow::Dataflow),
    Run(run::Run),
    Ingest(ingest::Ingest),
    Get(get::Get),
    Dataset(dataset::Dataset),
    Ledger(ledger::LedgerCommand),
}

/// Reads the command line and does what it says.
pub fn run() -> Result<(), Failure> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error),
    };
    match arguments.command {
        Command::Demo(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Dataflow(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Ingest(command) => command.run(),
        Command::Get(command) => command.run(),
        Command::Dataset(command) => command.run(),
        Command::Ledger(command) => command.run(),
    }
}

/// Help and version are answers; everything else is a wrong command line.
fn not_understood(error: &clap::Error) -> Result<(), Failure> {
    // Whoever does not read the help does not miss it.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(()),
        _ => Err(Failure::new(Status::Usage, "")),
    }
}

/// Reads and compiles a directory of definitions: everything wrong with them, or a plan.
fn compile(directory: &Path) -> Result<Arc<Plan>, Failure> {
    let definitions = freshet_config::load(directory).map_err(|errors| Failure::definitions(&errors))?;
    let plan = Plan::compile(definitions, directory).map_err(|errors| Failure::definitions(&errors))?;
    Ok(Arc::new(plan))
}

/// Log lines go to stderr; `FRESHET_LOG` chooses them (`warn`, `info`, `freshet_engine=debug`).
fn start_logging(default: &str) -> Result<(), Failure> {
    let text = std::env::var("FRESHET_LOG").unwrap_or_else(|_| default.to_string());
    let filter = tracing_subscriber::EnvFilter::try_new(&text).map_err(|error| {
        Failure::new(Status::Config, format!("FRESHET_LOG is `{text}`, which is no log filter ({error}); write `info`"))
    })?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
