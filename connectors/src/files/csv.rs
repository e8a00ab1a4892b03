//! CSV: a header row, then a record per row; an empty field is null.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::ByteRecord;
use freshet_config::definitions::Column;

use super::{Chunk, Chunks, FileError, FileProblem, TextRows, missing_column};
use crate::events::{Code, MAX_RECORD_BYTES};
use crate::row::{Refusal, Row, Rules, parse_text};

/// A quote that is never closed would make one record of the rest of the file: this much is read for one, at most.
const MAX_UNBROKEN_BYTES: usize = 8 * MAX_RECORD_BYTES;

pub(super) struct CsvChunks {
    path: PathBuf,
    reader: csv::Reader<Guarded>,
    since_record: Arc<AtomicUsize>,
    /// Per column, the field it is read from.
    fields: Vec<usize>,
    width: usize,
    row: Row,
    rows: TextRows,
    skip: u64,
}

/// Ends a read that gets no record out of [`MAX_UNBROKEN_BYTES`].
struct Guarded {
    file: File,
    since_record: Arc<AtomicUsize>,
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if self.since_record.fetch_add(read, Ordering::Relaxed) > MAX_UNBROKEN_BYTES {
            return Err(io::Error::other("no row ends within 8 MiB: a quote is probably never closed"));
        }
        Ok(read)
    }
}

/// What keeps the file from being read, if anything does.
pub(super) fn check(path: &Path, columns: &[Column]) -> Result<Vec<FileProblem>, FileError> {
    let (mut reader, _) = reader(path)?;
    let header = match header(path, &mut reader) {
        Err(FileError::Unusable(problems)) => return Ok(problems),
        header => header?,
    };
    Ok(match fields(&header, columns, columns.len()) {
        Ok(_) => Vec::new(),
        Err(messages) => {
            messages.into_iter().map(|message| FileProblem { file: path.to_path_buf(), message }).collect()
        }
    })
}

/// The names of the columns, each with its values in the first rows.
pub(super) fn first_rows(path: &Path, rows: usize) -> Result<Vec<(String, Vec<String>)>, FileError> {
    let (mut reader, since_record) = reader(path)?;
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let mut columns: Vec<(String, Vec<String>)> =
        header(path, &mut reader)?.iter().map(|name| (text(name), Vec::new())).collect();
    let mut record = ByteRecord::new();
    for _ in 0..rows {
        since_record.store(0, Ordering::Relaxed);
        if !reader.read_byte_record(&mut record).map_err(|error| failed(path, error))? {
            break;
        }
        for ((_, values), field) in columns.iter_mut().zip(&record) {
            values.push(text(field));
        }
    }
    Ok(columns)
}

fn reader(path: &Path) -> Result<(csv::Reader<Guarded>, Arc<AtomicUsize>), FileError> {
    let file = super::open_regular(path)?;
    let since_record = Arc::new(AtomicUsize::new(0));
    let guarded = Guarded { file, since_record: since_record.clone() };
    let reader = csv::ReaderBuilder::new().flexible(true).buffer_capacity(64 << 10).from_reader(guarded);
    Ok((reader, since_record))
}

fn header(path: &Path, reader: &mut csv::Reader<Guarded>) -> Result<ByteRecord, FileError> {
    let header = reader.byte_headers().map_err(|error| failed(path, error))?.clone();
    let first = header.get(0).unwrap_or_default();
    // UTF-16, with its mark or without: its names would be shown with characters in between that nobody sees.
    if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) || header.as_slice().contains(&0) {
        let message = "is not UTF-8, but probably UTF-16: save it as UTF-8".to_string();
        return Err(FileError::Unusable(vec![FileProblem { file: path.to_path_buf(), message }]));
    }
    Ok(header)
}

fn failed(path: &Path, error: csv::Error) -> FileError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => FileError::Io { path: path.to_path_buf(), error },
        // The others are about lengths and UTF-8, which this reader leaves to itself.
        other => FileError::Damaged { path: path.to_path_buf(), message: format!("{other:?}") },
    }
}

/// The place of a column that the file does not have.
const NO_FIELD: usize = usize::MAX;

