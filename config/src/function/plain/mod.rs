//! The events of a window as they are, which the naive form of a function looks at.
//!
//! Law: nothing here is shared with formulas, nor with what keeps and reads for them: what is said twice is checked.

mod exact;

use std::cmp::Ordering;

use super::{Outcome, Refusal};
use crate::time::EventTime;
use crate::value::{DataType, Value};
pub(super) use exact::{Sums, times_power_of_two};

/// The events that count in one window of one key.
#[derive(Clone, Debug)]
pub struct Plain {
    /// The column's type.
    pub data_type: DataType,
    /// In canonical order.
    pub events: Vec<PlainEvent>,
    /// The reference instant.
    pub end: EventTime,
}

#[derive(Clone, Debug)]
pub struct PlainEvent {
    pub time: EventTime,
    /// Perhaps null. Zero has one sign.
    pub value: Value,
    /// What rows are compared by; null of functions that do not compare.
    pub order: Value,
}

impl Plain {
    /// The values that are not null, in canonical order.
    pub(super) fn values(&self) -> Vec<Value> {
        self.events.iter().map(|event| event.value.clone()).filter(|value| !value.is_null()).collect()
    }

    /// Their exact sums.
    pub(super) fn sums(&self) -> Result<Sums, Refusal> {
        Sums::of(&self.values()).ok_or(Refusal::NotFinite(self.data_type))
    }

    /// Distinct values, ascending, and how often each occurs; unless there are more than `limit`.
    pub(super) fn counts(&self, limit: u32) -> Result<Vec<(Value, i64)>, Refusal> {
        let mut counts: Vec<(Value, i64)> = Vec::new();
        for value in self.values() {
            match counts.iter_mut().find(|(known, _)| *known == value) {
                Some((_, count)) => *count += 1,
                None => counts.push((value, 1)),
            }
        }
        counts.sort_by(|(a, _), (b, _)| compare(a, b));
        if counts.len() > limit as usize { Err(Refusal::TooManyValues { limit }) } else { Ok(counts) }
    }
}

/// A finite double.
pub(super) fn double(value: f64) -> Outcome {
    match value.is_finite() {
        true => Ok(Value::Float64(value)),
        false => Err(Refusal::NotFinite(DataType::Float64)),
    }
}

/// A number as the nearest double.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int32(v) => Some(f64::from(*v)),
        Value::Int64(v) => Some(*v as f64),
        Value::Float32(v) => Some(f64::from(*v)),
        Value::Float64(v) => Some(*v),
        _ => None,
    }
}

/// Numbers and instants by value, false before true, strings by their bytes. Values of one column have one type.
pub(super) fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Int32(a), Value::Int32(b)) => a.cmp(b),
        (Value::Int64(a), Value::Int64(b)) => a.cmp(b),
        (Value::Float32(a), Value::Float32(b)) => a.total_cmp(b),
        (Value::Float64(a), Value::Float64(b)) => a.total_cmp(b),
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}
