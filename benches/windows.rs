//! Throughput of the window state: decoded batches -> SQL expressions -> exchange -> windows -> rows.
//!
//! ```text
//! cargo bench --bench windows -- [events=10000000] [mode=continuous|interval_1m|interval_5m] [workers=1|2] [epoch=1|60]
//! ```
//! Without a filter every combination runs. The workload is card transactions over three days: a million cards drawn by
//! Zipf 1.05, amounts log-normal in cents, 1 % of the events late by up to five minutes.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use freshet_config::definitions::{
    Aggregate, Column, Feature, Function, Mode, PlanId, Sql, View, Window, arrow_schema,
};
use freshet_config::diagnostic::Place;
use freshet_config::time::Span;
use freshet_config::value::DataType;
use freshet_operators::batch::KeyedBatch;
use freshet_operators::project::{ProjectedColumn, Projection, SourceBatch, project};
use freshet_operators::slices::{Layout, Tuning, ViewStats, ViewStore};
use freshet_operators::sql::Expression;
use freshet_operators::view::ViewPlan;
use freshet_operators::windows::{Control, GroupView, Rows, windows};
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Input, Probe};
use timely::dataflow::{InputHandle, ProbeHandle};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CARDS: usize = 1_000_000;
const ZIPF_EXPONENT: f64 = 1.05;
const START_US: i64 = 1_704_067_200_000_000;
const SPAN_US: i64 = 3 * 86_400_000_000;
const MINUTE_US: i64 = 60_000_000;
const BATCH_ROWS: usize = 8192;
/// Epochs that may be under way at once.
const EPOCHS_AHEAD: i64 = 8;

/// SplitMix64: small, seeded, good enough for a workload.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    /// Standard normal (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// Where event `i` of `n` stands in the order of arrival.
fn arrival_us(i: usize, n: usize) -> i64 {
    START_US + (i as f64 * (SPAN_US as f64 / n as f64)) as i64
}

fn columns() -> Vec<Column> {
    [("card_id", DataType::Int64), ("amount", DataType::Float64), ("ts", DataType::Timestamp)]
        .map(|(name, data_type)| Column { name: name.to_string(), data_type })
        .to_vec()
}

/// All events in the order of arrival.
fn generate(n: usize) -> RecordBatch {
    let mut random = Random(7);
    let mut cards: Vec<i64> = (0..CARDS as i64).collect();
    for i in (1..CARDS).rev() {
        cards.swap(i, random.below(i + 1));
    }
    let mut total = 0.0;
    let mut cumulated = vec![0.0; CARDS];
    for (rank, sum) in cumulated.iter_mut().enumerate() {
        total += (rank as f64 + 1.0).powf(-ZIPF_EXPONENT);
        *sum = total;
    }
    let (mut card, mut amount, mut time) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        let drawn = random.unit() * total;
        let rank = cumulated.partition_point(|sum| *sum < drawn).min(CARDS - 1);
        let late = if random.unit() < 0.01 { random.below(300_000_000) as i64 } else { 0 };
        card.push(cards[rank]);
        amount.push(((3.2 + 1.1 * random.normal()).exp() * 100.0).round() / 100.0);
        time.push(arrival_us(i, n) - late);
    }
    let schema = arrow_schema(&columns());
    let arrays: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int64Array::from(card)),
        Arc::new(Float64Array::from(amount)),
        Arc::new(TimestampMicrosecondArray::from(time)),
    ];
    RecordBatch::try_new(schema, arrays).expect("the columns have the schema's types")
}

/// count, sum, mean, max and stddev of the amount over ten minutes, an hour and a day.
fn view(mode: Mode) -> View {
    let place = Place::default;
    let windows = [600, 3600, 86_400].map(|s| Window { size: Span::from_secs(s), offset: Span::ZERO });
    let functions = [Function::Count, Function::Sum, Function::Mean, Function::Max, Function::StddevSamp];
    let aggregate = |function: &Function| Aggregate {
        name: function.name().to_string(),
        function: *function,
        of: Some(Sql { text: "amount".to_string(), place: place() }),
        order: None,
        filter: None,
        windows: windows.to_vec(),
        place: place(),
    };
    let aggregates: Vec<Aggregate> = functions.iter().map(aggregate).collect();
    let features = (0..aggregates.len()).flat_map(|aggregate| {
        (0..windows.len()).map(move |window| Feature { name: String::new(), aggregate, window, series: None })
    });
    View {
        name: "card".to_string(),
        served_as: "card".to_string(),
        source: 0,
        entity: 0,
        key_columns: vec!["card_id".to_string()],
        filter: None,
        mode,
        group: None,
        attributes: false,
        features: features.collect(),
        aggregates: aggregates.clone(),
        online: true,
        offline: false,
        serving_ttl: None,
        feature_start: None,
        lifetime_start: None,
        owner: None,
        description: None,
        tags: Vec::new(),
        place: place(),
    }
}

fn projection() -> Projection {
    let amount = Expression::compile("amount", &arrow_schema(&columns())).expect("the column exists");
    Projection {
        time: 2,
        keys: vec![(0, DataType::Int64)],
        category: None,
        columns: vec![ProjectedColumn { of: Some(amount), filter: None, data_type: DataType::Float64 }],
        filters: vec![None],
        keep_positions: false,
    }
}

