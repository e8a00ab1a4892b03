//! What all serving threads share: the catalog, the store, the clock, and the doors to the engine.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use freshet_config::time::EventTime;

use crate::catalog::{Catalog, CatalogCell};
use crate::clock::Clock;
use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::stats::StatsSource;
use crate::store::RowStore;

/// Shared by the server and its owner, who swaps catalogs and says when the server is ready.
pub struct ServingState<S: RowStore> {
    pub catalog: CatalogCell,
    pub store: S,
    pub metrics: Metrics,
    pub readiness: Readiness,
    complete_from: AtomicI64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ingest: Option<Arc<dyn Ingest>>,
    pub(crate) stats: Option<Arc<dyn StatsSource>>,
    pub(crate) started: Instant,
    pub(crate) lookups: Gauge,
    pub(crate) ingests: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) buffered: Gauge,
}

impl<S: RowStore> ServingState<S> {
    /// Not ready until [`Readiness::ready`] is called; without ingest and without engine figures.
    pub fn new(catalog: Catalog, store: S, clock: Arc<dyn Clock>) -> ServingState<S> {
        ServingState {
            catalog: CatalogCell::new(catalog),
            store,
            metrics: Metrics::default(),
            readiness: Readiness::new("starting"),
            complete_from: AtomicI64::new(i64::MIN),
            clock,
            ingest: None,
            stats: None,
            started: Instant::now(),
            lookups: Gauge::default(),
            ingests: Gauge::default(),
            connections: Gauge::default(),
            buffered: Gauge::default(),
        }
    }

    /// From this instant on the store has a row of every key that has events in some window. Before it a key without one
    /// may have had events that no window saw any more when the process started.
    pub fn complete_from(&self) -> EventTime {
        EventTime::from_micros(self.complete_from.load(Ordering::Acquire))
    }

    pub fn set_complete_from(&self, instant: EventTime) {
        self.complete_from.store(instant.micros(), Ordering::Release);
    }

    /// Takes records at `/ingest`.
    pub fn with_ingest(mut self, ingest: Arc<dyn Ingest>) -> ServingState<S> {
        self.ingest = Some(ingest);
        self
    }

    /// Shows the engine's figures on the page and in `/api/v1/stats`.
    pub fn with_stats(mut self, stats: Arc<dyn StatsSource>) -> ServingState<S> {
        self.stats = Some(stats);
        self
    }
}

/// Whether requests should be sent here, and if not, why not.
#[derive(Debug)]
pub struct Readiness {
    reason: Mutex<Option<String>>,
    withheld: AtomicBool,
}

impl Readiness {
    fn new(reason: &str) -> Readiness {
        Readiness { reason: Mutex::new(Some(reason.to_string())), withheld: AtomicBool::new(false) }
    }

    pub fn ready(&self) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.withheld.store(false, Ordering::Release);
    }

    /// Has lookups refused until the server is ready for the first time: the store lacks rows of keys that were seen.
    pub fn withhold(&self) {
        self.withheld.store(true, Ordering::Release);
    }

    /// Whether lookups are refused.
    pub fn withholds(&self) -> bool {
        self.withheld.load(Ordering::Acquire)
    }

    /// Says in a few words why not, such as `recovering: 3 of 8 partitions` or `draining`.
    pub fn not_ready(&self, reason: impl Into<String>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.into());
    }

    /// `None` when ready.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A count of things held, with a bound given by the taker. What is taken is given back when the guard is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    pub fn value(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes `amount` unless that would pass `limit`.
    pub fn take(&self, amount: usize, limit: usize) -> Option<Held> {
        let mut held = Held { gauge: self.clone(), amount: 0 };
        held.grow(amount, limit).then_some(held)
    }
}

/// A share of a [`Gauge`].
#[derive(Debug)]
pub(crate) struct Held {
    gauge: Gauge,
    amount: usize,
}

impl Held {
    /// Takes `amount` more; `false` and nothing taken when that would pass `limit`.
    pub fn grow(&mut self, amount: usize, limit: usize) -> bool {
        let before = self.gauge.0.fetch_add(amount, Ordering::Relaxed);
        if before.saturating_add(amount) > limit {
            self.gauge.0.fetch_sub(amount, Ordering::Relaxed);
            return false;
        }
        self.amount += amount;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.0.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let gauge = Gauge::default();
        let mut first = gauge.take(3, 10).unwrap();
        assert!(gauge.take(8, 10).is_none());
        assert!(first.grow(7, 10));
        assert!(!first.grow(1, 10));
        assert_eq!(gauge.value(), 10);
        drop(first);
        assert_eq!(gauge.value(), 0);
    }
}
