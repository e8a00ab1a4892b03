//! The figures of the page: how much, how fresh, how fast, and what was not admitted.

use std::time::Instant;

use serde::Serialize;

use crate::histogram::Latencies;
use crate::metrics::Merged;
use crate::state::ServingState;
use crate::store::RowStore;

/// Gives the engine's figures. Implemented by the binary; called once per look at the page.
pub trait StatsSource: Send + Sync + 'static {
    fn stats(&self) -> EngineStats;
}

/// The engine at one moment. What is not known is left out.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineStats {
    /// Events consumed since the start, whatever became of them.
    pub events: Option<u64>,
    pub events_per_second: Option<f64>,
    /// Rows written to the online store since the start.
    pub rows_written: Option<u64>,
    /// How far the last committed epoch is behind the clock.
    pub frontier_lag_seconds: Option<f64>,
    /// From an event's arrival to its row in the store.
    pub freshness_seconds: Option<Quantiles>,
    /// Events read but not yet taken in.
    pub backlog_events: Option<u64>,
    pub state_bytes: Option<u64>,
    pub sources: Vec<SourceStats>,
    pub views: Vec<ViewStats>,
    pub ledger: Vec<LedgerStats>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStats {
    pub name: String,
    pub consumed: u64,
    pub admitted: u64,
    pub backlog: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewStats {
    pub name: String,
    pub keys: Option<u64>,
    pub rows_written: Option<u64>,
    pub state_bytes: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerStats {
    pub source: String,
    /// `late`, `duplicate`, `unparsable`, ...
    pub reason: String,
    pub records: u64,
}

/// Everything the page shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    pub version: &'static str,
    pub workspace: String,
    pub plan: String,
    pub now: String,
    pub uptime_seconds: u64,
    /// Why requests should not be sent here; null when ready.
    pub not_ready: Option<String>,
    pub serving: ServingStats,
    pub services: Vec<ServiceStats>,
    /// Null where serving runs without an engine.
    pub engine: Option<EngineStats>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServingStats {
    pub lookups: u64,
    /// Answers with a status of 400 and above.
    pub refused: u64,
    /// Lookups of the last ten to twenty seconds.
    pub lookups_per_second: f64,
    pub latency_seconds: Quantiles,
    pub rows_read: u64,
    pub rows_found: u64,
    pub in_flight: usize,
    pub connections: usize,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStats {
    pub name: String,
    pub features: usize,
    /// Names of the join keys.
    pub join_keys: Vec<String>,
    pub lookups: u64,
    /// Since the start.
    pub latency_seconds: Quantiles,
}

impl From<&Latencies> for Quantiles {
    fn from(times: &Latencies) -> Quantiles {
        let [(_, p50), (_, p99), (_, p999)] = times.quantiles();
        Quantiles { p50, p99, p999 }
    }
}

impl<S: RowStore> ServingState<S> {
    /// The figures of this moment.
    pub fn stats(&self) -> Stats {
        let now = Instant::now();
        let (catalog, merged) = (self.catalog.get(), self.metrics.merged(now));
        let seconds = merged.recent_span.as_secs_f64();
        let rate = if seconds > 0.0 { merged.recent.count() as f64 / seconds } else { 0.0 };
        let services = catalog.services().iter().map(|service| {
            let times = of_service(&merged, &service.name);
            ServiceStats {
                name: service.plan.name.clone(),
                features: service.plan.features.len(),
                join_keys: service.plan.join_keys.iter().map(|key| key.name.clone()).collect(),
                lookups: times.count(),
                latency_seconds: Quantiles::from(&times),
            }
        });
        Stats {
            version: env!("CARGO_PKG_VERSION"),
            workspace: catalog.workspace().to_string(),
            plan: catalog.plan_id().to_string(),
            now: self.clock.now().to_string(),
            uptime_seconds: now.saturating_duration_since(self.started).as_secs(),
            not_ready: self.readiness.reason(),
            serving: ServingStats {
                lookups: merged.lookups(),
                refused: merged.requests_from(400),
                lookups_per_second: rate,
                latency_seconds: Quantiles::from(&merged.recent),
                rows_read: merged.rows_read,
                rows_found: merged.rows_found,
                in_flight: self.lookups.value() + self.ingests.value(),
                connections: self.connections.value(),
            },
            services: services.collect(),
            engine: self.stats.as_ref().map(|source| source.stats()),
        }
    }
}

fn of_service(merged: &Merged, name: &str) -> Latencies {
    let mut times = Latencies::default();
    for ((route, service), some) in &merged.latencies {
        if route.is_lookup() && service.as_ref() == name {
            times.add(some);
        }
    }
    times
}
