//! Suffix lists of rows by another column: the row that is best since any instant.
//!
//! Law: entries ascend in time, each strictly better than all after it; of equals only the newest is kept.

use std::cmp::Ordering;

use freshet_config::function::SummaryKind;
use freshet_config::value::DataType;

use super::super::super::layout::{Layout, order_word};
use super::super::super::strings::Strings;
use super::super::write::put_value;
use super::Occurrence;
use crate::row::codec::RowBuffer;
use crate::summary::SummaryPlan;

#[derive(Default)]
pub(super) struct Best {
    /// The value, and the word it is chosen by.
    entries: Vec<(Occurrence, u64)>,
    /// As in `Recent`.
    undecided: bool,
}

/// The column that chooses, and whether its greatest does.
fn chooser(layout: &Layout, summary: &SummaryPlan) -> (DataType, bool) {
    match summary.kind {
        SummaryKind::By { order, greatest } => (layout.columns[order].data_type, greatest),
        _ => (DataType::Int64, true),
    }
}

impl Best {
    pub fn add(
        &mut self,
        layout: &Layout,
        summary: &SummaryPlan,
        new: Occurrence,
        order: u64,
        late: bool,
        strings: &Strings,
    ) {
        let (data_type, greatest) = chooser(layout, summary);
        let beats = |a: u64, b: u64| {
            let compared = match data_type {
                DataType::String => strings.compare(a, b),
                _ => order_word(a, data_type).cmp(&order_word(b, data_type)),
            };
            compared == if greatest { Ordering::Greater } else { Ordering::Less }
        };
        let mut to = self.entries.len();
        if late {
            if self.entries.iter().any(|(known, _)| known.at() == new.at()) {
                self.undecided = true;
                return;
            }
            to = self.entries.partition_point(|(known, _)| known.at() < new.at());
            if self.entries.get(to).is_some_and(|(_, newer)| !beats(order, *newer)) {
                return;
            }
        }
        let mut from = to;
        while from > 0 && !beats(self.entries[from - 1].1, order) {
            from -= 1;
        }
        self.entries.splice(from..to, [(new, order)]);
    }

    pub fn undecided(&self) -> bool {
        self.undecided
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.undecided = false;
    }

    pub fn forget(&mut self, reach: i64) {
        let gone = self.entries.iter().take_while(|(known, _)| known.time < reach).count();
        self.entries.drain(..gone);
    }

    pub fn write(&self, layout: &Layout, summary: &SummaryPlan, lower: i64, strings: &Strings, row: &mut RowBuffer) {
        let best = self.entries.iter().find(|(known, _)| known.time >= lower);
        row.byte(u8::from(best.is_some()));
        if let Some((known, order)) = best {
            put_value(layout.columns[summary.column].data_type, known.word, strings, row);
            put_value(chooser(layout, summary).0, *order, strings, row);
        }
    }

    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(Occurrence, u64)>()
    }
}
