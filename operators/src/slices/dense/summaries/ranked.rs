//! An ordered multiset of words with access by rank: sorted chunks of bounded length.

use freshet_config::function::SummaryKind;

use super::super::super::slab::prefetch;
use crate::row::codec::RowBuffer;
use crate::summary::{SummaryPlan, rank};

#[derive(Default)]
pub(super) struct Ranked {
    /// None is empty.
    chunks: Vec<Vec<u64>>,
    len: u64,
}

/// A longer chunk is split.
const MOST: usize = 512;

impl Ranked {
    /// Asks for the list of chunks.
    pub fn prefetch(&self) {
        prefetch(self.chunks.as_ptr());
    }

    /// The chunk that holds a word, or that it belongs to.
    fn chunk_of(&self, word: u64) -> usize {
        let before = |chunk: &Vec<u64>| chunk.last().is_some_and(|last| *last < word);
        self.chunks.partition_point(before).min(self.chunks.len().saturating_sub(1))
    }

    pub fn insert(&mut self, word: u64) {
        self.len += 1;
        if self.chunks.is_empty() {
            self.chunks.push(Vec::new());
        }
        let at = self.chunk_of(word);
        let chunk = &mut self.chunks[at];
        chunk.insert(chunk.partition_point(|known| *known < word), word);
        if chunk.len() > MOST {
            let upper = chunk.split_off(MOST / 2);
            self.chunks.insert(at + 1, upper);
        }
    }

    /// Takes a word out that was inserted.
    pub fn remove(&mut self, word: u64) {
        if self.chunks.is_empty() {
            return;
        }
        let at = self.chunk_of(word);
        if let Ok(place) = self.chunks[at].binary_search(&word) {
            self.chunks[at].remove(place);
            self.len -= 1;
            if self.chunks[at].is_empty() {
                self.chunks.remove(at);
            }
        }
    }

    /// The words of some ranks.
    fn range(&self, ranks: std::ops::Range<u64>) -> impl Iterator<Item = u64> {
        let (mut skip, mut first) = (ranks.start as usize, 0);
        while self.chunks.get(first).is_some_and(|chunk| chunk.len() <= skip) {
            skip -= self.chunks[first].len();
            first += 1;
        }
        let words = self.chunks[first..].iter().flatten().skip(skip);
        words.take((ranks.end - ranks.start) as usize).copied()
    }

    /// Per percentile the band of ranks that a reader may need when at most `others` values count too.
    pub fn write(&self, summary: &SummaryPlan, others: u64, row: &mut RowBuffer) {
        let SummaryKind::Ranks { percentiles } = &summary.kind else { return };
        row.varint(self.len);
        if self.len == 0 {
            return;
        }
        for percentile in percentiles {
            let band = rank::band(percentile.get(), self.len, others);
            row.varint(band.start);
            row.varint(band.end - band.start);
            let mut before = None;
            for word in self.range(band) {
                match before.replace(word) {
                    None => row.write(8, |cursor| cursor.put(word.to_le_bytes(), 8)),
                    Some(before) => row.varint(word - before),
                }
            }
        }
    }

    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| size_of::<Vec<u64>>() + chunk.capacity() * 8).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_a_sorted_list() {
        let (mut ranked, mut sorted) = (Ranked::default(), Vec::new());
        for i in 0..5000u64 {
            let word = i * 7919 % 1009;
            ranked.insert(word);
            sorted.push(word);
        }
        sorted.sort_unstable();
        assert_eq!(ranked.range(0..5000).collect::<Vec<_>>(), sorted);
        assert_eq!(ranked.range(2345..2350).collect::<Vec<_>>(), sorted[2345..2350]);
        for word in sorted.iter().step_by(2) {
            ranked.remove(*word);
        }
        let left: Vec<u64> = sorted.iter().skip(1).step_by(2).copied().collect();
        assert_eq!(ranked.range(0..2500).collect::<Vec<_>>(), left);
        left.iter().for_each(|word| ranked.remove(*word));
        assert_eq!((ranked.len, ranked.chunks.len()), (0, 0));
    }
}
