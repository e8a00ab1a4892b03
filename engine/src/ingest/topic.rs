//! The topic of a source or dimension, read from the place a start needs.
//!
//! Law: a broker that does not answer, or has no such topic yet, is waited for and never an error. The wait is on a thread
//! of its own, so that whoever reads can stop at any time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use freshet_config::settings::KafkaSettings;
use freshet_config::time::EventTime;
use freshet_connectors::kafka::{KafkaError, KafkaMessage, KafkaOptions, KafkaSource};
use freshet_connectors::position;
use freshet_connectors::positions::SourcePosition;

use super::stream::Record;
use super::{Connections, IntakeError};

/// A topic that is silent for this long has nothing more to give, whatever its end offset says: markers of transactions
/// and compacted records take offsets and never come.
const QUIET: Duration = Duration::from_secs(2);
/// How long one attempt to reach a broker lasts; the client connects again and again meanwhile.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Pauses between attempts, each twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A topic, reached or not.
pub(super) struct TopicStream {
    topic: String,
    /// Per partition, where the process before this one stood.
    before: Offsets,
    state: State,
}

enum State {
    Waiting(Waiting),
    Open(Box<OpenTopic>),
}

/// Offsets by partition.
type Offsets = BTreeMap<i32, i64>;

/// What a reader holds of the thread that waits for a broker.
struct Waiting {
    outcome: Receiver<Result<Box<OpenTopic>, KafkaError>>,
    trouble: Trouble,
    /// The thread ends when this is gone.
    _wanted: Sender<Infallible>,
}

/// Why the last attempt failed.
type Trouble = Arc<Mutex<Option<String>>>;

struct OpenTopic {
    source: KafkaSource,
    /// Per partition the offset after the last record read.
    next: Offsets,
    /// Where the partitions ended when the topic was opened.
    backlog_end: Offsets,
    /// Since when nothing came, though the brokers answer.
    quiet_since: Option<Instant>,
}

impl TopicStream {
    /// Begins to connect. Settings that cannot be are an error at once.
    pub fn open(
        input: &str,
        topic: &str,
        before: Option<Offsets>,
        needed_from: Option<EventTime>,
        connections: &Connections<'_>,
    ) -> Result<TopicStream, IntakeError> {
        let settings = connections.kafka.ok_or_else(|| IntakeError::NoKafka(input.to_string()))?;
        let mut options = KafkaOptions { timeout: ATTEMPT, ..kafka_options(settings) };
        if let Some(group) = &settings.group {
            options.settings.push(("group.id".to_string(), group.clone()));
        }
        let source = KafkaSource::prepare(&settings.brokers.join(","), topic, &options)
            .map_err(|error| IntakeError::Kafka { input: input.to_string(), error })?;
        let (report, outcome) = bounded(1);
        let (wanted, still_wanted) = bounded(0);
        let trouble = Trouble::default();
        let (told, start) = (trouble.clone(), Start { before: before.clone(), needed_from });
        std::thread::Builder::new()
            .name(format!("connect {input}"))
            .spawn(move || {
                if let Some(outcome) = wait_for(source, &start, &told, &still_wanted) {
                    // Nobody may wait any more.
                    let _ = report.send(outcome);
                }
            })
            .map_err(|error| IntakeError::Thread { input: input.to_string(), error })?;
        Ok(TopicStream {
            topic: topic.to_string(),
            before: before.unwrap_or_default(),
            state: State::Waiting(Waiting { outcome, trouble, _wanted: wanted }),
        })
    }

