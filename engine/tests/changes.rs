//! Views over the changes of views: the running engine and datasets against the naive evaluation, level by level.
//!
//! Level by level means: the changes of every card are found by looking at each second (all events and windows here begin
//! and end on one), and what they say is evaluated as if it had been read from outside.

mod running;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float64Type, Int64Type};
use freshet_config::time::EventTime;
use freshet_config::value::{Value, encode_key};
use freshet_engine::dataset::Dataset;
use freshet_engine::plan::Plan;
use freshet_operators::batch::hash_key;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use running::{Random, Running, SECOND, START, start};

/// `SOURCE` is the stream, or the history.
const DEFINITIONS: &str = r#"
sources:
  - name: transactions
    SOURCE
    schema: {card: int64, merchant: string, amount: float64, ts: timestamp}
    event_time: ts
    lateness: 1m
  - name: card_states
    changes_of: cards
    select:
      - {name: above, type: int64, sql: "case when coalesce(amount_1m, 0) > 100 then 1 else 0 end"}
      - {name: above_before, type: int64, sql: "case when coalesce(amount_1m_before, 0) > 100 then 1 else 0 end"}
      - {name: step, sql: "above - above_before"}
      - {name: place, type: string, sql: "coalesce(merchant_5m, merchant_5m_before)"}
  - name: place_states
    changes_of: places
    select:
      - {name: everywhere, type: string, sql: "'all'"}
entities:
  - {name: card, keys: {card: int64}}
  - {name: merchant, keys: {merchant: string}}
  - {name: world, keys: {world: string}}
views:
  - name: cards
    source: transactions
    entity: card
    MODE
    aggregates:
      - {name: n, fn: count, windows: [2m]}
      - {name: amount, fn: sum, of: amount, windows: [1m]}
      - {name: merchant, fn: last, of: merchant, windows: [5m]}
  - name: often
    source: card_states
    entity: card
    aggregates:
      - {name: times, fn: count, windows: [10m], where: "n_2m > 3 and n_2m_before <= 3"}
      - {name: most, fn: max, of: n_2m, windows: [10m]}
  - name: places
    source: card_states
    entity: merchant
    keys: {merchant: place}
    mode: {interval: 10s}
    aggregates:
      - {name: above, fn: sum, of: step, windows: [10m]}
      - {name: last_card, fn: last, of: card, windows: [10m]}
      - {name: changes, fn: count, windows: [1m, 10m]}
  - name: everything
    source: place_states
    entity: world
    keys: {world: everywhere}
    aggregates:
      - {name: peak, fn: max, of: changes_1m, windows: [5m]}
      - {name: moves, fn: count, windows: [5m]}
services:
  - {name: s, features: [often, places, everything, cards.n_2m]}
"#;

const MODES: [&str; 2] = ["mode: continuous", "mode: {interval: 20s}"];

fn plan(directory: &Path, source: &str, mode: &str) -> Arc<Plan> {
    let text = DEFINITIONS.replace("SOURCE", source).replace("MODE", mode);
    running::plan(&text, directory)
}

#[derive(Clone, Debug)]
struct Txn {
    card: i64,
    merchant: &'static str,
    amount: f64,
    at: i64,
}

