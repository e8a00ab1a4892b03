//! The engine's, the ledger's and the store's figures: for the page, and as Prometheus text.

use std::fmt::Write;
use std::sync::Arc;

use freshet_connectors::events::Reason;
use freshet_connectors::ledger::Ledger;
use freshet_connectors::store::OnlineStore;
use freshet_engine::clock::Clock;
use freshet_serving::{
    EngineStats, LedgerStats, MetricsSource, Quantiles, SourceStats, StatsSource, ViewStats, escape_label,
};

use freshet_engine::{Engine, Figures, SourceFigures, ViewFigures};

/// Looks at everything when somebody asks.
pub struct EngineFigures {
    pub engine: Arc<Engine>,
    pub store: Arc<OnlineStore>,
    pub ledger: Arc<Ledger>,
    pub clock: Arc<Clock>,
}

impl EngineFigures {
    /// How far the last closed epoch is behind the clock; `None` before the first one.
    fn lag_seconds(&self, figures: &Figures) -> Option<f64> {
        figures.closed_at.map(|closed_at| (self.clock.now() - closed_at).micros().max(0) as f64 / 1e6)
    }

    /// Per source and reason, what was left out since the start, so that admitted + ledgered = consumed. Changes of
    /// dimensions are not counted as read: of those, what the ledger holds.
    fn ledger(&self, figures: &Figures) -> Vec<LedgerStats> {
        let mut reasons: Vec<LedgerStats> = figures.sources.iter().flat_map(left_out).collect();
        let of_source = |name: &str| figures.sources.iter().any(|source| source.name == name);
        for count in self.ledger.summary().into_iter().filter(|count| !of_source(&count.source)) {
            let reason = count.reason.name();
            match reasons.iter_mut().find(|r| r.source == count.source && r.reason == reason) {
                Some(known) => known.records += count.count,
                None => {
                    reasons.push(LedgerStats { source: count.source, reason: reason.to_string(), records: count.count })
                }
            }
        }
        reasons
    }
}

impl StatsSource for EngineFigures {
    fn stats(&self) -> EngineStats {
        let figures = self.engine.figures();
        let freshness_seconds = figures.freshness_us.as_ref().map(|q| {
            let (p50, p99) = (q.p50 as f64 / 1e6, q.p99 as f64 / 1e6);
            // The engine keeps two quantiles; the tail beyond them is at least the greater.
            Quantiles { p50, p99, p999: p99 }
        });
        EngineStats {
            events: Some(figures.sources.iter().map(|s| s.consumed).sum()),
            events_per_second: Some(figures.events_per_second),
            rows_written: Some(figures.views.iter().map(|v| v.rows_written).sum()),
            frontier_lag_seconds: self.lag_seconds(&figures),
            freshness_seconds,
            // Unknown of one source is unknown of all.
            backlog_events: figures.sources.iter().map(|s| s.position_lag).sum(),
            state_bytes: Some(figures.views.iter().map(|v| v.state_bytes).sum()),
            sources: figures.sources.iter().map(source_stats).collect(),
            views: figures.views.iter().map(view_stats).collect(),
            ledger: self.ledger(&figures),
        }
    }
}

fn left_out(source: &SourceFigures) -> Vec<LedgerStats> {
    let reasons = [
        (Reason::Late, source.late),
        (Reason::Duplicate, source.duplicate),
        (Reason::Unparsable, source.unparsable),
        (Reason::Filtered, source.filtered),
        (Reason::Future, source.future),
    ];
    let some = reasons.into_iter().filter(|(_, records)| *records > 0);
    let stats = |(reason, records): (Reason, u64)| LedgerStats {
        source: source.name.clone(),
        reason: reason.to_string(),
        records,
    };
    some.map(stats).collect()
}

fn source_stats(source: &SourceFigures) -> SourceStats {
    SourceStats {
        name: source.name.clone(),
        consumed: source.consumed,
        admitted: source.admitted,
        backlog: source.position_lag,
    }
}

fn view_stats(view: &ViewFigures) -> ViewStats {
    ViewStats {
        name: view.name.clone(),
        keys: Some(view.keys),
        rows_written: Some(view.rows_written),
        state_bytes: Some(view.state_bytes),
    }
}

/// Labels without braces, and values.
type Samples = Vec<(String, f64)>;

