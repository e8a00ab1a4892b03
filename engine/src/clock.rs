//! Where time comes from: passed in, never read inside an operator.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use freshet_config::time::EventTime;

/// The engine's and the serving side's notion of now.
#[derive(Debug)]
pub enum Clock {
    /// The machine's.
    Wall,
    /// The latest event time seen, for replays: time stands still between events, and [`Clock::advance`] moves it.
    Event(AtomicI64),
}

impl Clock {
    /// A clock of events that starts at the beginning of time.
    pub fn event() -> Clock {
        Clock::Event(AtomicI64::new(EventTime::MIN.micros()))
    }

    pub fn now(&self) -> EventTime {
        match self {
            Clock::Wall => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                EventTime::from_micros(since.as_micros() as i64)
            }
            Clock::Event(latest) => EventTime::from_micros(latest.load(Ordering::Acquire)),
        }
    }

    /// Moves an event clock forward; a wall clock takes no orders, and no clock goes back.
    pub fn advance(&self, to: EventTime) {
        if let Clock::Event(latest) = self {
            latest.fetch_max(to.micros(), Ordering::AcqRel);
        }
    }
}
