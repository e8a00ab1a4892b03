//! Spans that are compared: a day of them is 24 hours, and a month has no length.
//!
//! Spans compare by months, then days, then the rest; the difference of two timestamps is all rest. So a written span whose days
//! were left as days would be longer than any difference. Instants are UTC, in which a day is 24 hours. What is added to
//! an instant keeps its months and days.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::{Case, Expr};

use super::alike::{CHOOSERS, compares};
use super::error::{SqlError, SqlErrorKind};

const DAY_NS: i64 = 86_400_000_000_000;

/// The expression with the days of spans that meet others turned into hours; months among them are refused.
pub(super) fn comparable(expression: Expr) -> Result<Expr, SqlError> {
    let mut refused = None;
    let rewritten = expression.transform_up(|node| {
        if !lets_spans_meet(&node) {
            return Ok(Transformed::no(node));
        }
        node.map_children(|child| match child {
            Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(span)), metadata) => {
                let in_hours = without_days(span).unwrap_or_else(|| {
                    refused.get_or_insert_with(no_length);
                    span
                });
                Ok(Transformed::yes(Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(in_hours)), metadata)))
            }
            other => Ok(Transformed::no(other)),
        })
    });
    match refused {
        Some(error) => Err(error),
        None => rewritten.map(|rewritten| rewritten.data).map_err(|error: DataFusionError| error.into()),
    }
}

/// Whether a node compares what it is given, or gives one of them to what may.
fn lets_spans_meet(node: &Expr) -> bool {
    match node {
        Expr::BinaryExpr(binary) => compares(binary.op),
        Expr::InList(_) | Expr::Between(_) | Expr::Case(Case { .. }) => true,
        Expr::ScalarFunction(call) => CHOOSERS.contains(&call.func.name()),
        _ => false,
    }
}

/// `None` where it has months, or is too long.
fn without_days(span: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let days_ns = i64::from(span.days).checked_mul(DAY_NS).filter(|_| span.months == 0)?;
    Some(IntervalMonthDayNano::new(0, 0, span.nanoseconds.checked_add(days_ns)?))
}

fn no_length() -> SqlError {
    let message = "a span of months or years has no length that it could be compared by";
    let hint = "write it in days, such as `interval '30 days'`, or compare instants: `a < b - interval '1 month'`";
    SqlError::new(SqlErrorKind::Type, message.to_string()).hint(hint)
}
