//! What is wrong with an expression, in words a definition's author understands.

use datafusion_common::DataFusionError;
use datafusion_sql::sqlparser::parser::ParserError;
use datafusion_sql::sqlparser::tokenizer::{Location, TokenizerError};
use freshet_config::definitions::Sql;
use freshet_config::diagnostic::{Diagnostic, Place};

use super::words::{self, Said};

/// The sort of mistake, for stable diagnostic codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SqlErrorKind {
    /// The text is not an expression, or too long or too deep to be read.
    Syntax,
    UnknownColumn,
    UnknownFunction,
    /// Types do not fit each other, the function, or the declared type.
    Type,
    /// The value would depend on more than the event: clocks, random numbers.
    NonDeterministic,
    /// SQL that is no scalar expression over one event: aggregates, windows, subqueries, placeholders.
    Unsupported,
}

impl SqlErrorKind {
    /// What to do where nothing better is known.
    fn advice(self) -> &'static str {
        match self {
            SqlErrorKind::Syntax => "write one SQL expression, such as `amount > 0`",
            SqlErrorKind::UnknownColumn => "name a column of the event",
            SqlErrorKind::UnknownFunction => "take another function",
            SqlErrorKind::Type => {
                "write `cast(... as T)` where types differ; T is int, bigint, real, double, varchar, boolean or timestamp"
            }
            SqlErrorKind::NonDeterministic => "use a column of the event",
            SqlErrorKind::Unsupported => "write it with columns of one event, operators and functions",
        }
    }
}

/// An expression that cannot be compiled, or that does not fit a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    pub kind: SqlErrorKind,
    /// One lower-case sentence without a full stop.
    pub message: String,
    /// What to do, such as ``did you mean `amount`?``.
    pub hint: Option<String>,
    /// Line and column within the expression's text, both from 1.
    pub offset: Option<(usize, usize)>,
    /// What else is wrong with the same expression.
    pub next: Option<Box<SqlError>>,
}

impl SqlError {
    pub(super) fn new(kind: SqlErrorKind, message: impl Into<String>) -> SqlError {
        SqlError { kind, message: message.into(), hint: None, offset: None, next: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }

    /// Everything that is wrong with the expression, one by one.
    pub fn each(self) -> impl Iterator<Item = SqlError> {
        let mut rest = Some(Box::new(self));
        std::iter::from_fn(move || {
            let mut error = rest.take()?;
            rest = error.next.take();
            Some(*error)
        })
    }

    /// Whether what is wrong is that there is no column of this name.
    pub fn is_unknown(&self, column: &str) -> bool {
        self.kind == SqlErrorKind::UnknownColumn && self.message.contains(&format!("`{column}`"))
    }

    /// The first error at its place in a definition file; `what` names the expression.
    pub fn diagnostic(&self, sql: &Sql, what: &str) -> Diagnostic {
        let code = match self.kind {
            SqlErrorKind::Syntax | SqlErrorKind::Unsupported => "DEF-SQL",
            SqlErrorKind::UnknownColumn => "DEF-COL",
            SqlErrorKind::UnknownFunction => "DEF-REF",
            SqlErrorKind::Type => "DEF-TYPE",
            SqlErrorKind::NonDeterministic => "DEF-NONDET",
        };
        let diagnostic = Diagnostic::new(&place_within(sql, self.offset), code, format!("{what}: {}", self.message));
        diagnostic.hint(self.hint.as_deref().unwrap_or(self.kind.advice()))
    }

    /// Line 0 is the parser's word for "nowhere".
    pub(super) fn at(mut self, location: Location) -> SqlError {
        if location.line > 0 {
            self.offset = Some((location.line as usize, location.column as usize));
        }
        self
    }
}

/// A place inside an expression.
pub(crate) fn place_within(sql: &Sql, offset: Option<(usize, usize)>) -> Place {
    match offset {
        Some((line, column)) => sql.place.inside(&sql.text, line, column),
        None => sql.place.clone(),
    }
}

impl From<TokenizerError> for SqlError {
    fn from(error: TokenizerError) -> SqlError {
        SqlError::new(SqlErrorKind::Syntax, sentence(&error.message)).at(error.location)
    }
}

impl From<ParserError> for SqlError {
    fn from(error: ParserError) -> SqlError {
        match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
                let (message, location) = split_location(&text);
                SqlError { offset: location, ..SqlError::new(SqlErrorKind::Syntax, sentence(message)) }
            }
            ParserError::RecursionLimitExceeded => {
                SqlError::new(SqlErrorKind::Syntax, "the expression is nested too deeply")
                    .hint("split it into computed columns")
            }
        }
    }
}

/// Planning errors. Names were checked before, so what is left is a matter of types or of unsupported SQL.
impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> SqlError {
        let kind = match error.find_root() {
            DataFusionError::NotImplemented(_) => SqlErrorKind::Unsupported,
            DataFusionError::SQL(..) => SqlErrorKind::Syntax,
            _ => SqlErrorKind::Type,
        };
        let said = describe(&error);
        SqlError { hint: said.hint, ..SqlError::new(kind, said.message) }
    }
}

/// The innermost message without the library's headings, in words of definitions.
pub(super) fn describe(error: &DataFusionError) -> Said {
    let text = match error.find_root() {
        DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Execution(text)
        | DataFusionError::Internal(text) => text.clone(),
        DataFusionError::ArrowError(error, _) => error.to_string(),
        other => other.to_string(),
    };
    words::said(&sentence(text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default()))
}

/// Splits the parser's ` at Line: 1, Column: 5` off its message.
fn split_location(text: &str) -> (&str, Option<(usize, usize)>) {
    let parsed = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, (line.trim().parse().ok()?, column.trim().parse().ok()?)))
    });
    match parsed {
        Some((message, place)) => (message, Some(place)),
        None => (text, None),
    }
}

/// One lower-case sentence without a full stop: the first line, its first word lowered unless it is a name.
fn sentence(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("the expression cannot be used").trim();
    let line = line.trim_end_matches(['.', ':']);
    // Libraries write two sentences where one says it: the rest is advice about their own interfaces.
    let line = line.split(". ").next().unwrap_or(line);
    let mut letters = line.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_messages_become_sentences() {
        assert_eq!(sentence("Cannot coerce this. Try that.\n\tmore"), "cannot coerce this");
        assert_eq!(sentence("SQL is large."), "SQL is large");
        assert_eq!(split_location("Expected: x at Line: 2, Column: 7"), ("Expected: x", Some((2, 7))));
        assert_eq!(split_location("Expected: x at Line: many"), ("Expected: x at Line: many", None));
    }
}
