//! Values as JSON in the wire format: int64 as a string, timestamps as RFC 3339 in UTC, never a bare NaN.

use std::io::Write;

use freshet_config::value::{DataType, FeatureType, Value};

/// Writes `text` as a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory cannot fail, and a string has no shape that JSON lacks.
    let _ = serde_json::to_writer(out, text);
}

/// Writes one feature value. NaN is null: it stands for no number. The infinities are strings, as proto3 JSON has them.
pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Int32(v) => write_integer(out, i64::from(*v)),
        Value::Int64(v) => write_integer(out, *v),
        Value::Float32(v) if v.is_finite() => out.extend_from_slice(zmij::Buffer::new().format_finite(*v).as_bytes()),
        Value::Float32(v) => write_not_finite(out, f64::from(*v)),
        Value::Float64(v) if v.is_finite() => out.extend_from_slice(zmij::Buffer::new().format_finite(*v).as_bytes()),
        Value::Float64(v) => write_not_finite(out, *v),
        Value::String(v) => write_text(out, v),
        Value::Bool(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        Value::Timestamp(v) => {
            let _ = write!(out, "\"{v}\"");
        }
        Value::List(values) => {
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, value);
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            out.push(b'{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_key(out, key);
                out.push(b':');
                write_value(out, value);
            }
            out.push(b'}');
        }
    }
}

/// A key of a map as an object's: always text, which an int64 and an instant are anyway.
fn write_key(out: &mut Vec<u8>, key: &Value) {
    match key {
        Value::String(text) => write_text(out, text),
        other => write_text(out, &other.to_string()),
    }
}

fn write_integer(out: &mut Vec<u8>, value: i64) {
    out.push(b'"');
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b'"');
}

fn write_not_finite(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(match value {
        f64::INFINITY => b"\"Infinity\"",
        f64::NEG_INFINITY => b"\"-Infinity\"",
        _ => b"null",
    });
}

/// Whether [`write_value`] writes this value, or a part of it, as null although it is none.
pub fn is_not_a_number(value: &Value) -> bool {
    match value {
        Value::Float32(v) => v.is_nan(),
        Value::Float64(v) => v.is_nan(),
        Value::List(values) => values.iter().any(is_not_a_number),
        Value::Map(entries) => entries.iter().any(|(_, value)| is_not_a_number(value)),
        _ => false,
    }
}

/// A number of seconds as a JSON number.
pub fn write_seconds(out: &mut Vec<u8>, seconds: f64) {
    out.extend_from_slice(
        zmij::Buffer::new().format_finite(if seconds.is_finite() { seconds } else { 0.0 }).as_bytes(),
    );
}

/// The type's name on the wire, which has one integer type: an int32 is served as an int64.
pub fn wire_type(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Int32 | DataType::Int64 => "int64",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::String => "string",
        DataType::Bool => "boolean",
        DataType::Timestamp => "timestamp",
    }
}

/// A feature's type on the wire: `{"type":"int64"}`, an array with its `elementType`, a map with `keyType` and `valueType`.
pub fn wire_feature_type(feature_type: &FeatureType) -> serde_json::Value {
    match feature_type {
        FeatureType::Scalar(data_type) => serde_json::json!({ "type": wire_type(*data_type) }),
        FeatureType::List(element) => {
            serde_json::json!({ "type": "array", "elementType": wire_feature_type(element) })
        }
        FeatureType::Map(key, value) => serde_json::json!({
            "type": "map",
            "keyType": { "type": wire_type(*key) },
            "valueType": wire_feature_type(value),
        }),
    }
}

#[cfg(test)]
mod tests {
    use freshet_config::time::EventTime;

    use super::*;

    fn written(value: Value) -> String {
        let mut out = Vec::new();
        write_value(&mut out, &value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_value_has_its_wire_form() {
        for (value, text) in [
            (Value::Null, "null"),
            (Value::Int64(i64::MIN), "\"-9223372036854775808\""),
            (Value::Int32(-7), "\"-7\""),
            (Value::Float64(0.1), "0.1"),
            (Value::Float64(3.0), "3.0"),
            (Value::Float32(1.1), "1.1"),
            (Value::Float64(f64::NAN), "null"),
            (Value::Float32(f32::NAN), "null"),
            (Value::Float64(f64::INFINITY), "\"Infinity\""),
            (Value::Float32(f32::NEG_INFINITY), "\"-Infinity\""),
            (Value::Bool(true), "true"),
            (Value::String("a\"\\\n\u{0}é".into()), "\"a\\\"\\\\\\n\\u0000é\""),
            (Value::Timestamp(EventTime::from_micros(1_500_000)), "\"1970-01-01T00:00:01.500Z\""),
        ] {
            assert_eq!(written(value), text);
        }
    }

    #[test]
    fn lists_and_maps_nest() {
        let map = Value::Map(vec![
            (Value::String("b\"".into()), Value::List(vec![Value::Int64(1), Value::Null])),
            (Value::String("a".into()), Value::List(Vec::new())),
        ]);
        assert_eq!(written(map), r#"{"b\"":["1",null],"a":[]}"#);
        let keys = [Value::Int64(-1), Value::Bool(true), Value::Timestamp(EventTime::from_micros(0))];
        let keyed = Value::Map(keys.into_iter().map(|key| (key, Value::Float64(0.5))).collect());
        assert_eq!(written(keyed), r#"{"-1":0.5,"true":0.5,"1970-01-01T00:00:00Z":0.5}"#);
        assert!(is_not_a_number(&Value::List(vec![Value::Float64(f64::NAN)])));
        let of = FeatureType::List(Box::new(FeatureType::Map(DataType::Int32, Box::new(DataType::Bool.into()))));
        assert_eq!(
            wire_feature_type(&of).to_string(),
            r#"{"elementType":{"keyType":{"type":"int64"},"type":"map","valueType":{"type":"boolean"}},"type":"array"}"#
        );
    }

    #[test]
    fn floats_survive_the_wire() {
        for value in [f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0, 1e16, 1e21, 123_456_789.123_456_78] {
            let back: f64 = serde_json::from_str(&written(Value::Float64(value))).unwrap();
            assert_eq!(back.to_bits(), value.to_bits());
        }
    }
}
