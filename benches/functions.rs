//! What each function costs: alone, and beside the five aggregates of Q1, over the same three windows; through the real
//! graph, rows into the memory store; with epochs that the engine closes at the rate of the floor, and with epochs of a
//! minute of the stream's time. Then what a sketch in one view costs another view.
//!
//! `cargo bench --bench functions -- [EVENTS] [WORKERS] [NAME]` (2 million events and two workers when not given; NAME
//! picks the functions whose name holds it).

#[allow(dead_code, reason = "each benchmark takes its part of the workload")]
mod workload;

use std::path::Path;
use std::sync::Arc;

use freshet_engine::plan::Plan;

use workload::beside::first_view_ns;
use workload::graph::{EPOCH_US, Outcome, grouped, run_epochs};
use workload::reader::reader_ns;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH_ROWS: usize = 8192;
/// What arrives in 20 ms, the shortest time between two epochs unless configured, at 0.8 M events/s.
const EPOCH_EVENTS: usize = 16_000;
const WINDOWS: &str = "[10m, 1h, 24h]";

/// The five aggregates of Q1.
const Q1: [&str; 5] =
    ["fn: count", "fn: sum, of: amount", "fn: mean, of: amount", "fn: max, of: amount", "fn: stddev_pop, of: amount"];

/// Name, and the aggregate as definitions have it.
const FUNCTIONS: [(&str, &str); 23] = [
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
    ("entropy", "fn: entropy, of: country"),
    ("decayed_sum", "fn: decayed_sum, half_life: 1h, of: amount"),
    ("min_by", "fn: min_by, order: amount, of: merchant_id"),
    ("max_by", "fn: max_by, order: amount, of: merchant_id"),
    ("count by country", "fn: count, by: country"),
    ("sum by country", "fn: sum, of: amount, by: country"),
    ("mean by country", "fn: mean, of: amount, by: country"),
];

/// A view per list of aggregates.
fn definitions(mode: &str, views: &[&[&str]]) -> String {
    let view = |(v, aggregates): (usize, &&[&str])| {
        let lines = aggregates.iter().enumerate();
        let lines = lines.map(|(i, aggregate)| format!("      - {{name: a{i}, {aggregate}, windows: {WINDOWS}}}\n"));
        let head =
            format!("  - name: v{v}\n    source: transactions\n    entity: card\n    mode: {mode}\n    aggregates:\n");
        head + &lines.collect::<String>()
    };
    let lists: Vec<String> = (0..views.len()).map(|v| format!("\"v{v}.*\"")).collect();
    format!(
        "sources:\n  - name: transactions\n    history: {{parquet: {{path: events.parquet}}}}\n    \
         schema: {{card_id: int64, amount: float64, ts: timestamp, merchant_id: int64, country: string}}\n    \
         event_time: ts\n\
         entities:\n  - {{name: card, keys: {{card_id: int64}}}}\n\
         views:\n{}services:\n  - {{name: s, features: [{}]}}\n",
        views.iter().enumerate().map(view).collect::<String>(),
        lists.join(", ")
    )
}

fn compiled(mode: &str, views: &[&[&str]]) -> Result<Arc<Plan>, String> {
    let files = [("functions.yaml".to_string(), definitions(mode, views))];
    let definitions = freshet_config::parse(&files).map_err(|errors| errors.to_string())?;
    Plan::compile(definitions, Path::new(".")).map(Arc::new).map_err(|errors| errors.to_string())
}

/// What a view's own work costs beside one that counts, and beside the same with a sketch.
fn isolation(batches: &[(i64, arrow::array::RecordBatch)]) {
    let plain = ["fn: count"];
    let sketches = ["fn: approx_count_distinct, precision: 8, of: merchant_id", "fn: top_k, k: 10, of: merchant_id"];
    for (name, first) in [("Q1", &Q1[..]), ("a sum", &["fn: sum, of: amount"])] {
        for sketch in sketches {
            let with_sketch = ["fn: count", sketch];
            let plan =
                |second: &[&str]| compiled("continuous", &[first, second]).unwrap_or_else(|errors| panic!("{errors}"));
            let (beside_plain, beside_sketch) = (plan(&plain), plan(&with_sketch));
            let ns = first_view_ns(&[&beside_plain, &beside_sketch], batches);
            println!(
                "{name} beside a view that counts: {:.0} ns per event; beside the same with {sketch}: {:.0} ns ({:+.1} %)",
                ns[0],
                ns[1],
                100.0 * (ns[1] / ns[0] - 1.0)
            );
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |i: usize, default: usize| arguments.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (events, workers) = (number(0, 2_000_000), number(1, 2));
    let wanted = arguments.get(2).map_or("", String::as_str);
    println!("functions: {events} events, {workers} workers, windows {WINDOWS}; {}", workload::machine());
    println!(
        "{:<26} {:<12} {:<6} {:>18} {:>18} {:>12} {:>12} {:>10} {:>14}",
        "function",
        "mode",
        "beside",
        "M/s, 16,000/epoch",
        "M/s, 1-min epochs",
        "state B/key",
        "stored B/key",
        "reader ns",
        "get + read ns"
    );
    let engines = (workload::SPAN_US as i128 * EPOCH_EVENTS as i128 / events as i128) as i64;
    let epochs = [engines, EPOCH_US].map(|us| (us, workload::batches(events, BATCH_ROWS, us, 7)));
    for (mode_name, mode) in [("continuous", "continuous"), ("interval 1m", "{interval: 1m}")] {
        for (name, aggregate) in FUNCTIONS.into_iter().filter(|(name, _)| name.contains(wanted)) {
            for beside in [false, true] {
                let mut aggregates = vec![aggregate];
                aggregates.extend(Q1.iter().filter(|_| beside));
                let plan = compiled(mode, &[&aggregates]).unwrap_or_else(|errors| panic!("{name}: {errors}"));
                let run = |(us, batches): &(i64, Vec<_>)| {
                    run_epochs(&plan, workers, *us, grouped(batches, workers).into_iter())
                };
                let rate = |outcome: &Outcome| events as f64 / outcome.seconds / 1e6;
                let engines = rate(&run(&epochs[0]));
                let outcome = run(&epochs[1]);
                let (reader_ns, get_ns) = reader_ns(&plan, &outcome);
                println!(
                    "{name:<26} {mode_name:<12} {:<6} {engines:>18.2} {:>18.2} {:>12} {:>12} {reader_ns:>10.0} {get_ns:>14.0}",
                    if beside { "Q1" } else { "-" },
                    rate(&outcome),
                    outcome.state_bytes / outcome.keys.max(1),
                    outcome.stored_bytes / outcome.keys.max(1),
                );
            }
        }
    }
    if wanted.is_empty() || wanted == "isolation" {
        isolation(&epochs[1].1);
    }
}
