//! Ctrl-C and SIGTERM: the first asks for an end in good order, the second ends the process at once.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::exit::Failure;

/// The status of a process ended by a second Ctrl-C, as shells have it.
const ENDED_AT_ONCE: i32 = 130;

/// Whether the process was asked to end. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP. Once per process.
    pub fn listen() -> Result<Interrupt, Failure> {
        let interrupt = Interrupt::default();
        let asked = interrupt.clone();
        let handler = move || {
            if asked.raise() {
                std::process::exit(ENDED_AT_ONCE);
            }
        };
        ctrlc::set_handler(handler)
            .map_err(|error| Failure::internal(format!("cannot listen for signals: {error}")))?;
        Ok(interrupt)
    }

    /// Asks for the end; whether it had been asked for before.
    pub fn raise(&self) -> bool {
        let before = std::mem::replace(&mut *self.lock(), true);
        self.shared.1.notify_all();
        before
    }

    pub fn raised(&self) -> bool {
        *self.lock()
    }

    /// Waits at most `time`; whether the end was asked for.
    pub fn wait(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut raised = self.lock();
        while !*raised {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            raised = self.shared.1.wait_timeout(raised, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    // A flag is whole whatever a panicking holder was doing.
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_raised() {
        let interrupt = Interrupt::default();
        assert!(!interrupt.wait(Duration::from_millis(1)));
        let waiter = interrupt.clone();
        let waiting = std::thread::spawn(move || waiter.wait(Duration::from_secs(60)));
        assert!(!interrupt.raise());
        assert!(waiting.join().unwrap());
        assert!(interrupt.raise(), "the second time is the second time");
    }
}
