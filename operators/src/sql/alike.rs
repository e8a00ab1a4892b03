//! Strings meet strings: a column of strings is not compared with a number or a timestamp.
//!
//! The planner would cast the strings, and every event whose string is none would fail. A written string is another matter:
//! it is read once, as what it is compared with, when the expression is.

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::expr::{Between, Case, InList, ScalarFunction};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use super::error::{SqlError, SqlErrorKind};
use super::plan::type_name;
use super::words::a;
use super::{sql_name, types};

/// The first comparison, from the outside in, of a string that comes from an event with what is none.
pub(super) fn check(expression: &Expr, columns: &DFSchema) -> Result<(), SqlError> {
    let mut refused = None;
    let walked = expression.apply(|node| {
        refused = compared(node).and_then(|met| met.check(columns).err());
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    // Nothing in the walk fails by itself.
    debug_assert!(walked.is_ok());
    refused.map_or(Ok(()), Err)
}

/// Values that one type must hold.
struct Compared<'e> {
    by: String,
    first: &'e Expr,
    others: Vec<&'e Expr>,
}

/// Functions that choose among their arguments.
pub(super) const CHOOSERS: [&str; 7] = ["coalesce", "nullif", "nvl", "nvl2", "greatest", "least", "make_array"];

fn compared(node: &Expr) -> Option<Compared<'_>> {
    let met = |by: &str, first, others| Some(Compared { by: by.to_string(), first, others });
    match node {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            met(&op.to_string().to_ascii_lowercase(), left.as_ref(), vec![right.as_ref()])
        }
        Expr::InList(InList { expr, list, .. }) => met("in", expr, list.iter().collect()),
        Expr::Between(Between { expr, low, high, .. }) => met("between", expr, vec![low.as_ref(), high.as_ref()]),
        Expr::Case(Case { expr: Some(expr), when_then_expr, .. }) => {
            met("case", expr, when_then_expr.iter().map(|(when, _)| when.as_ref()).collect())
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if CHOOSERS.contains(&func.name()) => {
            // The first argument of `nvl2` is only asked whether it is null.
            let (first, others) = args[usize::from(func.name() == "nvl2").min(args.len())..].split_first()?;
            met(func.name(), first, others.iter().collect())
        }
        _ => None,
    }
}

impl Compared<'_> {
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
        if CHOOSERS.contains(&self.by.as_str()) {
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
