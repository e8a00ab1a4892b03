//! Where in a text something stands that was refused only after planning, which drops places.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{Expr, Spanned, Value, Visit, Visitor};
use datafusion_sql::sqlparser::tokenizer::Location;

use super::functions;

/// The first call of a function by this name or another of its names, or use of an operator, else nowhere.
pub(super) fn of_call(expression: &Expr, name: &str) -> Location {
    find(expression, |node| match node {
        Expr::Function(call) if functions::same(&call.name.to_string(), name) => Some(call.name.span().start),
        Expr::BinaryOp { left, op, .. } if op.to_string() == name => Some(left.span().start),
        Expr::Like { expr, .. } if name == "like" => Some(expr.span().start),
        Expr::ILike { expr, .. } if name == "ilike" => Some(expr.span().start),
        Expr::SimilarTo { expr, .. } if name == "similar to" => Some(expr.span().start),
        _ => None,
    })
}

/// The first text that is written like this, else nowhere.
pub(super) fn of_text(expression: &Expr, text: &str) -> Location {
    find(expression, |node| match node {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(written) if written == text => Some(value.span.start),
            _ => None,
        },
        _ => None,
    })
}

fn find(expression: &Expr, place: impl Fn(&Expr) -> Option<Location>) -> Location {
    struct Finder<F>(F);
    impl<F: Fn(&Expr) -> Option<Location>> Visitor for Finder<F> {
        type Break = Location;
        fn pre_visit_expr(&mut self, node: &Expr) -> ControlFlow<Location> {
            (self.0)(node).map_or(ControlFlow::Continue(()), ControlFlow::Break)
        }
    }
    match expression.visit(&mut Finder(place)) {
        ControlFlow::Break(place) => place,
        ControlFlow::Continue(()) => Location::empty(),
    }
}
