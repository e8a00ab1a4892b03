//! The engine's door for records pushed over HTTP.

use std::sync::Arc;

use freshet_connectors::json::JsonDecoder;
use freshet_connectors::position;
use freshet_engine::clock::Clock;
use freshet_engine::plan::Plan;
use freshet_serving::{Ingest, IngestError, IngestReport, RecordRejection};

use crate::engine_stub::{Engine, PushError};

/// Hands records to the engine; a dry run only reads them.
#[derive(Debug)]
pub struct EngineDoor {
    pub engine: Arc<Engine>,
    pub plan: Arc<Plan>,
    pub clock: Arc<Clock>,
}

impl Ingest for EngineDoor {
    fn ingest(&self, source: &str, records: &[&str], dry_run: bool) -> Result<IngestReport, IngestError> {
        if dry_run {
            return self.read_only(source, records);
        }
        let report = self.engine.push(source, records).map_err(refused)?;
        let rejected = report.rejected.into_iter();
        let rejected = rejected.map(|r| RecordRejection { index: r.index, code: r.code, message: r.message });
        Ok(IngestReport { accepted: report.accepted, rejected: rejected.collect() })
    }
}

impl EngineDoor {
    fn read_only(&self, source: &str, records: &[&str]) -> Result<IngestReport, IngestError> {
        let definitions = &self.plan.definitions;
        let Some(index) = definitions.source(source) else {
            return Err(IngestError::UnknownSource(format!("there is no source `{source}`")));
        };
        let mut decoder = JsonDecoder::new(&definitions.sources[index]);
        let (now, mut report) = (self.clock.now(), IngestReport::default());
        for (index, record) in records.iter().enumerate() {
            match decoder.decode(record.as_bytes(), position::log(index as u64), now) {
                Ok(()) => report.accepted += 1,
                Err(rejection) => report.rejected.push(RecordRejection {
                    index,
                    code: rejection.code.name().to_string(),
                    message: rejection.message,
                }),
            }
        }
        Ok(report)
    }
}

fn refused(error: PushError) -> IngestError {
    match error {
        PushError::UnknownSource(_) => IngestError::UnknownSource(error.to_string()),
        PushError::NotPushed(_) => IngestError::Refused(error.to_string()),
        PushError::Log(_) => IngestError::Failed(error.to_string()),
        PushError::Stopped => IngestError::Unavailable(error.to_string()),
    }
}
