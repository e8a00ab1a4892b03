//! Datasets: what a spine may be, what comes out, and that every value is the naive reference's.

#[path = "dataset/fixture.rs"]
mod fixture;
#[path = "dataset/refusals.rs"]
mod refusals;
#[path = "dataset/values.rs"]
mod values;
#[path = "dataset/versus_reference.rs"]
mod versus_reference;
