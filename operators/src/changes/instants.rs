//! The instants at which a key's features may change, and the features there.
//!
//! Law: an event counts in a window from the instant it enters to just before the one it leaves at; both follow from
//! the view's own bounds ([`ViewPlan::lower`], [`ViewPlan::upper`]). Between two such instants nothing changes.

use std::ops::Range;
use std::sync::Arc;

use freshet_config::definitions::{Function, Mode};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::Value;

use super::{Change, ChangesPlan, KeyEvents};
use crate::row::{FeatureValue, Fold};
use crate::view::ViewPlan;

/// Whether a function's value is the same when events are added from the newest to the oldest.
pub(super) fn sweeps(function: Function) -> bool {
    Function::SIMPLE.contains(&function)
}

/// First instant at which an event at `time` counts in a window of this offset, in microseconds.
fn enters(plan: &ViewPlan, offset: Span, time: i64) -> i64 {
    let shifted = time.saturating_sub(offset.micros());
    match plan.mode {
        Mode::Continuous | Mode::Sawtooth(_) => shifted,
        Mode::Interval(tile) => after(shifted, tile),
        Mode::Batch { schedule, delay } => after(shifted, schedule).saturating_add(delay.micros()),
    }
}

/// First instant at which it counts in window `w` no more.
fn leaves(plan: &ViewPlan, w: usize, time: i64) -> i64 {
    let window = plan.windows[w];
    let length = window.size.micros().saturating_sub(window.offset.micros());
    let shifted = time.saturating_add(length);
    match plan.mode {
        Mode::Continuous => shifted,
        Mode::Interval(tile) => after(shifted, tile),
        Mode::Batch { schedule, delay } => after(shifted, schedule).saturating_add(delay.micros()),
        Mode::Sawtooth(step) => after(time, step).saturating_add(length),
    }
}

/// The first multiple of `step` after `time`.
fn after(time: i64, step: Span) -> i64 {
    let step = step.micros().max(1);
    time.div_euclid(step).saturating_mul(step).saturating_add(step)
}

/// The first instant at which a view has values.
fn start(plan: &ViewPlan) -> Option<i64> {
    let start = plan.feature_start?.micros();
    let before = start.saturating_sub(1);
    Some(match plan.mode {
        Mode::Continuous | Mode::Sawtooth(_) => start,
        Mode::Interval(tile) => after(before, tile),
        Mode::Batch { schedule, delay } => after(before, schedule).saturating_add(delay.micros()),
    })
}

impl ChangesPlan {
    /// From which instant on an event at `time` makes a difference, and from which it no more does.
    pub fn affects(&self, time: i64) -> Range<i64> {
        let view = &self.view;
        let first = self.carried().map(|w| enters(view, view.windows[w].offset, time)).min();
        let end = self.carried().map(|w| leaves(view, w, time)).max();
        first.unwrap_or(time)..end.unwrap_or(time).saturating_add(1)
    }

    /// The changes of a key in a range of instants, in order.
    pub fn changes(&self, events: &KeyEvents, range: Range<i64>) -> Vec<Change> {
        let range = range.start.max(EventTime::MIN.micros())..range.end.min(EventTime::MAX.micros() + 1);
        let (instants, last_entry) = self.instants(events, &range);
        if instants.is_empty() {
            return Vec::new();
        }
        let mut states = States { plan: self, events, fold: Fold::new(&self.view), values: Vec::new() };
        let falling = match self.sweeps {
            true => instants.partition_point(|at| *at <= last_entry),
            false => instants.len(),
        };
        let mut found: Vec<Option<Arc<[Value]>>> = instants[..falling].iter().map(|at| states.at(*at)).collect();
        found.extend(states.sweep(&instants[falling..]));
        let empty = states.empty();
        let mut before = states.at(range.start.saturating_sub(1));
        let mut changes = Vec::new();
        for (at, state) in instants.into_iter().zip(found) {
            if !same_state(&before, &state) {
                let values = |state: &Option<Arc<[Value]>>| state.clone().unwrap_or_else(|| empty.clone());
                changes.push(Change { at, before: values(&before), after: values(&state) });
                before = state;
            }
        }
        changes
    }

