//! What was consumed and not admitted, and why: exact counts, and the newest rejections to look at.
//!
//! The law: admitted + ledgered = consumed. Files are capped, counts are not: every file begins with the counts so
//! far, so that opening a ledger again finds them whatever was dropped.

mod file;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::events::{Code, Reason, Rejection};
use file::SourceFile;

/// Counts by code.
pub(crate) type Counts = BTreeMap<Code, u64>;

/// How many records of one source were left out for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerCount {
    pub source: String,
    pub reason: Reason,
    pub code: Code,
    pub count: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("cannot {action} the ledger at {}: {error}", path.display())]
    Io { action: &'static str, path: PathBuf, error: io::Error },
    #[error("the ledger at {} is damaged in line {line} ({error}): move the file away to begin a new one", path.display())]
    Damaged { path: PathBuf, line: u64, error: serde_json::Error },
    #[error("`{0}` cannot name a ledger: write lower-case letters, digits and underscores")]
    Name(String),
}

impl LedgerError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
        move |error| LedgerError::Io { action, path: path.to_path_buf(), error }
    }
}

/// Most bytes kept per source: [`Ledger::open`].
pub const DEFAULT_BYTES_PER_SOURCE: u64 = 16 << 20;

/// A directory with the rejections of every source. Share it between threads by reference.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    bytes_per_source: u64,
    sources: Mutex<HashMap<String, Arc<Mutex<SourceFile>>>>,
}

impl Ledger {
    /// Opens or creates a ledger and reads the counts it left off with.
    pub fn open(dir: &Path) -> Result<Ledger, LedgerError> {
        Ledger::open_with(dir, DEFAULT_BYTES_PER_SOURCE)
    }

    /// As [`Ledger::open`], keeping about the newest `bytes_per_source` bytes of each source.
    pub fn open_with(dir: &Path, bytes_per_source: u64) -> Result<Ledger, LedgerError> {
        std::fs::create_dir_all(dir).map_err(LedgerError::io("create", dir))?;
        let ledger = Ledger { dir: dir.to_path_buf(), bytes_per_source, sources: Mutex::default() };
        for entry in std::fs::read_dir(dir).map_err(LedgerError::io("list", dir))? {
            let path = entry.map_err(LedgerError::io("list", dir))?.path();
            if path.extension().is_some_and(|ending| ending == file::ENDING)
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            {
                ledger.source(name)?;
            }
        }
        Ok(ledger)
    }

    /// Counts a rejection and keeps it. The count stands even when keeping it fails.
    pub fn record(&self, source: &str, rejection: &Rejection) -> Result<(), LedgerError> {
        lock(self.source(source)?.as_ref()).record(rejection)
    }

    /// Counts records of which nothing more is kept, such as filtered ones.
    pub fn count(&self, source: &str, code: Code, records: u64) -> Result<(), LedgerError> {
        if records == 0 {
            return Ok(());
        }
        lock(self.source(source)?.as_ref()).count(code, records)
    }

    /// All counts, by source and code.
    pub fn summary(&self) -> Vec<LedgerCount> {
        let sources = lock(&self.sources);
        let mut names: Vec<(&String, &Arc<Mutex<SourceFile>>)> = sources.iter().collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        let mut summary = Vec::new();
        for (name, file) in names {
            for (code, count) in lock(file).counts() {
                let (reason, code, count) = (code.reason(), *code, *count);
                summary.push(LedgerCount { source: name.clone(), reason, code, count });
            }
        }
        summary
    }

    /// How many records of the source were left out.
    pub fn total(&self, source: &str) -> u64 {
        self.summary().iter().filter(|count| count.source == source).map(|count| count.count).sum()
    }

    /// Sets all counts to those of a checkpoint: records behind it will be consumed, and counted, again.
    pub fn restore(&self, counts: &[LedgerCount]) -> Result<(), LedgerError> {
        let mut by_source: BTreeMap<&str, Counts> = BTreeMap::new();
        for count in counts {
            by_source.entry(&count.source).or_default().insert(count.code, count.count);
        }
        let known: Vec<String> = lock(&self.sources).keys().cloned().collect();
        for name in &known {
            by_source.entry(name).or_default();
        }
        for (source, counts) in by_source {
            lock(self.source(source)?.as_ref()).restore(counts)?;
        }
        Ok(())
    }

    /// The newest rejections of a source, newest first, at most `limit`. A source without any has an empty list.
    pub fn read(&self, source: &str, limit: usize) -> Result<Vec<Rejection>, LedgerError> {
        check_name(source)?;
        let file = lock(&self.sources).get(source).cloned();
        match file {
            Some(file) => lock(&file).newest(limit),
            None => Ok(Vec::new()),
        }
    }

    fn source(&self, name: &str) -> Result<Arc<Mutex<SourceFile>>, LedgerError> {
        let mut sources = lock(&self.sources);
        if let Some(file) = sources.get(name) {
            return Ok(file.clone());
        }
        check_name(name)?;
        let file = Arc::new(Mutex::new(SourceFile::open(&self.dir, name, self.bytes_per_source)?));
        sources.insert(name.to_string(), file.clone());
        Ok(file)
    }
}

/// Source names become file names: nothing that could leave the directory passes.
fn check_name(name: &str) -> Result<(), LedgerError> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !name.is_empty() && name.len() <= 128 && name.bytes().all(fits) {
        Ok(())
    } else {
        Err(LedgerError::Name(name.chars().take(64).collect()))
    }
}

/// A panic in another thread leaves counts and files whole: both change in single steps.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
