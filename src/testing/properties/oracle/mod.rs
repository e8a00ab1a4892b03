//! What the naive reference says of generated events: expressions are those of the plan; joins, windows, categories and
//! changes are its own.

mod categories;
mod changes;
mod features;

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use freshet_config::arrays::{feature_array, value_at};
use freshet_config::definitions::Enrich;
use freshet_config::value::{DataType, FeatureType, Value, encode_key};
use freshet_engine::plan::{Group, Node, Pipeline, Plan};
use freshet_operators::project::ProjectedColumn;
use freshet_operators::reference::ReferenceEvent;
use freshet_operators::sql::{Predicate, SqlError};

use super::generate::{Event, Records, Rows};
use crate::exit::Failure;

pub use features::{expected, same};

/// Events of every view, by key.
pub struct Oracle {
    views: BTreeMap<usize, Keyed>,
}

/// Events of one view.
#[derive(Default)]
pub struct Keyed {
    pub keys: Vec<Key>,
    /// Encoded key to its number.
    numbers: BTreeMap<Vec<u8>, usize>,
}

/// One key and its events.
pub struct Key {
    pub values: Vec<Value>,
    encoded: Vec<u8>,
    pub events: Vec<ReferenceEvent>,
    /// Per event its category, where the view is by category; else empty.
    categories: Vec<Value>,
}

impl Oracle {
    /// `records` of every source, and `rows` of every dimension.
    pub fn new(plan: &Plan, records: &[Records], rows: &[Rows]) -> Result<Oracle, Failure> {
        let mut oracle = Oracle { views: BTreeMap::new() };
        // Changes of a view come after the view.
        for pipeline in &plan.pipelines {
            let changes;
            let events = match pipeline.nodes.first() {
                Some(Node::Changes { input, .. }) => {
                    let source = &plan.definitions.sources[pipeline.source];
                    let of = source.changes_of.as_ref().and_then(|changes| oracle.views.get(&changes.view));
                    changes = of.map_or_else(Vec::new, |keyed| changes::changes(&input.plan.view, keyed));
                    &changes
                }
                _ => &records[pipeline.source].events,
            };
            oracle.follow(plan, pipeline, events, rows)?;
        }
        Ok(oracle)
    }

