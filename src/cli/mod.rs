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
mod test;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use freshet_config::diagnostic::Diagnostics;
use freshet_engine::plan::{Plan, errors_of};

use crate::exit::{Failure, Status};
use crate::output;

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
    Test(test::Test),
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
        Command::Test(command) => command.run(),
        Command::Ledger(command) => command.run(),
    }
}

/// Help and version are answers; everything else is a wrong command line.
fn not_understood(error: &clap::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => output::print(&error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::usage(error.to_string())),
        _ => Err(Failure::usage(one_line(&error.to_string()))),
    }
}

/// The parser's error and its tip, without the usage that follows them.
fn one_line(error: &str) -> String {
    let (said, help) =
        error.split_once("\n\nUsage:").or_else(|| error.split_once("\n\nFor more")).unwrap_or((error, ""));
    // The usage names the command that was meant: `Usage: freshet demo --workers <N>`.
    let words = help.split_whitespace().take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()));
    let command = words.collect::<Vec<_>>().join(" ");
    let command = if command.is_empty() { "freshet".to_string() } else { command };
    let said = said.trim_start_matches("error: ").replace("\n\n  tip: ", "; ");
    format!("{}; see `{command} --help`", said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Reads and compiles a directory of definitions: everything wrong with them, or a plan.
fn compile(directory: &Path) -> Result<Arc<Plan>, Failure> {
    diagnose(directory).map_err(|errors| Failure::definitions(&errors))
}

/// As [`compile`], with every error as it was found.
fn diagnose(directory: &Path) -> Result<Arc<Plan>, Diagnostics> {
    let definitions = freshet_config::load_inspected(directory).map_err(errors_of)?;
    Plan::compile(definitions, directory).map(Arc::new)
}

/// Log lines go to stderr; `FRESHET_LOG` chooses them (`warn`, `info`, `freshet_engine=debug`).
fn start_logging(default: &str) -> Result<(), Failure> {
    // What the clients of Kafka and of CQL say of every attempt is said once, by whoever it concerns.
    let default = || format!("{default},rdkafka=off,librdkafka=off,scylla=off");
    let text = std::env::var("FRESHET_LOG").unwrap_or_else(|_| default());
    let filter = tracing_subscriber::EnvFilter::try_new(&text).map_err(|error| {
        Failure::new(Status::Config, format!("FRESHET_LOG is `{text}`, which is no log filter ({error}); write `info`"))
    })?;
    let stderr = std::io::stderr;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal()).init();
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
