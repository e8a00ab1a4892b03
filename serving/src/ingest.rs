//! Records pushed over HTTP: read strictly, handed to the engine's log, answered only when they are durable.
//!
//! The whole route runs on a blocking thread, for the log's fsync may take long. Sources are checked before any record is
//! taken; then each source's records go down in the order of the request.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::catalog::Catalog;
use crate::error::{ApiError, ErrorKind, quote};
use crate::request::{Flag, Text, object};

/// The engine's door for pushed records. Implemented by the binary.
pub trait Ingest: Send + Sync + 'static {
    /// Takes `records` of `source`, each a JSON object as written by the caller, and returns when those it took are durable.
    /// With `dry_run` everything is checked and nothing is written. May block.
    fn ingest(&self, source: &str, records: &[&str], dry_run: bool) -> Result<IngestReport, IngestError>;
}

/// What became of one source's records: those not rejected are durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestReport {
    pub accepted: u64,
    pub rejected: Vec<RecordRejection>,
}

/// One record that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRejection {
    /// Position of the record in the request's list, from 0.
    pub index: usize,
    /// Stable, for programs, such as `EV-TIME`.
    pub code: String,
    /// What is wrong with the record, and where in it.
    pub message: String,
}

/// Why none of a source's records was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    #[error("{0}")]
    UnknownSource(String),
    /// The source is paused or closed.
    #[error("{0}")]
    Refused(String),
    /// Too many records are waiting to be written.
    #[error("records come in faster than they are written; send again in {retry_after_seconds} s")]
    Busy { retry_after_seconds: u32 },
    /// Who keeps the records does not answer. Some may be taken all the same.
    #[error("{0}")]
    Unavailable(String),
    #[error("the log has no room for more records: {0}")]
    StorageFull(String),
    #[error("the log failed: {0}")]
    Failed(String),
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> ApiError {
        let kind = match &error {
            IngestError::UnknownSource(_) => ErrorKind::NotFound,
            IngestError::Refused(_) => ErrorKind::Conflict,
            IngestError::Busy { .. } | IngestError::Unavailable(_) => ErrorKind::Unavailable,
            IngestError::StorageFull(_) => ErrorKind::StorageFull,
            IngestError::Failed(_) => ErrorKind::Internal,
        };
        let mut api = ApiError::new(kind, error.to_string());
        match error {
            IngestError::Busy { retry_after_seconds } => api.retry_after_seconds = Some(retry_after_seconds),
            // Nobody knows when, and what is sent again may come twice.
            IngestError::Unavailable(_) => api.retry_after_seconds = None,
            _ => {}
        }
        api
    }
}

object! {
    /// The body of `/ingest`.
    pub struct IngestBody<'de> {
        workspace_name: Text<'de> = "workspace_name" | "workspaceName",
        dry_run: Flag = "dry_run" | "dryRun",
        records: Sources<'de> = "records",
    }
}

object! {
    /// One element of a source's list.
    pub struct Pushed<'de> {
        record: Record<'de> = "record",
    }
}

/// A record's text, untouched.
#[derive(Debug)]
pub struct Record<'a>(&'a str);

impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if !text.starts_with('{') {
            return Err(D::Error::custom("a record is a JSON object"));
        }
        if depth(text) > RECORD_DEPTH {
            return Err(D::Error::custom(format!("a record is nested deeper than {RECORD_DEPTH} levels")));
        }
        Ok(Record(text))
    }
}

/// Deepest nesting of a record: that of records of every other way in.
const RECORD_DEPTH: usize = freshet_connectors::json::MAX_DEPTH;

/// The nesting of a JSON text that is known to be well formed.
fn depth(text: &str) -> usize {
    let (mut deepest, mut now, mut in_text, mut escaped) = (0usize, 0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' if !in_text => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Records by source, each source once.
#[derive(Debug, Default)]
pub struct Sources<'a>(Vec<(Text<'a>, Vec<Pushed<'a>>)>);

/// Most sources of one request.
const SOURCES: usize = 64;

impl<'de> Deserialize<'de> for Sources<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourcesVisitor;
        impl<'de> Visitor<'de> for SourcesVisitor {
            type Value = Sources<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of record lists by source")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut sources: Vec<(Text<'de>, Vec<Pushed<'de>>)> = Vec::new();
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    if sources.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("source `{}` is given twice", quote(name.as_str()))));
                    }
                    if sources.len() == SOURCES {
                        return Err(A::Error::custom(format!("there are more than {SOURCES} sources")));
                    }
                    sources.push((name, map.next_value()?));
                }
                Ok(Sources(sources))
            }
        }
        deserializer.deserialize_map(SourcesVisitor)
    }
}

