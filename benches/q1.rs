//! Q1 through the real graph: 3 windows x 5 aggregates of one column, from decoded Arrow batches and from Parquet, with
//! rows written to the memory store. Before and after it, what the machine gives to plain sums in a hash map.
//!
//! `cargo bench --bench q1 -- [EVENTS] [WORKERS]` (10 million events and two workers when not given).

#[allow(dead_code, reason = "each benchmark takes its part of the workload")]
mod workload;

use std::path::Path;
use std::sync::Arc;

use freshet_connectors::files::EventFiles;
use freshet_engine::plan::Plan;
use freshet_operators::project::SourceBatch;

use workload::graph::{EPOCH_US, Outcome, grouped, run, source_batch};
use workload::limit::running_sums;
use workload::reader::reader_ns;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH_ROWS: usize = 8192;
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

fn report(name: &str, events: usize, plan: &Plan, outcome: &Outcome) {
    let (reader_ns, get_ns) = reader_ns(plan, outcome);
    println!(
        "{name:<28} {:>6.2} M events/s  {:>6.2} s  {:.2} cores  {:.3} rows/event  {:>4} B state/key  {:>4} B stored/key  {} keys  \
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
    println!(
        "q1: {events} events, {workers} workers, 1-minute epochs, 3 windows x 5 aggregates; {}",
        workload::machine()
    );
    let mut batches = workload::batches(events, BATCH_ROWS, EPOCH_US, 7);
    for (_, batch) in &mut batches {
        *batch = batch.project(&COLUMNS).expect("columns of the workload");
    }
    let limit =
        || println!("{:<28} {:>6.2} M events/s", "(plain sums in a hash map)", running_sums(&batches, workers) / 1e6);
    limit();
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
        report(&format!("{name}, decoded"), events, &plan, &run(&plan, workers, epochs.into_iter()));
        let files = EventFiles::open(&source, directory.path()).expect("the file just written");
        report(&format!("{name}, parquet"), events, &plan, &run(&plan, workers, from_parquet(files, events, workers)));
    }
    limit();
}
