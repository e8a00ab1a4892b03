//! Strings meet strings: a column of strings is not compared with a number or a timestamp.
//!
//! The planner would cast the strings, and every event whose string is none would fail. A written string is another matter:
//! it is read once, as what it is compared with, when the expression is.

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::expr::{Between, Case, InList, ScalarFunction};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use super::error::{SqlError, SqlErrorKind};
use super::plan::type_name;
use super::walk::first_error;
use super::words::a;
use super::{sql_name, types};

/// The first comparison or choice, from the outside in, of a string that comes from an event and what is none.
pub(super) fn check(expression: &Expr, columns: &DFSchema) -> Result<(), SqlError> {
    first_error(expression, |node| {
        [compared(node), chosen(node)].into_iter().flatten().try_for_each(|met| met.check(columns))?;
        check_conditions(node, columns)
    })
}

/// Values that one type must hold.
pub(super) struct Compared<'e> {
    pub by: String,
    /// One of them is given on, instead of an answer about them.
    chosen: bool,
    first: &'e Expr,
    others: Vec<&'e Expr>,
}

/// Functions that choose among their arguments.
pub(super) const CHOOSERS: [&str; 7] = ["coalesce", "nullif", "nvl", "nvl2", "greatest", "least", "make_array"];

pub(super) fn compared(node: &Expr) -> Option<Compared<'_>> {
    let met = |by: &str, first, others| Some(Compared { by: by.to_string(), chosen: false, first, others });
    match node {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            met(&op.to_string().to_ascii_lowercase(), left.as_ref(), vec![right.as_ref()])
        }
        Expr::InList(InList { expr, list, .. }) => met("in", expr, list.iter().collect()),
        Expr::Between(Between { expr, low, high, .. }) => met("between", expr, vec![low.as_ref(), high.as_ref()]),
        Expr::Case(Case { expr: Some(expr), when_then_expr, .. }) => {
            met("case", expr, when_then_expr.iter().map(|(when, _)| when.as_ref()).collect())
        }
        _ => None,
    }
}

/// Values one of which is given on.
pub(super) fn chosen(node: &Expr) -> Option<Compared<'_>> {
    let (by, values): (&str, Vec<&Expr>) = match node {
        // The first argument of `nvl2` is only asked whether it is null.
        Expr::ScalarFunction(ScalarFunction { func, args }) if CHOOSERS.contains(&func.name()) => {
            (func.name(), args.iter().skip(usize::from(func.name() == "nvl2")).collect())
        }
        Expr::Case(Case { when_then_expr, else_expr, .. }) => {
            ("case", when_then_expr.iter().map(|(_, then)| then.as_ref()).chain(else_expr.as_deref()).collect())
        }
        _ => return None,
    };
    let (first, others) = values.split_first()?;
    Some(Compared { by: by.to_string(), chosen: true, first, others: others.to_vec() })
}

/// What `case` asks without a value of its own is true or false.
fn check_conditions(node: &Expr, columns: &DFSchema) -> Result<(), SqlError> {
    let Expr::Case(Case { expr: None, when_then_expr, .. }) = node else { return Ok(()) };
    when_then_expr.iter().try_for_each(|(when, _)| match when.get_type(columns) {
        Ok(DataType::Boolean | DataType::Null) | Err(_) => Ok(()),
        Ok(other) => {
            let message = format!("`when` takes true or false, not {}", a(&type_name(&other)));
            Err(SqlError::new(SqlErrorKind::Type, message).hint("compare it, such as `when ... > 0`"))
        }
    })
}

impl Compared<'_> {
    pub fn values(&self) -> impl Iterator<Item = &Expr> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    fn check(&self, columns: &DFSchema) -> Result<(), SqlError> {
        self.others.iter().try_for_each(|other| {
            self.check_pair(self.first, other, columns)?;
            self.check_pair(other, self.first, columns)
        })
    }

    fn check_pair(&self, text: &Expr, other: &Expr, columns: &DFSchema) -> Result<(), SqlError> {
        let (Ok(text_type), Ok(other_type)) = (text.get_type(columns), other.get_type(columns)) else { return Ok(()) };
        let wanted = types::canonical(&other_type).filter(|wanted| wanted.is_number() || is_instant(&other_type));
        let Some(wanted) = wanted.filter(|_| text_type.is_string() && !matches!(text, Expr::Literal(..))) else {
            return Ok(());
        };
        let other_name = a(&type_name(&other_type));
        if self.chosen {
            let message = format!("`{}` takes values of one type, not a string and {other_name}", self.by);
            return Err(
                SqlError::new(SqlErrorKind::Type, message).hint("write `cast(... as T)` around what has another type")
            );
        }
        let message = format!("a string cannot be compared with {other_name} by `{}`", self.by);
        let shown = match text {
            Expr::Column(column) => column.name.as_str(),
            _ => "...",
        };
        let cast = format!("write `cast({shown} as {})`", sql_name(wanted));
        let hint = match other {
            Expr::Literal(value, _) if !is_instant(&other_type) => format!("{cast}, or the string '{value}'"),
            _ => cast,
        };
        Err(SqlError::new(SqlErrorKind::Type, message).hint(hint))
    }
}

pub(super) fn compares(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn is_instant(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
}
