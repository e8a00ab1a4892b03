//! The spine: which keys are asked for at which instants. Its other columns are luggage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType as Arrow, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use freshet_config::definitions::{Column, FileFormat, Files, arrow_type};
use freshet_config::foreign::type_name;
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};
use freshet_connectors::files;

use super::error::DatasetError;

/// Of several columns of timestamps, the one that is meant.
const USUAL_NAMES: [&str; 3] = ["timestamp", "time", "event_time"];

pub(super) struct Spine {
    pub path: PathBuf,
    pub schema: SchemaRef,
    /// As read, every column.
    pub batches: Vec<RecordBatch>,
    /// Per row its instant.
    pub times: Vec<EventTime>,
    /// Per join key of the service, per batch.
    keys: Vec<Vec<ArrayRef>>,
    /// Per request field of the service, per batch.
    pub request: Vec<Vec<ArrayRef>>,
    /// First row of each batch.
    starts: Vec<usize>,
}

/// Columns that a spine must have.
#[derive(Clone, Copy)]
struct Asked<'a> {
    join_keys: &'a [Column],
    request: &'a [Column],
    time_column: Option<&'a str>,
}

/// Columns of a file, by name, and whether they hold timestamps.
struct Names<'a> {
    spine: &'a Path,
    columns: Vec<(String, bool)>,
    /// Whether the types were told from the values.
    text: bool,
}

impl Spine {
    pub fn read(
        path: &Path,
        join_keys: &[Column],
        request: &[Column],
        time_column: Option<&str>,
    ) -> Result<Spine, DatasetError> {
        let format = format(path)?;
        let asked = Asked { join_keys, request, time_column };
        let (schema, batches, time) = match format {
            FileFormat::Parquet => parquet(path, asked)?,
            FileFormat::Csv | FileFormat::Ndjson => text(path, format, asked)?,
        };
        Spine::new(path, schema, batches, &time, asked)
    }

    /// Rows in memory; messages call them `rows`.
    pub fn of_rows(
        rows: RecordBatch,
        join_keys: &[Column],
        request: &[Column],
        time_column: &str,
    ) -> Result<Spine, DatasetError> {
        let (schema, path) = (rows.schema(), Path::new("rows"));
        let asked = Asked { join_keys, request, time_column: Some(time_column) };
        let time = Names { spine: path, columns: kinds(&schema), text: false }.check(asked)?;
        Spine::new(path, schema, vec![rows], &time, asked)
    }

    fn new(
        path: &Path,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
        time: &str,
        asked: Asked<'_>,
    ) -> Result<Spine, DatasetError> {
        let mut spine = Spine {
            path: path.to_path_buf(),
            schema,
            batches,
            times: Vec::new(),
            keys: Vec::new(),
            request: Vec::new(),
            starts: Vec::new(),
        };
        spine.read_times(time)?;
        for key in asked.join_keys {
            let index = spine.schema.index_of(&key.name)?;
            let arrays = spine.batches.iter().map(|batch| key_array(path, key, batch.column(index)));
            let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
            spine.keys.push(arrays);
        }
        for field in asked.request {
            let index = spine.schema.index_of(&field.name)?;
            let arrays = spine.batches.iter().map(|batch| field_array(path, field, batch.column(index)));
            let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
            spine.request.push(arrays);
        }
        Ok(spine)
    }

    pub fn rows(&self) -> usize {
        self.times.len()
    }

    /// The value of a join key (an index into the service's) in a row.
    pub fn key(&self, join_key: usize, row: usize) -> Value {
        let batch = self.starts.partition_point(|start| *start <= row).saturating_sub(1);
        let array = &self.keys[join_key][batch];
        let at = row - self.starts[batch];
        if array.is_null(at) {
            return Value::Null;
        }
        match array.data_type() {
            Arrow::Int64 => Value::Int64(array.as_primitive::<Int64Type>().value(at)),
            Arrow::Utf8 => Value::String(array.as_string::<i32>().value(at).to_string()),
            Arrow::Boolean => Value::Bool(array.as_boolean().value(at)),
            Arrow::Timestamp(..) => {
                Value::Timestamp(EventTime::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(at)))
            }
            // `key_array` gives no other type.
            _ => Value::Null,
        }
    }

    fn read_times(&mut self, column: &str) -> Result<(), DatasetError> {
        let index = self.schema.index_of(column)?;
        for batch in &self.batches {
            self.starts.push(self.times.len());
            let found = micros(batch.column(index)).ok_or_else(|| DatasetError::ColumnType {
                spine: self.path.clone(),
                column: column.to_string(),
                found: type_name(batch.column(index).data_type()),
                wanted: "a timestamp".to_string(),
            })?;
            for micros in found {
                let row = self.times.len() + 1;
                let (spine, column) = (self.path.clone(), column.to_string());
                let Some(micros) = micros else { return Err(DatasetError::NullTime { spine, column, row }) };
                let time = EventTime::from_micros(micros);
                if !time.in_range() {
                    return Err(DatasetError::TimeRange { spine, column, row });
                }
                self.times.push(time);
            }
        }
        Ok(())
    }
}

