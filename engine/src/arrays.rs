//! Single values out of Arrow columns and into them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};

/// The value of one row of a column of this type.
pub fn value_at(array: &ArrayRef, data_type: DataType, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match data_type {
        DataType::Int32 => Value::Int32(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::Int64(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Value::Float32(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::Float64(array.as_primitive::<Float64Type>().value(row)),
        DataType::String => Value::String(array.as_string::<i32>().value(row).to_string()),
        DataType::Bool => Value::Bool(array.as_boolean().value(row)),
        DataType::Timestamp => {
            Value::Timestamp(EventTime::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(row)))
        }
    }
}

/// A column of values; one of another type than the column's is null.
pub fn array_of<'a>(data_type: DataType, values: impl Iterator<Item = &'a Value>) -> ArrayRef {
    macro_rules! collect {
        ($array:ty, $pattern:pat => $value:expr) => {
            Arc::new(values.map(|v| if let $pattern = v { Some($value) } else { None }).collect::<$array>())
        };
    }
    match data_type {
        DataType::Int32 => collect!(Int32Array, Value::Int32(v) => *v),
        DataType::Int64 => collect!(Int64Array, Value::Int64(v) => *v),
        DataType::Float32 => collect!(Float32Array, Value::Float32(v) => *v),
        DataType::Float64 => collect!(Float64Array, Value::Float64(v) => *v),
        DataType::String => collect!(StringArray, Value::String(v) => v.as_str()),
        DataType::Bool => collect!(BooleanArray, Value::Bool(v) => *v),
        DataType::Timestamp => collect!(TimestampMicrosecondArray, Value::Timestamp(v) => v.micros()),
    }
}
