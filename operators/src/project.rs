//! Projection: from a source's Arrow batches to the keyed columns that windows take, one batch per entity.
//!
//! Law: an event is admitted when at least one view takes it. What no view takes is counted: filtered, or without a
//! key. Every expression is evaluated once per batch however many views and aggregates share its text.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use freshet_config::value::{DataType, MAX_KEY_STRING_BYTES};
use timely::container::Accountable;

use crate::batch::{BatchShape, KeyedBatch, hash_key, heap_word};
use crate::sql::{Expression, Predicate, SqlError};

/// Events of a source as they enter projection. Columns are those of the source, enriched and computed ones included.
#[derive(Clone, Debug)]
pub struct SourceBatch {
    pub events: RecordBatch,
    /// Order among equal event times.
    pub positions: Vec<u64>,
    /// +1 or -1 per event; empty: all +1.
    pub signs: Vec<i8>,
}

impl Default for SourceBatch {
    fn default() -> SourceBatch {
        let events = RecordBatch::new_empty(std::sync::Arc::new(arrow::datatypes::Schema::empty()));
        SourceBatch { events, positions: Vec::new(), signs: Vec::new() }
    }
}

impl Accountable for SourceBatch {
    fn record_count(&self) -> i64 {
        self.events.num_rows() as i64
    }
}

/// One (source, entity) group: what its views need of the source's columns.
#[derive(Clone, Debug)]
pub struct Projection {
    /// Index of the event time column.
    pub time: usize,
    /// Indices and types of the key columns, in the entity's order.
    pub keys: Vec<(usize, DataType)>,
    /// Distinct columns of all views of the group.
    pub columns: Vec<ProjectedColumn>,
    /// Filters of the views, in the order of their bits.
    pub filters: Vec<Option<Predicate>>,
    pub keep_positions: bool,
}

/// A value per event: `of`, null where `filter` does not hold; `true` where it holds when there is no `of`.
#[derive(Clone, Debug)]
pub struct ProjectedColumn {
    pub of: Option<Expression>,
    pub filter: Option<Predicate>,
    pub data_type: DataType,
}

/// What projection found besides values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projected {
    /// Events no view takes.
    pub filtered: u64,
    /// Rows of the batch whose key is null or too long, and that no other group took.
    pub keyless: Vec<usize>,
    /// Values that could not be computed (null instead), and why the first could not.
    pub failed_values: u64,
    pub first_failure: Option<String>,
}

impl Projection {
    pub fn shape(&self) -> BatchShape {
        let mut heap_columns = 0;
        for (c, column) in self.columns.iter().enumerate() {
            heap_columns |= u64::from(column.data_type == DataType::String) << c;
        }
        BatchShape { heap_key: self.heap_key(), heap_columns, columns: self.columns.len() }
    }

    /// A single fixed-width key travels as a word, everything else as bytes.
    pub fn heap_key(&self) -> bool {
        self.keys.len() != 1 || self.keys[0].1 == DataType::String
    }
}

/// Projects a batch for all groups of its source.
pub fn project(groups: &[Projection], batch: &SourceBatch) -> Result<(Vec<KeyedBatch>, Projected), SqlError> {
    let rows = batch.events.num_rows();
    let mut found = Projected::default();
    let mut admitted = vec![false; rows];
    let mut keyless = vec![false; rows];
    let mut keyed = Vec::with_capacity(groups.len());
    for group in groups {
        keyed.push(group.apply(batch, &mut admitted, &mut keyless, &mut found)?);
    }
    for row in 0..rows {
        match (admitted[row], keyless[row]) {
            (true, _) => {}
            (false, true) => found.keyless.push(row),
            (false, false) => found.filtered += 1,
        }
    }
    Ok((keyed, found))
}

impl Projection {
    fn apply(
        &self,
        batch: &SourceBatch,
        admitted: &mut [bool],
        keyless: &mut [bool],
        found: &mut Projected,
    ) -> Result<KeyedBatch, SqlError> {
        let events = &batch.events;
        let rows = events.num_rows();
        let mut passes = vec![0u64; rows];
        for (bit, filter) in self.filters.iter().enumerate() {
            match filter {
                None => passes.iter_mut().for_each(|p| *p |= 1 << bit),
                Some(filter) => {
                    let selection = filter.evaluate(events)?;
                    note(found, selection.failed_rows, selection.first_failure);
                    set_bits(&selection.passes, bit, &mut passes);
                }
            }
        }
        let mut out = KeyedBatch::default();
        let keys = self.keys(events, &mut out.heap);
        let taken: Vec<usize> = (0..rows).filter(|row| passes[*row] != 0 && keys[*row].is_some()).collect();
        for row in 0..rows {
            admitted[row] |= passes[row] != 0 && keys[row].is_some();
            keyless[row] |= passes[row] != 0 && keys[row].is_none();
        }
        self.fill_keys(&taken, &keys, &mut out);
        let times = events.column(self.time).as_primitive::<TimestampMicrosecondType>();
        out.time = taken.iter().map(|row| times.value(*row)).collect();
        if self.keep_positions {
            out.position = taken.iter().map(|row| batch.positions.get(*row).copied().unwrap_or(0)).collect();
        }
        let all = u64::MAX >> (64 - self.filters.len().clamp(1, 64));
        if taken.iter().any(|row| passes[*row] != all) {
            out.passes = taken.iter().map(|row| passes[*row]).collect();
        }
        if !batch.signs.is_empty() {
            out.sign = taken.iter().map(|row| batch.signs[*row]).collect();
        }
        let mut nulls = vec![0u64; rows];
        for (c, column) in self.columns.iter().enumerate() {
            let words = column.words(c, events, &taken, &mut nulls, &mut out.heap, found)?;
            out.columns.push(words);
        }
        if taken.iter().any(|row| nulls[*row] != 0) {
            out.nulls = taken.iter().map(|row| nulls[*row]).collect();
        }
        Ok(out)
    }

