//! Random histories and spines: every value is the naive reference's, whatever the order of events and rows.

use std::collections::BTreeSet;
use std::fmt::Write;

use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_engine::plan::Plan;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use proptest::prelude::*;

use crate::fixture::{Fixture, column};

/// All functions over all kinds of columns: plain, joined, computed, filtered; two keys and one; both modes.
const DEFINITIONS: &str = "
sources:
  - name: events
    history: {ndjson: {path: visits.ndjson}}
    schema: {id: int64, k: int64, r: string, page: string, v: float64, n: int32, seq: int32, at: timestamp}
    event_time: at
    dedup_key: id
    tie_breaker: seq
    enrich:
      - {dimension: pages, on: {page: page}, columns: [weight]}
    select:
      - {name: charge, sql: \"v * weight\"}
dimensions:
  - name: pages
    key: page
    schema: {page: string, weight: float64}
    table: {csv: {path: pages.csv}}
entities:
  - {name: narrow, keys: {k: int64, r: string}}
  - {name: wide, keys: {k: int64}}
views:
  - name: exact
    source: events
    entity: narrow
    aggregates: AGGREGATES
  - name: tiled
    source: events
    entity: wide
    where: \"n > 0\"
    mode: {interval: 5s}
    aggregates: AGGREGATES
services:
  - {name: all, features: [tiled, exact]}
";

/// Columns in the order of first use: `v`, `n`, `page`, `charge`, `v` where `page = 'home'`.
const AGGREGATES: &str = "
      - {name: rows, fn: count, windows: [5s, 20s]}
      - {name: v_sum, fn: sum, of: v, windows: [5s, 20s]}
      - {name: v_mean, fn: mean, of: v, windows: [10s]}
      - {name: v_var_samp, fn: var_samp, of: v, windows: [20s]}
      - {name: v_var_pop, fn: var_pop, of: v, windows: [5s]}
      - {name: v_stddev_samp, fn: stddev_samp, of: v, windows: [10s]}
      - {name: v_stddev_pop, fn: stddev_pop, of: v, windows: [20s]}
      - {name: n_sum, fn: sum, of: n, windows: [20s]}
      - {name: n_last, fn: last, of: n, windows: [5s, 20s]}
      - {name: page_last, fn: last, of: page, windows: [10s]}
      - {name: page_min, fn: min, of: page, windows: [20s]}
      - {name: charge_max, fn: max, of: charge, windows: [10s]}
      - {name: charges, fn: count, of: charge, windows: [10s]}
      - {name: home_sum, fn: sum, of: v, where: \"page = 'home'\", windows: [20s]}
";

#[derive(Clone, Debug)]
struct Event {
    id: Option<i64>,
    k: i64,
    r: Option<&'static str>,
    page: Option<&'static str>,
    v: Option<f64>,
    n: Option<i32>,
    seq: i32,
    micros: i64,
}

fn event() -> impl Strategy<Value = Event> {
    let values = prop_oneof![
        Just(None),
        (-5i32..5).prop_map(|v| Some(f64::from(v))),
        prop::sample::select(vec![0.1, -0.0, 1e-300, 1e300, 9007199254740993.0]).prop_map(Some)
    ];
    // Times on and around the edges of tiles and windows.
    let micros = (0i64..12, prop_oneof![4 => Just(0), 1 => Just(-1), 1 => Just(1)])
        .prop_map(|(second, micro)| second * 1_000_000 + micro);
    (
        prop::option::of(0i64..20),
        0i64..3,
        prop::option::of(prop::sample::select(vec!["eu", "us"])),
        prop::option::of(prop::sample::select(vec!["home", "shop", "void", ""])),
        values,
        prop::option::of(prop_oneof![-2i32..3, Just(i32::MAX)]),
        -1i32..2,
        micros,
    )
        .prop_map(|(id, k, r, page, v, n, seq, micros)| Event { id, k, r, page, v, n, seq, micros })
}

fn json(value: Option<impl serde::Serialize>) -> String {
    serde_json::to_string(&value).unwrap()
}

fn history(events: &[Event]) -> String {
    let mut text = String::new();
    for Event { id, k, r, page, v, n, seq, micros } in events {
        let (id, r, page, v, n) = (json(*id), json(*r), json(*page), json(*v), json(*n));
        writeln!(
            text,
            "{{\"id\":{id},\"k\":{k},\"r\":{r},\"page\":{page},\"v\":{v},\"n\":{n},\"seq\":{seq},\"at\":{micros}}}"
        )
        .unwrap();
    }
    text
}

/// What the definitions make of the history, said once more: events that count, in the order of the file.
fn admitted(events: &[Event]) -> Vec<Event> {
    let mut seen = BTreeSet::new();
    events.iter().filter(|event| event.id.is_none_or(|id| seen.insert(id))).cloned().collect()
}

fn reference_event(event: &Event) -> ReferenceEvent {
    let weight = match event.page {
        Some("home") => Some(2.0),
        Some("shop") => Some(0.5),
        _ => None,
    };
    let double = |v: Option<f64>| v.filter(|v| v.is_finite()).map_or(Value::Null, |v| Value::Float64(v + 0.0));
    let text = |t: Option<&str>| t.map_or(Value::Null, |t| Value::String(t.to_string()));
    let home = event.v.filter(|_| event.page == Some("home"));
    ReferenceEvent {
        time: EventTime::from_micros(event.micros),
        position: (i64::from(event.seq) + 10) as u64,
        values: vec![
            double(event.v),
            event.n.map_or(Value::Null, Value::Int32),
            text(event.page),
            double(event.v.zip(weight).map(|(v, weight)| v * weight)),
            double(home),
        ],
    }
}

fn expected(plan: &Plan, events: &[Event], view: &str, row: &Row) -> Vec<Value> {
    let view = &plan.views[plan.definitions.view(view).unwrap()];
    let taken = |event: &Event| match view.name.as_str() {
        "exact" => Some(event.k) == row.k && event.r.is_some() && event.r == row.r,
        _ => Some(event.k) == row.k && event.n.is_some_and(|n| n > 0),
    };
    let events: Vec<ReferenceEvent> = events.iter().filter(|event| taken(event)).map(reference_event).collect();
    evaluate(view, &events, EventTime::from_micros(row.micros)).into_iter().map(|(value, _)| value).collect()
}

#[derive(Clone, Debug)]
struct Row {
    k: Option<i64>,
    r: Option<&'static str>,
    micros: i64,
}

fn row() -> impl Strategy<Value = Row> {
    let micros = (0i64..40, -1i64..2).prop_map(|(second, micro)| second * 1_000_000 + micro);
    let region = prop::option::of(prop::sample::select(vec!["eu", "us", "xx"]));
    (prop::option::of(0i64..4), region, micros).prop_map(|(k, r, micros)| Row { k, r, micros })
}

fn bits(value: &Value) -> String {
    match value {
        Value::Float64(v) => format!("{:016x}", v.to_bits()),
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_value_is_the_reference(
        events in prop::collection::vec(event(), 0..120),
        rows in prop::collection::vec(row(), 1..30),
    ) {
        let fixture = Fixture::new(&history(&events));
        fixture.file("features.yaml", DEFINITIONS.replace("AGGREGATES", AGGREGATES));
        let mut spine = String::from("k,r,time\n");
        for Row { k, r, micros } in &rows {
            writeln!(spine, "{},{},{micros}", k.map_or(String::new(), |k| k.to_string()), r.unwrap_or("")).unwrap();
        }
        let spine = fixture.file("spine.csv", spine);
        let plan = fixture.plan();
        let dataset = fixture.build("all", &spine).unwrap();
        prop_assert!(dataset.report.refused.iter().all(|refused| refused.code == "EV-KEY"), "{:?}", dataset.report.refused);
        let admitted = admitted(&events);
        prop_assert_eq!(dataset.report.duplicates as usize, events.len() - admitted.len());
        for view in ["exact", "tiled"] {
            let names: Vec<&str> = plan.views[plan.definitions.view(view).unwrap()]
                .features.iter().map(|feature| feature.name.as_str()).collect();
            let columns: Vec<Vec<Value>> =
                names.iter().map(|name| column(&dataset, &format!("{view}__{name}"))).collect();
            for (index, row) in rows.iter().enumerate() {
                for (feature, want) in expected(&plan, &admitted, view, row).iter().enumerate() {
                    let got = &columns[feature][index];
                    prop_assert_eq!(bits(got), bits(want), "{}.{} of {:?}", view, names[feature], row);
                }
            }
        }
    }
}
