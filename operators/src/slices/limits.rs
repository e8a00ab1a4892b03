//! Which keys have a feature that is over its limit of distinct values, as of their last rows.
//!
//! Law: a key counts while the values of some window are more than a function of it may tell apart. Rows of dense keys say
//! so when they are written, and are written anew before they end. A key with few slices may stay without a row for ever:
//! it is looked at again whenever a slice enters or leaves such a window.

use std::collections::BTreeSet;
use std::ops::Range;

use freshet_config::function::{Keeps, SummaryKind};
use freshet_config::value::DataType;
use hashbrown::HashMap;

use super::layout::{Layout, time_of};
use super::parts::Parts;
use super::sparse::DENSE;
use super::store::ViewStore;
use crate::view::{ViewPlan, key_prefix};

/// The smallest limit of the functions that count the values of one column in one window.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueLimit {
    pub column: usize,
    pub window: usize,
    /// Its place in [`Layout::window_parts`].
    pub part: usize,
    pub most: usize,
}

impl ValueLimit {
    pub fn of_plan(plan: &ViewPlan, parts: &Parts) -> Vec<ValueLimit> {
        let mut limits: Vec<ValueLimit> = Vec::new();
        for feature in &plan.features {
            let Keeps::Summary(SummaryKind::Tally { limit, .. }) = feature.function.keeps() else { continue };
            let Some(summary) = feature.summary else { continue };
            let windows =
                if feature.series.is_empty() { std::slice::from_ref(&feature.window) } else { &feature.series[..] };
            for window in windows {
                let is_its = |part: &super::parts::Part| (part.summary, part.of) == (summary, *window);
                let Some(part) = parts.windows.iter().position(is_its) else { continue };
                match limits.iter_mut().find(|known| known.part == part) {
                    Some(known) => known.most = known.most.min(limit),
                    None => limits.push(ValueLimit {
                        column: plan.summaries[summary].column,
                        window: *window,
                        part,
                        most: limit,
                    }),
                }
            }
        }
        limits
    }
}

/// Keys that are over a limit, and those that may come to be without any event.
#[derive(Default)]
pub(super) struct OverLimit {
    slots: HashMap<u32, Watched>,
    /// When to look at a key again, and its slot.
    due: BTreeSet<(i64, u32)>,
    /// How many slots are over.
    over: u64,
    /// Set where keys are those of categories.
    owners: Option<Owners>,
}

/// What keys of categories begin with.
struct Owners {
    types: Vec<DataType>,
    /// How many categories of each are over.
    over: HashMap<Box<[u8]>, u32>,
}

#[derive(Clone, Copy)]
struct Watched {
    is_over: bool,
    due: Option<i64>,
}

impl OverLimit {
    /// For keys that begin with columns of these types, which are counted instead of them.
    pub fn of_owners(types: Vec<DataType>) -> OverLimit {
        OverLimit { owners: Some(Owners { types, over: HashMap::new() }), ..OverLimit::default() }
    }

    pub fn keys(&self) -> u64 {
        self.owners.as_ref().map_or(self.over, |owners| owners.over.len() as u64)
    }

    /// Notes what is known of a slot; whether it became over or is so no more.
    fn note(&mut self, slot: u32, known: Watched) -> bool {
        let before = match known.is_over || known.due.is_some() {
            true => self.slots.insert(slot, known),
            false => self.slots.remove(&slot),
        };
        if let Some(due) = before.and_then(|before| before.due) {
            self.due.remove(&(due, slot));
        }
        if let Some(due) = known.due {
            self.due.insert((due, slot));
        }
        let was_over = before.is_some_and(|before| before.is_over);
        self.over = self.over + u64::from(known.is_over) - u64::from(was_over);
        known.is_over != was_over
    }

    fn count_owner(&mut self, key: &[u8], is_over: bool) {
        let Some(Owners { types, over }) = &mut self.owners else { return };
        // Projection made the key: it has all of its columns.
        let owner = &key[..key_prefix(types, key).unwrap_or(key.len())];
        if is_over {
            *over.entry(owner.into()).or_insert(0) += 1;
        } else if let Some(count) = over.get_mut(owner) {
            *count -= 1;
            if *count == 0 {
                over.remove(owner);
            }
        }
    }
}

impl ViewStore {
    /// Notes that the row of a dense key is written.
    #[inline(always)]
    pub(super) fn watch_dense(&mut self, slot: u32, is_over: bool) {
        if is_over || !self.over.slots.is_empty() {
            self.watch(slot, Watched { is_over, due: None });
        }
    }

    /// Notes that the row of a key with few slices is written.
    #[inline(always)]
    pub(super) fn watch_sparse(&mut self, slot: u32) {
        if usize::from(self.keys.meta(slot).count) > self.layout.least_limit || !self.over.slots.is_empty() {
            self.look(slot);
        }
    }

    /// Looks again at keys with few slices, of which some entered a window or left one.
    pub(super) fn watch_silent(&mut self) {
        while let Some((due, slot)) = self.over.due.first().copied()
            && due <= self.clock
        {
            self.look(slot);
        }
    }

    #[inline(never)]
    fn look(&mut self, slot: u32) {
        let meta = self.keys.meta(slot);
        let known = match meta.class {
            // Its own row says so, at the end of the same close.
            DENSE => Watched { is_over: self.over.slots.get(&slot).is_some_and(|known| known.is_over), due: None },
            _ => known_of(&self.layout, self.sparse_words(slot, meta), self.clock),
        };
        self.watch(slot, known);
    }

    fn watch(&mut self, slot: u32, known: Watched) {
        if self.over.note(slot, known) && self.over.owners.is_some() {
            let over = &mut self.over;
            self.keys.with_key(slot, |key| over.count_owner(key, known.is_over));
        }
    }
}

/// Whether few slices are over a limit at an instant, and when that may change.
fn known_of(layout: &Layout, slices: &[u64], clock: i64) -> Watched {
    let reference = layout.reference(clock);
    let mut known = Watched { is_over: false, due: None };
    for limit in &layout.limits {
        let Some(word) = layout.columns[limit.column].word else { continue };
        let has_value = |slice: &&[u64]| layout.nulls(slice) >> limit.column & 1 == 0;
        let values = || slices.chunks_exact(layout.stride).filter(has_value);
        if distinct(values().map(|slice| slice[word])) <= limit.most {
            continue;
        }
        let inside = counted(layout, limit.window, reference);
        let now = values().filter(|slice| inside.contains(&time_of(slice))).map(|slice| slice[word]);
        known.is_over |= distinct(now) > limit.most;
        let plan = &layout.plan;
        let changes = values().flat_map(|slice| {
            let time = time_of(slice);
            [plan.enters(plan.windows[limit.window].offset, time), plan.leaves(limit.window, time)]
        });
        let next = changes.filter(|at| *at > clock).min();
        known.due = known.due.into_iter().chain(next).min();
    }
    known
}

/// The event times that count in a window.
fn counted(layout: &Layout, w: usize, reference: i64) -> Range<i64> {
    layout.lower(w, reference)..layout.upper(layout.windows[w].edge, reference)
}

/// How many different words there are, of few: equal strings are equal words where they are told apart.
fn distinct(words: impl Iterator<Item = u64>) -> usize {
    let mut words: Vec<u64> = words.collect();
    words.sort_unstable();
    words.dedup();
    words.len()
}
