//! Freshet: connectors.
