//! One key through the epochs: what an epoch's events change of its changes.

use std::ops::Range;

use super::{Change, ChangesPlan, KeyEvents};
use crate::batch::KeyedBatch;

/// The events of a key, and those of the epoch at hand.
#[derive(Debug, Default)]
pub(super) struct Key {
    pub events: KeyEvents,
    /// Instants that the epoch's events make a difference at. Empty: the key is untouched.
    pub affected: Option<Range<i64>>,
    /// Batch and row of the epoch's events; those to take back come last.
    pub added: Vec<(u32, u32)>,
    pub taken_back: Vec<(u32, u32)>,
}

impl Key {
    pub fn touch(&mut self, affected: Range<i64>) {
        self.affected = Some(match self.affected.take() {
            Some(known) => known.start.min(affected.start)..known.end.max(affected.end),
            None => affected,
        });
    }

    /// Applies what was gathered, and hands on each change that is new (+1) or holds no more (-1). Events before `needed`
    /// are let go; changes before `matters_from` are nobody's business.
    pub fn close(
        &mut self,
        plan: &ChangesPlan,
        columns: &[usize],
        batches: &[KeyedBatch],
        matters_from: i64,
        mut hand_on: impl FnMut(&Change, i8),
    ) {
        let Some(affected) = self.affected.take() else { return };
        let range = affected.start.max(matters_from)..affected.end;
        let before = if self.events.is_empty() { Vec::new() } else { plan.changes(&self.events, range.clone()) };
        for (batch, row) in self.added.drain(..) {
            self.events.add(&plan.view, columns, &batches[batch as usize], row as usize);
        }
        self.events.order();
        for (batch, row) in self.taken_back.drain(..) {
            self.events.remove(&plan.view, columns, &batches[batch as usize], row as usize);
        }
        let after = plan.changes(&self.events, range);
        differences(&before, &after, &mut hand_on);
        self.events.trim(&plan.view, plan.needs(matters_from));
    }
}

/// Both are in the order of their instants.
fn differences(before: &[Change], after: &[Change], hand_on: &mut impl FnMut(&Change, i8)) {
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (Some(was), Some(is)) if was.at == is.at => {
                if !was.same(is) {
                    hand_on(was, -1);
                    hand_on(is, 1);
                }
                old.next();
                new.next();
            }
            (Some(was), is) if is.is_none_or(|is| was.at < is.at) => {
                hand_on(was, -1);
                old.next();
            }
            (_, Some(is)) => {
                hand_on(is, 1);
                new.next();
            }
            _ => return,
        }
    }
}
