//! Freshet: engine.
