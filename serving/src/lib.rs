//! Freshet: serving.
