//! The events and dimension rows of a test, as the files that the plan reads.

use freshet_config::cases::{CODE, Case, Pairs, Parts, Written};
use freshet_config::definitions::{Column, Definitions};
use freshet_config::diagnostic::{Diagnostic, Diagnostics, suggestion};
use freshet_config::value::Value;

use super::{events_file, rows_file};

type Rows = Pairs<Parts<Pairs<Written>>>;

/// One file per source and dimension, those the test does not name empty.
pub fn files(definitions: &Definitions, case: &Case, errors: &mut Diagnostics) -> Vec<(String, String)> {
    // Changes of views follow from the events of others.
    let read: Vec<_> = definitions.sources.iter().filter(|source| source.changes_of.is_none()).collect();
    let sources: Vec<(&str, &[Column])> =
        read.iter().map(|source| (source.name.as_str(), &source.schema[..])).collect();
    let dimensions: Vec<(&str, &[Column])> =
        definitions.dimensions.iter().map(|dimension| (dimension.name.as_str(), &dimension.schema[..])).collect();
    refuse_unknown("source", case.events.as_ref(), &sources, errors);
    refuse_unknown("dimension", case.dimensions.as_ref(), &dimensions, errors);
    let mut files = Vec::new();
    for (source, (name, schema)) in read.iter().zip(&sources) {
        // An event without a time is none; a key column without a value describes nothing.
        let needed = [source.event_time];
        files.push((events_file(name), lines(("source", name), schema, &needed, case.events.as_ref(), errors)));
    }
    for (index, (name, schema)) in dimensions.iter().enumerate() {
        let needed = &definitions.dimensions[index].key;
        files.push((rows_file(name), lines(("dimension", name), schema, needed, case.dimensions.as_ref(), errors)));
    }
    files
}

fn refuse_unknown(what: &str, written: Option<&Rows>, known: &[(&str, &[Column])], errors: &mut Diagnostics) {
    for (name, _) in written.iter().flat_map(|rows| &rows.entries) {
        if known.iter().all(|(known, _)| *known != name.value) {
            let hint = suggestion(&name.value, known.iter().map(|(name, _)| *name));
            let message = format!("unknown {what} `{}`", name.value);
            errors.push(Diagnostic::new(&name.place, CODE, message).hint(hint));
        }
    }
}

/// One JSON object per row.
fn lines(
    (what, name): (&str, &str),
    schema: &[Column],
    needed: &[usize],
    written: Option<&Rows>,
    errors: &mut Diagnostics,
) -> String {
    let rows = written.iter().flat_map(|rows| &rows.entries).filter(|(known, _)| known.value == name);
    let mut text = String::new();
    for row in rows.flat_map(|(_, rows)| &rows.items) {
        let mut object = serde_json::Map::new();
        for (column, value) in &row.entries {
            let Some(known) = schema.iter().find(|known| known.name == column.value) else {
                let hint = suggestion(&column.value, schema.iter().map(|column| column.name.as_str()));
                let message = format!("unknown column `{}` of {what} `{name}`", column.value);
                errors.push(Diagnostic::new(&column.place, CODE, message).hint(hint));
                continue;
            };
            match value.scalar(&format!("column `{}` of {what} `{name}`", known.name), known.data_type) {
                Ok(value) => drop(object.insert(known.name.clone(), json(&value))),
                Err(error) => errors.push(error),
            }
        }
        for column in needed.iter().filter_map(|column| schema.get(*column)) {
            if row.entries.iter().all(|(written, _)| written.value != column.name) {
                let message = format!("a row of {what} `{name}` has no `{}`", column.name);
                errors.push(Diagnostic::new(&row.place, CODE, message).hint("a row counts by it, so it must be there"));
            }
        }
        text.push_str(&serde_json::Value::Object(object).to_string());
        text.push('\n');
    }
    text
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
        Value::Null | Value::List(_) | Value::Map(_) => serde_json::Value::Null,
    }
}
