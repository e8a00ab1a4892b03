//! Inputs that do not get on, or a store: what the log says of them, and from when on `/readyz` does.
//!
//! The log says when a trouble begins, rarely while it lasts, and when it is over: the words change with every attempt to
//! connect, and what is said again on account of that would bury the rest of the log. A process that was ready stays so
//! through a trouble that is over soon, such as a broker that takes another's place.

use std::time::{Duration, Instant};

/// While a trouble lasts it is said again this often.
const AGAIN: Duration = Duration::from_secs(300);
/// A process that was ready is so no more once a trouble lasts for this long.
const GRACE: Duration = Duration::from_secs(5);

/// Remembers since when there is a trouble, and when it was said last.
#[derive(Debug, Default)]
pub struct TroubleLog {
    since: Option<Instant>,
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
            Some(News::Over) => tracing::info!("every source gets on again, and so does the store"),
            None => {}
        }
    }

    /// Whether what is in the way has been for so long that it is no passing one.
    pub fn lasts(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= GRACE)
    }

    fn news(&mut self, troubled: bool, now: Instant) -> Option<News> {
        self.since = troubled.then(|| self.since.unwrap_or(now));
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

    #[test]
    fn a_trouble_lasts_when_it_is_not_over_within_the_grace() {
        let (mut log, start) = (TroubleLog::default(), Instant::now());
        let mut lasts = |seconds: u64, troubled| {
            let now = start + Duration::from_secs(seconds);
            log.news(troubled, now);
            log.lasts(now)
        };
        let seen = [(0, true), (4, true), (5, false), (6, true), (10, true), (11, true), (12, true), (13, false)];
        assert_eq!(
            seen.map(|(at, troubled)| lasts(at, troubled)),
            [false, false, false, false, false, true, true, false]
        );
    }
}
