//! A multiset of words: how often each occurs in a core.
//!
//! Law: counts are exact for however many values there are, at most one per slice; only what is written is limited. So a
//! window that held too many values answers again when enough of them have left.

use freshet_config::function::SummaryKind;
use hashbrown::HashMap;

use super::super::super::slab::prefetch;
use crate::summary::SummaryPlan;

/// Few words stand in a sorted list, many in a map.
#[derive(Default)]
pub(super) struct Tally {
    few: Vec<(u64, u32)>,
    many: Option<Box<HashMap<u64, u32>>>,
}

const MOST_FEW: usize = 128;

impl Tally {
    /// Adds a word; gives how often it was there before.
    pub fn add(&mut self, word: u64) -> u32 {
        if let Some(many) = &mut self.many {
            let count = many.entry(word).or_insert(0);
            *count += 1;
            return *count - 1;
        }
        match self.few.binary_search_by_key(&word, |(known, _)| *known) {
            Ok(at) => {
                self.few[at].1 += 1;
                self.few[at].1 - 1
            }
            Err(at) => {
                self.few.insert(at, (word, 1));
                if self.few.len() > MOST_FEW {
                    self.many = Some(Box::new(std::mem::take(&mut self.few).into_iter().collect()));
                }
                0
            }
        }
    }

    /// Takes back a word that was added; gives how often it is still there.
    pub fn take(&mut self, word: u64) -> u32 {
        if let Some(many) = &mut self.many {
            let Some(count) = many.get_mut(&word) else { return 0 };
            *count -= 1;
            let left = *count;
            if left == 0 {
                many.remove(&word);
                if many.len() < MOST_FEW / 2 {
                    self.few = many.drain().collect();
                    self.few.sort_unstable();
                    self.many = None;
                }
            }
            return left;
        }
        let Ok(at) = self.few.binary_search_by_key(&word, |(known, _)| *known) else { return 0 };
        self.few[at].1 -= 1;
        let left = self.few[at].1;
        if left == 0 {
            self.few.remove(at);
        }
        left
    }

    /// Asks for where a search begins.
    pub fn prefetch(&self) {
        match &self.many {
            Some(many) => prefetch(&raw const **many),
            None => {
                let (first, len) = (self.few.as_ptr(), self.few.len());
                prefetch(first.wrapping_add(len / 4));
                prefetch(first.wrapping_add(len / 2));
                prefetch(first.wrapping_add(len / 4 * 3));
            }
        }
    }

    pub fn len(&self) -> usize {
        self.many.as_ref().map_or(self.few.len(), |many| many.len())
    }

    /// How many distinct words there are with `others`.
    pub fn len_with(&self, others: impl Iterator<Item = u64>) -> usize {
        let mut new: Vec<u64> = others.filter(|word| self.count(*word) == 0).collect();
        new.sort_unstable();
        new.dedup();
        self.len() + new.len()
    }

    /// Whether there are more values than are written.
    pub fn over_limit(&self, summary: &SummaryPlan) -> bool {
        matches!(summary.kind, SummaryKind::Tally { limit, .. } if self.len() > limit)
    }

    /// Words and counts in ascending order, where they stand in it.
    pub fn ascending(&self) -> Option<&[(u64, u32)]> {
        self.many.is_none().then_some(&self.few)
    }

    /// In no order.
    pub fn entries(&self) -> impl Iterator<Item = (u64, u32)> {
        let many = self.many.iter().flat_map(|many| many.iter().map(|(word, count)| (*word, *count)));
        self.few.iter().copied().chain(many)
    }

    pub fn count(&self, word: u64) -> u32 {
        match &self.many {
            None => self.few.binary_search_by_key(&word, |(known, _)| *known).map_or(0, |at| self.few[at].1),
            Some(many) => many.get(&word).copied().unwrap_or(0),
        }
    }

    /// The values that single events have too, `others`, with their counts.
    pub fn shared<'a>(&'a self, others: impl Iterator<Item = u64> + 'a) -> impl Iterator<Item = (u64, u32)> + 'a {
        others.map(|word| (word, self.count(word))).filter(|(_, count)| *count > 0)
    }

    pub fn bytes(&self) -> usize {
        self.few.capacity() * 16 + self.many.as_ref().map_or(0, |many| many.capacity() * 17)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_growth_and_shrinking() {
        let mut tally = Tally::default();
        for round in 0..3 {
            for word in 0..2000u64 {
                assert_eq!(tally.add(word * 7919 % 2003), round);
            }
        }
        assert_eq!(tally.len(), 2000);
        for left in (0..3).rev() {
            for word in 0..2000u64 {
                assert_eq!(tally.take(word * 7919 % 2003), left);
            }
        }
        assert_eq!((tally.len(), tally.many.is_none()), (0, true));
    }
}