    /// Instants at which an event enters or leaves a window, and the last at which one enters.
    fn instants(&self, events: &KeyEvents, range: &Range<i64>) -> (Vec<i64>, i64) {
        let view = &self.view;
        let mut instants = Vec::new();
        let mut last_entry = i64::MIN;
        let mut add = |at: i64| {
            if range.contains(&at) {
                instants.push(at);
            }
        };
        let start = start(view);
        start.into_iter().for_each(&mut add);
        for time in events.times() {
            for w in self.carried() {
                let enters = enters(view, view.windows[w].offset, time);
                last_entry = last_entry.max(enters);
                add(enters);
                add(leaves(view, w, time));
            }
        }
        instants.sort_unstable();
        instants.dedup();
        (instants, last_entry.max(start.unwrap_or(i64::MIN)))
    }
}

/// Bits, not numbers: a NaN is itself.
pub(super) fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float32(a), Value::Float32(b)) => a.to_bits() == b.to_bits(),
        (Value::Float64(a), Value::Float64(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

fn same_state(a: &Option<Arc<[Value]>>, b: &Option<Arc<[Value]>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.iter().zip(b.iter()).all(|(a, b)| same_value(a, b)),
        _ => false,
    }
}

/// Features of one key at any instant. A state is `None` while no event is in any window.
struct States<'a> {
    plan: &'a ChangesPlan,
    events: &'a KeyEvents,
    fold: Fold,
    values: Vec<FeatureValue>,
}

impl States<'_> {
    fn at(&mut self, at: i64) -> Option<Arc<[Value]>> {
        if self.plan.view.before_start(EventTime::from_micros(at)) {
            return None;
        }
        let members: Vec<(usize, Range<usize>)> = self.plan.carried().map(|w| (w, self.members(w, at))).collect();
        let first = members.iter().map(|(_, m)| m.start).min().unwrap_or(0);
        let end = members.iter().map(|(_, m)| m.end).max().unwrap_or(0);
        self.fold.reset();
        let mut any = false;
        for event in first..end {
            let inside = members.iter().filter(|(_, m)| m.contains(&event));
            let bits = inside.fold(0u64, |bits, (w, _)| bits | 1 << w);
            if bits != 0 {
                any = true;
                self.events.fold(event, &self.plan.view, bits, &mut self.fold);
            }
        }
        any.then(|| self.finish(at))
    }

    /// States at ascending instants after the last entry: each window holds the events from some one on.
    fn sweep(&mut self, instants: &[i64]) -> Vec<Option<Arc<[Value]>>> {
        let count = self.events.len();
        // The oldest event in each window so far.
        let mut oldest: Vec<(usize, usize)> = self.plan.carried().map(|w| (w, count)).collect();
        let mut states = vec![None; instants.len()];
        self.fold.reset();
        let mut any = false;
        for (state, at) in states.iter_mut().zip(instants).rev() {
            for (w, oldest) in &mut oldest {
                let from = self.members(*w, *at).start;
                while *oldest > from {
                    *oldest -= 1;
                    any = true;
                    self.events.fold_older(*oldest, &self.plan.view, *w, &mut self.fold);
                }
            }
            *state = any.then(|| self.finish(*at));
        }
        states
    }

    /// The events that a window holds, by number.
    fn members(&self, w: usize, at: i64) -> Range<usize> {
        let view = &self.plan.view;
        let start = self.events.first_at(view.lower(w, at));
        start..self.events.first_at(view.upper(view.windows[w].offset, at)).max(start)
    }

    fn finish(&mut self, _at: i64) -> Arc<[Value]> {
        self.values.clear();
        self.fold.finish(&self.plan.view, self.events.heap(), &mut self.values);
        let take = |index: &usize| std::mem::replace(&mut self.values[*index].value, Value::Null);
        self.plan.features.iter().map(take).collect()
    }

    fn empty(&mut self) -> Arc<[Value]> {
        self.fold.reset();
        self.finish(0)
    }
}
