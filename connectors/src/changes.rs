//! Records that say how rows changed: the columns that mark a deletion, and Debezium's envelope.
//!
//! A record of a changelog is a row as it is from now on, or the removal of one. An upsert is the row's own object; it
//! removes the row when it says `"__deleted": true`, or `"op": "d"` where the schema has no column `op` of its own. A
//! Debezium record wraps the row: `{"before": {..}, "after": {..}, "op": "c" | "r" | "u" | "d"}`, or that in a `payload`.

use std::borrow::Cow;

use arrow::array::{Array, AsArray, RecordBatch};
use freshet_config::definitions::{ChangelogFormat, Column, Source};
use freshet_config::value::DataType;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::events::{Code, excerpt};
use crate::malformed::Malformed;
use crate::row::{Cell, Refusal, Row};

/// Marks a record that removes a row. Names of columns never begin like this.
pub const DELETED: &str = "__deleted";
const OP: &str = "op";

/// Columns behind those of the schema, and the key that every record must have.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangeRules {
    /// Columns that name the row; never null.
    pub key: Vec<usize>,
    /// The column [`DELETED`].
    deleted: usize,
    /// The column `op`, where it marks what a record is.
    op: Option<usize>,
}

impl ChangeRules {
    /// Appends the marks to the columns of a source; `None` when it holds events.
    pub fn of_source(source: &Source, columns: &mut Vec<Column>) -> Option<ChangeRules> {
        let changelog = source.changelog.as_ref()?;
        let deleted = columns.len();
        columns.push(Column { name: DELETED.to_string(), data_type: DataType::Bool });
        let taken = columns.iter().any(|column| column.name == OP);
        let op = (!taken).then_some(columns.len());
        if op.is_some() {
            columns.push(Column { name: OP.to_string(), data_type: DataType::String });
        }
        Some(ChangeRules { key: changelog.key.clone(), deleted, op })
    }

    /// Whether the record removes its row.
    pub fn removes(&self, row: &Row) -> bool {
        let by_op = self.op.is_some_and(|op| match row.cells[op] {
            Cell::Text { start, end } => is_delete(&row.text[start..end]),
            _ => false,
        });
        by_op || row.cells[self.deleted] == Cell::Bool(true)
    }

    /// Says that the row was unwrapped: it is removed or not, whatever its own fields are called.
    pub fn set_removed(&self, row: &mut Row, removed: bool) {
        row.cells[self.deleted] = Cell::Bool(removed);
        if let Some(op) = self.op {
            row.cells[op] = Cell::Null;
        }
    }
}

fn is_delete(op: &str) -> bool {
    matches!(op, "d" | "delete")
}

/// Per row of a batch whether it removes its row; `columns` is the width of the source's schema.
pub fn removals(batch: &RecordBatch, columns: usize) -> Vec<bool> {
    let marks = &batch.columns()[columns.min(batch.num_columns())..];
    let removes = |row: usize| {
        marks.iter().any(|mark| match mark.data_type() {
            arrow::datatypes::DataType::Boolean => mark.is_valid(row) && mark.as_boolean().value(row),
            _ => mark.is_valid(row) && mark.as_string_opt::<i32>().is_some_and(|ops| is_delete(ops.value(row))),
        })
    };
    (0..batch.num_rows()).map(removes).collect()
}

/// Whether a source's stream holds Debezium's envelopes.
pub(crate) fn is_enveloped(source: &Source) -> bool {
    source.changelog.as_ref().is_some_and(|changelog| changelog.format == ChangelogFormat::Debezium)
}

/// A row out of its envelope.
pub(crate) struct Unwrapped<'a> {
    pub row: &'a str,
    pub removed: bool,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    #[serde(borrow)]
    op: Option<Cow<'a, str>>,
}

/// Opens a Debezium record; `None` for the empty one that follows a deletion and says nothing more.
pub(crate) fn unwrap(record: &[u8]) -> Result<Option<Unwrapped<'_>>, Refusal> {
    let decode = |message: String| Refusal::new(Code::Decode, message);
    let text = std::str::from_utf8(record)
        .map_err(|error| decode(format!("the record is not UTF-8: byte {} is invalid", error.valid_up_to())))?;
    if matches!(text.trim_ascii(), "" | "null") {
        return Ok(None);
    }
    let parse = |text| {
        let wrong = |error| format!("the record is no change: {}", Malformed::of(record, &error).sentence());
        serde_json::from_str::<Envelope<'_>>(text).map_err(|error| decode(wrong(error)))
    };
    let mut envelope = parse(text)?;
    if let (None, Some(payload)) = (&envelope.op, envelope.payload) {
        envelope = parse(payload.get())?;
    }
    let Some(op) = envelope.op.as_deref() else {
        return Err(decode("the record has no `op`: a change has `before`, `after` and `op`".to_string()));
    };
    let (side, row, removed) = match op {
        "c" | "r" | "u" => ("after", envelope.after, false),
        "d" => ("before", envelope.before, true),
        other => {
            let shown = excerpt(other.as_bytes());
            return Err(decode(format!("the record's `op` is `{shown}`: only c, r, u and d change a row")));
        }
    };
    let row = row.ok_or_else(|| decode(format!("the record's `op` is `{op}` and it has no `{side}`")))?;
    Ok(Some(Unwrapped { row: row.get(), removed }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(record: &str) -> Result<Option<(String, bool)>, String> {
        let row = unwrap(record.as_bytes()).map_err(|refusal| refusal.message)?;
        Ok(row.map(|row| (row.row.to_string(), row.removed)))
    }

    #[test]
    fn envelopes_open() {
        let some = |row: &str, removed| Ok(Some((row.to_string(), removed)));
        assert_eq!(unwrapped(r#"{"before":null,"after":{"id":1},"op":"c","ts_ms":5}"#), some(r#"{"id":1}"#, false));
        assert_eq!(unwrapped(r#"{"before":{"id":1},"after":null,"op":"d"}"#), some(r#"{"id":1}"#, true));
        let wrapped = r#"{"schema":{"type":"struct"},"payload":{"before":{"id":1},"after":{"id":2},"op":"u"}}"#;
        assert_eq!(unwrapped(wrapped), some(r#"{"id":2}"#, false));
        assert_eq!(unwrapped(""), Ok(None));
        assert_eq!(unwrapped(" null\n"), Ok(None));
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for record in
            ["{}", "[]", "7", r#"{"op":"c"}"#, r#"{"op":"d","after":{}}"#, r#"{"op":"t"}"#, r#"{"payload":null}"#]
        {
            assert!(unwrapped(record).is_err(), "{record}");
        }
        assert!(unwrap(b"\xff").is_err());
    }
}