    /// Per row the key's word, or the place of its bytes; `None` when a part is null or too long.
    fn keys(&self, events: &RecordBatch, heap: &mut Vec<u8>) -> Vec<Option<u64>> {
        let rows = events.num_rows();
        if !self.heap_key() {
            let (column, data_type) = self.keys[0];
            let array = events.column(column);
            return (0..rows).map(|row| fixed_word(array, data_type, row)).collect();
        }
        (0..rows)
            .map(|row| {
                let start = heap.len();
                for (column, data_type) in &self.keys {
                    if put_key_part(events.column(*column), *data_type, row, heap).is_none() {
                        heap.truncate(start);
                        return None;
                    }
                }
                Some(heap_word(start, heap.len() - start))
            })
            .collect()
    }

    fn fill_keys(&self, taken: &[usize], keys: &[Option<u64>], out: &mut KeyedBatch) {
        let heap_key = self.heap_key();
        for key in taken.iter().filter_map(|row| keys[*row]) {
            let hash = if heap_key {
                hash_key(crate::batch::heap_bytes(&out.heap, key))
            } else {
                hash_key(&key.to_le_bytes())
            };
            out.hash.push(hash);
            out.key.push(key);
        }
    }
}

/// One part of a key, encoded as `freshet_config::value::encode_key` does.
fn put_key_part(array: &ArrayRef, data_type: DataType, row: usize, heap: &mut Vec<u8>) -> Option<()> {
    if data_type != DataType::String {
        heap.extend_from_slice(&fixed_word(array, data_type, row)?.to_le_bytes());
        return Some(());
    }
    let strings = array.as_string::<i32>();
    if strings.is_null(row) || strings.value(row).len() > MAX_KEY_STRING_BYTES {
        return None;
    }
    let text = strings.value(row);
    heap.extend_from_slice(&(text.len() as u32).to_le_bytes());
    heap.extend_from_slice(text.as_bytes());
    Some(())
}

fn fixed_word(array: &ArrayRef, data_type: DataType, row: usize) -> Option<u64> {
    if array.is_null(row) {
        return None;
    }
    Some(match data_type {
        DataType::Int32 => i64::from(array.as_primitive::<Int32Type>().value(row)) as u64,
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row) as u64,
        DataType::Timestamp => array.as_primitive::<TimestampMicrosecondType>().value(row) as u64,
        DataType::Bool => u64::from(array.as_boolean().value(row)),
        DataType::String | DataType::Float32 | DataType::Float64 => return None,
    })
}

fn note(found: &mut Projected, failed: usize, why: Option<String>) {
    found.failed_values += failed as u64;
    if found.first_failure.is_none() {
        found.first_failure = why;
    }
}

fn set_bits(answers: &BooleanArray, bit: usize, passes: &mut [u64]) {
    for (row, pass) in passes.iter_mut().enumerate() {
        *pass |= u64::from(answers.value(row)) << bit;
    }
}

impl ProjectedColumn {
    fn words(
        &self,
        c: usize,
        events: &RecordBatch,
        taken: &[usize],
        nulls: &mut [u64],
        heap: &mut Vec<u8>,
        found: &mut Projected,
    ) -> Result<Vec<u64>, SqlError> {
        if let Some(filter) = &self.filter {
            let selection = filter.evaluate(events)?;
            note(found, selection.failed_rows, selection.first_failure);
            for (row, null) in nulls.iter_mut().enumerate() {
                *null |= u64::from(!selection.passes.value(row)) << c;
            }
        }
        let Some(of) = &self.of else { return Ok(vec![1; taken.len()]) };
        let evaluated = of.evaluate(events)?;
        note(found, evaluated.failed_rows, evaluated.first_failure);
        let array = evaluated.array;
        if array.null_count() > 0 {
            for (row, null) in nulls.iter_mut().enumerate() {
                *null |= u64::from(array.is_null(row)) << c;
            }
        }
        Ok(words_of(&array, self.data_type, taken, |row| nulls[row] >> c & 1 == 1, heap))
    }
}

/// Words of the chosen rows; null rows are 0.
fn words_of(
    array: &ArrayRef,
    data_type: DataType,
    taken: &[usize],
    is_null: impl Fn(usize) -> bool,
    heap: &mut Vec<u8>,
) -> Vec<u64> {
    fn collect(taken: &[usize], is_null: impl Fn(usize) -> bool, word: impl Fn(usize) -> u64) -> Vec<u64> {
        taken.iter().map(|row| if is_null(*row) { 0 } else { word(*row) }).collect()
    }
    match data_type {
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().values();
            collect(taken, is_null, |row| i64::from(values[row]) as u64)
        }
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>().values();
            collect(taken, is_null, |row| values[row] as u64)
        }
        DataType::Timestamp => {
            let values = array.as_primitive::<TimestampMicrosecondType>().values();
            collect(taken, is_null, |row| values[row] as u64)
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            collect(taken, is_null, |row| f64::from(values[row]).to_bits())
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            collect(taken, is_null, |row| values[row].to_bits())
        }
        DataType::Bool => {
            let values = array.as_boolean();
            collect(taken, is_null, |row| u64::from(values.value(row)))
        }
        DataType::String => {
            let values = array.as_string::<i32>();
            let place = |row: usize| {
                let text = values.value(row).as_bytes();
                heap.extend_from_slice(text);
                heap_word(heap.len() - text.len(), text.len())
            };
            let mut place = place;
            taken.iter().map(|row| if is_null(*row) { 0 } else { place(*row) }).collect()
        }
    }
}
