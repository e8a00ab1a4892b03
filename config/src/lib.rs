//! What a user declares, and the few value types everything else shares.
//!
//! A definition's way through this crate: YAML text -> a tree of values with their places -> raw form (shape only)
//! -> resolved (names, types, windows; all errors at once) -> [`definitions`] (plain data that later stages trust).
//! Settings take the same way from TOML. Nothing here reads a clock, opens a socket or starts a thread; the only I/O
//! is reading definition and settings files.

pub mod arrays;
pub mod cases;
mod decode;
pub mod definitions;
pub mod diagnostic;
pub mod foreign;
pub mod function;
mod lines;
mod load;
mod raw;
pub mod resolve;
pub mod rows;
mod schema;
pub mod settings;
pub mod time;
mod tree;
pub mod value;
mod yaml;

pub use load::{load, load_cases, load_inspected};
pub use resolve::{Refused, parse};
pub use schema::json_schema;
pub use settings::Settings;
