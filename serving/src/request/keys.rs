//! Join keys of a request against those of a service: every key there, none too many, each of its type.

use freshet_config::definitions::Column;
use freshet_config::time::{EventTime, TimeError};
use freshet_config::value::{DataType, KeyError, MAX_KEY_STRING_BYTES, Value, encode_key};
use freshet_operators::lookup::ServicePlan;

use super::scalar::{JoinKeyMap, KeyValue, decimal};
use crate::error::{ApiError, quote, suggestion};
use crate::store::KeyReads;

/// Turns one row's join keys into store reads.
///
/// Appends one entry per view of the service to `slots`: the index of its read, or `None` when a key of it is null. A null
/// key belongs to no row, so that the view's features are missing; the other views are served.
/// `pointer` leads to the join key map; `values` is a buffer.
pub fn encode_row(
    service: &ServicePlan,
    keys: &JoinKeyMap<'_>,
    pointer: impl Fn() -> String + Copy,
    values: &mut Vec<Value>,
    reads: &mut KeyReads,
    slots: &mut Vec<Option<usize>>,
) -> Result<(), ApiError> {
    collect(service, keys, pointer, values)?;
    for view in &service.views {
        let parts = || view.key.iter().filter_map(|key| values.get(*key));
        if parts().any(Value::is_null) {
            slots.push(None);
            continue;
        }
        let read = reads.push(view.view, |out| encode_key(parts(), out));
        slots.push(Some(read.map_err(|error: KeyError| ApiError::invalid(error.to_string()).at(pointer()))?));
    }
    Ok(())
}

/// The service's join keys in its order.
fn collect(
    service: &ServicePlan,
    keys: &JoinKeyMap<'_>,
    pointer: impl Fn() -> String + Copy,
    values: &mut Vec<Value>,
) -> Result<(), ApiError> {
    values.clear();
    for column in &service.join_keys {
        let Some((_, given)) = keys.0.iter().find(|(name, _)| name.as_str() == column.name) else {
            return Err(missing(service, column, keys).at(field(pointer, &column.name)));
        };
        let value =
            join_key(column, given).map_err(|message| ApiError::invalid(message).at(field(pointer, &column.name)))?;
        values.push(value);
    }
    // Every key was found, and names are unique: another count means a name too many.
    if keys.0.len() != service.join_keys.len() {
        let known = |name: &str| service.join_keys.iter().any(|column| column.name == name);
        if let Some((name, _)) = keys.0.iter().find(|(name, _)| !known(name.as_str())) {
            let name = name.as_str();
            let names = suggestion(name, service.join_keys.iter().map(|column| column.name.as_str()));
            let message = format!("service `{}` has no join key `{}`; {names}", service.name, quote(name));
            return Err(ApiError::invalid(message).at(field(pointer, &quote(name))));
        }
    }
    Ok(())
}

fn missing(service: &ServicePlan, column: &Column, keys: &JoinKeyMap<'_>) -> ApiError {
    let strange = keys.0.iter().find(|(name, _)| service.join_keys.iter().all(|column| column.name != name.as_str()));
    let hint = match strange {
        Some((name, _)) => format!("`{}` is given, which it does not have", quote(name.as_str())),
        None => format!("send it as {}, or as null when it is not known", column.data_type),
    };
    ApiError::invalid(format!("service `{}` needs join key `{}`; {hint}", service.name, column.name))
}

pub(super) fn field(pointer: impl Fn() -> String, name: &str) -> String {
    format!("{}/{}", pointer(), name.replace('~', "~0").replace('/', "~1"))
}

/// One join key in its column's type; the error says what was expected and what came.
pub fn join_key(column: &Column, given: &KeyValue<'_>) -> Result<Value, String> {
    match (column.data_type, given) {
        (DataType::String, KeyValue::Text(text)) if text.as_str().len() > MAX_KEY_STRING_BYTES => {
            let length = text.as_str().len();
            Err(format!("join key `{}` has {length} bytes, more than {MAX_KEY_STRING_BYTES}", column.name))
        }
        // Definitions refuse float keys; a plan that has one cannot be looked up.
        (DataType::Float32 | DataType::Float64, _) => {
            Err(format!("join key `{}` is a float, which cannot be looked up", column.name))
        }
        _ => typed("join key", column, given),
    }
}

