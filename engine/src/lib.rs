//! The engine: definitions -> plan -> dataflow -> committed rows.

pub mod plan;
