//! Epochs: what arrives is gathered, closed at an instant, sent to the workers, and dated.
//!
//! Law: only here do batches get their epoch, and epochs only grow (`numbering`). An epoch closes when something waits and the last
//! close is long enough ago, when much waits, or when somebody asks for what he pushed to become readable; idle time
//! closes empty epochs, so that rows are renewed before their horizon. What was there before the start (histories, and
//! streams as far as they went) is built without writing rows, so that no row shows a part of it; the epoch after its end
//! writes one row per live key.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, never, select};
use freshet_config::time::{Epoch, EventTime};
use freshet_operators::project::SourceBatch;

use crate::clock::Clock;
use crate::numbering::Numbering;
use crate::render::Sinks;
use crate::state::Shared;
use crate::worker::{Completed, DimensionChange, EPOCHS_IN_FLIGHT, EpochInput, Workers};

/// What reaches the coordinator.
pub enum Arrival {
    Events {
        pipeline: usize,
        batch: SourceBatch,
        /// Earlier events that go in the epoch in which those of `batch` come.
        retracted: Option<SourceBatch>,
        /// When records were taken in that are read for the first time.
        record_times: Vec<EventTime>,
        latest: EventTime,
    },
    Changes {
        dimension: usize,
        changes: Vec<DimensionChange>,
    },
    /// One input has been read as far as it went when it was opened: its history, and what its stream held.
    CaughtUp,
    /// Answer when all that arrived before is readable.
    Settle(Sender<()>),
    Stop,
}

/// Rows waiting that close an epoch at once.
const FULL_ROWS: usize = 1 << 16;
/// Bytes of them that do: few events may be large.
const FULL_BYTES: usize = 256 << 20;
/// An idle engine closes an epoch this often.
const IDLE: Duration = Duration::from_millis(500);
/// One of this many record times goes into the freshness figure, so that it costs nothing.
const FRESHNESS_SAMPLE: usize = 16;

/// Gathers arrivals into epochs until told to stop.
pub struct Coordinator {
    pub workers: Workers,
    pub arrivals: Receiver<Arrival>,
    pub shared: Arc<Shared>,
    pub sinks: Arc<Sinks>,
    pub clock: Arc<Clock>,
    pub numbering: Numbering,
    /// Shortest time between two closes.
    pub shortest: Duration,
    /// Inputs whose backlog is not read yet.
    pub backlogs: usize,
}

#[derive(Default)]
struct Gathered {
    events: Vec<(usize, SourceBatch)>,
    rows: usize,
    bytes: usize,
    record_times: Vec<EventTime>,
    changes: BTreeMap<usize, Vec<DimensionChange>>,
    settles: Vec<Sender<()>>,
    closing: bool,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.rows >= FULL_ROWS || self.bytes >= FULL_BYTES
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.changes.is_empty() && self.settles.is_empty() && !self.closing
    }
}

/// An epoch the workers have not all finished.
struct Open {
    epoch: Epoch,
    instant: EventTime,
    workers_left: usize,
    record_times: Vec<EventTime>,
    settles: Vec<Sender<()>>,
    hand_over: bool,
}

impl Coordinator {
    /// Runs until [`Arrival::Stop`], then lets the workers finish.
    pub fn run(mut self) {
        let mut gathered = Gathered::default();
        let mut open: VecDeque<Open> = VecDeque::new();
        let mut closed_at = Instant::now();
        let mut handed_over = self.backlogs == 0;
        let mut stopping = false;
        loop {
            let full = open.len() >= EPOCHS_IN_FLIGHT;
            let due = !gathered.is_empty()
                && (gathered.is_full()
                    || gathered.closing
                    || !gathered.settles.is_empty()
                    || closed_at.elapsed() >= self.shortest);
            let hand_over = !handed_over && self.backlogs == 0;
            if !full && (due || hand_over || closed_at.elapsed() >= IDLE) {
                self.close(std::mem::take(&mut gathered), hand_over, handed_over, &mut open);
                handed_over |= hand_over;
                closed_at = Instant::now();
                continue;
            }
            if stopping && gathered.is_empty() && open.is_empty() {
                break;
            }
            let wait = if gathered.is_empty() { IDLE } else { self.shortest };
            let timer = after(wait.saturating_sub(closed_at.elapsed()).max(Duration::from_micros(100)));
            let crowded = full && gathered.is_full();
            let arrivals = if crowded { never() } else { self.arrivals.clone() };
            select! {
                recv(arrivals) -> arrival => match arrival {
                    Ok(arrival) => stopping |= self.gather(arrival, &mut gathered),
                    Err(_) => stopping = true,
                },
                recv(self.workers.completed) -> completed => match completed {
                    Ok(completed) => self.complete(completed, &mut open),
                    Err(_) => {
                        self.shared.failure.set("the workers ended before they were told to".to_string());
                        break;
                    }
                },
                recv(timer) -> _ => {}
            }
        }
        self.workers.stop();
        self.sinks.flush(self.numbering.last(), true);
        if let Err(error) = self.numbering.finish() {
            self.shared.failure.set(error.to_string());
        }
    }

