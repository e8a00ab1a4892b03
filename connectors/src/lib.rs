//! Freshet: connectors.

pub mod offline;
pub mod store;
