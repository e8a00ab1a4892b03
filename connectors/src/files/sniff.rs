//! Columns of text files whose types nobody declared: those of CSV in the order of the header, those of NDJSON in the order
//! of the lines that name them first (of names within a line), with types from the values.

use std::io::BufReader;
use std::path::Path;

use freshet_config::definitions::{Column, FileFormat};
use freshet_config::time::EventTime;
use freshet_config::value::DataType;
use serde_json::Value as Json;

use super::lines::{Line, next_line, unmarked};
use super::{FileError, FileProblem, csv};

/// Rows of a CSV file that are looked at for the types of its columns.
const CSV_ROWS: usize = 100;

/// The columns of a CSV or NDJSON file. In CSV a column is `string`, or `timestamp` where its first values are instants
/// with date and time. In NDJSON the type is the narrowest that takes all values; one that is always null is `string`.
/// A column of lists, objects or mixed types is an error.
pub fn sniff(path: &Path, format: FileFormat) -> Result<Vec<Column>, FileError> {
    let columns = match format {
        FileFormat::Csv => csv::first_rows(path, CSV_ROWS)?
            .into_iter()
            .map(|(name, values)| Column { name, data_type: text_type(&values) })
            .collect(),
        FileFormat::Ndjson => ndjson(path)?,
        FileFormat::Parquet => Vec::new(),
    };
    Ok(columns)
}

fn text_type(values: &[String]) -> DataType {
    let mut filled = values.iter().filter(|value| !value.is_empty()).peekable();
    if filled.peek().is_some() && filled.all(|value| is_instant(value)) {
        DataType::Timestamp
    } else {
        DataType::String
    }
}

/// RFC 3339, the zone left out or not.
fn is_instant(text: &str) -> bool {
    EventTime::parse(text).is_ok() || EventTime::parse(&format!("{text}Z")).is_ok()
}

/// What is known of a field so far. `data_type` is `None` while it was only null.
struct Seen {
    name: String,
    data_type: Option<DataType>,
}

fn ndjson(path: &Path) -> Result<Vec<Column>, FileError> {
    let file = super::open_regular(path)?;
    let mut reader = BufReader::new(file);
    let mut buffer = Vec::new();
    let mut seen: Vec<Seen> = Vec::new();
    let mut number = 0;
    while let Some(line) = next_line(&mut reader, &mut buffer).map_err(FileError::io(path))? {
        // Lines that are no objects are refused, with their place, when they are read as rows.
        number += 1;
        let Line::Whole(text) = line else { continue };
        let text = unmarked(text, number);
        let Ok(Json::Object(fields)) = serde_json::from_slice::<Json>(text) else { continue };
        for (name, value) in &fields {
            let known = match seen.iter().position(|known| known.name == *name) {
                Some(known) => known,
                None => {
                    seen.push(Seen { name: name.clone(), data_type: None });
                    seen.len() - 1
                }
            };
            let known = &mut seen[known];
            known.data_type = meet(known.data_type, value).map_err(|what| {
                let message = format!("holds {what} in `{name}`: give the field one plain type, or use parquet");
                FileError::Unusable(vec![FileProblem { file: path.to_path_buf(), message }])
            })?;
        }
    }
    let column = |s: Seen| Column { name: s.name, data_type: s.data_type.unwrap_or(DataType::String) };
    Ok(seen.into_iter().map(column).collect())
}

/// The type that takes `value` as well, or what stands in the way.
fn meet(known: Option<DataType>, value: &Json) -> Result<Option<DataType>, &'static str> {
    use DataType::*;
    let found = match value {
        Json::Null => return Ok(known),
        Json::Bool(_) => Bool,
        Json::Number(number) if number.is_i64() => Int64,
        Json::Number(_) => Float64,
        Json::String(text) if is_instant(text) => Timestamp,
        Json::String(_) => String,
        Json::Array(_) => return Err("a list"),
        Json::Object(_) => return Err("an object"),
    };
    Ok(Some(match (known, found) {
        (None, found) => found,
        (Some(known), found) if known == found => found,
        (Some(Int64 | Float64), Int64 | Float64) => Float64,
        (Some(String | Timestamp), String | Timestamp) => String,
        _ => return Err("values of different types"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sniffed(name: &str, text: &str, format: FileFormat) -> Result<Vec<(String, &'static str)>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        match sniff(&path, format) {
            Ok(columns) => Ok(columns.into_iter().map(|c| (c.name, c.data_type.name())).collect()),
            Err(error) => Err(error.to_string().replace(&dir.path().display().to_string(), "DIR")),
        }
    }

    fn typed(expected: &[(&str, &'static str)]) -> Result<Vec<(String, &'static str)>, String> {
        Ok(expected.iter().map(|(name, data_type)| (name.to_string(), *data_type)).collect())
    }

    #[test]
    fn csv_columns_are_text_or_instants() {
        let text = "a,b,c,d\n1,2024-01-01T00:00:00Z,2024-01-01T00:00:00,\n2,,x,\n";
        let expected = [("a", "string"), ("b", "timestamp"), ("c", "string"), ("d", "string")];
        assert_eq!(sniffed("s.csv", text, FileFormat::Csv), typed(&expected));
    }

    #[test]
    fn ndjson_columns_take_the_narrowest_type_of_all_rows() {
        let text =
            "{\"a\": 1, \"b\": null, \"c\": true}\n\n{\"a\": 2.5, \"d\": \"2024-01-01T00:00:00Z\"}\n{\"d\": \"x\"}\n";
        let expected = [("a", "float64"), ("b", "string"), ("c", "bool"), ("d", "string")];
        assert_eq!(sniffed("s.ndjson", text, FileFormat::Ndjson), typed(&expected));
    }

    #[test]
    fn ndjson_columns_without_one_type_are_refused() {
        let refused = |text| sniffed("s.ndjson", text, FileFormat::Ndjson).unwrap_err();
        assert_eq!(
            refused("{\"a\": 1}\n{\"a\": \"x\"}\n"),
            "DIR/s.ndjson holds values of different types in `a`: give the field one plain type, or use parquet"
        );
        assert_eq!(
            refused("{\"a\": [1]}"),
            "DIR/s.ndjson holds a list in `a`: give the field one plain type, or use parquet"
        );
    }
}
