//! A dimension's table as a hash lookup: the row of a key, the last one where a key stands more than once.

use std::collections::HashMap;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use freshet_config::definitions::{Dimension, Enrich, arrow_schema, column_type};
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value, encode_key};
use freshet_connectors::files;

use super::error::DatasetError;

pub(super) struct Table {
    rows: RecordBatch,
    /// Encoded key to row.
    places: HashMap<Vec<u8>, u64>,
}

impl Table {
    /// A dimension without a table has no rows. Relative paths count from `directory`.
    pub fn read(dimension: &Dimension, directory: &Path) -> Result<Table, DatasetError> {
        let schema = arrow_schema(&dimension.schema);
        let batches = match &dimension.table {
            Some(table) => files::read_table(table, &dimension.schema, directory)?,
            None => Vec::new(),
        };
        let rows = concat_batches(&schema, &batches)?;
        let mut places = HashMap::new();
        for row in 0..rows.num_rows() {
            let key: Vec<Value> = dimension.key.iter().map(|column| value(rows.column(*column), row)).collect();
            let mut bytes = Vec::new();
            // A row without a whole key describes nothing.
            if encode_key(&key, &mut bytes).is_ok() {
                places.insert(bytes, row as u64);
            }
        }
        Ok(Table { rows, places })
    }

    /// The columns an enrichment takes, a row per event; null where the dimension has no row.
    pub fn enrich(&self, enrich: &Enrich, events: &RecordBatch) -> Result<Vec<ArrayRef>, DatasetError> {
        let mut bytes = Vec::new();
        let place = |row: usize| -> Option<u64> {
            bytes.clear();
            let key: Vec<Value> = enrich.on.iter().map(|column| value(events.column(*column), row)).collect();
            encode_key(&key, &mut bytes).ok()?;
            self.places.get(&bytes).copied()
        };
        let places: UInt64Array = (0..events.num_rows()).map(place).collect();
        let taken = enrich.columns.iter().map(|(column, _)| take(self.rows.column(*column), &places, None));
        Ok(taken.collect::<Result<_, _>>()?)
    }
}

/// A value that may be part of a key; floats, which may not, are null.
pub(super) fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match column_type(array.data_type()) {
        Some(DataType::Int32) => Value::Int32(array.as_primitive::<Int32Type>().value(row)),
        Some(DataType::Int64) => Value::Int64(array.as_primitive::<Int64Type>().value(row)),
        Some(DataType::String) => Value::String(array.as_string::<i32>().value(row).to_string()),
        Some(DataType::Bool) => Value::Bool(array.as_boolean().value(row)),
        Some(DataType::Timestamp) => {
            Value::Timestamp(EventTime::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(row)))
        }
        Some(DataType::Float32 | DataType::Float64) | None => Value::Null,
    }
}