impl MetricsSource for EngineFigures {
    fn render(&self, out: &mut String) {
        let figures = self.engine.figures();
        let sources = &figures.sources;
        let by_source = |value: fn(&SourceFigures) -> u64| {
            sources.iter().map(move |s| (label("source", &s.name), value(s) as f64)).collect::<Vec<_>>()
        };
        let by_view = |value: fn(&ViewFigures) -> u64| {
            figures.views.iter().map(move |v| (label("view", &v.name), value(v) as f64)).collect::<Vec<_>>()
        };
        let one = |value: f64| vec![(String::new(), value)];
        let ledger = self.ledger(&figures).into_iter().map(|entry| {
            let labels = format!("source=\"{}\",reason=\"{}\"", escape_label(&entry.source), entry.reason);
            (labels, entry.records as f64)
        });
        let lag = sources.iter().filter_map(|s| Some((label("source", &s.name), s.position_lag? as f64)));
        let store = self.store.state();
        let families: [(&str, &str, &str, Samples); 18] = [
            ("freshet_events_consumed_total", "counter", "Events read.", by_source(|s| s.consumed)),
            ("freshet_events_admitted_total", "counter", "Events that count.", by_source(|s| s.admitted)),
            (
                "freshet_ledger_records_total",
                "counter",
                "Records not admitted since the start, and why.",
                ledger.collect(),
            ),
            (
                "freshet_events_passed_over_total",
                "counter",
                "Events of the history that no window reaches, not counted as read.",
                by_source(|s| s.passed_over),
            ),
            ("freshet_source_lag_records", "gauge", "Records not read yet.", lag.collect()),
            ("freshet_events_per_second", "gauge", "Events read lately.", one(figures.events_per_second)),
            ("freshet_epochs_total", "counter", "Epochs closed.", one(figures.epochs as f64)),
            (
                "freshet_frontier_lag_seconds",
                "gauge",
                "How far the last closed epoch is behind the clock.",
                self.lag_seconds(&figures).map(one).unwrap_or_default(),
            ),
            (
                "freshet_freshness_seconds",
                "gauge",
                "From an event's arrival to its row in the store, lately.",
                freshness(&figures),
            ),
            ("freshet_state_bytes", "gauge", "Bytes of windows in memory.", by_view(|v| v.state_bytes)),
            ("freshet_keys", "gauge", "Keys with a window in memory.", by_view(|v| v.keys)),
            (
                "freshet_keys_over_category_limit",
                "gauge",
                "Keys with more categories than are allowed.",
                by_view(|v| v.keys_over_category_limit),
            ),
            (
                "freshet_keys_over_value_limit",
                "gauge",
                "Keys with a window of more distinct values than a function of it may count.",
                by_view(|v| v.keys_over_value_limit),
            ),
            ("freshet_dense_keys", "gauge", "Keys whose rows have a horizon.", by_view(|v| v.dense_keys)),
            ("freshet_rows_written_total", "counter", "Rows written.", by_view(|v| v.rows_written)),
            ("freshet_store_rows", "gauge", "Rows of the online store.", one(store.rows as f64)),
            ("freshet_store_bytes", "gauge", "Bytes of the online store.", one(store.bytes as f64)),
            (
                "freshet_engine_failed",
                "gauge",
                "Whether the engine has stopped for an error.",
                one(f64::from(u8::from(figures.failed.is_some()))),
            ),
        ];
        for (name, kind, help, samples) in families {
            family(out, name, kind, help, &samples);
        }
    }
}

fn freshness(figures: &Figures) -> Samples {
    let Some(q) = &figures.freshness_us else { return Vec::new() };
    [("0.5", q.p50), ("0.99", q.p99)].map(|(at, micros)| (label("quantile", at), micros as f64 / 1e6)).to_vec()
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", escape_label(value))
}

/// Appends one family; nothing when there are no samples.
fn family(out: &mut String, name: &str, kind: &str, help: &str, samples: &[(String, f64)]) {
    if samples.is_empty() {
        return;
    }
    // Writing to memory cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in samples {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(out, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_whole_or_not_at_all() {
        let mut out = String::new();
        family(&mut out, "freshet_none", "gauge", "Nothing.", &[]);
        assert_eq!(out, "");
        family(&mut out, "freshet_keys", "gauge", "Keys.", &[(label("view", "a\"b"), 7.0), (String::new(), 0.5)]);
        assert_eq!(
            out,
            "# HELP freshet_keys Keys.\n# TYPE freshet_keys gauge\nfreshet_keys{view=\"a\\\"b\"} 7\nfreshet_keys 0.5\n"
        );
    }
}
