//! Looks at a topic from beside its reader: where it ends now, and whether it is still the topic that is read.
//!
//! Law: what a reader could only skip is found out here within seconds. The looks are on a thread of their own, because a
//! broker that does not answer holds whoever asks it.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use freshet_connectors::kafka::{KafkaError, KafkaProbe};

use super::lag::TopicEnds;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// A topic that is missing, or shorter than what was read of it, for this long is not the one it was: brokers that take each
/// other's place may say so for a moment.
const LOST_AFTER: Duration = Duration::from_secs(3);

/// The thread that looks; it ends when this is gone.
pub(super) struct TopicWatch {
    found: Arc<Mutex<Found>>,
    _wanted: Sender<Infallible>,
}

#[derive(Default)]
struct Found {
    /// What the last look failed for.
    trouble: Option<String>,
    /// Nothing more can be read.
    lost: Option<KafkaError>,
}

impl TopicWatch {
    pub fn start(input: &str, probe: KafkaProbe, ends: TopicEnds) -> io::Result<TopicWatch> {
        let (wanted, still_wanted) = bounded(0);
        let found = Arc::new(Mutex::new(Found::default()));
        let told = found.clone();
        std::thread::Builder::new().name(format!("watch {input}")).spawn(move || {
            watch(&probe, &ends, &told, &still_wanted);
        })?;
        Ok(TopicWatch { found, _wanted: wanted })
    }

    /// Why nothing more can be read.
    pub fn lost(&self) -> Option<KafkaError> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).lost.clone()
    }

    /// What the last look failed for.
    pub fn trouble(&self) -> Option<String> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }
}

fn watch(probe: &KafkaProbe, ends: &TopicEnds, found: &Mutex<Found>, still_wanted: &Receiver<Infallible>) {
    let mut missing_since: Option<Instant> = None;
    loop {
        // Taken first: what is read while the broker is asked is no contradiction.
        let next = ends.next();
        let looked = probe.look(&next);
        let mut now = Found::default();
        match looked {
            Ok(bounds) => {
                missing_since = None;
                ends.set_bounds(Some(bounds));
            }
            Err(error) => {
                ends.set_bounds(None);
                now.trouble = Some(error.to_string());
                let missing = matches!(error, KafkaError::NoTopic { .. } | KafkaError::OffsetGone { .. });
                let since = missing.then(|| *missing_since.get_or_insert_with(Instant::now));
                missing_since = since;
                let for_long = since.is_some_and(|since| since.elapsed() >= LOST_AFTER);
                now.lost = match error {
                    KafkaError::Remade { .. } => Some(error),
                    KafkaError::OffsetGone { .. } if for_long => Some(error),
                    KafkaError::NoTopic { .. } if for_long => Some(probe.gone()),
                    _ => None,
                };
            }
        }
        let lost = now.lost.is_some();
        *found.lock().unwrap_or_else(PoisonError::into_inner) = now;
        if lost || matches!(still_wanted.recv_timeout(LOOK), Err(RecvTimeoutError::Disconnected)) {
            return;
        }
    }
}
