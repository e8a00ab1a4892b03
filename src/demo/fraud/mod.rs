//! The fraud example: generated transactions through the whole process, live on the terminal.

mod generator;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use freshet_engine::clock::Clock;
use freshet_engine::plan::Plan;
use serde_json::json;

use super::board::{self, Board, freshness, millis};
use super::prober::{Lookups, Prober};
use super::{DemoDir, node_options};
use crate::cli::FraudArguments;
use crate::client::GET_FEATURES;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::node::Node;
use crate::trouble::TroubleLog;
use freshet_engine::Figures;
use generator::{Generator, HOT_CARD, HOT_MERCHANT};

const DEFINITIONS: &str = include_str!("../../../examples/fraud/fraud.yaml");
const SOURCE: &str = "transactions";
const SERVICE: &str = "fraud_v1";

/// Time between two pushes.
const TICK: Duration = Duration::from_millis(10);
/// Most records of one push.
const MOST_RECORDS: u64 = 10_000;

/// Runs until the events or the time asked for are over, or a signal comes.
pub fn run(arguments: &FraudArguments) -> Result<(), Failure> {
    let started = Instant::now();
    let interrupt = Interrupt::listen()?;
    let dir = DemoDir::open(arguments.place.data_dir.as_deref())?;
    let clock = Arc::new(Clock::Wall);
    let options = node_options(&arguments.place, &dir.path, clock.clone());
    let node = Node::start(plan()?, dir.own()?, options)?;
    let outcome = show(arguments, &node, &clock, &interrupt, started);
    let stopped = node.stop();
    outcome.and(stopped)
}

fn plan() -> Result<Arc<Plan>, Failure> {
    let files = [("fraud.yaml".to_string(), DEFINITIONS.to_string())];
    let definitions = freshet_config::parse(&files).map_err(|errors| Failure::definitions(&errors))?;
    let plan = Plan::compile(definitions, Path::new(".")).map_err(|errors| Failure::definitions(&errors))?;
    Ok(Arc::new(plan))
}

fn show(
    arguments: &FraudArguments,
    node: &Node,
    clock: &Clock,
    interrupt: &Interrupt,
    started: Instant,
) -> Result<(), Failure> {
    if !node.await_ready(interrupt, &mut TroubleLog::default())? {
        return Ok(());
    }
    let mut board = Board::new(started);
    board.print(&introduction(arguments, node.address()))?;
    let mut cards = fastrand::Rng::with_seed(arguments.seed);
    let prober = Prober::start(node.address(), move || lookup(generator::pick_card(&mut cards), HOT_MERCHANT))?;
    let mut feed = Feed::new(arguments, clock);
    let fed = feed.run(node, &prober, &mut board, interrupt);
    board.finish();
    node.engine().settle();
    let lookups = prober.stop();
    fed?;
    board.print(&feed.summary(&node.engine().figures(), &lookups, started))?;
    node.check()
}

/// A lookup as the prober sends it and the reader pastes it.
fn lookup(card: u64, merchant: u64) -> String {
    let keys = json!({"card_id": card.to_string(), "merchant_id": merchant.to_string()});
    json!({"params": {
        "featureServiceName": SERVICE,
        "joinKeyMap": keys,
        "metadataOptions": {"includeNames": true, "includeServingStatus": true},
    }})
    .to_string()
}

fn introduction(arguments: &FraudArguments, address: SocketAddr) -> String {
    let body = lookup(HOT_CARD, HOT_MERCHANT);
    format!(
        "fraud: {} card transactions a second on average, in bursts, features of cards and merchants served at http://{address}/\n\
         paste this in another terminal, more than once:\n\n\
         curl -s http://{address}{GET_FEATURES} -H 'content-type: application/json' -d '{body}'\n",
        arguments.rate
    )
}

/// The events on their way in.
struct Feed<'a> {
    arguments: &'a FraudArguments,
    clock: &'a Clock,
    generator: Generator,
    pushed: u64,
    elapsed: Duration,
}

