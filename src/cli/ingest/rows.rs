//! Rows of a file as JSON records with their places, read piece by piece.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use freshet_config::definitions::{Column, Source};
use freshet_config::diagnostic::suggestion;
use freshet_config::foreign::type_name;
use freshet_config::value::DataType;
use freshet_connectors::files::{
    CsvRows, FileError, check_parquet, is_exact_for_some_column, parquet_reason, parquet_rows,
};
use freshet_connectors::malformed::Malformed;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use serde_json::value::RawValue;

use crate::exit::Failure;
use crate::records::json_records;

/// Longest line that is read whole, in bytes: a record may hold no more.
const MOST_LINE_BYTES: u64 = 1 << 20;

/// What some editors put in front of a text; the reader of CSV passes over it, too.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// One row, or what is wrong with it.
pub struct FileRow {
    /// `FILE:LINE`, or `FILE row N`.
    pub place: String,
    pub record: Result<String, String>,
}

/// A file being read.
pub struct FileRows {
    name: String,
    number: u64,
    reader: Reader,
    foreign: Foreign,
}

/// Columns of a Parquet file whose types no column of a source takes, with what they are called. Their values are sent in
/// brackets, for the server to refuse where it has the column.
#[derive(Clone, Debug, Default)]
pub struct Foreign(Vec<(String, String)>);

impl Foreign {
    fn of(schema: &Schema) -> Foreign {
        let foreign = |field: &&Arc<Field>| !is_exact_for_some_column(field.data_type());
        let named = |field: &Arc<Field>| (field.name().clone(), type_name(field.data_type()));
        Foreign(schema.fields().iter().filter(foreign).map(named).collect())
    }

    /// A refusal by the server, with the column's type in the file in place of the brackets.
    pub fn explained(&self, message: &str) -> String {
        let meant = |(name, _): &&(String, String)| {
            message.starts_with(&format!("`{name}` ")) && message.ends_with(", found an array")
        };
        match self.0.iter().find(meant) {
            None => message.to_string(),
            Some((name, found)) => {
                let said = message.trim_end_matches("an array");
                format!("{said}{found}, which does not convert exactly: cast `{name}` in the file")
            }
        }
    }
}

enum Reader {
    Lines(Box<dyn BufRead>),
    /// With the columns of its header; `None` where the source has none of that name.
    Csv(Box<CsvRows>, Vec<Option<Column>>),
    Parquet(ParquetRecordBatchReader, std::vec::IntoIter<String>),
}

impl FileRows {
    /// Opens a file; its ending says its format.
    pub fn open(path: &Path, source: &str, definitions: Option<&Path>) -> Result<FileRows, Failure> {
        let name = path.display().to_string();
        if name == "-" {
            return Ok(FileRows {
                name: "stdin".into(),
                number: 0,
                reader: Reader::Lines(Box::new(io::stdin().lock())),
                foreign: Foreign::default(),
            });
        }
        let file = File::open(path).map_err(|error| Failure::data(format!("cannot open {name}: {error}")))?;
        let reader = match path.extension().and_then(|ending| ending.to_str()) {
            Some("ndjson" | "jsonl" | "json") => Reader::Lines(Box::new(BufReader::new(file))),
            Some("csv") => open_csv(path, source, definitions)?,
            Some("parquet") => {
                if let Some(directory) = definitions {
                    check_parquet(path, &declared(source, directory)?).map_err(unreadable)?;
                }
                Reader::Parquet(parquet_rows(path).map_err(unreadable)?, Vec::new().into_iter())
            }
            _ => {
                let message =
                    format!("{name} ends in none of .ndjson, .jsonl, .json, .csv and .parquet; rename the file");
                return Err(Failure::usage(message));
            }
        };
        let foreign = match &reader {
            Reader::Parquet(batches, _) => Foreign::of(&batches.schema()),
            _ => Foreign::default(),
        };
        Ok(FileRows { name, number: 0, reader, foreign })
    }

