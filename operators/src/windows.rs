//! The keyed operator: one per (source, entity) group, all its views inside.
//!
//! Law: it acts on closed epochs only, in order. Events of an epoch wait until the frontier has passed it; then they
//! are applied, the epoch is closed at the instant it was dated with, and the rows it changed leave with it. There is
//! no clock inside: an idle stretch moves the instant with the frontier, so that leases are renewed in time.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use freshet_config::rows::RowBatch;
use freshet_config::time::{Epoch, EventTime};
use timely::container::{Accountable, NoopBuilder};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::operators::generic::Operator;

use crate::batch::{BatchShape, KeyedBatch, Scatter};
use crate::closed::ClosedEpochs;
use crate::slices::{RowSink, ViewState, ViewStats};

/// Rows as a stream carries them.
#[derive(Clone, Debug, Default)]
pub struct Rows(pub RowBatch);

impl Accountable for Rows {
    fn record_count(&self) -> i64 {
        self.0.len() as i64
    }
}

/// What the engine tells the operators of a worker, and what they tell it.
#[derive(Debug, Default)]
pub struct Control {
    /// First epoch whose rows are written. Before it a backfill only builds state; when it closes, every live key gets
    /// its row.
    pub emit_from: Epoch,
    /// When epochs happened, ascending: epochs order, instants date. An epoch not listed happened at the instant of the
    /// last one before it. Before the first one nothing has happened, whatever the numbers are: they grow over restarts, and
    /// may be far ahead of the clock.
    instants: VecDeque<(u64, i64)>,
    /// Latest figures per view, by the view's index in the definitions.
    pub stats: BTreeMap<usize, ViewStats>,
}

impl Control {
    /// Says when an epoch happened, in ascending order of epochs.
    pub fn date(&mut self, epoch: u64, instant: EventTime) {
        self.instants.push_back((epoch, instant.micros()));
        if self.instants.len() > DATED_EPOCHS {
            self.instants.pop_front();
        }
    }

    /// The instant at which rows of an epoch are exact, in microseconds; `None` before the first one that was dated. A
    /// worker dates an epoch before it lets its input pass it, so an epoch that is closed has one; an idle time before the
    /// first epoch, which a worker may hear of from another, has none.
    pub fn instant(&self, epoch: u64) -> Option<i64> {
        let dated = self.instants.iter().rev().find(|(dated, _)| *dated <= epoch);
        dated.map(|(_, instant)| *instant)
    }

    /// [`Control::instant`] of an epoch that this worker's own input has passed.
    pub fn closed_instant(&self, epoch: u64) -> i64 {
        self.instant(epoch).expect("an epoch is dated before the worker's own input passes it")
    }
}

/// Epochs in flight are few; the dates of older ones are not asked for any more.
const DATED_EPOCHS: usize = 64;

/// One view of the group: its index in the definitions, and its state.
pub struct GroupView {
    pub view: usize,
    pub store: ViewState,
}

/// Events exchanged between workers in batches of at most this many.
const EXCHANGE_EVENTS: usize = 4096;

/// Keeps the windows of a group and emits the rows each epoch changes.
pub fn windows<'s>(
    events: Stream<'s, u64, KeyedBatch>,
    shape: BatchShape,
    views: Vec<GroupView>,
    control: Rc<RefCell<Control>>,
) -> Stream<'s, u64, Rows> {
    let pact = DistributorPact(move |peers| Scatter::new(shape, peers, EXCHANGE_EVENTS));
    events.unary_frontier::<NoopBuilder<Rows>, _, _, _>(pact, "Windows", move |capability, _| {
        let mut epochs = ClosedEpochs::new(capability);
        let views = views.into_iter().map(|view| (view, 0)).collect();
        let mut group = Group { views, control, emitting: false };
        move |(input, frontier), output| {
            input.for_each(|time, batch| epochs.push(*time.time(), std::mem::take(batch)));
            let open = frontier.frontier().first().copied();
            let mut closed = None;
            while let Some((epoch, batches, capability)) = epochs.next(open) {
                for batch in batches {
                    group.views.iter_mut().for_each(|(view, _)| view.store.apply(&batch));
                }
                let instant = group.control.borrow().closed_instant(epoch);
                let mut session = output.session_with_builder(capability);
                group.close(epoch, instant, &mut |rows| session.give_container(&mut Rows(rows)));
                closed = Some(epoch);
            }
            // Idle time passes as well: everything below the open epoch is complete.
            if let Some(idle) = open.and_then(|open| open.checked_sub(1))
                && closed.is_none_or(|closed| closed < idle)
                && let Some(instant) = group.instant(idle)
                && let Some(capability) = epochs.idle(idle)
            {
                let mut session = output.session_with_builder(capability);
                group.close(idle, instant, &mut |rows| session.give_container(&mut Rows(rows)));
            }
            epochs.advance(open);
        }
    })
}

struct Group {
    /// Each with the bytes of its last rows.
    views: Vec<(GroupView, usize)>,
    control: Rc<RefCell<Control>>,
    emitting: bool,
}

impl Group {
    fn instant(&self, epoch: u64) -> Option<i64> {
        self.control.borrow().instant(epoch)
    }

    fn close(&mut self, epoch: u64, instant: i64, hand_on: &mut dyn FnMut(RowBatch)) {
        let number = Epoch::from_micros(epoch);
        let emit = number >= self.control.borrow().emit_from;
        let first = emit && !std::mem::replace(&mut self.emitting, emit);
        for (GroupView { view, store }, row_bytes) in &mut self.views {
            let mut rows = RowSink::new(*view, number, hand_on).expecting(*row_bytes);
            store.close(instant, emit && !first, &mut rows);
            if first {
                store.emit_all(&mut rows);
            }
            *row_bytes = rows.handed_on_bytes();
        }
        self.publish();
    }

    /// With every epoch: whoever sees its rows sees what they say of the keys. It only adds up what is counted already.
    fn publish(&self) {
        let mut control = self.control.borrow_mut();
        for (GroupView { view, store }, _) in &self.views {
            control.stats.insert(*view, store.stats());
        }
    }
}
