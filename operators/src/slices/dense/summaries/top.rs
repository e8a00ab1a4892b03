//! The most frequent values of a tally, kept while counts go up and down.
//!
//! Law: entries stand in the order of rank, count descending, then value ascending; every value that has no entry ranks
//! behind all that have one. A value whose rank falls behind the last entry loses its own, since one without may be better;
//! when too few are left, the tally is looked through again. It takes more than `k` such falls for that, so a change costs
//! what an ordered list of some `2 k` costs, whatever the number of values.

use std::cmp::Ordering;

use super::listed::Ascending;
use super::tally::Tally;

pub(super) struct Top {
    k: usize,
    entries: Vec<(u64, u32)>,
}

/// Entries beyond twice `k`.
const SPARE: usize = 16;

impl Top {
    pub fn new(k: usize) -> Top {
        Top { k, entries: Vec::new() }
    }

    /// A word was added that was there `before` times; there are `values` distinct ones now.
    pub fn added(&mut self, word: u64, before: u32, values: usize, order: Ascending) {
        match (before > 0).then(|| self.place((word, before), order)) {
            Some(Ok(known)) => {
                let place = self.place_of((word, before + 1), order);
                self.entries[place..=known].rotate_right(1);
                self.entries[place] = (word, before + 1);
            }
            _ => self.enter((word, before + 1), values, order),
        }
    }

    /// A word was taken out that is `left` times there still; there are `values` distinct ones now.
    pub fn taken(&mut self, word: u64, left: u32, values: usize, order: Ascending) {
        if let Ok(known) = self.place((word, left + 1), order) {
            self.entries.remove(known);
            if left > 0 {
                self.enter((word, left), values, order);
            }
        }
    }

    /// An entry for a value that has none, if it is known to rank before all others without.
    fn enter(&mut self, entry: (u64, u32), values: usize, order: Ascending) {
        let place = self.place_of(entry, order);
        if place < self.entries.len() || self.entries.len() + 1 == values {
            self.entries.insert(place, entry);
            self.entries.truncate(2 * self.k + SPARE);
        }
    }

    /// The `k` most frequent, or all there are.
    pub fn first(&mut self, tally: &Tally, order: Ascending) -> &[(u64, u32)] {
        let wanted = self.k.min(tally.len());
        if self.entries.len() < wanted {
            self.entries = tally.entries().collect();
            let most = 2 * self.k + SPARE;
            if self.entries.len() > most {
                self.entries.select_nth_unstable_by(most, |a, b| rank(*a, *b, order));
                self.entries.truncate(most);
            }
            self.entries.sort_unstable_by(|a, b| rank(*a, *b, order));
        }
        &self.entries[..wanted]
    }

    fn place(&self, entry: (u64, u32), order: Ascending) -> Result<usize, usize> {
        self.entries.binary_search_by(|known| rank(*known, entry, order))
    }

    fn place_of(&self, entry: (u64, u32), order: Ascending) -> usize {
        self.place(entry, order).unwrap_or_else(|place| place)
    }

    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(u64, u32)>()
    }
}

/// Less is before: more frequent, or as frequent and of a lesser value.
fn rank(a: (u64, u32), b: (u64, u32), order: Ascending) -> Ordering {
    b.1.cmp(&a.1).then_with(|| order.compare(a.0, b.0))
}

#[cfg(test)]
mod tests {
    use freshet_config::value::DataType;

    use super::super::super::super::strings::Strings;
    use super::*;

    #[test]
    fn the_first_are_those_of_a_sorted_tally() {
        let strings = Strings::default();
        let order = Ascending { data_type: DataType::Int64, strings: &strings };
        let (mut tally, mut top) = (Tally::default(), Top::new(5));
        let words: Vec<u64> = (0..6000u64).map(|i| ((i * i * 7919) >> 3) % (1 + i / 20)).collect();
        let mut looked_through = 0;
        for (i, word) in words.iter().enumerate() {
            let before = tally.add(*word);
            top.added(*word, before, tally.len(), order);
            if i >= 900 {
                let old = words[i - 900];
                let left = tally.take(old);
                top.taken(old, left, tally.len(), order);
            }
            if i % 7 == 0 {
                let mut all: Vec<(u64, u32)> = tally.entries().collect();
                all.sort_unstable_by(|a, b| rank(*a, *b, order));
                looked_through += usize::from(top.entries.len() < 5.min(all.len()));
                assert_eq!(top.first(&tally, order), &all[..all.len().min(5)], "after {i}");
                assert!(all.starts_with(&top.entries), "after {i}");
            }
        }
        assert!(looked_through > 0 && looked_through < 200, "{looked_through}");
    }
}
