//! Slices: the only state. Per key a sorted list of what happened, and what follows from it.
//!
//! A slice is one event (time, order, values). A key with few slices keeps just the list (`sparse`: 64 bytes of
//! header, small blocks). A dense key (`dense`) adds, per window, an exact running core, two cursors and, for minima
//! and maxima, suffix lists: all rebuilt from slices, never stored.

mod categories;
mod close;
mod crowded;
mod dense;
mod keys;
mod layout;
mod leases;
mod limits;
mod members;
mod parts;
mod sink;
mod slab;
mod sparse;
mod state;
mod store;
mod strings;

pub use categories::CategoryStore;
pub use layout::Layout;
pub(crate) use layout::{order_word, value_word};
pub use sink::RowSink;
pub use state::ViewState;
pub use store::{Tuning, ViewStats, ViewStore};