impl Txn {
    fn json(&self) -> String {
        let at = EventTime::from_micros(self.at);
        format!(r#"{{"card":{},"merchant":"{}","amount":{},"ts":"{at}"}}"#, self.card, self.merchant, self.amount)
    }
}

/// On whole seconds, every eighth late, in the order of arrival.
fn transactions() -> Vec<Txn> {
    let mut random = Random(5);
    let mut next = move |n| random.below(n);
    (0..260)
        .map(|i| Txn {
            card: (next(2) * next(4)) as i64,
            merchant: ["a", "b", "c"][next(3) as usize],
            amount: next(8_000) as f64 / 100.0,
            at: START + (i * 4 - if i % 8 == 3 { next(240) as i64 } else { 0 }) * SECOND,
        })
        .collect()
}

fn values(running: &Running, view: &str, key: &Value, at: i64) -> Vec<Value> {
    let view = running.plan.definitions.view(view).unwrap();
    running.values(view, std::slice::from_ref(key), EventTime::from_micros(at))
}

/// Whether every value is that of the oracle now.
fn check(running: &Running, oracle: &Oracle, txns: &[Txn], what: &str) -> usize {
    let now = running.now().micros();
    let mut there = 0;
    for (view, key) in keys(txns) {
        let found = values(running, view, &key, now);
        assert_eq!(found, oracle.values(view, &key, now), "{what}: {view} of {key} at {now}");
        there += found.iter().filter(|value| !matches!(value, Value::Null | Value::Int64(0))).count();
    }
    there
}

/// Every (view, key) there may be.
fn keys(txns: &[Txn]) -> Vec<(&'static str, Value)> {
    let cards: std::collections::BTreeSet<i64> = txns.iter().map(|t| t.card).chain([77]).collect();
    let mut keys: Vec<(&str, Value)> =
        cards.iter().flat_map(|card| ["often", "cards"].map(|view| (view, Value::Int64(*card)))).collect();
    keys.extend(["a", "b", "c", "d"].map(|merchant| ("places", Value::String(merchant.to_string()))));
    keys.push(("everything", Value::String("all".to_string())));
    keys
}

/// Events of each (view, key), level by level.
struct Oracle<'p> {
    plan: &'p Plan,
    events: BTreeMap<(&'static str, String), Vec<ReferenceEvent>>,
}

impl<'p> Oracle<'p> {
    fn new(plan: &'p Plan, txns: &[Txn]) -> Oracle<'p> {
        let mut oracle = Oracle { plan, events: BTreeMap::new() };
        for (position, txn) in txns.iter().enumerate() {
            let values = vec![Value::Float64(txn.amount), Value::String(txn.merchant.to_string())];
            oracle.add("cards", &Value::Int64(txn.card), txn.at, position as u64, values);
        }
        for (card, at, before, after) in oracle.changes("cards") {
            let Value::Int64(number) = card else { panic!("{card}") };
            let above = |values: &[Value]| matches!(values[1], Value::Float64(amount) if amount > 100.0);
            let count = |values: &[Value]| if let Value::Int64(n) = values[0] { n } else { 0 };
            let step = i64::from(above(&after)) - i64::from(above(&before));
            let flag = if count(&after) > 3 && count(&before) <= 3 { Value::Bool(true) } else { Value::Null };
            oracle.add("often", &card, at, hash_key(&number.to_le_bytes()), vec![flag, after[0].clone()]);
            let place = if after[2].is_null() { before[2].clone() } else { after[2].clone() };
            if !place.is_null() {
                let values = vec![Value::Int64(step), card.clone()];
                oracle.add("places", &place, at, hash_key(&number.to_le_bytes()), values);
            }
        }
        for (place, at, _, after) in oracle.changes("places") {
            let mut bytes = Vec::new();
            encode_key([&place], &mut bytes).unwrap();
            let all = Value::String("all".to_string());
            oracle.add("everything", &all, at, hash_key(&bytes), vec![after[2].clone()]);
        }
        oracle
    }

    fn add(&mut self, view: &'static str, key: &Value, at: i64, position: u64, values: Vec<Value>) {
        let time = EventTime::from_micros(at);
        let events = self.events.entry((view, format!("{key:?}"))).or_default();
        events.push(ReferenceEvent { time, position, values });
    }

    fn values(&self, view: &'static str, key: &Value, at: i64) -> Vec<Value> {
        let plan = &self.plan.views[self.plan.definitions.view(view).unwrap()];
        let none = Vec::new();
        let events = self.events.get(&(view, format!("{key:?}"))).unwrap_or(&none);
        evaluate(plan, events, EventTime::from_micros(at)).into_iter().map(|(value, _)| value).collect()
    }

    /// Key, instant, features before and after; without an event in its windows a key's features are those of empty ones.
    fn changes(&self, view: &'static str) -> Vec<(Value, i64, Vec<Value>, Vec<Value>)> {
        let plan = &self.plan.views[self.plan.definitions.view(view).unwrap()];
        let mut changes = Vec::new();
        for ((_, name), events) in self.events.iter().filter(|((of, _), _)| *of == view) {
            let key = match name.strip_prefix("Int64(") {
                Some(number) => Value::Int64(number.trim_end_matches(')').parse().unwrap()),
                None => Value::String(name.trim_start_matches("String(\"").trim_end_matches("\")").to_string()),
            };
            let empty: Vec<Value> =
                evaluate(plan, &[], EventTime::from_micros(START)).into_iter().map(|(value, _)| value).collect();
            let state = |at: i64| {
                let seen = (0..plan.windows.len()).any(|w| {
                    let inside = plan.lower(w, at)..plan.upper(plan.windows[w].offset, at);
                    events.iter().any(|event| inside.contains(&event.time.micros()))
                });
                if seen { self.values(view, &key, at) } else { empty.clone() }
            };
            let mut before = empty.clone();
            for second in -300..2_200 {
                let at = START + second * SECOND;
                let after = state(at);
                if after != before {
                    changes.push((key.clone(), at, before, after.clone()));
                }
                before = after;
            }
        }
        changes
    }
}

fn push(running: &Running, txns: &[Txn], batch: usize) {
    running.push("transactions", &txns.iter().map(Txn::json).collect::<Vec<_>>(), batch);
    running.settle();
}

#[test]
fn views_over_changes_are_exact_whatever_the_workers_the_batches_and_a_restart() {
    let txns = transactions();
    for (mode, workers, batch) in [(MODES[0], 1, 7), (MODES[0], 2, 61), (MODES[1], 2, 1), (MODES[1], 1, 300)] {
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(directory.path(), "stream: {log: {}}", mode);
        let running = start(directory.path(), &plan, workers);
        let (first, rest) = txns.split_at(150);
        push(&running, first, batch);
        check(&running, &Oracle::new(&plan, first), &txns, "halfway");
        push(&running, rest, batch);
        let oracle = Oracle::new(&plan, &txns);
        let there = check(&running, &oracle, &txns, mode);
        assert!(there > 12, "only {there} values are there");
        let figures = running.engine.figures();
        assert_eq!(figures.failed, None);
        assert_eq!(figures.sources.len(), 1, "changes come from no source");
        assert_eq!((figures.sources[0].consumed, figures.sources[0].admitted), (260, 260));
        running.stop();

        let again = start(directory.path(), &plan, 3 - workers);
        again.settle();
        check(&again, &oracle, &txns, "after a restart");
        // Nobody but the engine makes changes.
        let refused = again.engine.push("card_states", &["{}"]).unwrap_err().to_string();
        assert_eq!(
            refused,
            "source `card_states` is the changes of a view, which are derived: push to the source of that view"
        );
        again.stop();
    }
}

#[test]
fn rows_know_the_changes_that_lie_ahead() {
    let txns = transactions();
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path(), "stream: {log: {}}", MODES[0]);
    let running = start(directory.path(), &plan, 1);
    push(&running, &txns, 50);
    let oracle = Oracle::new(&plan, &txns);
    let now = running.now().micros();
    let mut moved = 0;
    for (view, key) in keys(&txns).into_iter().filter(|(view, _)| *view == "often") {
        let first = oracle.values(view, &key, now);
        // Nothing comes any more, and the windows of cards empty all the same.
        for second in [1, 20, 59, 60, 61, 119, 120, 200, 299, 300, 600, 900] {
            let at = now + second * SECOND;
            let expected = oracle.values(view, &key, at);
            moved += usize::from(expected != first);
            assert_eq!(values(&running, view, &key, at), expected, "{view} of {key} {second} s ahead");
        }
    }
    assert!(moved > 5);
    running.stop();
}

fn cell(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        arrow::datatypes::DataType::Int64 => Value::Int64(array.as_primitive::<Int64Type>().value(row)),
        arrow::datatypes::DataType::Float64 => Value::Float64(array.as_primitive::<Float64Type>().value(row)),
        _ => Value::String(array.as_string::<i32>().value(row).to_string()),
    }
}

