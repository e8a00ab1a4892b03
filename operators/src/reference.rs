//! The naive evaluator: every feature from all events, by definition and nothing else.
//!
//! It is the oracle of the engine's tests, so it shares no code with the accumulators, keeps no state and saves no
//! work. Sums are exact integers of any size; each result is rounded where the definition says, and only there:
//!
//! ```text
//! sum          S rounded once to the nearest double, ties to even (then to float32 for a float32 column);
//!              for integers exact, and an error where it does not fit the column's type
//! mean         (S rounded once) / n
//! var_pop      N / (n * n)        with N = n * Q - S^2, exact, rounded once; Q the sum of squares
//! var_samp     N / (n * (n - 1))
//! stddev_*     square root of var_*
//! decayed_sum  in doubles, term by term: the engine's error bound is relative to the sum of absolute terms
//! ```
//!
//! A float result that is not finite is an error. A series is an error when one of its windows is.

mod exact;
mod functions;

use freshet_config::definitions::{Function, Mode, Window};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{DataType, Value};

use crate::view::{FeaturePlan, ViewPlan};
use exact::Sums;

/// One event of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceEvent {
    pub time: EventTime,
    /// Orders events of equal time.
    pub position: u64,
    /// One per column of the plan; null when the event has none or the column's filter leaves it out.
    pub values: Vec<Value>,
}

/// The features of one key at instant `at`, in the plan's order; the flag marks a value that cannot be given (and is
/// null then). `events` are all events of the key, in any order.
pub fn evaluate(plan: &ViewPlan, events: &[ReferenceEvent], at: EventTime) -> Vec<(Value, bool)> {
    let born = |event: &ReferenceEvent| plan.lifetime_start.is_none_or(|start| event.time >= start);
    let fresh = |window: Window| events.iter().any(|event| born(event) && counts(plan.mode, window, event.time, at));
    if plan.expiry.is_some_and(|window| plan.windows.get(window).is_some_and(|window| !fresh(*window))) {
        return vec![(Value::Null, false); plan.features.len()];
    }
    plan.features.iter().map(|feature| evaluate_feature(plan, feature, events, at)).collect()
}

fn evaluate_feature(plan: &ViewPlan, feature: &FeaturePlan, events: &[ReferenceEvent], at: EventTime) -> (Value, bool) {
    if feature.series.is_empty() {
        return evaluate_window(plan, feature, feature.window, events, at);
    }
    let windows = feature.series.iter();
    let elements: Vec<(Value, bool)> = windows.map(|w| evaluate_window(plan, feature, *w, events, at)).collect();
    if elements.iter().any(|(_, error)| *error) {
        return (Value::Null, true);
    }
    (Value::List(elements.into_iter().map(|(value, _)| value).collect()), false)
}

fn evaluate_window(
    plan: &ViewPlan,
    feature: &FeaturePlan,
    window: usize,
    events: &[ReferenceEvent],
    at: EventTime,
) -> (Value, bool) {
    let Some(window) = plan.windows.get(window) else { return (Value::Null, true) };
    let born = |event: &ReferenceEvent| plan.lifetime_start.is_none_or(|start| event.time >= start);
    let mut counted: Vec<&ReferenceEvent> =
        events.iter().filter(|event| born(event) && counts(plan.mode, *window, event.time, at)).collect();
    counted.sort_by_key(|event| (event.time, event.position));
    let Some(column) = feature.column else {
        return (Value::Int64(counted.len() as i64), false);
    };
    let Some(data_type) = plan.columns.get(column).map(|column| column.data_type) else { return (Value::Null, true) };
    if !Function::SIMPLE.contains(&feature.function) {
        return functions::evaluate(plan, feature, column, &counted, plan.effective_time(at));
    }
    let values: Vec<Value> = counted
        .iter()
        .filter_map(|event| event.values.get(column))
        .filter(|value| !value.is_null())
        .map(one_zero)
        .collect();
    aggregate(feature.function, data_type, &values)
}

