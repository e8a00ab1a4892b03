//! The naive evaluator: every feature from all events, by definition and nothing else.
//!
//! It is the oracle of the engine's tests, so it shares no code with the accumulators, keeps no state and saves no
//! work: it says which events count, and asks each function for its naive form. A series is an error when one of its
//! windows is.

use std::cmp::Ordering;

use freshet_config::definitions::{Mode, Window};
use freshet_config::function::{Plain, PlainEvent, SummaryKind};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{DataType, Value};

use crate::view::{FeaturePlan, ViewPlan};

/// One event of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceEvent {
    pub time: EventTime,
    /// Orders events of equal time; those of one position are ordered by what they hold.
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
    counted.sort_by(|a, b| (a.time, a.position).cmp(&(b.time, b.position)).then_with(|| tied(plan, a, b)));
    let Some(column) = feature.column else {
        return (Value::Int64(counted.len() as i64), false);
    };
    let Some(kept) = plan.columns.get(column) else { return (Value::Null, true) };
    let order = match feature.summary.and_then(|s| plan.summaries.get(s)).map(|s| &s.kind) {
        Some(SummaryKind::By { order, .. }) => Some(*order),
        _ => None,
    };
    let of = |event: &ReferenceEvent, column| event.values.get(column).map_or(Value::Null, one_zero);
    let plainly = |event: &&ReferenceEvent| PlainEvent {
        time: event.time,
        value: of(event, column),
        order: order.map_or(Value::Null, |order| of(event, order)),
    };
    let plain = Plain {
        data_type: kept.sketch.map_or(kept.data_type, |sketch| sketch.input),
        events: counted.iter().map(plainly).collect(),
        end: plan.effective_time(at),
    };
    match feature.function.naive(&plain) {
        Ok(value) => (value, false),
        Err(_) => (Value::Null, true),
    }
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

/// How events of one time and position are ordered: by what the view keeps of them, column by column. Where texts are kept
/// those with fewer columns that are null come first, else a null counts as a word of zeros.
fn tied(plan: &ViewPlan, a: &ReferenceEvent, b: &ReferenceEvent) -> Ordering {
    let nulls = |event: &ReferenceEvent| -> u64 {
        let is_null = |c: &usize| event.values.get(*c).is_none_or(|value| *value == Value::Null);
        (0..plan.columns.len()).filter(is_null).map(|c| 1 << c).sum()
    };
    let kept: Vec<usize> = (0..plan.columns.len()).filter(|c| plan.columns[*c].stored).collect();
    let by_nulls = nulls(a).cmp(&nulls(b));
    if kept.iter().any(|c| plan.columns[*c].data_type == DataType::String) {
        let by_column = kept.iter().map(|c| match (&a.values[*c], &b.values[*c]) {
            (Value::String(a), Value::String(b)) if plan.columns[*c].sketch.is_none() => a.as_bytes().cmp(b.as_bytes()),
            (a, b) => word(plan, *c, a).cmp(&word(plan, *c, b)),
        });
        return by_nulls.then_with(|| by_column.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal));
    }
    let words =
        |event: &ReferenceEvent| -> Vec<u64> { kept.iter().map(|c| word(plan, *c, &event.values[*c])).collect() };
    let by_words = words(a).cmp(&words(b));
    if plan.columns.len() > COLUMNS_WITH_FLAGS { by_nulls.then(by_words) } else { by_words.then(by_nulls) }
}

/// Of more columns than these the marks of nulls come before the values.
const COLUMNS_WITH_FLAGS: usize = 10;

/// What ties are compared by, as an unsigned number; 0 of null.
fn word(plan: &ViewPlan, column: usize, value: &Value) -> u64 {
    let word = match one_zero(value) {
        Value::Int32(value) => i64::from(value) as u64,
        Value::Int64(value) => value as u64,
        Value::Float32(value) => f64::from(value).to_bits(),
        Value::Float64(value) => value.to_bits(),
        Value::Bool(value) => u64::from(value),
        Value::Timestamp(value) => value.micros() as u64,
        Value::String(text) => {
            return plan.columns[column].sketch.map_or(0, |sketch| sketch.of_text(text.as_bytes()));
        }
        _ => return 0,
    };
    plan.columns[column].sketch.map_or(word, |sketch| sketch.word(word, &[]))
}

/// Minus zero counts as zero.
fn one_zero(value: &Value) -> Value {
    match value {
        Value::Float32(0.0) => Value::Float32(0.0),
        Value::Float64(0.0) => Value::Float64(0.0),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
