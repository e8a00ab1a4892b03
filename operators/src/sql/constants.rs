//! What constants alone decide: arithmetic and casts of them are computed here, and what fails because of them is refused.
//!
//! A call is refused when it fails whatever an event holds. That is seen by trying: its constants as they are, and in the
//! place of the rest every sort of value. Where no set of values says enough, such as of texts that have a written form,
//! nothing is refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::format::{Item, StrftimeItems};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;

use super::error::{SqlError, SqlErrorKind, describe};
use super::evaluate::evaluate_whole;
use super::plan::checked;
use super::walk::first_error;

/// Most sets of values that are tried; the first that works ends the search.
const MOST_TRIED: usize = 1024;

/// Computes arithmetic on constants; one that fails always fails, so it is a mistake in the definition.
pub(super) fn fold(expression: Expr) -> std::result::Result<Expr, SqlError> {
    let folded = expression.transform_up(|node| {
        let constant = match &node {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                is_arithmetic(*op) && is_literal(left) && is_literal(right)
            }
            Expr::Cast(Cast { expr, .. }) => is_literal(expr),
            _ => false,
        };
        if !constant {
            return Ok(Transformed::no(node));
        }
        Ok(Transformed::yes(Expr::Literal(evaluate_constant(&node)?, None)))
    });
    folded.map(|folded| folded.data).map_err(|error| {
        let said = describe(&error);
        let error = SqlError::new(SqlErrorKind::Type, format!("a constant part cannot be computed: {}", said.message));
        SqlError { hint: said.hint, ..error }
    })
}

/// The first call, operator or cast, from the outside in, that always fails because of its constants.
pub(super) fn check(expression: &Expr, columns: &DFSchema) -> std::result::Result<(), SqlError> {
    first_error(expression, |node| check_node(node, columns).map_or(Ok(()), Err))
}

