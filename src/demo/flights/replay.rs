//! Events pushed in the order they happened, the clock moved with them, so many times as fast as time.

use std::time::{Duration, Instant};

use freshet_config::time::{EventTime, Span};
use freshet_engine::clock::Clock;

use super::SOURCE;
use super::data::FlightData;
use crate::cli::FlightsArguments;
use crate::exit::Failure;
use freshet_engine::Engine;

/// Most records of one push.
const MOST_RECORDS: usize = 1000;

/// A replay under way.
pub struct Replay<'a> {
    flights: &'a FlightData,
    engine: &'a Engine,
    clock: &'a Clock,
    speed_up: f64,
    from: EventTime,
    next: usize,
    begun: Instant,
    /// Time spent at rest, which does not count.
    rested: Duration,
    moved: Instant,
}

impl<'a> Replay<'a> {
    pub fn new(
        flights: &'a FlightData,
        engine: &'a Engine,
        clock: &'a Clock,
        arguments: &FlightsArguments,
    ) -> Replay<'a> {
        let now = Instant::now();
        Replay {
            flights,
            engine,
            clock,
            speed_up: arguments.speed_up,
            from: arguments.from,
            next: 0,
            begun: now,
            rested: Duration::ZERO,
            moved: now,
        }
    }

    /// How many events were pushed.
    pub fn pushed(&self) -> usize {
        self.next
    }

    pub fn over(&self) -> bool {
        self.next == self.flights.stream.len() && self.clock.now() >= self.flights.end
    }

    /// The instant that it is now in the replay.
    pub fn target(&self) -> EventTime {
        let elapsed = self.begun.elapsed().saturating_sub(self.rested);
        // The cast saturates, and so does the sum.
        let micros = (elapsed.as_secs_f64() * self.speed_up * 1e6) as i64;
        (self.from + Span::from_micros(micros)).min(self.flights.end)
    }

    /// Pushes every event up to `target`, that instant included, and moves the clock there.
    pub fn go_to(&mut self, target: EventTime) -> Result<(), Failure> {
        loop {
            let due = self.flights.stream[self.next..].iter().take(MOST_RECORDS);
            let batch: Vec<&str> =
                due.take_while(|event| event.at <= target).map(|event| event.record.as_str()).collect();
            let Some(last) = batch.len().checked_sub(1) else { break };
            // Before the push: an event may not lie ahead of the clock.
            self.clock.advance(self.flights.stream[self.next + last].at);
            let report = self
                .engine
                .push(SOURCE, &batch)
                .map_err(|error| Failure::internal(format!("cannot push events: {error}")))?;
            if let Some(rejected) = report.rejected.first() {
                return Err(Failure::data(format!(
                    "flight event {} was refused: {} [{}]",
                    self.next + rejected.index,
                    rejected.message,
                    rejected.code
                )));
            }
            self.next += batch.len();
        }
        self.clock.advance(target);
        self.moved = Instant::now();
        Ok(())
    }

    /// Goes on from here as if no time had passed since the last move.
    pub fn rest(&mut self) {
        self.rested += self.moved.elapsed();
    }
}
