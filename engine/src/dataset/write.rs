//! A dataset as a file: Parquet with every type, NDJSON with plain ones, lists and maps, CSV with plain ones.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType as Arrow, Field, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use freshet_config::definitions::FileFormat;
use freshet_config::time::EventTime;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::Value as Json;

use super::Dataset;
use super::error::DatasetError;

/// The format a file's ending names.
pub(super) fn format(out: &Path) -> Result<FileFormat, DatasetError> {
    match out.extension().and_then(|ending| ending.to_str()) {
        Some("parquet") => Ok(FileFormat::Parquet),
        Some("csv") => Ok(FileFormat::Csv),
        Some("ndjson" | "jsonl") => Ok(FileFormat::Ndjson),
        _ => Err(DatasetError::UnknownFormat(out.to_path_buf())),
    }
}

/// What can be told before anything is computed: the format is known, the folder takes files, and it is not the spine
/// that would be replaced.
pub(super) fn check(out: &Path, spine: &Path) -> Result<(), DatasetError> {
    format(out)?;
    if let (Ok(out), Ok(spine)) = (fs::canonicalize(out), fs::canonicalize(spine))
        && (out == spine || out.parent() == Some(&spine))
    {
        return Err(DatasetError::OverSpine(spine));
    }
    let unfinished = unfinished(out);
    File::create(&unfinished).and_then(|_| fs::remove_file(&unfinished)).map_err(DatasetError::write(out))
}

fn unfinished(out: &Path) -> PathBuf {
    let mut unfinished = out.as_os_str().to_os_string();
    unfinished.push(".tmp");
    PathBuf::from(unfinished)
}

/// Writes beside `out` first, so that a file of that name is always whole.
pub(super) fn write(dataset: &Dataset, out: &Path) -> Result<(), DatasetError> {
    let format = format(out)?;
    check_holds(dataset, format)?;
    let unfinished = unfinished(out);
    let written = write_to(dataset, format, &unfinished).and_then(|()| fs::rename(&unfinished, out));
    if written.is_err() {
        // It may not even be there; the first error is the one to tell.
        let _ = fs::remove_file(&unfinished);
    }
    written.map_err(DatasetError::write(out))
}

fn write_to(dataset: &Dataset, format: FileFormat, path: &Path) -> io::Result<()> {
    let file = BufWriter::new(File::create(path)?);
    let file = match format {
        FileFormat::Parquet => parquet(dataset, file)?,
        FileFormat::Csv => csv(dataset, file)?,
        FileFormat::Ndjson => ndjson(dataset, file)?,
    };
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn parquet(dataset: &Dataset, file: BufWriter<File>) -> io::Result<BufWriter<File>> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    let mut writer = ArrowWriter::try_new(file, dataset.schema.clone(), Some(properties))?;
    for batch in &dataset.batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?)
}

fn csv(dataset: &Dataset, file: BufWriter<File>) -> io::Result<BufWriter<File>> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(dataset.schema.fields().iter().map(|field| field.name()))?;
    for batch in &dataset.batches {
        let columns = plain(batch, plain_type)?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| match cell(column, row) {
                Json::Null => String::new(),
                Json::String(text) => text,
                other => other.to_string(),
            });
            writer.write_record(cells)?;
        }
    }
    writer.into_inner().map_err(|error| error.into_error())
}

fn ndjson(dataset: &Dataset, mut file: BufWriter<File>) -> io::Result<BufWriter<File>> {
    let names: Vec<String> =
        dataset.schema.fields().iter().map(|field| Json::from(field.name().as_str()).to_string()).collect();
    for batch in &dataset.batches {
        let columns = plain(batch, json_type)?;
        for row in 0..batch.num_rows() {
            for (index, (name, column)) in names.iter().zip(&columns).enumerate() {
                let before = if index == 0 { "{" } else { "," };
                write!(file, "{before}{name}:")?;
                json(&mut file, column, row)?;
            }
            file.write_all(if names.is_empty() { b"{}\n" } else { b"}\n" })?;
        }
    }
    Ok(file)
}

/// The widest type of the column's kind, or `None` where text cannot hold it.
fn plain_type(arrow: &Arrow) -> Option<Arrow> {
    Some(match arrow {
        Arrow::Dictionary(_, values) => plain_type(values)?,
        // Not every one of these is an int64; those that are not fail when they are cast.
        found if found.is_integer() => Arrow::Int64,
        Arrow::Float16 | Arrow::Float32 => Arrow::Float32,
        Arrow::Float64 => Arrow::Float64,
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => Arrow::LargeUtf8,
        Arrow::Boolean => Arrow::Boolean,
        Arrow::Null => Arrow::Null,
        Arrow::Timestamp(TimeUnit::Nanosecond, _) => Arrow::LargeUtf8,
        Arrow::Timestamp(..) => Arrow::Timestamp(TimeUnit::Microsecond, None),
        Arrow::Date32 | Arrow::Date64 | Arrow::Decimal128(..) => Arrow::LargeUtf8,
        _ => return None,
    })
}

