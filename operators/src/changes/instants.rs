//! The instants at which a key's features may change, and the features there.
//!
//! Law: an event counts in a window from the instant it enters to just before the one it leaves at; both follow from
//! the view's own bounds ([`ViewPlan::lower`], [`ViewPlan::upper`]). Between two such instants nothing changes.

use std::ops::Range;
use std::sync::Arc;

use freshet_config::definitions::Mode;
use freshet_config::time::EventTime;
use freshet_config::value::Value;

use super::sweep::Sweep;
use super::{Change, ChangesPlan, KeyEvents};
use crate::row::{FeatureValue, Fold};
use crate::view::{ViewPlan, after};

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
        let first = self.watched().map(|w| view.enters(view.windows[w].offset, time)).min();
        let end = self.watched().map(|w| view.leaves(w, time)).max();
        first.unwrap_or(time)..end.unwrap_or(time).saturating_add(1)
    }

    /// The changes of a key in a range of instants, in order.
    pub fn changes(&self, events: &KeyEvents, range: Range<i64>) -> Vec<Change> {
        let range = range.start.max(EventTime::MIN.micros())..range.end.min(EventTime::MAX.micros() + 1);
        let instants = self.instants(events, &range);
        if instants.is_empty() {
            return Vec::new();
        }
        let mut states = States { plan: self, events, fold: Fold::new(&self.view), values: Vec::new() };
        let all = std::iter::once(range.start.saturating_sub(1)).chain(instants.iter().copied());
        let found: Vec<State> = match self.sweeps {
            true => states.sweep(all),
            false => all.map(|at| states.at(at)).collect(),
        };
        let empty = states.empty();
        let values: Vec<Arc<[Value]>> = found.into_iter().map(|state| state.unwrap_or_else(|| empty.clone())).collect();
        let pairs = instants.into_iter().zip(values.windows(2)).filter(|(_, pair)| !same_values(&pair[0], &pair[1]));
        pairs.map(|(at, pair)| Change { at, before: pair[0].clone(), after: pair[1].clone() }).collect()
    }

    /// Instants at which an event enters or leaves a window.
    fn instants(&self, events: &KeyEvents, range: &Range<i64>) -> Vec<i64> {
        let view = &self.view;
        let entries = |w: usize| {
            let window = view.windows[w];
            events.times().flat_map(move |time| [view.enters(window.offset, time), view.leaves(w, time)])
        };
        let all = start(view).into_iter().chain(self.watched().flat_map(entries));
        let mut instants: Vec<i64> = all.filter(|at| range.contains(at)).collect();
        instants.sort_unstable();
        instants.dedup();
        instants
    }
}

/// A key's features, in the order of the plan; `None` while no event is in any of the windows that decide them.
type State = Option<Arc<[Value]>>;

/// Bits, not numbers: a NaN is itself.
fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float32(a), Value::Float32(b)) => a.to_bits() == b.to_bits(),
        (Value::Float64(a), Value::Float64(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

pub(super) fn same_values(a: &[Value], b: &[Value]) -> bool {
    a.iter().zip(b).all(|(a, b)| same_value(a, b))
}

/// The states of one key.
struct States<'a> {
    plan: &'a ChangesPlan,
    events: &'a KeyEvents,
    fold: Fold,
    values: Vec<FeatureValue>,
}

impl States<'_> {
    /// From all events inside.
    fn at(&mut self, at: i64) -> State {
        if self.plan.view.before_start(EventTime::from_micros(at)) {
            return None;
        }
        let members: Vec<(usize, Range<usize>)> = self.plan.watched().map(|w| (w, self.members(w, at))).collect();
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

    /// At ascending instants, each from the one before it.
    fn sweep(&mut self, instants: impl Iterator<Item = i64>) -> Vec<State> {
        let view = &self.plan.view;
        let mut sweeps: Vec<(usize, Sweep)> = Vec::new();
        let step = |at: i64| {
            if sweeps.is_empty() {
                sweeps = self.plan.watched().map(|w| (w, Sweep::new(view, w, self.members(w, at).start))).collect();
            }
            for (w, sweep) in &mut sweeps {
                let inside = self.members(*w, at);
                sweep.move_to(view, self.events, inside, &mut self.fold);
            }
            let live = sweeps.iter().any(|(_, sweep)| !sweep.is_empty());
            (live && !view.before_start(EventTime::from_micros(at))).then(|| self.finish(at))
        };
        instants.map(step).collect()
    }

    /// The events that a window holds, by number.
    fn members(&self, w: usize, at: i64) -> Range<usize> {
        let view = &self.plan.view;
        let start = self.events.first_at(view.lower(w, at));
        start..self.events.first_at(view.upper(view.windows[w].offset, at)).max(start)
    }

    fn finish(&mut self, at: i64) -> Arc<[Value]> {
        self.values.clear();
        self.fold.finish(&self.plan.view, EventTime::from_micros(at), self.events.heap(), &mut self.values);
        self.values.drain(..).map(|found| found.value).collect()
    }

    fn empty(&mut self) -> Arc<[Value]> {
        self.fold.reset();
        self.finish(0)
    }
}
