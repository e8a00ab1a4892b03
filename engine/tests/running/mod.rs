//! A running engine as tests use one: on a directory, with a memory store and a clock of events; fed, read, and cut off.

#![allow(dead_code)] // No test binary uses all of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use freshet_config::definitions::Definitions;
use freshet_config::time::EventTime;
use freshet_config::value::{Value, encode_key};
use freshet_connectors::ledger::Ledger;
use freshet_connectors::store::{MemoryStore, OnlineStore};
use freshet_engine::clock::Clock;
use freshet_engine::plan::Plan;
use freshet_engine::{Engine, EngineError, EngineOptions};
use freshet_operators::row::{FeatureValue, Reader};

pub const SECOND: i64 = 1_000_000;
/// 2026-01-01T00:00:00Z in microseconds.
pub const START: i64 = 1_767_225_600 * SECOND;

/// A small generator: the same numbers for the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Definitions in one file, compiled for `directory`.
pub fn plan(definitions: &str, directory: &Path) -> Arc<Plan> {
    let definitions = freshet_config::parse(&[("d.yaml".to_string(), definitions.to_string())]);
    compile(definitions.unwrap_or_else(|errors| panic!("{errors}")), directory)
}

pub fn compile(definitions: Definitions, directory: &Path) -> Arc<Plan> {
    Arc::new(Plan::compile(definitions, directory).unwrap_or_else(|errors| panic!("{errors}")))
}

pub struct Running {
    pub engine: Engine,
    pub store: Arc<OnlineStore>,
    pub ledger: Arc<Ledger>,
    pub plan: Arc<Plan>,
}

/// Starts a plan on a directory, which holds what an earlier start left there.
pub fn start(directory: &Path, plan: &Arc<Plan>, workers: usize) -> Running {
    try_start(directory, plan, workers).unwrap_or_else(|error| panic!("{error}"))
}

pub fn try_start(directory: &Path, plan: &Arc<Plan>, workers: usize) -> Result<Running, EngineError> {
    let store = Arc::new(OnlineStore::Memory(MemoryStore::new(plan.views.len())));
    let ledger = Arc::new(Ledger::open(&directory.join("ledger")).unwrap());
    let options = EngineOptions {
        workers,
        epoch: Duration::from_millis(1),
        data_dir: directory.to_path_buf(),
        kafka: None,
        offline: directory.join("offline"),
        clock: Arc::new(Clock::event()),
    };
    let engine = Engine::start(plan.clone(), options, store.clone(), ledger.clone())?;
    Ok(Running { engine, store, ledger, plan: plan.clone() })
}

impl Running {
    /// Pushes records, `chunk` at a time; every one must be taken. They are durable then, and not yet all readable.
    pub fn push(&self, source: &str, records: &[String], chunk: usize) {
        for part in records.chunks(chunk) {
            let part: Vec<&str> = part.iter().map(String::as_str).collect();
            let report = self.engine.push(source, &part).unwrap();
            assert_eq!((report.accepted, report.rejected), (part.len() as u64, vec![]));
        }
    }

    pub fn settle(&self) {
        assert!(self.engine.settle());
        assert_eq!(self.engine.figures().failed, None);
    }

    pub fn now(&self) -> EventTime {
        self.engine.clock().now()
    }

    /// The features of a view's key at an instant, as a server reads them. Views by their place in the definitions.
    pub fn read(&self, view: usize, key: &[Value], at: EventTime) -> Vec<FeatureValue> {
        let plan = &self.plan.views[view];
        let mut bytes = Vec::new();
        encode_key(key, &mut bytes).unwrap();
        let OnlineStore::Memory(store) = &*self.store else { panic!("a memory store") };
        let (mut reader, mut out) = (Reader::new(plan), Vec::new());
        if store.get(view, &bytes, |row| reader.read(plan, Some(row), at, &mut out)).is_none() {
            reader.read(plan, None, at, &mut out);
        }
        out
    }

    pub fn values(&self, view: usize, key: &[Value], at: EventTime) -> Vec<Value> {
        self.read(view, key, at).into_iter().map(|feature| feature.value).collect()
    }

    /// How many records the ledger has of a code.
    pub fn ledgered(&self, code: &str) -> u64 {
        let counts = self.ledger.summary();
        counts.iter().filter(|count| count.code.name() == code).map(|count| count.count).sum()
    }

    pub fn stop(self) {
        self.engine.stop().unwrap();
    }
}

/// What a crash at this moment leaves of a data directory: a copy of its files as they are, while the process runs.
pub fn cut_off(directory: &Path) -> tempfile::TempDir {
    let left = tempfile::tempdir().unwrap();
    copy(directory, left.path());
    left
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir_all(&place).unwrap();
            copy(&path, &place);
            continue;
        }
        // Files that are being replaced may be gone by now, as they may be after a crash.
        match std::fs::copy(&path, &place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{}: {error}", path.display()),
            _ => {}
        }
    }
}
