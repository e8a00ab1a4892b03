//! From SQL's many types to the seven a column may have, and only where nothing is lost.

use std::sync::Arc;

use arrow::datatypes::DataType as Arrow;
use datafusion_common::ScalarValue;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{CaseExpr, Literal};
use freshet_config::definitions::arrow_type;
use freshet_config::value::DataType;

/// The column type that holds every value of an SQL type. Decimals become the nearest double, nanoseconds are cut to
/// microseconds, zones are dropped (the instant stays), and a `UInt64` beyond an int64 fails in its row.
pub(super) fn canonical(sql: &Arrow) -> Option<DataType> {
    match sql {
        Arrow::Boolean => Some(DataType::Bool),
        Arrow::Int8 | Arrow::Int16 | Arrow::Int32 | Arrow::UInt8 | Arrow::UInt16 => Some(DataType::Int32),
        Arrow::Int64 | Arrow::UInt32 | Arrow::UInt64 => Some(DataType::Int64),
        Arrow::Float16 | Arrow::Float32 => Some(DataType::Float32),
        Arrow::Float64
        | Arrow::Decimal32(..)
        | Arrow::Decimal64(..)
        | Arrow::Decimal128(..)
        | Arrow::Decimal256(..) => Some(DataType::Float64),
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => Some(DataType::String),
        Arrow::Timestamp(..) | Arrow::Date32 | Arrow::Date64 => Some(DataType::Timestamp),
        Arrow::Dictionary(_, values) => canonical(values),
        _ => None,
    }
}

/// Whether `expression`, of SQL type `sql`, may be given as `target` without loss.
pub(super) fn fits(expression: &Arc<dyn PhysicalExpr>, sql: &Arrow, target: DataType) -> bool {
    let by_type = match canonical(sql) {
        Some(natural) if natural == target => true,
        Some(DataType::Int32) => matches!(target, DataType::Int64 | DataType::Float64),
        Some(DataType::Float32) => target == DataType::Float64,
        Some(_) => false,
        None => sql == &Arrow::Null,
    };
    by_type || outcomes(expression).is_some_and(|literals| literals.iter().all(|value| literal_fits(value, target)))
}

/// The values an expression chooses between, when they are all written in its text: `case when .. then 1 else 0 end`.
fn outcomes(expression: &Arc<dyn PhysicalExpr>) -> Option<Vec<ScalarValue>> {
    if let Some(literal) = expression.downcast_ref::<Literal>() {
        return Some(vec![literal.value().clone()]);
    }
    let case = expression.downcast_ref::<CaseExpr>()?;
    let mut values = Vec::new();
    for branch in case.when_then_expr().iter().map(|(_, then)| then).chain(case.else_expr()) {
        values.extend(outcomes(branch)?);
    }
    Some(values)
}

/// Whether a written value means the same in the target type.
fn literal_fits(value: &ScalarValue, target: DataType) -> bool {
    if value.is_null() {
        return true;
    }
    let Ok(cast) = value.cast_to(&arrow_type(target)) else { return false };
    match canonical(&value.data_type()) {
        // `0.1` written for a float32 column means the nearest float32.
        Some(DataType::Float64) if target == DataType::Float32 => true,
        Some(DataType::String) => target == DataType::Timestamp,
        Some(from) if from.is_number() && target.is_number() => {
            cast.cast_to(&value.data_type()).is_ok_and(|back| &back == value)
        }
        _ => false,
    }
}
