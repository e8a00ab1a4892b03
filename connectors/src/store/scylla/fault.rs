//! Whether what the driver failed with may be over later, or has to be put right by somebody.

use scylla::errors::{DbError, ExecutionError, PrepareError, RequestAttemptError};

use super::settings::ScyllaSettings;
use crate::store::StoreError;

/// A request that failed.
#[derive(Debug)]
pub(super) struct Fault {
    /// The cluster or the way to it failed, not the request: the same one may succeed later.
    pub passes: bool,
    /// The driver's words.
    pub cause: String,
}

impl Fault {
    pub fn lasting(cause: impl ToString) -> Fault {
        Fault { passes: false, cause: cause.to_string() }
    }

    pub fn passing(cause: impl ToString) -> Fault {
        Fault { passes: true, cause: cause.to_string() }
    }

    /// As the store's error; `action` is what was asked of the cluster.
    pub fn error(self, settings: &ScyllaSettings, action: &'static str) -> StoreError {
        let cause = self.cause;
        match self.passes {
            true => StoreError::NoNode { nodes: settings.nodes.join(", "), cause },
            false => StoreError::Refused { action, keyspace: settings.keyspace.clone(), cause },
        }
    }
}

impl From<ExecutionError> for Fault {
    fn from(error: ExecutionError) -> Fault {
        let passes = match &error {
            ExecutionError::ConnectionPoolError(_) | ExecutionError::RequestTimeout(_) | ExecutionError::EmptyPlan => {
                true
            }
            ExecutionError::LastAttemptError(attempt) => may_pass(attempt),
            _ => false,
        };
        Fault { passes, cause: error.to_string() }
    }
}

impl From<PrepareError> for Fault {
    fn from(error: PrepareError) -> Fault {
        let passes = match &error {
            PrepareError::ConnectionPoolError(_) => true,
            PrepareError::AllAttemptsFailed { first_attempt } => may_pass(first_attempt),
            _ => false,
        };
        Fault { passes, cause: error.to_string() }
    }
}

fn may_pass(error: &RequestAttemptError) -> bool {
    match error {
        RequestAttemptError::BrokenConnectionError(_) | RequestAttemptError::UnableToAllocStreamId => true,
        RequestAttemptError::DbError(error, _) => matches!(
            error,
            DbError::Unavailable { .. }
                | DbError::Overloaded
                | DbError::IsBootstrapping
                | DbError::ReadTimeout { .. }
                | DbError::WriteTimeout { .. }
                | DbError::ReadFailure { .. }
                | DbError::WriteFailure { .. }
                | DbError::RateLimitReached { .. }
                | DbError::ServerError
        ),
        _ => false,
    }
}
