//! The read side: lookups over HTTP in Tecton's wire format, pushed records, health, figures and a page to look at.
//!
//! A request's way: [`http`] (thread, connection, limits, route) -> [`request`] (strict JSON, join keys) -> [`catalog`]
//! (the service's plan) -> [`store`] (one call for all rows) -> [`readers`] (values at the instant) -> [`answer`].
//! Serving never knows the engine: the binary hands in a [`RowStore`], an [`Ingest`] and sources of figures.

mod answer;
mod catalog;
mod clock;
mod error;
mod histogram;
mod http;
mod ingest;
mod json;
mod limits;
mod lookup;
mod metrics;
mod page;
mod readers;
mod request;
mod state;
mod stats;
mod store;

pub use catalog::{Catalog, CatalogCell, ServedService};
pub use clock::{Clock, SystemClock};
pub use http::{Server, ServerError};
pub use ingest::{Ingest, IngestError, IngestReport, RecordRejection};
pub use limits::{Limits, ServerConfig};
pub use metrics::{Metrics, MetricsSource, escape_label};
pub use state::{Readiness, ServingState};
pub use stats::{
    EngineStats, LedgerStats, Quantiles, ServiceStats, ServingStats, SourceStats, Stats, StatsSource, ViewStats,
};
pub use store::{KeyReads, RowSink, RowStore, StoreError};
