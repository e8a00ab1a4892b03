//! Parquet: the needed columns, in batches.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use freshet_config::definitions::{Column, arrow_type};
use freshet_config::foreign::type_name;
use freshet_config::value::MAX_KEY_STRING_BYTES;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::convert::{Faults, convert, convert_list, converts, converts_list};
use super::{CHUNK_ROWS, Chunk, Chunks, FileError, FileProblem, missing_column, shown_name};
use crate::changes::removals;
use crate::events::Rejection;
use crate::row::Rules;

type Builder = ParquetRecordBatchReaderBuilder<File>;

/// Reads a whole file, every column as it is.
pub fn read_all(path: &Path) -> Result<(SchemaRef, Vec<RecordBatch>), FileError> {
    let builder = builder(path)?.map_err(|problem| FileError::Unusable(vec![problem]))?;
    let schema = builder.schema().clone();
    let builder = builder.with_batch_size(CHUNK_ROWS);
    let read = || {
        let batches = builder.build().map_err(|error| error.to_string())?;
        batches.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())
    };
    Ok((schema, survive(read).map_err(|error| damaged(path, error))?))
}

/// What keeps the file from being read, if anything does.
pub(super) fn check(path: &Path, rules: &Rules) -> Result<Vec<FileProblem>, FileError> {
    Ok(match builder(path)? {
        Err(problem) => vec![problem],
        Ok(builder) => problems(path, builder.schema(), rules),
    })
}

/// Reads the footer. What the inner error names is the file's fault.
fn builder(path: &Path) -> Result<Result<Builder, FileProblem>, FileError> {
    let file = super::open_regular(path)?;
    let bytes = file.metadata().map_err(FileError::io(path))?.len();
    let problem = |message: String| FileProblem { file: path.to_path_buf(), message };
    if bytes == 0 {
        return Ok(Err(problem("is empty: not even an empty table is that small in parquet".to_string())));
    }
    let footer = survive(|| Builder::try_new(file).map_err(|error| error.to_string()));
    Ok(match footer {
        Err(error) => Err(problem(format!("is not a whole parquet file: {}", reason(&error)))),
        Ok(builder) => match unreadable_column(&builder) {
            Some(message) => Err(problem(message)),
            None => Ok(builder),
        },
    })
}