/// Whether an event at `time` counts for `window` at instant `at`.
///
/// Continuous: `(at - size + offset, at + offset]`. Interval: `[t - size + offset, t + offset)` with `t` the start of
/// the tile that `at` lies in. Batch: the same with `t` the last scheduled instant that `at` lies a delay behind. Sawtooth:
/// `[t, at + offset]` with `t` the last step at or before `at - size + offset`.
fn counts(mode: Mode, window: Window, time: EventTime, at: EventTime) -> bool {
    // In 128 bits no sum of an instant and spans can overflow.
    let (time, at) = (i128::from(time.micros()), i128::from(at.micros()));
    let (size, offset) = (i128::from(window.size.micros()), i128::from(window.offset.micros()));
    let floor = |at: i128, step: Span| {
        let step = i128::from(step.micros()).max(1);
        at.div_euclid(step) * step
    };
    match mode {
        Mode::Continuous => at - size + offset < time && time <= at + offset,
        Mode::Sawtooth(step) => floor(at - size + offset, step) <= time && time <= at + offset,
        Mode::Batch { schedule, delay } => {
            let start = floor(at - i128::from(delay.micros()), schedule);
            start - size + offset <= time && time < start + offset
        }
        Mode::Interval(tile) => {
            let start = floor(at, tile);
            start - size + offset <= time && time < start + offset
        }
    }
}

/// Minus zero counts as zero.
fn one_zero(value: &Value) -> Value {
    match value {
        Value::Float32(0.0) => Value::Float32(0.0),
        Value::Float64(0.0) => Value::Float64(0.0),
        other => other.clone(),
    }
}

/// `values` are in the order of (time, position) and not null.
fn aggregate(function: Function, data_type: DataType, values: &[Value]) -> (Value, bool) {
    let n = values.len();
    if function == Function::Count {
        return (Value::Int64(n as i64), false);
    }
    if n == 0 {
        return (Value::Null, false);
    }
    match function {
        Function::Count => (Value::Int64(n as i64), false),
        Function::Last => given(values.last().cloned()),
        Function::Min => given(values.iter().min_by(|a, b| compare(a, b)).cloned()),
        Function::Max => given(values.iter().max_by(|a, b| compare(a, b)).cloned()),
        Function::Sum | Function::Mean => match Sums::of(values) {
            Some(sums) if function == Function::Sum => given(sum(&sums, data_type)),
            Some(sums) => finite(sums.sum_rounded() / n as f64),
            None => (Value::Null, true),
        },
        Function::VarPop | Function::VarSamp | Function::StddevPop | Function::StddevSamp => {
            let sample = matches!(function, Function::VarSamp | Function::StddevSamp);
            if sample && n == 1 {
                return (Value::Null, false);
            }
            let Some(sums) = Sums::of(values) else { return (Value::Null, true) };
            let divisor = if sample { n as f64 * (n - 1) as f64 } else { n as f64 * n as f64 };
            let variance = sums.spread_rounded() / divisor;
            let root = matches!(function, Function::StddevPop | Function::StddevSamp);
            finite(if root { variance.sqrt() } else { variance })
        }
        // The others are evaluated in `functions`.
        _ => (Value::Null, true),
    }
}

fn given(value: Option<Value>) -> (Value, bool) {
    match value {
        Some(value) => (value, false),
        None => (Value::Null, true),
    }
}

fn finite(value: f64) -> (Value, bool) {
    given(value.is_finite().then_some(Value::Float64(value)))
}

/// `None` where the sum cannot be given in the column's type.
fn sum(sums: &Sums, data_type: DataType) -> Option<Value> {
    match data_type {
        DataType::Int32 => i32::try_from(sums.integer_sum()?).ok().map(Value::Int32),
        DataType::Int64 => i64::try_from(sums.integer_sum()?).ok().map(Value::Int64),
        DataType::Float32 => Some(sums.sum_rounded() as f32).filter(|sum| sum.is_finite()).map(Value::Float32),
        DataType::Float64 => Some(sums.sum_rounded()).filter(|sum| sum.is_finite()).map(Value::Float64),
        DataType::String | DataType::Bool | DataType::Timestamp => None,
    }
}

/// Numbers and instants by value, false before true, strings by their bytes. Values of one column have one type.
fn compare(left: &Value, right: &Value) -> std::cmp::Ordering {
    match (left, right) {
        (Value::Int32(a), Value::Int32(b)) => a.cmp(b),
        (Value::Int64(a), Value::Int64(b)) => a.cmp(b),
        (Value::Float32(a), Value::Float32(b)) => a.total_cmp(b),
        (Value::Float64(a), Value::Float64(b)) => a.total_cmp(b),
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    }
}

#[cfg(test)]
mod tests;
