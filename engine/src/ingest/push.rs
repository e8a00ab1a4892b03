//! Records pushed from outside: checked as the intake will read them, and durable when the push returns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use freshet_config::definitions::{Dimension, Source, Stream};
use freshet_config::diagnostic::suggestion;
use freshet_config::settings::KafkaSettings;
use freshet_config::time::EventTime;
use freshet_connectors::events::{Code, TimeBounds};
use freshet_connectors::json::JsonDecoder;
use freshet_connectors::kafka::{KafkaError, KafkaSink};

use super::dimension::dimension_decoder;
use super::message_key::MessageKey;
use super::topic::kafka_options;
use super::{Logs, PushError, required_keys};
use crate::clock::Clock;
use crate::plan::Plan;

/// The door for pushed records. Share it between threads by reference.
pub struct LogIngest {
    sources: HashMap<String, Pushable>,
    logs: Logs,
    kafka: Option<KafkaSettings>,
    /// Connected when the first record is pushed to a topic.
    sink: Mutex<Option<Arc<KafkaSink>>>,
    clock: Arc<Clock>,
}

/// A source, or a dimension with changes.
struct Pushable {
    stream: Option<Stream>,
    shape: Shape,
    keys: Vec<usize>,
}

enum Shape {
    Source(Box<Source>),
    Dimension(Dimension),
}

impl Pushable {
    fn decoder(&self, bounds: TimeBounds) -> JsonDecoder {
        let decoder = match &self.shape {
            Shape::Source(source) => JsonDecoder::new(source).bounds(bounds),
            Shape::Dimension(dimension) => dimension_decoder(dimension, self.stream.as_ref().unwrap_or(&Stream::Log)),
        };
        decoder.keys(self.keys.clone())
    }

    /// Of records for a topic; those of the log are in one order anyway.
    fn message_key(&self) -> Option<MessageKey> {
        let Some(Stream::Kafka { .. }) = self.stream else { return None };
        Some(match &self.shape {
            Shape::Source(source) => MessageKey::of_source(source),
            Shape::Dimension(dimension) => MessageKey::of_dimension(dimension),
        })
    }
}

/// Records that may be appended: names and texts.
type Good<'a> = Vec<(Option<String>, &'a str)>;

/// What became of records pushed at once: those not rejected are durable, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushReport {
    pub accepted: u64,
    pub rejected: Vec<Rejected>,
}

/// A record that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in the list pushed, from 0.
    pub index: usize,
    pub code: Code,
    pub message: String,
}

impl LogIngest {
    pub fn new(plan: &Plan, logs: &Logs, kafka: Option<&KafkaSettings>, clock: Arc<Clock>) -> LogIngest {
        let sources = plan.definitions.sources.iter().enumerate();
        let sources = sources.map(|(index, source)| {
            let shape = Shape::Source(Box::new(source.clone()));
            let keys = required_keys(plan, index);
            (source.name.clone(), Pushable { stream: source.stream.clone(), shape, keys })
        });
        let dimensions = plan.definitions.dimensions.iter().map(|dimension| {
            let shape = Shape::Dimension(dimension.clone());
            let keys = dimension.key.clone();
            (dimension.name.clone(), Pushable { stream: dimension.changes.clone(), shape, keys })
        });
        LogIngest {
            sources: sources.chain(dimensions).collect(),
            logs: logs.clone(),
            kafka: kafka.cloned(),
            sink: Mutex::new(None),
            clock,
        }
    }

    /// Checks records, each one JSON object, and appends the good ones to the source's stream.
    ///
    /// When this returns they are durable: on disk, or acknowledged by all in-sync replicas. After an error of the log
    /// none of them is in it; after one of Kafka some may be.
    pub fn append(&self, source: &str, records: &[&str]) -> Result<PushReport, PushError> {
        let (pushable, stream) = self.pushable(source)?;
        let now = self.clock.now();
        let (good, report) = self.checked(pushable, records, now);
        if good.is_empty() {
            return Ok(report);
        }
        match stream {
            Stream::Log => {
                let log = self.logs.get(source).ok_or_else(|| PushError::NoLog(source.to_string()))?;
                let texts: Vec<&str> = good.iter().map(|(_, text)| *text).collect();
                log.append(&texts, now).map_err(|error| PushError::Log { name: source.to_string(), error })?;
            }
            Stream::Kafka { topic, .. } => {
                let failed = |error| PushError::Kafka { name: source.to_string(), error };
                // A clock of events may stand before 1970, where Kafka's times begin.
                let record_time = (now >= EventTime::default()).then_some(now);
                self.sink(source)?.send_keyed(topic, &good, record_time).map_err(failed)?;
            }
        }
        Ok(report)
    }

    /// Checks records as [`LogIngest::append`] does, and appends nothing.
    pub fn check(&self, source: &str, records: &[&str]) -> Result<PushReport, PushError> {
        let (pushable, _) = self.pushable(source)?;
        Ok(self.checked(pushable, records, self.clock.now()).1)
    }

    fn pushable(&self, name: &str) -> Result<(&Pushable, &Stream), PushError> {
        let Some(pushable) = self.sources.get(name) else {
            let mut names: Vec<&str> = self.sources.keys().map(String::as_str).collect();
            names.sort_unstable();
            let suggestion = suggestion(name, names);
            return Err(PushError::UnknownSource { name: name.chars().take(64).collect(), suggestion });
        };
        let stream = pushable.stream.as_ref().ok_or_else(|| match &pushable.shape {
            Shape::Source(source) if source.changes_of.is_some() => PushError::Derived(name.to_string()),
            _ => PushError::NoStream(name.to_string()),
        })?;
        Ok((pushable, stream))
    }

    fn checked<'a>(&self, pushable: &Pushable, records: &[&'a str], now: EventTime) -> (Good<'a>, PushReport) {
        let bounds = match *self.clock {
            Clock::Wall => TimeBounds::DEFAULT,
            Clock::Event(_) => TimeBounds::UNBOUNDED,
        };
        let mut decoder = pushable.decoder(bounds);
        let mut good = Vec::with_capacity(records.len());
        let mut report = PushReport::default();
        for (index, record) in records.iter().enumerate() {
            let before = decoder.len();
            match decoder.decode(record.as_bytes(), 0, now) {
                Ok(()) => good.push(((decoder.len() > before).then_some(before), *record)),
                Err(rejection) => {
                    report.rejected.push(Rejected { index, code: rejection.code, message: rejection.message });
                }
            }
        }
        report.accepted = good.len() as u64;
        let keys = pushable.message_key().map(|key| (key, decoder.finish().batch));
        let named = |row: Option<usize>| keys.as_ref().and_then(|(key, batch)| key.of_row(batch, row?));
        (good.into_iter().map(|(row, text)| (named(row), text)).collect(), report)
    }

    fn sink(&self, source: &str) -> Result<Arc<KafkaSink>, PushError> {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = &*sink {
            return Ok(sink.clone());
        }
        let settings = self.kafka.as_ref().ok_or_else(|| PushError::NoKafka(source.to_string()))?;
        let connected: Result<KafkaSink, KafkaError> =
            KafkaSink::connect(&settings.brokers.join(","), &kafka_options(settings));
        let connected = Arc::new(connected.map_err(|error| PushError::Kafka { name: source.to_string(), error })?);
        *sink = Some(connected.clone());
        Ok(connected)
    }
}
