//! Arrow columns of foreign files into the types features know, where that changes no value.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, PrimitiveArray, TimestampMicrosecondArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as Arrow, Field, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use freshet_config::definitions::{Column, arrow_type};
use freshet_config::time::EventTime;
use freshet_config::value::DataType;

use crate::events::Code;
use crate::explode::MAX_ELEMENTS;
use crate::row::Refusal;

/// Rows that cannot be taken, with the first thing wrong with each.
pub(super) type Faults = BTreeMap<usize, Refusal>;

/// Whether every value of `from` is a value of `to`; of a column of nothing but nulls it is, in every type. (A timestamp
/// may still be too fine; that is a fault of its row.)
pub(super) fn converts(from: &Arrow, to: DataType) -> bool {
    use Arrow::*;
    let from = match from {
        Dictionary(_, values) => values.as_ref(),
        plain => plain,
    };
    if from == &Null {
        return true;
    }
    match to {
        DataType::Int32 => matches!(from, Int8 | Int16 | Int32 | UInt8 | UInt16),
        DataType::Int64 => matches!(from, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32),
        DataType::Float32 => matches!(from, Float16 | Float32 | Int8 | Int16 | UInt8 | UInt16),
        DataType::Float64 => {
            matches!(from, Float16 | Float32 | Float64 | Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32)
        }
        DataType::String => matches!(from, Utf8 | LargeUtf8 | Utf8View),
        DataType::Bool => matches!(from, Boolean),
        DataType::Timestamp => matches!(from, Timestamp(_, _)),
    }
}

/// Whether some type of column takes every value of `from` exactly.
pub fn is_exact_for_some_column(from: &Arrow) -> bool {
    DataType::ALL.iter().any(|to| converts(from, *to))
}

/// Converts a column for which [`converts`] holds, and notes the rows whose value cannot be taken.
pub(super) fn convert(array: &ArrayRef, column: &Column, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let array = match array.data_type() {
        Arrow::Dictionary(_, values) => &cast(array, values)?,
        _ => array,
    };
    match (column.data_type, array.data_type()) {
        (wanted, Arrow::Null) => Ok(new_null_array(&arrow_type(wanted), array.len())),
        (DataType::Timestamp, Arrow::Timestamp(unit, _)) => Ok(Arc::new(match unit {
            TimeUnit::Second => instants::<TimestampSecondType>(array, column, faults, |s| s.checked_mul(1_000_000)),
            TimeUnit::Millisecond => {
                instants::<TimestampMillisecondType>(array, column, faults, |ms| ms.checked_mul(1_000))
            }
            TimeUnit::Microsecond => instants::<TimestampMicrosecondType>(array, column, faults, Some),
            TimeUnit::Nanosecond => {
                instants::<TimestampNanosecondType>(array, column, faults, |ns| (ns % 1_000 == 0).then_some(ns / 1_000))
            }
        })),
        (DataType::Float32, _) => {
            let array = cast(array, &Arrow::Float32)?;
            Ok(Arc::new(finite::<Float32Type>(&array, column, faults, f32::is_finite, |v| v + 0.0)))
        }
        (DataType::Float64, _) => {
            let array = cast(array, &Arrow::Float64)?;
            Ok(Arc::new(finite::<Float64Type>(&array, column, faults, f64::is_finite, |v| v + 0.0)))
        }
        (wanted, found) if found == &arrow_type(wanted) => Ok(array.clone()),
        (wanted, _) => cast(array, &arrow_type(wanted)),
    }
}

/// As [`converts`], for lists of `to`.
pub(super) fn converts_list(from: &Arrow, to: DataType) -> bool {
    match from {
        Arrow::List(items) | Arrow::LargeList(items) => converts(items.data_type(), to),
        Arrow::Null => true,
        _ => false,
    }
}

/// As [`convert`], for a column of lists: a row is at fault when one of its elements is.
pub(super) fn convert_list(array: &ArrayRef, column: &Column, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let field = Arc::new(Field::new_list_field(arrow_type(column.data_type), true));
    let lists = match array.data_type() {
        Arrow::Null => return Ok(new_null_array(&Arrow::List(field), array.len())),
        Arrow::LargeList(items) => &cast(array, &Arrow::List(items.clone()))?,
        _ => array,
    };
    let lists = lists.as_list::<i32>();
    let mut of_elements = Faults::new();
    let elements = convert(lists.values(), column, &mut of_elements)?;
    let offsets = lists.offsets();
    for (element, refusal) in of_elements {
        let row = offsets.partition_point(|end| *end as usize <= element).saturating_sub(1);
        // Elements of null rows, and those before or behind a slice, belong to none.
        if row < lists.len() && lists.is_valid(row) {
            faults.entry(row).or_insert(refusal);
        }
    }
    for row in 0..lists.len() {
        let length = lists.value_length(row) as usize;
        if length > MAX_ELEMENTS {
            let message = format!("`{}` has {length} elements, more than the {MAX_ELEMENTS} allowed", column.name);
            faults.entry(row).or_insert(Refusal::new(Code::Size, message));
        }
    }
    Ok(Arc::new(ListArray::try_new(field, offsets.clone(), elements, lists.nulls().cloned())?))
}

/// Times in microseconds. A zone changes how a time is shown, not which one it is; a time without one counts as UTC.
fn instants<T: ArrowPrimitiveType<Native = i64>>(
    array: &ArrayRef,
    column: &Column,
    faults: &mut Faults,
    micros: impl Fn(i64) -> Option<i64>,
) -> TimestampMicrosecondArray {
    let written: &PrimitiveArray<T> = array.as_primitive();
    let at = |(row, value): (usize, Option<i64>)| {
        let value = value?;
        let found = micros(value);
        if found.is_some_and(|micros| EventTime::from_micros(micros).in_range()) {
            return found;
        }
        let Column { name, .. } = column;
        let message = match array.data_type() {
            Arrow::Timestamp(TimeUnit::Nanosecond, _) if found.is_none() => {
                format!("`{name}` is {value} ns since 1970, which is no whole number of microseconds")
            }
            _ => {
                format!("`{name}` is {value} ({}) since 1970, outside the years 1700 to 2249", unit(array.data_type()))
            }
        };
        faults.entry(row).or_insert(Refusal::new(Code::Time, message));
        None
    };
    written.iter().enumerate().map(at).collect()
}

fn unit(data_type: &Arrow) -> &'static str {
    match data_type {
        Arrow::Timestamp(TimeUnit::Second, _) => "s",
        Arrow::Timestamp(TimeUnit::Millisecond, _) => "ms",
        Arrow::Timestamp(TimeUnit::Nanosecond, _) => "ns",
        _ => "us",
    }
}

/// Finite numbers. `plus_zero` turns -0.0 into 0.0.
fn finite<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    column: &Column,
    faults: &mut Faults,
    is_finite: impl Fn(T::Native) -> bool,
    plus_zero: impl Fn(T::Native) -> T::Native,
) -> PrimitiveArray<T> {
    let array: &PrimitiveArray<T> = array.as_primitive();
    // Null slots hold any bits, so that this may look closer than it must, but never less.
    if !array.values().iter().all(|value| is_finite(*value)) {
        for (row, value) in array.iter().enumerate() {
            if let Some(value) = value.filter(|value| !is_finite(*value)) {
                let message = format!("`{}` is {value:?}: events hold finite numbers only", column.name);
                faults.entry(row).or_insert(Refusal::new(Code::Range, message));
            }
        }
    }
    array.unary(plus_zero)
}
