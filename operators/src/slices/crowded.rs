//! Keys with more categories than a window may see.
//!
//! Law: whoever reads a row counts the categories that a window sees, so a row holds those that some window may see from
//! now on, as far as it matters. It does not while a window certainly has too many: while more than are allowed had their
//! newest slice in it, or more than are kept had theirs at its beginning or later. Of a category with slices behind a
//! window nothing is certain, for what is known here of its other slices is nothing.

use std::collections::BTreeSet;

use super::members::Members;
use crate::row::categories::put_crowded_head;
use crate::row::codec::RowBuffer;
use crate::view::CategoryPlan;

/// How often a key is looked at again of which categories enter a window.
const LOOK_US: i64 = 1_000_000;

/// Which windows have too many categories of a key with more than one may see.
pub(super) struct Crowded {
    /// Per window the last instant at which it certainly has too many, nothing else happening.
    until: Vec<Option<i64>>,
    /// When it is another window, at the earliest.
    changes_at: Option<i64>,
    /// What is seen where there are not certainly too many has its newest slice from here on.
    since: i64,
}

impl Crowded {
    /// `None` of a key with as many as any window may see.
    pub fn of(members: &Members, plan: &CategoryPlan, clock: i64) -> Option<Crowded> {
        if members.len() <= plan.limit {
            return None;
        }
        let view = &plan.member;
        let mut newest: Vec<i64> = members.newest().collect();
        let bound_of_kept = nth_newest(&mut newest, plan.most_kept);
        let (mut until, mut changes_at, mut since) = (Vec::with_capacity(view.windows.len()), None::<i64>, i64::MAX);
        let mut seen = Vec::with_capacity(newest.len());
        for (w, window) in view.windows.iter().enumerate() {
            let (lower, upper) = (view.lower(w, clock), view.upper(window.offset, clock));
            seen.clear();
            seen.extend(newest.iter().copied().filter(|newest| (lower..upper).contains(newest)));
            // As many as are allowed have newer slices.
            let bounds = [nth_newest(&mut seen, plan.limit), bound_of_kept];
            let leaves = bounds.into_iter().flatten().map(|bound| view.leaves(w, bound)).max();
            let last = leaves.filter(|leaves| *leaves > clock).map(|leaves| leaves - 1);
            let change = match last {
                Some(last) => last.checked_add(1),
                None => entering(members, plan, w, clock),
            };
            changes_at = changes_at.into_iter().chain(change).min();
            since = since.min(last.map_or(lower, |last| view.lower(w, last.saturating_add(1))));
            until.push(last);
        }
        Some(Crowded { until, changes_at, since })
    }

    pub fn is_any(&self) -> bool {
        self.until.iter().any(Option::is_some)
    }

    pub fn write(&self, members: &Members, tag: u32, clock: i64, row: &mut RowBuffer) {
        let count = members.newest().filter(|newest| *newest >= self.since).count();
        put_crowded_head(row, tag, clock, &self.until, count);
        members.write_since(self.since, row);
    }
}

/// The one of which `n` are newer or as new.
fn nth_newest(times: &mut [i64], n: usize) -> Option<i64> {
    (times.len() > n).then(|| *times.select_nth_unstable_by(n, |a, b| b.cmp(a)).1)
}

/// When to look whether a window has too many, where it may come to have them.
fn entering(members: &Members, plan: &CategoryPlan, w: usize, clock: i64) -> Option<i64> {
    let view = &plan.member;
    let lower = view.lower(w, clock);
    if members.newest().filter(|newest| *newest >= lower).count() <= plan.limit {
        return None;
    }
    let enters = members.newest().map(|newest| view.enters(view.windows[w].offset, newest));
    enters.filter(|at| *at > clock).min().map(|at| at.max(clock.saturating_add(LOOK_US)))
}

/// Keys with too many categories in some window, and those that may come to have them.
#[derive(Default)]
pub(super) struct CrowdedKeys {
    over: u64,
    /// When to look at a key again, and its place.
    due: BTreeSet<(i64, u32)>,
}

/// What [`CrowdedKeys`] knows of a key.
#[derive(Clone, Copy, Default)]
pub(super) struct Watched {
    is_over: bool,
    due: Option<i64>,
}

impl CrowdedKeys {
    /// How many have too many.
    pub fn count(&self) -> u64 {
        self.over
    }

    /// Notes what is known of a key now; `None`: it has few.
    pub fn note(&mut self, place: u32, watched: &mut Watched, crowded: Option<&Crowded>) {
        let now = crowded
            .map_or(Watched::default(), |crowded| Watched { is_over: crowded.is_any(), due: crowded.changes_at });
        let before = std::mem::replace(watched, now);
        if let Some(due) = before.due {
            self.due.remove(&(due, place));
        }
        if let Some(due) = now.due {
            self.due.insert((due, place));
        }
        self.over = self.over + u64::from(now.is_over) - u64::from(before.is_over);
    }

    /// Takes a key that is to be looked at again.
    pub fn take_due(&mut self, clock: i64) -> Option<u32> {
        self.due.first().is_some_and(|(due, _)| *due <= clock).then(|| self.due.pop_first())?.map(|(_, place)| place)
    }
}
