//! A caller like any other: looks features up over HTTP at a steady pace and notes how long each answer takes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::{Client, GET_FEATURES};
use crate::exit::Failure;
use crate::interrupt::Interrupt;

/// Time between two lookups.
const PACE: Duration = Duration::from_millis(5);
/// Longest time told apart, in nanoseconds.
const LONGEST_NANOS: u64 = 60_000_000_000;

/// A thread that looks features up until told to stop.
pub struct Prober {
    shared: Arc<Mutex<Seen>>,
    stop: Interrupt,
    thread: JoinHandle<()>,
}

struct Seen {
    nanos: Histogram<u64>,
    failed: u64,
    last_failure: Option<String>,
    first_value: Option<Instant>,
}

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub struct Lookups {
    pub answered: u64,
    pub failed: u64,
    pub last_failure: Option<String>,
    pub p50_us: f64,
    pub p99_us: f64,
    /// When a feature was first there.
    pub first_value: Option<Instant>,
}

impl Prober {
    /// `body` gives the body of each request.
    pub fn start(address: SocketAddr, mut body: impl FnMut() -> String + Send + 'static) -> Result<Prober, Failure> {
        let client = Client::new(&format!("http://{address}"))?;
        let nanos = Histogram::new_with_bounds(1, LONGEST_NANOS, 2)
            .map_err(|error| Failure::internal(format!("cannot measure lookups: {error}")))?;
        let seen = Seen { nanos, failed: 0, last_failure: None, first_value: None };
        let (shared, stop) = (Arc::new(Mutex::new(seen)), Interrupt::default());
        let (seen, stopped) = (shared.clone(), stop.clone());
        let probe = move || {
            while !stopped.wait(PACE) {
                look(&client, &body(), &seen);
            }
        };
        let thread = std::thread::Builder::new().name("prober".to_string()).spawn(probe);
        let thread = thread.map_err(|error| Failure::internal(format!("cannot start the prober: {error}")))?;
        Ok(Prober { shared, stop, thread })
    }

    pub fn lookups(&self) -> Lookups {
        let seen = lock(&self.shared);
        let micros = |quantile| seen.nanos.value_at_quantile(quantile) as f64 / 1e3;
        Lookups {
            answered: seen.nanos.len(),
            failed: seen.failed,
            last_failure: seen.last_failure.clone(),
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            first_value: seen.first_value,
        }
    }

    /// Ends the thread and gives what it saw.
    pub fn stop(self) -> Lookups {
        self.stop.raise();
        let lookups = self.lookups();
        // A thread that panicked has said so on stderr.
        let _ = self.thread.join();
        lookups
    }
}

fn look(client: &Client, body: &str, seen: &Mutex<Seen>) {
    let started = Instant::now();
    let answer = client.post(GET_FEATURES, body.as_bytes());
    let elapsed = u64::try_from(started.elapsed().as_nanos()).unwrap_or(LONGEST_NANOS);
    let mut seen = lock(seen);
    match answer {
        Ok(answer) if answer.status == 200 => {
            seen.nanos.saturating_record(elapsed.clamp(1, LONGEST_NANOS));
            let present = b"\"PRESENT\"";
            if seen.first_value.is_none() && answer.body.windows(present.len()).any(|bytes| bytes == present) {
                seen.first_value = Some(Instant::now());
            }
        }
        Ok(answer) => {
            seen.failed += 1;
            seen.last_failure = Some(answer.success().err().map_or_else(String::new, |failure| failure.message));
        }
        Err(error) => {
            seen.failed += 1;
            seen.last_failure = Some(error.to_string());
        }
    }
}

// Counts are whole whatever a panicking holder was doing.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
