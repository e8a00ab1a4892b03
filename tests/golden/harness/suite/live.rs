//! The same values through the running engine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType as Arrow, Field, Schema, TimeUnit, TimestampMicrosecondType};
use freshet_config::arrays::{feature_array, value_at};
use freshet_config::definitions::{Source, Stream};
use freshet_config::time::EventTime;
use freshet_config::value::{Value, encode_key};
use freshet_connectors::files::{list, read_parquet};
use freshet_connectors::ledger::Ledger;
use freshet_connectors::store::{MemoryStore, OnlineStore};
use freshet_engine::clock::Clock;
use freshet_engine::ingest::feed_file;
use freshet_engine::plan::Plan;
use freshet_engine::{Engine, EngineOptions};
use freshet_operators::lookup::{ServedValue, ServicePlan};
use freshet_operators::row::{FeatureValue, Reader, Status};

/// The values at every row of `spine`, read from a running engine that was fed the events of the definitions'
/// `history` through its stream: events in the order of their times, the clock advanced to each instant of the spine,
/// and a read `as_of` that instant. Columns are those of the spine, then `{view}__{feature}`; rows may be in any order.
pub fn run(definitions: &Path, spine: &Path) -> Result<Vec<RecordBatch>, String> {
    let mut resolved = freshet_config::load(definitions).map_err(text)?;
    let mut events = Vec::new();
    for source in &mut resolved.sources {
        events.extend(records(source, definitions)?);
        source.stream = Some(Stream::Log);
        source.history = None;
    }
    events.sort_by_key(|(at, ..)| *at);
    let plan = Arc::new(Plan::compile(resolved, definitions).map_err(text)?);
    let service = plan.services.first().ok_or("the definitions have no service")?.clone();
    let live = Live::start(plan, 2)?;
    let spine = Spine::read(spine, &service)?;
    let mut order: Vec<usize> = (0..spine.rows.num_rows()).collect();
    order.sort_by_key(|row| spine.instants[*row]);
    let mut values: Vec<Vec<Value>> = vec![Vec::new(); order.len()];
    let mut fed = 0;
    let mut reached = None;
    for row in order {
        let at = spine.instants[row];
        if reached != Some(at) {
            let end = fed + events[fed..].partition_point(|(time, ..)| *time <= at);
            live.feed(&events[fed..end], at)?;
            (fed, reached) = (end, Some(at));
        }
        values[row] = live.read(&service, &spine.keys[row], at)?;
    }
    live.engine.stop().map_err(text)?;
    Ok(vec![spine.with(&service, &values)?])
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Time, source and JSON text of every event of a source's history.
fn records(source: &Source, directory: &Path) -> Result<Vec<(EventTime, String, String)>, String> {
    let Some(history) = &source.history else { return Ok(Vec::new()) };
    let time = &source.schema[source.event_time].name;
    let mut events = Vec::new();
    for file in list(history, directory).map_err(text)?.files {
        let report = feed_file(source, &file, history.format, |records| -> Result<(), BadRecord> {
            for record in records {
                let parsed: serde_json::Value = serde_json::from_str(record).map_err(|e| BadRecord(text(e)))?;
                let at = parsed[time].as_str().ok_or_else(|| BadRecord(format!("no time in {record}")))?;
                let at = EventTime::parse(at).map_err(|e| BadRecord(text(e)))?;
                events.push((at, source.name.clone(), record.clone()));
            }
            Ok(())
        });
        report.map_err(text)?;
    }
    Ok(events)
}

#[derive(Debug)]
struct BadRecord(String);

impl std::fmt::Display for BadRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadRecord {}

struct Live {
    engine: Engine,
    store: Arc<OnlineStore>,
    _data: tempfile::TempDir,
}

impl Live {
    fn start(plan: Arc<Plan>, workers: usize) -> Result<Live, String> {
        let data = tempfile::tempdir().map_err(text)?;
        let store = Arc::new(OnlineStore::Memory(MemoryStore::new(plan.views.len())));
        let ledger = Arc::new(Ledger::open(&data.path().join("ledger")).map_err(text)?);
        let options = EngineOptions {
            workers,
            epoch: Duration::from_millis(1),
            data_dir: data.path().to_path_buf(),
            kafka: None,
            offline: data.path().join("offline"),
            clock: Arc::new(Clock::event()),
        };
        let engine = Engine::start(plan, options, store.clone(), ledger).map_err(text)?;
        Ok(Live { engine, store, _data: data })
    }

    /// Pushes events in order, and waits until rows are exact at `at`.
    fn feed(&self, events: &[(EventTime, String, String)], at: EventTime) -> Result<(), String> {
        for part in events.chunk_by(|a, b| a.1 == b.1) {
            let records: Vec<&str> = part.iter().map(|(.., record)| record.as_str()).collect();
            let report = self.engine.push(&part[0].1, &records).map_err(text)?;
            if let Some(rejected) = report.rejected.first() {
                return Err(format!("{}: {}", rejected.code, rejected.message));
            }
        }
        // What was pushed becomes rows first, so that no event is dated after `at`.
        if !self.engine.settle() {
            return Err("the engine stopped".to_string());
        }
        self.engine.clock().advance(at);
        if self.engine.settle() { Ok(()) } else { Err("the engine stopped".to_string()) }
    }

    fn read(&self, service: &ServicePlan, keys: &[Value], at: EventTime) -> Result<Vec<Value>, String> {
        let OnlineStore::Memory(store) = &*self.store else { return Err("a memory store was opened".to_string()) };
        let mut views: Vec<Vec<FeatureValue>> = Vec::new();
        for view in &service.views {
            let mut key = Vec::new();
            encode_key(view.key.iter().map(|k| &keys[*k]), &mut key).map_err(text)?;
            let mut reader = Reader::new(&view.plan);
            let mut out = Vec::new();
            if store.get(view.view, &key, |row| reader.read(&view.plan, Some(row), at, &mut out)).is_none() {
                reader.read(&view.plan, None, at, &mut out);
            }
            views.push(out);
        }
        let read = service.features.iter().map(|feature| {
            let ServedValue::View(place) = feature.value else {
                return Err(format!("{} is derived, which is not compared", feature.name));
            };
            let value = &views[place.view][place.feature];
            match value.status {
                Status::Stale => Err(format!("{} is stale at {at}", feature.name)),
                _ => Ok(value.value.clone()),
            }
        });
        read.collect()
    }
}

struct Spine {
    rows: RecordBatch,
    instants: Vec<EventTime>,
    /// The service's join keys, per row.
    keys: Vec<Vec<Value>>,
}

impl Spine {
    fn read(path: &Path, service: &ServicePlan) -> Result<Spine, String> {
        let (schema, batches) = read_parquet(path).map_err(text)?;
        let rows = concat_batches(&schema, &batches).map_err(text)?;
        let is_time = |f: &Arc<Field>| matches!(f.data_type(), Arrow::Timestamp(..));
        let time = schema.fields().iter().position(is_time).ok_or("the spine has no column of instants")?;
        let times = cast(rows.column(time), &Arrow::Timestamp(TimeUnit::Microsecond, None)).map_err(text)?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let instants = times.values().iter().map(|t| EventTime::from_micros(*t)).collect();
        let mut columns: Vec<(ArrayRef, _)> = Vec::new();
        for key in &service.join_keys {
            let column =
                rows.column_by_name(&key.name).ok_or_else(|| format!("the spine has no column {}", key.name))?;
            let wanted = freshet_config::definitions::arrow_type(key.data_type);
            columns.push((cast(column, &wanted).map_err(text)?, key.data_type));
        }
        let row_keys = |row| columns.iter().map(|(column, t)| value_at(column, *t, row)).collect();
        let keys = (0..rows.num_rows()).map(row_keys).collect();
        Ok(Spine { rows, instants, keys })
    }

    /// The spine's columns, then the features'.
    fn with(&self, service: &ServicePlan, values: &[Vec<Value>]) -> Result<RecordBatch, String> {
        let mut fields = self.rows.schema().fields().to_vec();
        let mut columns = self.rows.columns().to_vec();
        for (f, feature) in service.features.iter().enumerate() {
            let column = feature_array(&feature.data_type, values.iter().map(|row| &row[f])).map_err(text)?;
            let name = feature.name.replacen('.', "__", 1);
            fields.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
            columns.push(column);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(text)
    }
}