    /// What messages call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn foreign(&self) -> &Foreign {
        &self.foreign
    }

    /// The next row; `None` at the end.
    pub fn next_row(&mut self) -> Result<Option<FileRow>, Failure> {
        match &mut self.reader {
            Reader::Lines(lines) => loop {
                let mut line = Vec::new();
                let read = io::Read::take(&mut *lines, MOST_LINE_BYTES + 1).read_until(b'\n', &mut line);
                let read = read.map_err(|error| Failure::data(format!("cannot read {}: {error}", self.name)))?;
                if read == 0 {
                    return Ok(None);
                }
                self.number += 1;
                let place = format!("{}:{}", self.name, self.number);
                if line.len() as u64 > MOST_LINE_BYTES {
                    // What follows is the rest of this line, not a record.
                    return Err(Failure::data(format!("{place}: the line is longer than {MOST_LINE_BYTES} bytes")));
                }
                if self.number == 1 && line.starts_with(MARK) {
                    line.drain(..MARK.len());
                }
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(FileRow { place, record: object(&line) }));
                }
            },
            Reader::Csv(rows, columns) => {
                // Only what keeps the file from being read on is an error here: rows are checked one by one.
                let Some((line, row)) = rows.next_row().map_err(unreadable)? else { return Ok(None) };
                let place = format!("{}:{line}", self.name);
                Ok(Some(FileRow { place, record: csv_record(columns, row) }))
            }
            Reader::Parquet(batches, rows) => {
                let failed = |error: ArrowError| {
                    Failure::data(format!("cannot read {}: {}", self.name, parquet_reason(&error.to_string())))
                };
                loop {
                    if let Some(record) = rows.next() {
                        self.number += 1;
                        let place = format!("{} row {}", self.name, self.number);
                        return Ok(Some(FileRow { place, record: Ok(record) }));
                    }
                    match batches.next() {
                        Some(batch) => *rows = batch.and_then(|b| json_records(&b)).map_err(failed)?.into_iter(),
                        None => return Ok(None),
                    }
                }
            }
        }
    }
}

/// A line that is a JSON object, as written.
fn object(line: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
    let wrong = |error| format!("not a JSON object: {}", Malformed::of(line, &error).sentence());
    let record: &RawValue = serde_json::from_str(text).map_err(wrong)?;
    match record.get() {
        object if object.starts_with('{') => Ok(object.to_string()),
        _ => Err("not a JSON object, but another value".to_string()),
    }
}

/// Finds the types of a CSV file's columns in the definitions.
fn open_csv(path: &Path, source: &str, definitions: Option<&Path>) -> Result<Reader, Failure> {
    let name = path.display();
    let Some(directory) = definitions else {
        return Err(Failure::usage(format!("{name} does not say its types; add --definitions DIR")));
    };
    let schema = declared(source, directory)?.schema;
    let mut rows = CsvRows::open(path).map_err(unreadable)?;
    let header = rows.header().map_err(unreadable)?;
    if header.is_empty() {
        return Err(Failure::data(format!("{name} is empty: its first row must name the columns")));
    }
    let column = |title: &[u8]| schema.iter().find(|column| column.name.as_bytes() == title).cloned();
    let columns: Vec<Option<Column>> = header.iter().map(column).collect();
    if columns.iter().all(Option::is_none) {
        let known = schema.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::data(format!(
            "the first row of {name} names no column of source `{source}`: it must be a header; the columns are {known}"
        )));
    }
    Ok(Reader::Csv(Box::new(rows), columns))
}

fn unreadable(error: FileError) -> Failure {
    Failure::data(error.to_string())
}

/// A source of the definitions in `directory`.
fn declared(source: &str, directory: &Path) -> Result<Source, Failure> {
    let mut definitions = freshet_config::load(directory).map_err(|errors| Failure::definitions(&errors))?;
    let Some(index) = definitions.source(source) else {
        let hint = suggestion(source, definitions.sources.iter().map(|source| source.name.as_str()));
        return Err(Failure::data(format!("unknown source `{source}`; {hint}")));
    };
    Ok(definitions.sources.swap_remove(index))
}

