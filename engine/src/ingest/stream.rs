//! The stream of a source or dimension: records of the embedded log or of a Kafka topic, from the place a start needs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use freshet_config::definitions::Stream;
use freshet_config::time::EventTime;
use freshet_connectors::kafka::{KafkaOptions, KafkaSource};
use freshet_connectors::log::{Log, LogReader};
use freshet_connectors::position;
use freshet_connectors::positions::SourcePosition;

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
    Kafka(KafkaStream),
}

struct LogStream {
    log: Log,
    reader: LogReader,
    /// What an earlier process consumed up to here is in the ledger where it was rejected.
    before: u64,
    /// Records the earlier process consumed and that came before this instant are passed over.
    needed_from: Option<EventTime>,
    /// Where the log ended when it was opened.
    backlog_end: u64,
}

struct KafkaStream {
    source: KafkaSource,
    /// Per partition the offset after the last record read.
    next: BTreeMap<i32, i64>,
    before: BTreeMap<i32, i64>,
    /// Where the partitions ended when the topic was opened.
    backlog_end: BTreeMap<i32, i64>,
    /// Since when nothing came, though the brokers answer.
    quiet_since: Option<Instant>,
}

/// A topic that is silent for this long has nothing more to give, whatever its end offset says: markers of transactions
/// and compacted records take offsets and never come.
const QUIET: Duration = Duration::from_secs(2);

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
                    Some(SourcePosition::Kafka { partitions }) => Some(partitions.clone()),
                    _ => None,
                };
                Kind::Kafka(KafkaStream::open(input, topic, before, needed_from, connections)?)
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
                Kind::Kafka(kafka) => kafka.poll(&self.input, step, wait)?,
            };
            if more.is_empty() {
                break;
            }
            bytes += more.iter().map(|record| record.payload.len()).sum::<usize>();
            records.extend(more);
        }
        Ok(records)
    }

    /// The next record to read. Kafka partitions of which nothing was read are not mentioned.
    pub fn position(&self) -> SourcePosition {
        match &self.kind {
            Kind::Log(log) => SourcePosition::Log { offset: log.reader.next_offset() },
            Kind::Kafka(kafka) => SourcePosition::Kafka { partitions: kafka.next.clone() },
        }
    }

    /// A record as rejections name it.
    pub fn place(&self, position: u64) -> String {
        match &self.kind {
            Kind::Log(_) => format!("log/{}", position::split_log(position)),
            Kind::Kafka(kafka) => {
                let (partition, offset) = position::split_kafka(position);
                format!("{}/{partition}/{offset}", kafka.source.topic())
            }
        }
    }

    /// Whether an earlier process consumed the record, and put it into the ledger if it had to.
    pub fn was_consumed(&self, position: u64) -> bool {
        match &self.kind {
            Kind::Log(log) => position::split_log(position) < log.before,
            Kind::Kafka(kafka) => {
                let (partition, offset) = position::split_kafka(position);
                kafka.before.get(&partition).is_some_and(|before| offset < *before)
            }
        }
    }

    /// Whether everything was read that the stream held when it was opened.
    pub fn caught_up(&self) -> bool {
        match &self.kind {
            Kind::Log(log) => log.reader.next_offset() >= log.backlog_end,
            Kind::Kafka(kafka) => {
                let next = |partition: &i32| kafka.next.get(partition).copied().unwrap_or(0);
                kafka.backlog_end.iter().all(|(partition, end)| next(partition) >= *end)
                    || kafka.quiet_since.is_some_and(|since| since.elapsed() >= QUIET)
            }
        }
    }

    /// Records behind the end. With Kafka this asks the broker, once per partition, and is `None` without an answer.
    pub fn lag(&self) -> Option<u64> {
        match &self.kind {
            Kind::Log(log) => Some(log.log.end_offset().saturating_sub(log.reader.next_offset())),
            Kind::Kafka(kafka) => kafka.lag(),
        }
    }

    /// What keeps records from coming, while it is tried again.
    pub fn trouble(&self) -> Option<String> {
        match &self.kind {
            Kind::Log(_) => None,
            Kind::Kafka(kafka) => kafka.source.state().trouble,
        }
    }
}

