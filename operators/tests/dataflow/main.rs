//! From Arrow batches to rows: projection, exchange and windows on one or several workers.

#[path = "../windows/plans.rs"]
mod plans;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use freshet_config::definitions::{Column, Function, Mode, arrow_schema};
use freshet_config::time::{Epoch, EventTime, Span};
use freshet_config::value::{DataType, MAX_KEY_STRING_BYTES, Value, encode_key};
use freshet_operators::batch::{KeyedBatch, hash_key, heap_bytes};
use freshet_operators::project::{Projected, ProjectedCategory, ProjectedColumn, Projection, SourceBatch, project};
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::row::{Reader, Status};
use freshet_operators::slices::{Layout, Tuning, ViewStore};
use freshet_operators::sql::{Expression, predicate};
use freshet_operators::view::ViewPlan;
use freshet_operators::windows::{Control, GroupView, Rows, windows};
use plans::{Wanted, plan, window};
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Input, Probe};
use timely::dataflow::{InputHandle, ProbeHandle};

const SECOND: i64 = 1_000_000;
const START: i64 = 1_704_067_200 * SECOND;

#[derive(Clone, Debug)]
struct Event {
    account: Option<String>,
    region: Option<i32>,
    amount: Option<f64>,
    kind: i64,
    time: i64,
}

fn columns() -> Vec<Column> {
    [
        ("account", DataType::String),
        ("region", DataType::Int32),
        ("amount", DataType::Float64),
        ("kind", DataType::Int64),
        ("ts", DataType::Timestamp),
    ]
    .map(|(name, data_type)| Column { name: name.to_string(), data_type })
    .to_vec()
}

fn batch(events: &[Event], first: u64) -> SourceBatch {
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(events.iter().map(|e| e.account.as_deref()).collect::<StringArray>()),
        Arc::new(events.iter().map(|e| e.region).collect::<Int32Array>()),
        Arc::new(events.iter().map(|e| e.amount).collect::<Float64Array>()),
        Arc::new(events.iter().map(|e| e.kind).collect::<Int64Array>()),
        Arc::new(TimestampMicrosecondArray::from_iter_values(events.iter().map(|e| e.time))),
    ];
    let events = RecordBatch::try_new(arrow_schema(&columns()), arrays).unwrap();
    let positions = (0..events.num_rows() as u64).map(|i| first + i).collect();
    SourceBatch { events, positions, signs: Vec::new() }
}

fn projected(of: Option<&str>, filter: Option<&str>, data_type: DataType) -> ProjectedColumn {
    let schema = arrow_schema(&columns());
    ProjectedColumn {
        of: of.map(|text| Expression::compile_typed(text, &schema, data_type).unwrap()),
        filter: filter.map(|text| predicate(text, &schema).unwrap()),
        data_type,
    }
}

/// Accounts with two views, the second only of kind 1; and (account, region) with one.
fn groups() -> [Projection; 2] {
    let schema = arrow_schema(&columns());
    let by_account = Projection {
        time: 4,
        keys: vec![(0, DataType::String)],
        category: None,
        columns: vec![
            projected(Some("amount * 2"), None, DataType::Float64),
            projected(Some("account"), Some("amount > 0"), DataType::String),
            projected(None, Some("kind >= 2"), DataType::Bool),
        ],
        filters: vec![None, Some(predicate("kind = 1", &schema).unwrap())],
        keep_positions: true,
    };
    let by_region = Projection {
        time: 4,
        keys: vec![(0, DataType::String), (1, DataType::Int32)],
        category: None,
        columns: vec![projected(Some("kind"), None, DataType::Int64)],
        filters: vec![Some(predicate("kind <> 3", &schema).unwrap())],
        keep_positions: false,
    };
    [by_account, by_region]
}

fn wanted(function: Function, of: Option<(&str, DataType)>, filter: Option<&str>, sizes: &[i64]) -> Wanted {
    Wanted {
        function,
        of: of.map(|(text, t)| (text.to_string(), t)),
        order: None,
        filter: filter.map(str::to_string),
        series: false,
        windows: sizes.iter().map(|s| window(s * SECOND, 0)).collect(),
    }
}

