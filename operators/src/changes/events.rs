//! Events of one key, in canonical order: the state that changes are derived from.

use freshet_config::value::DataType;

use crate::batch::{KeyedBatch, heap_bytes, heap_word};
use crate::row::{Fold, Members};
use crate::view::ViewPlan;

/// Events of one key that pass the view's filter.
#[derive(Clone, Debug, Default)]
pub struct KeyEvents {
    /// In the order of (time, position).
    events: Vec<KeyEvent>,
    /// Texts of the events, and of some that are gone: less than 4 GiB, since places in it are 32 bits wide. A text that
    /// finds no room counts as null.
    heap: Vec<u8>,
    /// Bytes of the heap that events name.
    live: usize,
}

#[derive(Clone, Debug)]
struct KeyEvent {
    /// Microseconds.
    time: i64,
    position: u64,
    /// Which columns of the view are null, a bit each.
    nulls: u64,
    /// One per column of the view; null ones are 0, texts places in the heap.
    words: Box<[u64]>,
}

impl KeyEvent {
    fn order(&self) -> (i64, u64) {
        (self.time, self.position)
    }
}

impl KeyEvents {
    pub fn len(&self) -> usize {
        self.events.len()
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn times(&self) -> impl Iterator<Item = i64> {
        self.events.iter().map(|event| event.time)
    }

    pub(super) fn heap(&self) -> &[u8] {
        &self.heap
    }

    /// The number of the first event at `time` or later.
    pub(super) fn first_at(&self, time: i64) -> usize {
        self.events.partition_point(|event| event.time < time)
    }

    /// Adds an event to the windows of `members`, after all that were added before.
    pub(super) fn fold(&self, event: usize, view: &ViewPlan, members: u64, fold: &mut Fold) {
        let KeyEvent { time, nulls, words, .. } = &self.events[event];
        fold.add(view, Members { members, older: 0 }, *time, *nulls, words, &self.heap);
    }

    /// The word of a column; `None`: null.
    pub(super) fn word(&self, event: usize, column: usize) -> Option<u64> {
        let event = &self.events[event];
        (event.nulls >> column & 1 == 0).then(|| event.words[column])
    }

    /// Adds event `i` of a batch; `columns` holds, per column of the view, that of the batch. After the last one comes
    /// [`KeyEvents::order`].
    pub fn add(&mut self, view: &ViewPlan, columns: &[usize], batch: &KeyedBatch, i: usize) {
        let event = self.event(view, columns, batch, i);
        self.live += texts(view, &event);
        self.events.push(event);
    }

    /// Puts events that were added into their order; little work where they came in order.
    pub fn order(&mut self) {
        if !self.events.is_sorted_by_key(KeyEvent::order) {
            self.events.sort_by_key(KeyEvent::order);
        }
    }

    /// Takes back, of events in order, one of the same time, position and values. `false` when there is none.
    pub fn remove(&mut self, view: &ViewPlan, columns: &[usize], batch: &KeyedBatch, i: usize) -> bool {
        let wanted = self.event(view, columns, batch, i);
        let first = self.events.partition_point(|known| known.order() < wanted.order());
        let equals = self.events[first..].iter().take_while(|known| known.order() == wanted.order());
        let found = equals.into_iter().position(|known| self.same_values(view, known, &wanted));
        if let Some(offset) = found {
            self.live -= texts(view, &wanted);
            self.events.remove(first + offset);
        }
        self.compact(view);
        found.is_some()
    }

    /// Lets go of events before `time`.
    pub fn trim(&mut self, view: &ViewPlan, time: i64) {
        let gone = self.first_at(time);
        for event in self.events.drain(..gone) {
            self.live -= texts(view, &event);
        }
        self.compact(view);
        if self.events.capacity() > 4 * self.events.len() {
            self.events.shrink_to(2 * self.events.len());
        }
    }

    fn event(&mut self, view: &ViewPlan, columns: &[usize], batch: &KeyedBatch, i: usize) -> KeyEvent {
        let batch_nulls = batch.nulls.get(i).copied().unwrap_or(0);
        let mut nulls = 0;
        let mut words = vec![0; view.columns.len()].into_boxed_slice();
        for (c, (column, from)) in view.columns.iter().zip(columns).enumerate() {
            let null = batch_nulls >> from & 1;
            nulls |= null << c;
            if null == 1 {
                continue;
            }
            let word = batch.columns[*from][i];
            words[c] = match (&column.sketch, column.data_type) {
                (Some(sketch), _) => sketch.word(word, &batch.heap),
                (None, DataType::String) => {
                    let text = heap_bytes(&batch.heap, word);
                    if self.heap.len() + text.len() > u32::MAX as usize {
                        nulls |= 1 << c;
                        continue;
                    }
                    self.heap.extend_from_slice(text);
                    heap_word(self.heap.len() - text.len(), text.len())
                }
                (None, _) => word,
            };
        }
        KeyEvent { time: batch.time[i], position: batch.position.get(i).copied().unwrap_or(0), nulls, words }
    }

    fn same_values(&self, view: &ViewPlan, a: &KeyEvent, b: &KeyEvent) -> bool {
        let same = |c: usize| match view.columns[c].data_type {
            DataType::String => heap_bytes(&self.heap, a.words[c]) == heap_bytes(&self.heap, b.words[c]),
            _ => a.words[c] == b.words[c],
        };
        a.nulls == b.nulls && (0..a.words.len()).all(same)
    }

    /// Rewrites the heap once most of it belongs to nobody.
    fn compact(&mut self, view: &ViewPlan) {
        if self.heap.len() < 64 || self.heap.len() < 2 * self.live {
            return;
        }
        let old = std::mem::take(&mut self.heap);
        self.heap.reserve(self.live);
        for event in &mut self.events {
            for (c, word) in event.words.iter_mut().enumerate() {
                if view.columns[c].data_type == DataType::String && event.nulls >> c & 1 == 0 {
                    let text = heap_bytes(&old, *word);
                    self.heap.extend_from_slice(text);
                    *word = heap_word(self.heap.len() - text.len(), text.len());
                }
            }
        }
    }
}

/// Bytes of an event's texts.
fn texts(view: &ViewPlan, event: &KeyEvent) -> usize {
    let text = |(c, word): (usize, &u64)| match view.columns[c].data_type {
        DataType::String if event.nulls >> c & 1 == 0 => *word as u32 as usize,
        _ => 0,
    };
    event.words.iter().enumerate().map(text).sum()
}
