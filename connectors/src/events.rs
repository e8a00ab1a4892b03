//! What every input hands on: decoded events in columns, and a rejection for each record that is not an event.
//!
//! The law: everything consumed is either admitted or in the ledger with a reason.

use std::fmt;

use arrow::array::RecordBatch;
use freshet_config::time::{EventTime, Span};
use serde::{Deserialize, Serialize};

/// The largest record that is decoded, in bytes; larger ones are refused by size alone.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// Events of one source, in the order they stand there.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// Columns by `freshet_config::definitions::arrow_schema(&source.schema)`. The event time is never null,
    /// floats are finite and never `-0.0`. Where a changelog is read, marks follow (see [`crate::changes`]), and records
    /// that remove a row may have nulls everywhere but in their key.
    pub batch: RecordBatch,
    /// Per event, its order among equal event times (see [`crate::position`]).
    pub positions: Vec<u64>,
    /// Per event, when its record came to the stream. Empty for history.
    pub record_times: Vec<EventTime>,
}

impl EventBatch {
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// When the first of the events came to the stream, which freshness is measured from. `None` for history.
    pub fn arrival(&self) -> Option<EventTime> {
        self.record_times.iter().copied().min()
    }
}

/// How far an event's time may lie from the time of its record. Histories have no record times and no such bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    /// How much earlier than its record.
    pub past: Span,
    /// How much later than its record.
    pub future: Span,
}

impl TimeBounds {
    /// Ten years back, five minutes ahead.
    pub const DEFAULT: TimeBounds =
        TimeBounds { past: Span::from_secs(3_652 * 86_400), future: Span::from_secs(5 * 60) };
    /// Everything an event may carry: for feeding an old history through a stream.
    pub const UNBOUNDED: TimeBounds =
        TimeBounds { past: Span::from_micros(i64::MAX), future: Span::from_micros(i64::MAX) };
}

impl Default for TimeBounds {
    fn default() -> TimeBounds {
        TimeBounds::DEFAULT
    }
}

/// Why a record did not become an event: the ledger's classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Later than the longest window plus the source's lateness.
    Late,
    /// An event with the same identity was admitted before, or a change says nothing new of its row.
    Duplicate,
    /// Cannot be read as an event of the source.
    Unparsable,
    /// A filter left it out.
    Filtered,
    /// Its time lies too far ahead of its record's.
    Future,
    /// Its subject was erased.
    Erased,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Late => "late",
            Reason::Duplicate => "duplicate",
            Reason::Unparsable => "unparsable",
            Reason::Filtered => "filtered",
            Reason::Future => "future",
            Reason::Erased => "erased",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The finer, stable code of a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Code {
    /// Not readable in the source's format.
    #[serde(rename = "EV-DECODE")]
    Decode,
    /// No value at all.
    #[serde(rename = "EV-EMPTY")]
    Empty,
    /// A join key is missing, null or too long.
    #[serde(rename = "EV-KEY")]
    Key,
    /// The event time is missing, null, unreadable or too far in the past.
    #[serde(rename = "EV-TIME")]
    Time,
    /// The event time is too far ahead.
    #[serde(rename = "EV-FUTURE")]
    Future,
    /// A value of another type than its column's.
    #[serde(rename = "EV-TYPE")]
    Type,
    /// A value its column's type cannot hold.
    #[serde(rename = "EV-RANGE")]
    Range,
    /// A name that stands twice in one object.
    #[serde(rename = "EV-DUPKEY")]
    DuplicateName,
    /// Too many bytes, fields or levels.
    #[serde(rename = "EV-SIZE")]
    Size,
    #[serde(rename = "EV-LATE")]
    Late,
    #[serde(rename = "EV-DUPLICATE")]
    Duplicate,
    /// A duplicate with other content: the first one stands.
    #[serde(rename = "EV-CONFLICT")]
    Conflict,
    /// A change of a row that is older than what is known of it.
    #[serde(rename = "EV-STALE")]
    Stale,
    /// The removal of a row that is not known.
    #[serde(rename = "EV-UNKNOWN")]
    Unknown,
    #[serde(rename = "EV-FILTERED")]
    Filtered,
    #[serde(rename = "EV-ERASED")]
    Erased,
}

