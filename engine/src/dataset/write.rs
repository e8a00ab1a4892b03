//! A dataset as a file: Parquet with every type, CSV and NDJSON with plain ones.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType as Arrow, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
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
    if format != FileFormat::Parquet {
        check_plain(dataset, format)?;
    }
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
        let columns = plain(batch)?;
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
        let columns = plain(batch)?;
        for row in 0..batch.num_rows() {
            for (index, (name, column)) in names.iter().zip(&columns).enumerate() {
                let before = if index == 0 { "{" } else { "," };
                write!(file, "{before}{name}:{}", cell(column, row))?;
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

fn check_plain(dataset: &Dataset, format: FileFormat) -> Result<(), DatasetError> {
    let format = if format == FileFormat::Csv { "CSV" } else { "NDJSON" };
    for field in dataset.schema.fields() {
        if plain_type(field.data_type()).is_none() {
            let (column, found) = (field.name().clone(), field.data_type().to_string());
            return Err(DatasetError::Unwritable { column, found, format });
        }
    }
    Ok(())
}

fn plain(batch: &RecordBatch) -> io::Result<Vec<ArrayRef>> {
    let strict = arrow::compute::CastOptions { safe: false, ..Default::default() };
    let column = |array: &ArrayRef| match plain_type(array.data_type()) {
        Some(target) => arrow::compute::cast_with_options(array, &target, &strict).map_err(io::Error::other),
        // `check_plain` let none pass.
        None => cast(array, &Arrow::LargeUtf8).map_err(io::Error::other),
    };
    batch.columns().iter().map(column).collect()
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
