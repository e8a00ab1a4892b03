//! What says how a function works is written in the expression: units of time, encodings, algorithms.
//!
//! The functions read it once, and fail on every row where it comes from the event.

use datafusion_expr::Expr;
use datafusion_expr::expr::ScalarFunction;

use super::error::{SqlError, SqlErrorKind};
use super::walk::first_error;

/// A function, which of its arguments says how it works, what that is, and one of its values.
const MANNERS: [(&str, usize, &str, &str); 5] = [
    ("date_part", 0, "part", "hour"),
    ("date_trunc", 0, "unit", "day"),
    ("encode", 1, "encoding", "hex"),
    ("decode", 1, "encoding", "hex"),
    ("digest", 1, "algorithm", "sha256"),
];

/// The first call that takes from the event how it works.
pub(super) fn check(expression: &Expr) -> Result<(), SqlError> {
    first_error(expression, |node| match node {
        Expr::ScalarFunction(call) => check_call(call),
        _ => Ok(()),
    })
}

fn check_call(call: &ScalarFunction) -> Result<(), SqlError> {
    let name = call.func.name();
    let Some((_, place, what, example)) = MANNERS.iter().find(|(known, ..)| *known == name) else { return Ok(()) };
    match call.args.get(*place) {
        None | Some(Expr::Literal(..)) => Ok(()),
        Some(_) => {
            let message = format!("the {what} of `{name}` is no written text");
            Err(SqlError::new(SqlErrorKind::Unsupported, message)
                .hint(format!("write it in quotes, such as '{example}'")))
        }
    }
}
