//! Random views and random, hostile histories of a few keys.

use freshet_config::definitions::{Function, Mode, Window};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{DataType, Value};
use freshet_operators::slices::Tuning;
use freshet_operators::view::{ColumnPlan, ViewPlan};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::plans::{Wanted, expiring, plan, window};

pub const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// What happens to one key: an event, or an earlier event taken back.
#[derive(Clone, Debug)]
pub enum Change {
    Event(Event),
    /// Index of the event by its `position`.
    Back(u64),
}

#[derive(Clone, Debug)]
pub struct Event {
    pub key: usize,
    pub time: i64,
    pub position: u64,
    pub values: Vec<Value>,
    /// The view's filter holds.
    pub passes: bool,
}

impl Event {
    /// Where it stands among events of its instant. Some have the place of others, as with a tie breaker that does not tell
    /// all events apart: these are ordered by what they hold.
    pub fn place(&self) -> u64 {
        if self.position.is_multiple_of(4) { self.position } else { self.position % 3 }
    }
}

#[derive(Clone, Debug)]
pub struct EpochOfChanges {
    pub at: i64,
    pub changes: Vec<Change>,
    /// Lengths of the batches the changes come in, repeated.
    pub batch: usize,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub plan: ViewPlan,
    pub tuning: Tuning,
    pub start: i64,
    pub heap_keys: bool,
    pub epochs: Vec<EpochOfChanges>,
    pub seed: u64,
}

/// Where an event's time comes from, relative to the close of its epoch.
#[derive(Clone, Debug)]
enum When {
    /// This share of the epoch (in 1/1000) before its close.
    Within(i64),
    /// At or around where a window begins or ends at the close: window, upper edge?, microseconds off.
    Edge(Index, bool, i64),
    /// At or around a multiple of the tile (of a minute in continuous mode) some steps back.
    Tile(i64, i64),
    /// The time of the event before.
    Same,
    Late(i64),
    Future(i64),
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        10 => (0i64..1000).prop_map(When::Within),
        2 => (any::<Index>(), any::<bool>(), -1i64..=1).prop_map(|(w, upper, off)| When::Edge(w, upper, off)),
        2 => (0i64..12, -1i64..=1).prop_map(|(tiles, off)| When::Tile(tiles, off)),
        2 => Just(When::Same),
        2 => (0..30 * HOUR).prop_map(When::Late),
        1 => (0..10 * MINUTE).prop_map(When::Late),
        1 => (0..2 * HOUR).prop_map(When::Future),
        1 => (0..MINUTE).prop_map(When::Future),
    ]
}

