//! Which part of an expression cannot be planned: the smallest that cannot be planned by itself.
//!
//! The planner says what is wrong and not where, and of a call within another often something about the outer one. So what
//! failed is taken apart until no part of it fails alone: that part is named, and has a place.

use std::ops::ControlFlow;

use datafusion_sql::sqlparser::ast::{Expr, Spanned, Visit, Visitor};

use super::error::SqlError;
use super::functions;

/// Most parts of expressions that are planned to find the smallest, counted with all that is inside of them.
const MOST_PLANNED: usize = 20_000;

/// The error of the smallest part of `whole` that fails, at its place; `error` is that of `whole`.
pub(super) fn blame<T>(whole: &Expr, error: SqlError, plan: impl Fn(Expr) -> Result<T, SqlError>) -> SqlError {
    let (mut part, mut error, mut planned) = (whole.clone(), error, 0);
    while planned < MOST_PLANNED {
        let failed = parts(&part).into_iter().find_map(|(inner, size)| {
            planned += size;
            plan(inner.clone()).err().map(|error| (inner, error))
        });
        match failed {
            Some((inner, found)) => (part, error) = (inner, found),
            None => break,
        }
    }
    let error = as_written(error, &part);
    if error.offset.is_some() { error } else { error.at(part.span().start) }
}

/// The expressions directly inside of another, and how many each is made of.
fn parts(expression: &Expr) -> Vec<(Expr, usize)> {
    struct Parts {
        depth: usize,
        found: Vec<(Expr, usize)>,
    }
    impl Visitor for Parts {
        type Break = ();
        fn pre_visit_expr(&mut self, node: &Expr) -> ControlFlow<()> {
            self.depth += 1;
            if self.depth == 2 {
                self.found.push((node.clone(), 0));
            }
            if let Some((_, size)) = self.found.last_mut() {
                *size += 1;
            }
            ControlFlow::Continue(())
        }
        fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut parts = Parts { depth: 0, found: Vec::new() };
    let _ = expression.visit(&mut parts);
    parts.found
}

/// The error with a function called by the name it is written by.
fn as_written(mut error: SqlError, part: &Expr) -> SqlError {
    let (written, name) = match part {
        Expr::Function(call) => (call.name.to_string(), functions::known_as(&call.name.to_string())),
        Expr::Extract { .. } => ("extract".to_string(), Some("date_part")),
        Expr::Position { .. } => ("position".to_string(), Some("strpos")),
        // `substr(..)` is read as one, too.
        Expr::Substring { shorthand: false, .. } => ("substring".to_string(), Some("substr")),
        Expr::Trim { .. } => ("trim".to_string(), Some("btrim")),
        _ => return error,
    };
    if let Some(name) = name {
        for end in ["`", "("] {
            error.message = error.message.replace(&format!("`{name}{end}"), &format!("`{written}{end}"));
        }
    }
    error
}