/// The library's reason without its headings. What it says in the words of its insides is said anew.
pub fn reason(error: &str) -> String {
    if ["{", "(\"", "::"].iter().any(|mark| error.contains(mark)) {
        return "its bytes are damaged: write it again".to_string();
    }
    let error = ["Parquet error: ", "EOF: ", "Invalid Parquet file. "]
        .iter()
        .fold(error, |text, heading| text.strip_prefix(heading).unwrap_or(text));
    let mut letters = error.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

/// What is said of a file with a column in a compression this build does not read.
fn unreadable_column(builder: &Builder) -> Option<String> {
    use parquet::basic::Compression;
    let columns = builder.metadata().row_groups().iter().flat_map(|group| group.columns());
    let unreadable = |compression: Compression| match compression {
        Compression::BROTLI(_) => Some("brotli"),
        Compression::LZO => Some("LZO"),
        _ => None,
    };
    columns.into_iter().find_map(|column| {
        let (name, compression) = (column.column_path().string(), unreadable(column.compression())?);
        Some(format!(
            "has column `{name}` compressed with {compression}, which is not read: write it with zstd or snappy"
        ))
    })
}

/// Rows of a whole file as they are, in batches.
pub fn rows(path: &Path) -> Result<ParquetRecordBatchReader, FileError> {
    let builder = builder(path)?.map_err(|problem| FileError::Unusable(vec![problem]))?;
    survive(|| builder.build().map_err(|error| error.to_string())).map_err(|error| damaged(path, error))
}

fn problems(path: &Path, schema: &Schema, rules: &Rules) -> Vec<FileProblem> {
    let Rules { columns, optional_from, list, .. } = rules;
    let wrong = |(index, column): (usize, &Column)| -> Option<String> {
        let Column { name, data_type } = column;
        let mut fields = schema.fields().iter().filter(|field| field.name() == name);
        let Some(field) = fields.next() else {
            if index >= *optional_from {
                return None;
            }
            return Some(missing_column(name, schema.fields().iter().map(|field| field.name().as_str())));
        };
        if fields.next().is_some() {
            return Some(format!("has more than one column `{name}`"));
        }
        let found = field.data_type();
        let (fits, wanted) = match *list == Some(index) {
            true => (converts_list(found, *data_type), format!("a list of {data_type}")),
            false => (converts(found, *data_type), data_type.to_string()),
        };
        let found = type_name(found);
        (!fits).then(|| {
            format!(
                "has column `{name}` as {found}, which does not convert to {wanted} exactly: write it as {wanted}, or declare \
                 another type"
            )
        })
    };
    let problem = |message| FileProblem { file: path.to_path_buf(), message };
    columns.iter().enumerate().filter_map(wrong).map(problem).collect()
}

pub(super) struct ParquetChunks {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    rules: Rules,
    schema: SchemaRef,
    /// Per row group the number of its first row.
    groups: Vec<u64>,
    next_row: u64,
}

impl ParquetChunks {
    pub fn open(path: &Path, rules: Rules, skip: u64) -> Result<ParquetChunks, FileError> {
        let builder = builder(path)?.map_err(|problem| FileError::Unusable(vec![problem]))?;
        let problems = problems(path, builder.schema(), &rules);
        if !problems.is_empty() {
            return Err(FileError::Unusable(problems));
        }
        let wanted = |name: &String| rules.columns.iter().any(|column| &column.name == name);
        let roots = builder.schema().fields().iter().enumerate().filter(|(_, field)| wanted(field.name()));
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.map(|(root, _)| root));
        let mut groups = Vec::new();
        let mut first = 0u64;
        for group in builder.metadata().row_groups() {
            groups.push(first);
            first = first.saturating_add(group.num_rows().max(0) as u64);
        }
        let builder = builder
            .with_projection(mask)
            .with_batch_size(CHUNK_ROWS)
            .with_offset(usize::try_from(skip).unwrap_or(usize::MAX));
        let reader =
            survive(|| builder.build().map_err(|error| error.to_string())).map_err(|error| damaged(path, error))?;
        let schema = rules.schema();
        Ok(ParquetChunks { path: path.to_path_buf(), reader, rules, schema, groups, next_row: skip })
    }

    fn chunk(&self, read: &RecordBatch) -> Result<Chunk, FileError> {
        let mut faults = Faults::new();
        let mut arrays = Vec::with_capacity(self.rules.columns.len());
        for (index, column) in self.rules.columns.iter().enumerate() {
            let Some(array) = read.column_by_name(&column.name) else {
                if index < self.rules.optional_from {
                    return Err(damaged(&self.path, format!("column `{}` is gone", column.name)));
                }
                arrays.push(new_null_array(&arrow_type(column.data_type), read.num_rows()));
                continue;
            };
            let converted = match self.rules.list == Some(index) {
                true => convert_list(array, column, &mut faults),
                false => convert(array, column, &mut faults),
            };
            arrays.push(converted.map_err(|error| damaged(&self.path, error))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(read.num_rows()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|error| damaged(&self.path, error))?;
        check_required(&batch, &self.rules, &mut faults);
        let numbers = (0..read.num_rows()).zip(self.next_row..);
        let rows = numbers.filter(|(index, _)| !faults.contains_key(index)).map(|(_, number)| number).collect();
        let batch = if faults.is_empty() {
            batch
        } else {
            let keep: BooleanArray = (0..batch.num_rows()).map(|index| Some(!faults.contains_key(&index))).collect();
            filter_record_batch(&batch, &keep).map_err(|error| damaged(&self.path, error))?
        };
        let rejections = faults.into_iter().map(|(index, refusal)| Rejection {
            code: refusal.code,
            place: self.place(self.next_row + index as u64),
            message: refusal.message,
            record_time: None,
            payload_excerpt: String::new(),
        });
        let rejections = rejections.collect();
        Ok(Chunk { batch, rows, rejections, next_row: self.next_row + read.num_rows() as u64 })
    }

    /// Groups and their rows count from 0, as parquet tools show them.
    fn place(&self, row: u64) -> String {
        let group = self.groups.partition_point(|first| *first <= row).saturating_sub(1);
        let first = self.groups.get(group).copied().unwrap_or(0);
        format!("{}, row group {group}, row {}", shown_name(&self.path), row - first)
    }
}

/// Notes rows without an event time or a usable key.
fn check_required(batch: &RecordBatch, rules: &Rules, faults: &mut Faults) {
    let mut removed = Vec::new();
    if let Some(changes) = &rules.changes {
        check_keys(batch, rules, &changes.key, faults, |_| true);
        removed = removals(batch, rules.optional_from);
    }
    // What is gone needs no more than its name.
    let stays = |row: &usize| !removed.get(*row).copied().unwrap_or(false);
    if let Some(index) = rules.event_time {
        for row in nulls(batch.column(index)).into_iter().filter(stays) {
            faults.entry(row).or_insert_with(|| rules.missing_time(index));
        }
    }
    check_keys(batch, rules, &rules.keys, faults, stays);
}

fn check_keys(batch: &RecordBatch, rules: &Rules, keys: &[usize], faults: &mut Faults, asked: impl Fn(&usize) -> bool) {
    for &index in keys {
        let column = batch.column(index);
        for row in nulls(column).into_iter().filter(&asked) {
            faults.entry(row).or_insert_with(|| rules.missing_key(index));
        }
        let Some(texts) = column.as_string_opt::<i32>() else { continue };
        for (row, text) in texts.iter().enumerate().filter(|(row, _)| asked(row)) {
            if let Some(text) = text.filter(|text| text.len() > MAX_KEY_STRING_BYTES) {
                faults.entry(row).or_insert_with(|| rules.long_key(index, text.len()));
            }
        }
    }
}

fn nulls(array: &Arc<dyn Array>) -> Vec<usize> {
    if array.null_count() == 0 { Vec::new() } else { (0..array.len()).filter(|row| array.is_null(*row)).collect() }
}

fn damaged(path: &Path, error: impl ToString) -> FileError {
    FileError::Damaged { path: path.to_path_buf(), message: reason(&error.to_string()) }
}

/// Makes an error of a panic: the parquet library asserts on some damaged pages instead of refusing them. A build that
/// aborts on panic ends there all the same; what was decoded when it unwound is not touched again.
fn survive<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let damage = |_| Err("its pages are damaged beyond what the parquet library can name: write it again".to_string());
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(damage)
}

impl Chunks for ParquetChunks {
    fn next_chunk(&mut self) -> Result<Option<Chunk>, FileError> {
        let read = survive(|| self.reader.next().transpose().map_err(|error| error.to_string()));
        let Some(read) = read.map_err(|error| damaged(&self.path, error))? else { return Ok(None) };
        let chunk = self.chunk(&read)?;
        self.next_row = chunk.next_row;
        Ok(Some(chunk))
    }
}