/// As [`plain_type`], and lists and maps of such: arrays and objects.
fn json_type(arrow: &Arrow) -> Option<Arrow> {
    let renewed = |field: &Field| Some(Field::new(field.name(), json_type(field.data_type())?, field.is_nullable()));
    match arrow {
        Arrow::List(item) | Arrow::LargeList(item) | Arrow::FixedSizeList(item, _) => {
            Some(Arrow::LargeList(Arc::new(renewed(item)?)))
        }
        Arrow::Map(entries, sorted) => {
            let Arrow::Struct(fields) = entries.data_type() else { return None };
            let fields: Option<Vec<Field>> = fields.iter().map(|field| renewed(field)).collect();
            let entries = Field::new(entries.name(), Arrow::Struct(fields?.into()), entries.is_nullable());
            Some(Arrow::Map(Arc::new(entries), *sorted))
        }
        plain => plain_type(plain),
    }
}

fn check_holds(dataset: &Dataset, format: FileFormat) -> Result<(), DatasetError> {
    let (format, held, instead): (_, fn(&Arrow) -> Option<Arrow>, _) = match format {
        FileFormat::Parquet => return Ok(()),
        FileFormat::Csv => ("CSV", plain_type, ".ndjson or .parquet"),
        FileFormat::Ndjson => ("NDJSON", json_type, ".parquet"),
    };
    for field in dataset.schema.fields() {
        if held(field.data_type()).is_none() {
            let (column, found) = (field.name().clone(), freshet_config::foreign::type_name(field.data_type()));
            // What NDJSON cannot hold either is for Parquet alone.
            let instead = if json_type(field.data_type()).is_some() { instead } else { ".parquet" };
            return Err(DatasetError::Unwritable { column, found, format, instead });
        }
    }
    Ok(())
}

fn plain(batch: &RecordBatch, held: fn(&Arrow) -> Option<Arrow>) -> io::Result<Vec<ArrayRef>> {
    let strict = arrow::compute::CastOptions { safe: false, ..Default::default() };
    let column = |array: &ArrayRef| match held(array.data_type()) {
        Some(target) => arrow::compute::cast_with_options(array, &target, &strict).map_err(io::Error::other),
        // `check_holds` let none pass.
        None => cast(array, &Arrow::LargeUtf8).map_err(io::Error::other),
    };
    batch.columns().iter().map(column).collect()
}

/// Writes one value: a list as an array, a map as an object whose keys are text and in the map's order.
fn json(out: &mut impl Write, array: &ArrayRef, row: usize) -> io::Result<()> {
    if array.is_null(row) {
        return out.write_all(b"null");
    }
    match array.data_type() {
        Arrow::LargeList(_) => {
            let elements = array.as_list::<i64>().value(row);
            for i in 0..elements.len() {
                out.write_all(if i == 0 { b"[" } else { b"," })?;
                json(out, &elements, i)?;
            }
            out.write_all(if elements.is_empty() { b"[]" } else { b"]" })
        }
        Arrow::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            for i in 0..entries.len() {
                let key = match cell(keys, i) {
                    Json::String(text) => text,
                    other => other.to_string(),
                };
                write!(out, "{}{}:", if i == 0 { "{" } else { "," }, Json::from(key))?;
                json(out, values, i)?;
            }
            out.write_all(if entries.is_empty() { b"{}" } else { b"}" })
        }
        _ => write!(out, "{}", cell(array, row)),
    }
}

/// One value of a column of a plain type.
fn cell(array: &ArrayRef, row: usize) -> Json {
    if array.is_null(row) {
        return Json::Null;
    }
    match array.data_type() {
        Arrow::Int64 => Json::from(array.as_primitive::<Int64Type>().value(row)),
        // Through its own shortest text: widened to a double it would show digits it does not have.
        Arrow::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            value.to_string().parse().map_or(Json::Null, number)
        }
        Arrow::Float64 => number(array.as_primitive::<Float64Type>().value(row)),
        Arrow::LargeUtf8 => Json::from(array.as_string::<i64>().value(row)),
        Arrow::Boolean => Json::from(array.as_boolean().value(row)),
        Arrow::Timestamp(..) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            Json::from(EventTime::from_micros(micros).to_string())
        }
        _ => Json::Null,
    }
}

/// NaN and infinities, which only the spine's own columns can hold, have no number in JSON.
fn number(value: f64) -> Json {
    if value.is_finite() { Json::from(value) } else { Json::from(value.to_string()) }
}
