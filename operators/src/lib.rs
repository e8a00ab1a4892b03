//! Feature computation. The lower half is pure: expressions, windows, slices, rows, the naive reference.
//! The upper half holds the timely and differential operators, one per file.

pub mod enrich;
pub mod lookup;
pub mod reference;
pub mod row;
pub mod sql;
pub mod view;
