//! Files of events and of tables: Parquet, CSV and NDJSON, found, checked all at once, and read in the order of names.
//!
//! The law: nothing is read before every file is known to have the columns asked for, in types that convert exactly.

mod convert;
mod csv;
mod events;
mod lines;
mod list;
mod ndjson;
mod parquet;
mod records;
mod sniff;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use freshet_config::definitions::{Column, FileFormat, Files, Source};

use crate::events::{Rejection, excerpt};
use crate::row::{Refusal, Rows, Rules};
pub use convert::is_exact_for_some_column;
pub use csv::CsvRows;
pub use events::{EventFiles, FileEvents};
pub use list::{FileList, list};
pub use parquet::{read_all as read_parquet, reason as parquet_reason, rows as parquet_rows};
pub use sniff::sniff;

/// Rows read at once.
const CHUNK_ROWS: usize = 8192;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("there is no file or folder {}", .0.display())]
    Missing(PathBuf),
    #[error("no file in {} ends in {ending}: correct the path, or the format", folder.display())]
    NothingMatches { folder: PathBuf, ending: &'static str },
    #[error("{} points out of its folder: put the file itself there, or name its folder", .0.display())]
    OutsideFolder(PathBuf),
    #[error("{} is not a regular file: name a file, or a folder of files", .0.display())]
    NotRegular(PathBuf),
    #[error("{} holds {files} files: at most {} can be read as one source", folder.display(), crate::position::MAX_FILES)]
    TooMany { folder: PathBuf, files: usize },
    #[error("cannot read {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    /// Found before anything is read; lists every file that cannot be used.
    #[error("{}", Problems(.0))]
    Unusable(Vec<FileProblem>),
    #[error("{} cannot be read on: {message}", path.display())]
    Damaged { path: PathBuf, message: String },
    /// A row of a table: tables are taken whole or not at all.
    #[error("{0}")]
    Row(Rejection),
    #[error("source `{0}` has no history to read")]
    NoHistory(String),
}

impl FileError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> FileError {
        move |error| FileError::Io { path: path.to_path_buf(), error }
    }
}

/// What is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    pub file: PathBuf,
    /// Continues a sentence that begins with the file's name.
    pub message: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.file.display(), self.message)
    }
}

struct Problems<'a>(&'a [FileProblem]);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 20;
        for (index, problem) in self.0.iter().take(MOST).enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        match self.0.len().saturating_sub(MOST) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Opens a file for reading. What is no regular file is not opened at all: a pipe that nobody writes to would be waited
/// for without end.
fn open_regular(path: &Path) -> Result<File, FileError> {
    match fs::metadata(path).map_err(FileError::io(path))?.is_file() {
        true => File::open(path).map_err(FileError::io(path)),
        false => Err(FileError::NotRegular(path.to_path_buf())),
    }
}

/// Some rows of a file.
struct Chunk {
    batch: RecordBatch,
    /// Per row of the batch, its number in the file, from 0.
    rows: Vec<u64>,
    rejections: Vec<Rejection>,
    /// The number of the row after the last one looked at.
    next_row: u64,
}

/// A file being read.
trait Chunks: Send {
    fn next_chunk(&mut self) -> Result<Option<Chunk>, FileError>;
}

/// Opens a file at row `skip`.
fn open(format: FileFormat, path: &Path, rules: Rules, skip: u64) -> Result<Box<dyn Chunks>, FileError> {
    Ok(match format {
        FileFormat::Parquet => Box::new(parquet::ParquetChunks::open(path, rules, skip)?),
        FileFormat::Csv => Box::new(csv::CsvChunks::open(path, rules, skip)?),
        FileFormat::Ndjson => Box::new(ndjson::NdjsonChunks::open(path, rules, skip)?),
    })
}

/// Finds the files and checks that each has the columns, and those that may be missing in their types.
fn plan(files: &Files, rules: &Rules, base_dir: &Path) -> Result<FileList, FileError> {
    let found = list(files, base_dir)?;
    let mut problems = Vec::new();
    for path in &found.files {
        match files.format {
            FileFormat::Parquet => problems.extend(parquet::check(path, rules)?),
            FileFormat::Csv => problems.extend(csv::check(path, &rules.columns[..rules.optional_from])?),
            // Objects name their own fields: there is nothing to check before reading.
            FileFormat::Ndjson => {}
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(FileError::Unusable(problems)) }
}

/// Reads whole files: a dimension's table, or the rows of a spine. `columns` are selected by name; others are ignored.
/// Relative paths count from `base_dir`. The first bad row is an error.
pub fn read_table(files: &Files, columns: &[Column], base_dir: &Path) -> Result<Vec<RecordBatch>, FileError> {
    let mut batches = Vec::new();
    let rules = Rules::of_columns(columns);
    for path in plan(files, &rules, base_dir)?.files {
        let mut chunks = open(files.format, &path, rules.clone(), 0)?;
        while let Some(chunk) = chunks.next_chunk()? {
            if let Some(rejection) = chunk.rejections.into_iter().next() {
                return Err(FileError::Row(rejection));
            }
            if chunk.batch.num_rows() > 0 {
                batches.push(chunk.batch);
            }
        }
    }
    Ok(batches)
}

/// Whether a Parquet file has the columns of a source, in types that convert exactly: what is asked of every file of a
/// history.
pub fn check_parquet(path: &Path, source: &Source) -> Result<(), FileError> {
    let problems = parquet::check(path, &Rules::of_source(source))?;
    if problems.is_empty() { Ok(()) } else { Err(FileError::Unusable(problems)) }
}

/// A file's name as it stands in places of rejections.
fn shown_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What is said of a file that lacks a column; `present` are its columns.
fn missing_column<'a>(wanted: &str, present: impl Iterator<Item = &'a str> + Clone) -> String {
    match present.clone().find(|name| name.eq_ignore_ascii_case(wanted)) {
        Some(other) => format!("has `{other}` where `{wanted}` is expected: names are case-sensitive"),
        None => format!("has no column `{wanted}`; {}", freshet_config::diagnostic::suggestion(wanted, present)),
    }
}

/// Collects the rows of a text file into chunks.
struct TextRows {
    name: String,
    rows: Rows,
    numbers: Vec<u64>,
    rejections: Vec<Rejection>,
    next_row: u64,
}

impl TextRows {
    fn new(path: &Path, rules: Rules, first_row: u64) -> TextRows {
        TextRows {
            name: shown_name(path),
            rows: Rows::new(rules),
            numbers: Vec::new(),
            rejections: Vec::new(),
            next_row: first_row,
        }
    }

    /// Takes the outcome of one row that stands at `line`.
    fn settle(&mut self, outcome: Result<(), Refusal>, line: u64, raw: impl FnOnce() -> Vec<u8>) {
        match outcome {
            Ok(()) => self.numbers.push(self.next_row),
            Err(Refusal { code, message }) => self.rejections.push(Rejection {
                code,
                place: format!("{}, line {line}", self.name),
                message,
                record_time: None,
                payload_excerpt: excerpt(&raw()),
            }),
        }
        self.next_row += 1;
    }

    fn is_full(&self) -> bool {
        self.numbers.len() + self.rejections.len() >= CHUNK_ROWS
    }

    /// What was collected, or `None` if that is nothing.
    fn take(&mut self) -> Option<Chunk> {
        if self.numbers.is_empty() && self.rejections.is_empty() {
            return None;
        }
        Some(Chunk {
            batch: self.rows.finish(),
            rows: std::mem::take(&mut self.numbers),
            rejections: std::mem::take(&mut self.rejections),
            next_row: self.next_row,
        })
    }
}
