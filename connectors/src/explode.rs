//! Events with a list, taken apart: one event per element, in order; none of an empty list.
//!
//! Law: what an event is, and whether it came before, is decided before it is taken apart. Its elements follow each other
//! in the order of positions, except where a tie breaker takes their place.
//!
//! Every element repeats the other columns of its record, so that little can become much: a record is refused beyond
//! [`MAX_RECORD_BYTES`], and what many records become is given in parts of about [`PART_BYTES`].

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use freshet_config::definitions::{Explode, Source, Stream, arrow_schema};

use crate::events::EventBatch;
use crate::position;

/// Most elements of one list.
pub const MAX_ELEMENTS: usize = position::ELEMENTS;
/// Most bytes that one record may become.
pub const MAX_RECORD_BYTES: u64 = 64 << 20;
/// A part is given when it holds this many bytes; it ends with the element that fills it.
const PART_BYTES: u64 = 16 << 20;
/// Bytes of a value that is no text, and of the place of one that is.
const WORD_BYTES: u64 = 8;

/// Takes the events of a source apart.
#[derive(Clone, Debug)]
pub struct Exploder {
    explode: Explode,
    schema: arrow::datatypes::SchemaRef,
    kafka: bool,
    /// Positions are those of records; else a tie breaker's.
    placed: bool,
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

    /// Why a row of a batch may not be taken apart; `None`: it may.
    pub fn refusal(&self, batch: &RecordBatch, row: usize) -> Option<String> {
        let lists = self.lists(batch);
        let elements = elements(lists, row);
        let others = self.other_bytes(batch, row).saturating_mul(elements.len() as u64);
        let own: u64 = elements.map(|element| value_bytes(lists.values(), element)).sum();
        let bytes = others.saturating_add(own);
        (bytes > MAX_RECORD_BYTES).then(|| {
            format!(
                "one event per element of `{}` makes {bytes} bytes of this record, more than {MAX_RECORD_BYTES}: shorten \
                 its texts or the list",
                batch.schema().field(self.explode.column).name()
            )
        })
    }

    /// Takes events apart, none of which is [refused](Exploder::refusal).
    pub fn explode(&self, events: EventBatch) -> Exploding {
        let lists = self.lists(&events.batch);
        let counts = (0..events.len()).map(|row| elements(lists, row).len());
        let (mut empty, mut count) = (Vec::new(), 0);
        for (position, elements) in events.positions.iter().zip(counts) {
            count += elements as u64;
            if elements == 0 {
                empty.push(*position);
            }
        }
        Exploding { exploder: self.clone(), events, row: 0, element: 0, empty, elements: count }
    }

    fn lists<'b>(&self, batch: &'b RecordBatch) -> &'b ListArray {
        batch.column(self.explode.column).as_list::<i32>()
    }

    /// Bytes that every element of a row repeats.
    fn other_bytes(&self, batch: &RecordBatch, row: usize) -> u64 {
        let others = batch.columns().iter().enumerate().filter(|(index, _)| *index != self.explode.column);
        others.map(|(_, array)| value_bytes(array, row)).sum()
    }
}

/// Numbers of the elements of a row among those of all rows.
fn elements(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    if lists.is_null(row) {
        return 0..0;
    }
    let offsets = lists.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

fn value_bytes(array: &ArrayRef, row: usize) -> u64 {
    match array.data_type() {
        DataType::Utf8 if array.is_valid(row) => WORD_BYTES + array.as_string::<i32>().value_length(row) as u64,
        _ => WORD_BYTES,
    }
}

/// What events become, as an iterator over parts; none is empty.
pub struct Exploding {
    exploder: Exploder,
    events: EventBatch,
    /// What comes next: an element of a row.
    row: usize,
    element: usize,
    empty: Vec<u64>,
    elements: u64,
}

impl Exploding {
    /// Positions of events without an element.
    pub fn empty(&self) -> &[u64] {
        &self.empty
    }

    /// How many events come of it all.
    pub fn elements(&self) -> u64 {
        self.elements
    }

    /// The rows and elements of the next part, and the order among equal times.
    fn next_elements(&mut self) -> (Vec<u32>, Vec<u32>, Vec<u64>) {
        let Exploder { kafka, placed, .. } = self.exploder;
        let lists = self.exploder.lists(&self.events.batch);
        let (mut rows, mut taken, mut positions, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        while self.row < self.events.len() && bytes < PART_BYTES {
            let all = elements(lists, self.row);
            let position = self.events.positions[self.row];
            let others = self.exploder.other_bytes(&self.events.batch, self.row);
            while self.element < all.len() && bytes < PART_BYTES {
                let element = all.start + self.element;
                rows.push(self.row as u32);
                taken.push(element as u32);
                positions.push(if placed { position::element(position, kafka, self.element) } else { position });
                bytes += others + value_bytes(lists.values(), element);
                self.element += 1;
            }
            if self.element == all.len() {
                (self.row, self.element) = (self.row + 1, 0);
            }
        }
        (rows, taken, positions)
    }
}

impl Iterator for Exploding {
    type Item = Result<EventBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (rows, elements, positions) = self.next_elements();
        if rows.is_empty() {
            return None;
        }
        let EventBatch { batch, record_times, .. } = &self.events;
        let record_times = match record_times.is_empty() {
            true => Vec::new(),
            false => rows.iter().map(|row| record_times[*row as usize]).collect(),
        };
        let (rows, elements) = (UInt32Array::from(rows), UInt32Array::from(elements));
        let column = |(index, array): (usize, &ArrayRef)| match index == self.exploder.explode.column {
            true => take(self.exploder.lists(batch).values(), &elements, None),
            false => take(array, &rows, None),
        };
        let columns: Result<Vec<ArrayRef>, ArrowError> = batch.columns().iter().enumerate().map(column).collect();
        let batch = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(&self.exploder.schema), columns));
        Some(batch.map(|batch| EventBatch { batch, positions, record_times }))
    }
}