    /// Joins, computes and projects the events of one pipeline.
    fn follow(&mut self, plan: &Plan, pipeline: &Pipeline, events: &[Event], rows: &[Rows]) -> Result<(), Failure> {
        let failed = |error: SqlError| Failure::internal(format!("an expression failed on generated events: {error}"));
        let source = &plan.definitions.sources[pipeline.source];
        let mut columns: Vec<ArrayRef> = Vec::new();
        let read = events.first().map_or(0, |event| event.cells.len());
        for column in 0..read {
            columns.push(array(pipeline, column, events.iter().map(|event| event.cells[column].clone()))?);
        }
        for node in &pipeline.nodes {
            match node {
                Node::Enrich { enrich } => {
                    let joined = join(&source.enrich[*enrich], events, rows);
                    for column in 0..source.enrich[*enrich].columns.len() {
                        columns.push(array(pipeline, columns.len(), joined.iter().map(|row| row[column].clone()))?);
                    }
                }
                Node::Compute { columns: computed } if !events.is_empty() => {
                    for (_, expression) in computed {
                        let evaluated = expression.evaluate(&batch(pipeline, &columns)?).map_err(failed)?;
                        columns.push(evaluated.array);
                    }
                }
                _ => {}
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        let batch = batch(pipeline, &columns)?;
        for group in &pipeline.groups {
            self.take(group, &batch, events).map_err(failed)?;
        }
        Ok(())
    }

    fn take(&mut self, group: &Group, batch: &RecordBatch, events: &[Event]) -> Result<(), SqlError> {
        let projection = &group.projection;
        let columns: Vec<Vec<Value>> =
            projection.columns.iter().map(|column| projected(column, batch)).collect::<Result<_, _>>()?;
        let category = projection.category.as_ref().map(|category| category.of.evaluate(batch)).transpose()?;
        let types = projection.category.as_ref().map(|category| category.data_type);
        for (member, filter) in group.views.iter().zip(&projection.filters) {
            let passes = filter.as_ref().map(|filter| holds(filter, batch)).transpose()?;
            let keyed = self.views.entry(member.view).or_default();
            for (row, event) in events.iter().enumerate() {
                let of_category =
                    category.as_ref().zip(types).map(|(of, data_type)| value_at(&of.array, data_type, row));
                let passes = passes.as_ref().is_none_or(|passes| passes.value(row));
                if !passes || of_category.as_ref().is_some_and(Value::is_null) {
                    continue;
                }
                let key = projection.keys.iter().map(|(column, t)| value_at(batch.column(*column), *t, row)).collect();
                let time = value_at(batch.column(projection.time), DataType::Timestamp, row);
                if let Value::Timestamp(time) = time {
                    let values = member.columns.iter().map(|column| columns[*column][row].clone()).collect();
                    keyed.push(key, of_category, ReferenceEvent { time, position: event.position, values });
                }
            }
        }
        Ok(())
    }

    /// Keys that have events in a view.
    pub fn keys(&self, view: usize) -> &[Key] {
        self.views.get(&view).map_or(&[], |keyed| &keyed.keys)
    }
}

impl Keyed {
    fn push(&mut self, values: Vec<Value>, category: Option<Value>, event: ReferenceEvent) {
        let mut encoded = Vec::new();
        // An event without a whole key belongs to nobody.
        if encode_key(&values, &mut encoded).is_err() {
            return;
        }
        let number = *self.numbers.entry(encoded.clone()).or_insert(self.keys.len());
        if number == self.keys.len() {
            self.keys.push(Key { values, encoded, events: Vec::new(), categories: Vec::new() });
        }
        self.keys[number].events.push(event);
        self.keys[number].categories.extend(category);
    }
}

/// Per event the columns of the dimension's row; nulls where there is none.
fn join(enrich: &Enrich, events: &[Event], rows: &[Rows]) -> Vec<Vec<Value>> {
    let of_event = |event: &Event| -> Vec<Value> {
        let key: Vec<Value> = enrich.on.iter().map(|column| event.cells[*column].clone()).collect();
        let row = rows[enrich.dimension].find(&key);
        enrich.columns.iter().map(|(column, _)| row.map_or(Value::Null, |row| row[*column].clone())).collect()
    };
    events.iter().map(of_event).collect()
}

/// The Arrow column number `column` of a pipeline.
fn array(pipeline: &Pipeline, column: usize, values: impl Iterator<Item = Value>) -> Result<ArrayRef, Failure> {
    let unfit = || Failure::internal("generated events make no table");
    let data_type = freshet_config::definitions::column_type(pipeline.schema.field(column).data_type());
    let values: Vec<Value> = values.map(one_zero).collect();
    feature_array(&FeatureType::Scalar(data_type.ok_or_else(unfit)?), values.iter()).map_err(|_| unfit())
}

/// Readers know one zero.
fn one_zero(value: Value) -> Value {
    match value {
        Value::Float32(value) => Value::Float32(value + 0.0),
        Value::Float64(value) => Value::Float64(value + 0.0),
        other => other,
    }
}

fn batch(pipeline: &Pipeline, columns: &[ArrayRef]) -> Result<RecordBatch, Failure> {
    let known: Vec<usize> = (0..columns.len()).collect();
    let schema = pipeline.schema.project(&known);
    schema
        .and_then(|schema| RecordBatch::try_new(schema.into(), columns.to_vec()))
        .map_err(|error| Failure::internal(format!("generated events make no table: {error}")))
}

fn holds(filter: &Predicate, batch: &RecordBatch) -> Result<BooleanArray, SqlError> {
    Ok(filter.evaluate(batch)?.passes)
}

/// The values of a projected column: `of`, null where the filter does not hold; without `of` true where it does.
fn projected(column: &ProjectedColumn, batch: &RecordBatch) -> Result<Vec<Value>, SqlError> {
    let rows = batch.num_rows();
    let passes = column.filter.as_ref().map(|filter| holds(filter, batch)).transpose()?;
    let of = column.of.as_ref().map(|of| of.evaluate(batch)).transpose()?;
    let value = |row: usize| match (&of, &passes) {
        (_, Some(passes)) if !passes.value(row) => Value::Null,
        (Some(of), _) => value_at(&of.array, column.data_type, row),
        (None, _) => Value::Bool(true),
    };
    Ok((0..rows).map(value).collect())
}
