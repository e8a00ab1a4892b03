//! Interrupted and resumed: a process that ends in the middle, wherever that is, and others that go on, with other
//! numbers of workers. Values are those of the naive evaluation and of datasets, for every kind of view at once.

#[path = "resumed/oracle.rs"]
mod oracle;
mod running;
#[path = "resumed/world.rs"]
mod world;

use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use freshet_config::arrays::feature_array;
use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_engine::dataset::Dataset;
use freshet_operators::lookup::ServedValue;
use freshet_operators::row::Status;
use oracle::Oracle;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use running::{Random, Running, SECOND, cut_off, plan, start};
use world::{Told, definitions, told};

const MODES: [&str; 5] =
    ["continuous", "{interval: 20s}", "{interval: 1m}", "{sawtooth: 30s}", "{batch: {schedule: 30s, delay: 10s}}"];

/// Writes what the files of the history hold.
fn write_history(directory: &Path, told: &[Told]) {
    for source in ["orders", "baskets"] {
        let of_source = told.iter().filter(|told| told.source() == source);
        let lines: String = of_source.map(|told| told.json() + "\n").collect();
        std::fs::write(directory.join(format!("{source}.ndjson")), lines).unwrap();
    }
}

/// Pushes in the order told, at most `chunk` records at once.
fn push(running: &Running, told: &[Told], chunk: usize) {
    for run in told.chunk_by(|a, b| a.source() == b.source()) {
        let records: Vec<String> = run.iter().map(Told::json).collect();
        running.push(run[0].source(), &records, chunk);
    }
}

