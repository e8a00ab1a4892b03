//! Functions that look at values one by one, by definition.

use std::cmp::Ordering;

use freshet_config::definitions::Function;
use freshet_config::time::{EventTime, Span};
use freshet_config::value::Value;
use sha2::{Digest, Sha256};

use super::{ReferenceEvent, compare, one_zero};
use crate::summary::SummaryKind;
use crate::view::{FeaturePlan, ViewPlan};

/// `counted` are the events of the window, in order; `end` is the reference instant.
pub(super) fn evaluate(
    plan: &ViewPlan,
    feature: &FeaturePlan,
    column: usize,
    counted: &[&ReferenceEvent],
    end: EventTime,
) -> (Value, bool) {
    let of = |event: &&ReferenceEvent, column: usize| event.values.get(column).map_or(Value::Null, one_zero);
    let all: Vec<(EventTime, Value)> = counted.iter().map(|event| (event.time, of(event, column))).collect();
    let known: Vec<(EventTime, Value)> = all.iter().filter(|(_, value)| !value.is_null()).cloned().collect();
    let values: Vec<Value> = known.iter().map(|(_, value)| value.clone()).collect();
    let ordered_by = || match feature.summary.and_then(|s| plan.summaries.get(s)).map(|s| &s.kind) {
        Some(SummaryKind::By { order, .. }) => {
            let rows = counted.iter().map(|event| (of(event, *order), of(event, column)));
            rows.filter(|(order, value)| !order.is_null() && !value.is_null()).collect()
        }
        _ => Vec::new(),
    };
    let value = match feature.function {
        Function::FirstN(n) => Value::List(values.into_iter().take(usize::from(n)).collect()),
        Function::LastN(n) => {
            let skipped = values.len().saturating_sub(usize::from(n));
            Value::List(values.into_iter().skip(skipped).collect())
        }
        Function::FirstDistinct(n) => Value::List(distinct(values.into_iter(), usize::from(n))),
        Function::LastDistinct(n) => {
            let mut newest_first = distinct(values.into_iter().rev(), usize::from(n));
            newest_first.reverse();
            Value::List(newest_first)
        }
        Function::CountDistinct { limit } => {
            let counts = counts(&values);
            if counts.len() > limit as usize {
                return (Value::Null, true);
            }
            Value::Int64(counts.len() as i64)
        }
        Function::Histogram { limit } => {
            let counts = counts(&values);
            if counts.len() > limit as usize {
                return (Value::Null, true);
            }
            map(counts)
        }
        Function::TopK { k, limit } => {
            let mut counts = counts(&values);
            if counts.len() > limit as usize {
                return (Value::Null, true);
            }
            counts.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| compare(a, b)));
            counts.truncate(usize::from(k));
            map(counts)
        }
        Function::ApproxCountDistinct { precision } => Value::Int64(approximately(&values, precision)),
        Function::ApproxPercentile { percentile, .. } => {
            let mut numbers: Vec<f64> = values.iter().filter_map(number).collect();
            numbers.sort_by(f64::total_cmp);
            let place = (percentile.get() * numbers.len() as f64).floor() as usize;
            match numbers.get(place.min(numbers.len().saturating_sub(1))) {
                Some(value) => return (Value::Float64(*value), false),
                None => Value::Null,
            }
        }
        Function::DecayedSum { half_life } => {
            if known.is_empty() {
                return (Value::Null, false);
            }
            let sum: f64 = known.iter().map(|(time, value)| decayed(*time, value, half_life, end)).sum();
            return if sum.is_finite() { (Value::Float64(sum), false) } else { (Value::Null, true) };
        }
        Function::MinBy => chosen(ordered_by(), Ordering::Less),
        Function::MaxBy => chosen(ordered_by(), Ordering::Greater),
        Function::Latest => all.last().map_or(Value::Null, |(_, value)| value.clone()),
        _ => return (Value::Null, true),
    };
    (value, false)
}

fn distinct(values: impl Iterator<Item = Value>, n: usize) -> Vec<Value> {
    let mut seen: Vec<Value> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen.truncate(n);
    seen
}

/// Distinct values, ascending, and how often each occurs.
fn counts(values: &[Value]) -> Vec<(Value, i64)> {
    let mut counts: Vec<(Value, i64)> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|(known, _)| known == value) {
            Some((_, count)) => *count += 1,
            None => counts.push((value.clone(), 1)),
        }
    }
    counts.sort_by(|(a, _), (b, _)| compare(a, b));
    counts
}

fn map(counts: Vec<(Value, i64)>) -> Value {
    Value::Map(counts.into_iter().map(|(value, count)| (value, Value::Int64(count))).collect())
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int32(v) => Some(f64::from(*v)),
        Value::Int64(v) => Some(*v as f64),
        Value::Float32(v) => Some(f64::from(*v)),
        Value::Float64(v) => Some(*v),
        _ => None,
    }
}

fn decayed(time: EventTime, value: &Value, half_life: Span, end: EventTime) -> f64 {
    let age = end.micros() - time.micros();
    let (whole, rest) = (age.div_euclid(half_life.micros()), age.rem_euclid(half_life.micros()));
    let part = rest as f64 / half_life.micros() as f64;
    // In two steps: the power alone may leave the doubles where the product does not.
    let half = (-(whole as f64) / 2.0).floor();
    number(value).unwrap_or(f64::NAN) * (-part).exp2() * half.exp2() * (-(whole as f64) - half).exp2()
}

/// The value of the newest row whose order is better than or equal to all others'.
fn chosen(rows: Vec<(Value, Value)>, better: Ordering) -> Value {
    let mut best: Option<(Value, Value)> = None;
    for (order, value) in rows {
        let wins = best.as_ref().is_none_or(|(known, _)| {
            let compared = compare(&order, known);
            compared == better || compared == Ordering::Equal
        });
        if wins {
            best = Some((order, value));
        }
    }
    best.map_or(Value::Null, |(_, value)| value)
}

/// HyperLogLog, bit by bit.
fn approximately(values: &[Value], precision: u8) -> i64 {
    let p = usize::from(precision);
    let mut registers = vec![0u32; 1 << p];
    for value in values {
        let digest = match value {
            Value::String(text) => Sha256::digest(text.as_bytes()),
            Value::Int32(v) => Sha256::digest(i64::from(*v).to_be_bytes()),
            Value::Int64(v) => Sha256::digest(v.to_be_bytes()),
            _ => continue,
        };
        let bits: Vec<usize> =
            digest.iter().take(8).flat_map(|byte| (0..8).rev().map(move |b| usize::from(byte >> b & 1))).collect();
        let index = bits[..p].iter().fold(0, |index, bit| 2 * index + bit);
        let zeros = bits[p..].iter().take_while(|bit| **bit == 0).count();
        registers[index] = registers[index].max(1 + zeros as u32);
    }
    let m = registers.len() as f64;
    let alpha = match p {
        4 => 0.673,
        5 => 0.697,
        6 => 0.709,
        _ => 0.7213 / (1.0 + 1.079 / m),
    };
    let harmonic: f64 = registers.iter().map(|r| 1.0 / 2f64.powi(*r as i32)).sum();
    let estimate = alpha * m * m / harmonic;
    let empty = registers.iter().filter(|r| **r == 0).count() as f64;
    let counted = if estimate <= 2.5 * m && empty > 0.0 { m * (m / empty).ln() } else { estimate };
    counted.round() as i64
}
