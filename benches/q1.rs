//! Q1 through the real graph: 3 windows x 5 aggregates of one column, from decoded Arrow batches and from Parquet, with
//! rows written to the memory store. Before and after it, what the machine gives to plain sums in a hash map.
//!
//! Epochs are those the engine closes at the rate of the floor, of 40,000 events each, and then of a minute of the stream's time:
//! 2,300 events, closed after little more than a millisecond.
//!
//! `cargo bench --bench q1 -- [EVENTS] [WORKERS]` (10 million events and two workers when not given).

#[allow(dead_code, reason = "each benchmark takes its part of the workload")]
mod workload;

use std::path::Path;
use std::sync::Arc;

use freshet_connectors::files::EventFiles;
use freshet_engine::plan::Plan;
use freshet_operators::project::SourceBatch;

use workload::graph::{EPOCH_US, Outcome, grouped, run_epochs, source_batch};
use workload::limit::running_sums;
use workload::reader::reader_ns;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH_ROWS: usize = 8192;
/// What arrives in 20 ms, the shortest time between two epochs unless configured, at 2 M events/s.
const EPOCH_EVENTS: usize = 40_000;
/// Card, amount and time of the workload: what Q1 reads.
const COLUMNS: [usize; 3] = [0, 1, 2];

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

fn write_parquet(path: &Path, batches: &[(i64, arrow::array::RecordBatch)]) {
    let file = std::fs::File::create(path).expect("a file");
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, batches[0].1.schema(), Some(properties)).expect("a writer");
    for (_, batch) in batches {
        writer.write(batch).expect("a written batch");
    }
    writer.close().expect("a closed file");
}

/// The file's batches by the epoch of their last event's place in the file.
fn from_parquet(
    files: EventFiles,
    events: usize,
    workers: usize,
    epoch_us: i64,
) -> impl Iterator<Item = (i64, Vec<SourceBatch>)> {
    let mut first = 0u64;
    let dated = files.map(move |read| {
        let batch = read.expect("a readable file").events.batch;
        let rows = batch.num_rows();
        let last = first + rows as u64;
        let epoch = ((last - 1) as i128 * i128::from(workload::SPAN_US) / events as i128) as i64 / epoch_us;
        let part = rows.div_ceil(workers).max(1);
        let parts = (0..rows)
            .step_by(part)
            .map(|from| source_batch(batch.slice(from, part.min(rows - from)), first + from as u64));
        let parts: Vec<SourceBatch> = parts.collect();
        first = last;
        (epoch, parts)
    });
    let mut dated = dated.peekable();
    std::iter::from_fn(move || {
        let (epoch, mut parts) = dated.next()?;
        while let Some((_, more)) = dated.next_if(|(next, _)| *next == epoch) {
            parts.extend(more);
        }
        Some((epoch, parts))
    })
}

fn report(name: &str, events: usize, plan: &Plan, outcome: &Outcome) {
    let (reader_ns, get_ns) = reader_ns(plan, outcome);
    println!(
        "{name:<46} {:>6.2} M events/s  {:>6.2} s  {:.2} cores  {:.3} rows/event  {:>4} B state/key  {:>4} B stored/key  {} keys  \
         reading 15 values {reader_ns:.0} ns, with the store's lookup {get_ns:.0} ns",
        events as f64 / outcome.seconds / 1e6,
        outcome.seconds,
        outcome.cpu_seconds / outcome.seconds,
        outcome.rows as f64 / events as f64,
        outcome.state_bytes / outcome.keys.max(1),
        outcome.stored_bytes / outcome.keys.max(1),
        outcome.keys
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let mut number = |default: usize| arguments.next().map_or(default, |a| a.parse().expect("a number"));
    let (events, workers) = (number(10_000_000), number(2));
    println!("q1: {events} events, {workers} workers, 3 windows x 5 aggregates; {}", workload::machine());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let engines = (workload::SPAN_US as i128 * EPOCH_EVENTS as i128 / events as i128) as i64;
    for (epochs, epoch_us) in [("epochs of 40,000", engines), ("epochs of 1 min", EPOCH_US)] {
        let mut batches = workload::batches(events, BATCH_ROWS, epoch_us, 7);
        for (_, batch) in &mut batches {
            *batch = batch.project(&COLUMNS).expect("columns of the workload");
        }
        let limit = || {
            println!("{:<46} {:>6.2} M events/s", "(plain sums in a hash map)", running_sums(&batches, workers) / 1e6);
        };
        limit();
        write_parquet(&directory.path().join("events.parquet"), &batches);
        for (name, mode) in
            [("continuous", "continuous"), ("interval 1m", "{interval: 1m}"), ("interval 5m", "{interval: 5m}")]
        {
            let files = [("q1.yaml".to_string(), definitions(mode))];
            let definitions = freshet_config::parse(&files).unwrap_or_else(|e| panic!("{e}"));
            let source = definitions.sources[0].clone();
            let plan = Arc::new(Plan::compile(definitions, directory.path()).unwrap_or_else(|e| panic!("{e}")));
            let decoded = run_epochs(&plan, workers, epoch_us, grouped(&batches, workers).into_iter());
            report(&format!("{epochs}, {name}, decoded"), events, &plan, &decoded);
            drop(decoded);
            let files = EventFiles::open(&source, directory.path()).expect("the file just written");
            let read = run_epochs(&plan, workers, epoch_us, from_parquet(files, events, workers, epoch_us));
            report(&format!("{epochs}, {name}, parquet"), events, &plan, &read);
        }
        limit();
    }
}
