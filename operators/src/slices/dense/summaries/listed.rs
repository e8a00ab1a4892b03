//! A tally, and the values of it that rows list.
//!
//! Law: a row lists the values that its reader may have to tell apart: those of the single events it will add, and those that
//! [`Listed`] asks for. These are kept in order while values come and go, so that a row costs what it lists, however many
//! values there are.

use std::cmp::Ordering;

use freshet_config::function::{self, SummaryKind};
use freshet_config::value::DataType;

use super::super::super::layout::order_word;
use super::super::super::strings::Strings;
use super::super::write::put_value;
use super::tally::Tally;
use super::top::Top;
use crate::row::codec::RowBuffer;
use crate::summary::SummaryPlan;

pub(super) struct Listed {
    tally: Tally,
    kept: Kept,
}

enum Kept {
    Number,
    Top(Top),
    /// All values, ascending, while they are no more than may be written; empty otherwise.
    All(Vec<u64>),
}

/// How values of a column compare.
#[derive(Clone, Copy)]
pub(super) struct Ascending<'a> {
    pub data_type: DataType,
    pub strings: &'a Strings,
}

impl Ascending<'_> {
    pub fn compare(&self, a: u64, b: u64) -> Ordering {
        match self.data_type {
            DataType::String => self.strings.compare(a, b),
            data_type => order_word(a, data_type).cmp(&order_word(b, data_type)),
        }
    }
}

impl Listed {
    pub fn new(summary: &SummaryPlan) -> Listed {
        let kept = match summary.kind {
            SummaryKind::Tally { listed: function::Listed::Top(k), .. } => Kept::Top(Top::new(k)),
            SummaryKind::Tally { listed: function::Listed::All, .. } => Kept::All(Vec::new()),
            _ => Kept::Number,
        };
        Listed { tally: Tally::default(), kept }
    }

    pub fn add(&mut self, summary: &SummaryPlan, word: u64, order: Ascending) {
        let before = self.tally.add(word);
        match &mut self.kept {
            Kept::Number => {}
            Kept::Top(top) => top.added(word, before, self.tally.len(), order),
            Kept::All(words) if before == 0 => {
                if self.tally.over_limit(summary) {
                    words.clear();
                } else if words.len() + 1 == self.tally.len() {
                    words.insert(place(words, word, order).unwrap_or_else(|at| at), word);
                }
            }
            Kept::All(_) => {}
        }
    }

    pub fn sub(&mut self, word: u64, order: Ascending) {
        let left = self.tally.take(word);
        match &mut self.kept {
            Kept::Number => {}
            Kept::Top(top) => top.taken(word, left, self.tally.len(), order),
            Kept::All(words) if left == 0 => {
                if let Ok(at) = place(words, word, order) {
                    words.remove(at);
                }
            }
            Kept::All(_) => {}
        }
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Writes the tally for a reader that adds events with the words `others`.
    pub fn write(
        &mut self,
        summary: &SummaryPlan,
        order: Ascending,
        others: impl Iterator<Item = u64>,
        row: &mut RowBuffer,
    ) {
        if self.tally.over_limit(summary) {
            return row.varint(0);
        }
        row.varint(self.tally.len() as u64 + 1);
        if let Kept::All(words) = &mut self.kept {
            // There were too many, and are not any more.
            if words.len() < self.tally.len() {
                *words = self.tally.entries().map(|(word, _)| word).collect();
                words.sort_unstable_by(|a, b| order.compare(*a, *b));
            }
            row.varint(words.len() as u64);
            for word in words {
                put_value(order.data_type, *word, order.strings, row);
                row.varint(u64::from(self.tally.count(*word)));
            }
            return;
        }
        let mut entries: Vec<(u64, u32)> = self.tally.shared(others).collect();
        if let Kept::Top(top) = &mut self.kept {
            entries.extend_from_slice(top.first(&self.tally, order));
        }
        entries.sort_unstable_by(|a, b| order.compare(a.0, b.0));
        entries.dedup();
        row.varint(entries.len() as u64);
        for (word, count) in entries {
            put_value(order.data_type, word, order.strings, row);
            if let Kept::Top(_) = self.kept {
                row.varint(u64::from(count));
            }
        }
    }

    pub fn bytes(&self) -> usize {
        let kept = match &self.kept {
            Kept::Number => 0,
            Kept::Top(top) => top.bytes(),
            Kept::All(words) => words.capacity() * 8,
        };
        self.tally.bytes() + kept
    }
}

/// Where a value stands among ascending ones, or belongs.
fn place(words: &[u64], word: u64, order: Ascending) -> Result<usize, usize> {
    words.binary_search_by(|known| order.compare(*known, word))
}
