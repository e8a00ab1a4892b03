//! Events with a list, taken apart: one event per element, in order; none of an empty list.
//!
//! Law: what an event is, and whether it came before, is decided before it is taken apart. Its elements follow each other
//! in the order of positions, except where a tie breaker takes their place.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::error::ArrowError;
use freshet_config::definitions::{Explode, Source, Stream, arrow_schema};

use crate::events::EventBatch;
use crate::position;

/// Most elements of one list.
pub const MAX_ELEMENTS: usize = position::ELEMENTS;

/// Takes the events of a source apart.
#[derive(Clone, Debug)]
pub struct Exploder {
    explode: Explode,
    schema: arrow::datatypes::SchemaRef,
    kafka: bool,
    /// Positions are those of records; else a tie breaker's.
    placed: bool,
}

/// What events became.
pub struct Exploded {
    pub events: EventBatch,
    /// Positions of events without an element.
    pub empty: Vec<u64>,
}

impl Exploder {
    /// `None` when events are whole.
    pub fn of_source(source: &Source) -> Option<Exploder> {
        Some(Exploder {
            explode: source.explode.clone()?,
            schema: arrow_schema(&source.event_columns()),
            kafka: matches!(source.stream, Some(Stream::Kafka { .. })),
            placed: source.tie_breaker.is_none(),
        })
    }

    pub fn explode(&self, events: EventBatch) -> Result<Exploded, ArrowError> {
        let lists = events.batch.column(self.explode.column).as_list::<i32>();
        let (mut rows, mut elements) = (Vec::new(), Vec::new());
        let (mut positions, mut empty) = (Vec::new(), Vec::new());
        for (row, position) in events.positions.iter().enumerate() {
            let offsets = lists.value_offsets();
            let values = if lists.is_null(row) { 0..0 } else { offsets[row]..offsets[row + 1] };
            if values.is_empty() {
                empty.push(*position);
            }
            for (index, element) in values.enumerate() {
                rows.push(row as u32);
                elements.push(element as u32);
                positions.push(if self.placed { position::element(*position, self.kafka, index) } else { *position });
            }
        }
        let record_times = match events.record_times.is_empty() {
            true => Vec::new(),
            false => rows.iter().map(|row| events.record_times[*row as usize]).collect(),
        };
        let (rows, elements) = (UInt32Array::from(rows), UInt32Array::from(elements));
        let column = |(index, array): (usize, &ArrayRef)| match index == self.explode.column {
            true => take(lists.values(), &elements, None),
            false => take(array, &rows, None),
        };
        let columns = events.batch.columns().iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(Exploded { events: EventBatch { batch, positions, record_times }, empty })
    }
}
