//! Throughput of the window state: decoded batches -> SQL expressions -> exchange -> windows -> rows.
//!
//! ```text
//! cargo bench --bench windows -- [events=10000000] [mode=continuous|interval_1m|interval_5m] [workers=1|2] [epoch=1|60]
//! ```
//! Without a filter every combination runs, on the workload of all benchmarks.

#[allow(dead_code, reason = "each benchmark takes its part of the workload")]
mod workload;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use freshet_config::definitions::{
    Aggregate, Column, Feature, Function, Mode, PlanId, Sql, View, Window, arrow_schema,
};
use freshet_config::diagnostic::Place;
use freshet_config::time::{EventTime, Span};
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

use workload::START_US;
use workload::graph::grouped;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MINUTE_US: i64 = 60_000_000;
const BATCH_ROWS: usize = 8192;
/// Epochs that may be under way at once.
const EPOCHS_AHEAD: i64 = 8;

/// Card, amount and time of the workload.
const COLUMNS: [usize; 3] = [0, 1, 2];

fn columns() -> Vec<Column> {
    [("card_id", DataType::Int64), ("amount", DataType::Float64), ("ts", DataType::Timestamp)]
        .map(|(name, data_type)| Column { name: name.to_string(), data_type })
        .to_vec()
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

/// Batches by the number of their epoch.
type Epochs = Vec<(i64, Vec<SourceBatch>)>;

#[derive(Clone, Copy, Default)]
struct Tally {
    elapsed: Duration,
    rows: u64,
    bytes: u64,
    stats: ViewStats,
}

/// One worker's part of a run.
fn run_worker(worker: &mut timely::worker::Worker, epochs: &Epochs, mode: Mode, epoch_us: i64) -> Tally {
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
    for (number, batches) in epochs {
        let epoch = START_US + (number + 1) * epoch_us;
        control.borrow_mut().date(epoch as u64, EventTime::from_micros(epoch));
        input.advance_to(epoch as u64);
        worker.step();
        while probe.less_than(&((epoch - EPOCHS_AHEAD * epoch_us) as u64)) {
            worker.step();
        }
        for batch in batches.iter().skip(worker.index()).step_by(worker.peers()) {
            let (mut keyed, _) = project(&groups, batch).expect("the batch has the columns compiled for");
            input.send_batch(&mut keyed[0]);
        }
    }
    drop(input);
    worker.step_while(|| !probe.done());
    let mut tally = *tally.borrow();
    tally.elapsed = started.elapsed();
    tally.stats = control.borrow().stats.get(&0).copied().unwrap_or_default();
    tally
}

fn run(epochs: &Arc<Epochs>, (name, mode): (&str, Mode), workers: usize, epoch_minutes: i64) {
    let config = if workers == 1 { timely::Config::thread() } else { timely::Config::process(workers) };
    let tallies = Arc::new(Mutex::new(Vec::new()));
    let (into, shared) = (tallies.clone(), epochs.clone());
    timely::execute(config, move |worker| {
        let tally = run_worker(worker, &shared, mode, epoch_minutes * MINUTE_US);
        into.lock().expect("no worker panicked").push(tally);
    })
    .expect("the workers start");
    let tallies = tallies.lock().expect("no worker panicked");
    let rows = |batch: &SourceBatch| batch.events.num_rows();
    let n = epochs.iter().flat_map(|(_, batches)| batches).map(rows).sum::<usize>() as f64;
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

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let chosen = |name: &str| arguments.iter().find_map(|a| a.strip_prefix(name)?.strip_prefix('='));
    let wants = |name: &str, value: &str| chosen(name).is_none_or(|c| c == value);
    let n = chosen("events").and_then(|n| n.parse().ok()).unwrap_or(10_000_000);
    println!("{n} events; {}", workload::machine());
    let minutes = |m: i64| Mode::Interval(Span::from_secs(60 * m));
    let modes = [("continuous", Mode::Continuous), ("interval_1m", minutes(1)), ("interval_5m", minutes(5))];
    for epoch_minutes in [1, 60].into_iter().filter(|minutes| wants("epoch", &minutes.to_string())) {
        let mut batches = workload::batches(n, BATCH_ROWS, epoch_minutes * MINUTE_US, 7);
        for (_, batch) in &mut batches {
            *batch = batch.project(&COLUMNS).expect("columns of the workload");
        }
        for workers in [1, 2].into_iter().filter(|workers| wants("workers", &workers.to_string())) {
            let epochs = Arc::new(grouped(&batches, workers));
            for mode in modes.into_iter().filter(|(name, _)| wants("mode", name)) {
                run(&epochs, mode, workers, epoch_minutes);
            }
        }
    }
}
