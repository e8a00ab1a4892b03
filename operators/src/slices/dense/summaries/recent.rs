//! The newest values of a column, for all windows that end together.
//!
//! Law: holds the `n` newest closed values, ascending, or the `n` distinct ones that occurred last, each at its last
//! occurrence. The list of a window is what of them lies in it: a value that is not here is older than all that are.

use std::collections::VecDeque;

use super::Occurrence;

pub(super) struct Recent {
    n: usize,
    distinct: bool,
    entries: VecDeque<Occurrence>,
    /// A late value came at the very instant and position of another: only the slices know their order.
    undecided: bool,
}

impl Recent {
    pub fn new(n: usize, distinct: bool) -> Recent {
        Recent { n, distinct, entries: VecDeque::new(), undecided: false }
    }

    /// Adds a value newer than all before it.
    pub fn push(&mut self, new: Occurrence) {
        if self.distinct
            && let Some(at) = self.entries.iter().rposition(|known| known.word == new.word)
        {
            self.entries.remove(at);
        } else if self.entries.len() == self.n {
            self.entries.pop_front();
        }
        self.entries.push_back(new);
    }

    /// Adds a late value at its place.
    pub fn insert(&mut self, new: Occurrence) {
        if self.entries.iter().any(|known| known.at() == new.at()) {
            self.undecided = true;
            return;
        }
        if self.distinct
            && let Some(at) = self.entries.iter().position(|known| known.word == new.word)
        {
            if self.entries[at].at() > new.at() {
                return;
            }
            self.entries.remove(at);
        }
        let at = self.entries.partition_point(|known| known.at() < new.at());
        if self.entries.len() < self.n {
            self.entries.insert(at, new);
        } else if at > 0 {
            self.entries.insert(at, new);
            self.entries.pop_front();
        }
    }

    pub fn undecided(&self) -> bool {
        self.undecided
    }

    pub fn rebuild(&mut self, newest_first: impl Iterator<Item = Occurrence>) {
        self.undecided = false;
        self.entries.clear();
        for older in newest_first {
            if self.entries.len() == self.n {
                return;
            }
            if !(self.distinct && self.entries.iter().any(|known| known.word == older.word)) {
                self.entries.push_front(older);
            }
        }
    }

    pub fn forget(&mut self, reach: i64) {
        while self.entries.front().is_some_and(|oldest| oldest.time < reach) {
            self.entries.pop_front();
        }
    }

    /// Words of the values at or after an instant, ascending.
    pub fn since(&self, lower: i64) -> impl ExactSizeIterator<Item = u64> {
        let from = self.entries.partition_point(|known| known.time < lower);
        self.entries.range(from..).map(|known| known.word)
    }

    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Occurrence>()
    }
}
