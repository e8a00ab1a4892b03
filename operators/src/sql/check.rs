//! Refusals before planning: what is not a deterministic scalar expression over one event's columns.
//!
//! Done on the syntax tree, where names still have places, and because the planner would accept some of it
//! (`now()` fails only when it is evaluated).

use std::ops::ControlFlow;

use arrow::datatypes::Schema;
use datafusion_sql::sqlparser::ast::{Expr, Function, FunctionArguments, Ident, Query, Spanned, Value, Visit, Visitor};
use datafusion_sql::sqlparser::tokenizer::Location;
use freshet_config::diagnostic::suggestion;

use super::error::{SqlError, SqlErrorKind};
use super::functions::{self, Meaning};

/// Longest string `lpad` and `rpad` may make, in characters.
const MAX_PADDED_CHARS: usize = 65_536;

/// All in `expression` that may not be used over `schema`, from the outside in, once each. A subquery ends the search: names
/// in it are of tables.
pub(super) fn check(expression: &Expr, schema: &Schema) -> Result<(), SqlError> {
    let mut checker = Checker { schema, refused: Vec::new() };
    let _ = expression.visit(&mut checker);
    let chained = |next: Option<Box<SqlError>>, error| Some(Box::new(SqlError { next, ..error }));
    let first = checker.refused.into_iter().rev().fold(None, chained);
    first.map_or(Ok(()), |first| Err(*first))
}

struct Checker<'a> {
    schema: &'a Schema,
    refused: Vec<SqlError>,
}

impl Visitor for Checker<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.refused.push(unsupported("a subquery cannot be used in an expression").at(query.span().start));
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let checked = match expression {
            Expr::Identifier(name) => check_column(name, self.schema),
            Expr::CompoundIdentifier(parts) => check_qualified(parts, self.schema),
            Expr::Function(call) => check_call(call),
            Expr::Value(value) => match &value.value {
                Value::Placeholder(name) => {
                    Err(unsupported(format!("the placeholder `{name}` has no value")).at(value.span.start))
                }
                _ => Ok(()),
            },
            Expr::Lambda(_) => Err(unsupported("a lambda cannot be used in an expression")),
            _ => Ok(()),
        };
        if let Err(error) = checked
            && !self.refused.iter().any(|known| known.message == error.message)
        {
            self.refused.push(error);
        }
        ControlFlow::Continue(())
    }
}

fn unsupported(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlErrorKind::Unsupported, message)
}

fn check_column(name: &Ident, schema: &Schema) -> Result<(), SqlError> {
    if schema.fields().iter().any(|field| field.name() == &name.value) {
        return Ok(());
    }
    let columns = schema.fields().iter().map(|field| field.name().as_str());
    // Columns keep their case, so a difference in case alone is the likeliest slip.
    let hint = match columns.clone().find(|column| column.eq_ignore_ascii_case(&name.value)) {
        Some(column) => format!("did you mean `{column}`?"),
        None if name.quote_style == Some('"') => {
            format!("double quotes name a column; write a string as '{}'", name.value)
        }
        None => suggestion(&name.value, columns),
    };
    Err(SqlError::new(SqlErrorKind::UnknownColumn, format!("unknown column `{}`", name.value))
        .hint(hint)
        .at(name.span.start))
}

/// `a.b`: columns are not qualified here.
fn check_qualified(parts: &[Ident], schema: &Schema) -> Result<(), SqlError> {
    let name = parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
    let error = SqlError::new(SqlErrorKind::UnknownColumn, format!("unknown column `{name}`"));
    let hint = match parts.last() {
        Some(last) if schema.field_with_name(&last.value).is_ok() => {
            format!("columns are not qualified: write `{}`", last.value)
        }
        _ => "columns are not qualified and not nested".to_string(),
    };
    Err(error.hint(hint).at(parts.first().map_or(Location::empty(), |part| part.span.start)))
}

fn check_call(call: &Function) -> Result<(), SqlError> {
    let name = call.name.to_string();
    let place = call.name.span().start;
    match functions::meaning(&name) {
        Meaning::Scalar => {}
        Meaning::Volatile => {
            let message = format!("`{name}` gives another value each time, so the feature could not be computed again");
            return Err(SqlError::new(SqlErrorKind::NonDeterministic, message)
                .hint("use a timestamp column of the event")
                .at(place));
        }
        Meaning::Aggregate => {
            return Err(unsupported(format!("`{name}` is over many events, an expression sees one"))
                .hint("declare an aggregate of the view; for the extremes of several columns use `greatest` or `least`")
                .at(place));
        }
        Meaning::Withheld => return Err(unsupported(format!("`{name}` is not available")).at(place)),
        Meaning::Unknown => {
            return Err(SqlError::new(SqlErrorKind::UnknownFunction, format!("unknown function `{name}`"))
                .hint(suggestion(&name.to_ascii_lowercase(), functions::names()))
                .at(place));
        }
    }
    let plain = call.over.is_none()
        && call.filter.is_none()
        && call.within_group.is_empty()
        && call.null_treatment.is_none()
        && matches!(call.parameters, FunctionArguments::None);
    if !plain {
        return Err(unsupported(format!("`{name}` takes no `over`, `filter` or `within group` here")).at(place));
    }
    check_padding(call, &name)
}

/// A padded length from an event could ask for gigabytes: it must be written as a number.
fn check_padding(call: &Function, name: &str) -> Result<(), SqlError> {
    if !["lpad", "rpad"].contains(&name.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    let written = match &call.args {
        FunctionArguments::List(list) => list.args.get(1).map(|argument| argument.to_string()),
        _ => None,
    };
    match written.and_then(|text| text.parse::<usize>().ok()) {
        Some(chars) if chars <= MAX_PADDED_CHARS => Ok(()),
        _ => Err(unsupported(format!("the length of `{name}` must be a number from 0 to {MAX_PADDED_CHARS}"))
            .hint("write it as a number")
            .at(call.name.span().start)),
    }
}
