//! The engine: definitions -> plan -> dataflow -> committed rows.

pub mod clock;
pub mod dataset;
mod dimension;
mod engine;
mod epochs;
pub mod ingest;
mod numbering;
pub mod plan;
pub mod progress;
pub mod render;
pub mod state;
pub mod worker;

pub use engine::{Engine, EngineError, EngineOptions};
pub use state::{Figures, Quantiles, Shared, SourceFigures, ViewFigures};
