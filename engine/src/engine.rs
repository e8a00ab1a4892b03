//! The running engine: readers, coordinator, workers, and the door for pushed records.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use freshet_config::definitions::Source;
use freshet_config::settings::KafkaSettings;
use freshet_connectors::events::{Rejection, excerpt};
use freshet_connectors::last_epoch::LastEpochError;
use freshet_connectors::ledger::Ledger;
use freshet_connectors::log::Log;
use freshet_connectors::offline::OfflineError;
use freshet_connectors::positions::SourcePosition;
use freshet_connectors::store::OnlineStore;
use freshet_operators::project::SourceBatch;
use freshet_operators::slices::Tuning;

use crate::clock::Clock;
use crate::dimension::DimensionTable;
use crate::epochs::{Arrival, Coordinator};
use crate::ingest::{
    Connections, Consumed, Delivery, DimensionIntake, Intake, IntakeError, LogIngest, Logs, Places, PushError,
    PushReport, SavedPositions,
};
use crate::numbering::Numbering;
use crate::plan::Plan;
use crate::progress::{Failure, Tally};
use crate::render::{Sinks, Surroundings};
use crate::state::{Figures, Shared};
use crate::worker::Workers;

/// How to run a plan.
pub struct EngineOptions {
    pub workers: usize,
    /// Shortest time between two epochs.
    pub epoch: Duration,
    /// The embedded log, the ledger, positions and the last epoch live here.
    pub data_dir: PathBuf,
    pub kafka: Option<KafkaSettings>,
    /// Root of the offline files.
    pub offline: PathBuf,
    pub clock: Arc<Clock>,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("{0}")]
    Intake(#[source] Box<IntakeError>),
    #[error(transparent)]
    Offline(#[from] OfflineError),
    #[error(transparent)]
    LastEpoch(#[from] LastEpochError),
    #[error("the dataflow workers cannot be started: {0}")]
    Workers(String),
    #[error("a thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
    #[error("{0}")]
    Failed(String),
}

impl From<IntakeError> for EngineError {
    fn from(error: IntakeError) -> EngineError {
        EngineError::Intake(Box::new(error))
    }
}

/// A running engine. Dropping it without [`Engine::stop`] leaves its threads to end by themselves.
pub struct Engine {
    shared: Arc<Shared>,
    arrivals: Sender<Arrival>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    coordinator: Option<JoinHandle<()>>,
    logs: Logs,
    /// How far the changes of each dimension were handed on, by dimension.
    dimension_offsets: Vec<(usize, Arc<AtomicU64>)>,
    positions: Arc<SavedPositions>,
    push: LogIngest,
    clock: Arc<Clock>,
}

/// Deliveries that may wait for the coordinator.
const ARRIVALS_WAITING: usize = 256;
/// Records taken from a stream at once.
const POLL_RECORDS: usize = 4096;
/// How long a reader waits for news before it looks whether to stop.
const POLL_WAIT: Duration = Duration::from_millis(50);

impl Engine {
    /// Opens every source and starts. History is read afterwards, and brokers may be reached later ([`Engine::ready`],
    /// [`Figures::trouble`]).
    pub fn start(
        plan: Arc<Plan>,
        options: EngineOptions,
        store: Arc<OnlineStore>,
        ledger: Arc<Ledger>,
    ) -> Result<Engine, EngineError> {
        let logs = Logs::open(&plan.definitions, &options.data_dir)?;
        let positions = Arc::new(SavedPositions::open(&options.data_dir)?);
        let connections = Connections {
            directory: &plan.directory,
            kafka: options.kafka.as_ref(),
            logs: &logs,
            positions: positions.clone(),
            ledger: ledger.clone(),
            clock: options.clock.clone(),
        };
        let mut intakes = Vec::new();
        // Changes of views are read from nowhere.
        for (pipeline, _) in plan.pipelines.iter().enumerate().filter(|(_, pipeline)| pipeline.is_read()) {
            intakes.push((pipeline, Intake::open(&plan, pipeline, &connections)?));
        }
        // An event clock stands at the end of history before any of it is read: what no window can see is not kept.
        if matches!(*options.clock, Clock::Event(_)) {
            for (_, intake) in &intakes {
                if let Some(latest) = intake.history_latest()? {
                    options.clock.advance(latest);
                }
            }
        }
        let mut tables = Vec::new();
        for dimension in used_dimensions(&plan) {
            let intake = DimensionIntake::open(&plan, dimension, &connections)?;
            tables.push(DimensionTable::open(&plan, dimension, intake)?);
        }
        let push = LogIngest::new(&plan, &logs, options.kafka.as_ref(), options.clock.clone());
        let failure = Arc::new(Failure::default());
        let tally = |(index, source): (usize, &Source)| {
            // A tie breaker takes the place of positions: nobody can tell what was seen before.
            let before = match source.tie_breaker {
                None if source.explode.is_some() => positions.consumed(&source.name).of_elements(),
                None => positions.consumed(&source.name),
                Some(_) => Consumed::default(),
            };
            let of_source = |(pipeline, _): &&(usize, Intake)| plan.pipelines[*pipeline].source == index;
            let files = intakes.iter().find(of_source).map(|(_, intake)| intake.history_files()).unwrap_or_default();
            Tally::new(&source.name, ledger.clone(), before, Places::of_source(source, files))
        };
        let tallies: Vec<Tally> = plan.definitions.sources.iter().enumerate().map(tally).collect();
        let tallies = Arc::new(tallies);
        let sinks = Arc::new(Sinks::open(plan.clone(), store, &options.offline, failure.clone())?);
        let numbering = Numbering::open(&options.data_dir, sinks.last_epoch())?;
        let surroundings = Surroundings {
            sinks: sinks.clone(),
            tallies: tallies.clone(),
            tuning: Tuning::default(),
            start_us: options.clock.now().micros(),
        };
        let workers = Workers::start(options.workers, plan.clone(), surroundings).map_err(EngineError::Workers)?;
        let shared = Arc::new(Shared::new(plan.clone(), failure, tallies, workers.stats.clone()));
        let (arrivals, received) = bounded(ARRIVALS_WAITING);
        let coordinator = Coordinator {
            workers,
            arrivals: received,
            shared: shared.clone(),
            sinks,
            clock: options.clock.clone(),
            numbering,
            shortest: options.epoch,
            backlogs: intakes.len() + tables.len(),
        };
        let coordinator = spawn("epochs", move || coordinator.run())?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut engine = Engine {
            shared,
            arrivals,
            stop,
            threads: Vec::new(),
            coordinator: Some(coordinator),
            logs,
            dimension_offsets: Vec::new(),
            positions,
            push,
            clock: options.clock,
        };
        for table in tables {
            engine.follow_dimension(table)?;
        }
        for (pipeline, intake) in intakes {
            engine.follow_source(pipeline, intake)?;
        }
        Ok(engine)
    }

    fn follow_source(&mut self, pipeline: usize, intake: Intake) -> Result<(), EngineError> {
        let reader = Reader {
            pipeline,
            intake,
            shared: self.shared.clone(),
            arrivals: self.arrivals.clone(),
            stop: self.stop.clone(),
            caught_up: false,
        };
        if let Some(lag) = reader.intake.lag_gauge() {
            self.shared.readers[pipeline].follow(lag);
        }
        // Whoever asks may do so before the reader comes to say it.
        self.shared.set_trouble("source", reader.intake.name(), reader.intake.trouble());
        let source = self.shared.plan.pipelines[pipeline].source;
        let name = format!("read {}", self.shared.plan.definitions.sources[source].name);
        self.threads.push(spawn(&name, move || reader.run())?);
        Ok(())
    }

    fn follow_dimension(&mut self, mut table: DimensionTable) -> Result<(), EngineError> {
        let (arrivals, stop, shared) = (self.arrivals.clone(), self.stop.clone(), self.shared.clone());
        let offset = Arc::new(AtomicU64::new(0));
        let dimension = table.dimension();
        self.dimension_offsets.push((dimension, offset.clone()));
        shared.set_trouble("dimension", table.name(), table.trouble());
        let run = move || {
            let first = table.first();
            let mut alive = arrivals.send(Arrival::Changes { dimension, changes: first }).is_ok();
            let mut caught_up = false;
            while alive && !stop.load(Ordering::Acquire) {
                // Nothing to wait for before it is known whether there is a backlog.
                let wait = if caught_up { POLL_WAIT } else { Duration::from_millis(1) };
                match table.poll(wait) {
                    Ok(changes) if changes.is_empty() => {}
                    Ok(changes) => alive = arrivals.send(Arrival::Changes { dimension, changes }).is_ok(),
                    Err(error) => {
                        shared.failure.of_input(&error);
                        return;
                    }
                }
                shared.set_trouble("dimension", table.name(), table.trouble());
                if !caught_up && table.caught_up() {
                    caught_up = true;
                    alive &= arrivals.send(Arrival::CaughtUp).is_ok();
                }
                if let Err(error) = table.save_position() {
                    shared.failure.of_input(&error);
                    return;
                }
                offset.store(table.log_offset(), Ordering::Release);
            }
        };
        self.threads.push(spawn("dimension", run)?);
        Ok(())
    }

    /// Whether what was there before the start is read and every live key has its row.
    pub fn ready(&self) -> bool {
        self.shared.ready()
    }

    /// Appends records to a source; those taken are durable when this returns, the others are in the ledger.
    pub fn push(&self, source: &str, records: &[&str]) -> Result<PushReport, PushError> {
        let report = self.push.append(source, records)?;
        if let Some(index) = self.shared.plan.definitions.source(source) {
            for refused in &report.rejected {
                self.shared.tallies[index].refused_at_door(Rejection {
                    code: refused.code,
                    place: "pushed".to_string(),
                    message: refused.message.clone(),
                    record_time: Some(self.clock.now()),
                    payload_excerpt: excerpt(records[refused.index].as_bytes()),
                });
            }
        }
        Ok(report)
    }

    /// Checks records as [`Engine::push`] would, and takes none.
    pub fn check(&self, source: &str, records: &[&str]) -> Result<PushReport, PushError> {
        self.push.check(source, records)
    }

    /// Returns when everything pushed before is readable, and rows are exact at the clock's now. `false` when the engine
    /// stopped meanwhile.
    pub fn settle(&self) -> bool {
        for (dimension, offset) in &self.dimension_offsets {
            let name = &self.shared.plan.definitions.dimensions[*dimension].name;
            if !self.wait_for_log(name, offset) {
                return false;
            }
        }
        for (pipeline, reader) in self.shared.readers.iter().enumerate() {
            let source = &self.shared.plan.definitions.sources[self.shared.plan.pipelines[pipeline].source].name;
            if !self.wait_for_log(source, &reader.log_offset) {
                return false;
            }
        }
        while !self.ready() {
            if self.stopped() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let (reply, settled) = bounded(1);
        self.arrivals.send(Arrival::Settle(reply)).is_ok() && settled.recv().is_ok()
    }

    /// Waits until a reader has handed on what its log holds now.
    fn wait_for_log(&self, name: &str, offset: &AtomicU64) -> bool {
        let Some(end) = self.logs.get(name).map(Log::end_offset) else { return true };
        while offset.load(Ordering::Acquire) < end {
            if self.stopped() {
                return false;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        true
    }

    fn stopped(&self) -> bool {
        self.shared.failure.is_set() || self.stop.load(Ordering::Acquire)
    }

    pub fn figures(&self) -> Figures {
        self.shared.figures()
    }

    /// For whoever reports on the engine from another thread.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// Reads no more, lets what was read become rows, closes offline files.
    pub fn stop(mut self) -> Result<(), EngineError> {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            join(thread, &self.shared.failure);
        }
        // The coordinator ends when it hears this, or has ended already.
        let _ = self.arrivals.send(Arrival::Stop);
        if let Some(thread) = self.coordinator.take() {
            join(thread, &self.shared.failure);
        }
        self.positions.flush()?;
        match self.shared.failure.get() {
            None => Ok(()),
            Some(message) => Err(EngineError::Failed(message.to_string())),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn join(thread: JoinHandle<()>, failure: &Failure) {
    if thread.join().is_err() {
        failure.set("a thread of the engine panicked".to_string());
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, EngineError> {
    std::thread::Builder::new().name(name.to_string()).spawn(run).map_err(EngineError::Thread)
}

fn used_dimensions(plan: &Plan) -> Vec<usize> {
    let sources = plan.pipelines.iter().map(|p| &plan.definitions.sources[p.source]);
    let mut used: Vec<usize> = sources.flat_map(|s| s.enrich.iter().map(|e| e.dimension)).collect();
    used.sort_unstable();
    used.dedup();
    used
}

/// One source's reading thread.
struct Reader {
    pipeline: usize,
    intake: Intake,
    shared: Arc<Shared>,
    arrivals: Sender<Arrival>,
    stop: Arc<AtomicBool>,
    /// The backlog is read.
    caught_up: bool,
}

impl Reader {
    fn run(mut self) {
        if let Err(error) = self.read() {
            self.shared.failure.of_input(&error);
        }
    }

    fn read(&mut self) -> Result<(), IntakeError> {
        while let Some(delivery) = self.intake.next_history()? {
            if !self.deliver(delivery) {
                return Ok(());
            }
        }
        while !self.stop.load(Ordering::Acquire) {
            if !self.caught_up && self.intake.caught_up() {
                self.caught_up = true;
                if self.arrivals.send(Arrival::CaughtUp).is_err() {
                    return Ok(());
                }
            }
            match self.intake.poll(POLL_RECORDS, POLL_WAIT)? {
                Some(delivery) => {
                    if !self.deliver(delivery) {
                        break;
                    }
                }
                None => self.publish(),
            }
            self.intake.save_position()?;
        }
        self.intake.save_position()
    }

    /// `false` when nobody listens any more.
    fn deliver(&mut self, delivery: Delivery) -> bool {
        let Delivery { events, retracted, latest } = delivery;
        // How long ago a record of the backlog came says nothing about how fresh values are.
        let record_times = if self.caught_up { self.intake.first_seen(&events) } else { Vec::new() };
        let batch = SourceBatch { events: events.batch, positions: events.positions, signs: Vec::new() };
        let retracted = retracted.map(|events| SourceBatch {
            signs: vec![-1; events.len()],
            events: events.batch,
            positions: events.positions,
        });
        let arrival = Arrival::Events { pipeline: self.pipeline, batch, retracted, record_times, latest };
        let sent = self.stop.load(Ordering::Acquire) || self.arrivals.send(arrival).is_ok();
        self.publish();
        sent
    }

    fn publish(&mut self) {
        let gauge = &self.shared.readers[self.pipeline];
        let set = |counter: &AtomicU64, value: u64| counter.store(value, Ordering::Release);
        *gauge.counts.lock().unwrap_or_else(PoisonError::into_inner) = self.intake.counts();
        if let Some(SourcePosition::Log { offset }) = self.intake.position() {
            set(&gauge.log_offset, offset);
        }
        self.shared.set_trouble("source", self.intake.name(), self.intake.trouble());
    }
}