#[test]
fn datasets_derive_the_same_changes_from_history() {
    let txns = transactions();
    for mode in MODES {
        let directory = tempfile::tempdir().unwrap();
        let lines: String = txns.iter().map(|txn| txn.json() + "\n").collect();
        std::fs::write(directory.path().join("txns.ndjson"), lines).unwrap();
        let mut spine = String::new();
        let instants: Vec<i64> = (0..40).map(|i| START + i * 37 * SECOND + i % 3).collect();
        for (i, at) in instants.iter().enumerate() {
            let (card, merchant) = (i % 5, ["a", "b", "c", "d"][i % 4]);
            spine.push_str(&format!(
                "{{\"card\":{card},\"merchant\":\"{merchant}\",\"world\":\"all\",\"time\":{at}}}\n"
            ));
        }
        let spine_file = directory.path().join("spine.ndjson");
        std::fs::write(&spine_file, spine).unwrap();
        let plan = plan(directory.path(), "history: {ndjson: {path: txns.ndjson}}", mode);
        let dataset = Dataset::build(&plan, "s", &spine_file, Some("time")).unwrap();
        assert_eq!(dataset.report.events, 260, "a history that is read for several views counts once");
        let oracle = Oracle::new(&plan, &txns);
        let [batch] = &dataset.batches[..] else { panic!("one batch") };
        let mut there = 0;
        for (row, at) in instants.iter().enumerate() {
            let merchant = ["a", "b", "c", "d"][row % 4];
            for (view, key) in [
                ("often", Value::Int64(row as i64 % 5)),
                ("places", Value::String(merchant.to_string())),
                ("everything", Value::String("all".to_string())),
            ] {
                let features = &plan.views[plan.definitions.view(view).unwrap()].features;
                let found: Vec<Value> = features
                    .iter()
                    .map(|f| cell(batch.column_by_name(&format!("{view}__{}", f.name)).unwrap(), row))
                    .collect();
                assert_eq!(found, oracle.values(view, &key, *at), "{mode}: {view} of {key} in row {row}");
                there += found.iter().filter(|value| !value.is_null()).count();
            }
        }
        assert!(there > 100, "only {there} values are there");
    }
}