    /// The next records: waits up to `wait` for the first, or for a broker.
    pub fn poll(&mut self, input: &str, max: usize, wait: Duration) -> Result<Vec<Record>, IntakeError> {
        let failed = |error| IntakeError::Kafka { input: input.to_string(), error };
        match &mut self.state {
            State::Open(topic) => topic.poll(max, wait).map_err(failed),
            State::Waiting(waiting) => {
                match waiting.outcome.recv_timeout(wait) {
                    Ok(outcome) => self.state = State::Open(outcome.map_err(failed)?),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        let error = "the thread that connects to it ended".to_string();
                        return Err(failed(KafkaError::Topic { action: "read", topic: self.topic.clone(), error }));
                    }
                }
                Ok(Vec::new())
            }
        }
    }

    /// `None` while no broker was reached: what was known before stands.
    pub fn position(&self) -> Option<SourcePosition> {
        self.reached().map(|topic| SourcePosition::Kafka { partitions: topic.next.clone() })
    }

    /// A record as rejections name it.
    pub fn place(&self, position: u64) -> String {
        let (partition, offset) = position::split_kafka(position);
        format!("{}/{partition}/{offset}", self.topic)
    }

    pub fn was_consumed(&self, position: u64) -> bool {
        let (partition, offset) = position::split_kafka(position);
        self.before.get(&partition).is_some_and(|before| offset < *before)
    }

    /// Whether everything was read that the topic held when it was opened.
    pub fn caught_up(&self) -> bool {
        self.reached().is_some_and(OpenTopic::caught_up)
    }

    /// Records behind the end; asks the broker, and is `None` without an answer.
    pub fn lag(&self) -> Option<u64> {
        self.reached()?.lag()
    }

    /// What keeps records from coming, while it is tried again.
    pub fn trouble(&self) -> Option<String> {
        match &self.state {
            State::Open(topic) => topic.source.state().trouble,
            State::Waiting(waiting) => waiting.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn reached(&self) -> Option<&OpenTopic> {
        match &self.state {
            State::Open(topic) => Some(topic),
            State::Waiting(_) => None,
        }
    }
}

/// What decides where reading begins.
struct Start {
    before: Option<Offsets>,
    /// Records that an earlier process consumed and that came before this instant are passed over.
    needed_from: Option<EventTime>,
}

/// Tries until the topic is open, or something is wrong that waiting does not mend. `None` when nobody wants it any more.
fn wait_for(
    mut source: KafkaSource,
    start: &Start,
    trouble: &Mutex<Option<String>>,
    still_wanted: &Receiver<Infallible>,
) -> Option<Result<Box<OpenTopic>, KafkaError>> {
    let mut pause = FIRST_PAUSE;
    loop {
        match start.assign(&mut source) {
            Ok((next, backlog_end)) => {
                return Some(Ok(Box::new(OpenTopic { source, next, backlog_end, quiet_since: None })));
            }
            Err(error) if error.may_pass() => {
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
            Err(error) => return Some(Err(error)),
        }
        if let Err(RecvTimeoutError::Disconnected) = still_wanted.recv_timeout(pause) {
            return None;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Start {
    /// Has all partitions read; gives the offsets to start from where they are not the first, and the ends.
    fn assign(&self, source: &mut KafkaSource) -> Result<(Offsets, Offsets), KafkaError> {
        source.look_up()?;
        let start = match (&self.before, self.needed_from) {
            (Some(before), Some(from)) => {
                let mut start = source.offsets_for_time(from)?;
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
        let backlog_end = source.end_offsets()?;
        source.assign(&start)?;
        Ok((start, backlog_end))
    }
}

impl OpenTopic {
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, KafkaError> {
        let messages = self.source.poll(max, wait)?;
        for message in &messages {
            self.next.insert(message.partition, message.offset + 1);
        }
        let quiet = messages.is_empty() && self.source.state().trouble.is_none();
        self.quiet_since = quiet.then(|| self.quiet_since.unwrap_or_else(Instant::now));
        let record = |message: KafkaMessage| Record {
            payload: message.payload.unwrap_or_default(),
            position: position::kafka(message.partition, message.offset),
            record_time: message.record_time,
        };
        Ok(messages.into_iter().map(record).collect())
    }

    fn caught_up(&self) -> bool {
        let next = |partition: &i32| self.next.get(partition).copied().unwrap_or(0);
        self.backlog_end.iter().all(|(partition, end)| next(partition) >= *end)
            || self.quiet_since.is_some_and(|since| since.elapsed() >= QUIET)
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
pub(super) fn kafka_options(settings: &KafkaSettings) -> KafkaOptions {
    let settings = settings.options.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    KafkaOptions { settings, ..KafkaOptions::default() }
}
