//! Rows of every kind and with every summary, as the engine writes them.

#![allow(dead_code)] // No test binary uses all of it.

use freshet_config::function::{Fraction, Function};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{DataType, Value, encode_key};
use freshet_connectors::store::OnlineStore;
use freshet_engine::plan::Plan;
use std::fmt::Write;
use std::sync::Arc;

use crate::running::{Random, SECOND, START, plan, start};

/// A stored row, and the key and the view it belongs to.
#[derive(Clone, Debug)]
pub struct Stored {
    pub view: usize,
    pub key: i64,
    pub bytes: Vec<u8>,
}

impl Stored {
    pub fn kind(&self) -> u8 {
        self.bytes[1]
    }
}

pub const COMPLETE: u8 = 0;
pub const SPARSE: u8 = 1;
pub const DENSE: u8 = 2;
pub const CATEGORIES: u8 = 3;
pub const CROWDED: u8 = 4;

/// Every function that is read in another way, as definitions write it.
fn functions() -> Vec<(&'static str, &'static str, Function)> {
    let half = Fraction::new(0.5).unwrap();
    vec![
        ("count", "fn: count", Function::Count),
        ("sum", "fn: sum", Function::Sum),
        ("mean", "fn: mean", Function::Mean),
        ("min", "fn: min", Function::Min),
        ("max", "fn: max", Function::Max),
        ("deviation", "fn: stddev_samp", Function::StddevSamp),
        ("variance", "fn: var_pop", Function::VarPop),
        ("last", "fn: last", Function::Last),
        ("first_n", "fn: first, n: 7", Function::FirstN(7)),
        ("last_n", "fn: last, n: 7", Function::LastN(7)),
        ("first_distinct", "fn: first_distinct, n: 5", Function::FirstDistinct(5)),
        ("last_distinct", "fn: last_distinct, n: 5", Function::LastDistinct(5)),
        ("distinct", "fn: count_distinct", Function::CountDistinct { limit: 1 }),
        ("registers", "fn: approx_count_distinct, precision: 5", Function::ApproxCountDistinct { precision: 5 }),
        (
            "percentile",
            "fn: approx_percentile, percentile: 0.9, precision: 20",
            Function::ApproxPercentile { percentile: half, precision: 20 },
        ),
        ("top", "fn: top_k, k: 3", Function::TopK { k: 3, limit: 1 }),
        ("histogram", "fn: histogram", Function::Histogram { limit: 1 }),
        ("decayed", "fn: decayed_sum, half_life: 2m", Function::DecayedSum { half_life: Span::from_secs(1) }),
        ("min_by", "fn: min_by, order: f64", Function::MinBy),
        ("max_by", "fn: max_by, order: s", Function::MaxBy),
    ]
}

const COLUMNS: [(&str, DataType); 7] = [
    ("i32", DataType::Int32),
    ("i64", DataType::Int64),
    ("f32", DataType::Float32),
    ("f64", DataType::Float64),
    ("s", DataType::String),
    ("b", DataType::Bool),
    ("t", DataType::Timestamp),
];

