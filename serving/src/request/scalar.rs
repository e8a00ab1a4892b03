//! The leaves of a request: text borrowed where it has no escapes, flags, integers in either form, maps of join keys.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::error::quote;

/// A JSON string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_string())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A JSON boolean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(Flag)
    }
}

/// An int64 as proto3 JSON has it: a number or its decimal digits in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integer(pub i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match KeyValue::deserialize(deserializer)? {
            KeyValue::Int(value) => Ok(Integer(value)),
            KeyValue::Text(text) => match decimal(text.as_str()) {
                Some(value) => Ok(Integer(value)),
                None => Err(D::Error::invalid_value(Unexpected::Other("this string"), &"an integer")),
            },
            other => Err(D::Error::invalid_type(Unexpected::Other(other.kind()), &"an integer")),
        }
    }
}

/// Decimal digits with an optional minus sign, and nothing else.
pub fn decimal(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A join key's value as written.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyValue<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number beyond the int64s.
    Large(u64),
    /// Any other number: with a fraction, an exponent, or beyond 64 bits.
    Number(f64),
    Text(Text<'a>),
}

impl KeyValue<'_> {
    /// What was written, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            KeyValue::Null => "null",
            KeyValue::Bool(_) => "a boolean",
            KeyValue::Int(_) => "an integer",
            KeyValue::Large(_) | KeyValue::Number(_) => "a number that is no int64",
            KeyValue::Text(_) => "a string",
        }
    }
}

impl<'de> Deserialize<'de> for KeyValue<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = KeyValue<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number, a boolean or null")
    }
    fn visit_unit<E: Error>(self) -> Result<KeyValue<'de>, E> {
        Ok(KeyValue::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<KeyValue<'de>, E> {
        Ok(KeyValue::Bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<KeyValue<'de>, E> {
        Ok(KeyValue::Int(value))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<KeyValue<'de>, E> {
        Ok(i64::try_from(value).map_or(KeyValue::Large(value), KeyValue::Int))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<KeyValue<'de>, E> {
        Ok(KeyValue::Number(value))
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<KeyValue<'de>, E> {
        Ok(KeyValue::Text(Text(Cow::Borrowed(text))))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<KeyValue<'de>, E> {
        Ok(KeyValue::Text(Text(Cow::Owned(text.to_string()))))
    }
}

/// A request field's value as written: a scalar, or something that is none and that only a field nobody knows may hold.
#[derive(Clone, Debug, PartialEq)]
pub enum ContextValue<'a> {
    Scalar(KeyValue<'a>),
    Array,
    Object,
}

impl<'de> Deserialize<'de> for ContextValue<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContextVisitor;
        impl<'de> Visitor<'de> for ContextVisitor {
            type Value = ContextValue<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                KeyVisitor.visit_unit().map(ContextValue::Scalar)
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
                KeyVisitor.visit_bool(value).map(ContextValue::Scalar)
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                KeyVisitor.visit_i64(value).map(ContextValue::Scalar)
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
                KeyVisitor.visit_u64(value).map(ContextValue::Scalar)
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
                KeyVisitor.visit_f64(value).map(ContextValue::Scalar)
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                KeyVisitor.visit_borrowed_str(text).map(ContextValue::Scalar)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                KeyVisitor.visit_str(text).map(ContextValue::Scalar)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_seq(seq).map(|_| ContextValue::Array)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_map(map).map(|_| ContextValue::Object)
            }
        }
        deserializer.deserialize_any(ContextVisitor)
    }
}

/// Most entries of a map in a request. Names are compared pairwise, so their number is bounded.
const MAP_ENTRIES: usize = 128;

/// Names and values in the order written, each name once.
fn read_map<'de, A, V>(mut map: A) -> Result<Vec<(Text<'de>, V)>, A::Error>
where
    A: MapAccess<'de>,
    V: Deserialize<'de>,
{
    let mut entries: Vec<(Text<'de>, V)> = Vec::with_capacity(4);
    while let Some(name) = map.next_key::<Text<'de>>()? {
        if entries.iter().any(|(known, _)| *known == name) {
            return Err(A::Error::custom(format!("`{}` is given twice", quote(name.as_str()))));
        }
        if entries.len() == MAP_ENTRIES {
            return Err(A::Error::custom(format!("there are more than {MAP_ENTRIES} entries")));
        }
        entries.push((name, map.next_value()?));
    }
    Ok(entries)
}

/// `joinKeyMap`.
#[derive(Debug, Default)]
pub struct JoinKeyMap<'a>(pub Vec<(Text<'a>, KeyValue<'a>)>);

impl<'de> Deserialize<'de> for JoinKeyMap<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = JoinKeyMap<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of join keys")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                read_map(map).map(JoinKeyMap)
            }
        }
        deserializer.deserialize_map(MapVisitor)
    }
}

/// `requestContextMap`.
#[derive(Debug, Default)]
pub struct ContextMap<'a>(pub Vec<(Text<'a>, ContextValue<'a>)>);

impl<'de> Deserialize<'de> for ContextMap<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = ContextMap<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of request fields")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                read_map(map).map(ContextMap)
            }
        }
        deserializer.deserialize_map(MapVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_keys_keep_their_written_kind() {
        let text =
            r#"{"a": "1", "b": -2, "c": null, "d": 1.5, "e": 18446744073709551615, "f": true, "g\u0041": "x\ny"}"#;
        let JoinKeyMap(keys) = serde_json::from_str(text).unwrap();
        let kinds: Vec<&str> = keys.iter().map(|(_, v)| v.kind()).collect();
        let number = "a number that is no int64";
        assert_eq!(kinds, ["a string", "an integer", "null", number, number, "a boolean", "a string"]);
        assert_eq!(keys[6].0.as_str(), "gA");
        assert!(matches!(&keys[0].1, KeyValue::Text(Text(Cow::Borrowed("1")))), "plain text is not copied");
    }

    #[test]
    fn maps_refuse_doubles_nesting_and_floods() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":[1]}"#, r#"{"a":{}}"#, "[]", r#"{"a":1e999}"#] {
            assert!(serde_json::from_str::<JoinKeyMap>(text).is_err(), "{text}");
        }
        let many: Vec<String> = (0..=MAP_ENTRIES).map(|i| format!("\"k{i}\":1")).collect();
        assert!(serde_json::from_str::<JoinKeyMap>(&format!("{{{}}}", many.join(","))).is_err());
        assert!(serde_json::from_str::<JoinKeyMap>(&format!("{{{}}}", many[1..].join(","))).is_ok());
    }

    #[test]
    fn integers_are_digits_only() {
        for (text, value) in [("0", Some(0)), ("-12", Some(-12)), ("9223372036854775807", Some(i64::MAX))] {
            assert_eq!(decimal(text), value);
        }
        for text in ["", "-", "+1", " 1", "1.0", "1e3", "9223372036854775808", "١"] {
            assert_eq!(decimal(text), None, "{text}");
        }
        assert_eq!(serde_json::from_str::<Integer>("\"250\"").unwrap(), Integer(250));
        assert!(serde_json::from_str::<Integer>("2.5").is_err());
    }
}
