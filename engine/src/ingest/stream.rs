//! The stream of a source or dimension: records of the embedded log or of a Kafka topic, from the place a start needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use freshet_config::definitions::Stream;
use freshet_config::time::EventTime;
use freshet_connectors::log::{Log, LogReader};
use freshet_connectors::position;
use freshet_connectors::positions::SourcePosition;

use super::lag::Lag;
use super::places::in_log;
use super::topic::{Before, TopicStream};
use super::trouble::Trouble;
use super::{Connections, IntakeError};

/// A poll ends when it has this many bytes, whatever number of records was asked for.
const MAX_POLL_BYTES: usize = 16 << 20;
/// Records fetched between two looks at their size.
const STEP_RECORDS: usize = 256;

/// A record as it came.
pub(super) struct Record {
    /// Empty for a Kafka tombstone.
    pub payload: Vec<u8>,
    pub position: u64,
    /// `None`: the broker sent none.
    pub record_time: Option<EventTime>,
}

/// Reads one stream.
pub(super) struct StreamReader {
    input: String,
    kind: Kind,
}

enum Kind {
    Log(LogStream),
    Topic(TopicStream),
}

struct LogStream {
    log: Log,
    reader: LogReader,
    /// The offset behind the last record read, for [`Lag`].
    next: Arc<AtomicU64>,
    /// What an earlier process consumed up to here is in the ledger where it was rejected.
    before: u64,
    /// Records the earlier process consumed and that came before this instant are passed over.
    needed_from: Option<EventTime>,
    /// Where the log ended when it was opened.
    backlog_end: u64,
}

impl StreamReader {
    /// Opens the stream of `input`. Its first start reads from the beginning. A later one leaves out what was consumed
    /// before and came before `needed_from`.
    pub fn open(
        input: &str,
        stream: &Stream,
        needed_from: Option<EventTime>,
        connections: &Connections<'_>,
    ) -> Result<StreamReader, IntakeError> {
        let saved = connections.positions.before(input);
        let kind = match stream {
            Stream::Log => {
                let before = match saved {
                    Some(SourcePosition::Log { offset }) => *offset,
                    _ => 0,
                };
                let log = connections.logs.get(input).ok_or_else(|| IntakeError::NoLog(input.to_string()))?;
                Kind::Log(LogStream::open(input, log, before, needed_from)?)
            }
            Stream::Kafka { topic, .. } => {
                let before = match saved {
                    Some(SourcePosition::Kafka { partitions, topic_id }) => {
                        Some(Before { partitions: partitions.clone(), topic_id: topic_id.clone() })
                    }
                    _ => None,
                };
                Kind::Topic(TopicStream::open(input, topic, before, needed_from, connections)?)
            }
        };
        Ok(StreamReader { input: input.to_string(), kind })
    }

    /// The next records: waits up to `wait` for the first, then takes what is at hand, at most `max_records`.
    pub fn poll(&mut self, max_records: usize, wait: Duration) -> Result<Vec<Record>, IntakeError> {
        let mut records = Vec::new();
        let mut bytes = 0;
        while records.len() < max_records && bytes < MAX_POLL_BYTES {
            let step = STEP_RECORDS.min(max_records - records.len());
            let wait = if records.is_empty() { wait } else { Duration::ZERO };
            let more = match &mut self.kind {
                Kind::Log(log) => log.poll(&self.input, step, wait)?,
                Kind::Topic(topic) => topic.poll(&self.input, step, wait)?,
            };
            if more.is_empty() {
                break;
            }
            bytes += more.iter().map(|record| record.payload.len()).sum::<usize>();
            records.extend(more);
        }
        Ok(records)
    }

    /// The next record to read. Kafka partitions of which nothing was read are not mentioned; `None` while no broker was
    /// reached.
    pub fn position(&self) -> Option<SourcePosition> {
        match &self.kind {
            Kind::Log(log) => Some(SourcePosition::Log { offset: log.reader.next_offset() }),
            Kind::Topic(topic) => topic.position(),
        }
    }

