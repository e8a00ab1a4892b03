//! Freshet: connectors.
pub mod store;