/// An answered ingest request: 200 when every record was taken, 207 when some were, 400 when none was.
#[derive(Debug)]
pub struct IngestAnswer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Does the whole of `/ingest` for one body.
pub fn run(catalog: &Catalog, ingest: &dyn Ingest, body: &[u8]) -> Result<IngestAnswer, ApiError> {
    if body.is_empty() {
        return Err(ApiError::invalid("the request body is empty: send a JSON object with `records`"));
    }
    let request: IngestBody = serde_json::from_slice(body).map_err(|error| ApiError::malformed(body, &error))?;
    catalog.check_workspace(request.workspace_name.as_ref().map(Text::as_str))?;
    let Some(Sources(sources)) = request.records else {
        return Err(ApiError::invalid("the request has no `records`").at("/records".to_string()));
    };
    let mut batches = Vec::with_capacity(sources.len());
    for (name, pushed) in &sources {
        catalog.check_ingest_source(name.as_str())?;
        batches.push((name.as_str(), records_of(name.as_str(), pushed)?));
    }
    let dry_run = request.dry_run.is_some_and(|flag| flag.0);
    let mut reports: Vec<(&str, IngestReport)> = Vec::with_capacity(batches.len());
    for (source, records) in &batches {
        match ingest.ingest(source, records, dry_run) {
            Ok(report) => reports.push((source, report)),
            Err(error) => return Err(after(error.into(), source, &reports)),
        }
    }
    Ok(answer(catalog, &reports))
}

fn records_of<'a>(source: &str, pushed: &[Pushed<'a>]) -> Result<Vec<&'a str>, ApiError> {
    let one = |(index, pushed): (usize, &Pushed<'a>)| match &pushed.record {
        Some(record) => Ok(record.0),
        None => {
            let message = format!("element {index} of source `{source}` has no `record`");
            Err(ApiError::invalid(message).at(format!("/records/{source}/{index}/record")))
        }
    };
    pushed.iter().enumerate().map(one).collect()
}

/// An error after other sources' records were taken says so: sending everything again would send those twice.
fn after(mut error: ApiError, source: &str, done: &[(&str, IngestReport)]) -> ApiError {
    error.message = format!("source `{source}`: {}", error.message);
    for (name, report) in done {
        error.message.push_str(&match report.accepted {
            1 => format!("; 1 record of `{name}` was taken before"),
            n => format!("; {n} records of `{name}` were taken before"),
        });
    }
    error
}

fn answer(catalog: &Catalog, reports: &[(&str, IngestReport)]) -> IngestAnswer {
    let accepted: u64 = reports.iter().map(|(_, report)| report.accepted).sum();
    let rejected: usize = reports.iter().map(|(_, report)| report.rejected.len()).sum();
    // Counts are int64, and int64 is a string.
    let metrics = reports.iter().map(|(source, report)| {
        serde_json::json!({
            "dataSourceName": source,
            "onlineRecordIngestCount": report.accepted.to_string(),
            "offlineRecordIngestCount": report.accepted.to_string(),
            "rejectedRecordCount": report.rejected.len().to_string(),
        })
    });
    let mut body = serde_json::json!({
        "workspaceName": catalog.workspace(),
        "ingestMetrics": { "featureViewIngestMetrics": [], "dataSourceIngestMetrics": metrics.collect::<Vec<_>>() },
    });
    if rejected > 0 {
        let errors = reports.iter().flat_map(|(source, report)| {
            report.rejected.iter().map(move |rejection| {
                serde_json::json!({
                    "pushSourceName": source,
                    "index": rejection.index,
                    "errorType": rejection.code,
                    "errorMessage": rejection.message,
                })
            })
        });
        body["recordErrors"] = errors.collect();
    }
    let status = match (accepted, rejected) {
        (_, 0) => 200,
        (0, _) => {
            let message = format!("none of {rejected} records was taken; see recordErrors");
            body["error"] = ErrorKind::Invalid.name().into();
            body["code"] = ErrorKind::Invalid.grpc_code().into();
            body["message"] = message.into();
            400
        }
        _ => 207,
    };
    IngestAnswer { status, body: body.to_string().into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_looks_through_text() {
        assert_eq!(depth(r#"{"a":"[[[{\"","b":[{}]}"#), 3);
        assert_eq!(depth("{}"), 1);
    }

    #[test]
    fn records_are_objects_of_bounded_depth() {
        let body = |record: &str| format!("{{\"records\":{{\"s\":[{{\"record\":{record}}}]}}}}");
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(serde_json::from_str::<IngestBody>(&body(&deep(RECORD_DEPTH))).is_ok());
        for bad in [deep(RECORD_DEPTH + 1), "[]".into(), "1".into(), "\"{}\"".into(), "{".repeat(100_000)] {
            assert!(serde_json::from_str::<IngestBody>(&body(&bad)).is_err());
        }
    }
}