/// Two views per function, over all types it takes: short windows, of which rows forget; and lives and series. Then
/// attributes, categories and values that expire.
pub fn definitions() -> String {
    let mut text = "
sources:
  - name: events
    stream: {log: {}}
    schema:
      {key: int64, i32: int32, i64: int64, f32: float32, f64: float64, s: string, b: bool, t: timestamp, many: int64,
       few: string, ts: timestamp}
    event_time: ts
entities:
  - {name: key, keys: {key: int64}}
views:
"
    .to_string();
    let modes = ["continuous", "{interval: 1m}", "{sawtooth: 1m}", "{batch: {schedule: 1m, delay: 1m}}"];
    for (i, (name, written, function)) in functions().into_iter().enumerate() {
        for (windows, ending, more) in [
            ("[10m, {size: 20m, offset: -10m}]", "short", ""),
            (
                "[lifetime, {series: {start: -20m, end: 0m, step: 10m, size: 10m}}]",
                "long",
                "    lifetime_start: 2020-01-01T00:00:00Z\n",
            ),
        ] {
            let mode = modes[i % modes.len()];
            writeln!(text, "  - name: {name}_{ending}\n    source: events\n    entity: key\n    mode: {mode}").unwrap();
            text.push_str(more);
            text.push_str("    aggregates:\n");
            for (column, _) in COLUMNS.iter().filter(|(_, data_type)| function.takes(*data_type)) {
                writeln!(text, "      - {{name: of_{column}, {written}, of: {column}, windows: {windows}}}").unwrap();
            }
        }
    }
    text.push_str(
        "  - {name: newest, source: events, entity: key, attributes: [i32, i64, f32, f64, s, b, t]}
  - name: expiring
    source: events
    entity: key
    serving_ttl: 20m
    aggregates: [{name: n, fn: count, windows: [10m]}, {name: s, fn: last, n: 3, of: s, windows: [10m]}]
  - name: per_few
    source: events
    entity: key
    aggregates:
      - {name: n, fn: count, by: few, windows: [10m]}
      - {name: items, fn: last, n: 4, of: s, by: few, windows: [10m]}
      - {name: p, fn: approx_percentile, percentile: 0.5, of: f64, by: few, windows: [10m]}
      - {name: h, fn: histogram, of: i32, by: few, windows: [10m]}
      - {name: d, fn: decayed_sum, half_life: 5m, of: f64, by: few, windows: [10m]}
      - {name: r, fn: approx_count_distinct, of: s, by: few, windows: [{series: {start: -20m, end: 0m, step: 10m, size: 10m}}]}
  - name: aligned
    source: events
    entity: key
    mode: {interval: 1m}
    secondary_key: many
    aggregates:
      - {name: n, fn: count, windows: [10m]}
      - {name: sum, fn: sum, of: f64, windows: [10m]}
services:
  - {name: s, features: [",
    );
    let views: Vec<String> = functions()
        .iter()
        .flat_map(|(name, ..)| ["short", "long"].map(|ending| format!("{name}_{ending}")))
        .chain(["newest", "expiring", "per_few", "aligned"].map(str::to_string))
        .collect();
    writeln!(text, "{}]}}", views.join(", ")).unwrap();
    text
}

fn event(random: &mut Random, key: i64, many: i64, at: i64) -> String {
    let text = random.pick(&["", "DE", "a text that is longer than a word", "zürich", "b", "c"]);
    // Some lie outside of what sums of doubles keep in one number.
    let double = random.pick(&["1.5", "-0.25", "1e300", "-1e300", "5e-324", "12345.678", "0.1"]);
    let single = random.pick(&["0.5", "3e38", "1e-45", "-7.25"]);
    let whole = random.pick(&[i64::MIN, -3, 0, 7, 1 << 40, i64::MAX]);
    let fields = [
        format!(r#""i32":{}"#, random.below(5) as i64 - 2),
        format!(r#""i64":{whole}"#),
        format!(r#""f32":{single}"#),
        format!(r#""f64":{double}"#),
        format!(r#""s":"{text}""#),
        format!(r#""b":{}"#, random.below(2) == 0),
        format!(r#""t":{}"#, at - random.below(9) as i64),
        format!(r#""few":"{}""#, random.pick(&["x", "y"])),
    ];
    let there: Vec<String> = fields.into_iter().filter(|_| random.below(6) > 0).collect();
    format!(r#"{{"key":{key},"many":{many},"ts":{at},{}}}"#, there.join(",")).replace(",}", "}")
}

/// Keys: 1 is busy, 2 is new, 3 has forgotten some of what it had, 4 has more categories than are allowed.
pub const KEYS: [i64; 4] = [1, 2, 3, 4];

/// The plan, and every row it stores for some events.
pub fn corpus(directory: &std::path::Path) -> (Arc<Plan>, Vec<Stored>) {
    let plan = plan(&definitions(), directory);
    let running = start(directory, &plan, 1);
    let mut random = Random(23);
    let hour = 3_600 * SECOND;
    let old: Vec<String> = (0..5).map(|i| event(&mut random, 3, i, START + i * SECOND)).collect();
    running.push("events", &old, 100);
    running.settle();
    let mut events: Vec<String> =
        (0..200).map(|i| event(&mut random, 1, i % 3, START + 3 * hour + i * 10 * SECOND)).collect();
    let end = START + 3 * hour + 2_000 * SECOND;
    events.extend((0..1_100).map(|i| event(&mut random, 4, i, end - 300 * SECOND + i * 100_000)));
    events.extend((0..3).map(|i| event(&mut random, 2, i, end - i * SECOND)));
    events.extend((0..4).map(|i| event(&mut random, 3, i, end - i * SECOND)));
    running.push("events", &events, 100);
    running.settle();
    let OnlineStore::Memory(store) = &*running.store else { panic!("a memory store") };
    let mut rows = Vec::new();
    for view in 0..plan.views.len() {
        for key in KEYS {
            let mut bytes = Vec::new();
            encode_key([&Value::Int64(key)], &mut bytes).unwrap();
            let row = store.get(view, &bytes, <[u8]>::to_vec);
            rows.extend(row.map(|bytes| Stored { view, key, bytes }));
        }
    }
    running.stop();
    (plan, rows)
}

/// The instant a row was written for.
pub fn as_of(row: &[u8]) -> i64 {
    row.get(6..14).map_or(0, |bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
}

/// Instants at which arithmetic may break, and some that rows answer for.
pub fn instants(row: &[u8]) -> impl Iterator<Item = EventTime> {
    let at = as_of(row);
    let near = [at, at.wrapping_add(1), at.wrapping_sub(1), at.wrapping_add(300 * SECOND)];
    let far = [i64::MIN, i64::MIN + 1, -1, 0, START, i64::MAX - 1, i64::MAX];
    near.into_iter().chain(far).map(EventTime::from_micros)
}
