//! One record at a time into Arrow columns: a record is read into cells, checked, and only then appended.
//!
//! The law: a refused record leaves no trace. JSON and CSV share everything here, so that a value means the same
//! whichever way it came.

mod columns;
mod parse;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use freshet_config::definitions::{Column, Source, record_schema};
use freshet_config::time::EventTime;
use freshet_config::value::MAX_KEY_STRING_BYTES;

use crate::changes::ChangeRules;
use crate::events::{Code, TimeBounds};
use columns::ColumnBuilder;
pub(crate) use parse::{mismatch, parse_number, parse_quoted, parse_text};

/// What is wrong with a record, before its place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: Code,
    pub message: String,
}

impl Refusal {
    pub fn new(code: Code, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }
}

/// One value of the record at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Cell {
    /// Not mentioned by the record: null, but may still be given.
    #[default]
    Absent,
    Null,
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// A range of the row's text.
    Text {
        start: usize,
        end: usize,
    },
    /// A range of the row's items.
    List {
        start: usize,
        end: usize,
    },
    Time {
        at: EventTime,
        /// Written as a bare number, whose unit the sender may have mistaken.
        bare: bool,
    },
}

/// Which columns a record must fill, and with what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub columns: Vec<Column>,
    pub event_time: Option<usize>,
    /// Columns that must hold a usable join key.
    pub keys: Vec<usize>,
    pub bounds: TimeBounds,
    /// Columns from here on may be missing in files.
    pub optional_from: usize,
    /// A column that holds lists of its type.
    pub list: Option<usize>,
    /// Set when records say how rows change.
    pub changes: Option<ChangeRules>,
}

impl Rules {
    pub fn of_source(source: &Source) -> Rules {
        let mut columns = source.schema.clone();
        let optional_from = columns.len();
        let changes = ChangeRules::of_source(source, &mut columns);
        let list = source.explode.as_ref().map(|explode| explode.column);
        Rules { columns, event_time: Some(source.event_time), optional_from, list, changes, ..Rules::default() }
    }

    pub fn schema(&self) -> SchemaRef {
        record_schema(&self.columns, self.list)
    }

    pub fn of_columns(columns: &[Column]) -> Rules {
        Rules { columns: columns.to_vec(), optional_from: columns.len(), ..Rules::default() }
    }

    pub fn missing_time(&self, index: usize) -> Refusal {
        let name = &self.columns[index].name;
        Refusal::new(Code::Time, format!("`{name}` is missing or null: every event needs its event time"))
    }

    pub fn missing_key(&self, index: usize) -> Refusal {
        Refusal::new(
            Code::Key,
            format!("`{}` is missing or null: every event needs its keys", self.columns[index].name),
        )
    }

    pub fn long_key(&self, index: usize, bytes: usize) -> Refusal {
        let name = &self.columns[index].name;
        Refusal::new(
            Code::Key,
            format!("`{name}` has {bytes} bytes: a join key may have at most {MAX_KEY_STRING_BYTES}"),
        )
    }
}

/// The record being read: a cell per column, and the text of its strings.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub cells: Vec<Cell>,
    pub text: String,
    /// Elements of its list.
    pub items: Vec<Cell>,
}

impl Row {
    pub fn clear(&mut self, columns: usize) {
        self.cells.clear();
        self.cells.resize(columns, Cell::Absent);
        self.text.clear();
        self.items.clear();
    }

    /// Keeps a string and returns its cell.
    pub fn text_cell(&mut self, text: &str) -> Cell {
        let start = self.text.len();
        self.text.push_str(text);
        Cell::Text { start, end: self.text.len() }
    }
}

/// Collects accepted records into Arrow columns.
#[derive(Debug)]
pub(crate) struct Rows {
    rules: Rules,
    schema: SchemaRef,
    builders: Vec<ColumnBuilder>,
    count: usize,
}

impl Rows {
    pub fn new(rules: Rules) -> Rows {
        let schema = rules.schema();
        let builder = |(index, column): (usize, &Column)| match rules.list == Some(index) {
            true => ColumnBuilder::list_of(column.data_type),
            false => ColumnBuilder::new(column.data_type),
        };
        let builders = rules.columns.iter().enumerate().map(builder).collect();
        Rows { rules, schema, builders, count: 0 }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn rules_mut(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// Checks the row and appends it. `record_time` bounds its event time; history has none.
    pub fn accept(&mut self, row: &Row, record_time: Option<EventTime>) -> Result<(), Refusal> {
        self.check(row, record_time)?;
        for (builder, cell) in self.builders.iter_mut().zip(&row.cells) {
            builder.append(*cell, row);
        }
        self.count += 1;
        Ok(())
    }

    fn check(&self, row: &Row, record_time: Option<EventTime>) -> Result<(), Refusal> {
        if let Some(changes) = &self.rules.changes {
            self.check_keys(row, &changes.key)?;
            // What is gone needs no more than its name.
            if changes.removes(row) {
                return Ok(());
            }
        }
        if let Some(index) = self.rules.event_time {
            match row.cells[index] {
                Cell::Time { at, bare } => {
                    if let Some(record_time) = record_time {
                        check_time(&self.rules.columns[index].name, at, bare, record_time, self.rules.bounds)?;
                    }
                }
                _ => return Err(self.rules.missing_time(index)),
            }
        }
        self.check_keys(row, &self.rules.keys)
    }

    fn check_keys(&self, row: &Row, keys: &[usize]) -> Result<(), Refusal> {
        for index in keys {
            match row.cells[*index] {
                Cell::Absent | Cell::Null => return Err(self.rules.missing_key(*index)),
                Cell::Text { start, end } if end - start > MAX_KEY_STRING_BYTES => {
                    return Err(self.rules.long_key(*index, end - start));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes what was accepted so far.
    pub fn finish(&mut self) -> RecordBatch {
        let arrays: Vec<ArrayRef> = self.builders.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.count)));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            // The builders were made from the same columns as the schema and got one value each per row.
            .expect("columns match the schema they were made from")
    }
}

/// Refuses an event whose time lies too far from its record's, and says so if another unit would fit.
fn check_time(
    name: &str,
    at: EventTime,
    bare: bool,
    record_time: EventTime,
    bounds: TimeBounds,
) -> Result<(), Refusal> {
    let fits = |at: EventTime| at >= record_time - bounds.past && at <= record_time + bounds.future;
    if fits(at) {
        return Ok(());
    }
    let (code, side, limit) =
        if at > record_time { (Code::Future, "after", bounds.future) } else { (Code::Time, "before", bounds.past) };
    let mut message = format!("`{name}` is {at}, more than {limit} {side} its record ({record_time})");
    let micros = at.micros();
    let other_unit = [
        ("seconds", micros.checked_mul(1_000_000)),
        ("milliseconds", micros.checked_mul(1_000)),
        ("nanoseconds", Some(micros / 1_000)),
    ];
    for (unit, micros) in other_unit {
        if bare && micros.is_some_and(|micros| fits(EventTime::from_micros(micros))) {
            message.push_str(&format!("; it looks like {unit}: send microseconds since 1970 or an RFC 3339 text"));
        }
    }
    Err(Refusal::new(code, message))
}
