//! The engine: definitions -> plan -> dataflow -> committed rows.

pub mod clock;
pub mod dataset;
pub mod plan;