/// Per column its field, or everything that is wrong with the header. Columns from `optional_from` on may be missing.
fn fields(header: &ByteRecord, columns: &[Column], optional_from: usize) -> Result<Vec<usize>, Vec<String>> {
    if header.is_empty() {
        return Err(vec!["is empty: its first row must name the columns".to_string()]);
    }
    let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (index, column) in columns.iter().enumerate() {
        let mut places = names.iter().enumerate().filter(|(_, name)| **name == column.name);
        match (places.next(), places.next()) {
            (Some((field, _)), None) => found.push(field),
            (Some(_), Some(_)) => wrong.push(format!("has more than one column `{}`", column.name)),
            (None, _) if index >= optional_from => found.push(NO_FIELD),
            (None, _) => wrong.push(missing_column(&column.name, names.iter().map(String::as_str))),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

impl CsvChunks {
    pub fn open(path: &Path, rules: Rules, skip: u64) -> Result<CsvChunks, FileError> {
        let (mut reader, since_record) = reader(path)?;
        let header = header(path, &mut reader)?;
        let fields = fields(&header, &rules.columns, rules.optional_from).map_err(|messages| {
            let file = path.to_path_buf();
            FileError::Unusable(
                messages.into_iter().map(|message| FileProblem { file: file.clone(), message }).collect(),
            )
        })?;
        Ok(CsvChunks {
            path: path.to_path_buf(),
            reader,
            since_record,
            fields,
            width: header.len(),
            row: Row::default(),
            rows: TextRows::new(path, rules, skip),
            skip,
        })
    }

    fn accept(&mut self, record: &ByteRecord) -> Result<(), Refusal> {
        if record.as_slice().len() > MAX_RECORD_BYTES {
            return Err(crate::json::too_large(record.as_slice().len()));
        }
        if record.len() != self.width {
            let message = format!("the row has {} fields, the header has {}", record.len(), self.width);
            return Err(Refusal::new(Code::Decode, message));
        }
        let columns = &self.rows.rows.rules().columns;
        self.row.clear(columns.len());
        for (index, column) in columns.iter().enumerate() {
            let field = record.get(self.fields[index]).unwrap_or_default();
            let text = std::str::from_utf8(field)
                .map_err(|_| Refusal::new(Code::Decode, format!("`{}` is not UTF-8", column.name)))?;
            let cell = parse_text(column, text, &mut self.row)?;
            self.row.cells[index] = cell;
        }
        self.rows.rows.accept(&self.row, None)
    }
}

/// The rows of a CSV file as they stand there, for whoever judges them elsewhere.
pub struct CsvRows {
    path: PathBuf,
    reader: csv::Reader<Guarded>,
    since_record: Arc<AtomicUsize>,
    row: ByteRecord,
}

impl CsvRows {
    pub fn open(path: &Path) -> Result<CsvRows, FileError> {
        let (reader, since_record) = reader(path)?;
        Ok(CsvRows { path: path.to_path_buf(), reader, since_record, row: ByteRecord::new() })
    }

    /// The fields of the first row; none when the file is empty.
    pub fn header(&mut self) -> Result<ByteRecord, FileError> {
        header(&self.path, &mut self.reader)
    }

    /// The next row below the header, of however many fields, and the line it begins at; `None` at the end. An error ends
    /// the file: it cannot be read, or a quote is never closed.
    pub fn next_row(&mut self) -> Result<Option<(u64, &ByteRecord)>, FileError> {
        self.since_record.store(0, Ordering::Relaxed);
        let read = self.reader.read_byte_record(&mut self.row).map_err(|error| failed(&self.path, error))?;
        let line = self.row.position().map_or(0, csv::Position::line);
        Ok(read.then_some((line, &self.row)))
    }
}

impl Chunks for CsvChunks {
    fn next_chunk(&mut self) -> Result<Option<Chunk>, FileError> {
        let mut record = ByteRecord::new();
        while !self.rows.is_full() {
            self.since_record.store(0, Ordering::Relaxed);
            if !self.reader.read_byte_record(&mut record).map_err(|error| failed(&self.path, error))? {
                break;
            }
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            let line = record.position().map_or(0, csv::Position::line);
            let outcome = self.accept(&record);
            self.rows.settle(outcome, line, || record.iter().collect::<Vec<_>>().join(&b','));
        }
        Ok(self.rows.take())
    }
}
