//! The flights example: a year's history, two months replayed, and answers that were computed independently.

mod checks;
mod data;
mod replay;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use freshet_config::time::{EventTime, Span};
use freshet_engine::clock::Clock;
use freshet_engine::plan::Plan;
use serde_json::{Value, json};

use super::board::{Board, freshness, is_terminal, millis};
use super::fraud::looked_up;
use super::prober::Prober;
use super::{DemoDir, node_options};
use crate::cli::FlightsArguments;
use crate::client::{Client, GET_FEATURES};
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::node::Node;
use crate::trouble::TroubleLog;
use checks::Checks;
use data::FlightData;
use replay::Replay;

const DEFINITIONS: &str = include_str!("../../../examples/flights/flights.yaml");
const SOURCE: &str = "flight_events";

/// Time between two steps of the replay.
const TICK: Duration = Duration::from_millis(20);
/// How much is replayed where nobody looks on.
const SHORT: Span = Span::from_secs(8 * 3600);

/// Runs until the replay is over or a signal comes; an answer that is not the expected one is an error.
pub fn run(arguments: &FlightsArguments) -> Result<(), Failure> {
    let started = Instant::now();
    let interrupt = Interrupt::listen()?;
    data::check_files(&arguments.data)?;
    crate::output::line(&format!("flights: reading {}", arguments.data.display()))?;
    let dir = DemoDir::open(arguments.place.data_dir.as_deref())?;
    let owned = dir.own()?;
    let definitions = prepare(&dir.path)?;
    let flights = FlightData::split(&arguments.data, &definitions, arguments.from, until(arguments))?;
    let plan = compile(&definitions)?;
    let clock = Arc::new(Clock::event());
    // History is old by then; the replay begins here.
    clock.advance(arguments.from);
    let options = node_options(&arguments.place, &dir.path, clock.clone());
    let node = Node::start(plan, owned, options)?;
    let demo = Demo { arguments, definitions, flights: &flights, node: &node, clock: &clock, started };
    let outcome = demo.show(&interrupt);
    let stopped = node.stop();
    outcome.and(stopped)
}

fn until(arguments: &FlightsArguments) -> Option<EventTime> {
    match arguments.until {
        Some(until) => Some(until),
        None if arguments.all || is_terminal() => None,
        None => Some(arguments.from + SHORT),
    }
}

/// Lays the definitions out as a user would; files that are there already belong to another replay.
fn prepare(dir: &Path) -> Result<PathBuf, Failure> {
    let definitions = dir.join("definitions");
    if definitions.exists() {
        return Err(Failure::cannot_write(format!(
            "{} holds the data of an earlier demo, and a replay begins anew: name another directory",
            dir.display()
        )));
    }
    let failed = |error| Failure::cannot_write(format!("cannot write to {}: {error}", definitions.display()));
    fs::create_dir_all(definitions.join("data")).map_err(failed)?;
    fs::write(definitions.join("flights.yaml"), DEFINITIONS).map_err(failed)?;
    Ok(definitions)
}

fn compile(directory: &Path) -> Result<Arc<Plan>, Failure> {
    let definitions = freshet_config::load(directory).map_err(|errors| Failure::definitions(&errors))?;
    let plan = Plan::compile(definitions, directory).map_err(|errors| Failure::definitions(&errors))?;
    Ok(Arc::new(plan))
}

struct Demo<'a> {
    arguments: &'a FlightsArguments,
    definitions: PathBuf,
    flights: &'a FlightData,
    node: &'a Node,
    clock: &'a Clock,
    started: Instant,
}

