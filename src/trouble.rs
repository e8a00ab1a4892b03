//! What the log says of inputs that do not get on: when that begins, rarely while it lasts, and when it is over.
//!
//! The words change with every attempt to connect; what is said again on account of that would bury the rest of the log.

use std::time::{Duration, Instant};

/// While a trouble lasts it is said again this often.
const AGAIN: Duration = Duration::from_secs(300);

/// Remembers what was said last.
#[derive(Debug, Default)]
pub struct TroubleLog {
    said_at: Option<Instant>,
}

/// What there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Trouble,
    Over,
}

impl TroubleLog {
    /// Looks at what is in the way at the moment.
    pub fn look(&mut self, trouble: Option<&str>, now: Instant) {
        match self.news(trouble.is_some(), now) {
            Some(News::Trouble) => tracing::warn!("{}", trouble.unwrap_or_default()),
            Some(News::Over) => tracing::info!("every source gets on again"),
            None => {}
        }
    }

    fn news(&mut self, troubled: bool, now: Instant) -> Option<News> {
        match self.said_at {
            Some(_) if !troubled => {
                self.said_at = None;
                Some(News::Over)
            }
            Some(said_at) if now.saturating_duration_since(said_at) < AGAIN => None,
            _ if !troubled => None,
            _ => {
                self.said_at = Some(now);
                Some(News::Trouble)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_said_once_and_then_rarely() {
        let (mut log, start) = (TroubleLog::default(), Instant::now());
        let mut look = |seconds: u64, troubled| log.news(troubled, start + Duration::from_secs(seconds));
        assert_eq!(look(0, false), None);
        assert_eq!(look(1, true), Some(News::Trouble));
        assert_eq!(look(2, true), None);
        assert_eq!(look(300, true), None);
        assert_eq!(look(301, true), Some(News::Trouble));
        assert_eq!(look(302, false), Some(News::Over));
        assert_eq!(look(303, false), None);
        assert_eq!(look(304, true), Some(News::Trouble));
    }
}
