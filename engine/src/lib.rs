//! The engine: definitions -> plan -> dataflow -> committed rows.

pub mod arrays;
pub mod clock;
pub mod plan;
pub mod progress;
pub mod render;
pub mod worker;
