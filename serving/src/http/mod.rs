//! HTTP: threads and connections, bodies within limits, routes, replies.

mod body;
mod handler;
pub(crate) mod reply;
mod routes;
mod server;
mod wire;

pub use server::{Server, ServerError};
