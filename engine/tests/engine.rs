//! The whole engine on the embedded log and the memory store, against the naive evaluation.

mod running;

use freshet_config::time::EventTime;
use freshet_config::value::{Value, encode_key};
use freshet_connectors::store::OnlineStore;
use freshet_engine::plan::Plan;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::row::Reader;
use running::{Random, Running, plan, start};

const DEFINITIONS: &str = r#"
sources:
  - name: transactions
    stream: {log: {}}
    schema: {card_id: int64, merchant: string, amount: float64, ts: timestamp}
    event_time: ts
    enrich:
      - {dimension: merchants, on: {merchant: merchant}, columns: [risk]}
    select:
      - {name: weighted, type: float64, sql: "amount * coalesce(risk, 1.0)"}
dimensions:
  - name: merchants
    key: merchant
    schema: {merchant: string, risk: float64}
    changes: {log: {}}
entities:
  - {name: card, keys: {card_id: int64}}
views:
  - name: card_txn
    source: transactions
    entity: card
    mode: continuous
    aggregates:
      - {name: n, fn: count, windows: [10m, 1h]}
      - {name: weighted_sum, fn: sum, of: weighted, windows: [1h]}
      - {name: amount_max, fn: max, of: amount, windows: [10m, 1h]}
      - {name: last_merchant, fn: last, of: merchant, windows: [1h]}
services:
  - {name: s, features: ["card_txn.*"]}
"#;

struct Txn {
    card: i64,
    merchant: &'static str,
    amount: f64,
    at: EventTime,
}

fn transactions() -> Vec<Txn> {
    let start = EventTime::parse("2026-01-01T00:00:00Z").unwrap();
    let mut random = Random(1);
    let mut next = move |n| random.below(n);
    (0..3000)
        .map(|i| Txn {
            card: (next(3) * next(7)) as i64,
            merchant: ["a", "b", "c"][next(3) as usize],
            amount: next(10_000) as f64 / 100.0,
            // Every tenth is late.
            at: EventTime::from_micros(start.micros() + i * 2_000_000 - if i % 10 == 3 { 600_000_000 } else { 0 }),
        })
        .collect()
}

fn expected(plan: &Plan, txns: &[Txn], card: i64, risk: impl Fn(&str) -> f64, at: EventTime) -> Vec<Value> {
    let view = &plan.views[0];
    let events: Vec<ReferenceEvent> = txns
        .iter()
        .enumerate()
        .filter(|(_, t)| t.card == card)
        .map(|(i, t)| ReferenceEvent {
            time: t.at,
            position: i as u64,
            values: vec![
                Value::Float64(t.amount * risk(t.merchant)),
                Value::Float64(t.amount),
                Value::String(t.merchant.to_string()),
            ],
        })
        .collect();
    evaluate(view, &events, at).into_iter().map(|(value, _)| value).collect()
}

