//! Sources that are changelogs: whatever changes, values are as if only the final rows had ever been there.

mod running;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};
use freshet_engine::dataset::Dataset;
use freshet_engine::plan::Plan;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use running::{Random, Running, SECOND, START, start};

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
struct Change {
    id: i64,
    version: i64,
    row: Option<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    user: i64,
    amount: f64,
    product: &'static str,
    at: i64,
}

/// Inserts, updates and removals of some 80 rows, in the order they happened.
fn changes(seed: u64, count: i64) -> Vec<Change> {
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

fn upsert(change: &Change) -> String {
    match (&change.row, change.version % 2) {
        (Some(_), _) => fields(change),
        (None, 0) => format!(r#"{{{},"__deleted":true,"version":{}}}"#, key(change), change.version),
        (None, _) => format!(r#"{{{},"op":"d","version":{}}}"#, key(change), change.version),
    }
}

fn debezium(change: &Change) -> String {
    let body = match &change.row {
        Some(_) => {
            let op = ["c", "u", "r"][change.version as usize % 3];
            format!(r#"{{"before":null,"after":{},"op":"{op}","ts_ms":7,"source":{{"lsn":1}}}}"#, fields(change))
        }
        None => format!(r#"{{"before":{},"after":null,"op":"d"}}"#, fields(change)),
    };
    if change.version % 5 == 0 { format!(r#"{{"schema":null,"payload":{body}}}"#) } else { body }
}

fn plan(directory: &Path, changelog: &str, history: &str) -> Arc<Plan> {
    std::fs::write(directory.join("products.csv"), "product,weight\na,2\nb,0.5\n").unwrap();
    let text = SOURCE.replace("CHANGELOG", changelog).replace("HISTORY", history);
    running::plan(&text, directory)
}

fn push(running: &Running, records: &[String], chunk: usize) {
    running.push("orders", records, chunk);
    running.settle();
}

/// Whether the values of now are those of the rows.
fn check(running: &Running, rows: &BTreeMap<i64, (usize, Row)>) {
    let now = running.now();
    for user in 0..5 {
        let found = running.values(0, &[Value::Int64(user)], now);
        assert_eq!(found, expected(&running.plan, rows, user, now), "user {user}");
    }
}

/// The table after all changes: per row the place of its last one.
fn table(changes: &[Change]) -> BTreeMap<i64, (usize, Row)> {
    let mut rows = BTreeMap::new();
    for (place, change) in changes.iter().enumerate() {
        match &change.row {
            Some(row) => drop(rows.insert(change.id, (place, row.clone()))),
            None => drop(rows.remove(&change.id)),
        }
    }
    rows
}

fn expected(plan: &Plan, rows: &BTreeMap<i64, (usize, Row)>, user: i64, at: EventTime) -> Vec<Value> {
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

#[test]
fn values_are_those_of_the_final_rows_whatever_batches_workers_and_restarts() {
    let changes = changes(5, 1500);
    for (workers, chunk, format) in [(1, 7, "upsert"), (3, 211, "upsert"), (2, 90, "debezium")] {
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(directory.path(), &format!("key: [region, id], format: {format}"), "");
        let running = start(directory.path(), &plan, workers);
        let write = if format == "upsert" { upsert } else { debezium };
        let records: Vec<String> = changes.iter().map(write).collect();
        // Each state of the table on the way is served, too.
        for (part, end) in records.chunks(500).zip([500, 1000, 1500]) {
            push(&running, part, chunk);
            check(&running, &table(&changes[..end]));
        }
        let figures = running.engine.figures();
        assert_eq!((figures.sources[0].consumed, figures.sources[0].duplicate), (1500, 0));
        running.stop();
        let again = start(directory.path(), &plan, 4 - workers);
        again.settle();
        check(&again, &table(&changes));
        again.stop();
    }
}

/// With a version the order of arrival does not matter; what comes too late is in the ledger.
#[test]
fn versions_tell_old_changes_from_new_ones() {
    let changes = changes(9, 1200);
    let mut shuffled = changes.clone();
    let mut random = Random(77);
    // Far apart, and some twice.
    for i in (1..shuffled.len()).rev() {
        shuffled.swap(i, random.below(i as u64 + 1) as usize);
    }
    shuffled.extend(changes.iter().step_by(50).cloned());
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path(), "key: [region, id], version: version", "");
    let running = start(directory.path(), &plan, 2);
    push(&running, &shuffled.iter().map(upsert).collect::<Vec<_>>(), 83);
    // The tie is broken by where the record that stands came from.
    let mut rows = table(&changes);
    for (id, (place, _)) in &mut rows {
        *place = shuffled.iter().position(|c| c.id == *id && c.version == changes[*place].version).unwrap();
    }
    check(&running, &rows);
    let left_out = running.ledgered("EV-STALE") + running.ledgered("EV-UNKNOWN");
    let figures = &running.engine.figures().sources[0];
    assert!(running.ledgered("EV-STALE") > 300, "{figures:?}");
    assert_eq!(figures.consumed, shuffled.len() as u64);
    assert_eq!(figures.duplicate, left_out);
    assert_eq!(figures.admitted + figures.filtered + left_out, figures.consumed);
    running.stop();
}

#[test]
fn what_cannot_be_done_is_in_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path(), "key: [region, id]", "");
    let running = start(directory.path(), &plan, 1);
    let change = |id, row| Change { id, version: 1, row };
    let row = Row { user: 1, amount: 3.0, product: "a", at: START };
    push(&running, &[upsert(&change(1, None)), upsert(&change(2, Some(row.clone())))], 9);
    push(&running, &[upsert(&change(2, None)), upsert(&change(2, None))], 9);
    assert_eq!(running.ledgered("EV-UNKNOWN"), 2);
    check(&running, &BTreeMap::new());
    // A record without its key, or a row without its time, is no change.
    let refused =
        running.engine.push("orders", &[r#"{"id":1,"__deleted":true}"#, r#"{"id":1,"region":"eu"}"#]).unwrap();
    let codes: Vec<&str> = refused.rejected.iter().map(|rejected| rejected.code.name()).collect();
    assert_eq!(codes, ["EV-KEY", "EV-TIME"]);
    // Connectors that flatten envelopes write the mark as text.
    push(
        &running,
        &[upsert(&change(3, Some(row.clone()))), r#"{"id":3,"region":"eu","__deleted":"true"}"#.to_string()],
        9,
    );
    check(&running, &BTreeMap::new());
    running.stop();
    let again = start(directory.path(), &plan, 1);
    again.settle();
    assert_eq!(again.ledgered("EV-UNKNOWN"), 2, "what was refused is not refused twice");
    again.stop();
}

#[test]
fn debezium_tombstones_say_nothing_and_other_operations_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path(), "key: [region, id], format: debezium", "");
    let running = start(directory.path(), &plan, 1);
    let row = Row { user: 1, amount: 3.0, product: "a", at: START };
    let inserted = Change { id: 1, version: 1, row: Some(row) };
    let removed = Change { id: 1, version: 2, row: None };
    push(&running, &[debezium(&inserted), debezium(&removed), String::new()], 9);
    check(&running, &BTreeMap::new());
    let figures = &running.engine.figures().sources[0];
    assert_eq!((figures.consumed, figures.admitted, figures.duplicate), (3, 3, 0));
    let refused = running.engine.push("orders", &[r#"{"op":"t"}"#, &upsert(&inserted)]).unwrap();
    assert_eq!(
        refused.rejected.iter().map(|rejected| rejected.code.name()).collect::<Vec<_>>(),
        ["EV-DECODE", "EV-DECODE"]
    );
    running.stop();
}

/// History and datasets: the same table, from files of each format.
#[test]
fn histories_hold_changes_too() {
    let changes = changes(21, 900);
    let rows = table(&changes);
    let now = rows.values().map(|(_, row)| row.at).max().unwrap();
    let csv_row = |change: &Change| match &change.row {
        Some(row) => {
            let (user, amount, product, at) = (row.user, row.amount, row.product, row.at);
            format!("{},eu,{user},{amount},{product},{at},{},\n", change.id, change.version)
        }
        None => format!("{},eu,,,,,{},true\n", change.id, change.version),
    };
    let header = "id,region,user,amount,product,ts,version,__deleted\n".to_string();
    let csv = changes.iter().fold(header, |text, change| text + &csv_row(change));
    let ndjson: String = changes.iter().map(|change| upsert(change) + "\n").collect();
    for (format, text) in [("csv", csv), ("ndjson", ndjson)] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(format!("orders.{format}")), text).unwrap();
        let history = format!("history: {{{format}: {{path: orders.{format}}}}}");
        let plan = plan(directory.path(), "key: [region, id]", &history);
        let running = start(directory.path(), &plan, 2);
        running.settle();
        // The clock may stand at a row that was removed again.
        assert!(running.now().micros() >= now);
        check(&running, &rows);
        let at = running.now();
        running.stop();
        let spine: String = (0..5).map(|user| format!("{user},{at}\n")).collect();
        let path = directory.path().join("spine.csv");
        std::fs::write(&path, format!("user,at\n{spine}")).unwrap();
        let dataset = Dataset::build(&plan, "s", &path, None).unwrap();
        assert_eq!((dataset.report.events, dataset.report.refused_events()), (900, 0));
        for user in 0..5 {
            let wanted = expected(&plan, &rows, user, at);
            for (feature, wanted) in plan.services[0].features.iter().zip(&wanted) {
                let array = dataset.batches[0].column_by_name(&feature.name.replace('.', "__")).unwrap();
                let same = freshet_config::arrays::feature_array(&feature.data_type, [wanted]).unwrap();
                assert_eq!(&array.slice(user as usize, 1), &same, "{} of {user}", feature.name);
            }
        }
    }
}