    /// `true` when asked to stop.
    fn gather(&mut self, arrival: Arrival, gathered: &mut Gathered) -> bool {
        match arrival {
            Arrival::Events { pipeline, batch, retracted, record_times, latest } => {
                self.clock.advance(latest);
                gathered.record_times.extend(record_times.into_iter().step_by(FRESHNESS_SAMPLE));
                let some = std::iter::once(batch).chain(retracted).filter(|batch| batch.events.num_rows() > 0);
                for batch in some {
                    gathered.rows += batch.events.num_rows();
                    gathered.bytes += batch.events.get_array_memory_size();
                    gathered.events.push((pipeline, batch));
                }
            }
            Arrival::Changes { dimension, changes } => {
                gathered.changes.entry(dimension).or_default().extend(changes);
            }
            Arrival::CaughtUp => self.backlogs -= 1,
            Arrival::Settle(reply) => gathered.settles.push(reply),
            Arrival::Stop => {
                gathered.closing = true;
                return true;
            }
        }
        false
    }

    fn close(&mut self, gathered: Gathered, hand_over: bool, emitting: bool, open: &mut VecDeque<Open>) {
        let instant = self.clock.now();
        let epoch = self.numbering.next(instant);
        if let Err(error) = self.numbering.note() {
            self.shared.failure.set(error.to_string());
        }
        let never = Epoch::from_micros(u64::MAX);
        let emit_from = match (hand_over, emitting) {
            (true, _) => epoch,
            (false, true) => Epoch::default(),
            (false, false) => never,
        };
        let workers = self.workers.inputs.len();
        let mut parts: Vec<EpochInput> = (0..workers)
            .map(|_| EpochInput { epoch, instant, events: Vec::new(), changes: Vec::new(), emit_from })
            .collect();
        for (i, (pipeline, batch)) in gathered.events.into_iter().enumerate() {
            self.shared.taken(pipeline, batch.events.num_rows());
            // A join lets go of an event where it took it, and must know there that it was taken back.
            let place = if self.follows_changes(pipeline) { pipeline } else { i + epoch.micros() as usize };
            parts[place % workers].events.push((pipeline, batch));
        }
        parts[0].changes = gathered.changes.into_iter().collect();
        for (input, part) in self.workers.inputs.iter().zip(parts) {
            if input.send(part).is_err() {
                self.shared.failure.set("a worker ended before it was told to".to_string());
            }
        }
        open.push_back(Open {
            epoch,
            instant,
            workers_left: workers,
            record_times: gathered.record_times,
            settles: gathered.settles,
            hand_over,
        });
    }

    /// Whether events of a pipeline may be taken back and are joined.
    fn follows_changes(&self, pipeline: usize) -> bool {
        let plan = &self.shared.plan;
        let source = &plan.definitions.sources[plan.pipelines[pipeline].source];
        source.changelog.is_some() && !source.enrich.is_empty()
    }

    fn complete(&self, completed: Completed, open: &mut VecDeque<Open>) {
        if let Some(epoch) = open.iter_mut().find(|o| o.epoch == completed.epoch) {
            epoch.workers_left -= 1;
        }
        while open.front().is_some_and(|o| o.workers_left == 0) {
            let Some(done) = open.pop_front() else { break };
            self.shared.finished(done.epoch, done.instant, &done.record_times, self.clock.now());
            self.sinks.flush(done.epoch, false);
            if done.hand_over {
                self.shared.set_ready();
            }
            for settled in done.settles {
                // Who asked may have given up waiting.
                let _ = settled.send(());
            }
        }
    }
}