    /// The position, but nowhere behind what an earlier process consumed: a start that reads records again must not make
    /// the next one count them again, or miss those that are gone by then.
    pub fn furthest(&self, position: SourcePosition) -> SourcePosition {
        match (&self.kind, position) {
            (Kind::Log(log), SourcePosition::Log { offset }) => SourcePosition::Log { offset: offset.max(log.before) },
            (Kind::Topic(topic), SourcePosition::Kafka { partitions, topic_id }) => {
                SourcePosition::Kafka { partitions: topic.furthest(partitions), topic_id }
            }
            (_, position) => position,
        }
    }

    /// A record as rejections name it.
    pub fn place(&self, position: u64) -> String {
        match &self.kind {
            Kind::Log(_) => in_log(position),
            Kind::Topic(topic) => topic.place(position),
        }
    }

    /// Whether an earlier process consumed the record, and put it into the ledger if it had to.
    pub fn was_consumed(&self, position: u64) -> bool {
        match &self.kind {
            Kind::Log(log) => position::split_log(position) < log.before,
            Kind::Topic(topic) => topic.was_consumed(position),
        }
    }

    /// Whether everything was read that the stream held when it was opened.
    pub fn caught_up(&self) -> bool {
        match &self.kind {
            Kind::Log(log) => log.reader.next_offset() >= log.backlog_end,
            Kind::Topic(topic) => topic.caught_up(),
        }
    }

    /// For whoever asks how far behind the reader is, from any thread.
    pub fn lag(&self) -> Lag {
        match &self.kind {
            Kind::Log(log) => Lag::Log { log: log.log.clone(), next: log.next.clone() },
            Kind::Topic(topic) => Lag::Topic(topic.ends()),
        }
    }

    /// What keeps records from coming.
    pub fn trouble(&self) -> Option<Trouble> {
        match &self.kind {
            Kind::Log(_) => None,
            Kind::Topic(topic) => topic.trouble(),
        }
    }
}

impl LogStream {
    fn open(input: &str, log: &Log, before: u64, needed_from: Option<EventTime>) -> Result<LogStream, IntakeError> {
        let reader = log.reader(log.first_offset()).map_err(|error| log_error(input, error))?;
        // A log shorter than the position is another log, or has lost its end.
        if before > log.end_offset() {
            tracing::warn!(
                "the log of `{input}` ends at {}, but {before} of its records were read before: those in between are lost, \
                 unless it was put in another's place",
                log.end_offset()
            );
        }
        let before = before.min(log.end_offset());
        let next = Arc::new(AtomicU64::new(reader.next_offset()));
        Ok(LogStream { log: log.clone(), reader, next, before, needed_from, backlog_end: log.end_offset() })
    }

    fn poll(&mut self, input: &str, max: usize, wait: Duration) -> Result<Vec<Record>, IntakeError> {
        loop {
            if !self.reader.wait(wait) {
                return Ok(Vec::new());
            }
            let records = self.reader.poll(max).map_err(|error| log_error(input, error))?;
            self.next.store(self.reader.next_offset(), Ordering::Release);
            let needless = |offset: u64, record_time: EventTime| {
                offset < self.before && self.needed_from.is_some_and(|from| record_time < from)
            };
            let kept = records.into_iter().filter(|record| !needless(record.offset, record.record_time));
            let kept: Vec<Record> = kept
                .map(|record| Record {
                    payload: record.payload,
                    position: position::log(record.offset),
                    record_time: Some(record.record_time),
                })
                .collect();
            // Records passed over are no reason to come back with nothing.
            if !kept.is_empty() {
                return Ok(kept);
            }
        }
    }
}

fn log_error(input: &str, error: freshet_connectors::log::LogError) -> IntakeError {
    IntakeError::Log { input: input.to_string(), error }
}
