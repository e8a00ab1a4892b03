//! Computed columns: each SQL expression appends its column, in order, so that later ones may use it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use freshet_operators::project::SourceBatch;
use freshet_operators::sql::{Expression, SqlError};
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// Appends the columns to every batch of a stream.
pub(super) fn compute<'s>(
    events: Stream<'s, u64, SourceBatch>,
    columns: Vec<(String, Expression)>,
) -> Stream<'s, u64, SourceBatch> {
    events.unary::<NoopBuilder<SourceBatch>, _, _, _>(Pipeline, "Compute", move |_, _| {
        move |input, output| {
            input.for_each(|time, batch| {
                let mut session = output.session_with_builder(&time);
                append_in_parts(std::mem::take(batch), &columns, &mut |mut batch| session.give_container(&mut batch));
            });
        }
    })
}

/// Appends the columns, in as few parts as texts need that outgrow one column.
fn append_in_parts(batch: SourceBatch, columns: &[(String, Expression)], give: &mut dyn FnMut(SourceBatch)) {
    match append(&batch.events, columns) {
        Ok(events) => give(SourceBatch { events, ..batch }),
        Err(error) => match batch.halves() {
            Some(halves) => halves.into_iter().for_each(|half| append_in_parts(half, columns, give)),
            // The plan compiled the expressions for exactly these columns, and the value of one event fits into one.
            None => panic!("columns as planned: {error}"),
        },
    }
}

/// The batch with the computed columns behind its own. An error means that it does not have the planned columns.
pub fn append(events: &RecordBatch, columns: &[(String, Expression)]) -> Result<RecordBatch, SqlError> {
    let mut events = events.clone();
    for (name, expression) in columns {
        let column = expression.evaluate(&events)?.array;
        let mut fields = events.schema().fields().to_vec();
        fields.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
        let mut arrays = events.columns().to_vec();
        arrays.push(column);
        events = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .expect("the expression gave one value per row, of its own type");
    }
    Ok(events)
}
