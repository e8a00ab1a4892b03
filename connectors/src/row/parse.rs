//! Text to cells: how numbers, times and strings are spelled in JSON and CSV.

use std::borrow::Cow;

use freshet_config::definitions::Column;
use freshet_config::time::{EventTime, TimeError};
use freshet_config::value::DataType;

use super::{Cell, Refusal, Row};
use crate::events::Code;

/// A JSON number. The text is known to be one.
pub(crate) fn parse_number(column: &Column, text: &str) -> Result<Cell, Refusal> {
    match column.data_type {
        DataType::Int32 | DataType::Int64 => integer(column, text),
        DataType::Float32 | DataType::Float64 => float(column, text),
        DataType::Timestamp => bare_time(column, text),
        DataType::String | DataType::Bool => Err(mismatch(column, &format!("the number {}", shown(text)))),
    }
}

/// A JSON string: text, a time, or an int64 in decimal digits (which keeps all 64 bits on their way through clients
/// that hold numbers as doubles).
pub(crate) fn parse_quoted(column: &Column, text: &str, row: &mut Row) -> Result<Cell, Refusal> {
    match column.data_type {
        DataType::String => Ok(row.text_cell(text)),
        DataType::Timestamp => written_time(column, text),
        DataType::Int64 if is_decimal(text) => integer(column, text),
        DataType::Float32 | DataType::Float64 if names_no_finite_number(text) => Err(not_finite(column, text)),
        _ => Err(mismatch(column, &format!("the string \"{}\"", shown(text)))),
    }
}

/// A CSV field: everything is text, empty is null.
pub(crate) fn parse_text(column: &Column, text: &str, row: &mut Row) -> Result<Cell, Refusal> {
    if text.is_empty() {
        return Ok(Cell::Null);
    }
    match column.data_type {
        DataType::String => Ok(row.text_cell(text)),
        DataType::Bool => match text {
            "true" => Ok(Cell::Bool(true)),
            "false" => Ok(Cell::Bool(false)),
            _ => Err(mismatch(column, &format!("`{}`", shown(text)))),
        },
        DataType::Timestamp if is_decimal(text) => bare_time(column, text),
        DataType::Timestamp => written_time(column, text),
        DataType::Int32 | DataType::Int64 => integer(column, text),
        DataType::Float32 | DataType::Float64 => float(column, text),
    }
}

/// A value of another kind than the column's type. `found` names it.
pub(crate) fn mismatch(column: &Column, found: &str) -> Refusal {
    let Column { name, data_type } = column;
    let expected = match data_type {
        DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64 => format!("{data_type} number"),
        DataType::Bool => "true or false".to_string(),
        DataType::String => "string".to_string(),
        DataType::Timestamp => "timestamp".to_string(),
    };
    let article = match data_type {
        DataType::Int32 | DataType::Int64 => "an ",
        DataType::Bool => "",
        _ => "a ",
    };
    Refusal::new(Code::Type, format!("`{name}` must be {article}{expected}, found {found}"))
}

fn out_of_range(column: &Column, text: &str) -> Refusal {
    let Column { name, data_type } = column;
    Refusal::new(Code::Range, format!("`{name}` is {}, which does not fit {data_type}", shown(text)))
}

/// The start of a value, for messages.
fn shown(text: &str) -> Cow<'_, str> {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

/// `-?[0-9]+`
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn integer(column: &Column, text: &str) -> Result<Cell, Refusal> {
    if !is_decimal(text) {
        return Err(mismatch(column, &shown(text)));
    }
    // Only too many digits can fail here.
    let value: i64 = text.parse().map_err(|_| out_of_range(column, text))?;
    if column.data_type == DataType::Int32 && i32::try_from(value).is_err() {
        return Err(out_of_range(column, text));
    }
    Ok(Cell::Integer(value))
}

/// NaN and infinities, as programs spell them where numbers are text.
fn names_no_finite_number(text: &str) -> bool {
    let word = text.trim_start_matches(['-', '+']);
    ["nan", "inf", "infinity"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

fn not_finite(column: &Column, text: &str) -> Refusal {
    Refusal::new(Code::Range, format!("`{}` is {}: events hold finite numbers only", column.name, shown(text)))
}

fn float(column: &Column, text: &str) -> Result<Cell, Refusal> {
    if names_no_finite_number(text) {
        return Err(not_finite(column, text));
    }
    // Rust also reads `inf`, `nan` and `+1`: a number here begins with a digit, a minus or a point.
    let spelled = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !spelled {
        return Err(mismatch(column, &shown(text)));
    }
    let value = match column.data_type {
        // Straight to the width of the column: rounding twice may give another number.
        DataType::Float32 => text.parse::<f32>().map(f64::from),
        _ => text.parse::<f64>(),
    };
    let value = value.map_err(|_| mismatch(column, &shown(text)))?;
    if !value.is_finite() {
        return Err(out_of_range(column, text));
    }
    // Adding zero turns -0.0 into 0.0 and changes nothing else.
    Ok(Cell::Float(value + 0.0))
}

/// Microseconds since 1970.
fn bare_time(column: &Column, text: &str) -> Result<Cell, Refusal> {
    if !is_decimal(text) {
        let message = format!(
            "`{}` is {}: a timestamp is a whole number of microseconds since 1970 or an RFC 3339 text",
            column.name,
            shown(text)
        );
        return Err(Refusal::new(Code::Time, message));
    }
    match text.parse().map(EventTime::from_micros) {
        Ok(at) if at.in_range() => Ok(Cell::Time { at, bare: true }),
        _ => Err(time_range(column, text)),
    }
}

/// RFC 3339; without a zone it counts as UTC.
fn written_time(column: &Column, text: &str) -> Result<Cell, Refusal> {
    let parsed = match EventTime::parse(text) {
        Err(TimeError::Instant(_)) => EventTime::parse(&format!("{text}Z")),
        parsed => parsed,
    };
    match parsed {
        Ok(at) => Ok(Cell::Time { at, bare: false }),
        Err(TimeError::Range(_)) => Err(time_range(column, text)),
        Err(_) => {
            let name = &column.name;
            let message = format!("`{name}` is \"{}\", not an instant such as 2026-01-31T12:00:00Z", shown(text));
            Err(Refusal::new(Code::Time, message))
        }
    }
}

fn time_range(column: &Column, text: &str) -> Refusal {
    Refusal::new(Code::Time, format!("`{}` is {}, outside the years 1700 to 2249", column.name, shown(text)))
}
