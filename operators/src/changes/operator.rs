//! The keyed operator between a view's projection and a source of its changes.
//!
//! Law: like the windows it acts on closed epochs only, in order. What leaves in an epoch is the difference between the
//! changes of its keys with that epoch's events and without them; changes that lie ahead leave at once, so that no timer
//! is needed. Events are its only state.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use freshet_config::time::EventTime;
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::operators::generic::Operator;

use super::key::Key;
use super::{ChangeBatch, ChangesPlan};
use crate::batch::{BatchShape, KeyedBatch, Scatter, heap_bytes};
use crate::closed::ClosedEpochs;
use crate::project::SourceBatch;
use crate::windows::Control;

/// Where the events of a view come from.
#[derive(Clone, Debug)]
pub struct ChangesInput {
    pub plan: Arc<ChangesPlan>,
    /// Of the group's batches.
    pub shape: BatchShape,
    /// Per column of the view, that of the group's batches.
    pub columns: Vec<usize>,
    /// The view's bit in [`KeyedBatch::passes`].
    pub bit: u32,
}

/// Events exchanged between workers in batches of about this many.
const BATCH_EVENTS: usize = 4096;
/// Silent keys looked at per epoch, at least; a fiftieth of all keys where that is more.
const SWEEP_KEYS: usize = 64;

/// Derives the changes of a view from the keyed events of its group.
pub fn changes<'s>(
    events: Stream<'s, u64, KeyedBatch>,
    input: ChangesInput,
    control: Rc<RefCell<Control>>,
) -> Stream<'s, u64, SourceBatch> {
    let shape = input.shape.clone();
    let pact = DistributorPact(move |peers| Scatter::new(shape, peers, BATCH_EVENTS));
    events.unary_frontier::<NoopBuilder<SourceBatch>, _, _, _>(pact, "Changes", move |capability, _| {
        let mut epochs = ClosedEpochs::new(capability);
        let mut keys = Keys { input, slots: HashMap::new(), keys: Vec::new(), free: Vec::new(), sweep_at: 0 };
        move |(input, frontier), output| {
            input.for_each(|time, batch| epochs.push(*time.time(), std::mem::take(batch)));
            let open = frontier.frontier().first().copied();
            while let Some((epoch, batches, capability)) = epochs.next(open) {
                let instant = EventTime::from_micros(control.borrow().closed_instant(epoch));
                let mut session = output.session_with_builder(capability);
                keys.close(&batches, instant, &mut |mut batch| session.give_container(&mut batch));
            }
            epochs.advance(open);
        }
    })
}

/// All keys of the view on one worker.
struct Keys {
    input: ChangesInput,
    slots: HashMap<Arc<[u8]>, u32>,
    /// Key and state; `None`: free.
    keys: Vec<Option<(Arc<[u8]>, Key)>>,
    free: Vec<u32>,
    sweep_at: usize,
}

impl Keys {
    fn close(&mut self, batches: &[KeyedBatch], instant: EventTime, hand_on: &mut dyn FnMut(SourceBatch)) {
        let plan = self.input.plan.clone();
        let matters_from = plan.matters_from(instant);
        let needed = plan.needs(matters_from);
        let mut touched = Vec::new();
        for (b, batch) in batches.iter().enumerate() {
            for i in 0..batch.len() {
                // What is older is in no window any more at any instant that matters.
                if !plan.counts(batch, i, self.input.bit) || batch.time[i] < needed {
                    continue;
                }
                let slot = self.slot(batch, i);
                let Some((_, key)) = &mut self.keys[slot as usize] else { continue };
                if key.affected.is_none() {
                    touched.push(slot);
                }
                key.touch(plan.affects(batch.time[i]));
                let place = (b as u32, i as u32);
                match batch.sign.get(i).is_some_and(|sign| *sign < 0) {
                    true => key.taken_back.push(place),
                    false => key.added.push(place),
                }
            }
        }
        let mut out = ChangeBatch::new(&plan);
        for slot in touched {
            let Some((bytes, key)) = &mut self.keys[slot as usize] else { continue };
            let columns = &self.input.columns;
            key.close(&plan, columns, batches, matters_from, |change, sign| {
                out.push(bytes, change, sign);
                if out.is_full() {
                    hand_on(std::mem::replace(&mut out, ChangeBatch::new(&plan)).finish());
                }
            });
            self.drop_if_empty(slot);
        }
        if !out.is_empty() {
            hand_on(out.finish());
        }
        self.sweep(&plan, needed);
    }

    /// Lets events of silent keys go, some keys at a time.
    fn sweep(&mut self, plan: &ChangesPlan, needed: i64) {
        let count = self.keys.len().min(SWEEP_KEYS.max(self.keys.len() / 50));
        for _ in 0..count {
            self.sweep_at = (self.sweep_at + 1) % self.keys.len();
            if let Some((_, key)) = &mut self.keys[self.sweep_at] {
                key.events.trim(&plan.view, needed);
                self.drop_if_empty(self.sweep_at as u32);
            }
        }
    }

    fn slot(&mut self, batch: &KeyedBatch, i: usize) -> u32 {
        let word = batch.key[i].to_le_bytes();
        let bytes = if self.input.shape.heap_key { heap_bytes(&batch.heap, batch.key[i]) } else { &word };
        if let Some(slot) = self.slots.get(bytes) {
            return *slot;
        }
        let bytes: Arc<[u8]> = bytes.into();
        let fresh = Some((bytes.clone(), Key::default()));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.keys[slot as usize] = fresh;
                slot
            }
            None => {
                self.keys.push(fresh);
                self.keys.len() as u32 - 1
            }
        };
        self.slots.insert(bytes, slot);
        slot
    }

    fn drop_if_empty(&mut self, slot: u32) {
        let place = &mut self.keys[slot as usize];
        if let Some((bytes, _)) = place.take_if(|(_, key)| key.events.is_empty()) {
            self.slots.remove(&bytes);
            self.free.push(slot);
        }
    }
}
