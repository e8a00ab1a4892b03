//! The server through real sockets: every route, every refusal, and what a connection survives.

#[path = "http_server/client.rs"]
mod client;
#[path = "http_server/fixture.rs"]
mod fixture;

#[path = "http_server/connections.rs"]
mod connections;
#[path = "http_server/derived.rs"]
mod derived;
#[path = "http_server/ingest.rs"]
mod ingest;
#[path = "http_server/lookups.rs"]
mod lookups;
#[path = "http_server/operations.rs"]
mod operations;