fn double() -> impl Strategy<Value = f64> {
    let hostile = [
        0.0,
        1e-300,
        -1e-300,
        1e300,
        -1e300,
        5e-324,
        -2e-310,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        4.6e18,
        -5e18,
        2f64.powi(62),
        2f64.powi(-64),
        0.000244140625,
        1.0 / 3.0,
        1e-5,
    ];
    prop_oneof![
        6 => (-1_000_000i64..1_000_000).prop_map(|cents| cents as f64 / 100.0),
        1 => select(hostile.to_vec()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let known = ["", "a", "DE", "seven77", "eight888", "a string that is longer than a word", "zürich-große"];
    prop_oneof![3 => select(known.to_vec()).prop_map(str::to_string), 1 => "[a-c]{0,12}"]
}

fn value(data_type: DataType) -> BoxedStrategy<Value> {
    let some = match data_type {
        DataType::Int32 => prop_oneof![4 => -9i32..9, 1 => any::<i32>()].prop_map(Value::Int32).boxed(),
        DataType::Int64 => prop_oneof![4 => -9i64..9, 1 => any::<i64>(), 1 => select(vec![i64::MIN, i64::MAX])]
            .prop_map(Value::Int64)
            .boxed(),
        DataType::Float32 => prop_oneof![
            4 => (-10_000i32..10_000).prop_map(|cents| cents as f32 / 100.0),
            1 => select(vec![0.0, 1e-45f32, -1e-40, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 0.1]),
        ]
        .prop_map(Value::Float32)
        .boxed(),
        DataType::Float64 => double().prop_map(Value::Float64).boxed(),
        DataType::String => text().prop_map(Value::String).boxed(),
        DataType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        DataType::Timestamp => {
            (-5i64..5_000_000_000).prop_map(|us| Value::Timestamp(EventTime::from_micros(us))).boxed()
        }
    };
    prop_oneof![6 => some, 1 => Just(Value::Null)].boxed()
}

/// Functions of a column of this type, with parameters small enough to matter. Every function is as likely.
fn function(data_type: DataType) -> impl Strategy<Value = Function> {
    let taken = |samples: &Vec<Function>| samples.iter().all(|function| function.takes(data_type));
    select(Function::samples().into_iter().filter(taken).collect::<Vec<_>>()).prop_flat_map(select)
}

fn mode() -> impl Strategy<Value = Mode> {
    let span = Span::from_micros;
    let tile = || select(vec![SECOND, 7 * SECOND, MINUTE, 5 * MINUTE, HOUR]);
    prop_oneof![
        4 => Just(Mode::Continuous),
        3 => tile().prop_map(move |us| Mode::Interval(span(us))),
        1 => (tile(), select(vec![0, SECOND, MINUTE, 10 * MINUTE]))
            .prop_map(move |(us, delay)| Mode::Batch { schedule: span(us), delay: span(delay) }),
        1 => tile().prop_map(move |us| Mode::Sawtooth(span(us))),
    ]
}

fn windows() -> impl Strategy<Value = Vec<Window>> {
    let unbounded = Span::UNBOUNDED.micros();
    let size = prop_oneof![
        6 => select(vec![SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 24 * HOUR]),
        6 => 1..2 * HOUR,
        1 => Just(unbounded),
    ];
    let offset = prop_oneof![
        3 => Just(0),
        1 => select(vec![-SECOND, -MINUTE, -HOUR, -24 * HOUR]),
        1 => -2 * HOUR..0,
    ];
    proptest::collection::vec((size, offset).prop_map(|(s, o)| window(s, o)), 1..=4)
}

/// Functions of one column: what, over which of four windows (a bit each), as a series?
fn uses(data_type: DataType) -> impl Strategy<Value = Vec<(Function, u8, bool)>> {
    proptest::collection::vec((function(data_type), 1u8..16, prop::bool::weighted(0.1)), 1..=4)
}

fn plan_strategy() -> impl Strategy<Value = ViewPlan> {
    let column = select(DataType::ALL.to_vec()).prop_flat_map(|t| (Just(t), uses(t)));
    let columns = proptest::collection::vec(column, 0..=3);
    let rows = any::<bool>();
    let filtered = proptest::option::weighted(0.2, Just("kind = 1".to_string()));
    let born = proptest::option::weighted(0.15, select(vec![1_704_067_200 * SECOND - HOUR, -200 * SECOND]));
    let attributes = prop::bool::weighted(0.1);
    let ttl =
        proptest::option::weighted(0.2, select(vec![SECOND, MINUTE, 2 * HOUR, 26 * HOUR]).prop_map(Span::from_micros));
    (mode(), windows(), columns, rows, filtered, born, attributes, ttl).prop_map(
        |(mode, mut windows, columns, rows, filtered, born, attributes, ttl)| {
            if attributes {
                windows = vec![window(windows[0].size.micros(), 0)];
            }
            let mut wanted = Vec::new();
            let named = |c: usize| columns.get(c).map(|(data_type, _)| (format!("c{c}"), *data_type));
            for (c, (_, uses)) in columns.iter().enumerate() {
                for (function, mask, series) in uses {
                    let function = if attributes { Function::Latest } else { *function };
                    let mut chosen: Vec<_> =
                        windows.iter().enumerate().filter(|(w, _)| mask >> w & 1 == 1).map(|(_, w)| *w).collect();
                    if chosen.is_empty() {
                        chosen.push(windows[0]);
                    }
                    chosen.dedup();
                    // The next column, or the same.
                    let order = function.takes_order().then(|| named(c + 1).or_else(|| named(c))).flatten();
                    wanted.push(Wanted {
                        function,
                        of: named(c),
                        order,
                        filter: None,
                        windows: chosen,
                        series: *series,
                    });
                }
            }
            let counted = |filter| Wanted {
                function: Function::Count,
                of: None,
                order: None,
                filter,
                windows: windows.clone(),
                series: false,
            };
            if (rows && !attributes) || columns.is_empty() {
                wanted.push(counted(None));
            }
            if let Some(filter) = filtered.filter(|_| !attributes) {
                wanted.push(counted(Some(filter)));
            }
            let mut plan = expiring(mode, &wanted, ttl);
            plan.lifetime_start = born.map(EventTime::from_micros);
            plan
        },
    )
}

fn tuning() -> impl Strategy<Value = Tuning> {
    (select(vec![SECOND, MINUTE, 30 * MINUTE]), select(vec![3usize, 32]))
        .prop_map(|(longest_lease_us, slice_budget)| Tuning { longest_lease_us, slice_budget, lead_epochs: 2 })
}

/// One change before its epoch's instants are known.
#[derive(Clone, Debug)]
enum Draft {
    Event { key: usize, when: When, values: Vec<Value>, passes: bool },
    Back(Index),
}

/// `burst` events per epoch at most; with `backs`, some are taken back.
pub fn case(burst: usize, backs: bool) -> impl Strategy<Value = Case> {
    plan_strategy().prop_flat_map(move |mut plan| {
        plan.retracts = backs;
        let input = |c: &ColumnPlan| c.sketch.map_or(c.data_type, |sketch| sketch.input);
        let values: Vec<BoxedStrategy<Value>> = plan.columns.iter().map(|c| value(input(c))).collect();
        let key = prop_oneof![8 => Just(0usize), 2 => Just(1usize), 1 => 2usize..5];
        let event = (key, when(), values, prop::bool::weighted(0.9))
            .prop_map(|(key, when, values, passes)| Draft::Event { key, when, values, passes });
        let change = if backs {
            prop_oneof![3 => event, 1 => any::<Index>().prop_map(Draft::Back)].boxed()
        } else {
            event.boxed()
        };
        let step = prop_oneof![
            3 => Just(MINUTE),
            1 => 1..SECOND,
            2 => SECOND..10 * MINUTE,
            1 => select(vec![SECOND, 5 * MINUTE, HOUR, 26 * HOUR]),
        ];
        let epoch = (step, proptest::collection::vec(change, 0..=burst), 1usize..40);
        let start = prop_oneof![Just(1_704_067_200 * SECOND), Just(-90 * SECOND), Just(1_704_100_000_123_457)];
        (Just(plan), tuning(), start, any::<bool>(), proptest::collection::vec(epoch, 1..9), any::<u64>()).prop_map(
            |(plan, tuning, start, heap_keys, drafts, seed)| {
                let epochs = settle(&plan, start, drafts);
                Case { plan, tuning, start, heap_keys, epochs, seed }
            },
        )
    })
}

/// One key with events all the time, a few of them late, windows of which a part leaves before the lease ends, and rows
/// that may carry all of that.
pub fn steady_case() -> impl Strategy<Value = Case> {
    let data_type = select(vec![DataType::Int64, DataType::Float64, DataType::String]);
    let uses =
        data_type.prop_flat_map(|t| (Just(t), proptest::collection::vec((function(t), 1u8..8, Just(false)), 1..=3)));
    let windows = [window(10 * MINUTE, 0), window(25 * MINUTE, 0), window(12 * MINUTE, -3 * MINUTE)];
    let plan = (mode(), uses).prop_map(move |(mode, (data_type, uses))| {
        let column = || Some(("c0".to_string(), data_type));
        let of = |(function, mask, series): &(Function, u8, bool)| Wanted {
            function: *function,
            of: column(),
            order: function.takes_order().then(column).flatten(),
            filter: None,
            windows: windows.iter().enumerate().filter(|(w, _)| mask >> w & 1 == 1).map(|(_, w)| *w).collect(),
            series: *series,
        };
        plan(mode, &uses.iter().map(of).collect::<Vec<_>>())
    });
    let tuning = Tuning { longest_lease_us: 6 * MINUTE, slice_budget: 1000, lead_epochs: 2 };
    plan.prop_flat_map(move |plan| {
        let values: Vec<BoxedStrategy<Value>> =
            plan.columns.iter().map(|c| value(c.sketch.map_or(c.data_type, |sketch| sketch.input))).collect();
        let when = prop_oneof![
            9 => (0i64..1000).prop_map(When::Within),
            1 => (0..15 * MINUTE).prop_map(When::Late),
            1 => (0..3 * MINUTE).prop_map(When::Future),
        ];
        let event = (when, values).prop_map(|(when, values)| Draft::Event { key: 0, when, values, passes: true });
        let epoch = (Just(MINUTE), proptest::collection::vec(event, 4..16), Just(7usize));
        let epochs = proptest::collection::vec(epoch, 25..40);
        (Just(plan), epochs, any::<u64>()).prop_map(move |(plan, drafts, seed)| {
            let start = 1_704_067_200 * SECOND;
            let epochs = settle(&plan, start, drafts);
            Case { plan, tuning, start, heap_keys: false, epochs, seed }
        })
    })
}

/// Gives drafts their instants and positions.
fn settle(plan: &ViewPlan, start: i64, drafts: Vec<(i64, Vec<Draft>, usize)>) -> Vec<EpochOfChanges> {
    let tile = match plan.mode {
        Mode::Interval(tile) | Mode::Batch { schedule: tile, .. } | Mode::Sawtooth(tile) => tile.micros(),
        Mode::Continuous => MINUTE,
    };
    let (mut at, mut count, mut before) = (start, 0u64, start);
    let mut gone = std::collections::HashSet::new();
    let mut epochs = Vec::new();
    for (step, drafts, batch) in drafts {
        at += step;
        let mut changes = Vec::new();
        for draft in drafts {
            match draft {
                Draft::Event { key, when, values, passes } => {
                    let time = match when {
                        When::Within(share) => at - step * share / 1000,
                        When::Edge(w, upper, off) => {
                            let window = plan.windows[w.index(plan.windows.len())];
                            let size = if upper || window.size == Span::UNBOUNDED { 0 } else { window.size.micros() };
                            plan.effective_time(EventTime::from_micros(at)).micros() + window.offset.micros() - size
                                + off
                        }
                        When::Tile(tiles, off) => (at.div_euclid(tile) - tiles) * tile + off,
                        When::Same => before,
                        When::Late(us) => at - us,
                        When::Future(us) => at + us,
                    };
                    before = time;
                    // A permutation of the order of arrival: positions decide, not arrival.
                    let position = count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8;
                    count += 1;
                    changes.push(Change::Event(Event { key, time, position, values, passes }));
                }
                Draft::Back(index) => {
                    let this = changes.iter().chain(epochs.iter().flat_map(|e: &EpochOfChanges| &e.changes));
                    let events: Vec<u64> = this
                        .filter_map(|c| if let Change::Event(e) = c { Some(e.position) } else { None })
                        .filter(|p| !gone.contains(p))
                        .collect();
                    if !events.is_empty() {
                        let chosen = *index.get(&events);
                        gone.insert(chosen);
                        changes.push(Change::Back(chosen));
                    }
                }
            }
        }
        epochs.push(EpochOfChanges { at, changes, batch });
    }
    epochs
}