fn format(path: &Path) -> Result<FileFormat, DatasetError> {
    if path.is_dir() {
        return Ok(FileFormat::Parquet);
    }
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("parquet") => Ok(FileFormat::Parquet),
        Some("csv") => Ok(FileFormat::Csv),
        Some("ndjson" | "jsonl") => Ok(FileFormat::Ndjson),
        _ => Err(DatasetError::UnknownFormat(path.to_path_buf())),
    }
}

type Read = (SchemaRef, Vec<RecordBatch>, String);

fn parquet(path: &Path, asked: Asked<'_>) -> Result<Read, DatasetError> {
    let wanted = Files { format: FileFormat::Parquet, path: path.to_string_lossy().into_owned() };
    let mut read: Option<(SchemaRef, Vec<RecordBatch>)> = None;
    for file in files::list(&wanted, Path::new(""))?.files {
        let (schema, batches) = files::read_parquet(&file)?;
        match &mut read {
            None => read = Some((schema, batches)),
            Some((first, all)) if first.fields() == schema.fields() => all.extend(batches),
            Some(_) => return Err(DatasetError::SpineFiles { spine: path.to_path_buf(), file }),
        }
    }
    let (schema, batches) = read.unwrap_or((Arc::new(Schema::empty()), Vec::new()));
    let time = Names { spine: path, columns: kinds(&schema), text: false }.check(asked)?;
    Ok((schema, batches, time))
}

/// Columns by name, and whether they hold timestamps.
fn kinds(schema: &Schema) -> Vec<(String, bool)> {
    schema.fields().iter().map(|f| (f.name().clone(), matches!(f.data_type(), Arrow::Timestamp(..)))).collect()
}

/// Keys and instants are read as such; the rest of CSV is text, the rest of NDJSON what its values are.
fn text(path: &Path, format: FileFormat, asked: Asked<'_>) -> Result<Read, DatasetError> {
    let mut columns = files::sniff(path, format)?;
    let names = columns.iter().map(|c| (c.name.clone(), c.data_type == DataType::Timestamp)).collect();
    let time = Names { spine: path, columns: names, text: true }.check(asked)?;
    for column in &mut columns {
        // A column may be a join key and a request field at once.
        let known = asked.join_keys.iter().chain(asked.request).find(|known| known.name == column.name);
        column.data_type = match (known, column.data_type) {
            (_, _) if column.name == time => DataType::Timestamp,
            (Some(known), _) => known.data_type,
            // As it was written: luggage is not interpreted.
            (None, DataType::Timestamp) => DataType::String,
            (None, other) => other,
        };
    }
    let wanted = Files { format, path: path.to_string_lossy().into_owned() };
    let batches = files::read_table(&wanted, &columns, Path::new(""))?;
    Ok((freshet_config::definitions::arrow_schema(&columns), batches, time))
}

