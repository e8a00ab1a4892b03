//! State of views by category against the naive evaluation of each category alone.

#[path = "windows/plans.rs"]
mod plans;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use freshet_config::definitions::{Aggregate, Feature, Function, Group, GroupShape, Mode, PlanId, Sql, View, Window};
use freshet_config::diagnostic::Place;
use freshet_config::rows::RowBatch;
use freshet_config::time::{Epoch, EventTime, Span};
use freshet_config::value::{DataType, Value, encode_key};
use freshet_operators::batch::{KeyedBatch, hash_key, heap_word, owner};
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::row::{FeatureValue, Reader, Status, describe};
use freshet_operators::slices::{CategoryStore, RowSink, Tuning};
use freshet_operators::view::{FeaturePlan, ViewPlan};
use plans::{Wanted, view, window};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const START: i64 = 1_704_067_200 * SECOND;

#[derive(Clone, Debug)]
struct Event {
    key: i64,
    category: usize,
    time: i64,
    position: u64,
    amount: Option<f64>,
}

#[derive(Clone, Debug)]
struct EpochOfEvents {
    at: i64,
    events: Vec<Event>,
    /// Indices of events of this or an earlier epoch that are taken back.
    back: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Case {
    plan: ViewPlan,
    /// The same features of one category, then per window the count of its rows.
    alone: ViewPlan,
    shape: GroupShape,
    numbers: bool,
    tuning: Tuning,
    epochs: Vec<EpochOfEvents>,
    instants: Vec<i64>,
}

/// Categories in an order that is not theirs.
const TEXTS: [&str; 7] = ["b", "", "a", "zz", "a longer one than a word", "ab", "é"];
const NUMBERS: [i64; 7] = [256, -1, 0, 1, i64::MIN, 255, i64::MAX];

fn category(case: &Case, category: usize) -> Value {
    if case.numbers { Value::Int64(NUMBERS[category]) } else { Value::String(TEXTS[category].to_string()) }
}

/// The view with the wanted aggregates by category, and what its features are for one category alone.
fn plans(mode: Mode, wanted: &[Wanted], shape: GroupShape, numbers: bool, limit: usize) -> (ViewPlan, ViewPlan) {
    let sql = |text: &str| Sql { text: text.to_string(), place: Place::default() };
    let mut by_category: View = view(mode, wanted);
    by_category.group = Some(Group { column: sql("ad"), name: "ad".to_string(), shape });
    let mut windows: Vec<_> = wanted.iter().flat_map(|w| w.windows.iter().copied()).collect();
    windows.sort_by_key(|w| (w.size, w.offset));
    windows.dedup();
    if shape == GroupShape::Aligned {
        let aggregate = by_category.aggregates.len();
        let keys = (0..windows.len()).map(|window| Feature {
            name: format!("ad_keys_{window}"),
            aggregate,
            window,
            series: None,
        });
        by_category.features.extend(keys);
        by_category.aggregates.push(Aggregate {
            name: "ad_keys".to_string(),
            function: Function::GroupKeys,
            of: Some(sql("ad")),
            order: None,
            filter: None,
            windows: windows.clone(),
            place: Place::default(),
        });
    }
    let amount = wanted.iter().any(|w| w.of.is_some());
    let types: &[DataType] = if amount { &[DataType::Float64] } else { &[] };
    let data_type = if numbers { DataType::Int64 } else { DataType::String };
    let mut plan = ViewPlan::by_category(&by_category, types, data_type, PlanId(7));
    let mut categories = (**plan.categories.as_ref().unwrap()).clone();
    categories.limit = limit;
    categories.most_kept = limit + 2;
    plan.categories = Some(Arc::new(categories));
    let mut alone = wanted.to_vec();
    alone.push(rows(windows));
    let mut alone = plans::plan(mode, &alone);
    // A series is looked at window by window.
    let one_by_one = |feature: FeaturePlan| match feature.series.is_empty() {
        true => vec![feature],
        false => feature.series.iter().map(|w| FeaturePlan { window: *w, series: vec![], ..feature.clone() }).collect(),
    };
    alone.features = alone.features.into_iter().flat_map(one_by_one).collect();
    (plan, alone)
}

/// The count of rows over windows.
fn rows(windows: Vec<Window>) -> Wanted {
    Wanted { function: Function::Count, of: None, order: None, filter: None, windows, series: false }
}

fn case(events: usize, categories: usize, limit: usize) -> impl Strategy<Value = Case> {
    let mode = prop_oneof![
        Just(Mode::Continuous),
        select(vec![SECOND, MINUTE, 5 * MINUTE]).prop_map(|us| Mode::Interval(Span::from_micros(us))),
    ];
    let size = select(vec![10 * SECOND, MINUTE, 10 * MINUTE, 60 * MINUTE]);
    let offset = prop_oneof![3 => Just(0), 1 => select(vec![-MINUTE, -20 * MINUTE])];
    let windows = proptest::collection::vec((size, offset).prop_map(|(s, o)| window(s, o)), 1..=3);
    // Every function, as likely as others: of each some parameters are small enough to be too small.
    let exact = |function: &Function| function.takes(DataType::Float64) && function.is_exact();
    let functions: Vec<Vec<Function>> =
        Function::samples().into_iter().filter(|samples| samples.iter().all(exact)).collect();
    let function = select(functions).prop_flat_map(select);
    let wanted = (proptest::collection::vec(function, 0..=5), windows, any::<bool>());
    let wanted = wanted.prop_map(|(functions, mut windows, series)| {
        windows.sort_by_key(|w| (w.size, w.offset));
        windows.dedup();
        let amount = ("amount".to_string(), DataType::Float64);
        let of = |function: Function| Wanted {
            function,
            of: Some(amount.clone()),
            order: function.takes_order().then(|| amount.clone()),
            ..rows(windows.clone())
        };
        let mut wanted: Vec<Wanted> = functions.into_iter().map(of).collect();
        if let Some(first) = wanted.first_mut() {
            first.series = series;
        }
        wanted.push(rows(windows));
        wanted
    });
    let amount = proptest::option::weighted(
        0.8,
        prop_oneof![
            5 => (-10_000i64..10_000).prop_map(|cents| cents as f64 / 100.0),
            1 => select(vec![1e300, -1e300, f64::MAX, 5e-324]),
        ],
    );
    // Some come before their time.
    let ago = -3 * MINUTE..20 * MINUTE;
    let event = (select(vec![0i64, 0, 0, 1, 2]), 0..categories, ago, amount);
    let step =
        prop_oneof![3 => Just(MINUTE), 2 => SECOND..10 * MINUTE, 1 => Just(90 * MINUTE), 1 => Just(26 * 60 * MINUTE)];
    let epoch = (step, proptest::collection::vec(event, 0..=events), proptest::collection::vec(any::<Index>(), 0..3));
    let shape = select(vec![GroupShape::Map, GroupShape::Aligned]);
    let tuning = select(vec![SECOND, MINUTE, 30 * MINUTE]).prop_map(|longest_lease_us| Tuning {
        longest_lease_us,
        slice_budget: 8,
        lead_epochs: 2,
    });
    let instants = proptest::collection::vec(-5 * MINUTE..90 * MINUTE, 4);
    let epochs = proptest::collection::vec(epoch, 1..8);
    (mode, wanted, shape, any::<bool>(), tuning, epochs, instants).prop_map(
        move |(mode, wanted, shape, numbers, tuning, drafts, instants)| {
            let (plan, alone) = plans(mode, &wanted, shape, numbers, limit);
            let (mut at, mut count, mut gone) = (START, 0, HashSet::new());
            let mut epochs = Vec::new();
            for (step, drafts, backs) in drafts {
                at += step;
                let settle = |(i, (key, category, ago, amount)): (usize, _)| Event {
                    key,
                    category,
                    time: at - ago,
                    position: (count + i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8,
                    amount,
                };
                let events: Vec<Event> = drafts.into_iter().enumerate().map(settle).collect();
                count += events.len() as u64;
                let some = backs.iter().filter(|_| count > 0).map(|back| back.index(count as usize));
                let back = some.filter(|back| gone.insert(*back)).collect();
                epochs.push(EpochOfEvents { at, events, back });
            }
            Case { plan, alone, shape, numbers, tuning, epochs, instants }
        },
    )
}

fn store(case: &Case) -> CategoryStore {
    let categories = case.plan.categories.clone().unwrap();
    CategoryStore::new(&case.plan, categories, case.tuning, vec![0], 0, vec![DataType::Int64], START)
}

fn push(case: &Case, batch: &mut KeyedBatch, event: &Event, sign: i8) {
    let mut key = Vec::new();
    encode_key(&[Value::Int64(event.key)], &mut key).unwrap();
    let high = hash_key(&key) >> 32;
    encode_key(&[category(case, event.category)], &mut key).unwrap();
    batch.hash.push(high << 32 | hash_key(&key) & 0xffff_ffff);
    batch.key.push(heap_word(batch.heap.len(), key.len()));
    batch.heap.extend_from_slice(&key);
    batch.time.push(event.time);
    batch.position.push(event.position);
    batch.sign.push(sign);
    batch.nulls.push(u64::from(event.amount.is_none()));
    batch.columns[0].push(event.amount.unwrap_or_default().to_bits());
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Applies an epoch to the stores that own its keys, in batches of `batch` events, and closes it.
fn apply(case: &Case, stores: &mut [CategoryStore], all: &[Event], epoch: &EpochOfEvents, batch: usize) -> Rows {
    let changes = epoch.events.iter().map(|event| (event, 1i8)).chain(epoch.back.iter().map(|i| (&all[*i], -1)));
    let changes: Vec<(&Event, i8)> = changes.collect();
    let mut rows = Rows::new();
    let peers = stores.len();
    for (index, store) in stores.iter_mut().enumerate() {
        for part in changes.chunks(batch) {
            let mut keyed = KeyedBatch { columns: vec![Vec::new()], ..KeyedBatch::default() };
            for (event, sign) in part {
                let mut key = Vec::new();
                encode_key(&[Value::Int64(event.key)], &mut key).unwrap();
                if owner(hash_key(&key), peers) == index {
                    push(case, &mut keyed, event, *sign);
                }
            }
            store.apply(&keyed);
        }
        let mut take = |batch: RowBatch| {
            for (key, row) in batch.iter() {
                assert!(rows.insert(key.to_vec(), row.to_vec()).is_none(), "a key is written twice in an epoch");
            }
        };
        store.close(epoch.at, true, &mut RowSink::new(0, Epoch::from_micros(epoch.at as u64), &mut take));
    }
    rows
}

fn float_bits(value: &Value) -> Value {
    match value {
        Value::Float64(v) => Value::Int64(v.to_bits() as i64),
        Value::List(values) => Value::List(values.iter().map(float_bits).collect()),
        Value::Map(entries) => Value::Map(entries.iter().map(|(k, v)| (k.clone(), float_bits(v))).collect()),
        other => other.clone(),
    }
}

/// What the features are, category by category.
fn expected(case: &Case, events: &[&Event], at: EventTime) -> Vec<(Value, bool)> {
    let mut categories: Vec<usize> = (0..TEXTS.len()).collect();
    match case.numbers {
        true => categories.sort_by_key(|c| NUMBERS[*c]),
        false => categories.sort_by_key(|c| TEXTS[*c].as_bytes()),
    }
    let plan = case.plan.categories.as_ref().unwrap();
    let is_crowded = |w: usize| {
        let (lower, upper) =
            (case.plan.lower(w, at.micros()), case.plan.upper(case.plan.windows[w].offset, at.micros()));
        let has = |c: usize, upper: i64| events.iter().any(|e| e.category == c && (lower..upper).contains(&e.time));
        let count = |upper: i64| categories.iter().filter(|c| has(**c, upper)).count();
        count(upper) > plan.limit || count(i64::MAX) > plan.most_kept
    };
    let crowded: Vec<bool> = (0..case.plan.windows.len()).map(is_crowded).collect();
    let of_category = |c: usize| -> Vec<(Value, bool)> {
        let reference = |e: &&Event| ReferenceEvent {
            time: EventTime::from_micros(e.time),
            position: e.position,
            values: vec![e.amount.map_or(Value::Null, Value::Float64)],
        };
        let events: Vec<_> = events.iter().filter(|e| e.category == c).map(reference).collect();
        evaluate(&case.alone, &events, at)
    };
    let values: Vec<(usize, Vec<(Value, bool)>)> = categories.into_iter().map(|c| (c, of_category(c))).collect();
    let rows_of = |w: usize| {
        let probe = case.alone.features.iter().rposition(|f| f.column.is_none() && f.window == w).unwrap();
        values.iter().filter(move |(_, values)| values[probe].0 != Value::Int64(0))
    };
    let mut plain = 0;
    let mut features = Vec::new();
    for feature in &case.plan.features {
        let place = |w: usize| case.alone.windows.iter().position(|known| *known == case.plan.windows[w]).unwrap();
        if !feature.series.is_empty() {
            let mut failed = false;
            let one = |(i, w): (usize, &usize)| {
                let entries: Vec<(Value, Value)> = rows_of(place(*w))
                    .map(|(c, values)| {
                        let (value, failure) = &values[plain + i];
                        failed |= failure;
                        (category(case, *c), value.clone())
                    })
                    .collect();
                match case.shape {
                    GroupShape::Map => Value::Map(entries),
                    GroupShape::Aligned => Value::List(entries.into_iter().map(|(_, value)| value).collect()),
                }
            };
            let value = Value::List(feature.series.iter().enumerate().map(one).collect());
            features.push((value, failed));
            plain += feature.series.len();
            continue;
        }
        let w = place(feature.window);
        if feature.function == Function::GroupKeys {
            features.push((Value::List(rows_of(w).map(|(c, _)| category(case, *c)).collect()), false));
            continue;
        }
        let of = |(c, values): &(usize, Vec<(Value, bool)>)| (category(case, *c), values[plain].0.clone());
        let entries: Vec<(Value, Value)> = rows_of(w).map(of).collect();
        let failed = rows_of(w).any(|(_, values)| values[plain].1);
        plain += 1;
        features.push(match case.shape {
            GroupShape::Map => (Value::Map(entries), failed),
            GroupShape::Aligned => (Value::List(entries.into_iter().map(|(_, value)| value).collect()), failed),
        });
    }
    for (feature, value) in case.plan.features.iter().zip(&mut features) {
        let windows =
            if feature.series.is_empty() { std::slice::from_ref(&feature.window) } else { &feature.series[..] };
        if windows.iter().any(|w| crowded[*w]) {
            *value = (Value::Null, true);
        }
    }
    features
}

fn check(case: &Case, reader: &mut Reader, events: &[&Event], row: Option<&[u8]>, clock: i64) {
    let coverage = row.map(|row| describe(&case.plan, row).unwrap());
    let mut instants: Vec<i64> = case.instants.iter().map(|offset| clock + offset).collect();
    instants.push(clock);
    if let Some(coverage) = coverage {
        let edges = [coverage.from, coverage.until].into_iter().flatten().map(EventTime::micros);
        instants.extend(edges.flat_map(|edge| [edge - 1, edge, edge + 1]));
    }
    for at in instants {
        let at = EventTime::from_micros(at);
        let mut read: Vec<FeatureValue> = Vec::new();
        reader.read(&case.plan, row, at, &mut read);
        assert_eq!(read.len(), case.plan.features.len());
        let covered =
            coverage.is_none_or(|c| c.from.is_none_or(|from| at >= from) && c.until.is_none_or(|until| at <= until));
        if !covered {
            assert!(read.iter().all(|v| v.status == Status::Stale && v.value.is_null()), "{read:?}");
            continue;
        }
        for ((read, (value, failed)), feature) in read.iter().zip(expected(case, events, at)).zip(&case.plan.features) {
            assert!(feature.data_type.fits(&value), "{value:?} is no {}", feature.data_type);
            assert_eq!(
                (float_bits(&read.value), read.status.is_error()),
                (float_bits(&value), failed),
                "{} at {at}, clock {clock}, {coverage:?}",
                feature.name
            );
            let nothing = |value: &Value| match value {
                Value::List(values) => values.is_empty(),
                Value::Map(entries) => entries.is_empty(),
                _ => false,
            };
            let empty = match &value {
                Value::List(windows) if !feature.series.is_empty() => windows.iter().all(nothing),
                one => nothing(one),
            };
            assert_eq!(read.status == Status::MissingData, empty, "{read:?}");
        }
    }
}

/// Every row after every epoch; the row of a key covers the clock.
fn follow(case: &Case) {
    let all: Vec<Event> = case.epochs.iter().flat_map(|e| e.events.clone()).collect();
    let mut stores = [store(case)];
    let (mut newest, mut gone, mut known) = (Rows::new(), HashSet::new(), 0);
    let mut reader = Reader::new(&case.plan);
    for epoch in &case.epochs {
        newest.extend(apply(case, &mut stores, &all, epoch, 5));
        known += epoch.events.len();
        gone.extend(epoch.back.iter().copied());
        for key in 0..3 {
            let live = all[..known].iter().enumerate().filter(|(i, e)| e.key == key && !gone.contains(i));
            let events: Vec<&Event> = live.map(|(_, e)| e).collect();
            let mut bytes = Vec::new();
            encode_key(&[Value::Int64(key)], &mut bytes).unwrap();
            check(case, &mut reader, &events, newest.get(&bytes).map(Vec::as_slice), epoch.at);
        }
    }
}

/// `PROPTEST_CASES` asks for more.
fn cases_or(cases: u32) -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    ProptestConfig { cases: if asked { default.cases } else { cases }, ..default }
}

proptest! {
    #![proptest_config(cases_or(200))]

    #[test]
    fn categories_are_what_each_is_alone(case in case(14, 7, 1000)) {
        follow(&case);
    }

    #[test]
    fn more_categories_than_allowed_are_errors_until_they_are_fewer(case in case(12, 7, 3)) {
        follow(&case);
    }

    #[test]
    fn rows_do_not_depend_on_workers_or_batches(case in case(30, 7, 5), batch in 1usize..9) {
        let all: Vec<Event> = case.epochs.iter().flat_map(|e| e.events.clone()).collect();
        let mut one = [store(&case)];
        let mut two: Vec<CategoryStore> = (0..2).map(|_| store(&case)).collect();
        let mut four: Vec<CategoryStore> = (0..4).map(|_| store(&case)).collect();
        for epoch in &case.epochs {
            let rows = apply(&case, &mut one, &all, epoch, 1000);
            prop_assert_eq!(&rows, &apply(&case, &mut two, &all, epoch, batch));
            prop_assert_eq!(&rows, &apply(&case, &mut four, &all, epoch, 1));
        }
    }

    /// Whatever the bytes, reading answers or refuses.
    #[test]
    fn damaged_rows_never_panic(
        case in case(10, 4, 3),
        wounds in proptest::collection::vec((any::<Index>(), any::<u8>(), 0u8..4), 1..40),
        at in prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(START)],
    ) {
        let all: Vec<Event> = case.epochs.iter().flat_map(|e| e.events.clone()).collect();
        let mut stores = [store(&case)];
        let mut reader = Reader::new(&case.plan);
        for epoch in &case.epochs {
            for row in apply(&case, &mut stores, &all, epoch, 50).into_values() {
                for (place, byte, how) in &wounds {
                    let mut bytes = row.clone();
                    let place = place.index(bytes.len());
                    match how {
                        0 => bytes[place] = *byte,
                        1 => bytes[place] = 0xff,
                        2 => bytes.truncate(place),
                        _ => bytes.insert(place, *byte),
                    }
                    for at in [at, epoch.at] {
                        let mut out = Vec::new();
                        reader.read(&case.plan, Some(&bytes), EventTime::from_micros(at), &mut out);
                        prop_assert_eq!(out.len(), case.plan.features.len());
                    }
                    let _ = describe(&case.plan, &bytes);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases_or(40))]

    /// Enough events that categories become dense.
    #[test]
    fn dense_categories_are_what_each_is_alone(case in case(250, 2, 1000)) {
        follow(&case);
    }
}

#[test]
fn keys_with_too_many_categories_are_counted() {
    let wanted = rows(vec![window(MINUTE, 0)]);
    let (plan, alone) = plans(Mode::Continuous, &[wanted], GroupShape::Map, false, 2);
    let (shape, tuning) = (GroupShape::Map, Tuning::default());
    let case = Case { plan, alone, shape, numbers: false, tuning, epochs: Vec::new(), instants: Vec::new() };
    let mut stores = [store(&case)];
    let event = |category| Event {
        key: 4,
        category,
        time: START + category as i64 * SECOND,
        position: category as u64,
        amount: None,
    };
    let events: Vec<Event> = (0..3).map(event).collect();
    let epoch = |at, events| EpochOfEvents { at, events, back: Vec::new() };
    let row = apply(&case, &mut stores, &[], &epoch(START + 3 * SECOND, events), 1).into_values().next().unwrap();
    assert_eq!(stores[0].stats().keys_over_category_limit, 1);
    // The first of them leaves its window a minute after it came, and nothing else happens: the row knew.
    let until = START + MINUTE - 1;
    for (at, over) in [(until, true), (until + 1, false)] {
        assert_eq!(apply(&case, &mut stores, &[], &epoch(at, Vec::new()), 1).len(), 0);
        assert_eq!(stores[0].stats().keys_over_category_limit, u64::from(over));
        let mut read = Vec::new();
        Reader::new(&case.plan).read(&case.plan, Some(&row), EventTime::from_micros(at), &mut read);
        assert_eq!(read[0].status.is_error(), over, "{read:?}");
    }
}

/// However many of its categories have too many values, and though none of them has many events.
#[test]
fn keys_with_too_many_values_are_counted_once() {
    let minute = vec![window(MINUTE, 0)];
    let distinct = Wanted {
        function: Function::CountDistinct { limit: 2 },
        of: Some(("amount".to_string(), DataType::Float64)),
        ..rows(minute.clone())
    };
    let (plan, alone) = plans(Mode::Continuous, &[distinct, rows(minute)], GroupShape::Map, false, 1000);
    let (shape, tuning) = (GroupShape::Map, Tuning::default());
    let case = Case { plan, alone, shape, numbers: false, tuning, epochs: Vec::new(), instants: Vec::new() };
    let mut stores = [store(&case)];
    // Three values in each of two categories of key 4, and in one of key 5; two in another of key 4.
    let event = |(i, (key, category, amount)): (usize, (i64, usize, i64))| Event {
        key,
        category,
        time: START + i as i64 * SECOND,
        position: i as u64,
        amount: Some(amount as f64),
    };
    let over = [(4, 0), (4, 1), (5, 0)];
    let drafts = over.into_iter().flat_map(|(key, category)| (0..3).map(move |i| (key, category, i)));
    let events = drafts.chain([(4, 2, 1), (4, 2, 1), (4, 2, 2)]).enumerate().map(event).collect();
    apply(&case, &mut stores, &[], &EpochOfEvents { at: START + 20 * SECOND, events, back: Vec::new() }, 1);
    assert_eq!(stores[0].stats().keys_over_value_limit, 2);
    // The first of the second category of key 4 leaves after the first of its first, and before that of key 5.
    for (leave, left) in [(1, 2), (4, 1), (7, 0)] {
        let at = START + MINUTE + leave * SECOND - SECOND;
        apply(&case, &mut stores, &[], &EpochOfEvents { at, events: Vec::new(), back: Vec::new() }, 1);
        assert_eq!(stores[0].stats().keys_over_value_limit, left, "after {leave} events left");
    }
}

/// Keys that fall silent take no memory for ever.
#[test]
fn silent_keys_are_dropped() {
    let wanted = rows(vec![window(MINUTE, 0)]);
    let (plan, alone) = plans(Mode::Continuous, &[wanted], GroupShape::Map, false, 1000);
    let case = Case {
        plan,
        alone,
        shape: GroupShape::Map,
        numbers: false,
        tuning: Tuning::default(),
        epochs: Vec::new(),
        instants: Vec::new(),
    };
    let mut stores = [store(&case)];
    let event = |key| Event { key, category: 1, time: START + SECOND, position: key as u64, amount: Some(1.0) };
    let events: Vec<Event> = (0..500).map(event).collect();
    let mut at = START + 2 * SECOND;
    apply(&case, &mut stores, &[], &EpochOfEvents { at, events, back: Vec::new() }, 100);
    assert_eq!(stores[0].stats().keys, 500);
    let filled = stores[0].stats().state_bytes;
    for _ in 0..60 {
        at += 60 * MINUTE;
        apply(&case, &mut stores, &[], &EpochOfEvents { at, events: Vec::new(), back: Vec::new() }, 100);
    }
    assert_eq!(stores[0].stats().keys, 0);
    assert!(stores[0].stats().state_bytes < filled);
}
