//! Feature computation. The lower half is pure: expressions, windows, slices, rows, the naive reference.
//! The upper half holds the timely and differential operators, one per file.

pub mod batch;
pub mod exact;
pub mod lookup;
pub mod row;
pub mod slices;
pub mod view;
