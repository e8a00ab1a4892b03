//! The oldest values of a core.
//!
//! Law: holds the first values of the core in order, at most `n`. When some have left, the rest are still the first ones,
//! and the next are looked up from where they end, when a row is written: each slice is looked at once.

use std::collections::VecDeque;

use super::{CoreSlices, Occurrence, Slices};

pub(super) struct Oldest {
    n: usize,
    entries: VecDeque<Occurrence>,
    /// The core has no further value.
    complete: bool,
}

impl Oldest {
    pub fn new(n: usize) -> Oldest {
        Oldest { n, entries: VecDeque::new(), complete: true }
    }

    /// Adds a value of the core, late or not.
    pub fn add(&mut self, new: Occurrence) {
        let newest = self.entries.back().map(Occurrence::at);
        if newest.is_none_or(|newest| new.at() > newest) {
            // Behind all that are known. What lies between is known only when nothing does.
            if self.complete && self.entries.len() < self.n {
                self.entries.push_back(new);
            } else {
                self.complete = false;
            }
            return;
        }
        let at = self.entries.partition_point(|known| known.at() < new.at());
        if self.entries[at].at() == new.at() {
            // Only the slices know their order.
            self.entries.clear();
            self.complete = false;
            return;
        }
        self.entries.insert(at, new);
        if self.entries.len() > self.n {
            self.entries.pop_back();
            self.complete = false;
        }
    }

    /// The core begins at `lower` now.
    pub fn leave(&mut self, lower: i64) {
        while self.entries.front().is_some_and(|oldest| oldest.time < lower) {
            self.entries.pop_front();
        }
    }

    /// Looks up what is missing of the first `n` values.
    pub fn fill(&mut self, slices: Slices, column: usize, core: CoreSlices) {
        if self.complete || self.entries.len() == self.n {
            return;
        }
        let mut from = core.from;
        let mut known = 0;
        if let Some(newest) = self.entries.back().map(Occurrence::at) {
            let place = |i: usize| Occurrence::of(slices.layout, slices.get(i), 0).at();
            let (mut low, mut high) = (core.from, core.to);
            while low < high {
                let middle = low + (high - low) / 2;
                if place(middle) < newest { low = middle + 1 } else { high = middle }
            }
            from = low;
            // Of values at this very place some are known, and they come first.
            known = self.entries.iter().filter(|entry| entry.at() == newest).count();
        }
        let values = (from..core.to).filter_map(|i| slices.occurrence(i, column));
        let mut values = values.skip(known);
        while self.entries.len() < self.n {
            match values.next() {
                Some(value) => self.entries.push_back(value),
                None => {
                    self.complete = true;
                    return;
                }
            }
        }
    }

    pub fn words(&self) -> impl ExactSizeIterator<Item = u64> {
        self.entries.iter().map(|known| known.word)
    }

    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Occurrence>()
    }
}