/// Batches of one worker: the epoch's number, first row, rows.
fn share(n: usize, epoch_us: i64, worker: usize, workers: usize) -> Vec<(i64, usize, usize)> {
    let mut batches = Vec::new();
    let (mut from, mut turn) = (0, 0);
    while from < n {
        let epoch = (arrival_us(from, n) - START_US) / epoch_us;
        let mut end = from;
        while end < n && (arrival_us(end, n) - START_US) / epoch_us == epoch {
            end += 1;
        }
        let rows = (end - from).div_ceil(workers).min(BATCH_ROWS);
        for start in (from..end).step_by(rows) {
            if turn % workers == worker {
                batches.push((START_US + (epoch + 1) * epoch_us, start, rows.min(end - start)));
            }
            turn += 1;
        }
        from = end;
    }
    batches
}

#[derive(Clone, Copy, Default)]
struct Tally {
    elapsed: Duration,
    rows: u64,
    bytes: u64,
    stats: ViewStats,
}

/// One worker's part of a run.
fn run_worker(worker: &mut timely::worker::Worker, events: &RecordBatch, mode: Mode, epoch_us: i64) -> Tally {
    let batches = share(events.num_rows(), epoch_us, worker.index(), worker.peers());
    let groups = [projection()];
    let plan = ViewPlan::new(&view(mode), &[DataType::Float64], PlanId(1));
    let control = Rc::new(RefCell::new(Control::default()));
    let tally = Rc::new(RefCell::new(Tally::default()));
    let mut input = InputHandle::<u64, NoopBuilder<KeyedBatch>>::new_with_builder();
    let probe = ProbeHandle::new();
    worker.dataflow::<u64, _, _>(|scope| {
        let store = ViewStore::new(Layout::new(plan), Tuning::default(), vec![0], 0, false, START_US);
        let views = vec![GroupView { view: 0, store: store.into() }];
        let tally = tally.clone();
        windows(scope.input_from(&mut input), groups[0].shape(), views, control.clone())
            .unary::<NoopBuilder<Rows>, _, _, _>(Pipeline, "Count", move |_, _| {
                move |input, _| {
                    input.for_each(|_, rows: &mut Rows| {
                        let mut tally = tally.borrow_mut();
                        tally.rows += rows.0.len() as u64;
                        tally.bytes += rows.0.byte_len() as u64;
                    })
                }
            })
            .probe_with(&probe);
    });
    let started = Instant::now();
    for (epoch, start, rows) in batches {
        if epoch as u64 > *input.time() {
            input.advance_to(epoch as u64);
            worker.step();
            while probe.less_than(&((epoch - EPOCHS_AHEAD * epoch_us) as u64)) {
                worker.step();
            }
        }
        let batch = SourceBatch { events: events.slice(start, rows), positions: Vec::new(), signs: Vec::new() };
        let (mut keyed, _) = project(&groups, &batch).expect("the batch has the columns compiled for");
        input.send_batch(&mut keyed[0]);
    }
    drop(input);
    worker.step_while(|| !probe.done());
    let mut tally = *tally.borrow();
    tally.elapsed = started.elapsed();
    tally.stats = control.borrow().stats.get(&0).copied().unwrap_or_default();
    tally
}

fn run(events: &Arc<RecordBatch>, (name, mode): (&str, Mode), workers: usize, epoch_minutes: i64) {
    let config = if workers == 1 { timely::Config::thread() } else { timely::Config::process(workers) };
    let tallies = Arc::new(Mutex::new(Vec::new()));
    let (into, shared) = (tallies.clone(), events.clone());
    timely::execute(config, move |worker| {
        let tally = run_worker(worker, &shared, mode, epoch_minutes * MINUTE_US);
        into.lock().expect("no worker panicked").push(tally);
    })
    .expect("the workers start");
    let tallies = tallies.lock().expect("no worker panicked");
    let n = events.num_rows() as f64;
    let sum = |part: fn(&Tally) -> u64| tallies.iter().map(part).sum::<u64>() as f64;
    let elapsed = tallies.iter().map(|t| t.elapsed).max().unwrap_or_default().as_secs_f64();
    let keys = sum(|t| t.stats.keys);
    println!(
        "{name:<12} {workers} workers {epoch_minutes:>2}-min epochs: {:>6.2} M events/s | {:.3} rows and {:>4.0} bytes per event \
         ({:.3} refreshed, {:.3} dense) | {keys} keys, {} dense, {:.0} bytes of state per key",
        n / elapsed / 1e6,
        sum(|t| t.rows) / n,
        sum(|t| t.bytes) / n,
        sum(|t| t.stats.refreshed_rows) / n,
        sum(|t| t.stats.dense_rows) / n,
        sum(|t| t.stats.dense_keys),
        sum(|t| t.stats.state_bytes) / keys,
    );
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    format!("{cores} cores, {}", model.trim_start_matches([' ', '\t', ':']))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let chosen = |name: &str| arguments.iter().find_map(|a| a.strip_prefix(name)?.strip_prefix('='));
    let wants = |name: &str, value: &str| chosen(name).is_none_or(|c| c == value);
    let n = chosen("events").and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    println!("{}, {n} events, {CARDS} cards", machine());
    let events = Arc::new(generate(n));
    let minutes = |m: i64| Mode::Interval(Span::from_secs(60 * m));
    for mode in [("continuous", Mode::Continuous), ("interval_1m", minutes(1)), ("interval_5m", minutes(5))] {
        for workers in [1, 2] {
            for epoch_minutes in [1, 60] {
                let asked = wants("mode", mode.0) && wants("workers", &workers.to_string());
                if asked && wants("epoch", &epoch_minutes.to_string()) {
                    run(&events, mode, workers, epoch_minutes);
                }
            }
        }
    }
}