fn check_node(node: &Expr, columns: &DFSchema) -> Option<SqlError> {
    match node {
        Expr::ScalarFunction(call) if reads_formats(call) => check_formats(call),
        Expr::ScalarFunction(call) if is_decided(call, columns) => {
            let reason = failure(node, &call.args.iter().collect::<Vec<_>>(), columns)?;
            let arguments: Vec<String> = call.args.iter().map(shown).collect();
            let message = format!("`{}({})` always fails: {reason}", call.func.name(), arguments.join(", "));
            let hint = match call.func.name() {
                "date_part" => "write a part such as 'hour', 'dow' or 'epoch'",
                "date_trunc" => "write a unit such as 'hour', 'day' or 'month'",
                _ if call.args.iter().any(is_literal) => "write another constant",
                _ => "take another function, or write `cast(... as T)` around its arguments",
            };
            Some(SqlError::new(SqlErrorKind::Type, message).hint(hint))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_arithmetic(*op) && is_literal(right) => {
            let reason = failure(node, &[left, right], columns)?;
            let message = format!("`{} {op} {}` always fails: {reason}", shown(left), shown(right));
            Some(SqlError::new(SqlErrorKind::Type, message).hint("write another constant"))
        }
        Expr::Cast(Cast { expr, field }) if !is_string(expr, columns) => {
            let reason = failure(node, &[expr], columns)?;
            let DataType::Timestamp(_, Some(zone)) = field.data_type() else {
                let message = format!("the cast of `{}` always fails: {reason}", shown(expr));
                return Some(SqlError::new(SqlErrorKind::Type, message).hint("cast it to another type"));
            };
            let message = format!("'{zone}' is no time zone");
            Some(SqlError::new(SqlErrorKind::Type, message).hint("write a zone such as 'Europe/Berlin' or '+01:00'"))
        }
        _ => None,
    }
}

/// Whether samples say enough: texts of events may be of any form, so that what reads them needs a constant to blame.
fn is_decided(call: &ScalarFunction, columns: &DFSchema) -> bool {
    call.args.iter().any(is_literal) || !call.args.iter().any(|argument| is_string(argument, columns))
}

/// Whether a text is read by written formats: nothing but a text in one of them would do.
fn reads_formats(call: &ScalarFunction) -> bool {
    call.func.name().starts_with("to_") && call.args.len() > 1 && !is_literal(&call.args[0])
}

fn check_formats(call: &ScalarFunction) -> Option<SqlError> {
    let formats = call.args[1..].iter().map(|argument| match argument {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    });
    let unread = formats.flatten().find(|format| StrftimeItems::new(format).any(|item| item == Item::Error))?;
    let message = format!("'{unread}' of `{}` is no format of an instant", call.func.name());
    Some(SqlError::new(SqlErrorKind::Type, message).hint("write one such as '%Y-%m-%d %H:%M:%S'"))
}

/// Why a node fails, if it does for its constants and whatever stands in the place of its other parts.
fn failure(node: &Expr, parts: &[&Expr], columns: &DFSchema) -> Option<String> {
    // What holds no column is computed, not tried with samples.
    let open: Vec<&Expr> = parts.iter().copied().filter(|part| !part.column_refs().is_empty()).collect();
    let values: Option<Vec<Vec<ScalarValue>>> =
        open.iter().map(|part| samples(&part.get_type(columns).ok()?)).collect();
    let values = values?;
    let tried: usize = values.iter().map(Vec::len).product();
    if tried > MOST_TRIED {
        return None;
    }
    let fields: Vec<Field> =
        values.iter().enumerate().map(|(at, of)| Field::new(format!("v{at}"), of[0].data_type(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let run = compiled(node, &open, &schema).ok()?;
    let mut first = None;
    for case in 0..tried {
        let mut rest = case;
        let row = values.iter().map(|of| {
            let value = &of[rest % of.len()];
            rest /= of.len();
            value.to_array()
        });
        match run(&row.collect::<Result<Vec<_>>>().ok()?) {
            Ok(_) => return None,
            Err(error) => first = first.or(Some(error)),
        }
    }
    first.map(|error| describe(&error).message)
}

/// The node as a function of one row of values for its open parts.
fn compiled(
    node: &Expr,
    open: &[&Expr],
    schema: &Arc<Schema>,
) -> Result<impl Fn(&[ArrayRef]) -> Result<ArrayRef> + use<>> {
    let columns = Arc::new(DFSchema::try_from(schema.as_ref().clone())?);
    let mut opened = 0;
    let closed = node.clone().map_children(|part| {
        let is_open = open.get(opened).is_some_and(|next| **next == part);
        if !is_open {
            return Ok(Transformed::no(part));
        }
        let column = Expr::Column(schema.field(opened).name().as_str().into());
        opened += 1;
        Ok(Transformed::yes(column))
    })?;
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(columns.clone()).build());
    let physical = checked(&simplifier.simplify(closed.data)?, &columns)?;
    let data_type = physical.data_type(schema)?;
    let schema = schema.clone();
    Ok(move |row: &[ArrayRef]| {
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let batch = RecordBatch::try_new_with_options(schema.clone(), row.to_vec(), &options)?;
        evaluate_whole(&physical, &data_type, &batch)
    })
}

/// Values of a type, the likeliest first; `None` where a few do not stand for all.
fn samples(data_type: &DataType) -> Option<Vec<ScalarValue>> {
    let all: Vec<ScalarValue> = match data_type {
        DataType::Boolean => [true, false].map(ScalarValue::from).to_vec(),
        integer if integer.is_integer() => [1i64, 2, 0, -1, 10, 2024].map(ScalarValue::from).to_vec(),
        number if number.is_numeric() => [0.5f64, 1.0, 0.0, -1.0, 10.0].map(ScalarValue::from).to_vec(),
        text if text.is_string() || text.is_binary() => {
            ["1", "0", "abc", "2024-02-29T12:34:56Z", "", "12:34:56", "1 day", "true", "day"]
                .map(ScalarValue::from)
                .to_vec()
        }
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
            [1_709_210_096_000_000, 0].map(|micros| ScalarValue::TimestampMicrosecond(Some(micros), None)).to_vec()
        }
        _ => return None,
    };
    let all: Vec<_> = all.iter().filter_map(|value| value.cast_to(data_type).ok()).collect();
    (!all.is_empty()).then_some(all)
}

fn shown(expression: &Expr) -> String {
    match expression {
        Expr::Literal(value, _) => match value.try_as_str().flatten() {
            Some(text) => format!("'{}'", text.chars().take(60).collect::<String>()),
            None if value.data_type().is_numeric() || value.data_type() == DataType::Boolean => value.to_string(),
            None => "...".to_string(),
        },
        Expr::Column(column) => column.name.clone(),
        _ => "...".to_string(),
    }
}

fn is_string(expression: &Expr, columns: &DFSchema) -> bool {
    expression.get_type(columns).is_ok_and(|data_type| data_type.is_string())
}

fn is_literal(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(..))
}

pub(super) fn is_arithmetic(operator: Operator) -> bool {
    matches!(operator, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}

fn evaluate_constant(expression: &Expr) -> Result<ScalarValue, DataFusionError> {
    let physical = checked(expression, &DFSchema::empty())?;
    let one_row = RecordBatch::try_new_with_options(
        Arc::new(Schema::empty()),
        Vec::new(),
        &RecordBatchOptions::new().with_row_count(Some(1)),
    )?;
    let value = physical.evaluate(&one_row)?.into_array(1)?;
    ScalarValue::try_from_array(&value, 0)
}
