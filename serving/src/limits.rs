//! What one server takes at most. Every route has a limit and a deadline.

use std::net::SocketAddr;
use std::time::Duration;

/// Where to listen and with how many threads.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Port 0 takes a free port; [`crate::Server::local_addr`] says which.
    pub listen: SocketAddr,
    /// Serving threads, each with its own runtime and listener; at least one. A connection lives on one thread, so clients
    /// should hold two connections or more per thread.
    pub threads: usize,
    pub limits: Limits,
}

/// Bounds on requests and connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest body of a lookup or metadata request, in bytes.
    pub body_bytes: usize,
    /// Largest body of an ingest request, in bytes.
    pub ingest_body_bytes: usize,
    /// Bytes of request bodies held at once over all connections.
    pub buffered_bytes: usize,
    /// Rows of one batch lookup.
    pub batch_rows: usize,
    /// Lookups worked on at once; more are answered 503.
    pub in_flight: usize,
    /// Ingest requests worked on at once; each may wait for the log's fsync.
    pub ingest_in_flight: usize,
    /// Open connections over all threads; more are answered 503 and closed.
    pub connections: usize,
    /// Bytes of one request's line and headers.
    pub header_bytes: usize,
    /// Header fields of one request.
    pub headers: usize,
    /// Time for a request's headers to arrive, idle keep-alive time included.
    pub header_timeout: Duration,
    /// Time for a request's body to arrive.
    pub body_timeout: Duration,
    /// Time for the store to give a lookup's rows.
    pub lookup_timeout: Duration,
    /// Time for requests in flight to finish when the server stops.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 1 << 20,
            ingest_body_bytes: 16 << 20,
            buffered_bytes: 256 << 20,
            batch_rows: 1000,
            in_flight: 1024,
            ingest_in_flight: 64,
            connections: 10_000,
            header_bytes: 32 << 10,
            headers: 100,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(20),
            lookup_timeout: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
