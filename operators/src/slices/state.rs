//! The state of a view, of either kind.

use super::categories::CategoryStore;
use super::sink::RowSink;
use super::store::{ViewStats, ViewStore};
use crate::batch::KeyedBatch;

pub enum ViewState {
    Plain(Box<ViewStore>),
    ByCategory(Box<CategoryStore>),
}

impl ViewState {
    /// As [`ViewStore::of_withheld`].
    pub fn of_withheld(self) -> ViewState {
        match self {
            ViewState::Plain(store) => store.of_withheld().into(),
            ViewState::ByCategory(store) => store.of_withheld().into(),
        }
    }

    /// Adds the events that pass this view's filter.
    pub fn apply(&mut self, batch: &KeyedBatch) {
        match self {
            ViewState::Plain(store) => store.apply(batch),
            ViewState::ByCategory(store) => store.apply(batch),
        }
    }

    /// Closes the epoch at instant `at` and hands on the rows it changed.
    pub fn close(&mut self, at: i64, emit: bool, rows: &mut RowSink) {
        match self {
            ViewState::Plain(store) => store.close(at, emit, rows),
            ViewState::ByCategory(store) => store.close(at, emit, rows),
        }
    }

    /// Writes one row per live key.
    pub fn emit_all(&mut self, rows: &mut RowSink) {
        match self {
            ViewState::Plain(store) => store.emit_all(rows),
            ViewState::ByCategory(store) => store.emit_all(rows),
        }
    }

    pub fn stats(&self) -> ViewStats {
        match self {
            ViewState::Plain(store) => store.stats(),
            ViewState::ByCategory(store) => store.stats(),
        }
    }
}

impl From<ViewStore> for ViewState {
    fn from(store: ViewStore) -> ViewState {
        ViewState::Plain(Box::new(store))
    }
}

impl From<CategoryStore> for ViewState {
    fn from(store: CategoryStore) -> ViewState {
        ViewState::ByCategory(Box::new(store))
    }
}