/// The views of the groups: their plans, and which of the group's columns theirs are.
fn views() -> [Vec<(ViewPlan, Vec<usize>)>; 2] {
    let amount = Some(("amount * 2", DataType::Float64));
    let all = plan(
        Mode::Continuous,
        &[
            wanted(Function::Last, Some(("account", DataType::String)), Some("amount > 0"), &[60]),
            wanted(Function::Sum, amount, None, &[60, 600]),
            wanted(Function::StddevSamp, amount, None, &[600]),
            wanted(Function::Count, None, Some("kind >= 2"), &[60]),
        ],
    );
    let tiled = Mode::Interval(Span::from_secs(30));
    let first =
        plan(tiled, &[wanted(Function::Max, amount, None, &[60, 300]), wanted(Function::Count, None, None, &[60])]);
    let region = plan(tiled, &[wanted(Function::Mean, Some(("kind", DataType::Int64)), None, &[90])]);
    [vec![(all, vec![1, 0, 2]), (first, vec![0])], vec![(region, vec![0])]]
}

fn random(state: &mut u64, n: u64) -> u64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 33) % n
}

/// Six epochs of events for a few accounts, one of them with most.
fn history() -> Vec<Vec<Event>> {
    let mut state = 3;
    let mut epoch = |at: i64| {
        let events = (0..150).map(|_| {
            let account =
                ["busy", "busy", "busy", "a quiet account with a long name", "b"][random(&mut state, 5) as usize];
            Event {
                account: Some(account.to_string()),
                region: Some(random(&mut state, 3) as i32 - 1),
                amount: (random(&mut state, 5) > 0).then(|| random(&mut state, 20_000) as f64 / 100.0 - 50.0),
                kind: random(&mut state, 4) as i64,
                time: at - random(&mut state, 200) as i64 * SECOND / 2,
            }
        });
        events.collect::<Vec<Event>>()
    };
    (1..=6).map(|e| epoch(START + e * 45 * SECOND)).collect()
}

type Newest = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

/// The newest row of every (view, key) after all epochs, and what was written in all.
fn run(workers: usize, history: &[Vec<Event>]) -> (Newest, usize) {
    run_numbered(workers, history, 0)
}

/// The same with epochs whose numbers are so far ahead of when they happen, in microseconds.
fn run_numbered(workers: usize, history: &[Vec<Event>], ahead: u64) -> (Newest, usize) {
    let config = if workers == 1 { timely::Config::thread() } else { timely::Config::process(workers) };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (history, collected) = (history.to_vec(), seen.clone());
    timely::execute(config, move |worker| {
        let groups = groups();
        let control = Rc::new(RefCell::new(Control::default()));
        let probe = ProbeHandle::new();
        let mut inputs = Vec::new();
        worker.dataflow::<u64, _, _>(|scope| {
            for (g, (group, views)) in groups.iter().zip(views()).enumerate() {
                let mut input = InputHandle::<u64, NoopBuilder<KeyedBatch>>::new_with_builder();
                let views = views.into_iter().enumerate().map(|(bit, (plan, columns))| GroupView {
                    view: 2 * g + bit,
                    store: ViewStore::new(
                        Layout::new(plan),
                        Tuning::default(),
                        columns,
                        bit as u32,
                        group.heap_key(),
                        START,
                    )
                    .into(),
                });
                let seen = collected.clone();
                windows(scope.input_from(&mut input), group.shape(), views.collect(), control.clone())
                    .unary::<NoopBuilder<Rows>, _, _, _>(Pipeline, "Collect", move |_, _| {
                        move |input, _| {
                            input.for_each(|_, rows: &mut Rows| {
                                let rows = std::mem::take(&mut rows.0);
                                let of =
                                    |(key, row): (&[u8], &[u8])| ((rows.view, key.to_vec()), rows.epoch, row.to_vec());
                                seen.lock().unwrap().extend(rows.iter().map(of));
                            })
                        }
                    })
                    .probe_with(&probe);
                inputs.push(input);
            }
        });
        for (e, events) in history.iter().enumerate() {
            let instant = START + (e as i64 + 1) * 45 * SECOND;
            let at = instant as u64 + ahead;
            control.borrow_mut().date(at, EventTime::from_micros(instant));
            inputs.iter_mut().for_each(|input| input.advance_to(at));
            // Leases follow the clock as each worker sees it: here all see the same instants.
            worker.step_while(|| probe.less_than(&at));
            // Small batches, dealt to the workers in turn.
            for (i, part) in events.chunks(7).enumerate().filter(|(i, _)| i % worker.peers() == worker.index()) {
                let (keyed, _) = project(&groups, &batch(part, (e * 1000 + i * 7) as u64)).unwrap();
                for (input, mut keyed) in inputs.iter_mut().zip(keyed) {
                    input.send_batch(&mut keyed);
                }
            }
            inputs.iter_mut().for_each(|input| input.advance_to(at + 1));
            worker.step_while(|| probe.less_than(&(at + 1)));
        }
        drop(inputs);
        worker.step_while(|| !probe.done());
        let events: u64 = control.borrow().stats.values().map(|s| s.events).sum();
        assert!(workers > 1 || events > 900, "the stores counted {events} events");
    })
    .unwrap();
    let mut rows = std::mem::take(&mut *seen.lock().unwrap());
    rows.sort_by_key(|(_, epoch, _): &(_, Epoch, _)| *epoch);
    let written = rows.len();
    (rows.into_iter().map(|(key, _, row)| (key, row)).collect(), written)
}

