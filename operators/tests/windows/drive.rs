//! Drives a store through a case, and compares what its rows say with the naive evaluation.

use std::collections::{BTreeMap, HashMap, HashSet};

use freshet_config::definitions::Mode;
use freshet_config::rows::RowBatch;
use freshet_config::time::{Epoch, EventTime, Span};
use freshet_config::value::Value;
use freshet_operators::batch::{KeyedBatch, hash_key, heap_word};
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::row::{FeatureValue, Reader, Reason, Status, describe};
use freshet_operators::slices::{Layout, RowSink, ViewStore};
use freshet_operators::view::ViewPlan;

use super::cases::{Case, Change, Event};

/// The view's bit among those of its group.
const BIT: u32 = 3;

pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn key_bytes(key: usize, heap: bool) -> Vec<u8> {
    match (heap, key) {
        (false, _) => (1000 + key as u64).to_le_bytes().to_vec(),
        (true, 0) => b"k".to_vec(),
        (true, _) => format!("a key of more than a word, number {key}").into_bytes(),
    }
}

pub fn store(case: &Case) -> ViewStore {
    // The batch's columns are the view's in reverse, behind one that the view does not use.
    let n = case.plan.columns.len();
    let columns = (0..n).map(|c| n - c).collect();
    let store = ViewStore::new(Layout::new(case.plan.clone()), case.tuning, columns, BIT, case.heap_keys, case.start);
    if case.seed & 1 == 1 { store.leasing_whole_windows() } else { store }
}

fn word(value: &Value, heap: &mut Vec<u8>) -> u64 {
    match value {
        Value::Null => 0,
        Value::Int32(v) => i64::from(*v) as u64,
        Value::Int64(v) => *v as u64,
        Value::Float32(v) => f64::from(*v).to_bits(),
        Value::Float64(v) => v.to_bits(),
        Value::Bool(v) => u64::from(*v),
        Value::Timestamp(v) => v.micros() as u64,
        Value::List(_) | Value::Map(_) => unreachable!("no column holds {value}"),
        Value::String(v) => {
            heap.extend_from_slice(v.as_bytes());
            heap_word(heap.len() - v.len(), v.len())
        }
    }
}

/// Events and signs as batches of the group.
pub fn batch(plan: &ViewPlan, heap_keys: bool, events: &[(&Event, i8)]) -> KeyedBatch {
    let n = plan.columns.len();
    let mut batch = KeyedBatch { columns: vec![Vec::new(); n + 1], ..KeyedBatch::default() };
    let keep_signs = events.iter().any(|(_, sign)| *sign < 0);
    let keep_nulls = events.iter().any(|(e, _)| e.values.iter().any(Value::is_null));
    let keep_passes = events.iter().any(|(e, _)| !e.passes);
    for (event, sign) in events {
        let key = key_bytes(event.key, heap_keys);
        batch.hash.push(hash_key(&key));
        let word_of_key = if heap_keys {
            batch.heap.extend_from_slice(&key);
            heap_word(batch.heap.len() - key.len(), key.len())
        } else {
            1000 + event.key as u64
        };
        batch.key.push(word_of_key);
        batch.time.push(event.time);
        if plan.keeps_positions() {
            batch.position.push(event.place());
        }
        if keep_passes {
            batch.passes.push(u64::from(event.passes) << BIT | 0b0101);
        }
        if keep_signs {
            batch.sign.push(*sign);
        }
        let mut nulls = 1;
        batch.columns[0].push(0xdead);
        for (c, value) in event.values.iter().enumerate() {
            nulls |= u64::from(value.is_null()) << (n - c);
            let word = word(value, &mut batch.heap);
            batch.columns[n - c].push(word);
        }
        if keep_nulls {
            batch.nulls.push(nulls);
        }
    }
    batch
}

/// Everything that is known of a case up to some epoch.
#[derive(Default)]
pub struct Known {
    pub events: HashMap<u64, Event>,
    pub gone: HashSet<u64>,
}

