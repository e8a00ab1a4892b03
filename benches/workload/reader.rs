//! What a lookup costs once the request is understood.

use std::hint::black_box;
use std::time::Instant;

use freshet_config::time::{EventTime, Span};
use freshet_config::value::{Value, encode_key};
use freshet_connectors::store::OnlineStore;
use freshet_engine::plan::Plan;
use freshet_operators::row::Reader;

use super::graph::Outcome;

/// Keys read, spread over the key space: hot and silent ones.
const KEYS_READ: usize = 100_000;

/// Nanoseconds to read all features of a key from its rows, over hot and silent keys alike; the second figure with the
/// lookup in the store.
pub fn reader_ns(plan: &Plan, outcome: &Outcome) -> (f64, f64) {
    let OnlineStore::Memory(store) = &*outcome.store else { return (f64::NAN, f64::NAN) };
    let at = EventTime::from_micros(super::START_US + super::SPAN_US) + Span::from_secs(1);
    let mut readers: Vec<Reader> = plan.views.iter().map(|view| Reader::new(view)).collect();
    let keys: Vec<Vec<u8>> = (0..KEYS_READ)
        .map(|card| {
            let mut key = Vec::new();
            encode_key(&[Value::Int64(card as i64)], &mut key).expect("an integer is a key");
            key
        })
        .collect();
    let views = plan.views.len();
    let lookups = || keys.iter().flat_map(|key| (0..views).map(move |view| (view, key)));
    let mut rows = Vec::new();
    lookups().for_each(|(view, key)| _ = store.get(view, key, |row| rows.push((view, row.to_vec()))));
    let mut values = Vec::new();
    let per_key = |seconds: f64| seconds * 1e9 / rows.len().max(1) as f64 * views as f64;
    let begin = Instant::now();
    for (view, row) in &rows {
        values.clear();
        readers[*view].read(&plan.views[*view], Some(row), at, black_box(&mut values));
    }
    let of_rows = per_key(begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    for (view, key) in lookups() {
        values.clear();
        store.get(view, key, |row| readers[view].read(&plan.views[view], Some(row), at, black_box(&mut values)));
    }
    (of_rows, per_key(begin.elapsed().as_secs_f64()))
}
