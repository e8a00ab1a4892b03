//! Views by category, naively: each category of a key as a key of its own, then put together.

use std::cmp::Ordering;

use freshet_config::definitions::GroupShape;
use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::view::{CategoryFeature, CategoryPlan};

use super::Key;

/// The features of a key whose events are looked at through `of`.
pub fn features(
    plan: &CategoryPlan,
    key: &Key,
    at: EventTime,
    of: &dyn Fn(&ReferenceEvent) -> ReferenceEvent,
) -> Vec<Value> {
    let mut categories: Vec<(&Value, Vec<ReferenceEvent>)> = Vec::new();
    for (category, event) in key.categories.iter().zip(&key.events) {
        match categories.iter_mut().find(|(known, _)| *known == category) {
            Some((_, events)) => events.push(of(event)),
            None => categories.push((category, vec![of(event)])),
        }
    }
    categories.sort_by(|(a, _), (b, _)| ascending(a, b));
    let members = categories.into_iter();
    let members: Vec<(&Value, Vec<Value>)> = members
        .map(|(category, events)| {
            let features = evaluate(&plan.member, &events, at);
            (category, features.into_iter().map(|(value, _)| value).collect())
        })
        .collect();
    plan.features.iter().map(|feature| together(plan, feature, &members)).collect()
}

fn together(plan: &CategoryPlan, feature: &CategoryFeature, members: &[(&Value, Vec<Value>)]) -> Value {
    let windows = feature.windows.iter().enumerate().map(|(place, window)| {
        let seen = members.iter().filter(|(_, features)| features[plan.rows_of(*window)] != Value::Int64(0));
        let entries = seen.map(|(category, features)| {
            let value = feature.member.map(|first| features[first + place].clone());
            ((*category).clone(), value)
        });
        match plan.shape {
            GroupShape::Map => Value::Map(entries.map(|(key, value)| (key, value.unwrap_or_default())).collect()),
            // The list of the categories themselves has no member.
            GroupShape::Aligned => Value::List(entries.map(|(key, value)| value.unwrap_or(key)).collect()),
        }
    });
    let mut windows: Vec<Value> = windows.collect();
    if feature.series { Value::List(windows) } else { windows.pop().unwrap_or_default() }
}

/// Numbers, instants and truth values by value, text by its bytes.
fn ascending(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int32(a), Value::Int32(b)) => a.cmp(b),
        (Value::Int64(a), Value::Int64(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => Ordering::Equal,
    }
}
