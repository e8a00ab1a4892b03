//! CSV: a header row, then a record per row; an empty field is null.

use std::path::Path;

use csv::ByteRecord;
use freshet_config::definitions::Column;

use super::records::Records;
use super::{Chunk, Chunks, FileError, FileProblem, TextRows, missing_column};
use crate::events::{Code, MAX_RECORD_BYTES};
use crate::row::{Refusal, Row, Rules, parse_text};

pub(super) struct CsvChunks {
    records: Records,
    /// Per column, the field it is read from.
    fields: Vec<usize>,
    width: usize,
    row: Row,
    rows: TextRows,
    skip: u64,
}

/// What keeps the file from being read, if anything does.
pub(super) fn check(path: &Path, columns: &[Column]) -> Result<Vec<FileProblem>, FileError> {
    let header = match Records::open(path) {
        Err(FileError::Unusable(problems)) => return Ok(problems),
        records => records?.header()?,
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
    let mut records = Records::open(path)?;
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let mut columns: Vec<(String, Vec<String>)> =
        records.header()?.iter().map(|name| (text(name), Vec::new())).collect();
    let mut record = ByteRecord::new();
    for _ in 0..rows {
        if records.read(&mut record)?.is_none() {
            break;
        }
        for ((_, values), field) in columns.iter_mut().zip(&record) {
            values.push(text(field));
        }
    }
    Ok(columns)
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
        let mut records = Records::open(path)?;
        let header = records.header()?;
        let fields = fields(&header, &rules.columns, rules.optional_from).map_err(|messages| {
            let file = path.to_path_buf();
            FileError::Unusable(
                messages.into_iter().map(|message| FileProblem { file: file.clone(), message }).collect(),
            )
        })?;
        Ok(CsvChunks {
            records,
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
    records: Records,
    row: ByteRecord,
}

impl CsvRows {
    pub fn open(path: &Path) -> Result<CsvRows, FileError> {
        Ok(CsvRows { records: Records::open(path)?, row: ByteRecord::new() })
    }

    /// The fields of the first row; none when the file is empty.
    pub fn header(&mut self) -> Result<ByteRecord, FileError> {
        self.records.header()
    }

    /// The next row below the header, of however many fields, and the line it begins at; `None` at the end. An error ends
    /// the file: it cannot be read, or a quote is never closed.
    pub fn next_row(&mut self) -> Result<Option<(u64, &ByteRecord)>, FileError> {
        let line = self.records.read(&mut self.row)?;
        Ok(line.map(|line| (line, &self.row)))
    }
}

impl Chunks for CsvChunks {
    fn next_chunk(&mut self) -> Result<Option<Chunk>, FileError> {
        let mut record = ByteRecord::new();
        while !self.rows.is_full() {
            let Some(line) = self.records.read(&mut record)? else { break };
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            let outcome = self.accept(&record);
            self.rows.settle(outcome, line, || record.iter().collect::<Vec<_>>().join(&b','));
        }
        Ok(self.rows.take())
    }
}
