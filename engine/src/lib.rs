//! The engine: definitions -> plan -> dataflow -> committed rows.

pub mod clock;
pub mod ingest;
pub mod plan;
