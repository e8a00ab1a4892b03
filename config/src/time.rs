//! Event time, spans of it, and epochs: three types that never mix.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// An instant of event time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTime(i64);

impl EventTime {
    /// The earliest instant an event may carry: 1700-01-01T00:00:00Z. Slices pack times into 54 bits.
    pub const MIN: EventTime = EventTime(-8_520_336_000_000_000);
    /// The latest instant an event may carry: 2250-01-01T00:00:00Z.
    pub const MAX: EventTime = EventTime(8_835_955_200_000_000);

    pub const fn from_micros(micros: i64) -> EventTime {
        EventTime(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whether an event may carry this instant.
    pub fn in_range(self) -> bool {
        (Self::MIN..=Self::MAX).contains(&self)
    }

    /// Parses RFC 3339. A missing zone is an error; a fraction finer than a microsecond is cut;
    /// a leap second `:60` reads as `:59.999999`.
    pub fn parse(text: &str) -> Result<EventTime, TimeError> {
        let at = DateTime::parse_from_rfc3339(text).map_err(|_| TimeError::Instant(text.to_string()))?;
        let second = at.timestamp().checked_mul(1_000_000).ok_or_else(|| TimeError::Instant(text.to_string()))?;
        let micros = i64::from(at.timestamp_subsec_micros()).min(999_999);
        let parsed = EventTime(second + micros);
        if parsed.in_range() { Ok(parsed) } else { Err(TimeError::Range(text.to_string())) }
    }
}

/// RFC 3339 in UTC, with as many fraction digits as needed (0, 3 or 6).
impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_micros(self.0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{}us", self.0),
        }
    }
}

impl std::ops::Add<Span> for EventTime {
    type Output = EventTime;
    fn add(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_add(span.0))
    }
}

impl std::ops::Sub<Span> for EventTime {
    type Output = EventTime;
    fn sub(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_sub(span.0))
    }
}

impl std::ops::Sub for EventTime {
    type Output = Span;
    fn sub(self, other: EventTime) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

/// A signed length of event time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

/// The units a span may be written in, longest first.
const UNITS: [(&str, i64); 8] = [
    ("w", 604_800_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
    ("min", 60_000_000),
];

impl Span {
    pub const ZERO: Span = Span(0);
    /// Longer than any two instants of events are apart, and far enough from the end of the type that sums with other
    /// spans fit. The size of a window without a beginning.
    pub const UNBOUNDED: Span = Span(i64::MAX / 4);

    pub const fn from_micros(micros: i64) -> Span {
        Span(micros)
    }

    /// The units a span may be written in.
    pub(crate) fn units() -> impl Iterator<Item = &'static str> {
        UNITS.iter().map(|(name, _)| *name)
    }

    pub const fn from_secs(seconds: i64) -> Span {
        Span(seconds * 1_000_000)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Parses `10m`, `1h30m`, `-2h`, `250ms`. A number without a unit is an error.
    pub fn parse(text: &str) -> Result<Span, TimeError> {
        let bad = || TimeError::Span(text.to_string());
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut total: i64 = 0;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let amount: i64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let unit = UNITS.iter().find(|(name, _)| *name == &rest[..letters]).ok_or_else(bad)?.1;
            rest = &rest[letters..];
            total = amount.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
        }
        Ok(Span(if negative { -total } else { total }))
    }
}

/// The shortest exact spelling, such as `1h30m`; what names of features are made of.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if *self == Span::UNBOUNDED {
            return f.write_str("unbounded");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        // Days are the largest unit printed: `7d`, not `1w`.
        for (name, unit) in &UNITS[1..7] {
            let amount = rest / *unit as u64;
            rest %= *unit as u64;
            if amount > 0 {
                write!(f, "{amount}{name}")?;
            }
        }
        Ok(())
    }
}

/// The dataflow's timestamp: a closed batch of input, numbered by a hybrid clock in microseconds.
///
/// Epochs only grow. The number is also the engine's clock: a row written in epoch `e` is exact from instant `e` on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    pub const fn from_micros(micros: u64) -> Epoch {
        Epoch(micros)
    }

    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("`{0}` is not an RFC 3339 instant with a zone, such as 2026-01-31T12:00:00Z")]
    Instant(String),
    #[error("`{0}` is outside the years 1700 to 2249")]
    Range(String),
    #[error("`{0}` is not a span: write numbers with units w, d, h, m, s, ms or us, such as 90s or 1h30m")]
    Span(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print() {
        for (text, micros, printed) in [
            ("10m", 600_000_000, "10m"),
            ("24h", 86_400_000_000, "1d"),
            ("1h30m", 5_400_000_000, "1h30m"),
            ("-2h", -7_200_000_000, "-2h"),
            ("250ms", 250_000, "250ms"),
            ("1w", 604_800_000_000, "7d"),
            ("0s", 0, "0s"),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!(span.micros(), micros, "{text}");
            assert_eq!(span.to_string(), printed);
        }
        for text in ["", "-", "10", "m", "1 fortnight", "1y", "10m5", "99999999999999d", "1.5h"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn instants_need_a_zone_and_keep_microseconds() {
        let at = EventTime::parse("2013-04-18T19:03:59.999999Z").unwrap();
        assert_eq!(at.to_string(), "2013-04-18T19:03:59.999999Z");
        assert_eq!(EventTime::parse("2013-04-18T21:03:59.999999+02:00").unwrap(), at);
        assert_eq!(EventTime::parse("2016-12-31T23:59:60Z").unwrap().to_string(), "2016-12-31T23:59:59.999999Z");
        for text in ["2013-04-18T19:03:59", "2013-04-18", "9999-01-01T00:00:00Z", "yesterday"] {
            assert!(EventTime::parse(text).is_err(), "{text}");
        }
    }
}
