//! The events and dimension rows of a test, as the files that the plan reads.

use freshet_config::cases::{CODE, Case, Pairs, Parts, Written};
use freshet_config::definitions::{Column, Definitions, Dimension, Source};
use freshet_config::diagnostic::{Diagnostic, Diagnostics, Place, suggestion};
use freshet_config::value::{DataType, FeatureType, Value};
use freshet_connectors::changes::DELETED;

use super::{events_file, rows_file};

type Rows = Pairs<Parts<Pairs<Written>>>;
type Row = Pairs<Written>;

/// One file per source and dimension, those the test does not name empty.
pub fn files(definitions: &Definitions, case: &Case, errors: &mut Diagnostics) -> Vec<(String, String)> {
    // Changes of views follow from the events of others.
    let read = definitions.sources.iter().filter(|source| source.changes_of.is_none());
    let sources: Vec<Table> = read.map(Table::of_source).collect();
    let dimensions: Vec<Table> = definitions.dimensions.iter().map(Table::of_dimension).collect();
    let mut files = Vec::new();
    for (what, tables, written) in
        [("source", sources, case.events.as_ref()), ("dimension", dimensions, case.dimensions.as_ref())]
    {
        refuse_unknown(what, &tables, written, errors);
        files.extend(tables.iter().map(|table| (table.file.clone(), table.lines(written, errors))));
    }
    files
}

fn refuse_unknown(what: &str, tables: &[Table], written: Option<&Rows>, errors: &mut Diagnostics) {
    for (name, _) in written.iter().flat_map(|rows| &rows.entries) {
        if tables.iter().all(|table| table.name != name.value) {
            let hint = suggestion(&name.value, tables.iter().map(|table| table.name));
            let message = format!("unknown {what} `{}`", name.value);
            errors.push(Diagnostic::new(&name.place, CODE, message).hint(hint));
        }
    }
}

/// Whatever a test gives rows of.
struct Table<'d> {
    /// ``source `txn` ``.
    title: String,
    name: &'d str,
    file: String,
    schema: &'d [Column],
    /// The column that holds lists.
    list: Option<usize>,
    /// Columns that every row has: an event without a time is none, one without a key describes nothing.
    needed: Vec<usize>,
    /// Columns that are needed of rows that are not deleted; `None`: none can be.
    needed_to_stay: Option<usize>,
}

impl<'d> Table<'d> {
    fn of_source(source: &'d Source) -> Table<'d> {
        let (needed, needed_to_stay) = match &source.changelog {
            Some(changelog) => (changelog.key.clone(), Some(source.event_time)),
            None => (vec![source.event_time], None),
        };
        Table {
            title: format!("source `{}`", source.name),
            name: &source.name,
            file: events_file(&source.name),
            schema: &source.schema,
            list: source.explode.as_ref().map(|explode| explode.column),
            needed,
            needed_to_stay,
        }
    }

    fn of_dimension(dimension: &'d Dimension) -> Table<'d> {
        Table {
            title: format!("dimension `{}`", dimension.name),
            name: &dimension.name,
            file: rows_file(&dimension.name),
            schema: &dimension.schema,
            list: None,
            needed: dimension.key.clone(),
            needed_to_stay: None,
        }
    }

    /// One JSON object per row.
    fn lines(&self, written: Option<&Rows>, errors: &mut Diagnostics) -> String {
        let rows = written.iter().flat_map(|rows| &rows.entries).filter(|(known, _)| known.value == self.name);
        let mut text = String::new();
        for row in rows.flat_map(|(_, rows)| &rows.items) {
            text.push_str(&self.object(row, errors).to_string());
            text.push('\n');
        }
        text
    }

    fn object(&self, row: &Row, errors: &mut Diagnostics) -> serde_json::Value {
        let mut object = serde_json::Map::new();
        for (column, value) in &row.entries {
            let what = format!("column `{}` of {}", column.value, self.title);
            match self.value(&what, &column.value, &column.place, value) {
                Ok(value) => drop(object.insert(column.value.clone(), json(&value))),
                Err(error) => errors.push(error),
            }
        }
        let deleted = object.get(DELETED) == Some(&true.into());
        let to_stay = self.needed_to_stay.filter(|_| !deleted);
        for column in self.needed.iter().copied().chain(to_stay).filter_map(|column| self.schema.get(column)) {
            if row.entries.iter().all(|(written, _)| written.value != column.name) {
                let message = format!("a row of {} has no `{}`", self.title, column.name);
                errors.push(Diagnostic::new(&row.place, CODE, message).hint("a row counts by it, so it must be there"));
            }
        }
        object.into()
    }

    fn value(&self, what: &str, name: &str, place: &Place, value: &Written) -> Result<Value, Diagnostic> {
        if name == DELETED && self.needed_to_stay.is_some() {
            return value.scalar(what, DataType::Bool);
        }
        let Some(index) = self.schema.iter().position(|known| known.name == name) else {
            let marks = self.needed_to_stay.map(|_| DELETED);
            let hint = suggestion(name, self.schema.iter().map(|column| column.name.as_str()).chain(marks));
            return Err(Diagnostic::new(place, CODE, format!("unknown {what}")).hint(hint));
        };
        let data_type = self.schema[index].data_type;
        match self.list == Some(index) {
            true => value.feature(what, &FeatureType::List(Box::new(data_type.into()))),
            false => value.scalar(what, data_type),
        }
    }
}

/// A value as the readers of files take it.
pub fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Int32(v) => (*v).into(),
        Value::Int64(v) => (*v).into(),
        // The shortest digits of the width: widened, they would be others.
        Value::Float32(v) => v.to_string().parse::<f64>().map_or(serde_json::Value::Null, Into::into),
        Value::Float64(v) => (*v).into(),
        Value::String(v) => v.as_str().into(),
        Value::Bool(v) => (*v).into(),
        Value::Timestamp(v) => v.to_string().into(),
        Value::List(elements) => elements.iter().map(json).collect(),
        Value::Null | Value::Map(_) => serde_json::Value::Null,
    }
}
