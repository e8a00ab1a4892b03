//! What a running engine tells about itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use freshet_config::time::{Epoch, EventTime};
use freshet_operators::slices::ViewStats;
use hdrhistogram::Histogram;

use crate::ingest::{IntakeCounts, Lag, Trouble};
use crate::plan::Plan;
use crate::progress::{Failure, Tally};
use crate::worker::SharedStats;

/// Figures at one moment.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub sources: Vec<SourceFigures>,
    pub views: Vec<ViewFigures>,
    /// Events taken into epochs per second, over the last seconds.
    pub events_per_second: f64,
    /// From taking a record in to its effect being readable, microseconds.
    pub freshness_us: Option<Quantiles>,
    /// Everything before it is readable.
    pub frontier: Epoch,
    /// When the last epoch that is readable was closed; its number may be ahead of the clock.
    pub closed_at: Option<EventTime>,
    pub epochs: u64,
    /// Which sources and dimensions do not get on at the moment, and why.
    pub trouble: Option<String>,
    /// Why the engine has stopped writing.
    pub failed: Option<String>,
}

/// Exact percentiles of what was recorded, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    pub p50: u64,
    pub p99: u64,
}

/// Since the process started: `consumed = admitted + late + future + duplicate + unparsable + filtered` once what was
/// read is in an epoch; until then events that a filter will leave out count as admitted. The ledger's own counts are
/// others: it is kept over restarts, and does not take twice what a restart reads again.
#[derive(Clone, Debug, Default)]
pub struct SourceFigures {
    pub name: String,
    /// Records read, without those passed over.
    pub consumed: u64,
    /// Events of the history that no window reaches any more.
    pub passed_over: u64,
    /// Events that at least one view took.
    pub admitted: u64,
    pub late: u64,
    pub future: u64,
    pub duplicate: u64,
    pub unparsable: u64,
    pub filtered: u64,
    /// Records behind the end of the stream, where known.
    pub position_lag: Option<u64>,
}

/// A view of the definitions' author, whatever parts it is computed in; a key counts once per part that has it.
#[derive(Clone, Debug, Default)]
pub struct ViewFigures {
    pub name: String,
    pub keys: u64,
    pub dense_keys: u64,
    pub state_bytes: u64,
    pub rows_written: u64,
    pub expired_on_arrival: u64,
    /// Keys with more categories than are allowed.
    pub keys_over_category_limit: u64,
    /// Dense keys with a window of more distinct values than some function may count.
    pub keys_over_value_limit: u64,
}

/// Counters of one pipeline's reader, published by its thread.
#[derive(Default)]
pub struct ReaderGauge {
    pub counts: Mutex<IntakeCounts>,
    /// Log offset behind the last delivered record.
    pub log_offset: AtomicU64,
    /// Of readers of a stream.
    lag: OnceLock<Lag>,
}

impl ReaderGauge {
    /// Has figures say how far the reader is behind.
    pub(crate) fn follow(&self, lag: Lag) {
        // A pipeline has one reader.
        let _ = self.lag.set(lag);
    }
}

/// Shared by the coordinator, the readers and whoever asks.
pub struct Shared {
    pub plan: Arc<Plan>,
    pub failure: Arc<Failure>,
    pub tallies: Arc<Vec<Tally>>,
    /// One per pipeline; those of changes of views have no reader.
    pub readers: Vec<ReaderGauge>,
    pub stats: SharedStats,
    ready: AtomicBool,
    taken: Vec<AtomicU64>,
    /// By input, why it does not get on.
    troubles: Mutex<BTreeMap<String, (&'static str, Trouble)>>,
    progress: Mutex<Progress>,
}

struct Progress {
    frontier: Epoch,
    closed_at: Option<EventTime>,
    epochs: u64,
    freshness_us: Histogram<u64>,
    rate: f64,
    rate_base: (Instant, u64),
}

/// The rate is taken over at least this long, the first one sooner: whoever starts an engine looks at once.
const RATE_SECONDS: f64 = 1.0;
const FIRST_RATE_SECONDS: f64 = 0.1;

impl Shared {
    pub fn new(plan: Arc<Plan>, failure: Arc<Failure>, tallies: Arc<Vec<Tally>>, stats: SharedStats) -> Shared {
        let pipelines = plan.pipelines.len();
        // Two digits from 1 us to an hour: the bounds are valid, so this cannot fail.
        let freshness_us = Histogram::new_with_bounds(1, 3_600_000_000, 2).expect("valid bounds");
        Shared {
            failure,
            tallies,
            readers: (0..pipelines).map(|_| ReaderGauge::default()).collect(),
            stats,
            ready: AtomicBool::new(false),
            taken: (0..pipelines).map(|_| AtomicU64::new(0)).collect(),
            troubles: Mutex::default(),
            progress: Mutex::new(Progress {
                frontier: Epoch::default(),
                closed_at: None,
                epochs: 0,
                freshness_us,
                rate: 0.0,
                rate_base: (Instant::now(), 0),
            }),
            plan,
        }
    }

