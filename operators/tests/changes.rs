//! Changes of views against looking at every instant, one by one.

#[path = "windows/plans.rs"]
mod plans;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use freshet_config::definitions::{Column, Function, Mode};
use freshet_config::function::Keeps;
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{DataType, FeatureType, Value, encode_key};
use freshet_operators::batch::{BatchShape, KeyedBatch, hash_key, heap_word};
use freshet_operators::changes::{ChangesInput, ChangesPlan, KeyEvents, changes};
use freshet_operators::project::SourceBatch;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::view::column_sources;
use freshet_operators::windows::Control;
use plans::{Wanted, window};
use proptest::prelude::*;
use proptest::sample::select;
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Input, Probe};
use timely::dataflow::{InputHandle, ProbeHandle};

/// Instants looked at, in microseconds: events and windows are so short that all of them can be.
const FIRST: i64 = -80;
const LAST: i64 = 400;

/// One event of a key.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    key: i64,
    time: i64,
    position: u64,
    amount: Option<f64>,
    count: Option<i64>,
    text: Option<String>,
}

/// The columns that views may aggregate, by name.
fn value(event: &Event, of: &str) -> Value {
    match of {
        "amount" => event.amount.map_or(Value::Null, Value::Float64),
        "count" => event.count.map_or(Value::Null, Value::Int64),
        _ => event.text.clone().map_or(Value::Null, Value::String),
    }
}

const INPUTS: [(&str, DataType); 3] =
    [("amount", DataType::Float64), ("count", DataType::Int64), ("text", DataType::String)];

/// A view, and the input of each of its columns.
#[derive(Clone, Debug)]
struct Case {
    plan: Arc<ChangesPlan>,
    inputs: Vec<&'static str>,
}

fn mode() -> impl Strategy<Value = Mode> {
    let span = Span::from_micros;
    prop_oneof![
        3 => Just(Mode::Continuous),
        2 => select(vec![1, 4, 7]).prop_map(move |us| Mode::Interval(span(us))),
        1 => (select(vec![4, 9]), 0..7i64)
            .prop_map(move |(us, delay)| Mode::Batch { schedule: span(us), delay: span(delay) }),
        1 => select(vec![2, 5]).prop_map(move |us| Mode::Sawtooth(span(us))),
    ]
}

/// An aggregate over one of [`INPUTS`], with what it compares rows by.
type Draft = (Function, Option<usize>, Option<usize>);