impl Code {
    /// As written in ledgers, logs and answers.
    pub fn name(self) -> &'static str {
        match self {
            Code::Decode => "EV-DECODE",
            Code::Empty => "EV-EMPTY",
            Code::Key => "EV-KEY",
            Code::Time => "EV-TIME",
            Code::Future => "EV-FUTURE",
            Code::Type => "EV-TYPE",
            Code::Range => "EV-RANGE",
            Code::DuplicateName => "EV-DUPKEY",
            Code::Size => "EV-SIZE",
            Code::Late => "EV-LATE",
            Code::Duplicate => "EV-DUPLICATE",
            Code::Conflict => "EV-CONFLICT",
            Code::Stale => "EV-STALE",
            Code::Unknown => "EV-UNKNOWN",
            Code::Filtered => "EV-FILTERED",
            Code::Erased => "EV-ERASED",
        }
    }

    /// The class this code belongs to.
    pub fn reason(self) -> Reason {
        match self {
            Code::Late => Reason::Late,
            // A removal of what is not there was said before, or of a row that no window reaches.
            Code::Duplicate | Code::Conflict | Code::Stale | Code::Unknown => Reason::Duplicate,
            Code::Filtered => Reason::Filtered,
            Code::Future => Reason::Future,
            Code::Erased => Reason::Erased,
            _ => Reason::Unparsable,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A record that did not become an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub code: Code,
    /// `topic/partition/offset`, `log/offset`, `day.csv, line 12`, `day.parquet, row group 3, row 12`.
    pub place: String,
    /// One lower-case sentence without a full stop.
    pub message: String,
    /// When the record came to its stream, if it came by one.
    pub record_time: Option<EventTime>,
    /// The start of the record, as text; see [`excerpt`]. Empty where the record is not text.
    pub payload_excerpt: String,
}

impl Rejection {
    pub fn reason(&self) -> Reason {
        self.code.reason()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.place, self.message, self.code)
    }
}

/// The most of a payload that is kept with its rejection, in bytes.
pub const MAX_EXCERPT_BYTES: usize = 256;

/// The start of a payload as text: bad UTF-8 replaced, cut at [`MAX_EXCERPT_BYTES`] and then marked with `…`.
pub fn excerpt(payload: &[u8]) -> String {
    if payload.len() <= MAX_EXCERPT_BYTES {
        return String::from_utf8_lossy(payload).into_owned();
    }
    let mut end = MAX_EXCERPT_BYTES;
    // Not inside a character: at most three continuation bytes can follow its first byte.
    while end > MAX_EXCERPT_BYTES - 4 && payload[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    let mut text = String::from_utf8_lossy(&payload[..end]).into_owned();
    text.push('…');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_cut_between_characters() {
        assert_eq!(excerpt(b"{\"a\":\xff}"), "{\"a\":\u{fffd}}");
        let long = "é".repeat(400);
        let cut = excerpt(long.as_bytes());
        assert_eq!(cut, format!("{}…", "é".repeat(128)));
        let odd = excerpt(format!("x{long}").as_bytes());
        assert_eq!(odd, format!("x{}…", "é".repeat(127)));
    }

    #[test]
    fn codes_print_as_they_are_stored() {
        for code in [Code::Decode, Code::Time, Code::DuplicateName, Code::Late, Code::Erased] {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.name()));
        }
        assert_eq!(Code::DuplicateName.reason(), Reason::Unparsable);
        assert_eq!(Code::Conflict.reason(), Reason::Duplicate);
        assert_eq!(Code::Future.reason().to_string(), "future");
    }
}
