//! The history of a source of changes: those of every key of its view, by the function that the engine derives them with.

use std::collections::BTreeMap;
use std::ops::Range;

use freshet_operators::batch::{BatchShape, KeyedBatch, heap_bytes};
use freshet_operators::changes::{ChangeBatch, ChangesInput, KeyEvents};
use freshet_operators::project::SourceBatch;

use super::error::DatasetError;
use super::history::{Reading, Taker, read_groups};
use crate::plan::{Group, Pipeline, Plan};

/// The changes at instants in `needed`, in microseconds, of the view that `input` is made for; `pipeline` and `group` are
/// the view's.
pub(super) fn derive(
    plan: &Plan,
    pipeline: &Pipeline,
    group: &Group,
    input: &ChangesInput,
    needed: Range<i64>,
    reading: &mut Reading<'_>,
) -> Result<Vec<SourceBatch>, DatasetError> {
    let view = &input.plan.view;
    let end = view.windows.iter().map(|window| view.upper(window.offset, needed.end)).max().unwrap_or(needed.end);
    let events = input.plan.needs(needed.start)..end;
    let mut keys = Keys { input, events: events.clone(), keys: BTreeMap::new() };
    read_groups(plan, pipeline, &[group], events, &mut keys, reading)?;
    let mut batches = Vec::new();
    let mut batch = ChangeBatch::new(&input.plan);
    for (key, mut events) in keys.keys {
        events.order();
        for change in input.plan.changes(&events, needed.clone()) {
            batch.push(&key, &change, 1);
            if batch.is_full() {
                batches.push(std::mem::replace(&mut batch, ChangeBatch::new(&input.plan)).finish());
            }
        }
    }
    batches.push(batch.finish());
    Ok(batches)
}

/// Events of all keys of a view.
struct Keys<'p> {
    input: &'p ChangesInput,
    /// Event times that matter.
    events: Range<i64>,
    keys: BTreeMap<Vec<u8>, KeyEvents>,
}

impl Taker for Keys<'_> {
    fn take(&mut self, _: usize, shape: &BatchShape, batch: &KeyedBatch) {
        for i in 0..batch.len() {
            if !self.input.plan.counts(batch, i, self.input.bit) || !self.events.contains(&batch.time[i]) {
                continue;
            }
            let word = batch.key[i].to_le_bytes();
            let key = if shape.heap_key { heap_bytes(&batch.heap, batch.key[i]) } else { &word };
            let events = match self.keys.get_mut(key) {
                Some(events) => events,
                None => self.keys.entry(key.to_vec()).or_default(),
            };
            events.add(&self.input.plan.view, &self.input.columns, batch, i);
        }
    }
}