fn line(t: &Txn) -> String {
    format!(r#"{{"card_id":{},"merchant":"{}","amount":{},"ts":"{}"}}"#, t.card, t.merchant, t.amount, t.at)
}

#[test]
fn served_values_are_the_naive_ones_whatever_the_workers_and_a_restart_changes_nothing() {
    let txns = transactions();
    for workers in [1, 2] {
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(DEFINITIONS, directory.path());
        let running = start(directory.path(), &plan, workers);
        running.engine.push("merchants", &[r#"{"merchant":"a","risk":2.0}"#]).unwrap();
        running.push("transactions", &txns.iter().map(line).collect::<Vec<_>>(), 97);
        assert!(running.engine.settle());
        assert!(running.engine.ready());
        let now = running.engine.clock().now();
        let first = |m: &str| if m == "a" { 2.0 } else { 1.0 };
        for card in 0..12 {
            assert_eq!(
                running.values(0, &[Value::Int64(card)], now),
                expected(&running.plan, &txns, card, first, now),
                "card {card}"
            );
        }
        // The dimension changes while events are in their windows: as if it had always been so.
        running
            .engine
            .push("merchants", &[r#"{"merchant":"b","risk":3.5}"#, r#"{"merchant":"a","__deleted":true}"#])
            .unwrap();
        assert!(running.engine.settle());
        let after = |m: &str| if m == "b" { 3.5 } else { 1.0 };
        for card in 0..12 {
            assert_eq!(
                running.values(0, &[Value::Int64(card)], now),
                expected(&running.plan, &txns, card, after, now),
                "card {card}"
            );
        }
        let figures = running.engine.figures();
        assert_eq!(figures.failed, None);
        assert_eq!((figures.sources[0].consumed, figures.sources[0].admitted), (3000, 3000));
        running.engine.stop().unwrap();

        assert!(figures.freshness_us.is_some(), "what was pushed was timed");

        let again = start(directory.path(), &plan, 3 - workers);
        assert!(again.engine.settle());
        assert_eq!(again.engine.figures().freshness_us, None, "what is only read again says nothing of freshness");
        assert!(again.engine.ready());
        for card in 0..12 {
            assert_eq!(
                again.values(0, &[Value::Int64(card)], now),
                expected(&again.plan, &txns, card, after, now),
                "card {card}"
            );
        }
        again.engine.stop().unwrap();
    }
}

const FILTERED: &str = r#"
sources:
  - name: orders
    stream: {log: {}}
    schema: {id: string, shop: string, total: float64, ts: timestamp}
    event_time: ts
    dedup_key: id
entities:
  - {name: shop, keys: {shop: string}}
views:
  - name: shop_orders
    source: orders
    entity: shop
    where: "total > 10"
    aggregates:
      - {name: n, fn: count, windows: [1h]}
services:
  - {name: s, features: [shop_orders]}
"#;

#[test]
fn a_restart_puts_nothing_into_the_ledger_twice() {
    let directory = tempfile::tempdir().unwrap();
    let order = |id: &str, shop: &str, total: u32| {
        format!(r#"{{"id":"{id}","shop":{shop},"total":{total},"ts":"2026-01-01T00:00:00Z"}}"#)
    };
    let counts = |running: &Running| {
        let summary = running.ledger.summary();
        summary.iter().map(|count| (count.code, count.count)).collect::<Vec<_>>()
    };
    let running = start(directory.path(), &plan(FILTERED, directory.path()), 1);
    let first = [order("a", "\"x\"", 5), order("b", "\"x\"", 50), order("b", "\"x\"", 50), order("c", "\"y\"", 1)];
    running.engine.push("orders", &first.each_ref().map(String::as_str)).unwrap();
    assert!(running.engine.settle());
    let before = counts(&running);
    assert_eq!(before.iter().map(|(_, count)| count).sum::<u64>(), 3, "two filtered, one duplicate: {before:?}");
    running.engine.stop().unwrap();

    let again = start(directory.path(), &plan(FILTERED, directory.path()), 2);
    assert!(again.engine.settle());
    assert_eq!(counts(&again), before);
    let report = again.engine.push("orders", &[order("d", "\"x\"", 2).as_str(), "{no json"]).unwrap();
    assert_eq!((report.accepted, report.rejected.len()), (1, 1));
    assert!(again.engine.settle());
    assert_eq!(counts(&again).iter().map(|(_, count)| count).sum::<u64>(), 5, "what the door refuses is there too");
    let source = &again.engine.figures().sources[0];
    assert_eq!((source.consumed, source.admitted, source.filtered, source.unparsable), (6, 1, 3, 1));
    again.engine.stop().unwrap();
}

#[test]
fn no_row_shows_a_part_of_what_was_there_before_a_restart() {
    const ORDERS: usize = 40_000;
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), &plan(FILTERED, directory.path()), 1);
    let orders: Vec<String> =
        (0..ORDERS).map(|i| format!(r#"{{"id":"{i}","shop":"x","total":20,"ts":"2026-01-01T00:00:00Z"}}"#)).collect();
    for part in orders.chunks(1000) {
        running.engine.push("orders", &part.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    }
    assert!(running.engine.settle());
    running.engine.stop().unwrap();

    let again = start(directory.path(), &plan(FILTERED, directory.path()), 1);
    let mut key = Vec::new();
    encode_key(&[Value::String("x".into())], &mut key).unwrap();
    let at = EventTime::parse("2026-01-01T00:00:00Z").unwrap();
    let plan = &again.plan.views[0];
    let OnlineStore::Memory(store) = &*again.store else { panic!("a memory store") };
    loop {
        let ready = again.engine.ready();
        let mut values = Vec::new();
        let found = store.get(0, &key, |row| Reader::new(plan).read(plan, Some(row), at, &mut values));
        assert!(found.is_some() || !ready, "ready without rows");
        assert!(found.is_none() || values[0].value == Value::Int64(ORDERS as i64), "a part: {:?}", values[0]);
        if ready {
            break;
        }
    }
    again.engine.stop().unwrap();
}
