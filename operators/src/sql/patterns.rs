//! Patterns of an expression: written in it, read when it is compiled, and small.
//!
//! Looking for a pattern takes time as its compiled size times the text. A size from an event has no bound, so that one
//! event could hold a worker for hours; a written pattern has one, and a mistake in it shows at once.

use datafusion_common::ScalarValue;
use datafusion_expr::expr::Like;
use datafusion_expr::{BinaryExpr, Cast, Expr, Operator};
use regex::RegexBuilder;

use super::error::{SqlError, SqlErrorKind};
use super::walk::first_error;

/// Most bytes of a pattern that is compiled.
const MOST_COMPILED_BYTES: usize = 1 << 20;

/// A pattern that cannot be used.
#[derive(Debug)]
pub(super) struct BadPattern {
    pub at: Sought,
    pub error: SqlError,
}

/// What its place is found by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// The pattern as written.
    Text(String),
    /// The function or operator that takes it.
    Maker(String),
}

/// The first pattern that comes from an event, cannot be read, or is too large.
pub(super) fn check(expression: &Expr) -> Result<(), BadPattern> {
    first_error(expression, |node| Pattern::of(node).map_or(Ok(()), |pattern| pattern.check()))
}

/// What a function or operator looks for.
struct Pattern<'e> {
    maker: String,
    pattern: &'e Expr,
    /// Letters that change what it means.
    flags: Option<&'e Expr>,
    is_like: bool,
}

impl<'e> Pattern<'e> {
    fn of(node: &'e Expr) -> Option<Pattern<'e>> {
        let plain =
            |maker: &str, pattern, is_like| Some(Pattern { maker: maker.to_string(), pattern, flags: None, is_like });
        match node {
            Expr::ScalarFunction(call) if call.func.name().starts_with("regexp_") => {
                let flags = match call.func.name() {
                    "regexp_like" | "regexp_match" => 2,
                    "regexp_instr" => 4,
                    _ => 3,
                };
                let maker = call.func.name().to_string();
                Some(Pattern { maker, pattern: call.args.get(1)?, flags: call.args.get(flags), is_like: false })
            }
            Expr::BinaryExpr(BinaryExpr { op, right, .. }) if is_match(*op) => plain(&op.to_string(), right, false),
            Expr::BinaryExpr(BinaryExpr { op, right, .. }) if is_like(*op) => plain(&op.to_string(), right, true),
            Expr::Like(Like { pattern, case_insensitive, .. }) => {
                plain(if *case_insensitive { "ilike" } else { "like" }, pattern, true)
            }
            Expr::SimilarTo(Like { pattern, .. }) => plain("similar to", pattern, false),
            _ => None,
        }
    }

    fn check(&self) -> Result<(), BadPattern> {
        let (Some(pattern), Some(flags)) = (written(self.pattern), self.flags.map_or(Some(""), written)) else {
            return Err(self.unwritten());
        };
        // `g` says how many matches are meant, not what matches.
        let flags: String = flags.chars().filter(|flag| *flag != 'g').collect();
        let read = match (self.is_like, flags.as_str()) {
            (true, _) => like(pattern),
            (false, "") => pattern.to_string(),
            (false, flags) => format!("(?{flags}){pattern}"),
        };
        match RegexBuilder::new(&read).size_limit(MOST_COMPILED_BYTES).build() {
            Ok(_) => Ok(()),
            Err(error) => Err(self.unusable(pattern, &error)),
        }
    }

    fn unwritten(&self) -> BadPattern {
        let message =
            format!("the pattern of `{}` comes from the event, and may take any time to look for", self.maker);
        let hint = match self.is_like {
            true => "write the pattern as a text in quotes, or use `starts_with`, `ends_with` or `contains`",
            false => "write the pattern, and its flags, as a text in quotes",
        };
        let error = SqlError::new(SqlErrorKind::Unsupported, message).hint(hint);
        BadPattern { at: Sought::Maker(self.maker.clone()), error }
    }

    fn unusable(&self, pattern: &str, error: &regex::Error) -> BadPattern {
        let shown: String = pattern.chars().take(60).collect();
        let maker = &self.maker;
        let error = match error {
            regex::Error::CompiledTooBig(_) => {
                let message = format!(
                    "the pattern `{shown}` of `{maker}` takes more than {MOST_COMPILED_BYTES} bytes when it is compiled"
                );
                SqlError::new(SqlErrorKind::Unsupported, message).hint("repeat less, or name fewer characters")
            }
            // The last line says what, those before it draw where.
            other => {
                let reason = other.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
                let message = format!("the pattern `{shown}` of `{maker}` is no regular expression: {reason}");
                SqlError::new(SqlErrorKind::Type, message)
                    .hint("write `\\(` for a parenthesis itself, and `\\.` for a point")
            }
        };
        BadPattern { at: Sought::Text(pattern.to_string()), error }
    }
}

/// The text of a literal, however the planner has wrapped it; of null, which matches nothing, an empty one.
fn written(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(value, _) if value.is_null() => Some(""),
        Expr::Literal(value, _) => text(value),
        Expr::Cast(Cast { expr, .. }) => written(expr),
        Expr::Alias(alias) => written(&alias.expr),
        _ => None,
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

/// The regular expression that a pattern of `like` is looked for by.
fn like(pattern: &str) -> String {
    let part = |c: char| match c {
        '%' => ".*".to_string(),
        '_' => ".".to_string(),
        other => regex::escape(other.encode_utf8(&mut [0; 4])),
    };
    format!("(?s)^{}$", pattern.chars().map(part).collect::<String>())
}

pub(super) fn is_match(operator: Operator) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    matches!(operator, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
}

pub(super) fn is_like(operator: Operator) -> bool {
    use Operator::{ILikeMatch, LikeMatch, NotILikeMatch, NotLikeMatch};
    matches!(operator, LikeMatch | ILikeMatch | NotLikeMatch | NotILikeMatch)
}
