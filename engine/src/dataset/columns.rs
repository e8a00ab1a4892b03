//! Features column by column: 8 bytes a value until they become Arrow arrays beside the spine.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use freshet_config::arrays::feature_array;
use freshet_config::value::{DataType, FeatureType, Value};
use freshet_operators::row::Reason;

use super::error::DatasetError;

/// One feature at every row; null until set.
pub(super) struct FeatureColumn {
    data_type: FeatureType,
    words: Vec<u64>,
    valid: Vec<bool>,
    /// Values of a string feature; a word is a place here.
    texts: Vec<String>,
    /// Values of a list or map feature; a word is a place here.
    nested: Vec<Value>,
    /// Rows in which it is an error, and why; ascending once [`FeatureColumn::settle`] was called.
    failed: Vec<(usize, Reason)>,
}

impl FeatureColumn {
    pub fn new(data_type: &FeatureType, rows: usize) -> FeatureColumn {
        let data_type = data_type.clone();
        FeatureColumn {
            data_type,
            words: vec![0; rows],
            valid: vec![false; rows],
            texts: Vec::new(),
            nested: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Sets a row; a string, a list or a map is taken out of `value`.
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
            Value::List(_) | Value::Map(_) => {
                self.nested.push(std::mem::replace(value, Value::Null));
                self.nested.len() as u64 - 1
            }
        };
        self.valid[row] = true;
    }

    /// Notes that there is no value in a row.
    pub fn fail(&mut self, row: usize, reason: Reason) {
        self.failed.push((row, reason));
    }

    /// All rows are set.
    pub fn settle(&mut self) {
        self.failed.sort_unstable_by_key(|(row, _)| *row);
    }

    /// Errors of these rows, in their order.
    pub fn failed(&self, start: usize, rows: usize) -> &[(usize, Reason)] {
        let place = |row: usize| self.failed.partition_point(|(failed, _)| *failed < row);
        &self.failed[place(start)..place(start + rows)]
    }

    /// What of these rows is addressed by offsets: bytes of text, and elements of lists and maps with their own.
    pub fn addressed(&self, start: usize, rows: usize) -> usize {
        let words = self.words(start, rows).flatten();
        match self.data_type {
            FeatureType::Scalar(DataType::String) => words.map(|word| self.texts[word as usize].len()).sum(),
            FeatureType::Scalar(_) => 0,
            FeatureType::List(_) | FeatureType::Map(..) => {
                words.map(|word| addressed(&self.nested[word as usize])).sum()
            }
        }
    }

    fn words(&self, start: usize, rows: usize) -> impl Iterator<Item = Option<u64>> {
        let rows = start..start + rows;
        self.words[rows.clone()].iter().zip(&self.valid[rows]).map(|(word, valid)| valid.then_some(*word))
    }

    /// Rows from `start` as an array.
    pub fn array(&self, start: usize, rows: usize) -> Result<ArrayRef, DatasetError> {
        let words = self.words(start, rows);
        let FeatureType::Scalar(data_type) = self.data_type else {
            let values = words.map(|word| word.map_or(&Value::Null, |word| &self.nested[word as usize]));
            return Ok(feature_array(&self.data_type, values)?);
        };
        Ok(match data_type {
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
        })
    }
}

fn addressed(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::List(values) => values.len() + values.iter().map(addressed).sum::<usize>(),
        Value::Map(entries) => entries.iter().map(|(key, value)| 1 + addressed(key) + addressed(value)).sum(),
        _ => 0,
    }
}
