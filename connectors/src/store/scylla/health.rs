//! What stands between the store and its cluster at the moment, told at any time to anybody.
//!
//! Law: a trouble is over when what failed has succeeded, never because time went by: a write that is made again is one until
//! it is taken, and so is a look at the cluster that failed until another is answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::fault::Fault;
use super::settings::ScyllaSettings;
use crate::store::StoreError;

/// Kept by whoever asks something of the cluster.
#[derive(Default)]
pub(super) struct Health {
    looked: Mutex<Looked>,
    /// Writes that failed and are made again.
    repeated: AtomicUsize,
    /// What the last of them failed for.
    write_cause: Mutex<String>,
    refusal: OnceLock<String>,
}

/// What the last look at the cluster found.
#[derive(Default)]
enum Looked {
    /// No node was reached yet, and why, once an attempt is over.
    #[default]
    Nowhere,
    Failed(String),
    Answered,
    Unanswered(String),
}

impl Health {
    pub fn answered(&self) {
        self.look(Looked::Answered);
    }

    /// A look at a cluster that was reached before failed.
    pub fn unanswered(&self, cause: String) {
        self.look(Looked::Unanswered(cause));
    }

    /// An attempt to reach it failed.
    pub fn not_reached(&self, cause: String) {
        self.look(Looked::Failed(cause));
    }

    /// It never can be used as it is.
    pub fn refused(&self, error: &StoreError) {
        // Only the first is kept.
        let _ = self.refusal.set(error.to_string());
    }

    fn look(&self, looked: Looked) {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = looked;
    }

    /// Until what is given is dropped, some write is made again.
    pub fn repeat(&self) -> Repeated<'_> {
        self.repeated.fetch_add(1, Ordering::Relaxed);
        Repeated(self)
    }

    /// What a request fails with that comes before the first connection.
    pub fn unconnected(&self) -> Fault {
        match &*self.looked.lock().unwrap_or_else(PoisonError::into_inner) {
            Looked::Failed(cause) => Fault::passing(cause),
            _ => Fault::passing("no connection was made yet"),
        }
    }

    pub fn refusal(&self) -> Option<String> {
        self.refusal.get().cloned()
    }

    pub fn trouble(&self, settings: &ScyllaSettings) -> Option<String> {
        let nodes = settings.nodes.join(", ");
        match &*self.looked.lock().unwrap_or_else(PoisonError::into_inner) {
            Looked::Nowhere => return Some(format!("the store waits for a ScyllaDB node of {nodes}")),
            Looked::Failed(cause) => return Some(StoreError::NoNode { nodes, cause: cause.clone() }.to_string()),
            Looked::Unanswered(cause) => {
                return Some(format!("ScyllaDB at {nodes} does not answer: check that its nodes are up ({cause})"));
            }
            Looked::Answered => {}
        }
        (self.repeated.load(Ordering::Relaxed) > 0).then(|| {
            let cause = self.write_cause.lock().unwrap_or_else(PoisonError::into_inner);
            format!("ScyllaDB at {nodes} does not take rows: check that enough nodes are up ({cause})")
        })
    }
}

/// A write that failed, until it is over.
pub(super) struct Repeated<'a>(&'a Health);

impl Repeated<'_> {
    pub fn note(&self, cause: String) {
        *self.0.write_cause.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }
}

impl Drop for Repeated<'_> {
    fn drop(&mut self) {
        self.0.repeated.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_lasts_until_what_failed_succeeds() {
        let (health, settings) = (Health::default(), ScyllaSettings::new(vec!["n1:9042".into()], "ks", "prod"));
        let trouble = || health.trouble(&settings);
        assert_eq!(trouble().unwrap(), "the store waits for a ScyllaDB node of n1:9042");
        health.not_reached("refused".to_string());
        assert!(trouble().unwrap().contains("n1:9042 can be reached"));
        health.answered();
        assert_eq!(trouble(), None);
        let (one, other) = (health.repeat(), health.repeat());
        one.note("two of three are down".to_string());
        drop(other);
        assert!(trouble().unwrap().contains("does not take rows") && trouble().unwrap().contains("two of three"));
        health.unanswered("no connection".to_string());
        assert!(trouble().unwrap().contains("does not answer"));
        health.answered();
        assert!(trouble().is_some(), "a write is still made again");
        drop(one);
        assert_eq!(trouble(), None);
    }
}