#[test]
fn the_plan_shows_where_changes_come_from_and_how_long_events_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path(), "stream: {log: {}}", MODES[1]);
    let text = plan.to_string();
    for line in [
        // 5 m of the world; 10 m and a tile of places; 5 m and a tile of cards; a microsecond each to look back.
        "           event time ts, reach 6m, kept 20m30s2us for changes\n",
        "source card_states\n  changes  of view cards\n           columns changed_at timestamp, card int64, n_2m int64, \
         amount_1m float64, merchant_5m string, n_2m_before int64, amount_1m_before float64, merchant_5m_before string\n",
        "source place_states\n  changes  of view places\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let order: Vec<&str> = plan.pipelines.iter().map(|p| plan.definitions.sources[p.source].name.as_str()).collect();
    assert_eq!(order, ["transactions", "card_states", "place_states"]);
}

#[test]
fn a_feature_that_changes_do_not_carry_is_refused_with_the_reason() {
    let text = DEFINITIONS
        .replace("SOURCE", "stream: {log: {}}")
        .replace("MODE", "mode: continuous")
        .replace("{name: n, fn", "{name: merchants, fn: last, n: 3, of: merchant, windows: [5m]}\n      - {name: n, fn")
        .replace("of: n_2m,", "of: merchants_5m,");
    let definitions = freshet_config::parse(&[("d.yaml".to_string(), text)]).unwrap_or_else(|e| panic!("{e}"));
    let errors = Plan::compile(definitions, Path::new("")).unwrap_err();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].ends_with("changes carry single values, and no decayed sums: `merchants_5m` is not one of them"),
        "{}",
        lines[0]
    );
}
