//! The page: the figures of [`Stats`] as cards and tables, whole without a script, alive with one.
//!
//! Columns are declared once, here; the script fills the same elements by the field and format written on them.

use std::fmt::Write;

use hyper::header::{self, HeaderValue};
use serde_json::Value;

use crate::http::reply::{Reply, with_type};
use crate::stats::Stats;

mod format;

use format::{Format, escape};

/// One figure: its title, its place in the JSON of [`Stats`], and how it is shown.
struct Field {
    title: &'static str,
    path: &'static str,
    format: Format,
}

const fn field(title: &'static str, path: &'static str, format: Format) -> Field {
    Field { title, path, format }
}

/// The cards on top; those with a rate get a line of their past.
const CARDS: [Field; 8] = [
    field("Lookups", "serving.lookupsPerSecond", Format::Rate),
    field("Latency p50", "serving.latencySeconds.p50", Format::Seconds),
    field("Latency p99", "serving.latencySeconds.p99", Format::Seconds),
    field("Latency p99.9", "serving.latencySeconds.p999", Format::Seconds),
    field("Events", "engine.eventsPerSecond", Format::Rate),
    field("Freshness p50", "engine.freshnessSeconds.p50", Format::Seconds),
    field("Freshness p99", "engine.freshnessSeconds.p99", Format::Seconds),
    field("Frontier lag", "engine.frontierLagSeconds", Format::Seconds),
];

struct Table {
    title: &'static str,
    /// The list in the JSON of [`Stats`].
    path: &'static str,
    empty: &'static str,
    columns: &'static [Field],
}

const TABLES: [Table; 4] = [
    Table {
        title: "Services",
        path: "services",
        empty: "No service is defined.",
        columns: &[
            field("Service", "name", Format::Text),
            field("Join keys", "joinKeys", Format::Text),
            field("Features", "features", Format::Count),
            field("Lookups", "lookups", Format::Count),
            field("p50", "latencySeconds.p50", Format::Seconds),
            field("p99", "latencySeconds.p99", Format::Seconds),
            field("p99.9", "latencySeconds.p999", Format::Seconds),
        ],
    },
    Table {
        title: "Views",
        path: "engine.views",
        empty: "No view is materialised by this process.",
        columns: &[
            field("View", "name", Format::Text),
            field("Keys", "keys", Format::Count),
            field("Rows written", "rowsWritten", Format::Count),
            field("State", "stateBytes", Format::Bytes),
        ],
    },
    Table {
        title: "Sources",
        path: "engine.sources",
        empty: "No source is read by this process.",
        columns: &[
            field("Source", "name", Format::Text),
            field("Consumed", "consumed", Format::Count),
            field("Admitted", "admitted", Format::Count),
            field("Backlog", "backlog", Format::Count),
        ],
    },
    Table {
        title: "Ledger",
        path: "engine.ledger",
        empty: "Every event consumed was admitted.",
        columns: &[
            field("Source", "source", Format::Text),
            field("Reason", "reason", Format::Text),
            field("Events", "records", Format::Count),
        ],
    },
];

/// Nothing but this server's own style, script and figures may load.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
);

pub fn reply(stats: &Stats) -> Reply {
    let mut reply = with_type(200, HeaderValue::from_static("text/html; charset=utf-8"), render(stats));
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

pub fn style() -> Reply {
    with_type(200, HeaderValue::from_static("text/css; charset=utf-8"), include_str!("page.css"))
}

pub fn script() -> Reply {
    with_type(200, HeaderValue::from_static("text/javascript; charset=utf-8"), include_str!("page.js"))
}

/// The page of one moment.
pub fn render(stats: &Stats) -> String {
    // Figures are numbers and text: they always have a JSON form.
    let figures = serde_json::to_value(stats).unwrap_or(Value::Null);
    let mut out = String::with_capacity(16 << 10);
    // Writing to memory cannot fail.
    let _ = write_page(&mut out, stats, &figures);
    out
}

fn write_page(out: &mut String, stats: &Stats, figures: &Value) -> std::fmt::Result {
    let workspace = escape(&stats.workspace);
    write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Freshet · {workspace}</title>\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\
         <link rel=\"stylesheet\" href=\"/assets/page.css\"><script src=\"/assets/page.js\" defer></script></head>\
         <body><header><h1>Freshet</h1><span class=\"workspace\">{workspace}</span>"
    )?;
    let (class, text) = match &stats.not_ready {
        None => ("ready", "ready".to_string()),
        Some(reason) => ("not-ready", format!("not ready: {}", escape(reason))),
    };
    write!(out, "<span id=\"readiness\" class=\"{class}\">{text}</span>")?;
    write!(out, "<dl><dt>plan</dt><dd>{}</dd><dt>version</dt><dd>{}</dd>", escape(&stats.plan), stats.version)?;
    let up = Format::Seconds.show(&figures["uptimeSeconds"]);
    write!(out, "<dt>up</dt><dd data-path=\"uptimeSeconds\" data-format=\"seconds\">{up}</dd>")?;
    write!(
        out,
        "<dt>at</dt><dd data-path=\"now\" data-format=\"text\">{}</dd></dl></header><main>",
        escape(&stats.now)
    )?;
    out.push_str("<section class=\"cards\">");
    for card in &CARDS {
        write_card(out, card, figures)?;
    }
    out.push_str("</section>");
    for table in &TABLES {
        write_table(out, table, figures)?;
    }
    out.push_str(
        "</main><footer>Figures: <a href=\"/api/v1/stats\">JSON</a> · <a href=\"/metrics\">Prometheus</a> · \
         <a href=\"/readyz\">readiness</a></footer></body></html>",
    );
    Ok(())
}

