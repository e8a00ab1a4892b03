//! What a user declares, and the few value types everything else shares.
//!
//! A definition's way through this crate: YAML text -> [`raw`] form (shape only, every field with its position)
//! -> [`resolve`] (names, types, windows; all errors at once) -> [`definitions`] (plain data that later stages trust).
//! Nothing here reads a clock, opens a socket or starts a thread; the only I/O is reading definition files.

pub mod definitions;
pub mod diagnostic;
pub mod rows;
pub mod time;
pub mod value;
