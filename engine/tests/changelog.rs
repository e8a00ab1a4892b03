//! Sources that are changelogs: whatever changes, values are as if only the final rows had ever been there.

#[path = "changelog/orders.rs"]
mod orders;
mod running;

use std::collections::BTreeMap;

use freshet_config::time::EventTime;
use freshet_config::value::Value;
use orders::{Change, Row, changes, check, check_dataset, debezium, expected, plan, push, table, upsert};
use running::{Random, SECOND, START, start};

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

/// What is forgotten follows from the records alone, not from how they are cut into batches.
#[test]
fn what_is_forgotten_does_not_depend_on_batches() {
    const DEFINITIONS: &str = r#"
sources:
  - name: rows
    stream: {log: {}}
    schema: {id: int64, user: int64, at: timestamp, version: int64}
    event_time: at
    lateness: 0s
    changelog: {key: id, version: version, format: upsert}
entities:
  - {name: user, keys: {user: int64}}
views:
  - {name: v, source: rows, entity: user, aggregates: [{name: n, fn: count, windows: [1m]}]}
services:
  - {name: s, features: [v]}
"#;
    let hour = START + 3600 * SECOND;
    let row = |id: i64, version: i64, at: i64| format!(r#"{{"id":{id},"user":{id},"version":{version},"at":{at}}}"#);
    let removal = r#"{"id":7,"version":1,"__deleted":true}"#.to_string();
    // A removal before all rows refuses the row it removes; what no window reaches any more is forgotten.
    let early = vec![removal, row(8, 1, START), row(9, 1, START), row(7, 1, START)];
    let late = vec![row(7, 2, START), row(8, 1, hour), row(7, 1, hour)];
    for (records, at, expected) in [(early, START, Value::Int64(0)), (late, hour, Value::Int64(1))] {
        for chunk in [1, 2, records.len()] {
            let directory = tempfile::tempdir().unwrap();
            let plan = running::plan(DEFINITIONS, directory.path());
            for restart in [false, true] {
                let running = start(directory.path(), &plan, 1);
                if !restart {
                    records.chunks(chunk).for_each(|part| {
                        running.push("rows", part, part.len());
                        running.settle();
                    });
                }
                running.settle();
                let found = running.values(0, &[Value::Int64(7)], EventTime::from_micros(at));
                let found = found.first().cloned().unwrap_or(Value::Int64(0));
                let found = if found == Value::Null { Value::Int64(0) } else { found };
                assert_eq!(found, expected, "{chunk} at a time, restarted: {restart}");
                running.stop();
            }
        }
    }
}

/// A join key that becomes null is a change like any other: the row leaves what it was part of.
#[test]
fn a_row_that_loses_its_join_key_leaves_its_aggregates() {
    let row = |id, user: &str| format!(r#"{{"id":{id},"region":"eu","user":{user},"amount":3.0,"ts":{START}}}"#);
    let records = [row(1, "1"), row(2, "1"), row(3, "null"), row(1, "null"), row(3, "1")];
    let counts = |running: &running::Running| running.values(0, &[Value::Int64(1)], EventTime::from_micros(START));
    let one = Row { user: 1, amount: 3.0, product: "", at: START };
    let rows = BTreeMap::from([(2, (1, one.clone())), (3, (4, one))]);
    for format in ["upsert", "debezium"] {
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(directory.path(), &format!("key: [region, id], format: {format}"), "");
        let running = start(directory.path(), &plan, 2);
        for record in &records {
            let enveloped = format!(r#"{{"before":null,"after":{record},"op":"u"}}"#);
            push(&running, &[if format == "upsert" { record.clone() } else { enveloped }], 9);
        }
        let wanted = expected(&plan, &rows, 1, EventTime::from_micros(START));
        assert_eq!(counts(&running)[0], wanted[0], "{format}");
        running.stop();
        let again = start(directory.path(), &plan, 1);
        again.settle();
        assert_eq!(counts(&again)[0], wanted[0], "{format}, restarted");
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
        check_dataset(&plan, &rows, at, 900, 0);
    }
}
