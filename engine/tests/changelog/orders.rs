//! A table of orders that changes: what happens to it, how records say so, and what features are worth when it has.

#![allow(dead_code)] // No test binary uses all of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use freshet_config::arrays::feature_array;
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};
use freshet_engine::dataset::Dataset;
use freshet_engine::plan::Plan;
use freshet_operators::reference::{ReferenceEvent, evaluate};

use crate::running::{self, Random, Running, SECOND, START};

const SOURCE: &str = r#"
sources:
  - name: orders
    stream: {log: {}}
    schema: {id: int64, region: string, user: int64, amount: float64, product: string, ts: timestamp, version: int64}
    event_time: ts
    lateness: 1h
    changelog: {CHANGELOG}
    HISTORY
    enrich:
      - {dimension: products, on: {product: product}, columns: [weight]}
    select:
      - {name: weighted, type: float64, sql: "amount * coalesce(weight, 1.0)"}
dimensions:
  - name: products
    key: product
    schema: {product: string, weight: float64}
    table: {csv: {path: products.csv}}
entities:
  - {name: user, keys: {user: int64}}
views:
  - name: spend
    source: orders
    entity: user
    where: "amount >= 0"
    aggregates:
      - {name: weighted, fn: sum, of: weighted, windows: [10m, 1h]}
      - {name: amount, fn: max, of: amount, windows: [1h]}
      - {name: product, fn: last, of: product, windows: [1h]}
      - {name: n, fn: count, windows: [10m, 1h]}
services:
  - {name: s, features: ["spend.*"]}
"#;

/// What a row is after a change; `None`: it is gone.
#[derive(Clone, Debug)]
pub struct Change {
    pub id: i64,
    pub version: i64,
    pub row: Option<Row>,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub user: i64,
    pub amount: f64,
    pub product: &'static str,
    pub at: i64,
}

/// Inserts, updates and removals of some 80 rows, in the order they happened.
pub fn changes(seed: u64, count: i64) -> Vec<Change> {
    let mut random = Random(seed);
    let mut there = std::collections::BTreeSet::new();
    (0..count)
        .map(|version| {
            let id = random.below(80) as i64;
            let removed = there.contains(&id) && random.below(4) == 0;
            if removed {
                there.remove(&id);
            } else {
                there.insert(id);
            }
            let row = (!removed).then(|| Row {
                user: random.below(4) as i64,
                amount: random.below(10_000) as f64 / 100.0 - 5.0,
                product: ["a", "b", "c"][random.below(3) as usize],
                // Many of one instant, so that the order of changes shows.
                at: START + (version / 5 * 5) * 4 * SECOND - random.below(3) as i64 * 60 * SECOND,
            });
            Change { id, version, row }
        })
        .collect()
}

fn key(change: &Change) -> String {
    format!(r#""id":{},"region":"eu""#, change.id)
}

fn fields(change: &Change) -> String {
    let Some(row) = &change.row else { return format!(r#"{{{},"version":{}}}"#, key(change), change.version) };
    let (user, amount, product, at) = (row.user, row.amount, row.product, row.at);
    let version = change.version;
    format!(
        r#"{{{},"user":{user},"amount":{amount:?},"product":"{product}","ts":{at},"version":{version}}}"#,
        key(change)
    )
}

pub fn upsert(change: &Change) -> String {
    match (&change.row, change.version % 2) {
        (Some(_), _) => fields(change),
        (None, 0) => format!(r#"{{{},"__deleted":true,"version":{}}}"#, key(change), change.version),
        (None, _) => format!(r#"{{{},"op":"d","version":{}}}"#, key(change), change.version),
    }
}

pub fn debezium(change: &Change) -> String {
    let body = match &change.row {
        Some(_) => {
            let op = ["c", "u", "r"][change.version as usize % 3];
            format!(r#"{{"before":null,"after":{},"op":"{op}","ts_ms":7,"source":{{"lsn":1}}}}"#, fields(change))
        }
        None => format!(r#"{{"before":{},"after":null,"op":"d"}}"#, fields(change)),
    };
    if change.version % 5 == 0 { format!(r#"{{"schema":null,"payload":{body}}}"#) } else { body }
}

pub fn plan(directory: &Path, changelog: &str, history: &str) -> Arc<Plan> {
    std::fs::write(directory.join("products.csv"), "product,weight\na,2\nb,0.5\n").unwrap();
    let text = SOURCE.replace("CHANGELOG", changelog).replace("HISTORY", history);
    running::plan(&text, directory)
}

pub fn push(running: &Running, records: &[String], chunk: usize) {
    running.push("orders", records, chunk);
    running.settle();
}

/// Whether the values of now are those of the rows.
pub fn check(running: &Running, rows: &BTreeMap<i64, (usize, Row)>) {
    let now = running.now();
    for user in 0..5 {
        let found = running.values(0, &[Value::Int64(user)], now);
        assert_eq!(found, expected(&running.plan, rows, user, now), "user {user}");
    }
}

/// The table after all changes: per row the place of its last one.
pub fn table(changes: &[Change]) -> BTreeMap<i64, (usize, Row)> {
    let mut rows = BTreeMap::new();
    for (place, change) in changes.iter().enumerate() {
        match &change.row {
            Some(row) => drop(rows.insert(change.id, (place, row.clone()))),
            None => drop(rows.remove(&change.id)),
        }
    }
    rows
}

pub fn expected(plan: &Plan, rows: &BTreeMap<i64, (usize, Row)>, user: i64, at: EventTime) -> Vec<Value> {
    let weight = |product: &str| match product {
        "a" => 2.0,
        "b" => 0.5,
        _ => 1.0,
    };
    let of_user = rows.values().filter(|(_, row)| row.user == user && row.amount >= 0.0);
    let events: Vec<ReferenceEvent> = of_user
        .map(|(place, row)| ReferenceEvent {
            time: EventTime::from_micros(row.at),
            position: *place as u64,
            values: plan.views[0]
                .columns
                .iter()
                .enumerate()
                .map(|(c, column)| match (column.data_type, c) {
                    (DataType::String, _) => Value::String(row.product.to_string()),
                    (_, 0) => Value::Float64(row.amount * weight(row.product)),
                    _ => Value::Float64(row.amount),
                })
                .collect(),
        })
        .collect();
    evaluate(&plan.views[0], &events, at).into_iter().map(|(value, _)| value).collect()
}

/// Whether a dataset of the plan gives the values of the rows at an instant; `events` are what its history holds, all of
/// them changes, and none of them refused but for `refused`.
pub fn check_dataset(plan: &Plan, rows: &BTreeMap<i64, (usize, Row)>, at: EventTime, events: u64, refused: u64) {
    let spine: String = (0..5).map(|user| format!("{user},{at}\n")).collect();
    let path = plan.directory.join("spine.csv");
    std::fs::write(&path, format!("user,at\n{spine}")).unwrap();
    let dataset = Dataset::build(plan, "s", &path, None).unwrap();
    assert_eq!((dataset.report.events, dataset.report.refused_events()), (events, refused));
    for user in 0..5 {
        let wanted = expected(plan, rows, user, at);
        for (feature, wanted) in plan.services[0].features.iter().zip(&wanted) {
            let array = dataset.batches[0].column_by_name(&feature.name.replace('.', "__")).unwrap();
            let same = feature_array(&feature.data_type, [wanted]).unwrap();
            assert_eq!(&array.slice(user as usize, 1), &same, "{} of {user}", feature.name);
        }
    }
}
