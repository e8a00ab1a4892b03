//! Feature computation. The lower half is pure: expressions, windows, slices, rows, the naive reference.
//! The upper half holds the timely and differential operators, one per file.

pub mod batch;
pub mod changes;
pub mod closed;
pub mod derived;
pub mod enrich;
pub mod exact;
pub mod lookup;
pub mod project;
pub mod reference;
pub mod row;
pub mod slices;
pub mod sql;
pub mod summary;
pub mod view;
pub mod windows;
