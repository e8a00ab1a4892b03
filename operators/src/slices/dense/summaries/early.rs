//! The distinct values of a core that occur first.
//!
//! Law: every entry is a value's first occurrence in the core, ascending. When it is `settled`, the entries are the first
//! `n` of all values. A value whose first occurrence leaves is looked for again when a row is written, from the front of
//! the core; the tally of all values says when there is no other left to find. So a slice is passed at most once per
//! value that leaves, and a rare value that stays is not looked for at all.

use super::super::super::slab::prefetch;
use super::tally::Tally;
use super::{CoreSlices, Occurrence, Slices};

pub(super) struct Early {
    n: usize,
    tally: Tally,
    entries: Vec<Occurrence>,
    settled: bool,
}

impl Early {
    pub fn new(n: usize) -> Early {
        Early { n, tally: Tally::default(), entries: Vec::new(), settled: true }
    }

    /// Adds a value of the core, late or not.
    pub fn add(&mut self, new: Occurrence) {
        let is_new = self.tally.add(new.word) == 0;
        if !is_new {
            match self.entries.iter().position(|known| known.word == new.word) {
                Some(known) if self.entries[known].at() < new.at() => return,
                Some(known) if self.entries[known].at() == new.at() => {
                    // Of two at one place the one that comes first may have changed.
                    let beside = |i: usize| self.entries.get(i).is_some_and(|other| other.at() == new.at());
                    if beside(known + 1) || known > 0 && beside(known - 1) {
                        self.entries.clear();
                        self.settled = false;
                    }
                    return;
                }
                Some(known) => drop(self.entries.remove(known)),
                // Not among the first; or, unsettled, perhaps with an earlier occurrence that was not found yet.
                None if !self.settled => return,
                None => {}
            }
        }
        let at = self.entries.partition_point(|known| known.at() < new.at());
        if self.entries.get(at).is_some_and(|known| known.at() == new.at()) {
            // Only the slices know their order.
            self.entries.clear();
            self.settled = false;
            return;
        }
        if at < self.n && (is_new || at < self.entries.len() || self.entries.len() < self.n) {
            self.entries.insert(at, new);
            self.entries.truncate(self.n);
        }
    }

    pub fn sub(&mut self, word: u64) {
        self.tally.take(word);
    }

    /// Asks for where a value is looked up.
    pub fn prefetch(&self) {
        self.tally.prefetch();
        prefetch(self.entries.as_ptr());
    }

    /// The core begins at `lower` now.
    pub fn leave(&mut self, lower: i64) {
        let gone = self.entries.iter().take_while(|known| known.time < lower).count();
        if gone > 0 {
            self.entries.drain(..gone);
            self.settled = false;
        }
    }

    /// Settles the entries.
    pub fn fill(&mut self, slices: Slices, column: usize, core: CoreSlices) {
        if self.settled {
            return;
        }
        let mut known = std::mem::take(&mut self.entries);
        let mut unknown = self.tally.len() - known.len();
        for new in (core.from..core.to).filter_map(|i| slices.occurrence(i, column)) {
            if self.entries.len() == self.n || unknown == 0 {
                break;
            }
            if self.entries.iter().any(|entry| entry.word == new.word) {
                continue;
            }
            match known.iter().position(|entry| entry.word == new.word) {
                Some(at) => drop(known.remove(at)),
                None => unknown -= 1,
            }
            self.entries.push(new);
        }
        known.truncate(self.n - self.entries.len());
        self.entries.append(&mut known);
        self.settled = true;
    }

    pub fn words(&self) -> impl ExactSizeIterator<Item = u64> {
        self.entries.iter().map(|known| known.word)
    }

    pub fn bytes(&self) -> usize {
        self.tally.bytes() + self.entries.capacity() * size_of::<Occurrence>()
    }
}
