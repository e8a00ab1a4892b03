//! Lists of the oldest or newest values: what is older than the core, the core, what is newer.
//!
//! Law: the core is the list of its own events, which is enough: of a distinct list cut to `n` values, no further value
//! of the core can be among the `n` of the whole.

use freshet_config::value::{DataType, Value};

use super::super::codec::Bytes;
use super::super::fold::{same, value_of};

#[derive(Clone, Debug)]
pub(in super::super) struct ListFold {
    n: usize,
    newest: bool,
    distinct: bool,
    data_type: DataType,
    has_core: bool,
    /// Words of values before the core, ascending.
    older: Vec<u64>,
    /// Words of the core's values, and of those after it.
    items: Vec<u64>,
}

impl ListFold {
    pub fn new(n: usize, newest: bool, distinct: bool, data_type: DataType) -> ListFold {
        ListFold { n, newest, distinct, data_type, has_core: false, older: Vec::new(), items: Vec::new() }
    }

    pub fn reset(&mut self) {
        self.has_core = false;
        self.older.clear();
        self.items.clear();
    }

    pub fn read(&mut self, bytes: &mut Bytes) -> Option<()> {
        self.has_core = true;
        for _ in 0..bytes.count()? {
            self.items.push(bytes.word(self.data_type)?);
        }
        Some(())
    }

    pub fn add(&mut self, word: u64, older: bool, heap: &[u8]) {
        let ListFold { n, newest, distinct, data_type, .. } = *self;
        let list = if older && self.has_core { &mut self.older } else { &mut self.items };
        if !newest {
            // The first ones are there to stay.
            if list.len() < n && !(distinct && list.iter().any(|w| same(data_type, *w, word, heap))) {
                list.push(word);
            }
            return;
        }
        list.push(word);
        if list.len() > 2 * n + 32 {
            let mut kept = Vec::with_capacity(n);
            take(list.iter().rev(), n, distinct, data_type, heap, &mut kept);
            kept.reverse();
            *list = kept;
        }
    }

    /// At most `n` of them, ascending.
    pub fn values(&self, n: usize, heap: &[u8]) -> Vec<Value> {
        let mut kept = Vec::new();
        let (n, distinct, data_type) = (n.min(self.n), self.distinct, self.data_type);
        if self.newest {
            take(self.items.iter().rev(), n, distinct, data_type, heap, &mut kept);
            take(self.older.iter().rev(), n, distinct, data_type, heap, &mut kept);
            kept.reverse();
        } else {
            take(self.older.iter(), n, distinct, data_type, heap, &mut kept);
            take(self.items.iter(), n, distinct, data_type, heap, &mut kept);
        }
        kept.into_iter().map(|word| value_of(word, data_type, heap)).collect()
    }
}

/// Takes words until there are `n`.
fn take<'a>(
    words: impl Iterator<Item = &'a u64>,
    n: usize,
    distinct: bool,
    data_type: DataType,
    heap: &[u8],
    kept: &mut Vec<u64>,
) {
    for word in words {
        if kept.len() >= n {
            return;
        }
        if !(distinct && kept.iter().any(|known| same(data_type, *known, *word, heap))) {
            kept.push(*word);
        }
    }
}
