//! Q1 through the real graph: 3 windows x 5 aggregates of one column, from decoded Arrow batches and from Parquet, with
//! rows written to the memory store.
//!
//! `cargo bench --bench q1 -- [EVENTS] [WORKERS]` (10 million events and two workers when not given).

mod workload;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use freshet_config::time::{Epoch, EventTime};
use freshet_connectors::files::EventFiles;
use freshet_connectors::ledger::Ledger;
use freshet_connectors::store::{MemoryStore, OnlineStore};
use freshet_engine::ingest::Consumed;
use freshet_engine::plan::Plan;
use freshet_engine::progress::{Failure, Tally};
use freshet_engine::render::{Sinks, Surroundings};
use freshet_engine::worker::{EpochInput, Workers};
use freshet_operators::project::SourceBatch;
use freshet_operators::slices::Tuning;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EPOCH_US: i64 = 60_000_000;
const BATCH_ROWS: usize = 8192;

fn definitions(mode: &str) -> String {
    let windows = "[10m, 1h, 24h]";
    let aggregates: Vec<String> = ["count", "sum", "mean", "max", "stddev_pop"]
        .iter()
        .map(|f| {
            let of = if *f == "count" { "" } else { ", of: amount" };
            format!("      - {{name: amount_{f}, fn: {f}{of}, windows: {windows}}}\n")
        })
        .collect();
    format!(
        "sources:\n  - name: transactions\n    history: {{parquet: {{path: events.parquet}}}}\n    \
         schema: {{card_id: int64, amount: float64, ts: timestamp}}\n    event_time: ts\n\
         entities:\n  - {{name: card, keys: {{card_id: int64}}}}\n\
         views:\n  - name: card_amount\n    source: transactions\n    entity: card\n    mode: {mode}\n    aggregates:\n{}\
         services:\n  - {{name: q1, features: [\"card_amount.*\"]}}\n",
        aggregates.concat()
    )
}

struct Outcome {
    seconds: f64,
    rows: u64,
    row_bytes: u64,
    keys: u64,
    state_bytes: u64,
}

/// Feeds epochs as fast as the workers take them.
fn run(plan: &Arc<Plan>, workers: usize, epochs: impl Iterator<Item = (i64, Vec<SourceBatch>)>) -> Outcome {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Arc::new(OnlineStore::Memory(MemoryStore::new(1)));
    let ledger = Arc::new(Ledger::open(directory.path()).expect("a ledger"));
    let failure = Arc::new(Failure::default());
    let sinks = Sinks::open(plan.clone(), store.clone(), directory.path(), failure.clone()).expect("sinks");
    let surroundings = Surroundings {
        sinks: Arc::new(sinks),
        tallies: Arc::new(vec![Tally::new("transactions", ledger, Consumed::default())]),
        tuning: Tuning::default(),
        start_us: workload::START_US,
    };
    let running = Workers::start(workers, plan.clone(), surroundings).expect("workers");
    let stats = running.stats.clone();
    let begin = Instant::now();
    let (mut sent, mut finished) = (0, 0);
    for (epoch, batches) in epochs {
        let instant = EventTime::from_micros(workload::START_US + (epoch + 1) * EPOCH_US);
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
    let seconds = begin.elapsed().as_secs_f64();
    running.stop();
    assert!(!failure.is_set(), "{:?}", failure.get());
    let mut outcome = Outcome { seconds, rows: 0, row_bytes: store.state().bytes, keys: 0, state_bytes: 0 };
    for views in stats.lock().expect("figures").iter() {
        for stats in views.values() {
            outcome.rows += stats.rows;
            outcome.keys += stats.keys;
            outcome.state_bytes += stats.state_bytes;
        }
    }
    outcome
}

fn source_batch(events: arrow::array::RecordBatch, first: u64) -> SourceBatch {
    let rows = events.num_rows() as u64;
    SourceBatch { events, positions: (first..first + rows).collect(), signs: Vec::new() }
}

/// Batches grouped by epoch, each halved so that every worker has a part.
fn grouped(batches: &[(i64, arrow::array::RecordBatch)], workers: usize) -> Vec<(i64, Vec<SourceBatch>)> {
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

fn write_parquet(path: &Path, batches: &[(i64, arrow::array::RecordBatch)]) {
    let file = std::fs::File::create(path).expect("a file");
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, workload::schema(), Some(properties)).expect("a writer");
    for (_, batch) in batches {
        writer.write(batch).expect("a written batch");
    }
    writer.close().expect("a closed file");
}

/// The file's batches by the epoch of their first event's place in the file.
fn from_parquet<'a>(
    files: EventFiles,
    events: usize,
    workers: usize,
) -> impl Iterator<Item = (i64, Vec<SourceBatch>)> + 'a {
    let mut first = 0u64;
    files.map(move |read| {
        let batch = read.expect("a readable file").events.batch;
        let rows = batch.num_rows();
        let last = first + rows as u64;
        let epoch = (last as i128 * i128::from(workload::SPAN_US) / events as i128) as i64 / EPOCH_US;
        let part = rows.div_ceil(workers).max(1);
        let parts = (0..rows)
            .step_by(part)
            .map(|from| source_batch(batch.slice(from, part.min(rows - from)), first + from as u64));
        let parts = parts.collect();
        first = last;
        (epoch, parts)
    })
}

fn report(name: &str, events: usize, outcome: &Outcome) {
    println!(
        "{name:<28} {:>6.2} M events/s  {:>6.2} s  {:.3} rows/event  {:>4} B state/key  {:>4} B stored/key  {} keys",
        events as f64 / outcome.seconds / 1e6,
        outcome.seconds,
        outcome.rows as f64 / events as f64,
        outcome.state_bytes / outcome.keys.max(1),
        outcome.row_bytes / outcome.keys.max(1),
        outcome.keys
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let mut number = |default: usize| arguments.next().map_or(default, |a| a.parse().expect("a number"));
    let (events, workers) = (number(10_000_000), number(2));
    println!(
        "q1: {events} events, {workers} workers, 1-minute epochs, 3 windows x 5 aggregates; {}",
        workload::machine()
    );
    let batches = workload::batches(events, BATCH_ROWS, EPOCH_US, 7);
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_parquet(&directory.path().join("events.parquet"), &batches);
    for (name, mode) in
        [("continuous", "continuous"), ("interval 1m", "{interval: 1m}"), ("interval 5m", "{interval: 5m}")]
    {
        let text = definitions(mode);
        let definitions = freshet_config::parse(&[("q1.yaml".to_string(), text)]).unwrap_or_else(|e| panic!("{e}"));
        let source = definitions.sources[0].clone();
        let plan = Arc::new(Plan::compile(definitions, directory.path()).unwrap_or_else(|e| panic!("{e}")));
        let epochs = grouped(&batches, workers);
        report(&format!("{name}, decoded"), events, &run(&plan, workers, epochs.into_iter()));
        let files = EventFiles::open(&source, directory.path()).expect("the file just written");
        report(&format!("{name}, parquet"), events, &run(&plan, workers, from_parquet(files, events, workers)));
    }
}
