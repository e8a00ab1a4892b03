//! The outside world: files, the embedded log and Kafka in; online stores, offline files and the ledger out.
//!
//! Everything here knows definitions and values only; no dataflow types.

pub mod changes;
pub mod events;
pub mod explode;
pub mod files;
pub mod json;
pub mod kafka;
pub mod last_epoch;
pub mod ledger;
pub mod log;
pub mod malformed;
pub mod offline;
pub mod position;
pub mod positions;
mod row;
pub mod store;
