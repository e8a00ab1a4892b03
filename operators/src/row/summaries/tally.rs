//! How often each value occurs, up to a limit of distinct values.

use std::cmp::Ordering;

use freshet_config::value::DataType;

use super::super::codec::Bytes;
use super::super::fold::compare;
use super::NoAnswer;

#[derive(Clone, Debug)]
pub(in super::super) struct TallyFold {
    limit: usize,
    counts: bool,
    data_type: DataType,
    /// More distinct values than the limit were seen: the entries are given up.
    over: bool,
    /// Words and counts; the first `merged` ascend by value and are distinct.
    entries: Vec<(u64, u64)>,
    merged: usize,
}

impl TallyFold {
    pub fn new(limit: usize, counts: bool, data_type: DataType) -> TallyFold {
        TallyFold { limit, counts, data_type, over: false, entries: Vec::new(), merged: 0 }
    }

    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    pub fn reset(&mut self) {
        self.over = false;
        self.entries.clear();
        self.merged = 0;
    }

    /// `0` when the core has more values than the limit, else their number and one, and the values.
    pub fn read(&mut self, bytes: &mut Bytes) -> Option<()> {
        let Some(values) = bytes.count()?.checked_sub(1) else {
            self.over = true;
            return Some(());
        };
        for _ in 0..values {
            let word = bytes.word(self.data_type)?;
            let count = if self.counts { bytes.varint()? } else { 1 };
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

    /// Values and counts, ascending by value; no answer when there are more than `limit`.
    pub fn entries(&self, limit: u32, heap: &[u8]) -> Result<Vec<(u64, u64)>, NoAnswer> {
        let mut entries = self.entries.clone();
        merge(&mut entries, self.data_type, heap);
        if self.over || entries.len() > limit as usize { Err(NoAnswer) } else { Ok(entries) }
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
