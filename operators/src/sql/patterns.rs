//! Regular expressions that are written in an expression: read when it is compiled, so that a mistake shows there and
//! not in every event.

use datafusion_common::ScalarValue;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::{BinaryExpr, Expr, Operator};
use regex::Regex;

use super::error::{SqlError, SqlErrorKind};

/// A pattern that is none, as written.
#[derive(Debug)]
pub(super) struct BadPattern {
    pub pattern: String,
    pub error: SqlError,
}

/// The first written pattern that cannot be read.
pub(super) fn check(expression: &Expr) -> Result<(), BadPattern> {
    let mut bad = None;
    let walked = expression.apply(|node| {
        bad = pattern(node).and_then(|(pattern, maker)| read(pattern, &maker).err());
        Ok(if bad.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    // Nothing in the walk fails by itself.
    debug_assert!(walked.is_ok());
    bad.map_or(Ok(()), Err)
}

/// The pattern of a function or operator that takes one, where it is written.
fn pattern(node: &Expr) -> Option<(&str, String)> {
    let (pattern, maker) = match node {
        Expr::ScalarFunction(call) if call.func.name().starts_with("regexp_") => {
            (call.args.get(1)?, call.func.name().to_string())
        }
        Expr::BinaryExpr(BinaryExpr { op, right, .. }) if is_match(*op) => (right.as_ref(), op.to_string()),
        _ => return None,
    };
    match pattern {
        Expr::Literal(value, _) => text(value).map(|text| (text, maker)),
        _ => None,
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

fn is_match(operator: Operator) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    matches!(operator, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
}

fn read(pattern: &str, maker: &str) -> Result<(), BadPattern> {
    let Err(error) = Regex::new(pattern) else { return Ok(()) };
    let reason = match &error {
        regex::Error::CompiledTooBig(_) => "it is too large when compiled".to_string(),
        // The last line says what, those before it draw where.
        other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_string(),
    };
    let shown: String = pattern.chars().take(60).collect();
    let message = format!("the pattern `{shown}` of `{maker}` is no regular expression: {reason}");
    Err(BadPattern { pattern: pattern.to_string(), error: SqlError::new(SqlErrorKind::Type, message) })
}
