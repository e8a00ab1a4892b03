//! Derived features per request: 1, 3 and 10 of them over two features of a view and two request fields.
//!
//! `cargo bench --bench derived -- [REQUESTS]` (200,000 when not given). Printed: nanoseconds per request, inputs gathered
//! from single values included, for requests of one row and for batches of 100 (there per row).

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_engine::plan::Plan;
use freshet_operators::derived::{DerivedInputs, evaluate};
use freshet_operators::lookup::ServicePlan;
use freshet_operators::row::{FeatureValue, Status};

// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FEATURES: [&str; 10] = [
    "{type: float64, sql: \"request.amount / nullif(card_txn.amount_mean_24h, 0)\", name: f0}",
    "{type: bool, sql: \"request.amount > 3 * card_txn.amount_mean_24h and card_txn.n_24h > 10\", name: f1}",
    "{type: float64, sql: \"abs(request.amount - card_txn.amount_mean_24h)\", name: f2}",
    "{type: int64, sql: \"cast(date_part('hour', request_timestamp) as bigint)\", name: f3}",
    "{type: string, sql: \"upper(request.country)\", name: f4}",
    "{type: float64, sql: \"case when derived.f1 then derived.f0 else 0 end\", name: f5}",
    "{type: float64, sql: \"ln(request.amount + 1)\", name: f6}",
    "{type: bool, sql: \"request.country in ('DE', 'FR', 'IT')\", name: f7}",
    "{type: float64, sql: \"coalesce(derived.f0, 0) * 0.5 + derived.f6\", name: f8}",
    "{type: int64, sql: \"card_txn.n_24h + 1\", name: f9}",
];

fn service(derived: usize) -> ServicePlan {
    let features: String = FEATURES[..derived].iter().map(|feature| format!("      - {feature}\n")).collect();
    let text = format!(
        "sources:
  - {{name: txn, stream: {{log: {{}}}}, schema: {{id: int64, amount: float64, ts: timestamp}}, event_time: ts}}
entities:
  - {{name: card, keys: {{id: int64}}}}
views:
  - name: card_txn
    source: txn
    entity: card
    aggregates:
      - {{name: amount_mean, fn: mean, of: amount, windows: [24h]}}
      - {{name: n, fn: count, windows: [24h]}}
services:
  - name: fraud
    features: [card_txn]
    request: {{amount: float64, country: string}}
    derived:
{features}"
    );
    let definitions = freshet_config::parse(&[("bench.yaml".to_string(), text)]).expect("the definitions are sound");
    let plan = Plan::compile(definitions, Path::new("")).expect("the expressions are sound");
    ServicePlan::clone(&plan.services[0])
}

/// Nanoseconds per row for requests of `rows` rows.
fn measure(service: &ServicePlan, rows: usize, requests: usize) -> f64 {
    let present = |value| FeatureValue { value, status: Status::Present };
    let (mean, count) = (present(Value::Float64(41.5)), present(Value::Int64(12)));
    let instants = vec![EventTime::from_micros(1_767_225_600_000_000); rows];
    let mut one = |i: usize| {
        let request: Vec<Value> =
            (0..rows).flat_map(|row| [Value::Float64((i + row) as f64), Value::String("de".into())]).collect();
        let inputs = DerivedInputs::gather(service, &instants, &request, |_, place| {
            Some(if place.feature == 0 { &mean } else { &count })
        });
        for column in evaluate(&service.derived, &inputs) {
            for row in 0..rows {
                black_box(column.value(row));
            }
        }
    };
    (0..requests / 10).for_each(&mut one);
    let begun = Instant::now();
    (0..requests).for_each(&mut one);
    begun.elapsed().as_nanos() as f64 / (requests * rows) as f64
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores", model.map_or("an unknown processor", |(_, name)| name))
}

fn main() {
    // Cargo passes `--bench` to every benchmark.
    let requests = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(200_000);
    println!("{}; {requests} requests", machine());
    println!("derived   one row: ns   ns per feature   100 rows: ns per row");
    for derived in [1, 3, 10] {
        let service = service(derived);
        let single = measure(&service, 1, requests);
        let batch = measure(&service, 100, requests / 100);
        println!("{derived:>7}   {single:>11.0}   {:>14.0}   {batch:>20.0}", single / derived as f64);
    }
}
