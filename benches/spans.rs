//! What an event costs over windows of an hour to thirty days: the same events, 60 days of them, for each function and
//! window; through the real graph, rows into the memory store. Flat is the aim: what a row costs depends on what changes.
//!
//! `cargo bench --bench spans -- [EVENTS] [WORKERS] [NAME] [WINDOW]` (1 million events and two workers when not given; NAME
//! picks the functions whose name holds it).

#[allow(dead_code, reason = "each benchmark takes its part of the workload")]
mod workload;

use std::path::Path;
use std::sync::Arc;

use freshet_engine::plan::Plan;

use workload::graph::{grouped, run_epochs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH_ROWS: usize = 8192;
const EPOCH_US: i64 = 600_000_000;
const SPAN_US: i64 = 60 * 86_400_000_000;
const CARDS: usize = 20_000;
const WINDOWS: [&str; 4] = ["1h", "1d", "7d", "30d"];

/// Name, and the aggregate as definitions have it.
const FUNCTIONS: [(&str, &str); 8] = [
    ("sum", "fn: sum, of: amount"),
    ("last_distinct(10)", "fn: last_distinct, n: 10, of: merchant_id"),
    ("approx_count_distinct(8)", "fn: approx_count_distinct, precision: 8, of: merchant_id"),
    ("approx_percentile(100)", "fn: approx_percentile, percentile: 0.95, precision: 100, of: amount"),
    ("count_distinct", "fn: count_distinct, limit: 10000, of: merchant_id"),
    ("top_k(10)", "fn: top_k, k: 10, limit: 10000, of: merchant_id"),
    ("count by country", "fn: count, by: country"),
    ("mean by country", "fn: mean, of: amount, by: country"),
];

fn compiled(aggregate: &str, window: &str) -> Arc<Plan> {
    let text = format!(
        "sources:\n  - name: transactions\n    history: {{parquet: {{path: events.parquet}}}}\n    \
         schema: {{card_id: int64, amount: float64, ts: timestamp, merchant_id: int64, country: string}}\n    \
         event_time: ts\n\
         entities:\n  - {{name: card, keys: {{card_id: int64}}}}\n\
         views:\n  - name: card\n    source: transactions\n    entity: card\n    aggregates:\n      \
         - {{name: a, {aggregate}, windows: [{window}]}}\n\
         services:\n  - {{name: s, features: [\"card.*\"]}}\n"
    );
    let definitions = freshet_config::parse(&[("spans.yaml".into(), text)]).unwrap_or_else(|errors| panic!("{errors}"));
    Arc::new(Plan::compile(definitions, Path::new(".")).unwrap_or_else(|errors| panic!("{errors}")))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |i: usize, default: usize| arguments.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (events, workers) = (number(0, 1_000_000), number(1, 2));
    let wanted = arguments.get(2).map_or("", String::as_str);
    let only = arguments.get(3);
    println!(
        "spans: {events} events of {CARDS} cards over 60 days, {workers} workers, 10-minute epochs, continuous; {}",
        workload::machine()
    );
    println!("{:<26} {:>6} {:>14} {:>12} {:>12}", "function", "window", "us per event", "state B/key", "stored B/key");
    let batches = workload::batches_over(SPAN_US, CARDS, events, BATCH_ROWS, EPOCH_US, 7);
    for (name, aggregate) in FUNCTIONS.into_iter().filter(|(name, _)| name.contains(wanted)) {
        for window in WINDOWS.into_iter().filter(|window| only.is_none_or(|only| only == window)) {
            let plan = compiled(aggregate, window);
            let outcome = run_epochs(&plan, workers, EPOCH_US, grouped(&batches, workers).into_iter());
            let cost_us = outcome.seconds * workers as f64 * 1e6 / events as f64;
            println!(
                "{name:<26} {window:>6} {cost_us:>14.2} {:>12} {:>12}  {}",
                outcome.state_bytes / outcome.keys.max(1),
                outcome.stored_bytes / outcome.keys.max(1),
                "#".repeat((4.0 * cost_us).round() as usize),
            );
        }
    }
}