/// Fields of columns the source has, in the form of their types; empty ones are null. What does not look like its
/// type goes as text, for the server to say so.
fn csv_record(columns: &[Option<Column>], row: &csv::ByteRecord) -> Result<String, String> {
    if row.len() != columns.len() {
        return Err(format!("the row has {} fields, the header has {}", row.len(), columns.len()));
    }
    let mut record: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    for (column, field) in columns.iter().zip(row) {
        let Some(column) = column else { continue };
        let field = std::str::from_utf8(field).map_err(|_| format!("`{}` is not UTF-8", column.name))?;
        let bare = !matches!(column.data_type, DataType::String | DataType::Timestamp);
        let value = match serde_json::from_str::<Box<RawValue>>(field) {
            _ if field.is_empty() => continue,
            // As it stands there: a number that is read and written again may be another one.
            Ok(value) if bare && is_number_or_bool(value.get()) => Ok(value),
            _ => serde_json::value::to_raw_value(field),
        };
        // Text always serialises.
        record.extend(value.ok().map(|value| (column.name.as_str(), value)));
    }
    serde_json::to_string(&record).map_err(|error| error.to_string())
}

/// Of a JSON value, by how it begins.
fn is_number_or_bool(json: &str) -> bool {
    json.starts_with(|c: char| c == '-' || c.is_ascii_digit()) || matches!(json, "true" | "false")
}

