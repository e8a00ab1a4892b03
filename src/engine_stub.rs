//! Stands in for the engine until it is merged: takes records, counts them, computes nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use freshet_config::settings::KafkaSettings;
use freshet_config::time::Epoch;
use freshet_connectors::ledger::Ledger;
use freshet_connectors::store::OnlineStore;
use freshet_engine::clock::Clock;
use freshet_engine::plan::Plan;

#[derive(Clone, Debug)]
pub struct EngineOptions {
    pub workers: usize,
    pub epoch: Duration,
    pub data_dir: PathBuf,
    pub kafka: Option<KafkaSettings>,
    pub offline: PathBuf,
    pub clock: Arc<Clock>,
}

#[derive(Debug)]
pub struct Engine {
    plan: Arc<Plan>,
    counts: Mutex<BTreeMap<String, u64>>,
    options: EngineOptions,
}

#[derive(Debug, thiserror::Error)]
#[allow(dead_code)]
pub enum EngineError {
    #[error("the engine failed: {0}")]
    Failed(String),
}

#[derive(Debug, Default)]
pub struct PushReport {
    pub accepted: u64,
    pub rejected: Vec<PushRejection>,
}

#[derive(Debug)]
pub struct PushRejection {
    pub index: usize,
    pub code: String,
    pub message: String,
}

#[derive(Debug, thiserror::Error)]
#[allow(dead_code)]
pub enum PushError {
    #[error("there is no source `{0}`")]
    UnknownSource(String),
    #[error("source `{0}` takes no pushed records")]
    NotPushed(String),
    #[error("{0}")]
    Log(String),
    #[error("the engine is stopping")]
    Stopped,
}

#[derive(Clone, Debug, Default)]
pub struct Quantiles {
    pub p50: u64,
    pub p99: u64,
}

#[derive(Clone, Debug, Default)]
#[allow(dead_code)]
pub struct SourceFigures {
    pub name: String,
    pub consumed: u64,
    pub admitted: u64,
    pub late: u64,
    pub duplicate: u64,
    pub unparsable: u64,
    pub filtered: u64,
    pub position_lag: u64,
}

#[derive(Clone, Debug, Default)]
#[allow(dead_code)]
pub struct ViewFigures {
    pub name: String,
    pub keys: u64,
    pub dense_keys: u64,
    pub state_bytes: u64,
    pub rows_written: u64,
    pub expired_on_arrival: u64,
}

#[derive(Clone, Debug, Default)]
#[allow(dead_code)]
pub struct Figures {
    pub sources: Vec<SourceFigures>,
    pub views: Vec<ViewFigures>,
    pub events_per_second: f64,
    pub freshness_us: Option<Quantiles>,
    pub frontier: Epoch,
    pub epochs: u64,
    pub trouble: Option<String>,
    pub failed: Option<String>,
}

impl Engine {
    pub fn start(
        plan: Arc<Plan>,
        options: EngineOptions,
        _store: Arc<OnlineStore>,
        _ledger: Arc<Ledger>,
    ) -> Result<Engine, EngineError> {
        Ok(Engine { plan, counts: Mutex::default(), options })
    }

    pub fn ready(&self) -> bool {
        true
    }

    pub fn push(&self, source: &str, records: &[&str]) -> Result<PushReport, PushError> {
        if self.plan.definitions.source(source).is_none() {
            return Err(PushError::UnknownSource(source.to_string()));
        }
        *self.counts.lock().unwrap().entry(source.to_string()).or_default() += records.len() as u64;
        Ok(PushReport { accepted: records.len() as u64, rejected: Vec::new() })
    }

    pub fn settle(&self) {}

    pub fn figures(&self) -> Figures {
        let counts = self.counts.lock().unwrap();
        let sources = counts.iter().map(|(name, count)| SourceFigures {
            name: name.clone(),
            consumed: *count,
            admitted: *count,
            ..SourceFigures::default()
        });
        let sources = sources.collect();
        Figures {
            sources,
            freshness_us: Some(Quantiles { p50: 1000, p99: 2000 }),
            frontier: Epoch::from_micros(self.options.clock.now().micros().max(0) as u64),
            ..Figures::default()
        }
    }

    pub fn stop(self) -> Result<(), EngineError> {
        Ok(())
    }
}

/// The shape of the dataset module of the engine.
pub mod dataset {
    use std::path::PathBuf;

    #[derive(Clone, Debug)]
    #[allow(dead_code)]
    pub struct DatasetOptions {
        pub definitions: PathBuf,
        pub service: String,
        pub spine: PathBuf,
        pub out: PathBuf,
        pub time_column: Option<String>,
    }

    #[derive(Clone, Debug, Default)]
    pub struct DatasetReport {
        pub rows: usize,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    pub struct DatasetError(pub String);

    pub fn run(_options: &DatasetOptions) -> Result<DatasetReport, DatasetError> {
        Err(DatasetError("training sets are not built yet".into()))
    }
}
