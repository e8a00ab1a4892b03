//! Figures of the server: recorded per thread, merged when somebody asks, written as Prometheus text.
//!
//! A label is always from a bounded set: routes, statuses, services and views of the plan. Nothing a caller invents becomes
//! one.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use freshet_operators::row::Status;

use crate::catalog::ServedService;
use crate::histogram::{Latencies, Recent};

/// Adds its own figures, in Prometheus text, to every scrape. Implemented by the binary for engine, ledger and store.
pub trait MetricsSource: Send + Sync + 'static {
    /// Appends whole families: `# HELP`, `# TYPE`, samples. Names begin with `freshet_`.
    fn render(&self, out: &mut String);
}

/// What a request was for; the label `route`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    GetFeatures,
    GetFeaturesBatch,
    Metadata,
    Ingest,
    /// Health, metrics, page and figures.
    Operations,
    /// No route of this server.
    Unknown,
}

impl Route {
    pub fn name(self) -> &'static str {
        match self {
            Route::GetFeatures => "get-features",
            Route::GetFeaturesBatch => "get-features-batch",
            Route::Metadata => "metadata",
            Route::Ingest => "ingest",
            Route::Operations => "operations",
            Route::Unknown => "unknown",
        }
    }

    /// Whether the route reads rows.
    pub fn is_lookup(self) -> bool {
        matches!(self, Route::GetFeatures | Route::GetFeaturesBatch)
    }
}

/// One finished request.
#[derive(Clone, Debug)]
pub struct Finished {
    pub route: Route,
    /// The service, once it is known to exist.
    pub service: Option<Arc<str>>,
    pub status: u16,
    pub elapsed: Duration,
    /// Rows of the store that were asked for, and that were there.
    pub rows_read: u64,
    pub rows_found: u64,
}

/// One thread's figures. Only its own thread records, so that the lock is free but for a scrape.
#[derive(Debug, Default)]
pub struct ThreadMetrics {
    figures: Mutex<Figures>,
}

#[derive(Debug, Default)]
struct Figures {
    requests: HashMap<(Route, u16), u64>,
    latencies: HashMap<(Route, Arc<str>), Latencies>,
    recent: Recent,
    rows_read: u64,
    rows_found: u64,
    shed: HashMap<&'static str, u64>,
    errors: HashMap<ErrorLabels, u64>,
}