impl<'a> Feed<'a> {
    fn new(arguments: &'a FraudArguments, clock: &'a Clock) -> Feed<'a> {
        let generator = Generator::new(arguments.seed, clock.now());
        Feed { arguments, clock, generator, pushed: 0, elapsed: Duration::ZERO }
    }

    fn run(&mut self, node: &Node, prober: &Prober, board: &mut Board, interrupt: &Interrupt) -> Result<(), Failure> {
        let begun = Instant::now();
        // Events that could not be pushed in time are let go: the demo shows a rate, not a backlog.
        let mut skipped = 0;
        while !self.over() && !interrupt.wait(TICK) {
            self.elapsed = begun.elapsed();
            let due = generator::due(self.arguments.rate, self.elapsed).saturating_sub(self.pushed + skipped);
            let taken = due.min(MOST_RECORDS).min(self.left());
            skipped += due.saturating_sub(taken);
            if taken > 0 {
                self.push(node, taken)?;
            }
            let now = Instant::now();
            if board.due(now) {
                node.check()?;
                board.show(&state(&node.engine().figures(), &prober.lookups()), now)?;
            }
        }
        self.elapsed = begun.elapsed();
        Ok(())
    }

    fn left(&self) -> u64 {
        self.arguments.events.map_or(u64::MAX, |events| events - self.pushed)
    }

    fn over(&self) -> bool {
        self.left() == 0 || self.arguments.time.is_some_and(|time| self.elapsed >= time)
    }

    fn push(&mut self, node: &Node, records: u64) -> Result<(), Failure> {
        let now = self.clock.now();
        let records: Vec<String> = (0..records).map(|_| self.generator.next_record(now)).collect();
        let texts: Vec<&str> = records.iter().map(String::as_str).collect();
        // What is refused is in the ledger.
        node.engine()
            .push(SOURCE, &texts)
            .map_err(|error| Failure::internal(format!("cannot push events: {error}")))?;
        self.pushed += texts.len() as u64;
        Ok(())
    }

    fn summary(&self, figures: &Figures, lookups: &Lookups, started: Instant) -> String {
        let seconds = self.elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { self.pushed as f64 / seconds } else { 0.0 };
        let mut text = format!("\n{} events pushed in {seconds:.1} s, {rate:.0} a second\n", self.pushed);
        if let Some(source) = figures.sources.iter().find(|source| source.name == SOURCE) {
            text.push_str(&format!(
                "consumed {}: admitted {}, late {}, duplicate {}, unparsable {}\n",
                source.consumed, source.admitted, source.late, source.duplicate, source.unparsable
            ));
        }
        text.push_str(&format!("{} from event to readable\n", freshness(figures, 1.0)));
        text.push_str(&looked_up(lookups, started));
        text
    }
}

fn state(figures: &Figures, lookups: &Lookups) -> String {
    format!(
        "{:>9.0} events/s  {}  lookups {} p50 {} p99 {}",
        figures.events_per_second,
        freshness(figures, 1.0),
        lookups.answered,
        millis(lookups.p50_us),
        millis(lookups.p99_us),
    )
}

/// The prober's part of a summary.
pub fn looked_up(lookups: &Lookups, started: Instant) -> String {
    let mut text = format!(
        "lookups {}: p50 {}, p99 {}, {} failed",
        lookups.answered,
        board::millis(lookups.p50_us),
        board::millis(lookups.p99_us),
        lookups.failed
    );
    if let Some(reason) = &lookups.last_failure {
        text.push_str(&format!(" ({reason})"));
    }
    if let Some(first) = lookups.first_value {
        text.push_str(&format!(
            "; first value served {:.2} s after the start",
            first.duration_since(started).as_secs_f64()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_compiles_and_its_service_has_the_keys_looked_up() {
        let plan = plan().unwrap();
        let service = plan.services.iter().find(|service| service.name == SERVICE).unwrap();
        let keys: Vec<&str> = service.join_keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(keys, ["card_id", "merchant_id"]);
        assert!(plan.definitions.source(SOURCE).is_some());
    }
}
