//! Freshet: connectors.

pub mod events;
pub mod files;
pub mod json;
pub mod kafka;
pub mod ledger;
pub mod log;
pub mod position;
pub mod positions;
mod row;
