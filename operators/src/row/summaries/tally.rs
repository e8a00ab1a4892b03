//! How often each value occurs, up to a limit of distinct values.

use std::cmp::Ordering;

use freshet_config::function::{Listed, Refusal, Word};
use freshet_config::value::DataType;

use super::super::codec::Bytes;
use super::super::fold::compare;

#[derive(Clone, Debug)]
pub(in super::super) struct TallyFold {
    limit: usize,
    listed: Listed,
    data_type: DataType,
    /// More distinct values than the limit were seen: the entries are given up.
    over: bool,
    /// Distinct values of the core that are not listed: no single event has them, and none is among the most frequent.
    unlisted: u64,
    /// Words and counts; the first `merged` ascend by value and are distinct.
    entries: Vec<(u64, u64)>,
    merged: usize,
}

impl TallyFold {
    pub fn new(limit: usize, listed: Listed, data_type: DataType) -> TallyFold {
        TallyFold { limit, listed, data_type, over: false, unlisted: 0, entries: Vec::new(), merged: 0 }
    }

    pub fn reset(&mut self) {
        self.over = false;
        self.unlisted = 0;
        self.entries.clear();
        self.merged = 0;
    }

    /// `0` when the core has more values than the limit, else their number and one, the number of those listed, and these:
    /// with their counts, where anyone asks for these.
    pub fn read(&mut self, bytes: &mut Bytes) -> Option<()> {
        let Some(values) = bytes.varint()?.checked_sub(1) else {
            self.over = true;
            return Some(());
        };
        let listed = bytes.count()?;
        self.unlisted = values.checked_sub(listed as u64)?;
        for _ in 0..listed {
            let word = bytes.word(self.data_type)?;
            let count = if self.listed == Listed::Number { 1 } else { bytes.varint()? };
            self.entries.push((word, count));
        }
        Some(())
    }

    pub fn add(&mut self, word: u64, heap: &[u8]) {
        if self.over {
            return;
        }
        self.entries.push((word, 1));
        if self.entries.len() > 2 * self.merged + 64 {
            merge(&mut self.entries, self.data_type, heap);
            self.merged = self.entries.len();
            if self.merged > self.limit {
                self.over = true;
                self.entries = Vec::new();
            }
        }
    }

    /// How many distinct values there are; no answer when there are more than `limit`.
    pub fn distinct(&self, limit: u32, heap: &[u8]) -> Result<u64, Refusal> {
        Ok(self.unlisted + self.merged(limit, heap)?.len() as u64)
    }

    /// Values listed and their counts, ascending by value; no answer when there are more than `limit` values.
    pub fn entries(&self, limit: u32, heap: &[u8]) -> Result<Vec<(Word, u64)>, Refusal> {
        Ok(self.merged(limit, heap)?.into_iter().map(|(word, count)| (Word(word), count)).collect())
    }

    fn merged(&self, limit: u32, heap: &[u8]) -> Result<Vec<(u64, u64)>, Refusal> {
        let mut entries = self.entries.clone();
        merge(&mut entries, self.data_type, heap);
        let distinct = self.unlisted.saturating_add(entries.len() as u64);
        if self.over || distinct > u64::from(limit) { Err(Refusal::TooManyValues { limit }) } else { Ok(entries) }
    }
}

fn merge(entries: &mut Vec<(u64, u64)>, data_type: DataType, heap: &[u8]) {
    entries.sort_by(|(a, _), (b, _)| compare(data_type, *a, *b, heap));
    entries.dedup_by(|next, kept| {
        let equal = compare(data_type, next.0, kept.0, heap) == Ordering::Equal;
        if equal {
            // A damaged row may count to the end of the type.
            kept.1 = kept.1.saturating_add(next.1);
        }
        equal
    });
}
