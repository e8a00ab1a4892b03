//! How far every input was read, kept over restarts.
//!
//! The state of the dataflow is not kept: positions tell a restart which rejections the ledger already has, how far
//! behind the stream is, and from where on it must be read at the latest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use freshet_connectors::position;
use freshet_connectors::positions::{self, Positions, SourcePosition};

use super::IntakeError;

/// Positions reach the disk at most once in this time.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// The file of positions, shared by all intakes of a process.
#[derive(Debug)]
pub struct SavedPositions {
    path: PathBuf,
    /// As the file held them when it was opened.
    before: Positions,
    now: Mutex<Pending>,
    /// Inputs whose stream is another one than `before` speaks of, once that is known.
    renewed: Mutex<BTreeMap<String, Arc<AtomicBool>>>,
}

#[derive(Debug)]
struct Pending {
    positions: Positions,
    changed: bool,
    saved_at: Option<Instant>,
}

/// What the process before this one consumed of a source, and put into the ledger where it had to.
#[derive(Clone, Debug, Default)]
pub struct Consumed {
    /// `(file, row)` of the first record of the history that was not read.
    history: (usize, u64),
    stream: Option<SourcePosition>,
    /// The stream turned out to be another one, of which nothing was consumed.
    renewed: Arc<AtomicBool>,
    /// Positions are those of elements, which are of records here.
    exploded: bool,
}

impl Consumed {
    /// For a source whose events are taken apart.
    pub fn of_elements(self) -> Consumed {
        Consumed { exploded: true, ..self }
    }

    pub fn contains(&self, position: u64) -> bool {
        if self.exploded {
            let kafka = matches!(self.stream, Some(SourcePosition::Kafka { .. }));
            return self.contains_record(position::record_of(position, kafka));
        }
        self.contains_record(position)
    }

    pub fn contains_record(&self, position: u64) -> bool {
        if !position::is_stream(position) {
            return position::split_history(position) < self.history;
        }
        match self.stream.as_ref().filter(|_| !self.renewed.load(Ordering::Acquire)) {
            Some(SourcePosition::Log { offset }) => position::split_log(position) < *offset,
            Some(SourcePosition::Kafka { partitions, .. }) => {
                let (partition, offset) = position::split_kafka(position);
                partitions.get(&partition).is_some_and(|next| offset < *next)
            }
            Some(SourcePosition::Files { .. }) | None => false,
        }
    }
}

/// The name that the position in a source's history has beside the stream's, which has the source's. No source is
/// called so.
pub(super) fn history_name(source: &str) -> String {
    format!("{source}.history")
}

impl SavedPositions {
    /// Reads `data_dir/positions.json`; without the file there are none.
    pub fn open(data_dir: &Path) -> Result<SavedPositions, IntakeError> {
        let path = data_dir.join("positions.json");
        let before = positions::load(&path)?;
        let pending = Pending { positions: before.clone(), changed: false, saved_at: None };
        Ok(SavedPositions { path, before, now: Mutex::new(pending), renewed: Mutex::default() })
    }

    /// Where the input stood when the process before this one ended.
    pub fn before(&self, input: &str) -> Option<&SourcePosition> {
        self.before.get(input)
    }

    /// What the process before this one consumed of a source.
    pub fn consumed(&self, source: &str) -> Consumed {
        let history = match self.before(&history_name(source)) {
            Some(SourcePosition::Files { file, row }) => (*file, *row),
            _ => (0, 0),
        };
        let renewed = self.renewed(source);
        Consumed { history, stream: self.before(source).cloned(), renewed, exploded: false }
    }

    /// To be set when the stream of an input turns out to be another one, before a record of it is handed on.
    pub(super) fn renewed(&self, input: &str) -> Arc<AtomicBool> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).entry(input.to_string()).or_default().clone()
    }

    /// Notes a position, and writes the file when the last time was more than a second ago.
    pub fn note(&self, input: &str, position: SourcePosition) -> Result<(), IntakeError> {
        let mut pending = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.positions.get(input) != Some(&position) {
            pending.positions.insert(input.to_string(), position);
            pending.changed = true;
        }
        if pending.saved_at.is_none_or(|at| at.elapsed() >= SAVE_INTERVAL) {
            self.write(&mut pending)?;
        }
        Ok(())
    }

    /// Writes what was noted since the file was written, as a process does before it ends.
    pub fn flush(&self) -> Result<(), IntakeError> {
        self.write(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, pending: &mut Pending) -> Result<(), IntakeError> {
        if pending.changed {
            positions::save(&self.path, &pending.positions)?;
            pending.changed = false;
            pending.saved_at = Some(Instant::now());
        }
        Ok(())
    }
}