/// What the expressions of a view's columns give, by hand.
fn values(view: usize, event: &Event) -> Option<Vec<Value>> {
    let double = event.amount.map_or(Value::Null, |a| Value::Float64(a * 2.0));
    let account = match (&event.account, event.amount) {
        (Some(account), Some(amount)) if amount > 0.0 => Value::String(account.clone()),
        _ => Value::Null,
    };
    let large = if event.kind >= 2 { Value::Bool(true) } else { Value::Null };
    match view {
        0 => Some(vec![account, double, large]),
        1 => (event.kind == 1).then(|| vec![double]),
        _ => (event.kind != 3).then(|| vec![Value::Int64(event.kind)]),
    }
}

#[test]
fn rows_do_not_depend_on_the_number_of_workers() {
    let history = history();
    let (one, written) = run(1, &history);
    assert_eq!(one.len(), 3 + 3 + 9, "three accounts, each in three regions");
    for workers in [2, 4] {
        let (rows, count) = run(workers, &history);
        assert_eq!(count, written, "{workers} workers");
        assert!(rows == one, "rows differ with {workers} workers");
    }
}

/// As after a restart: numbers grow, and the clock of events stands still.
#[test]
fn rows_do_not_depend_on_how_epochs_are_numbered() {
    let history = history();
    let (rows, written) = run(1, &history);
    for workers in [1, 2, 4] {
        let (ahead, count) = run_numbered(workers, &history, 10 * 86_400 * SECOND as u64);
        assert_eq!(count, written, "{workers} workers");
        assert!(ahead == rows, "rows differ with {workers} workers");
    }
}

#[test]
fn rows_say_what_the_expressions_and_events_say() {
    let history = history();
    let (rows, _) = run(2, &history);
    let plans: Vec<ViewPlan> = views().into_iter().flatten().map(|(plan, _)| plan).collect();
    let last = START + 6 * 45 * SECOND;
    let mut present = 0;
    for ((view, key), row) in &rows {
        let of_key = |event: &Event| {
            let mut parts = vec![Value::String(event.account.clone().unwrap())];
            parts.extend((*view == 2).then(|| Value::Int32(event.region.unwrap())));
            let mut bytes = Vec::new();
            encode_key(&parts, &mut bytes).unwrap();
            bytes == *key
        };
        let mut events = Vec::new();
        for (e, event) in history
            .iter()
            .enumerate()
            .flat_map(|(e, events)| events.iter().enumerate().map(move |(i, ev)| (e * 1000 + i, ev)))
        {
            if let Some(values) = values(*view, event).filter(|_| of_key(event)) {
                events.push(ReferenceEvent { time: EventTime::from_micros(event.time), position: e as u64, values });
            }
        }
        let plan = &plans[*view];
        for at in [last, last + 1, last + 29 * SECOND, last + 45 * SECOND] {
            let at = EventTime::from_micros(at);
            let mut read = Vec::new();
            Reader::new(plan).read(plan, Some(row), at, &mut read);
            for (read, (value, error)) in read.iter().zip(evaluate(plan, &events, at)) {
                assert_eq!((&read.value, read.status.is_error()), (&value, error), "view {view} at {at}");
                present += usize::from(read.status == Status::Present);
            }
        }
    }
    assert!(present > 100, "only {present} values are there");
}

fn event(account: Option<&str>, region: Option<i32>, kind: i64) -> Event {
    Event { account: account.map(str::to_string), region, amount: Some(1.5), kind, time: START }
}

