//! Where the instant of a request comes from: passed in, so that tests and replays choose it.

use std::time::{SystemTime, UNIX_EPOCH};

use freshet_config::time::EventTime;

/// The instant a request asks for when it names none.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> EventTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> EventTime {
        // A clock before 1970 reads as 1970: rows then answer for an instant before their events.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        EventTime::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}