impl Demo<'_> {
    fn show(&self, interrupt: &Interrupt) -> Result<(), Failure> {
        let mut board = Board::new(self.started);
        board.print(&format!(
            "loading {} events before {} as history, {} to replay",
            self.flights.history_events,
            self.arguments.from,
            self.flights.stream.len()
        ))?;
        if !self.node.await_ready(interrupt, &mut TroubleLog::default())? {
            return Ok(());
        }
        board.print(&introduction(self.node.address(), self.arguments.speed_up))?;
        let prober = self.prober()?;
        let mut checks = Checks::default();
        let replayed = self.replay(&prober, &mut checks, &mut board, interrupt);
        board.finish();
        let lookups = prober.stop();
        let replayed = replayed?;
        board.print(&format!(
            "\nreplayed {} events to {}\n{} from event to readable\n{}",
            replayed,
            self.clock.now(),
            freshness(&self.node.engine().figures(), self.arguments.speed_up),
            looked_up(&lookups, self.started)
        ))?;
        self.node.check()?;
        if !checks.done {
            if interrupt.raised() {
                return board.print("interrupted before answers were compared");
            }
            checks.skipped += checks::live().len();
            self.history_checks(&mut checks)?;
        }
        board.print(&checks.verdict_line())?;
        checks.verdict()
    }

    /// Pushes events as their time comes; stops at the instant of the live check and at the end.
    fn replay(
        &self,
        prober: &Prober,
        checks: &mut Checks,
        board: &mut Board,
        interrupt: &Interrupt,
    ) -> Result<usize, Failure> {
        let mut replay = Replay::new(self.flights, self.node.engine(), self.clock, self.arguments);
        let live = checks::LIVE_AT;
        let mut live_is_ahead = live >= self.arguments.from;
        while !replay.over() && !interrupt.wait(TICK) {
            let target = replay.target();
            if live_is_ahead && target >= live {
                replay.go_to(live)?;
                self.node.engine().settle();
                board.print(&format!("at {live}: the replay rests while answers are compared"))?;
                self.live_checks(checks)?;
                self.history_checks(checks)?;
                board.print(&checks.report())?;
                live_is_ahead = false;
                replay.rest();
            } else {
                replay.go_to(target)?;
            }
            let now = Instant::now();
            if board.due(now) {
                self.node.check()?;
                let (figures, lookups) = (self.node.engine().figures(), prober.lookups());
                let line = format!(
                    "{}  {} events  {}  lookups {} p50 {} p99 {}",
                    self.clock.now(),
                    replay.pushed(),
                    freshness(&figures, self.arguments.speed_up),
                    lookups.answered,
                    millis(lookups.p50_us),
                    millis(lookups.p99_us)
                );
                board.show(&line, now)?;
            }
        }
        self.node.engine().settle();
        Ok(replay.pushed())
    }

    fn prober(&self) -> Result<Prober, Failure> {
        let legs = self.flights.legs();
        let mut rng = fastrand::Rng::with_seed(1);
        Prober::start(self.node.address(), move || {
            let keys = match legs.len() {
                0 => json!({"tailnum": "N725MQ", "carrier": "MQ", "airport": "LGA", "origin": "LGA", "dest": "RDU"}),
                n => legs[rng.usize(..n)].clone(),
            };
            lookup("departure_delay_v1", &keys, None)
        })
    }

    /// Asks the running server.
    fn live_checks(&self, checks: &mut Checks) -> Result<(), Failure> {
        let client = Client::new(&format!("http://{}", self.node.address()))?;
        for question in checks::live() {
            let body = lookup(question.service, &question.keys, Some(question.at));
            let answer = client.post(GET_FEATURES, body.as_bytes())?.success()?;
            let names = answer["metadata"]["features"].as_array().map(Vec::as_slice).unwrap_or_default();
            let values = answer["result"]["features"].as_array().map(Vec::as_slice).unwrap_or_default();
            checks.compare(&question, |feature| {
                let named = names.iter().position(|name| name["name"].as_str() == Some(feature));
                named.and_then(|index| values.get(index)).cloned()
            });
        }
        Ok(())
    }

    /// Computes training rows from history.
    fn history_checks(&self, checks: &mut Checks) -> Result<(), Failure> {
        let (inside, outside): (Vec<_>, Vec<_>) =
            checks::history().into_iter().partition(|question| question.at < self.arguments.from);
        checks.skipped += outside.len();
        for (index, question) in inside.into_iter().enumerate() {
            let row = data::training_row(&self.definitions, index, &question)?;
            checks.compare(&question, |feature| row.get(feature.replacen('.', "__", 1)).cloned());
        }
        checks.done = true;
        Ok(())
    }
}

fn lookup(service: &str, keys: &Value, at: Option<EventTime>) -> String {
    let options = at.map_or_else(|| json!({}), |at| json!({"asOf": at.to_string()}));
    json!({"params": {
        "featureServiceName": service,
        "joinKeyMap": keys,
        "requestOptions": options,
        "metadataOptions": {"includeNames": true, "includeServingStatus": true},
    }})
    .to_string()
}

fn introduction(address: SocketAddr, speed_up: f64) -> String {
    let body = lookup("airport_board", &json!({"airport": "JFK"}), None);
    format!(
        "history is loaded; replaying {speed_up} times as fast, served at http://{address}/\n\
         paste this in another terminal, more than once:\n\n\
         curl -s http://{address}{GET_FEATURES} -H 'content-type: application/json' -d '{body}'\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_asks_for_features_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let plan = compile(&prepare(dir.path()).unwrap()).unwrap();
        assert!(plan.definitions.source(SOURCE).is_some());
        assert!(prepare(dir.path()).unwrap_err().message.contains("earlier demo"));
        for question in checks::live().into_iter().chain(checks::history()) {
            let service = plan.services.iter().find(|service| service.name == question.service).unwrap();
            for key in &service.join_keys {
                assert!(question.keys.get(&key.name).is_some(), "{}: {}", question.name, key.name);
            }
            for (feature, _) in &question.expected {
                assert!(service.features.iter().any(|f| f.name == *feature), "{}: {feature}", question.name);
            }
        }
    }
}