    pub fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Events of a pipeline went into an epoch.
    pub(crate) fn taken(&self, pipeline: usize, rows: usize) {
        self.taken[pipeline].fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// All workers have finished an epoch, which was closed at `instant`.
    pub(crate) fn finished(&self, epoch: Epoch, instant: EventTime, record_times: &[EventTime], now: EventTime) {
        let total = self.taken.iter().map(|t| t.load(Ordering::Relaxed)).sum();
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.frontier = Epoch::from_micros(epoch.micros() + 1);
        progress.closed_at = Some(instant);
        progress.epochs += 1;
        // What is read before the first rows are written waits for them: that says nothing of the time afterwards.
        let counted = if self.ready() { record_times } else { &[] };
        for at in counted {
            let late_us = (now - *at).micros().clamp(1, 3_600_000_000) as u64;
            progress.freshness_us.saturating_record(late_us);
        }
        let (since, base) = progress.rate_base;
        let seconds = since.elapsed().as_secs_f64();
        let least = if base == 0 { FIRST_RATE_SECONDS } else { RATE_SECONDS };
        if total == 0 {
            // Nothing has come yet: the first rate counts from where it does.
            progress.rate_base = (Instant::now(), 0);
        } else if seconds >= least {
            progress.rate = (total - base) as f64 / seconds;
            progress.rate_base = (Instant::now(), total);
        }
    }

    /// Forgets freshness recorded so far, so that the next figures speak of what follows.
    pub fn reset_freshness(&self) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).freshness_us.reset();
    }

    pub fn figures(&self) -> Figures {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let freshness = &progress.freshness_us;
        let quantile = |q| freshness.value_at_quantile(q);
        let freshness_us = (!freshness.is_empty()).then(|| Quantiles { p50: quantile(0.5), p99: quantile(0.99) });
        let figures = Figures {
            sources: Vec::new(),
            views: self.views(),
            events_per_second: progress.rate,
            freshness_us,
            frontier: progress.frontier,
            closed_at: progress.closed_at,
            epochs: progress.epochs,
            trouble: self.trouble(),
            failed: self.failure.get().map(str::to_string),
        };
        drop(progress);
        Figures { sources: self.sources(), ..figures }
    }

    /// Notes why an input does not get on, or that it does. `kind` is what it is in the definitions; names are unique.
    pub(crate) fn set_trouble(&self, kind: &'static str, name: &str, trouble: Option<Trouble>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => _ = troubles.insert(name.to_string(), (kind, trouble)),
            None => _ = troubles.remove(name),
        }
    }

    /// Which inputs failed to get on, and why.
    pub fn trouble(&self) -> Option<String> {
        self.troubles_that(|trouble| !matches!(trouble, Trouble::Waits(_)))
    }

    /// Which inputs give nothing at the moment, failed or not.
    pub fn standstill(&self) -> Option<String> {
        self.troubles_that(|trouble| !matches!(trouble, Trouble::Beside(_)))
    }

    /// Which inputs give nothing any more until somebody does something.
    pub fn ended(&self) -> Option<String> {
        self.troubles_that(|trouble| matches!(trouble, Trouble::Ends(_)))
    }

    fn troubles_that(&self, wanted: impl Fn(&Trouble) -> bool) -> Option<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = troubles.iter().filter(|(_, (_, trouble))| wanted(trouble));
        let all: Vec<String> = wanted.map(|(name, (kind, trouble))| trouble.sentence(kind, name)).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    fn views(&self) -> Vec<ViewFigures> {
        let workers = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        let mut views: Vec<ViewFigures> = Vec::new();
        // Parts of a view stand one after the other.
        for (index, view) in self.plan.definitions.views.iter().enumerate() {
            if views.last().is_none_or(|last| last.name != view.served_as) {
                views.push(ViewFigures { name: view.served_as.clone(), ..ViewFigures::default() });
            }
            if let Some(figures) = views.last_mut() {
                workers.iter().filter_map(|views| views.get(&index)).for_each(|stats| figures.add(stats));
            }
        }
        views
    }

    fn sources(&self) -> Vec<SourceFigures> {
        // Changes of views come from no source.
        let pipelines = self.plan.pipelines.iter().enumerate().filter(|(_, pipeline)| pipeline.is_read());
        let figures = pipelines.map(|(p, pipeline)| {
            let source = &self.plan.definitions.sources[pipeline.source];
            let (reader, tally) = (&self.readers[p], &self.tallies[pipeline.source]);
            let counts = *reader.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let refused = tally.refused();
            SourceFigures {
                name: source.name.clone(),
                consumed: counts.consumed - counts.expired + refused.consumed,
                passed_over: counts.expired,
                admitted: counts.delivered.saturating_sub(tally.left_out()),
                late: counts.late + refused.late,
                future: counts.future + refused.future,
                duplicate: counts.duplicate,
                unparsable: counts.unparsable() + refused.unparsable() + tally.keyless(),
                filtered: counts.filtered + tally.filtered(),
                position_lag: reader.lag.get().and_then(Lag::records),
            }
        });
        figures.collect()
    }
}

impl ViewFigures {
    fn add(&mut self, stats: &ViewStats) {
        self.keys += stats.keys;
        self.dense_keys += stats.dense_keys;
        self.state_bytes += stats.state_bytes;
        self.rows_written += stats.rows;
        self.expired_on_arrival += stats.expired_on_arrival;
        self.keys_over_category_limit += stats.keys_over_category_limit;
        self.keys_over_value_limit += stats.keys_over_value_limit;
    }
}