/// For messages of tests and callers that only know a path.
impl std::fmt::Debug for FileRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileRows").field("name", &PathBuf::from(&self.name)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(path: &Path, definitions: Option<&Path>) -> Vec<(String, Result<String, String>)> {
        let mut rows = FileRows::open(path, "s", definitions).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            found.push((row.place.rsplit('/').next().unwrap_or_default().to_string(), row.record));
        }
        found
    }

    #[test]
    fn lines_are_objects_or_said_to_be_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.ndjson");
        std::fs::write(&path, b"\xef\xbb\xbf{\"a\": 1}\n\n[1]\n{\"a\"\n\xff\n{}").unwrap();
        let found = all(&path, None);
        let places: Vec<&str> = found.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["x.ndjson:1", "x.ndjson:3", "x.ndjson:4", "x.ndjson:5", "x.ndjson:6"]);
        assert_eq!(found[0].1, Ok("{\"a\": 1}".to_string()));
        assert_eq!(found[1].1, Err("not a JSON object, but another value".to_string()));
        assert!(
            found[2].1.as_ref().unwrap_err().starts_with("not a JSON object: the text breaks off within an object")
        );
        assert_eq!(found[3].1, Err("not UTF-8 at byte 0".to_string()));
        assert_eq!(found[4].1, Ok("{}".to_string()));
    }

    #[test]
    fn a_refused_column_of_a_foreign_type_is_called_by_it() {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let decimal = arrow::datatypes::DataType::Decimal128(10, 2);
        let schema = Schema::new(vec![field("amount", decimal), field("n", arrow::datatypes::DataType::Int64)]);
        let foreign = Foreign::of(&schema);
        assert_eq!(
            foreign.explained("`amount` must be a float64 number, found an array"),
            "`amount` must be a float64 number, found decimal(10, 2), which does not convert exactly: cast `amount` in the file"
        );
        for message in ["`n` must be an int64 number, found an array", "`amount` is missing"] {
            assert_eq!(foreign.explained(message), message);
        }
    }

    #[test]
    fn csv_takes_its_types_from_the_definitions() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("d.yaml"),
            "sources:\n  - {name: s, stream: {log: {}}, schema: {id: string, n: int64, x: float64, at: timestamp}, \
             event_time: at}\n",
        )
        .unwrap();
        let path = dir.path().join("x.csv");
        std::fs::write(&path, "id,n,x,at,other\n007,7,1568.6299999999999,2026-01-01T00:00:00Z,9\n8,seven,,,\n")
            .unwrap();
        let found = all(&path, Some(dir.path()));
        assert_eq!(found[0].0, "x.csv:2");
        assert_eq!(
            found[0].1,
            Ok(r#"{"at":"2026-01-01T00:00:00Z","id":"007","n":7,"x":1568.6299999999999}"#.to_string())
        );
        assert_eq!(found[1].1, Ok(r#"{"id":"8","n":"seven"}"#.to_string()));
        let refused = FileRows::open(&path, "s", None).unwrap_err();
        assert!(refused.message.ends_with("does not say its types; add --definitions DIR"), "{}", refused.message);
    }

    #[test]
    fn a_bad_row_of_csv_does_not_hide_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let definitions = "sources:\n  - {name: s, stream: {log: {}}, schema: {id: string, n: int64, at: timestamp}, \
                           event_time: at}\n";
        std::fs::write(dir.path().join("d.yaml"), definitions).unwrap();
        let path = dir.path().join("x.csv");
        std::fs::write(&path, b"id,n,at\na,1,\nb,2\n\xff,3,\nd,4,\n").unwrap();
        let found = all(&path, Some(dir.path()));
        assert_eq!(found[0].1, Ok(r#"{"id":"a","n":1}"#.to_string()));
        assert_eq!(found[1], ("x.csv:3".to_string(), Err("the row has 2 fields, the header has 3".to_string())));
        assert_eq!(found[2], ("x.csv:4".to_string(), Err("`id` is not UTF-8".to_string())));
        assert_eq!(found[3].1, Ok(r#"{"id":"d","n":4}"#.to_string()));
        for (content, part) in [("", "is empty: its first row must name the columns"), ("a,1,\n", "must be a header")] {
            std::fs::write(&path, content).unwrap();
            let refused = FileRows::open(&path, "s", Some(dir.path())).unwrap_err();
            assert!(refused.message.contains(part), "{}", refused.message);
        }
    }

    #[test]
    fn parquet_is_checked_like_a_history_where_the_types_are_known() {
        use std::sync::Arc;

        use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};

        let dir = tempfile::tempdir().unwrap();
        let definitions = "sources:\n  - {name: s, stream: {log: {}}, schema: {n: int64, x: float64, at: timestamp}, \
                           event_time: at}\n";
        std::fs::write(dir.path().join("d.yaml"), definitions).unwrap();
        let path = dir.path().join("x.parquet");
        let write = |n: ArrayRef, at: ArrayRef| {
            let x: ArrayRef = Arc::new(Float64Array::from(vec![0.5, f64::NAN]));
            let batch = RecordBatch::try_from_iter([("n", n), ("x", x), ("at", at)]).unwrap();
            let file = File::create(&path).unwrap();
            let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        };
        let text: ArrayRef = Arc::new(StringArray::from(vec!["2026-01-01T00:00:00Z"; 2]));
        write(Arc::new(UInt64Array::from(vec![1, 2])), text);
        let refused = FileRows::open(&path, "s", Some(dir.path())).unwrap_err().message;
        assert!(refused.contains("`n` as uint64, which does not convert to int64 exactly"), "{refused}");
        assert!(refused.contains("`at` as string, which does not convert to timestamp exactly"), "{refused}");
        // Without types the source itself refuses what it cannot hold.
        assert_eq!(all(&path, None)[0].1, Ok(r#"{"n":[1],"x":0.5,"at":"2026-01-01T00:00:00Z"}"#.to_string()));
        let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, 1]));
        write(Arc::new(arrow::array::Int64Array::from(vec![1, 2])), at);
        let found = all(&path, Some(dir.path()));
        let record = r#"{"n":2,"at":"1970-01-01T00:00:00.000001Z","x":"NaN"}"#.to_string();
        assert_eq!(found[1], ("x.parquet row 2".to_string(), Ok(record)));
    }

    #[test]
    fn endings_say_the_format() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.txt");
        std::fs::write(&path, "").unwrap();
        assert!(FileRows::open(&path, "s", None).unwrap_err().message.contains("ends in none of"));
    }
}
