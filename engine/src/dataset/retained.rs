//! Events of the keys asked for, packed: what is left of a history once nobody else's events are in it.

use std::collections::HashMap;

use freshet_operators::batch::{BatchShape, KeyedBatch, heap_bytes};
use freshet_operators::view::Category;

/// Events of one group, by key.
#[derive(Debug, Default)]
pub(super) struct Retained {
    /// Per key of the request, its events in the order they were read.
    pub keys: Vec<Vec<EventPlace>>,
    columns: usize,
    /// Per event: which views it passes, which columns are null, a word per column.
    words: Vec<u64>,
    texts: Texts,
    categories: Vec<Category>,
    category_numbers: HashMap<Category, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventPlace {
    /// Microseconds.
    pub time: i64,
    /// Order among equal times.
    pub position: u64,
    /// Order of reading, and where the event's words stand.
    pub event: usize,
    /// Number of the event's category.
    category: usize,
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetainedEvent<'r> {
    pub passes: u64,
    pub nulls: u64,
    /// Words of strings are numbers for [`Retained::text`].
    pub words: &'r [u64],
}

#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Retained {
    pub fn new(keys: usize, columns: usize) -> Retained {
        Retained { keys: vec![Vec::new(); keys], columns, ..Retained::default() }
    }

    /// Appends event `i` of a batch to those of key `slot`.
    pub fn push(&mut self, slot: usize, category: Option<Category>, shape: &BatchShape, batch: &KeyedBatch, i: usize) {
        let stride = 2 + self.columns;
        let place = EventPlace {
            time: batch.time[i],
            position: batch.position.get(i).copied().unwrap_or(0),
            event: self.words.len() / stride,
            category: category.map_or(0, |category| self.number(category)),
        };
        let nulls = batch.nulls.get(i).copied().unwrap_or(0);
        self.words.push(batch.passes.get(i).copied().unwrap_or(u64::MAX));
        self.words.push(nulls);
        for (c, column) in batch.columns.iter().enumerate() {
            let is_text = shape.heap_columns >> c & 1 == 1 && nulls >> c & 1 == 0;
            let word = if is_text { self.texts.push(heap_bytes(&batch.heap, column[i])) } else { column[i] };
            self.words.push(word);
        }
        self.keys[slot].push(place);
    }

    fn number(&mut self, category: Category) -> usize {
        let next = self.categories.len();
        if let Some(number) = self.category_numbers.get(&category) {
            return *number;
        }
        self.categories.push(category.clone());
        self.category_numbers.insert(category, next);
        next
    }

    /// `None` for events of views without categories.
    pub fn category(&self, place: &EventPlace) -> Option<&Category> {
        self.categories.get(place.category)
    }

    pub fn event(&self, place: &EventPlace) -> RetainedEvent<'_> {
        let stride = 2 + self.columns;
        let words = &self.words[place.event * stride..][..stride];
        RetainedEvent { passes: words[0], nulls: words[1], words: &words[2..] }
    }

    pub fn text(&self, word: u64) -> &[u8] {
        self.texts.get(word as usize)
    }
}

impl Texts {
    fn push(&mut self, text: &[u8]) -> u64 {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        self.ends.len() as u64 - 1
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}