/// Service, view, and why a value was an error.
type ErrorLabels = (Arc<str>, Arc<str>, &'static str);

impl ThreadMetrics {
    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn record(&self, finished: &Finished, now: Instant) {
        let mut figures = self.figures();
        *figures.requests.entry((finished.route, finished.status)).or_default() += 1;
        figures.rows_read += finished.rows_read;
        figures.rows_found += finished.rows_found;
        let Some(service) = &finished.service else { return };
        figures.latencies.entry((finished.route, service.clone())).or_default().record(finished.elapsed);
        if finished.route.is_lookup() {
            figures.recent.record(finished.elapsed, now);
        }
    }

    /// Counts a request that was refused before there was more of it than bytes.
    pub fn unread(&self, status: u16, now: Instant) {
        let (route, service, elapsed) = (Route::Unknown, None, Duration::ZERO);
        self.record(&Finished { route, service, status, elapsed, rows_read: 0, rows_found: 0 }, now);
    }

    /// Counts the values of an answer that could not be given; `statuses` holds one row's after the other's.
    pub fn answered(&self, service: &ServedService, statuses: &[Status]) {
        if !statuses.iter().any(|status| status.is_error()) {
            return;
        }
        let mut figures = self.figures();
        for row in statuses.chunks(service.views.len().max(1)) {
            for (view, status) in service.views.iter().zip(row) {
                if let Some(reason) = status.reason() {
                    let labels = (service.name.clone(), view.clone(), reason.word());
                    *figures.errors.entry(labels).or_default() += 1;
                }
            }
        }
    }

    /// Counts work refused for want of room.
    pub fn shed(&self, reason: &'static str) {
        *self.figures().shed.entry(reason).or_default() += 1;
    }
}

/// The registry: all threads' figures and everybody else's.
#[derive(Default)]
pub struct Metrics {
    threads: RwLock<Vec<Arc<ThreadMetrics>>>,
    sources: RwLock<Vec<Arc<dyn MetricsSource>>>,
}

/// Everything recorded, merged over threads.
#[derive(Debug, Default)]
pub struct Merged {
    requests: Vec<((Route, u16), u64)>,
    /// By route and service, sorted.
    pub latencies: Vec<((Route, Arc<str>), Latencies)>,
    pub rows_read: u64,
    pub rows_found: u64,
    shed: Vec<(&'static str, u64)>,
    errors: Vec<(ErrorLabels, u64)>,
    /// Lookups of the last ten to twenty seconds.
    pub recent: Latencies,
    pub recent_span: Duration,
}

impl Merged {
    /// Requests whose status is at least `status`.
    pub fn requests_from(&self, status: u16) -> u64 {
        self.requests.iter().filter(|((_, s), _)| *s >= status).map(|(_, count)| count).sum()
    }

    /// Requests that read rows.
    pub fn lookups(&self) -> u64 {
        self.requests.iter().filter(|((route, _), _)| route.is_lookup()).map(|(_, count)| count).sum()
    }
}

/// Figures of the moment that the server itself adds to a scrape.
#[derive(Clone, Copy, Debug)]
pub struct Levels {
    pub in_flight: usize,
    pub connections: usize,
    pub buffered_bytes: usize,
    pub ready: bool,
}

impl Metrics {
    /// Figures of a new serving thread.
    pub fn thread(&self) -> Arc<ThreadMetrics> {
        let thread = Arc::new(ThreadMetrics::default());
        self.threads.write().unwrap_or_else(PoisonError::into_inner).push(thread.clone());
        thread
    }

    /// Adds a source to every later scrape.
    pub fn register(&self, source: Arc<dyn MetricsSource>) {
        self.sources.write().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    pub fn merged(&self, now: Instant) -> Merged {
        let mut requests: HashMap<(Route, u16), u64> = HashMap::new();
        let mut latencies: HashMap<(Route, Arc<str>), Latencies> = HashMap::new();
        let mut shed: HashMap<&'static str, u64> = HashMap::new();
        let mut errors: HashMap<ErrorLabels, u64> = HashMap::new();
        let mut merged = Merged::default();
        for thread in self.threads.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut figures = thread.figures();
            figures.requests.iter().for_each(|(key, count)| *requests.entry(*key).or_default() += count);
            figures.shed.iter().for_each(|(reason, count)| *shed.entry(reason).or_default() += count);
            figures.errors.iter().for_each(|(labels, count)| *errors.entry(labels.clone()).or_default() += count);
            figures.latencies.iter().for_each(|(key, times)| latencies.entry(key.clone()).or_default().add(times));
            merged.rows_read += figures.rows_read;
            merged.rows_found += figures.rows_found;
            let span = figures.recent.add_to(&mut merged.recent, now);
            merged.recent_span = merged.recent_span.max(span);
        }
        merged.requests = requests.into_iter().collect();
        merged.requests.sort_by_key(|((route, status), _)| (route.name(), *status));
        merged.latencies = latencies.into_iter().collect();
        merged.latencies.sort_by(|((a, x), _), ((b, y), _)| (a.name(), x).cmp(&(b.name(), y)));
        merged.shed = shed.into_iter().collect();
        merged.shed.sort_unstable();
        merged.errors = errors.into_iter().collect();
        merged.errors.sort_unstable();
        merged
    }

    /// The whole scrape.
    pub fn render(&self, plan: &str, levels: Levels, now: Instant) -> String {
        let merged = self.merged(now);
        let mut out = String::with_capacity(4096);
        // Writing to memory cannot fail.
        let _ = render_own(&mut out, &merged, plan, levels);
        for source in self.sources.read().unwrap_or_else(PoisonError::into_inner).iter() {
            source.render(&mut out);
            if !out.ends_with('\n') {
                out.push('\n');
            }
        }
        out
    }
}

/// Upper bounds of the buckets, in microseconds: 25 us to 1 s, about two per doubling at the fast end.
const BUCKETS_MICROS: [u64; 14] =
    [25, 50, 75, 100, 150, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000];

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn render_own(out: &mut String, merged: &Merged, plan: &str, levels: Levels) -> std::fmt::Result {
    family(out, "freshet_build_info", "gauge", "The running version and the plan it serves.")?;
    writeln!(out, "freshet_build_info{{version=\"{}\",plan=\"{plan}\"}} 1", env!("CARGO_PKG_VERSION"))?;
    family(out, "freshet_requests_total", "counter", "Requests answered.")?;
    for ((route, status), count) in &merged.requests {
        writeln!(out, "freshet_requests_total{{route=\"{}\",status=\"{status}\"}} {count}", route.name())?;
    }
    family(out, "freshet_request_seconds", "histogram", "Server time from a request's headers to its answer.")?;
    for ((route, service), times) in &merged.latencies {
        let labels = format!("route=\"{}\",service=\"{}\"", route.name(), escape_label(service));
        for micros in BUCKETS_MICROS {
            let (bound, count) = (micros as f64 / 1e6, times.count_up_to(Duration::from_micros(micros)));
            writeln!(out, "freshet_request_seconds_bucket{{{labels},le=\"{bound}\"}} {count}")?;
        }
        writeln!(out, "freshet_request_seconds_bucket{{{labels},le=\"+Inf\"}} {}", times.count())?;
        writeln!(out, "freshet_request_seconds_sum{{{labels}}} {}", times.total().as_secs_f64())?;
        writeln!(out, "freshet_request_seconds_count{{{labels}}} {}", times.count())?;
    }
    family(out, "freshet_request_quantile_seconds", "gauge", "Quantiles of server time since the start.")?;
    for ((route, service), times) in &merged.latencies {
        for (quantile, seconds) in times.quantiles() {
            let service = escape_label(service);
            writeln!(
                out,
                "freshet_request_quantile_seconds{{route=\"{}\",service=\"{service}\",quantile=\"{quantile}\"}} {seconds}",
                route.name()
            )?;
        }
    }
    family(out, "freshet_rows_read_total", "counter", "Rows asked of the online store, by whether they were there.")?;
    writeln!(out, "freshet_rows_read_total{{found=\"true\"}} {}", merged.rows_found)?;
    let missing = merged.rows_read.saturating_sub(merged.rows_found);
    writeln!(out, "freshet_rows_read_total{{found=\"false\"}} {missing}")?;
    if !merged.errors.is_empty() {
        family(out, "freshet_error_values_total", "counter", "Values answered with the status ERROR, and why.")?;
    }
    for ((service, view, reason), count) in &merged.errors {
        let (service, view) = (escape_label(service), escape_label(view));
        let labels = format!("service=\"{service}\",view=\"{view}\",reason=\"{reason}\"");
        writeln!(out, "freshet_error_values_total{{{labels}}} {count}")?;
    }
    family(out, "freshet_shed_total", "counter", "Requests and connections refused for want of room.")?;
    for (reason, count) in &merged.shed {
        writeln!(out, "freshet_shed_total{{reason=\"{reason}\"}} {count}")?;
    }
    for (name, help, value) in [
        ("freshet_in_flight_requests", "Requests being worked on.", levels.in_flight),
        ("freshet_connections", "Open connections.", levels.connections),
        ("freshet_buffered_bytes", "Bytes of request bodies held.", levels.buffered_bytes),
        ("freshet_ready", "Whether requests should be sent here.", usize::from(levels.ready)),
    ] {
        family(out, name, "gauge", help)?;
        writeln!(out, "{name} {value}")?;
    }
    Ok(())
}

/// A label's value as it may stand between quotes.
pub fn escape_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(service: &str, micros: u64) -> Finished {
        Finished {
            route: Route::GetFeatures,
            service: Some(service.into()),
            status: 200,
            elapsed: Duration::from_micros(micros),
            rows_read: 3,
            rows_found: 2,
        }
    }

    #[test]
    fn threads_are_merged_into_one_text() {
        struct Engine;
        impl MetricsSource for Engine {
            fn render(&self, out: &mut String) {
                out.push_str("freshet_state_bytes{view=\"v\"} 7");
            }
        }
        let (metrics, now) = (Metrics::default(), Instant::now());
        let (one, two) = (metrics.thread(), metrics.thread());
        one.record(&finished("fra\"ud", 30), now);
        two.record(&finished("fra\"ud", 80), now);
        two.record(&Finished { service: None, status: 404, ..finished("", 5) }, now);
        two.shed("lookups");
        metrics.register(Arc::new(Engine));
        let levels = Levels { in_flight: 1, connections: 2, buffered_bytes: 3, ready: true };
        let text = metrics.render("00ff", levels, now);
        for line in [
            "freshet_requests_total{route=\"get-features\",status=\"200\"} 2",
            "freshet_requests_total{route=\"get-features\",status=\"404\"} 1",
            "freshet_request_seconds_bucket{route=\"get-features\",service=\"fra\\\"ud\",le=\"0.000025\"} 0",
            "freshet_request_seconds_bucket{route=\"get-features\",service=\"fra\\\"ud\",le=\"0.00005\"} 1",
            "freshet_request_seconds_bucket{route=\"get-features\",service=\"fra\\\"ud\",le=\"0.0001\"} 2",
            "freshet_request_seconds_bucket{route=\"get-features\",service=\"fra\\\"ud\",le=\"+Inf\"} 2",
            "freshet_request_seconds_sum{route=\"get-features\",service=\"fra\\\"ud\"} 0.00011",
            "freshet_rows_read_total{found=\"true\"} 6",
            "freshet_rows_read_total{found=\"false\"} 3",
            "freshet_shed_total{reason=\"lookups\"} 1",
            "freshet_connections 2",
            "freshet_state_bytes{view=\"v\"} 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with('\n'));
        let merged = metrics.merged(now);
        assert_eq!((merged.lookups(), merged.requests_from(400), merged.recent.count()), (3, 1, 2));
    }
}
