//! The files of the example: found, cut into history and stream, and asked as training sets.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use freshet_config::time::EventTime;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::checks::Question;
use crate::exit::Failure;
use crate::records::json_records;
use freshet_engine::dataset::{self, DatasetOptions};

const EVENTS: &str = "flight_events.parquet";
const PLANES: &str = "planes.parquet";
/// The columns of each file that are used.
const EXPECTED: [(&str, &str); 2] = [
    (
        EVENTS,
        "event_id, event_time, kind, airport, carrier, tailnum, flight, origin, dest, distance_mi, delay_min, \
         air_time_min",
    ),
    (PLANES, "tailnum, seats"),
];

/// How many departures the prober chooses from.
const LEGS: usize = 2000;

/// An event that is still to happen.
pub struct StreamEvent {
    pub at: EventTime,
    pub record: String,
}

/// The events after the cut; those before it are a file.
pub struct FlightData {
    pub history_events: usize,
    /// In the order of event time, ties in the order of the file.
    pub stream: Vec<StreamEvent>,
    /// The replay's last instant.
    pub end: EventTime,
}

/// Whether the files are there; says which are not, and what they should hold.
pub fn check_files(data: &Path) -> Result<(), Failure> {
    let missing: Vec<_> = EXPECTED.iter().filter(|(name, _)| !data.join(name).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut lines = vec![format!("the directory {} lacks files of the flights example", data.display())];
    for (name, columns) in missing {
        lines.push(format!("missing {name}: Parquet with the columns {columns}"));
    }
    Err(Failure::data(lines.join("\n")))
}

impl FlightData {
    /// Writes the events before `from` into the directory of definitions and keeps those up to `until`.
    pub fn split(
        data: &Path,
        definitions: &Path,
        from: EventTime,
        until: Option<EventTime>,
    ) -> Result<FlightData, Failure> {
        let target = definitions.join("data");
        fs::copy(data.join(PLANES), target.join(PLANES))
            .map_err(|error| Failure::cannot_write(format!("cannot copy {PLANES}: {error}")))?;
        let path = data.join(EVENTS);
        let unreadable =
            |error: &dyn std::fmt::Display| Failure::data(format!("cannot read {}: {error}", path.display()));
        let unwritable =
            |error: &dyn std::fmt::Display| Failure::cannot_write(format!("cannot write the history: {error}"));
        let file = File::open(&path).map_err(|error| unreadable(&error))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| unreadable(&error))?;
        let schema = builder.schema().clone();
        let reader = builder.build().map_err(|error| unreadable(&error))?;
        let history = File::create(target.join(EVENTS)).map_err(|error| unwritable(&error))?;
        let mut writer = ArrowWriter::try_new(history, schema, None).map_err(|error| unwritable(&error))?;
        let mut flights = FlightData { history_events: 0, stream: Vec::new(), end: from };
        for batch in reader {
            let batch = batch.map_err(|error| unreadable(&error))?;
            let old = flights.take(&batch, from, until).map_err(|error| unreadable(&error))?;
            flights.history_events += old.num_rows();
            writer.write(&old).map_err(|error| unwritable(&error))?;
        }
        writer.close().map_err(|error| unwritable(&error))?;
        flights.stream.sort_by_key(|event| event.at);
        let last = flights.stream.last().map_or(from, |event| event.at);
        flights.end = until.unwrap_or(last).max(from);
        Ok(flights)
    }

    /// Keeps what is to be replayed and gives what is history.
    fn take(
        &mut self,
        batch: &RecordBatch,
        from: EventTime,
        until: Option<EventTime>,
    ) -> Result<RecordBatch, ArrowError> {
        let times = instants(batch)?;
        let old = times.iter().map(|at| at.map(|at| at < from.micros())).collect();
        let ahead = |at: i64| at >= from.micros() && until.is_none_or(|until| at <= until.micros());
        let new = times.iter().map(|at| at.map(ahead)).collect();
        let new = filter_record_batch(batch, &new)?;
        let records = json_records(&new)?;
        for (at, record) in instants(&new)?.iter().zip(records) {
            if let Some(at) = at {
                self.stream.push(StreamEvent { at: EventTime::from_micros(at), record });
            }
        }
        filter_record_batch(batch, &old)
    }

    /// Join keys of departures to come, as lookups before them would have them.
    pub fn legs(&self) -> Vec<Value> {
        let mut legs = Vec::new();
        for event in self.stream.iter().take(2 * LEGS) {
            let Ok(Value::Object(event)) = serde_json::from_str(&event.record) else { continue };
            let take = |name: &str| event.get(name).cloned().unwrap_or_default();
            if event.get("kind").and_then(Value::as_str) == Some("departure") {
                legs.push(json!({
                    "tailnum": take("tailnum"),
                    "carrier": take("carrier"),
                    "airport": take("origin"),
                    "origin": take("origin"),
                    "dest": take("dest"),
                }));
            }
        }
        legs
    }
}

