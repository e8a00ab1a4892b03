//! Features column by column: 8 bytes a value until they become Arrow arrays beside the spine.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use freshet_config::value::{DataType, Value};

use super::error::DatasetError;

/// Text of one array: Arrow's offsets hold 31 bits.
const ARRAY_TEXT_BYTES: usize = 1 << 30;

/// One feature at every row; null until set.
pub(super) struct FeatureColumn {
    data_type: DataType,
    words: Vec<u64>,
    valid: Vec<bool>,
    /// Values of a string feature; a word is a place here.
    texts: Vec<String>,
}

impl FeatureColumn {
    pub fn new(data_type: DataType, rows: usize) -> FeatureColumn {
        FeatureColumn { data_type, words: vec![0; rows], valid: vec![false; rows], texts: Vec::new() }
    }

    /// Sets a row; a string is taken out of `value`.
    pub fn set(&mut self, row: usize, value: &mut Value) {
        self.words[row] = match value {
            Value::Null => return,
            Value::Int32(v) => i64::from(*v) as u64,
            Value::Int64(v) => *v as u64,
            Value::Float32(v) => u64::from(v.to_bits()),
            Value::Float64(v) => v.to_bits(),
            Value::Bool(v) => u64::from(*v),
            Value::Timestamp(v) => v.micros() as u64,
            Value::String(v) => {
                self.texts.push(std::mem::take(v));
                self.texts.len() as u64 - 1
            }
        };
        self.valid[row] = true;
    }

    fn text_bytes(&self, start: usize, rows: usize) -> usize {
        if self.data_type != DataType::String {
            return 0;
        }
        self.words(start, rows).flatten().map(|word| self.texts[word as usize].len()).sum()
    }

    fn words(&self, start: usize, rows: usize) -> impl Iterator<Item = Option<u64>> {
        let rows = start..start + rows;
        self.words[rows.clone()].iter().zip(&self.valid[rows]).map(|(word, valid)| valid.then_some(*word))
    }

    fn array(&self, start: usize, rows: usize) -> ArrayRef {
        let words = self.words(start, rows);
        match self.data_type {
            DataType::Int32 => Arc::new(words.map(|w| w.map(|w| w as i32)).collect::<Int32Array>()),
            DataType::Int64 => Arc::new(words.map(|w| w.map(|w| w as i64)).collect::<Int64Array>()),
            DataType::Float32 => Arc::new(words.map(|w| w.map(|w| f32::from_bits(w as u32))).collect::<Float32Array>()),
            DataType::Float64 => Arc::new(words.map(|w| w.map(f64::from_bits)).collect::<Float64Array>()),
            DataType::Bool => Arc::new(words.map(|w| w.map(|w| w != 0)).collect::<BooleanArray>()),
            DataType::Timestamp => Arc::new(words.map(|w| w.map(|w| w as i64)).collect::<TimestampMicrosecondArray>()),
            DataType::String => {
                let texts = words.map(|w| w.map(|w| self.texts[w as usize].as_str()));
                Arc::new(texts.collect::<StringArray>())
            }
        }
    }
}

/// Puts features beside the spine's own columns.
pub(super) fn join(
    schema: &SchemaRef,
    spine: &[RecordBatch],
    features: &[FeatureColumn],
) -> Result<Vec<RecordBatch>, DatasetError> {
    let mut joined = Vec::with_capacity(spine.len());
    let mut start = 0;
    for batch in spine {
        join_batch(schema, batch, start, features, &mut joined)?;
        start += batch.num_rows();
    }
    Ok(joined)
}

fn join_batch(
    schema: &SchemaRef,
    batch: &RecordBatch,
    start: usize,
    features: &[FeatureColumn],
    joined: &mut Vec<RecordBatch>,
) -> Result<(), DatasetError> {
    let rows = batch.num_rows();
    if rows > 1 && features.iter().any(|feature| feature.text_bytes(start, rows) > ARRAY_TEXT_BYTES) {
        let half = rows / 2;
        join_batch(schema, &batch.slice(0, half), start, features, joined)?;
        return join_batch(schema, &batch.slice(half, rows - half), start + half, features, joined);
    }
    let features = features.iter().map(|feature| feature.array(start, rows));
    let columns = batch.columns().iter().cloned().chain(features).collect();
    joined.push(RecordBatch::try_new(schema.clone(), columns)?);
    Ok(())
}