/// One value in its column's type, strictly; `what` names it in the error, which says what was expected and what came.
pub fn typed(what: &str, column: &Column, given: &KeyValue<'_>) -> Result<Value, String> {
    let wrong = |expected: &str| {
        let shown = match given {
            KeyValue::Text(text) => format!("the string `{}`", quote(text.as_str())),
            KeyValue::Int(number) => format!("the number {number}"),
            KeyValue::Large(number) => format!("the number {number}, which no int64 holds"),
            // Its digits are gone: a whole number here was written with an exponent, or beyond 64 bits.
            KeyValue::Number(number) if number.fract() == 0.0 => {
                format!("a number written with a point or an exponent, or beyond 64 bits ({number:e})")
            }
            KeyValue::Number(number) => format!("the number {number}"),
            other => other.kind().to_string(),
        };
        format!("{what} `{}` is {expected}, not {shown}", column.name)
    };
    let integer = || match given {
        KeyValue::Int(value) => Some(*value),
        KeyValue::Text(text) => decimal(text.as_str()),
        _ => None,
    };
    if matches!(given, KeyValue::Null) {
        return Ok(Value::Null);
    }
    match column.data_type {
        DataType::Int64 => integer().map(Value::Int64).ok_or_else(|| wrong("an int64, as a number or decimal digits")),
        DataType::Int32 => {
            let value = integer().and_then(|value| i32::try_from(value).ok());
            value.map(Value::Int32).ok_or_else(|| wrong("an int32, as a number or decimal digits"))
        }
        DataType::String => match given {
            KeyValue::Text(text) => Ok(Value::String(text.as_str().to_string())),
            _ => Err(wrong("a string")),
        },
        DataType::Bool => match given {
            KeyValue::Bool(value) => Ok(Value::Bool(*value)),
            _ => Err(wrong("a boolean")),
        },
        DataType::Timestamp => match given {
            KeyValue::Text(text) if text.as_str().len() <= 64 => match EventTime::parse(text.as_str()) {
                Ok(at) => Ok(Value::Timestamp(at)),
                Err(TimeError::Range(_)) => Err(wrong("an instant in the years 1700 to 2249")),
                Err(_) => Err(wrong("an RFC 3339 instant with a zone")),
            },
            _ => Err(wrong("an RFC 3339 instant with a zone")),
        },
        DataType::Float64 => float(given).map(Value::Float64).ok_or_else(|| wrong("a float64, as a number")),
        DataType::Float32 => {
            // A number too large for the type is none of it; infinity is, where it is written.
            let narrow = float(given).map(|wide| (wide, wide as f32));
            let fits = narrow.filter(|(wide, narrow)| wide.is_finite() == narrow.is_finite());
            fits.map(|(_, narrow)| Value::Float32(narrow)).ok_or_else(|| wrong("a float32, as a number"))
        }
    }
}

/// A number, or one of the three that JSON cannot write.
fn float(given: &KeyValue<'_>) -> Option<f64> {
    match given {
        KeyValue::Int(value) => Some(*value as f64),
        KeyValue::Large(value) => Some(*value as f64),
        KeyValue::Number(value) => Some(*value),
        KeyValue::Text(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        KeyValue::Null | KeyValue::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(data_type: DataType, text: &'static str) -> Result<Value, String> {
        let given: KeyValue = serde_json::from_str(text).unwrap();
        join_key(&Column { name: "k".into(), data_type }, &given)
    }

    #[test]
    fn keys_take_their_columns_type() {
        assert_eq!(key(DataType::Int64, "7"), Ok(Value::Int64(7)));
        assert_eq!(key(DataType::Int64, "\"-7\""), Ok(Value::Int64(-7)));
        assert_eq!(key(DataType::Int32, "2147483647"), Ok(Value::Int32(i32::MAX)));
        assert_eq!(key(DataType::String, "\"'; DROP TABLE x\""), Ok(Value::String("'; DROP TABLE x".into())));
        assert_eq!(key(DataType::Bool, "true"), Ok(Value::Bool(true)));
        assert_eq!(
            key(DataType::Timestamp, "\"1970-01-01T00:00:01Z\""),
            Ok(Value::Timestamp(EventTime::from_micros(1_000_000)))
        );
        assert_eq!(key(DataType::Int64, "null"), Ok(Value::Null));
    }

    #[test]
    fn an_instant_that_is_none_of_an_event_is_told_the_years() {
        for text in ["\"0001-01-01T00:00:00Z\"", "\"2250-01-01T00:00:00.000001Z\""] {
            let error = key(DataType::Timestamp, text).unwrap_err();
            let expected = "join key `k` is an instant in the years 1700 to 2249, not the string";
            assert_eq!(error, format!("{expected} `{}`", text.trim_matches('"')));
        }
    }

    #[test]
    fn numbers_are_quoted_as_they_were_written() {
        for (text, quoted) in [
            ("9223372036854775808", "not the number 9223372036854775808, which no int64 holds"),
            ("18446744073709551615", "not the number 18446744073709551615, which no int64 holds"),
            ("18446744073709551616", "or beyond 64 bits (1.8446744073709552e19)"),
            ("1.5", "not the number 1.5"),
        ] {
            let error = key(DataType::Int64, text).unwrap_err();
            assert!(error.ends_with(quoted), "{error}");
        }
        assert!(key(DataType::Int32, "2147483648").unwrap_err().ends_with("not the number 2147483648"));
    }

    #[test]
    fn another_type_is_refused() {
        for (data_type, text) in [
            (DataType::Int64, "\"abc\""),
            (DataType::Int64, "5.0"),
            (DataType::Int64, "true"),
            (DataType::Int64, "9223372036854775808"),
            (DataType::Int32, "2147483648"),
            (DataType::String, "5"),
            (DataType::Bool, "\"true\""),
            (DataType::Bool, "1"),
            (DataType::Timestamp, "\"2026-01-01\""),
            (DataType::Timestamp, "5"),
            (DataType::Float64, "1.5"),
        ] {
            let error = key(data_type, text).unwrap_err();
            assert!(error.starts_with("join key `k` is a"), "{error}");
        }
        let long: &'static str = Box::leak(format!("\"{}\"", "x".repeat(MAX_KEY_STRING_BYTES + 1)).into_boxed_str());
        assert!(key(DataType::String, long).unwrap_err().contains("2049 bytes"));
    }
}