fn instants(batch: &RecordBatch) -> Result<Arc<TimestampMicrosecondArray>, ArrowError> {
    let column = batch
        .column_by_name("event_time")
        .ok_or_else(|| ArrowError::SchemaError("there is no column `event_time`".to_string()))?;
    let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
    let times = micros.as_primitive_opt::<TimestampMicrosecondType>();
    let times = times.ok_or_else(|| ArrowError::CastError("`event_time` is no timestamp".to_string()))?;
    Ok(Arc::new(times.clone()))
}

/// The features of one instant inside history, by `freshet dataset`'s own path: a spine of one row, a file out.
pub fn training_row(definitions: &Path, index: usize, question: &Question) -> Result<Value, Failure> {
    let directory = definitions.with_file_name("checks");
    let failed = |error| Failure::cannot_write(format!("cannot write to {}: {error}", directory.display()));
    fs::create_dir_all(&directory).map_err(failed)?;
    let spine = directory.join(format!("spine-{index}.ndjson"));
    let out = directory.join(format!("rows-{index}.ndjson"));
    let mut row = question.keys.clone();
    row["time"] = question.at.to_string().into();
    fs::write(&spine, format!("{row}\n")).map_err(failed)?;
    let options = DatasetOptions {
        definitions: definitions.to_path_buf(),
        service: question.service.to_string(),
        spine,
        out: out.clone(),
        time_column: Some("time".to_string()),
    };
    dataset::run(&options).map_err(|error| Failure::internal(error.to_string()))?;
    let text = fs::read_to_string(&out)
        .map_err(|error| Failure::internal(format!("cannot read {}: {error}", out.display())))?;
    let row = text.lines().next().unwrap_or_default();
    serde_json::from_str(row).map_err(|error| Failure::internal(format!("{} is no JSON: {error}", out.display())))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use freshet_config::time::Span;

    use super::*;

    fn write(dir: &Path, from: EventTime) {
        let times: Vec<i64> = [-60, 0, 60, 120].iter().map(|s| (from + Span::from_secs(*s)).micros()).collect();
        let batch = RecordBatch::try_from_iter([
            ("event_id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as _),
            ("event_time", Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) as _),
            ("kind", Arc::new(StringArray::from(vec!["departure"; 4])) as _),
        ])
        .unwrap();
        for name in [EVENTS, PLANES] {
            let file = File::create(dir.join(name)).unwrap();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
    }

    #[test]
    fn the_cut_gives_every_event_to_one_side() {
        let dir = tempfile::tempdir().unwrap();
        let from = EventTime::parse("2013-11-01T00:00:00Z").unwrap();
        assert!(check_files(dir.path()).unwrap_err().message.contains("missing planes.parquet"));
        write(dir.path(), from);
        check_files(dir.path()).unwrap();
        let definitions = dir.path().join("definitions");
        fs::create_dir_all(definitions.join("data")).unwrap();
        let all = FlightData::split(dir.path(), &definitions, from, None).unwrap();
        assert_eq!((all.history_events, all.stream.len()), (1, 3));
        assert_eq!(all.stream[0].record, r#"{"event_id":2,"event_time":"2013-11-01T00:00:00Z","kind":"departure"}"#);
        assert_eq!(all.end, from + Span::from_secs(120));
        assert_eq!(all.legs().len(), 3);
        let some = FlightData::split(dir.path(), &definitions, from, Some(from + Span::from_secs(60))).unwrap();
        assert_eq!((some.stream.len(), some.end), (2, from + Span::from_secs(60)));
    }
}
