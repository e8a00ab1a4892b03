//! Runs a plan as fast as its workers take events: the whole graph, rows into the memory store.

use std::sync::Arc;
use std::time::Instant;

use freshet_config::time::{Epoch, EventTime};
use freshet_connectors::ledger::Ledger;
use freshet_connectors::store::{MemoryStore, OnlineStore};
use freshet_engine::ingest::{Consumed, Places};
use freshet_engine::plan::Plan;
use freshet_engine::progress::{Failure, Tally};
use freshet_engine::render::{Sinks, Surroundings};
use freshet_engine::worker::{EpochInput, Workers};
use freshet_operators::project::SourceBatch;
use freshet_operators::slices::Tuning;

use super::START_US;

/// A minute.
pub const EPOCH_US: i64 = 60_000_000;

/// What one run did, views added up.
pub struct Outcome {
    pub seconds: f64,
    /// Processor time of the whole process.
    pub cpu_seconds: f64,
    pub rows: u64,
    pub stored_bytes: u64,
    pub keys: u64,
    pub state_bytes: u64,
    pub store: Arc<OnlineStore>,
}

/// Feeds epochs of `epoch_us` of the stream's time as fast as the workers take them.
pub fn run_epochs(
    plan: &Arc<Plan>,
    workers: usize,
    epoch_us: i64,
    epochs: impl Iterator<Item = (i64, Vec<SourceBatch>)>,
) -> Outcome {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Arc::new(OnlineStore::Memory(MemoryStore::new(plan.views.len())));
    let ledger = Arc::new(Ledger::open(directory.path()).expect("a ledger"));
    let failure = Arc::new(Failure::default());
    let sinks = Sinks::open(plan.clone(), store.clone(), directory.path(), failure.clone()).expect("sinks");
    let places = Places::of_source(&plan.definitions.sources[0], &[]);
    let surroundings = Surroundings {
        sinks: Arc::new(sinks),
        tallies: Arc::new(vec![Tally::new("transactions", ledger, Consumed::default(), places)]),
        tuning: Tuning::default(),
        start_us: START_US,
    };
    let running = Workers::start(workers, plan.clone(), surroundings).expect("workers");
    let stats = running.stats.clone();
    let (begin, cpu) = (Instant::now(), super::cpu_seconds());
    let (mut sent, mut finished) = (0, 0);
    for (epoch, batches) in epochs {
        let instant = EventTime::from_micros(START_US + (epoch + 1) * epoch_us);
        let number = Epoch::from_micros(instant.micros() as u64);
        let mut parts: Vec<Vec<(usize, SourceBatch)>> = (0..workers).map(|_| Vec::new()).collect();
        for (i, batch) in batches.into_iter().enumerate() {
            parts[i % workers].push((0, batch));
        }
        for (input, events) in running.inputs.iter().zip(parts) {
            let part = EpochInput { epoch: number, instant, events, changes: Vec::new(), emit_from: Epoch::default() };
            input.send(part).expect("a running worker");
        }
        sent += workers;
        finished += running.completed.try_iter().count();
    }
    while finished < sent {
        running.completed.recv().expect("running workers");
        finished += 1;
    }
    let (seconds, cpu_seconds) = (begin.elapsed().as_secs_f64(), super::cpu_seconds() - cpu);
    running.stop();
    assert!(!failure.is_set(), "{:?}", failure.get());
    let stored_bytes = store.state().bytes;
    let mut outcome = Outcome { seconds, cpu_seconds, rows: 0, stored_bytes, keys: 0, state_bytes: 0, store };
    for views in stats.lock().expect("figures").iter() {
        for stats in views.values() {
            outcome.rows += stats.rows;
            outcome.keys += stats.keys;
            outcome.state_bytes += stats.state_bytes;
        }
    }
    outcome
}

pub fn source_batch(events: arrow::array::RecordBatch, first: u64) -> SourceBatch {
    let rows = events.num_rows() as u64;
    SourceBatch { events, positions: (first..first + rows).collect(), signs: Vec::new() }
}

/// Batches grouped by epoch, each halved so that every worker has a part.
pub fn grouped(batches: &[(i64, arrow::array::RecordBatch)], workers: usize) -> Vec<(i64, Vec<SourceBatch>)> {
    let mut epochs: Vec<(i64, Vec<SourceBatch>)> = Vec::new();
    let mut position = 0;
    for (epoch, batch) in batches {
        if epochs.last().is_none_or(|(last, _)| last != epoch) {
            epochs.push((*epoch, Vec::new()));
        }
        let rows = batch.num_rows();
        let part = rows.div_ceil(workers);
        for from in (0..rows).step_by(part.max(1)) {
            let slice = batch.slice(from, part.min(rows - from));
            let (_, parts) = epochs.last_mut().expect("pushed above");
            parts.push(source_batch(slice, position + from as u64));
        }
        position += rows as u64;
    }
    epochs
}
