//! A directory of definitions and files, and datasets as text.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use freshet_config::definitions::column_type;
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};
use freshet_engine::dataset::{Dataset, DatasetError, DatasetOptions, run};
use freshet_engine::plan::Plan;
use tempfile::TempDir;

/// Visits of a page: `clicks` per user in the last 10 s and minute, event-exact; `tiles` the same by steps of 10 s.
pub const DEFINITIONS: &str = "
sources:
  - name: visits
    history: {ndjson: {path: visits.ndjson}}
    schema: {id: int64, user: int64, page: string, cost: float64, seq: int64, at: timestamp}
    event_time: at
    dedup_key: id
    tie_breaker: seq
    enrich:
      - {dimension: pages, on: {page: page}, columns: [weight]}
    select:
      - {name: charge, sql: \"cost * weight\"}
dimensions:
  - name: pages
    key: page
    schema: {page: string, weight: float64}
    table: {csv: {path: pages.csv}}
entities:
  - {name: user, keys: {user: int64}}
views:
  - name: clicks
    source: visits
    entity: user
    aggregates:
      - {name: n, fn: count, windows: [10s, 1m]}
      - {name: page, fn: last, of: page, windows: [1m]}
      - {name: charge, fn: sum, of: charge, windows: [1m]}
  - name: tiles
    source: visits
    entity: user
    where: \"page <> 'bot'\"
    mode: {interval: 10s}
    feature_start: 1970-01-01T00:00:20Z
    aggregates:
      - {name: n, fn: count, windows: [10s]}
      - {name: cost, fn: max, of: cost, windows: [10s]}
services:
  - {name: visits_v1, features: [clicks, tiles]}
  - {name: counts, features: [clicks.n_10s]}
";

pub const PAGES: &str = "page,weight\nhome,2\nshop,0.5\n";

pub struct Fixture {
    directory: TempDir,
}

impl Fixture {
    /// Definitions, the table of pages, and a history of these lines.
    pub fn new(events: &str) -> Fixture {
        let fixture = Fixture { directory: tempfile::tempdir().unwrap() };
        fixture.file("features.yaml", DEFINITIONS);
        fixture.file("pages.csv", PAGES);
        fixture.file("visits.ndjson", events);
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub fn plan(&self) -> Plan {
        let definitions = freshet_config::load(self.directory.path()).unwrap();
        Plan::compile(definitions, self.directory.path()).unwrap()
    }

    pub fn build(&self, service: &str, spine: &Path) -> Result<Dataset, DatasetError> {
        Dataset::build(&self.plan(), service, spine, None)
    }

    /// The text of the file written for a spine.
    pub fn run(&self, service: &str, spine: &str, out: &str) -> Result<String, DatasetError> {
        let options = DatasetOptions {
            definitions: self.directory.path().to_path_buf(),
            service: service.to_string(),
            spine: self.path(spine),
            out: self.path(out),
            time_column: None,
        };
        run(&options)?;
        Ok(fs::read_to_string(options.out).unwrap())
    }

    /// An error's text, the directory's name taken out.
    pub fn refusal<T>(&self, result: Result<T, DatasetError>) -> String {
        match result {
            Ok(_) => "it was made".to_string(),
            Err(error) => error.to_string().replace(&self.directory.path().display().to_string(), "DIR"),
        }
    }
}

/// A visit at a second.
pub fn visit(id: i64, user: i64, page: &str, cost: f64, seq: i64, second: i64) -> String {
    let at = second * 1_000_000;
    format!("{{\"id\":{id},\"user\":{user},\"page\":\"{page}\",\"cost\":{cost:?},\"seq\":{seq},\"at\":{at}}}\n")
}

/// A column of a dataset as values.
pub fn column(dataset: &Dataset, name: &str) -> Vec<Value> {
    dataset.batches.iter().flat_map(|batch| cells(batch, name)).collect()
}

fn cells(batch: &RecordBatch, name: &str) -> Vec<Value> {
    let array = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    (0..array.len()).map(|row| if array.is_null(row) { Value::Null } else { cell(array, row) }).collect()
}

fn cell(array: &ArrayRef, row: usize) -> Value {
    match column_type(array.data_type()).unwrap() {
        DataType::Int32 => Value::Int32(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::Int64(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Value::Float32(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::Float64(array.as_primitive::<Float64Type>().value(row)),
        DataType::String => Value::String(array.as_string::<i32>().value(row).to_string()),
        DataType::Bool => Value::Bool(array.as_boolean().value(row)),
        DataType::Timestamp => {
            Value::Timestamp(EventTime::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(row)))
        }
    }
}