/// Compares every value of every key now, and at some instants that rows still cover.
fn check(running: &Running, told: &[Told], what: &str) {
    let oracle = Oracle::new(&running.plan, told);
    let now = running.now();
    let (mut there, mut ahead) = (0, 0);
    for (view, definition) in running.plan.definitions.views.iter().enumerate() {
        let entity = &running.plan.definitions.entities[definition.entity].name;
        for (_, key) in Oracle::keys().into_iter().filter(|(of, _)| of == entity) {
            for seconds in [0, 7, 45, 200] {
                let at = EventTime::from_micros(now.micros() + seconds * SECOND);
                let read = running.read(view, std::slice::from_ref(&key), at);
                if seconds > 0 && read.iter().any(|feature| feature.status == Status::Stale) {
                    continue;
                }
                let found: Vec<Value> = read.into_iter().map(|feature| feature.value).collect();
                let name = &definition.name;
                assert_eq!(found, oracle.values(view, &key, at), "{what}: {name} of {key}, {seconds} s ahead");
                ahead += usize::from(seconds > 0);
                there += found.iter().filter(|value| !is_nothing(value)).count();
            }
        }
    }
    assert!(there > 60 && ahead > 20, "{what}: only {there} values are there, {ahead} keys are asked ahead");
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Int64(0) => true,
        Value::List(values) => values.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

#[test]
fn values_are_the_same_however_often_the_process_ends_in_the_middle() {
    for seed in 1..=6 {
        let mut random = Random(seed);
        let modes = [random.pick(&MODES), random.pick(&MODES)];
        let workers: [usize; 3] = std::array::from_fn(|_| 1 + random.below(4) as usize);
        let chunk = 1 + random.below(60) as usize;
        let what = format!("seed {seed}, {modes:?}, workers {workers:?}, {chunk} records at once");
        let told = told(seed, 360);
        let first = tempfile::tempdir().unwrap();
        write_history(first.path(), &told[..100]);
        let text = definitions(modes, true, true);
        let running = start(first.path(), &plan(&text, first.path()), workers[0]);
        push(&running, &told[100..210], chunk);
        // In the middle of its history or of its stream, as it happens.
        let second = cut_off(first.path());
        drop(running);

        let running = start(second.path(), &plan(&text, second.path()), workers[1]);
        if seed % 2 == 0 {
            running.settle();
            check(&running, &told[..210], &format!("{what}, after an end"));
        }
        push(&running, &told[210..300], chunk);
        let third = cut_off(second.path());
        drop(running);

        let running = start(third.path(), &plan(&text, third.path()), workers[2]);
        push(&running, &told[300..], chunk);
        running.settle();
        check(&running, &told, &format!("{what}, after two ends"));
        running.stop();
        // In good order.
        let running = start(third.path(), &plan(&text, third.path()), workers[0]);
        running.settle();
        check(&running, &told, &format!("{what}, after all"));
        running.stop();
    }
}

/// The same files and streams, read as one history.
#[test]
fn datasets_say_what_a_resumed_process_serves() {
    for (seed, modes) in [(7, [MODES[0], MODES[1]]), (8, [MODES[1], MODES[0]]), (9, [MODES[3], MODES[4]])] {
        let told = told(seed, 300);
        let first = tempfile::tempdir().unwrap();
        write_history(first.path(), &told[..80]);
        let text = definitions(modes, true, true);
        let running = start(first.path(), &plan(&text, first.path()), 2);
        push(&running, &told[80..200], 11);
        let second = cut_off(first.path());
        drop(running);
        let running = start(second.path(), &plan(&text, second.path()), 3);
        push(&running, &told[200..], 11);
        running.settle();

        let whole = tempfile::tempdir().unwrap();
        write_history(whole.path(), &told);
        let plan = plan(&definitions(modes, true, false), whole.path());
        let now = running.now();
        let keys = Oracle::keys();
        let of = |entity: &str| -> Vec<Value> {
            keys.iter().filter(|(name, _)| *name == entity).map(|(_, key)| key.clone()).collect()
        };
        let pairs: Vec<(Value, Value)> = of("buyer")
            .into_iter()
            .flat_map(|buyer| of("shop").into_iter().map(move |shop| (buyer.clone(), shop)))
            .collect();
        let rows: String = pairs.iter().map(|(buyer, shop)| format!("{buyer},{shop},{now}\n")).collect();
        let spine = whole.path().join("spine.csv");
        std::fs::write(&spine, format!("buyer,shop,at\n{rows}")).unwrap();
        let dataset = Dataset::build(&plan, "s", &spine, None).unwrap();
        let [batch] = &dataset.batches[..] else { panic!("one batch") };
        let service = &running.plan.services[0];
        for (row, (buyer, shop)) in pairs.iter().enumerate() {
            for feature in &service.features {
                let ServedValue::View(of) = &feature.value else { panic!("nothing is derived") };
                let view = service.views[of.view].view;
                let entity = running.plan.definitions.views[view].entity;
                let key = if running.plan.definitions.entities[entity].name == "buyer" { buyer } else { shop };
                let served = &running.values(view, std::slice::from_ref(key), now)[of.feature];
                let trained = batch.column_by_name(&feature.name.replace('.', "__")).unwrap().slice(row, 1);
                let served = feature_array(&feature.data_type, [served]).unwrap();
                assert_eq!(&trained, &served, "seed {seed}: {} of {buyer} and {shop}", feature.name);
            }
        }
        running.stop();
    }
}

fn known_at(file: &Path) -> Vec<EventTime> {
    let file = std::fs::File::open(file).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let column = |batch: RecordBatch| -> Vec<EventTime> {
        let column = batch.column_by_name("known_at").unwrap().as_primitive::<TimestampMicrosecondType>();
        column.values().iter().map(|micros| EventTime::from_micros(*micros)).collect()
    };
    batches.flat_map(|batch| column(batch.unwrap())).collect()
}

/// Versions of rows and names of offline files grow over restarts, though the clock of events stands still.
#[test]
fn epochs_go_on_behind_those_of_the_process_before() {
    let told = told(9, 60);
    let directory = tempfile::tempdir().unwrap();
    let text = definitions([MODES[0], MODES[1]], false, true);
    let plan = plan(&text, directory.path());
    let mut files: Vec<String> = Vec::new();
    for round in 0..3 {
        let running = start(directory.path(), &plan, 1 + round);
        if round == 0 {
            push(&running, &told, 50);
        }
        // Each closes an epoch, and the clock does not move.
        (0..20).for_each(|_| running.settle());
        let now = running.now();
        running.stop();
        let listed = std::fs::read_dir(directory.path().join("offline/bought")).unwrap();
        let mut names: Vec<String> = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert!(names.len() > files.len(), "every process writes a row of every live key: {names:?}");
        let epochs = |name: &str| -> Vec<u64> {
            name.trim_end_matches(".parquet").split('-').map(|number| number.parse().unwrap()).collect()
        };
        let all: Vec<u64> = names.iter().flat_map(|name| epochs(name)).collect();
        assert!(all.is_sorted(), "{names:?}");
        assert!(files.iter().all(|name| names.contains(name)), "{names:?} without {files:?}");
        let news = names.iter().filter(|name| !files.contains(name));
        let known: Vec<EventTime> =
            news.flat_map(|name| known_at(&directory.path().join("offline/bought").join(name))).collect();
        assert!(known.iter().all(|at| *at <= now), "{known:?}, now {now}");
        // The rows a process begins with are of the clock's instant, and their numbers are ahead of it: those of the process before
        // have reached it. Which epochs the first process has rows in depends on how fast it took its events.
        if round > 0 {
            assert!(all.iter().any(|epoch| *epoch > now.micros().unsigned_abs()), "{names:?}");
            assert!(known.contains(&now), "{known:?}, now {now}");
        }
        files = names;
    }
}