#[test]
fn what_no_view_takes_is_counted() {
    let long = "x".repeat(MAX_KEY_STRING_BYTES + 1);
    let events = [
        event(Some("a"), Some(1), 1),
        event(None, Some(1), 1),
        event(Some("a"), None, 1),
        event(Some(&long), Some(1), 1),
        event(Some("a"), Some(1), 3),
    ];
    let only = |group: usize| [groups()[group].clone()];
    let (_, both) = project(&groups(), &batch(&events, 0)).unwrap();
    assert_eq!(
        both,
        Projected { keyless: vec![1, 3], ..Projected::default() },
        "the first group takes all with an account"
    );
    let (keyed, region) = project(&only(1), &batch(&events, 0)).unwrap();
    assert_eq!(region, Projected { filtered: vec![4], keyless: vec![1, 2, 3], ..Projected::default() });
    assert_eq!(keyed[0].len(), 1);
    let mut key = Vec::new();
    encode_key(&[Value::String("a".into()), Value::Int32(1)], &mut key).unwrap();
    assert_eq!(heap_bytes(&keyed[0].heap, keyed[0].key[0]), key);
    assert_eq!(keyed[0].hash[0], hash_key(&key));
}

#[test]
fn projection_keeps_only_what_differs() {
    let events = [event(Some("a"), Some(1), 0), event(Some("b"), Some(2), 2)];
    let mut source = batch(&events, 40);
    let (keyed, _) = project(&groups(), &source).unwrap();
    let [account, region] = &keyed[..] else { panic!("two groups") };
    assert_eq!(account.position, [40, 41]);
    assert_eq!(account.passes, [1, 1], "the second view takes neither");
    assert_eq!(account.nulls, [4, 0], "only kind 2 counts in the third column");
    assert_eq!(account.columns[0], [3f64.to_bits(); 2]);
    assert_eq!(heap_bytes(&account.heap, account.columns[1][1]), b"b");
    assert!(
        region.position.is_empty() && region.passes.is_empty() && region.nulls.is_empty() && region.sign.is_empty()
    );
    source.signs = vec![1, -1];
    assert_eq!(project(&groups(), &source).unwrap().0[1].sign, [1, -1]);
}

/// The entity's part of the key decides the worker, the whole key the place in its table; without a category no view
/// takes the event, and that is no fault of it.
#[test]
fn categories_follow_the_key_and_do_not_decide_the_worker() {
    let of = Expression::compile("kind * 2", &arrow_schema(&columns())).unwrap();
    let [by_account, by_region] = groups();
    let category = Some(ProjectedCategory { of, data_type: DataType::Int64 });
    let by_kind = Projection { category, filters: vec![None], columns: Vec::new(), ..by_account };
    let regions = Expression::compile("region", &arrow_schema(&columns())).unwrap();
    let category = Some(ProjectedCategory { of: regions, data_type: DataType::Int32 });
    let by_region = Projection { keys: vec![(0, DataType::String)], category, filters: vec![None], ..by_region };
    let events = [event(Some("a"), None, 1), event(Some("a"), Some(1), 2), event(None, Some(1), 1)];
    let (keyed, found) = project(&[by_kind, by_region], &batch(&events, 0)).unwrap();
    assert_eq!(found, Projected { keyless: vec![2], ..Projected::default() });
    let key = |parts: &[Value]| {
        let mut bytes = Vec::new();
        encode_key(parts, &mut bytes).unwrap();
        bytes
    };
    let account = hash_key(&key(&[Value::String("a".into())]));
    for (i, kind) in [1i64, 2].into_iter().enumerate() {
        let whole = key(&[Value::String("a".into()), Value::Int64(2 * kind)]);
        assert_eq!(heap_bytes(&keyed[0].heap, keyed[0].key[i]), whole);
        assert_eq!(keyed[0].hash[i] >> 32, account >> 32);
        assert_eq!(keyed[0].hash[i] as u32, hash_key(&whole) as u32);
    }
    assert_eq!(
        (keyed[1].len(), keyed[1].columns[0].as_slice()),
        (1, &[2][..]),
        "the event without a region is left out"
    );
}

#[test]
fn a_single_narrow_key_travels_as_a_word() {
    let by_region = Projection {
        time: 4,
        keys: vec![(1, DataType::Int32)],
        category: None,
        columns: Vec::new(),
        filters: vec![None],
        keep_positions: false,
    };
    let events = [event(None, Some(-3), 0), event(None, None, 0), event(None, Some(7), 0)];
    let (keyed, found) = project(std::slice::from_ref(&by_region), &batch(&events, 0)).unwrap();
    assert_eq!(found.keyless, [1]);
    assert_eq!(keyed[0].key, [-3i64 as u64, 7]);
    let mut key = Vec::new();
    encode_key(&[Value::Int32(-3)], &mut key).unwrap();
    assert_eq!((keyed[0].key[0].to_le_bytes().to_vec(), keyed[0].hash[0]), (key.clone(), hash_key(&key)));
}
