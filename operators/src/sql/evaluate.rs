//! One expression over one batch: a row that fails becomes null and is counted, the others are not touched by it.
//!
//! The kernels fail a batch as a whole. A batch that fails is halved until the failing rows stand alone, so `k` bad
//! rows of `n` cost `k log n` evaluations. Rows are independent, so where a batch is cut never shows in a value.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_empty_array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, concat, nullif};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float32Type, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use datafusion_common::{DataFusionError, exec_err};
use datafusion_physical_expr::PhysicalExpr;
use freshet_config::time::EventTime;

use super::error::describe;
use super::fault::SqlFault;
use super::one_nan;

/// A column computed for a batch.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// One value per row of the batch; null where the row failed.
    pub array: ArrayRef,
    /// How many rows failed: division by zero, overflow, a cast of text that is no number, a result that is not finite.
    pub failed_rows: usize,
    /// Which rows, ascending, and how.
    pub failed: Vec<(usize, SqlFault)>,
    /// Why the first of them failed.
    pub first_failure: Option<String>,
}

impl Evaluated {
    fn failed(array: ArrayRef, failed: Vec<(usize, SqlFault)>, why: String) -> Evaluated {
        let first_failure = (!failed.is_empty()).then_some(why);
        Evaluated { array, failed_rows: failed.len(), failed, first_failure }
    }

    /// The first row that failed, and why.
    pub fn first(&self) -> Option<(usize, String)> {
        Some((self.failed.first()?.0, self.first_failure.clone()?))
    }

    fn whole(array: ArrayRef) -> Evaluated {
        Evaluated { array, failed_rows: 0, failed: Vec::new(), first_failure: None }
    }
}

/// Evaluates and casts to `target`; `Err` only when Arrow cannot put the parts together again.
pub(super) fn evaluate(
    expression: &Arc<dyn PhysicalExpr>,
    target: &DataType,
    batch: &RecordBatch,
) -> Result<Evaluated, ArrowError> {
    let rows = batch.num_rows();
    if rows == 0 {
        return Ok(Evaluated::whole(new_empty_array(target)));
    }
    match evaluate_whole(expression, target, batch) {
        Ok(array) => refuse_unservable(array),
        Err(error) if rows == 1 => {
            let failed = vec![(0, SqlFault::of(&error))];
            Ok(Evaluated::failed(new_null_array(target, 1), failed, describe(&error).message))
        }
        Err(_) => {
            let half = rows / 2;
            let left = evaluate(expression, target, &batch.slice(0, half))?;
            let right = evaluate(expression, target, &batch.slice(half, rows - half))?;
            let mut failed = left.failed;
            failed.extend(right.failed.iter().map(|(row, fault)| (half + row, *fault)));
            Ok(Evaluated {
                array: concat(&[left.array.as_ref(), right.array.as_ref()])?,
                failed_rows: failed.len(),
                failed,
                first_failure: left.first_failure.or(right.first_failure),
            })
        }
    }
}

/// Evaluates all rows, or fails with one of them.
pub(super) fn evaluate_whole(
    expression: &Arc<dyn PhysicalExpr>,
    target: &DataType,
    batch: &RecordBatch,
) -> Result<ArrayRef, DataFusionError> {
    // Some kernels panic where others give an error, such as on the sum of extreme positions: that is the row's failure too.
    let computed = std::panic::catch_unwind(AssertUnwindSafe(|| expression.evaluate(batch)));
    let computed = computed.unwrap_or_else(|_| exec_err!("the function cannot compute this value"));
    let array = computed?.into_array(batch.num_rows())?;
    if array.data_type() == target {
        return Ok(array);
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(&array, target, &strict)?)
}

/// Columns hold what may be served: no NaN, no infinity, one zero, and instants that events may carry. What is none of
/// these fails its row, but -0.0, which becomes 0.0.
fn refuse_unservable(array: ArrayRef) -> Result<Evaluated, ArrowError> {
    let array = one_nan::of_array(array);
    match array.data_type() {
        DataType::Float64 => refuse::<Float64Type>(array, f64::is_finite, SqlFault::NotFinite),
        DataType::Float32 => refuse::<Float32Type>(array, f32::is_finite, SqlFault::NotFinite),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let is_instant = |micros| EventTime::from_micros(micros).in_range();
            refuse::<TimestampMicrosecondType>(array, is_instant, SqlFault::NoInstant)
        }
        _ => Ok(Evaluated::whole(array)),
    }
}

/// The column without the rows whose values cannot be.
fn refuse<T: ArrowPrimitiveType>(
    array: ArrayRef,
    can_be: impl Fn(T::Native) -> bool,
    fault: SqlFault,
) -> Result<Evaluated, ArrowError> {
    let values = array.as_primitive::<T>();
    // What most batches are, seen without making another array.
    if values.values().iter().all(|value| can_be(*value)) {
        return Ok(Evaluated::whole(array));
    }
    let wrong = BooleanArray::from_unary(values, |value| !can_be(value));
    // Null rows carry the nulls of `array`, so they are not counted.
    if wrong.true_count() == 0 {
        return Ok(Evaluated::whole(array));
    }
    let failed = (0..wrong.len()).filter(|row| wrong.is_valid(*row) && wrong.value(*row));
    let failed = failed.map(|row| (row, fault)).collect();
    Ok(Evaluated::failed(nullif(&array, &wrong)?, failed, fault.to_string()))
}
