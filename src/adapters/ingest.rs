//! The engine's door for records pushed over HTTP.

use std::sync::Arc;

use freshet_engine::Engine;
use freshet_engine::ingest::{PushError, PushReport};
use freshet_serving::{Ingest, IngestError, IngestReport, RecordRejection};

/// Hands records to the engine; a dry run only checks them.
pub struct EngineDoor(pub Arc<Engine>);

impl Ingest for EngineDoor {
    fn ingest(&self, source: &str, records: &[&str], dry_run: bool) -> Result<IngestReport, IngestError> {
        let taken = if dry_run { self.0.check(source, records) } else { self.0.push(source, records) };
        taken.map(report).map_err(refused)
    }
}

fn report(report: PushReport) -> IngestReport {
    let rejected = report.rejected.into_iter();
    let rejected =
        rejected.map(|r| RecordRejection { index: r.index, code: r.code.name().to_string(), message: r.message });
    IngestReport { accepted: report.accepted, rejected: rejected.collect() }
}

fn refused(error: PushError) -> IngestError {
    let text = match &error {
        // The server names the source.
        PushError::Log { error, .. } => error.to_string(),
        PushError::Kafka { error, .. } => error.to_string(),
        other => other.to_string(),
    };
    match error {
        PushError::UnknownSource { .. } => IngestError::UnknownSource(text),
        PushError::NoStream(_) | PushError::Derived(_) | PushError::NoLog(_) | PushError::NoKafka(_) => {
            IngestError::Refused(text)
        }
        PushError::Kafka { .. } => IngestError::Unavailable(text),
        error if error.is_storage_full() => IngestError::StorageFull(text),
        PushError::Log { .. } => IngestError::Failed(text),
    }
}
