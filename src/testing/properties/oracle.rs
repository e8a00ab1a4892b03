//! What the naive reference says of generated events: expressions are those of the plan, windows are its own.

use std::collections::HashMap;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, new_null_array};
use freshet_config::arrays::value_at;
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};
use freshet_engine::plan::{Group, Node, Plan};
use freshet_operators::project::ProjectedColumn;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::sql::{Predicate, SqlError};
use freshet_operators::view::ViewPlan;

use super::column;
use super::generate::Events;
use crate::exit::Failure;

/// Events of every view of a source, with their keys.
pub struct Oracle {
    views: HashMap<usize, Vec<(Vec<Value>, ReferenceEvent)>>,
}

impl Oracle {
    pub fn new(plan: &Plan, source: usize, events: &Events) -> Result<Oracle, Failure> {
        let mut oracle = Oracle { views: HashMap::new() };
        let Some(pipeline) = plan.pipelines.iter().find(|pipeline| pipeline.source == source) else {
            return Ok(oracle);
        };
        let rows = events.rows.len();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (index, data_type) in events.types.iter().enumerate() {
            let values: Vec<Value> = events.rows.iter().map(|row| row[index].clone()).collect();
            columns.push(column(*data_type, &values)?);
        }
        let failed = |error: SqlError| Failure::internal(format!("an expression failed on generated events: {error}"));
        for node in &pipeline.nodes {
            match node {
                // Dimensions are empty.
                Node::Enrich { enrich } => {
                    for _ in &plan.definitions.sources[source].enrich[*enrich].columns {
                        let field = pipeline.schema.field(columns.len());
                        columns.push(new_null_array(field.data_type(), rows));
                    }
                }
                Node::Compute { columns: computed } => {
                    for (_, expression) in computed {
                        let evaluated = expression.evaluate(&batch(pipeline, &columns)?).map_err(failed)?;
                        columns.push(evaluated.array);
                    }
                }
                Node::Read | Node::Changes { .. } | Node::Project | Node::Windows { .. } | Node::Commit { .. } => {}
            }
        }
        let batch = batch(pipeline, &columns)?;
        let positions: Vec<u64> = (0..rows).map(|row| position(plan, source, events, row)).collect();
        for group in &pipeline.groups {
            oracle.take(group, &batch, &positions).map_err(failed)?;
        }
        Ok(oracle)
    }

    fn take(&mut self, group: &Group, batch: &RecordBatch, positions: &[u64]) -> Result<(), SqlError> {
        let columns: Vec<Vec<Value>> =
            group.projection.columns.iter().map(|column| projected(column, batch)).collect::<Result<_, _>>()?;
        for (member, filter) in group.views.iter().zip(&group.projection.filters) {
            let passes = filter.as_ref().map(|filter| holds(filter, batch)).transpose()?;
            let mut taken = Vec::new();
            for (row, position) in positions.iter().enumerate() {
                let key: Vec<Value> = group
                    .projection
                    .keys
                    .iter()
                    .map(|(column, data_type)| value_at(batch.column(*column), *data_type, row))
                    .collect();
                if key.iter().any(Value::is_null) || passes.as_ref().is_some_and(|passes| !passes.value(row)) {
                    continue;
                }
                let Value::Timestamp(time) = value_at(batch.column(group.projection.time), DataType::Timestamp, row)
                else {
                    continue;
                };
                let values = member.columns.iter().map(|column| columns[*column][row].clone()).collect();
                taken.push((key, ReferenceEvent { time, position: *position, values }));
            }
            self.views.insert(member.view, taken);
        }
        Ok(())
    }

    /// The events of a view, each with its key.
    pub fn keyed(&self, view: usize) -> &[(Vec<Value>, ReferenceEvent)] {
        self.views.get(&view).map_or(&[], Vec::as_slice)
    }

    pub fn features(&self, view: usize, plan: &ViewPlan, key: &[Value], at: EventTime) -> Vec<(Value, bool)> {
        let own = self.keyed(view).iter().filter(|(other, _)| other == key);
        let events: Vec<ReferenceEvent> = own.map(|(_, event)| event.clone()).collect();
        evaluate(plan, &events, at)
    }
}

fn batch(pipeline: &freshet_engine::plan::Pipeline, columns: &[ArrayRef]) -> Result<RecordBatch, Failure> {
    let known: Vec<usize> = (0..columns.len()).collect();
    let schema = pipeline.schema.project(&known);
    schema
        .and_then(|schema| RecordBatch::try_new(schema.into(), columns.to_vec()))
        .map_err(|error| Failure::internal(format!("generated events make no table: {error}")))
}

/// The order among equal times: the tie breaker, null before every number, then the order of arrival.
fn position(plan: &Plan, source: usize, events: &Events, row: usize) -> u64 {
    let tie = plan.definitions.sources[source].tie_breaker.map(|column| &events.rows[row][column]);
    let rank = match tie {
        // Generated numbers are small.
        Some(Value::Int32(v)) => (i64::from(*v) + 1_000) as u64,
        Some(Value::Int64(v)) => (v + 1_000) as u64,
        _ => 0,
    };
    rank << 40 | row as u64
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
