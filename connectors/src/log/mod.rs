//! The embedded log: a durable, ordered list of records in one directory, for sources without Kafka.
//!
//! The law: an append that returned is on disk, keeps its offset for ever, and every reader sees it once and in order.
//! Offsets count records from 0. One process owns a directory at a time.

mod append;
mod lock;
mod reader;
mod recover;
mod segment;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use freshet_config::time::EventTime;

use append::Group;
pub use reader::LogReader;
use segment::Segment;

/// A record as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    pub offset: u64,
    /// When it was appended, by the appender's clock.
    pub record_time: EventTime,
    pub payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// A segment this large is closed and a new one begun. At least one record goes into each.
    pub segment_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes: 64 << 20 }
    }
}

/// An end of the log that no crash had finished writing, and that opening cut off. None of it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    pub segment: PathBuf,
    /// The offset the next record gets.
    pub offset: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    #[error("cannot {action} {}: {error}", path.display())]
    Io { action: &'static str, path: PathBuf, error: Arc<io::Error> },
    #[error("the log at {} is in use by process {pid}: stop it first, or give this process another directory", dir.display())]
    Locked { dir: PathBuf, pid: String },
    #[error("{} is not a segment of a log of this version: move it out of the log's directory", path.display())]
    Foreign { path: PathBuf },
    /// Not a torn end: records that were acknowledged are unreadable or stand behind the damage.
    #[error("{} is damaged at byte {at}, where record {offset} should stand: restore the segment from a copy", path.display())]
    Damaged { path: PathBuf, at: u64, offset: u64 },
    #[error("the log at {} has no record {offset}: it holds records {first} to {end}, the last one excluded", dir.display())]
    NoSuchOffset { dir: PathBuf, offset: u64, first: u64, end: u64 },
    #[error("a record of {bytes} bytes is too large for the log: at most {} fit", segment::MAX_PAYLOAD_BYTES)]
    TooLarge { bytes: usize },
    #[error("the log at {} took no more records after a failed write ({error}): free the disk and restart", dir.display())]
    Failed { dir: PathBuf, error: Arc<io::Error> },
}

impl LogError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
        move |error| LogError::Io { action, path: path.to_path_buf(), error: Arc::new(error) }
    }

    /// Whether another process owns the directory: the case a command leaves with status 75.
    pub fn is_locked(&self) -> bool {
        matches!(self, LogError::Locked { .. })
    }
}

/// A log open for appending and reading. Clones share it.
#[derive(Clone, Debug)]
pub struct Log {
    shared: Arc<Shared>,
    torn: Option<TornTail>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    options: LogOptions,
    state: Mutex<State>,
    /// Told whenever a group's outcome is known, be it records on disk or an error.
    changed: Condvar,
    /// Held for as long as the log is.
    _lock: lock::Lock,
}

#[derive(Debug)]
struct State {
    /// Segments with only their durable part counted, oldest first; never empty.
    segments: Vec<Segment>,
    /// The offset after the last durable record.
    durable: u64,
    /// Records waiting to be written together.
    pending: Arc<Group>,
    pending_bytes: Vec<u8>,
    pending_records: u64,
    /// The file new records go to; taken by the appender that writes at the moment.
    writer: Option<append::Writer>,
    failed: Option<Arc<io::Error>>,
}

impl Shared {
    /// A panic in another thread leaves the state whole: it is only changed in steps that cannot fail halfway.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Opens or creates the log in `dir`, cuts off a torn end and takes ownership of the directory.
    pub fn open(dir: &Path) -> Result<Log, LogError> {
        Log::open_with(dir, LogOptions::default())
    }

    pub fn open_with(dir: &Path, options: LogOptions) -> Result<Log, LogError> {
        std::fs::create_dir_all(dir).map_err(LogError::io("create the log's directory", dir))?;
        let lock = lock::Lock::take(dir)?;
        let (segments, torn) = recover::recover(dir)?;
        if let Some(torn) = &torn {
            tracing::warn!(
                segment = %torn.segment.display(), bytes = torn.bytes, offset = torn.offset,
                "cut off an unfinished end of the log, which was never acknowledged"
            );
        }
        let last = segments.last().ok_or_else(|| LogError::Foreign { path: dir.to_path_buf() })?;
        let state = State {
            durable: last.end(),
            writer: Some(append::Writer::open(last)?),
            segments,
            pending: Arc::default(),
            pending_bytes: Vec::new(),
            pending_records: 0,
            failed: None,
        };
        let shared =
            Shared { dir: dir.to_path_buf(), options, state: Mutex::new(state), changed: Condvar::new(), _lock: lock };
        Ok(Log { shared: Arc::new(shared), torn })
    }

    /// What opening had to cut off.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// The offset of the oldest record.
    pub fn first_offset(&self) -> u64 {
        self.shared.state().segments.first().map_or(0, |segment| segment.first)
    }

    /// The offset after the last durable record.
    pub fn end_offset(&self) -> u64 {
        self.shared.state().durable
    }

    /// Reads from `from` (at most the end) on, and goes on as records come.
    pub fn reader(&self, from: u64) -> Result<LogReader, LogError> {
        LogReader::new(self.shared.clone(), from)
    }
}
