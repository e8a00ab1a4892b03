//! The changes of a view, naively: its features at every instant at which they may become others, and just before.

use std::collections::BTreeSet;

use freshet_config::definitions::Mode;
use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_operators::batch::hash_key;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::view::ViewPlan;

use super::super::generate::Event;
use super::features::same;
use super::{Key, Keyed};

/// The changes of all keys of `view`, whose features are those that changes hold.
pub fn changes(view: &ViewPlan, keyed: &Keyed) -> Vec<Event> {
    let empty = values(view, &[], EventTime::from_micros(0));
    let mut changes = Vec::new();
    for key in &keyed.keys {
        for at in instants(view, &key.events) {
            let (before, after) = (state(view, key, at - 1), state(view, key, at));
            let (before, after) = (before.as_ref().unwrap_or(&empty), after.as_ref().unwrap_or(&empty));
            if before.iter().zip(after).all(|(before, after)| same(before, after)) {
                continue;
            }
            let mut cells = vec![Value::Timestamp(EventTime::from_micros(at))];
            cells.extend(key.values.iter().cloned());
            cells.extend(after.iter().chain(before).cloned());
            // Keys order the changes of one instant, by a hash.
            changes.push(Event::derived(cells, hash_key(&key.encoded)));
        }
    }
    changes
}

/// The features of a key; `None` before the view has any.
fn state(view: &ViewPlan, key: &Key, at: i64) -> Option<Vec<Value>> {
    let at = EventTime::from_micros(at);
    (!view.before_start(at)).then(|| values(view, &key.events, at))
}

fn values(view: &ViewPlan, events: &[ReferenceEvent], at: EventTime) -> Vec<Value> {
    evaluate(view, events, at).into_iter().map(|(value, _)| value).collect()
}

/// Instants at which features may change, in microseconds, and others: of every event and window those at which it may
/// enter or leave, whatever the mode, and where values begin.
fn instants(view: &ViewPlan, events: &[ReferenceEvent]) -> BTreeSet<i64> {
    let (step, delay) = match view.mode {
        Mode::Continuous => (1, 0),
        Mode::Interval(step) | Mode::Sawtooth(step) => (step.micros(), 0),
        Mode::Batch { schedule, delay } => (schedule.micros(), delay.micros()),
    };
    let next = |at: i64| at.div_euclid(step).saturating_add(1).saturating_mul(step);
    let near = |at: i64| [at, next(at).saturating_add(delay), next(at.saturating_sub(1)).saturating_add(delay)];
    let mut instants: Vec<i64> = view.feature_start.iter().flat_map(|start| near(start.micros())).collect();
    for event in events {
        let time = event.time.micros();
        for window in &view.windows {
            let (size, offset) = (window.size.micros(), window.offset.micros());
            let entered = time.saturating_sub(offset);
            instants.extend(near(entered));
            instants.extend(near(entered.saturating_add(size)));
            instants.push(next(time).saturating_sub(offset).saturating_add(size));
        }
    }
    instants.into_iter().filter(|at| EventTime::from_micros(*at).in_range()).collect()
}
