//! One row's value: of the row that another column chooses, or of the newest.

use std::cmp::Ordering;

use freshet_config::value::{DataType, Value};

use super::super::codec::Bytes;
use super::super::fold::{compare, value_of};

/// The value where another column is least or greatest; of equals the newest.
#[derive(Clone, Debug)]
pub(in super::super) struct ByFold {
    data_type: DataType,
    order_type: DataType,
    greatest: bool,
    /// Words of the value and of what it was chosen by.
    best: Option<(u64, u64)>,
    /// The best is the core's: what is older must be better.
    of_core: bool,
}

impl ByFold {
    pub fn new(data_type: DataType, order_type: DataType, greatest: bool) -> ByFold {
        ByFold { data_type, order_type, greatest, best: None, of_core: false }
    }

    pub fn reset(&mut self) {
        self.best = None;
        self.of_core = false;
    }

    /// Whether there is one, its value, and what it was chosen by.
    pub fn read(&mut self, bytes: &mut Bytes) -> Option<()> {
        if bytes.byte()? != 0 {
            self.best = Some((bytes.word(self.data_type)?, bytes.word(self.order_type)?));
            self.of_core = true;
        }
        Some(())
    }

    pub fn add(&mut self, value: u64, order: u64, older: bool, heap: &[u8]) {
        let wins = self.best.is_none_or(|(_, best)| {
            let compared = compare(self.order_type, order, best, heap);
            match if self.greatest { compared } else { compared.reverse() } {
                Ordering::Greater => true,
                Ordering::Equal => !(older && self.of_core),
                Ordering::Less => false,
            }
        });
        if wins {
            self.best = Some((value, order));
            self.of_core = false;
        }
    }

    pub fn value(&self, heap: &[u8]) -> Value {
        self.best.map_or(Value::Null, |(word, _)| value_of(word, self.data_type, heap))
    }
}

/// The newest row's value, null included.
#[derive(Clone, Debug)]
pub(in super::super) struct LatestFold {
    data_type: DataType,
    /// Null or not, and the word.
    newest: Option<(bool, u64)>,
    of_core: bool,
}

impl LatestFold {
    pub fn new(data_type: DataType) -> LatestFold {
        LatestFold { data_type, newest: None, of_core: false }
    }

    pub fn reset(&mut self) {
        self.newest = None;
        self.of_core = false;
    }

    /// `1` for null, else `0` and the value.
    pub fn read(&mut self, bytes: &mut Bytes) -> Option<()> {
        let is_null = bytes.byte()? != 0;
        let word = if is_null { 0 } else { bytes.word(self.data_type)? };
        self.newest = Some((is_null, word));
        self.of_core = true;
        Some(())
    }

    pub fn add(&mut self, is_null: bool, word: u64, older: bool) {
        if !(older && self.of_core) {
            self.newest = Some((is_null, word));
        }
    }

    pub fn value(&self, heap: &[u8]) -> Value {
        match self.newest {
            Some((false, word)) => value_of(word, self.data_type, heap),
            _ => Value::Null,
        }
    }
}