impl Names<'_> {
    /// Finds the column of instants, and every key once.
    fn check(&self, asked: Asked<'_>) -> Result<String, DatasetError> {
        for key in asked.join_keys {
            if !self.has(&key.name)? {
                let (spine, key) = (self.spine.to_path_buf(), key.name.clone());
                return Err(DatasetError::MissingKey { spine, key, columns: self.all() });
            }
        }
        for field in asked.request {
            if !self.has(&field.name)? {
                let (spine, field) = (self.spine.to_path_buf(), field.name.clone());
                return Err(DatasetError::MissingField { spine, field, columns: self.all() });
            }
        }
        let time = self.time(asked)?;
        self.has(&time)?;
        Ok(time)
    }

    fn time(&self, asked: Asked<'_>) -> Result<String, DatasetError> {
        let spine = self.spine.to_path_buf();
        if let Some(column) = asked.time_column {
            return match self.has(column)? {
                true => Ok(column.to_string()),
                false => {
                    Err(DatasetError::MissingTimeColumn { spine, column: column.to_string(), columns: self.all() })
                }
            };
        }
        let is_key = |name: &str| asked.join_keys.iter().chain(asked.request).any(|key| key.name == name);
        let times: Vec<&str> =
            self.columns.iter().filter(|(name, time)| *time && !is_key(name)).map(|(name, _)| name.as_str()).collect();
        match times[..] {
            // Text may hold instants that do not look it, such as bare numbers.
            [] if self.text => match USUAL_NAMES.into_iter().find(|usual| self.columns.iter().any(|(n, _)| n == usual))
            {
                Some(usual) if !is_key(usual) => Ok(usual.to_string()),
                _ => Err(DatasetError::NoTime { spine, columns: self.all() }),
            },
            [] => Err(DatasetError::NoTime { spine, columns: self.all() }),
            [only] => Ok(only.to_string()),
            _ => match USUAL_NAMES.into_iter().find(|usual| times.contains(usual)) {
                Some(usual) => Ok(usual.to_string()),
                None => Err(DatasetError::SeveralTimes { spine, columns: times.join(", ") }),
            },
        }
    }

    fn has(&self, column: &str) -> Result<bool, DatasetError> {
        match self.columns.iter().filter(|(name, _)| name == column).count() {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DatasetError::Ambiguous { spine: self.spine.to_path_buf(), column: column.to_string() }),
        }
    }

    fn all(&self) -> String {
        match self.columns.len() {
            0 => "none".to_string(),
            _ => self.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Instants in microseconds, finer ones cut; a time without a zone counts as UTC. `None` for another type.
fn micros(array: &ArrayRef) -> Option<Vec<Option<i64>>> {
    // Past the range of 64 bits is past that of instants: it saturates and is refused there.
    Some(match array.data_type() {
        Arrow::Timestamp(TimeUnit::Second, _) => {
            let times = array.as_primitive::<TimestampSecondType>();
            times.iter().map(|t| t.map(|t| t.saturating_mul(1_000_000))).collect()
        }
        Arrow::Timestamp(TimeUnit::Millisecond, _) => {
            let times = array.as_primitive::<TimestampMillisecondType>();
            times.iter().map(|t| t.map(|t| t.saturating_mul(1_000))).collect()
        }
        Arrow::Timestamp(TimeUnit::Microsecond, _) => array.as_primitive::<TimestampMicrosecondType>().iter().collect(),
        Arrow::Timestamp(TimeUnit::Nanosecond, _) => {
            // Down, never up: an event after the instant must not count.
            let times = array.as_primitive::<TimestampNanosecondType>();
            times.iter().map(|t| t.map(|t| t.div_euclid(1_000))).collect()
        }
        _ => return None,
    })
}

/// A key column as int64, string, bool or timestamp in microseconds: what keys are encoded from.
fn key_array(spine: &Path, key: &Column, array: &ArrayRef) -> Result<ArrayRef, DatasetError> {
    let plain = match array.data_type() {
        Arrow::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    let target = match (key.data_type, plain) {
        (DataType::Int32 | DataType::Int64, found) if found.is_integer() => Arrow::Int64,
        (DataType::String, Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View) => Arrow::Utf8,
        (DataType::Bool, Arrow::Boolean) => Arrow::Boolean,
        (DataType::Timestamp, Arrow::Timestamp(..)) => Arrow::Timestamp(TimeUnit::Microsecond, None),
        _ => return Err(key_type(spine, key, array)),
    };
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, &target, &strict).map_err(|_| key_type(spine, key, array))
}

/// A request field's column in the field's type; whole numbers serve a float.
fn field_array(spine: &Path, field: &Column, array: &ArrayRef) -> Result<ArrayRef, DatasetError> {
    let plain = match array.data_type() {
        Arrow::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    let fits = match field.data_type {
        DataType::Int32 | DataType::Int64 => plain.is_integer(),
        DataType::Float32 => plain.is_integer() || matches!(plain, Arrow::Float16 | Arrow::Float32),
        DataType::Float64 => plain.is_numeric(),
        DataType::String => matches!(plain, Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View),
        DataType::Bool => plain == &Arrow::Boolean,
        DataType::Timestamp => matches!(plain, Arrow::Timestamp(..)),
    };
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let cast = (fits || plain == &Arrow::Null).then(|| cast_with_options(array, &arrow_type(field.data_type), &strict));
    cast.and_then(Result::ok).ok_or_else(|| DatasetError::ColumnType {
        spine: spine.to_path_buf(),
        column: field.name.clone(),
        found: type_name(array.data_type()),
        wanted: format!("{}, the type of the request field", field.data_type),
    })
}

fn key_type(spine: &Path, key: &Column, array: &ArrayRef) -> DatasetError {
    DatasetError::ColumnType {
        spine: spine.to_path_buf(),
        column: key.name.clone(),
        found: type_name(array.data_type()),
        wanted: format!("{}, the type of the join key", key.data_type),
    }
}
