//! The engine: definitions -> plan -> dataflow -> committed rows.

pub mod arrays;
pub mod clock;
pub mod epochs;
pub mod plan;
pub mod progress;
pub mod render;
pub mod state;
pub mod worker;
