//! `freshet demo`: a shipped example with engine, log, store and server in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use freshet_config::time::EventTime;

use super::arguments;
use crate::demo::{flights, fraud};
use crate::exit::Failure;

/// Run a shipped example: everything in one process, with what to paste next.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Demo {
    #[command(subcommand)]
    example: Option<Example>,
    #[command(flatten)]
    fraud: Fraud,
}

#[derive(Debug, Subcommand)]
enum Example {
    Fraud(Fraud),
    Flights(Flights),
}

/// Where an example is served and kept.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// Address and port to serve on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7070", value_parser = arguments::listen)]
    pub listen: SocketAddr,
    /// Threads that compute features, 1 to 256.
    #[arg(long, value_name = "N", default_value = "1", value_parser = arguments::threads, allow_negative_numbers = true)]
    pub workers: usize,
    /// Where the log and the ledger are kept; a temporary directory unless written.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Generated card transactions: bursts, stolen cards, late, duplicate and unparsable events (the default).
#[derive(Clone, Debug, Args)]
pub struct Fraud {
    /// Events per second.
    #[arg(long, value_name = "N", default_value = "5000", value_parser = arguments::rate, allow_negative_numbers = true)]
    pub rate: u64,
    /// End after so many events.
    #[arg(long, value_name = "N", value_parser = arguments::count, allow_negative_numbers = true)]
    pub events: Option<u64>,
    /// End after so much time, such as 30s.
    #[arg(long = "for", value_name = "TIME", value_parser = arguments::duration)]
    pub time: Option<Duration>,
    /// What the generator starts from; the same seed makes the same cards, amounts and faults.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub place: Place,
}

/// Real departures and arrivals: history first, the rest replayed, then answers checked.
#[derive(Clone, Debug, Args)]
pub struct Flights {
    /// The directory with flight_events.parquet and planes.parquet.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// How many times faster than they happened events are replayed.
    #[arg(long, value_name = "N", default_value = "3600", value_parser = arguments::speed_up, allow_negative_numbers = true)]
    pub speed_up: f64,
    /// Events before this instant are history, the others are replayed.
    #[arg(long, value_name = "INSTANT", default_value = "2013-11-01T00:00:00Z", value_parser = arguments::instant)]
    pub from: EventTime,
    /// Stop replaying at this instant; eight hours of events on a pipe, all of them on a terminal, unless written.
    #[arg(long, value_name = "INSTANT", value_parser = arguments::instant)]
    pub until: Option<EventTime>,
    /// Replay to the last event.
    #[arg(long, conflicts_with = "until")]
    pub all: bool,
    #[command(flatten)]
    pub place: Place,
}

impl Demo {
    pub fn run(self) -> Result<(), Failure> {
        super::start_logging("warn")?;
        match self.example {
            None => fraud::run(&self.fraud),
            Some(Example::Fraud(arguments)) => fraud::run(&arguments),
            Some(Example::Flights(arguments)) => flights::run(&arguments),
        }
    }
}