impl LogStream {
    fn open(input: &str, log: &Log, before: u64, needed_from: Option<EventTime>) -> Result<LogStream, IntakeError> {
        let reader = log.reader(log.first_offset()).map_err(|error| log_error(input, error))?;
        // A log shorter than the position is another log.
        let before = before.min(log.end_offset());
        Ok(LogStream { log: log.clone(), reader, before, needed_from, backlog_end: log.end_offset() })
    }

    fn poll(&mut self, input: &str, max: usize, wait: Duration) -> Result<Vec<Record>, IntakeError> {
        loop {
            if !self.reader.wait(wait) {
                return Ok(Vec::new());
            }
            let records = self.reader.poll(max).map_err(|error| log_error(input, error))?;
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

impl KafkaStream {
    fn open(
        input: &str,
        topic: &str,
        before: Option<BTreeMap<i32, i64>>,
        needed_from: Option<EventTime>,
        connections: &Connections<'_>,
    ) -> Result<KafkaStream, IntakeError> {
        let settings = connections.kafka.ok_or_else(|| IntakeError::NoKafka(input.to_string()))?;
        let failed = |error| IntakeError::Kafka { input: input.to_string(), error };
        let mut options = kafka_options(settings);
        if let Some(group) = &settings.group {
            options.settings.push(("group.id".to_string(), group.clone()));
        }
        let mut source = KafkaSource::connect(&settings.brokers.join(","), topic, &options).map_err(failed)?;
        let start = match (&before, needed_from) {
            (Some(before), Some(from)) => {
                let mut start = source.offsets_for_time(from).map_err(failed)?;
                // Nothing is passed over that was never consumed; a partition of which nothing was read starts at its
                // beginning.
                start.retain(|partition, _| before.contains_key(partition));
                for (partition, offset) in &mut start {
                    *offset = before.get(partition).map_or(*offset, |before| (*offset).min(*before));
                }
                start
            }
            _ => BTreeMap::new(),
        };
        let backlog_end = source.end_offsets().map_err(failed)?;
        source.assign(&start).map_err(failed)?;
        Ok(KafkaStream { source, next: start, before: before.unwrap_or_default(), backlog_end, quiet_since: None })
    }

    fn poll(&mut self, input: &str, max: usize, wait: Duration) -> Result<Vec<Record>, IntakeError> {
        let messages =
            self.source.poll(max, wait).map_err(|error| IntakeError::Kafka { input: input.to_string(), error })?;
        for message in &messages {
            self.next.insert(message.partition, message.offset + 1);
        }
        let quiet = messages.is_empty() && self.source.state().trouble.is_none();
        self.quiet_since = quiet.then(|| self.quiet_since.unwrap_or_else(Instant::now));
        let record = |message: freshet_connectors::kafka::KafkaMessage| Record {
            payload: message.payload.unwrap_or_default(),
            position: position::kafka(message.partition, message.offset),
            record_time: message.record_time,
        };
        Ok(messages.into_iter().map(record).collect())
    }

    fn lag(&self) -> Option<u64> {
        // A broker that does not answer would hold the caller up.
        if self.source.state().trouble.is_some() {
            return None;
        }
        let ends = self.source.end_offsets().ok()?;
        let behind = |(partition, end): (&i32, &i64)| {
            let next = self.next.get(partition).copied().unwrap_or(0);
            end.saturating_sub(next).max(0) as u64
        };
        Some(ends.iter().map(behind).sum())
    }
}

/// What the client is told beside the brokers.
pub(super) fn kafka_options(settings: &freshet_config::settings::KafkaSettings) -> KafkaOptions {
    let settings = settings.options.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    KafkaOptions { settings, ..KafkaOptions::default() }
}
