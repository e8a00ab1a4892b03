//! Spans, instants and SQL text of definitions, within their bounds.

use crate::decode::{At, Spelled, shorten};
use crate::definitions::Sql;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resolve::limits::{MAX_SPAN, MAX_SQL_BYTES};
use crate::time::{EventTime, Span, TimeError};

/// What a message says around a value: ``the lateness``, the value, `` of source `x` ``.
pub type Subject<'a> = (&'a str, &'a str);

/// The second half of a [`Subject`].
pub fn of(owner: &str) -> String {
    format!(" of {owner}")
}

/// Reads a span. A number without a unit and one that is no span get different words.
pub fn read_span(
    subject: Subject<'_>,
    code: &'static str,
    written: &At<Spelled>,
    errors: &mut Diagnostics,
) -> Option<Span> {
    let (what, of) = subject;
    let text = &written.value.0;
    let unitless = !text.is_empty() && text.trim_start_matches('-').parse::<f64>().is_ok();
    let diagnostic = match Span::parse(text) {
        Ok(span) => return Some(span),
        Err(_) if unitless => {
            let shown = shorten(text);
            Diagnostic::new(&written.place, code, format!("{what} `{shown}`{of} has no unit"))
                .hint("write a unit w, d, h, m, s, ms or us, such as 10m or 30s")
        }
        Err(_) if Span::parse(&with_short_numbers(text)).is_ok() => {
            let message = format!("{what} `{}`{of} is longer than the {MAX_SPAN} (10 years) allowed", shorten(text));
            Diagnostic::new(&written.place, code, message).hint("write a shorter one")
        }
        Err(_) => {
            let message = format!("{what} `{}`{of} is not a span", shorten(text));
            let hint = "write numbers with units w, d, h, m, s, ms or us, such as 90s or 1h30m";
            Diagnostic::new(&written.place, code, message).hint(hint)
        }
    };
    errors.push(diagnostic);
    None
}

/// The text with every number cut to its first digit: what was no span for its length alone becomes one.
fn with_short_numbers(text: &str) -> String {
    let mut within = false;
    let kept = text.chars().filter(|c| {
        let again = within && c.is_ascii_digit();
        within = c.is_ascii_digit();
        !again
    });
    kept.collect()
}

/// Reads a span that must be longer than nothing and at most [`MAX_SPAN`].
pub fn positive_span(
    subject: Subject<'_>,
    code: &'static str,
    written: &At<Spelled>,
    errors: &mut Diagnostics,
) -> Option<Span> {
    let span = read_span(subject, code, written, errors)?;
    let (what, of) = subject;
    let shown = shorten(&written.value.0);
    if span <= Span::ZERO {
        let message = format!("{what} `{shown}`{of} is not longer than zero");
        errors.push(Diagnostic::new(&written.place, code, message).hint("write a positive span, such as 10m"));
        return None;
    }
    within_cap(subject, code, span, written, errors)
}

/// Reads a span from zero to [`MAX_SPAN`].
pub fn bounded_span(
    subject: Subject<'_>,
    code: &'static str,
    written: &At<Spelled>,
    errors: &mut Diagnostics,
) -> Option<Span> {
    let span = read_span(subject, code, written, errors)?;
    let (what, of) = subject;
    if span < Span::ZERO {
        let message = format!("{what} `{}`{of} is negative", shorten(&written.value.0));
        errors.push(Diagnostic::new(&written.place, code, message).hint("write zero or a positive span, such as 1h"));
        return None;
    }
    within_cap(subject, code, span, written, errors)
}

fn within_cap(
    subject: Subject<'_>,
    code: &'static str,
    span: Span,
    written: &At<Spelled>,
    errors: &mut Diagnostics,
) -> Option<Span> {
    if span <= MAX_SPAN {
        return Some(span);
    }
    let (what, of) = subject;
    let message =
        format!("{what} `{}`{of} is longer than the {MAX_SPAN} (10 years) allowed", shorten(&written.value.0));
    errors.push(Diagnostic::new(&written.place, code, message).hint("write a shorter span"));
    None
}

/// Reads an instant.
pub fn read_instant(what: &str, written: &At<Spelled>, errors: &mut Diagnostics) -> Option<EventTime> {
    // A text longer than any instant is cut, so that the message stays one line of sane length.
    match EventTime::parse(&shorten(&written.value.0)) {
        Ok(at) => Some(at),
        Err(error) => refuse_instant(what, written, &error, errors),
    }
}

fn refuse_instant<T>(what: &str, written: &At<Spelled>, error: &TimeError, errors: &mut Diagnostics) -> Option<T> {
    let (message, hint) = match error {
        TimeError::Range(_) => ("is outside the years 1700 to 2249", "write an instant between them"),
        _ => ("is not an RFC 3339 instant with a zone", "write one such as 2026-01-31T12:00:00Z"),
    };
    let message = format!("{what} `{}` {message}", shorten(&written.value.0));
    errors.push(Diagnostic::new(&written.place, "DEF-TIME", message).hint(hint));
    None
}

/// Reads an instant that something starts at: a date alone is its midnight in UTC.
pub fn read_start(what: &str, written: &At<Spelled>, errors: &mut Diagnostics) -> Option<EventTime> {
    let text = &written.value.0;
    if text.len() != "2024-01-01".len() {
        return read_instant(what, written, errors);
    }
    match EventTime::parse(&format!("{text}T00:00:00Z")) {
        Ok(midnight) => Some(midnight),
        Err(error) => refuse_instant(what, written, &error, errors),
    }
}

/// A column as an expression. Its name may be a word of SQL.
pub fn column_sql(column: &At<String>) -> Sql {
    Sql { text: format!("\"{}\"", column.value), place: column.place.clone() }
}

/// Carries SQL text to where it is compiled.
pub fn read_sql(what: &str, written: &At<Spelled>, errors: &mut Diagnostics) -> Option<Sql> {
    let text = written.value.0.trim();
    let diagnostic = if text.is_empty() {
        let message = format!("{what} is empty");
        Diagnostic::new(&written.place, "DEF-ARG", message).hint("write a column or an SQL expression, or remove it")
    } else if text.len() > MAX_SQL_BYTES {
        let message = format!("{what} has {} bytes, more than the {MAX_SQL_BYTES} allowed", text.len());
        Diagnostic::new(&written.place, "DEF-SIZE", message).hint("split it into computed columns")
    } else {
        return Some(Sql { text: text.to_string(), place: written.place.clone() });
    };
    errors.push(diagnostic);
    None
}