impl Known {
    pub fn take(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Event(event) => drop(self.events.insert(event.position, event.clone())),
                Change::Back(position) => drop(self.gone.insert(*position)),
            }
        }
    }

    fn of_key(&self, key: usize) -> Vec<ReferenceEvent> {
        let counts = |e: &&Event| e.key == key && e.passes && !self.gone.contains(&e.position);
        let reference = |e: &Event| ReferenceEvent {
            time: EventTime::from_micros(e.time),
            position: e.place(),
            values: e.values.clone(),
        };
        self.events.values().filter(counts).map(reference).collect()
    }
}

/// Applies one epoch's changes, in the order given, and closes it.
pub fn epoch(store: &mut ViewStore, case: &Case, all: &HashMap<u64, Event>, i: usize, changes: &[Change]) -> Rows {
    let events: Vec<(&Event, i8)> = changes
        .iter()
        .map(|change| match change {
            Change::Event(event) => (event, 1),
            Change::Back(position) => (&all[position], -1),
        })
        .collect();
    for part in events.chunks(case.epochs[i].batch) {
        store.apply(&batch(&case.plan, case.heap_keys, part));
    }
    let mut rows = Rows::new();
    let mut take = |batch: RowBatch| {
        for (key, row) in batch.iter() {
            assert!(rows.insert(key.to_vec(), row.to_vec()).is_none(), "a key is written twice in an epoch");
        }
    };
    let at = case.epochs[i].at;
    store.close(at, true, &mut RowSink::new(0, Epoch::from_micros(at as u64), &mut take));
    rows
}

/// How many keys have a window with more values than a function may tell apart: as their rows say at the clock, and those
/// that end at the instant they were written for.
pub fn over_value_limit(plan: &ViewPlan, rows: &Rows, clock: i64) -> u64 {
    // What is not served is there all the same.
    let plan = ViewPlan { expiry: None, feature_start: None, ..plan.clone() };
    let mut reader = Reader::new(&plan);
    let mut is_over = |row: &&Vec<u8>| {
        let coverage = describe(&plan, row).unwrap();
        let at = coverage.until.and(coverage.from).unwrap_or(EventTime::from_micros(clock));
        let mut out = Vec::new();
        reader.read(&plan, Some(row), at, &mut out);
        let too_many = |v: &FeatureValue| matches!(v.status, Status::Error(Reason::TooManyValues { .. }));
        out.iter().any(too_many)
    };
    rows.values().filter(|row| is_over(row)).count() as u64
}

pub fn same(read: &FeatureValue, expected: &(Value, bool)) -> bool {
    let (value, error) = expected;
    let bits = match (&read.value, value) {
        (Value::Float64(a), Value::Float64(b)) => a.to_bits() == b.to_bits(),
        (Value::Float32(a), Value::Float32(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    };
    let status = match (error, value) {
        (true, _) => read.status.is_error(),
        (false, Value::Null) => matches!(read.status, Status::MissingData | Status::Expired),
        // The count or list of an empty window, or of one without values.
        (false, Value::Int64(0) | Value::List(_) | Value::Map(_)) => {
            matches!(read.status, Status::MissingData | Status::Present)
        }
        (false, _) => read.status == Status::Present,
    };
    bits && status
}

/// What is not exact: decayed sums, to 2^-44 of the sum of the absolute terms.
fn near(plan: &ViewPlan, i: usize, read: &FeatureValue, expected: &(Value, bool), absolute: &[(Value, bool)]) -> bool {
    fn numbers(value: &Value) -> Vec<f64> {
        match value {
            Value::Float64(v) => vec![*v],
            Value::List(values) => values.iter().flat_map(numbers).collect(),
            _ => vec![0.0],
        }
    }
    if plan.features[i].function.is_exact() {
        return false;
    }
    let most = numbers(&absolute[i].0);
    if absolute[i].1 || most.iter().any(|m| *m > 1e290) {
        // Out of reach of one way of adding up, perhaps not of the other.
        return true;
    }
    let (got, want) = (numbers(&read.value), numbers(&expected.0));
    let close = |((g, w), m): ((&f64, &f64), &f64)| (g - w).abs() <= 2f64.powi(-44) * m + 1e-300;
    got.len() == want.len() && got.iter().zip(&want).zip(&most).all(close) && !read.status.is_error()
}

/// The events with numbers made positive.
fn positive(events: &[ReferenceEvent]) -> Vec<ReferenceEvent> {
    let mut events = events.to_vec();
    for value in events.iter_mut().flat_map(|event| &mut event.values) {
        match value {
            Value::Int32(v) => *v = v.saturating_abs(),
            Value::Int64(v) => *v = v.saturating_abs(),
            Value::Float32(v) => *v = v.abs(),
            Value::Float64(v) => *v = v.abs(),
            _ => {}
        }
    }
    events
}

/// A small generator for the instants that a check picks.
pub struct Picks(pub u64);

impl Picks {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1).max(1) as u64) as i64
    }
}