fn write_card(out: &mut String, card: &Field, figures: &Value) -> std::fmt::Result {
    let (path, format) = (card.path, card.format.name());
    let shown = card.format.show(at(figures, path));
    write!(out, "<article><h2>{}</h2><p data-path=\"{path}\" data-format=\"{format}\">{shown}</p>", card.title)?;
    if matches!(card.format, Format::Rate) {
        write!(
            out,
            "<svg class=\"past\" data-past=\"{path}\" viewBox=\"0 0 120 28\" preserveAspectRatio=\"none\"></svg>"
        )?;
    }
    out.push_str("</article>");
    Ok(())
}

fn write_table(out: &mut String, table: &Table, figures: &Value) -> std::fmt::Result {
    write!(out, "<section><h2>{}</h2>", table.title)?;
    write!(out, "<table data-list=\"{}\" data-empty=\"{}\"><thead><tr>", table.path, table.empty)?;
    for column in table.columns {
        write!(
            out,
            "<th data-path=\"{}\" data-format=\"{}\">{}</th>",
            column.path,
            column.format.name(),
            column.title
        )?;
    }
    out.push_str("</tr></thead><tbody>");
    let rows = at(figures, table.path).as_array().map_or(&[][..], Vec::as_slice);
    for row in rows {
        out.push_str("<tr>");
        for column in table.columns {
            write!(out, "<td class=\"{}\">{}</td>", column.format.name(), column.format.show(at(row, column.path)))?;
        }
        out.push_str("</tr>");
    }
    if rows.is_empty() {
        write!(out, "<tr><td class=\"empty\" colspan=\"{}\">{}</td></tr>", table.columns.len(), table.empty)?;
    }
    out.push_str("</tbody></table></section>");
    Ok(())
}

/// The value at a dotted path; null where there is none.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| &value[name])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{EngineStats, LedgerStats, Quantiles, ServiceStats, ServingStats};

    fn stats() -> Stats {
        let latency_seconds = Quantiles { p50: 0.000_032, p99: 0.0012, p999: 1.5 };
        Stats {
            version: "9.9",
            workspace: "prod<script>".into(),
            plan: "00ff".into(),
            now: "2026-01-01T00:00:00Z".into(),
            uptime_seconds: 7,
            not_ready: None,
            serving: ServingStats {
                lookups: 5,
                refused: 0,
                lookups_per_second: 41_234.5,
                latency_seconds,
                rows_read: 5,
                rows_found: 5,
                in_flight: 0,
                connections: 1,
            },
            services: vec![ServiceStats {
                name: "fraud".into(),
                features: 20,
                join_keys: vec!["user".into(), "card".into()],
                lookups: 1_234_567,
                latency_seconds,
            }],
            engine: Some(EngineStats {
                ledger: vec![LedgerStats { source: "payments".into(), reason: "late".into(), records: 12 }],
                ..EngineStats::default()
            }),
        }
    }

    #[test]
    fn the_page_is_whole_without_a_script() {
        let page = render(&stats());
        for text in [
            "<td class=\"text\">fraud</td>",
            "<td class=\"text\">user, card</td>",
            "<td class=\"count\">1,234,567</td>",
            ">32 µs</p>",
            ">1.20 ms</p>",
            ">41,235/s</p>",
            "<td class=\"text\">late</td>",
            "prod&lt;script&gt;",
            "No view is materialised",
        ] {
            assert!(page.contains(text), "{text} is missing in\n{page}");
        }
        assert!(!page.contains("prod<script>"));
    }

    #[test]
    fn every_path_exists_in_the_figures() {
        let mut full = stats();
        let quantiles = Some(Quantiles::default());
        let engine = full.engine.as_mut().unwrap();
        (engine.events_per_second, engine.freshness_seconds, engine.frontier_lag_seconds) =
            (Some(1.0), quantiles, Some(1.0));
        engine.views.push(Default::default());
        engine.sources.push(Default::default());
        let figures = serde_json::to_value(&full).unwrap();
        for card in &CARDS {
            assert!(!at(&figures, card.path).is_null(), "{}", card.path);
        }
        for table in &TABLES {
            let row = &at(&figures, table.path)[0];
            for column in table.columns {
                let (parent, name) = column.path.rsplit_once('.').unwrap_or(("", column.path));
                let parent = if parent.is_empty() { row } else { at(row, parent) };
                assert!(parent.as_object().unwrap().contains_key(name), "{} {}", table.path, column.path);
            }
        }
    }
}
