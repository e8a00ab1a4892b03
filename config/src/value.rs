//! Column types, and single values as they are read, compared and shown.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// The type of a column or a key, and of a feature that is no list and no map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    Int32,
    Int64,
    Float32,
    Float64,
    String,
    Bool,
    Timestamp,
}

impl DataType {
    pub const ALL: [DataType; 7] = [
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::String,
        DataType::Bool,
        DataType::Timestamp,
    ];

    /// The name used in definitions: `int64`, `string`, `timestamp`.
    pub fn name(self) -> &'static str {
        match self {
            DataType::Int32 => "int32",
            DataType::Int64 => "int64",
            DataType::Float32 => "float32",
            DataType::Float64 => "float64",
            DataType::String => "string",
            DataType::Bool => "bool",
            DataType::Timestamp => "timestamp",
        }
    }

    pub fn is_integer(self) -> bool {
        matches!(self, DataType::Int32 | DataType::Int64)
    }

    pub fn is_float(self) -> bool {
        matches!(self, DataType::Float32 | DataType::Float64)
    }

    pub fn is_number(self) -> bool {
        self.is_integer() || self.is_float()
    }

    /// Whether a column of this type may be a join key: everything that has one spelling per value.
    pub fn is_key(self) -> bool {
        !self.is_float()
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The type of a feature's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum FeatureType {
    Scalar(DataType),
    List(Box<FeatureType>),
    /// Keys, which are never floats, and values.
    Map(DataType, Box<FeatureType>),
}

impl FeatureType {
    /// Whether a value is of this type; null, and nulls inside, are of every type.
    pub fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) => true,
            (FeatureType::Scalar(data_type), value) => value.data_type() == Some(*data_type),
            (FeatureType::List(element), Value::List(values)) => values.iter().all(|value| element.fits(value)),
            (FeatureType::Map(key, of), Value::Map(entries)) => {
                entries.iter().all(|(k, value)| k.data_type() == Some(*key) && of.fits(value))
            }
            (FeatureType::List(_) | FeatureType::Map(..), _) => false,
        }
    }
}

impl From<DataType> for FeatureType {
    fn from(data_type: DataType) -> FeatureType {
        FeatureType::Scalar(data_type)
    }
}

impl fmt::Display for FeatureType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FeatureType::Scalar(data_type) => data_type.fmt(f),
            FeatureType::List(element) => write!(f, "list<{element}>"),
            FeatureType::Map(key, value) => write!(f, "map<{key}, {value}>"),
        }
    }
}

/// One value. Floats are never NaN where they come from an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Value {
    #[default]
    Null,
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    String(String),
    Bool(bool),
    Timestamp(EventTime),
    /// Values of one type; some may be null.
    List(Vec<Value>),
    /// Keys of one type, distinct and never null, each with its value. Ascending by key, unless a function defines
    /// another order.
    Map(Vec<(Value, Value)>),
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The type of a scalar; `None` for null, a list or a map.
    pub fn data_type(&self) -> Option<DataType> {
        match self {
            Value::Null | Value::List(_) | Value::Map(_) => None,
            Value::Int32(_) => Some(DataType::Int32),
            Value::Int64(_) => Some(DataType::Int64),
            Value::Float32(_) => Some(DataType::Float32),
            Value::Float64(_) => Some(DataType::Float64),
            Value::String(_) => Some(DataType::String),
            Value::Bool(_) => Some(DataType::Bool),
            Value::Timestamp(_) => Some(DataType::Timestamp),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Int32(v) => v.fmt(f),
            Value::Int64(v) => v.fmt(f),
            Value::Float32(v) => v.fmt(f),
            Value::Float64(v) => v.fmt(f),
            Value::String(v) => v.fmt(f),
            Value::Bool(v) => v.fmt(f),
            Value::Timestamp(v) => v.fmt(f),
            Value::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Join keys as bytes: what is hashed, stored and looked up.
///
/// Columns follow each other in the entity's order: fixed-width types as 8 bytes little-endian (an int32 widened, so
/// that a key means the same wherever it was declared narrow), strings as a 4-byte little-endian length and UTF-8.
/// The encoding is injective for one list of types and part of the stored format.
pub fn encode_key<'a>(values: impl IntoIterator<Item = &'a Value>, out: &mut Vec<u8>) -> Result<(), KeyError> {
    for value in values {
        match value {
            Value::Int32(v) => out.extend_from_slice(&i64::from(*v).to_le_bytes()),
            Value::Int64(v) => out.extend_from_slice(&v.to_le_bytes()),
            Value::Bool(v) => out.extend_from_slice(&i64::from(*v).to_le_bytes()),
            Value::Timestamp(v) => out.extend_from_slice(&v.micros().to_le_bytes()),
            Value::String(v) => {
                if v.len() > MAX_KEY_STRING_BYTES {
                    return Err(KeyError::TooLong(v.len()));
                }
                out.extend_from_slice(&(v.len() as u32).to_le_bytes());
                out.extend_from_slice(v.as_bytes());
            }
            Value::Null => return Err(KeyError::Null),
            Value::Float32(_) | Value::Float64(_) => return Err(KeyError::Float),
            Value::List(_) | Value::Map(_) => return Err(KeyError::Nested),
        }
    }
    Ok(())
}

/// Reads what [`encode_key`] wrote. `None` when the bytes do not fit the types.
pub fn decode_key(types: &[DataType], mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::with_capacity(types.len());
    for data_type in types {
        let value = match data_type {
            DataType::String => {
                let (length, rest) = bytes.split_first_chunk::<4>()?;
                let length = u32::from_le_bytes(*length) as usize;
                if rest.len() < length {
                    return None;
                }
                let (text, rest) = rest.split_at(length);
                bytes = rest;
                Value::String(std::str::from_utf8(text).ok()?.to_string())
            }
            fixed => {
                let (word, rest) = bytes.split_first_chunk::<8>()?;
                bytes = rest;
                let word = i64::from_le_bytes(*word);
                match fixed {
                    DataType::Int32 => Value::Int32(i32::try_from(word).ok()?),
                    DataType::Int64 => Value::Int64(word),
                    DataType::Bool => Value::Bool(word != 0),
                    DataType::Timestamp => Value::Timestamp(EventTime::from_micros(word)),
                    _ => return None,
                }
            }
        };
        values.push(value);
    }
    bytes.is_empty().then_some(values)
}

/// Longest string a join key may hold, in bytes.
pub const MAX_KEY_STRING_BYTES: usize = 2048;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a join key is null")]
    Null,
    #[error("a join key is a float")]
    Float,
    #[error("a join key is a list or a map")]
    Nested,
    #[error("a join key of {0} bytes is longer than {MAX_KEY_STRING_BYTES}")]
    TooLong(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip() {
        let values = vec![
            Value::Int64(-5),
            Value::String("ab".into()),
            Value::Int32(7),
            Value::String(String::new()),
            Value::Bool(true),
            Value::Timestamp(EventTime::from_micros(12)),
        ];
        let types: Vec<DataType> = values.iter().map(|v| v.data_type().unwrap()).collect();
        let mut bytes = Vec::new();
        encode_key(&values, &mut bytes).unwrap();
        assert_eq!(decode_key(&types, &bytes), Some(values));
        assert_eq!(decode_key(&types, &bytes[..bytes.len() - 1]), None);
        assert_eq!(encode_key(&[Value::Null], &mut Vec::new()), Err(KeyError::Null));
    }
}
