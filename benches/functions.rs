//! What each function costs: alone, and beside the five aggregates of Q1, over the same three windows; through the real
//! graph, rows into the memory store.
//!
//! `cargo bench --bench functions -- [EVENTS] [WORKERS] [NAME]` (2 million events and two workers when not given; NAME
//! picks the functions whose name holds it).

#[allow(dead_code, reason = "each benchmark takes its part of the workload")]
mod workload;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use freshet_config::time::{EventTime, Span};
use freshet_config::value::{Value, encode_key};
use freshet_connectors::store::OnlineStore;
use freshet_engine::plan::Plan;
use freshet_operators::row::Reader;

use workload::graph::{EPOCH_US, Outcome, grouped, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH_ROWS: usize = 8192;
const WINDOWS: &str = "[10m, 1h, 24h]";
/// Keys that the reader is timed on, spread over the key space: hot and silent ones.
const KEYS_READ: usize = 100_000;

/// The five aggregates of Q1.
const Q1: [&str; 5] =
    ["fn: count", "fn: sum, of: amount", "fn: mean, of: amount", "fn: max, of: amount", "fn: stddev_pop, of: amount"];

/// Name, and the aggregate as definitions have it.
const FUNCTIONS: [(&str, &str); 22] = [
    ("count", "fn: count"),
    ("sum", "fn: sum, of: amount"),
    ("mean", "fn: mean, of: amount"),
    ("min", "fn: min, of: amount"),
    ("max", "fn: max, of: amount"),
    ("stddev_samp", "fn: stddev_samp, of: amount"),
    ("last", "fn: last, of: amount"),
    ("first(10)", "fn: first, n: 10, of: amount"),
    ("last(10)", "fn: last, n: 10, of: amount"),
    ("first_distinct(10)", "fn: first_distinct, n: 10, of: merchant_id"),
    ("last_distinct(10)", "fn: last_distinct, n: 10, of: merchant_id"),
    ("approx_count_distinct(8)", "fn: approx_count_distinct, precision: 8, of: merchant_id"),
    ("approx_percentile(100)", "fn: approx_percentile, percentile: 0.95, precision: 100, of: amount"),
    ("count_distinct", "fn: count_distinct, of: merchant_id"),
    ("top_k(10)", "fn: top_k, k: 10, of: merchant_id"),
    ("histogram", "fn: histogram, of: country"),
    ("decayed_sum", "fn: decayed_sum, half_life: 1h, of: amount"),
    ("min_by", "fn: min_by, order: amount, of: merchant_id"),
    ("max_by", "fn: max_by, order: amount, of: merchant_id"),
    ("count by country", "fn: count, by: country"),
    ("sum by country", "fn: sum, of: amount, by: country"),
    ("mean by country", "fn: mean, of: amount, by: country"),
];

fn definitions(mode: &str, aggregates: &[&str]) -> String {
    let lines: Vec<String> = aggregates
        .iter()
        .enumerate()
        .map(|(i, aggregate)| format!("      - {{name: a{i}, {aggregate}, windows: {WINDOWS}}}\n"))
        .collect();
    format!(
        "sources:\n  - name: transactions\n    history: {{parquet: {{path: events.parquet}}}}\n    \
         schema: {{card_id: int64, amount: float64, ts: timestamp, merchant_id: int64, country: string}}\n    \
         event_time: ts\n\
         entities:\n  - {{name: card, keys: {{card_id: int64}}}}\n\
         views:\n  - name: card\n    source: transactions\n    entity: card\n    mode: {mode}\n    aggregates:\n{}\
         services:\n  - {{name: s, features: [\"card.*\"]}}\n",
        lines.concat()
    )
}

fn compiled(mode: &str, aggregates: &[&str]) -> Result<Arc<Plan>, String> {
    let files = [("functions.yaml".to_string(), definitions(mode, aggregates))];
    let definitions = freshet_config::parse(&files).map_err(|errors| errors.to_string())?;
    Plan::compile(definitions, Path::new(".")).map(Arc::new).map_err(|errors| errors.to_string())
}

/// Nanoseconds to read all features of a key, over hot and silent keys alike, rows in the cache or not.
fn reader_ns(plan: &Plan, outcome: &Outcome) -> f64 {
    let OnlineStore::Memory(store) = &*outcome.store else { return f64::NAN };
    let at = EventTime::from_micros(workload::START_US + workload::SPAN_US) + Span::from_secs(1);
    let mut readers: Vec<Reader> = plan.views.iter().map(|view| Reader::new(view)).collect();
    let (mut key, mut values, mut found) = (Vec::new(), Vec::new(), 0u64);
    let begin = Instant::now();
    for card in 0..KEYS_READ {
        key.clear();
        encode_key(&[Value::Int64(card as i64)], &mut key).expect("an integer is a key");
        for (view, (plan, reader)) in plan.views.iter().zip(&mut readers).enumerate() {
            values.clear();
            found += u64::from(
                store.get(view, &key, |row| reader.read(plan, Some(row), at, black_box(&mut values))).is_some(),
            );
        }
    }
    begin.elapsed().as_nanos() as f64 / found.max(1) as f64 * plan.views.len() as f64
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |i: usize, default: usize| arguments.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (events, workers) = (number(0, 2_000_000), number(1, 2));
    let wanted = arguments.get(2).map_or("", String::as_str);
    println!(
        "functions: {events} events, {workers} workers, 1-minute epochs, windows {WINDOWS}; {}",
        workload::machine()
    );
    println!(
        "{:<26} {:<12} {:<6} {:>12} {:>12} {:>12} {:>10}",
        "function", "mode", "beside", "M events/s", "state B/key", "stored B/key", "reader ns"
    );
    let batches = workload::batches(events, BATCH_ROWS, EPOCH_US, 7);
    for (mode_name, mode) in [("continuous", "continuous"), ("interval 1m", "{interval: 1m}")] {
        for (name, aggregate) in FUNCTIONS.into_iter().filter(|(name, _)| name.contains(wanted)) {
            for beside in [false, true] {
                let mut aggregates = vec![aggregate];
                aggregates.extend(Q1.iter().filter(|_| beside));
                let plan = compiled(mode, &aggregates).unwrap_or_else(|errors| panic!("{name}: {errors}"));
                let outcome = run(&plan, workers, grouped(&batches, workers).into_iter());
                println!(
                    "{name:<26} {mode_name:<12} {:<6} {:>12.2} {:>12} {:>12} {:>10.0}",
                    if beside { "Q1" } else { "-" },
                    events as f64 / outcome.seconds / 1e6,
                    outcome.state_bytes / outcome.keys.max(1),
                    outcome.stored_bytes / outcome.keys.max(1),
                    reader_ns(&plan, &outcome),
                );
            }
        }
    }
}
