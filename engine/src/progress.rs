//! What the engine counts while it runs, and the first thing that stopped it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use freshet_connectors::events::{Code, Rejection};
use freshet_connectors::ledger::Ledger;
use freshet_connectors::offline::OfflineError;
use freshet_operators::project::{Projected, SourceBatch};

use crate::ingest::{Consumed, IntakeCounts, IntakeError, Places};

/// What became of the events of one source behind its reader.
pub struct Tally {
    source: String,
    ledger: Arc<Ledger>,
    /// What the ledger knows of already.
    before: Consumed,
    places: Places,
    filtered: AtomicU64,
    keyless: AtomicU64,
    failed_values: AtomicU64,
    /// Pushed records that were refused, and so never came to a stream.
    refused: Mutex<IntakeCounts>,
}

impl Tally {
    pub fn new(source: &str, ledger: Arc<Ledger>, before: Consumed, places: Places) -> Tally {
        Tally {
            source: source.to_string(),
            ledger,
            before,
            places,
            filtered: AtomicU64::new(0),
            keyless: AtomicU64::new(0),
            failed_values: AtomicU64::new(0),
            refused: Mutex::default(),
        }
    }

    /// Counts what projection left out. Batches that take events back were counted when the events came.
    pub fn projected(&self, batch: &SourceBatch, found: &Projected) {
        if batch.signs.iter().any(|sign| *sign < 0) {
            return;
        }
        self.filtered.fetch_add(found.filtered.len() as u64, Ordering::Relaxed);
        self.failed_values.fetch_add(found.failed_values, Ordering::Relaxed);
        let position = |row: usize| batch.positions.get(row).copied().unwrap_or_default();
        let news = found.filtered.iter().filter(|row| !self.before.contains(position(**row))).count() as u64;
        if news > 0 {
            self.keep(self.ledger.count(&self.source, Code::Filtered, news));
        }
        self.keyless.fetch_add(found.keyless.len() as u64, Ordering::Relaxed);
        for position in found.keyless.iter().map(|row| position(*row)).filter(|p| !self.before.contains(*p)) {
            self.keep(self.ledger.record(
                &self.source,
                &Rejection {
                    code: Code::Key,
                    place: self.places.place(position),
                    message: "a join key of every view that would take the event is null or too long".to_string(),
                    record_time: None,
                    payload_excerpt: String::new(),
                },
            ));
        }
    }

    /// Counts a pushed record that was refused.
    pub fn refused_at_door(&self, rejection: Rejection) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.consumed += 1;
        refused.reject(rejection.reason());
        drop(refused);
        self.keep(self.ledger.record(&self.source, &rejection));
    }

    /// What became of pushed records that were refused.
    pub fn refused(&self) -> IntakeCounts {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ledger that cannot be written loses the text of a rejection, never its count.
    fn keep<E: std::fmt::Display>(&self, written: Result<(), E>) {
        if let Err(error) = written {
            tracing::warn!("the ledger of source `{}` cannot be written: {error}", self.source);
        }
    }

    /// Events no view took, for lack of a match or of a key.
    pub fn left_out(&self) -> u64 {
        self.filtered() + self.keyless()
    }

    /// Events without a key that any view could take.
    pub fn keyless(&self) -> u64 {
        self.keyless.load(Ordering::Relaxed)
    }

    pub fn filtered(&self) -> u64 {
        self.filtered.load(Ordering::Relaxed)
    }

    /// Values that SQL could not compute; they count as null.
    pub fn failed_values(&self) -> u64 {
        self.failed_values.load(Ordering::Relaxed)
    }
}

/// The first failure that stops the engine's writing. Later ones are its consequences.
#[derive(Debug, Default)]
pub struct Failure(OnceLock<(String, Cause)>);

/// Where a failure came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This process, or what it keeps.
    Inside,
    /// A server that it reads from.
    Outside,
    /// A disk that takes nothing more.
    Disk,
    /// Files that cannot be read on.
    Data,
}

impl Failure {
    pub fn set(&self, message: String) {
        self.keep(message, Cause::Inside);
    }

    /// An input cannot be read any further.
    pub fn of_input(&self, error: &IntakeError) {
        let cause = match error {
            IntakeError::History { .. } => Cause::Data,
            error if error.is_outside() => Cause::Outside,
            _ => Cause::Inside,
        };
        self.keep(error.to_string(), cause);
    }

    /// Offline files cannot be written any further.
    pub fn of_offline(&self, error: &OfflineError) {
        let disk = matches!(error, OfflineError::File { .. } | OfflineError::Encode { .. });
        self.keep(error.to_string(), if disk { Cause::Disk } else { Cause::Inside });
    }

    fn keep(&self, message: String, cause: Cause) {
        tracing::error!("{message}");
        // Only the first is kept.
        let _ = self.0.set((message, cause));
    }

    pub fn is_set(&self) -> bool {
        self.0.get().is_some()
    }

    pub fn get(&self) -> Option<&str> {
        self.0.get().map(|(message, _)| message.as_str())
    }

    pub fn cause(&self) -> Option<Cause> {
        self.0.get().map(|(_, cause)| *cause)
    }
}