/// Every function whose values changes carry, those that are swept the more often.
fn aggregate() -> impl Strategy<Value = Draft> {
    let of = |swept: bool| {
        (0..INPUTS.len()).prop_flat_map(move |of| {
            let input = INPUTS[of].1;
            let carried = |function: &Function| {
                function.takes(input)
                    && !function.moves()
                    && matches!(function.output(Some(input)), FeatureType::Scalar(_))
                    && matches!(function.keeps(), Keeps::Column(_)) == swept
            };
            let functions: Vec<Function> = Function::samples().concat().into_iter().filter(carried).collect();
            (select(functions), 0..2usize)
                .prop_map(move |(function, order)| (function, Some(of), function.takes_order().then_some(order)))
        })
    };
    prop_oneof![
        2 => Just((Function::Count, None, None)),
        7 => of(true),
        2 => of(false),
        1 => (1..3usize).prop_map(|of| (Function::Latest, Some(of), None)),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let steps = (select(vec![1, 3, 10, i64::MAX]), select(vec![0, 0, -1, -4]));
    let wanted = (aggregate(), proptest::collection::vec(steps, 1..3));
    let instant = || prop::option::weighted(0.2, -20..60i64);
    let ttl = prop::option::weighted(0.2, select(vec![2, 7, 30]));
    (mode(), proptest::collection::vec(wanted, 1..4), instant(), instant(), ttl).prop_map(
        |(mode, wanted, start, lifetime, ttl)| {
            // Windows and offsets are multiples of the step, as definitions have to be.
            let unit = match mode {
                Mode::Interval(step) | Mode::Batch { schedule: step, .. } => step.micros(),
                Mode::Continuous | Mode::Sawtooth(_) => 3,
            };
            let column = |input: usize| (INPUTS[input].0.to_string(), INPUTS[input].1);
            let size = |units: i64| if units == i64::MAX { Span::UNBOUNDED.micros() } else { units * unit };
            let wanted: Vec<Wanted> = wanted
                .into_iter()
                .map(|((function, of, order), windows)| Wanted {
                    function,
                    of: of.map(column),
                    order: order.map(column),
                    filter: None,
                    windows: windows.into_iter().map(|(units, offset)| window(size(units), offset * unit)).collect(),
                    series: false,
                })
                .collect();
            let mut view = plans::expiring(mode, &wanted, ttl.map(Span::from_micros));
            view.feature_start = start.map(EventTime::from_micros);
            view.lifetime_start = lifetime.map(EventTime::from_micros);
            let sources = column_sources(&plans::view(mode, &wanted));
            let input = |text: &str| INPUTS.iter().find(|(name, _)| *name == text).unwrap().0;
            let inputs = sources.iter().map(|source| input(&source.of.as_ref().unwrap().text)).collect();
            let features: Vec<usize> = (0..view.features.len()).collect();
            let keys = [Column { name: "key".to_string(), data_type: DataType::Int64 }];
            let mut plan = ChangesPlan::new(&view, &features, &keys);
            plan.memory = Span::from_micros(1_000_000);
            Case { plan: Arc::new(plan), inputs }
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let amount = prop::option::weighted(0.8, select(vec![0.0, 1.5, 2.25, -3.0, 1e-9, 1e300]));
    let text = prop::option::weighted(0.8, select(vec!["", "a", "longer text"]).prop_map(str::to_string));
    (0..2i64, 0..60i64, 0..5u64, amount, prop::option::weighted(0.8, 0..3i64), text)
        .prop_map(|(key, time, position, amount, count, text)| Event { key, time, position, amount, count, text })
}

/// Positions tell events of one instant apart.
fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec(event(), 0..=most).prop_map(|mut events| {
        for (i, event) in events.iter_mut().enumerate() {
            event.position = event.position * 1000 + i as u64;
        }
        events
    })
}

fn batch(case: &Case, events: &[(Event, i8)]) -> KeyedBatch {
    let mut batch = KeyedBatch { columns: vec![Vec::new(); case.inputs.len()], ..KeyedBatch::default() };
    for (event, sign) in events {
        batch.hash.push(hash_key(&event.key.to_le_bytes()));
        batch.key.push(event.key as u64);
        batch.time.push(event.time);
        batch.position.push(event.position);
        batch.sign.push(*sign);
        let mut nulls = 0;
        for (c, input) in case.inputs.iter().enumerate() {
            let word = match value(event, input) {
                Value::Null => {
                    nulls |= 1 << c;
                    0
                }
                Value::Float64(v) => v.to_bits(),
                Value::Int64(v) => v as u64,
                Value::String(text) => {
                    batch.heap.extend_from_slice(text.as_bytes());
                    heap_word(batch.heap.len() - text.len(), text.len())
                }
                other => panic!("{other}"),
            };
            batch.columns[c].push(word);
        }
        batch.nulls.push(nulls);
    }
    batch
}

type Found = (i64, Vec<Value>, Vec<Value>);

/// The changes of one key at all instants of a range, found by looking at each.
fn naive(case: &Case, events: &[Event], range: Range<i64>) -> Vec<Found> {
    let view = &case.plan.view;
    let exists = |event: &&Event| view.lifetime_start.is_none_or(|start| event.time >= start.micros());
    let events: Vec<Event> = events.iter().filter(exists).cloned().collect();
    let references: Vec<ReferenceEvent> = events
        .iter()
        .map(|event| ReferenceEvent {
            time: EventTime::from_micros(event.time),
            position: event.position,
            values: case.inputs.iter().map(|input| value(event, input)).collect(),
        })
        .collect();
    let values = |events: &[ReferenceEvent], at: i64| -> Vec<Value> {
        evaluate(view, events, EventTime::from_micros(at)).into_iter().map(|(value, _)| value).collect()
    };
    let empty = values(&[], 0);
    let state = |at: i64| {
        if view.before_start(EventTime::from_micros(at)) { empty.clone() } else { values(&references, at) }
    };
    let mut changes = Vec::new();
    let mut before = state(range.start - 1);
    for at in range {
        let after = state(at);
        if after != before {
            changes.push((at, before, after.clone()));
        }
        before = after;
    }
    changes
}

fn derived(case: &Case, events: &[Event], range: Range<i64>) -> Vec<Found> {
    let signed: Vec<(Event, i8)> = events.iter().map(|event| (event.clone(), 1)).collect();
    let batch = batch(case, &signed);
    let columns: Vec<usize> = (0..case.inputs.len()).collect();
    let mut key = KeyEvents::default();
    let counted = (0..batch.len()).filter(|i| case.plan.counts(&batch, *i, 0));
    counted.for_each(|i| key.add(&case.plan.view, &columns, &batch, i));
    key.order();
    let found = case.plan.changes(&key, range);
    found.into_iter().map(|c| (c.at, c.before.to_vec(), c.after.to_vec())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn changes_are_those_found_by_looking_at_every_instant(
        (case, events) in (case(), events(12)),
        part in (FIRST..LAST, 0..200i64),
    ) {
        prop_assert_eq!(derived(&case, &events, FIRST..LAST), naive(&case, &events, FIRST..LAST));
        let part = part.0..part.0 + part.1;
        prop_assert_eq!(derived(&case, &events, part.clone()), naive(&case, &events, part));
    }

    #[test]
    fn an_event_changes_nothing_outside_of_what_it_affects((case, events) in (case(), events(8))) {
        let Some((last, others)) = events.split_last() else { return Ok(()) };
        let (with, without) = (naive(&case, &events, FIRST..LAST), naive(&case, others, FIRST..LAST));
        let affected = case.plan.affects(last.time);
        let outside = |found: &[Found]| -> Vec<Found> {
            found.iter().filter(|(at, ..)| !affected.contains(at)).cloned().collect()
        };
        prop_assert_eq!(outside(&with), outside(&without));
    }
}

/// What comes in an epoch: events, and numbers of earlier ones that are taken back.
type Drafts = Vec<(Vec<Event>, Vec<prop::sample::Index>)>;

/// Events still there at the end, and what each epoch brings.
fn settle(drafts: Drafts) -> (Vec<Event>, Vec<Vec<(Event, i8)>>) {
    let mut live: Vec<Event> = Vec::new();
    let mut epochs = Vec::new();
    let mut count = 0;
    for (events, backs) in drafts {
        let mut epoch = Vec::new();
        for mut event in events {
            event.position = event.position * 1000 + count;
            count += 1;
            live.push(event.clone());
            epoch.push((event, 1));
        }
        for back in backs {
            if !live.is_empty() {
                let index = back.index(live.len());
                epoch.push((live.swap_remove(index), -1));
            }
        }
        // Whatever the order in an epoch.
        epoch.reverse();
        epochs.push(epoch);
    }
    (live, epochs)
}

type Key = (i64, i64, u64, String);

/// Sums of signs by (key, instant, position, columns) of all that the operator hands on. Epoch `e` happens at `10 * e`.
fn run(workers: usize, case: &Case, epochs: &[Vec<(Event, i8)>]) -> BTreeMap<Key, i64> {
    let config = if workers == 1 { timely::Config::thread() } else { timely::Config::process(workers) };
    let sums: Arc<Mutex<BTreeMap<Key, i64>>> = Arc::default();
    let (collected, case, epochs) = (sums.clone(), case.clone(), epochs.to_vec());
    timely::execute(config, move |worker| {
        let control = Rc::new(RefCell::new(Control::default()));
        let (probe, mut input) = (ProbeHandle::new(), InputHandle::<u64, NoopBuilder<KeyedBatch>>::new_with_builder());
        let is_text = |c: &usize| case.inputs[*c] == "text";
        let heap_columns = (0..case.inputs.len()).filter(is_text).fold(0, |bits, c| bits | 1 << c);
        let shape = BatchShape { heap_key: false, heap_columns, columns: case.inputs.len() };
        let from = ChangesInput { plan: case.plan.clone(), shape, columns: (0..case.inputs.len()).collect(), bit: 0 };
        worker.dataflow::<u64, _, _>(|scope| {
            let sums = collected.clone();
            changes(scope.input_from(&mut input), from, control.clone())
                .unary::<NoopBuilder<SourceBatch>, _, _, _>(Pipeline, "Collect", move |_, _| {
                    move |input, _| {
                        input.for_each(|_, batch: &mut SourceBatch| collect(batch, &mut sums.lock().unwrap()))
                    }
                })
                .probe_with(&probe);
        });
        for (e, events) in epochs.iter().enumerate() {
            let epoch = e as u64 + 1;
            control.borrow_mut().date(epoch, EventTime::from_micros(10 * epoch as i64));
            input.advance_to(epoch);
            for (i, part) in events.chunks(3).enumerate() {
                if i % worker.peers() == worker.index() {
                    input.send_batch(&mut batch(&case, part));
                }
            }
            input.advance_to(epoch + 1);
            worker.step_while(|| probe.less_than(&(epoch + 1)));
        }
        drop(input);
        worker.step_while(|| !probe.done());
    })
    .unwrap();
    let mut sums = std::mem::take(&mut *sums.lock().unwrap());
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn collect(batch: &SourceBatch, sums: &mut BTreeMap<Key, i64>) {
    let events = &batch.events;
    for row in 0..events.num_rows() {
        let at = events.column(0).as_primitive::<TimestampMicrosecondType>().value(row);
        let key = events.column(1).as_primitive::<Int64Type>().value(row);
        let text = |c: usize| -> String {
            let column = events.column(c);
            if column.is_null(row) {
                return "null".to_string();
            }
            match column.data_type() {
                arrow::datatypes::DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
                arrow::datatypes::DataType::Float64 => format!("{:?}", column.as_primitive::<Float64Type>().value(row)),
                _ => format!("`{}`", column.as_string::<i32>().value(row)),
            }
        };
        let columns: Vec<String> = (2..events.num_columns()).map(text).collect();
        let sign = i64::from(batch.signs.get(row).copied().unwrap_or(1));
        *sums.entry((key, at, batch.positions[row], columns.join(" "))).or_default() += sign;
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_string(),
        Value::Int64(v) => v.to_string(),
        Value::Float64(v) => format!("{v:?}"),
        Value::String(text) => format!("`{text}`"),
        other => panic!("{other}"),
    }
}

/// What the operator should have handed on in all, from an instant on.
fn expected(case: &Case, live: &[Event], from: i64) -> BTreeMap<Key, i64> {
    let mut sums = BTreeMap::new();
    for key in 0..2 {
        let events: Vec<Event> = live.iter().filter(|event| event.key == key).cloned().collect();
        let mut bytes = Vec::new();
        encode_key(&[Value::Int64(key)], &mut bytes).unwrap();
        for (at, before, after) in naive(case, &events, from..LAST) {
            let columns: Vec<String> = after.iter().chain(&before).map(shown).collect();
            sums.insert((key, at, hash_key(&bytes), columns.join(" ")), 1);
        }
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn what_is_handed_on_adds_up_to_the_changes_of_what_is_left(
        case in case(),
        drafts in proptest::collection::vec(
            (proptest::collection::vec(event(), 0..6), proptest::collection::vec(any::<prop::sample::Index>(), 0..3)),
            1..6,
        ),
        workers in 1..3usize,
        memory in prop_oneof![Just(1_000_000i64), 0..60i64],
    ) {
        let (live, epochs) = settle(drafts);
        let mut case = case;
        Arc::make_mut(&mut case.plan).memory = Span::from_micros(memory);
        let found = run(workers, &case, &epochs);
        // Changes further behind than the memory matter to nobody, and are not corrected any more.
        let from = FIRST.max(10 * epochs.len() as i64 - memory);
        let found: BTreeMap<Key, i64> = found.into_iter().filter(|((_, at, ..), _)| *at >= from).collect();
        prop_assert_eq!(found, expected(&case, &live, from));
    }
}
