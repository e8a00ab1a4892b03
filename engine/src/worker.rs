//! The workers: threads that each hold one copy of the dataflow and step it through the epochs they are given.
//!
//! Law: a worker knows no time but the epochs it is sent. It feeds an epoch's input, closes it, steps until the probe
//! has passed it on all workers, and says so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use freshet_config::time::{Epoch, EventTime};
use freshet_config::value::Value;
use freshet_operators::project::SourceBatch;
use freshet_operators::slices::ViewStats;
use timely::communication::WorkerGuards;

use crate::plan::Plan;
use crate::render::{Rendered, Surroundings, render};

/// One worker's part of an epoch.
pub struct EpochInput {
    pub epoch: Epoch,
    /// The instant at which the epoch's rows are exact; never goes back.
    pub instant: EventTime,
    /// Batches by pipeline of the plan.
    pub events: Vec<(usize, SourceBatch)>,
    /// By dimension: key, row and +1 or -1.
    pub changes: Vec<(usize, Vec<DimensionChange>)>,
    /// Rows are written from this epoch on.
    pub emit_from: Epoch,
}

/// Key, row in the dimension's schema, +1 or -1.
pub type DimensionChange = (Vec<u8>, Vec<Value>, isize);

/// A worker has finished an epoch.
#[derive(Clone, Copy, Debug)]
pub struct Completed {
    pub worker: usize,
    pub epoch: Epoch,
}

/// Figures of every view, summed over workers.
pub type SharedStats = Arc<Mutex<Vec<BTreeMap<usize, ViewStats>>>>;

/// Running workers.
pub struct Workers {
    pub inputs: Vec<Sender<EpochInput>>,
    pub completed: Receiver<Completed>,
    pub stats: SharedStats,
    guards: Option<WorkerGuards<()>>,
}

/// Epochs a worker may have begun and not finished.
pub const EPOCHS_IN_FLIGHT: usize = 4;
/// Steps that finished nothing, after which a worker lets others have its core: it may be waiting for one that has none.
const PATIENCE_STEPS: u32 = 64;
/// How long it sleeps at most, unless another worker sends it something.
const NAP: Duration = Duration::from_micros(200);

impl Workers {
    /// Starts `count` threads. An error is timely's own words.
    pub fn start(count: usize, plan: Arc<Plan>, surroundings: Surroundings) -> Result<Workers, String> {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| bounded(EPOCHS_IN_FLIGHT)).unzip();
        let receivers: Vec<Mutex<Option<Receiver<EpochInput>>>> =
            receivers.into_iter().map(|r| Mutex::new(Some(r))).collect();
        let (done, completed) = crossbeam_channel::unbounded();
        let stats: SharedStats = Arc::new(Mutex::new(vec![BTreeMap::new(); count]));
        let published = stats.clone();
        let config = if count == 1 { timely::Config::thread() } else { timely::Config::process(count) };
        let guards = timely::execute(config, move |worker| {
            let _abort = AbortOnPanic;
            let index = worker.index();
            let receiver = receivers[index].lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(receiver) = receiver else { return };
            let rendered = render(worker, &plan, &surroundings);
            Loop { index, rendered, receiver, done: done.clone(), stats: published.clone(), open: VecDeque::new() }
                .run(worker);
        })?;
        Ok(Workers { inputs: senders, completed, stats, guards: Some(guards) })
    }

    /// Lets the workers finish what they were sent, and waits for them.
    pub fn stop(mut self) {
        self.inputs.clear();
        if let Some(guards) = self.guards.take() {
            for worker in guards.join() {
                if let Err(error) = worker {
                    tracing::error!("a worker ended badly: {error}");
                }
            }
        }
    }
}

/// Ends the process when a dataflow thread panics: the other workers would wait for its progress for ever.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a dataflow worker panicked; the process ends");
            std::process::abort();
        }
    }
}

struct Loop {
    index: usize,
    rendered: Rendered,
    receiver: Receiver<EpochInput>,
    done: Sender<Completed>,
    stats: SharedStats,
    /// Epochs fed and not yet passed by the probe.
    open: VecDeque<Epoch>,
}

impl Loop {
    fn run(mut self, worker: &mut timely::worker::Worker) {
        let mut fruitless_steps = 0;
        loop {
            let next = if self.open.is_empty() {
                // Nothing to step for: sleep until there is.
                match self.receiver.recv_timeout(Duration::from_millis(100)) {
                    Ok(input) => Some(input),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            } else if self.open.len() < EPOCHS_IN_FLIGHT {
                self.receiver.try_recv().ok()
            } else {
                None
            };
            if let Some(input) = next {
                self.feed(input);
                fruitless_steps = 0;
            }
            if fruitless_steps < PATIENCE_STEPS {
                worker.step();
            } else {
                worker.step_or_park(Some(NAP));
            }
            fruitless_steps = if self.report() { 0 } else { fruitless_steps + 1 };
        }
        // Dropping the inputs lets the dataflow end; timely steps it to completion after this returns.
    }

    fn feed(&mut self, input: EpochInput) {
        let epoch = input.epoch.micros();
        {
            let mut control = self.rendered.control.borrow_mut();
            control.emit_from = input.emit_from;
            control.date(epoch, input.instant);
        }
        for handle in self.rendered.events.iter_mut().flatten() {
            handle.advance_to(epoch);
        }
        for handles in self.rendered.dimensions.values_mut() {
            handles.iter_mut().for_each(|h| h.advance_to(epoch));
        }
        for (dimension, changes) in input.changes {
            for handle in self.rendered.dimensions.get_mut(&dimension).into_iter().flatten() {
                handle.update(&changes);
            }
        }
        for (pipeline, mut batch) in input.events {
            if let Some(Some(handle)) = self.rendered.events.get_mut(pipeline) {
                handle.send_batch(&mut batch);
            }
        }
        for handle in self.rendered.events.iter_mut().flatten() {
            handle.advance_to(epoch + 1);
        }
        for handles in self.rendered.dimensions.values_mut() {
            handles.iter_mut().for_each(|h| h.advance_to(epoch + 1));
        }
        self.open.push_back(input.epoch);
    }

    /// Whether an epoch is finished.
    fn report(&mut self) -> bool {
        let mut passed = false;
        while let Some(epoch) = self.open.front().copied() {
            if self.rendered.probe.less_equal(&epoch.micros()) {
                break;
            }
            self.open.pop_front();
            passed = true;
            // The coordinator may be gone already, when the engine stops.
            let _ = self.done.send(Completed { worker: self.index, epoch });
        }
        if passed {
            let stats = self.rendered.control.borrow().stats.clone();
            self.stats.lock().unwrap_or_else(PoisonError::into_inner)[self.index] = stats;
        }
        passed
    }
}