/// Instants at which a row of this key may be wrong if it ever is.
fn instants(plan: &ViewPlan, row: &[u8], clock: i64, events: &[ReferenceEvent], picks: &mut Picks) -> Vec<i64> {
    let coverage = describe(plan, row).unwrap();
    let from = coverage.from.map_or(clock - 3_600_000_000, EventTime::micros);
    let until = coverage.until.map_or(clock + 30 * 3_600_000_000, EventTime::micros);
    let mut instants = vec![clock, from, from + 1, from - 1, until, until + 1, picks.between(from, until)];
    instants.push(picks.between(from, (from + 120_000_000).min(until)));
    for _ in 0..4 {
        if let Some(event) = events.get(picks.below(events.len())) {
            let window = &plan.windows[picks.below(plan.windows.len())];
            let begins = picks.next() & 1 == 0 && window.size != Span::UNBOUNDED;
            let size = if begins { window.size.micros() } else { 0 };
            let edge = event.time.micros() - window.offset.micros() + size;
            // A tiled window moves at the first tile edge behind the instant.
            let tile = match plan.mode {
                Mode::Interval(tile) | Mode::Batch { schedule: tile, .. } | Mode::Sawtooth(tile) => tile.micros(),
                Mode::Continuous => 1,
            };
            let delay = if let Mode::Batch { delay, .. } = plan.mode { delay.micros() } else { 0 };
            let edge = edge.div_euclid(tile) * tile + tile * (picks.below(2) as i64) + delay;
            instants.push(edge + picks.between(-1, 1));
        }
    }
    instants
}

/// Compares a key's newest row with the reference at many instants.
pub fn check(
    plan: &ViewPlan,
    reader: &mut Reader,
    known: &Known,
    key: usize,
    row: Option<&[u8]>,
    clock: i64,
    picks: &mut Picks,
) {
    let events = known.of_key(key);
    let Some(row) = row else {
        let mut out = Vec::new();
        reader.read(plan, None, EventTime::from_micros(clock), &mut out);
        for (read, expected) in out.iter().zip(evaluate(plan, &events, EventTime::from_micros(clock))) {
            assert_eq!((&read.value, read.status), (&expected.0, Status::MissingData));
        }
        return;
    };
    let coverage = describe(plan, row).unwrap();
    for at in instants(plan, row, clock, &events, picks) {
        let at = EventTime::from_micros(at);
        let covered = coverage.from.is_none_or(|from| at >= from) && coverage.until.is_none_or(|until| at <= until);
        let mut out = Vec::new();
        reader.read(plan, Some(row), at, &mut out);
        assert_eq!(out.len(), plan.features.len());
        if !covered {
            assert!(out.iter().all(|v| v.status == Status::Stale && v.value.is_null()), "{out:?}");
            continue;
        }
        let expected = evaluate(plan, &events, at);
        let absolute = evaluate(plan, &positive(&events), at);
        for (i, ((read, expected), feature)) in out.iter().zip(&expected).zip(&plan.features).enumerate() {
            assert!(
                same(read, expected) || near(plan, i, read, expected, &absolute),
                "key {key} at {at} (clock {clock}, row {coverage}, {} slices) {:?} of {:?} over {:?}: row says {read:?}, \
                 reference {expected:?}\nevents {:?}",
                coverage.slices,
                feature.function,
                feature.column.map(|c| plan.columns[c].data_type),
                plan.windows[feature.window],
                events.iter().map(|e| (e.time.micros(), &e.values)).collect::<Vec<_>>(),
            );
        }
    }
}
