//! Reading a topic: every partition from an offset of our own, in order.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use freshet_config::time::EventTime;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError as NativeError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::described::{TopicId, describe};
use super::probe::{Bounds, KafkaProbe};
use super::words::{plain, plain_error};
use super::{KafkaError, KafkaOptions};
use crate::position::MAX_PARTITIONS;

/// Reports of the client that are fetched at once while nothing is read.
const MOST_REPORTS: usize = 64;

/// How long a broker that has just answered may take to say which topic it is: one that cannot say so may not answer.
const DESCRIBED_WITHIN: Duration = Duration::from_secs(2);

/// A record of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaMessage {
    pub partition: i32,
    pub offset: i64,
    /// The record's own timestamp, which lateness is judged against. Only brokers older than 0.10 send none.
    pub record_time: Option<EventTime>,
    /// `None` for a tombstone.
    pub payload: Option<Vec<u8>>,
}

/// How reading does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaState {
    /// What went wrong since a record last came; librdkafka is trying again.
    pub trouble: Option<String>,
    /// When records themselves could last not be fetched or read, though a broker answered.
    pub refused_at: Option<Instant>,
}

/// A topic with its partitions, read by one thread.
pub struct KafkaSource {
    consumer: Arc<BaseConsumer<Watch>>,
    brokers: String,
    topic: String,
    /// Which of the topics of its name, where the broker tells.
    id: Option<TopicId>,
    partitions: i32,
    timeout: Duration,
    /// An error met behind records that had to be given out first.
    pending: Option<KafkaError>,
}

/// Keeps what librdkafka reports beside the records.
#[derive(Default)]
pub(super) struct Watch {
    state: Mutex<KafkaState>,
}

impl Watch {
    /// Notes an error of the connection. The client's own reason, where it gave one, says more than that all are down.
    fn note(&self, brokers: &str, error: &rdkafka::error::KafkaError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = state.trouble.take().unwrap_or_else(|| plain_error(error));
        let said = reason.starts_with("the connection to ");
        state.trouble = Some(if said { reason } else { format!("the connection to {brokers} is lost ({reason})") });
    }

    /// Notes that a broker, which answers, does not give records.
    fn refuse(&self, error: &NativeError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = KafkaState { trouble: Some(plain_error(error)), refused_at: Some(Instant::now()) };
    }

    /// The client's own words on what went wrong last.
    pub fn said(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }

    fn reset(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = KafkaState::default();
    }
}

impl ClientContext for Watch {
    /// The same again at each attempt to connect: whoever reads the source says it once ([`KafkaSource::state`]).
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, message);
    }

    fn error(&self, error: NativeError, reason: &str) {
        tracing::debug!(%error, reason, "kafka is in trouble; trying again");
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // That all are down says less than why the last of them is.
        if state.trouble.is_none() || error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            state.trouble = Some(plain(reason));
        }
    }
}

impl ConsumerContext for Watch {}

impl KafkaSource {
    /// Connects and looks the topic up.
    pub fn connect(brokers: &str, topic: &str, options: &KafkaOptions) -> Result<KafkaSource, KafkaError> {
        let mut source = KafkaSource::prepare(brokers, topic, options)?;
        source.look_up()?;
        Ok(source)
    }

    /// Checks the settings and begins to connect, without waiting for it. [`KafkaSource::look_up`] must follow.
    pub fn prepare(brokers: &str, topic: &str, options: &KafkaOptions) -> Result<KafkaSource, KafkaError> {
        let mut config = ClientConfig::new();
        config.set("group.id", "freshet");
        // By default a client that failed for a while looks for its broker every ten seconds only.
        config.set("reconnect.backoff.max.ms", "2000");
        for (name, value) in &options.settings {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", brokers)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("allow.auto.create.topics", "false");
        let consumer: BaseConsumer<Watch> =
            config.create_with_context(Watch::default()).map_err(KafkaError::Settings)?;
        let (brokers, topic) = (brokers.to_string(), topic.to_string());
        let timeout = options.timeout;
        Ok(KafkaSource {
            consumer: Arc::new(consumer),
            brokers,
            topic,
            id: None,
            partitions: 0,
            timeout,
            pending: None,
        })
    }

    /// Waits for a broker, and finds out how many partitions the topic has. May be asked again after an error that
    /// [may pass](KafkaError::may_pass).
    pub fn look_up(&mut self) -> Result<(), KafkaError> {
        self.partitions = self.count_partitions()?;
        // A broker that does not tell is read all the same.
        let timeout = self.timeout.min(DESCRIBED_WITHIN);
        let described = describe(self.consumer.client().native_ptr(), &self.topic, timeout);
        self.id = described.ok().and_then(|described| described.id);
        self.consumer.context().reset();
        Ok(())
    }

    fn count_partitions(&self) -> Result<i32, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), self.timeout).map_err(|error| {
            // The client's own words on each connection wait to be fetched, and say more. It does not tell whether there
            // are others behind one.
            for _ in 0..MOST_REPORTS {
                self.consumer.poll(Duration::ZERO);
            }
            let error = self.state().trouble.unwrap_or_else(|| plain_error(&error));
            KafkaError::Unreachable { brokers: self.brokers.clone(), timeout: self.timeout, error }
        })?;
        let found = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let missing = || KafkaError::NoTopic { brokers: self.brokers.clone(), topic: self.topic.clone() };
        let found = found.ok_or_else(missing)?;
        match found.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => return Err(missing()),
            Some(error) => return Err(self.topic_error("look up", error)),
        }
        let partitions = found.partitions().len();
        match i32::try_from(partitions) {
            Ok(0) => Err(missing()),
            Ok(count) if partitions <= MAX_PARTITIONS => Ok(count),
            _ => Err(KafkaError::TooManyPartitions { topic: self.topic.clone(), partitions }),
        }
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Which of the topics of its name, where the broker told when it was [looked up](KafkaSource::look_up).
    pub fn topic_id(&self) -> Option<&TopicId> {
        self.id.as_ref()
    }

    /// Partitions are numbered from 0 to this, excluded.
    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    /// Reads all partitions from the given offsets on; those not named from their oldest record on.
    pub fn assign(&mut self, next: &BTreeMap<i32, i64>) -> Result<(), KafkaError> {
        for (&partition, &offset) in next {
            self.check_offset(partition, offset)?;
        }
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            let offset = next.get(&partition).map_or(Offset::Beginning, |offset| Offset::Offset(*offset));
            list.add_partition_offset(&self.topic, partition, offset)
                .map_err(|error| self.topic_error("assign", error))?;
        }
        self.pending = None;
        self.consumer.assign(&list).map_err(|error| self.topic_error("assign", error))
    }

    /// Reads partitions that were added to the topic, from their beginning; the others go on from `next`.
    pub fn widen(&mut self, partitions: i32, next: &BTreeMap<i32, i64>) -> Result<(), KafkaError> {
        if usize::try_from(partitions).is_ok_and(|count| count > MAX_PARTITIONS) {
            let partitions = partitions.unsigned_abs() as usize;
            return Err(KafkaError::TooManyPartitions { topic: self.topic.clone(), partitions });
        }
        self.partitions = partitions;
        self.assign(next)
    }

    /// For looks at the topic from another thread, once it was [looked up](KafkaSource::look_up).
    pub fn probe(&self) -> KafkaProbe {
        KafkaProbe {
            consumer: self.consumer.clone(),
            brokers: self.brokers.clone(),
            topic: self.topic.clone(),
            id: self.id.clone(),
            partitions: AtomicUsize::new(usize::try_from(self.partitions).unwrap_or(0)),
            timeout: self.timeout,
        }
    }

    fn check_offset(&self, partition: i32, offset: i64) -> Result<(), KafkaError> {
        let topic = self.topic.clone();
        if !(0..self.partitions).contains(&partition) {
            return Err(KafkaError::NoPartition { topic, partition, last: self.partitions - 1 });
        }
        let (first, end) = self.watermarks(partition)?;
        if (first..=end).contains(&offset) {
            Ok(())
        } else {
            Err(KafkaError::OffsetGone { topic, partition, offset, first, end })
        }
    }

    fn watermarks(&self, partition: i32) -> Result<(i64, i64), KafkaError> {
        self.consumer
            .fetch_watermarks(&self.topic, partition, self.timeout)
            .map_err(|error| self.topic_error("read the ends of", error))
    }

    /// Where the partitions begin and end.
    pub fn bounds(&self) -> Result<Bounds, KafkaError> {
        (0..self.partitions).map(|partition| Ok((partition, self.watermarks(partition)?))).collect()
    }

    /// Per partition the first offset whose record is at or after `at`; its end when there is none.
    pub fn offsets_for_time(&self, at: EventTime) -> Result<BTreeMap<i32, i64>, KafkaError> {
        // Kafka counts milliseconds: rounding up keeps records before `at` out.
        let millis = at.micros().div_euclid(1_000) + i64::from(at.micros().rem_euclid(1_000) != 0);
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(millis.max(0)))
                .map_err(|error| self.topic_error("look offsets up in", error))?;
        }
        let found = self
            .consumer
            .offsets_for_times(list, self.timeout)
            .map_err(|error| self.topic_error("look offsets up in", error))?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            element.error().map_err(|error| self.topic_error("look offsets up in", error))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => offset,
                _ => self.watermarks(element.partition())?.1,
            };
            offsets.insert(element.partition(), offset);
        }
        Ok(offsets)
    }

    /// The next records, at most `max`: waits up to `timeout` for the first, then takes what is at hand.
    ///
    /// Connections lost and found are librdkafka's affair and show in [`KafkaSource::state`]; an error is something
    /// that waiting does not mend. Records read before it are given out first.
    pub fn poll(&mut self, max: usize, timeout: Duration) -> Result<Vec<KafkaMessage>, KafkaError> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let deadline = Instant::now().checked_add(timeout);
        let mut messages = Vec::new();
        while messages.len() < max {
            let wait = match deadline {
                _ if !messages.is_empty() => Duration::ZERO,
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => timeout,
            };
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => messages.push(owned(&message)),
                Some(Err(error)) => match self.lasting(&error) {
                    Some(lasting) if messages.is_empty() => return Err(lasting),
                    lasting @ Some(_) => {
                        self.pending = lasting;
                        break;
                    }
                    None if is_of_connection(&error) => self.consumer.context().note(&self.brokers, &error),
                    None => self.consumer.context().refuse(&error),
                },
            }
        }
        if !messages.is_empty() {
            self.consumer.context().reset();
        }
        Ok(messages)
    }

    /// The error, if waiting does not mend it.
    fn lasting(&self, error: &NativeError) -> Option<KafkaError> {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code()? {
            Code::AutoOffsetReset
            | Code::OffsetOutOfRange
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownPartition
            | Code::TopicAuthorizationFailed
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::Fatal => Some(self.topic_error("go on reading", error)),
            _ => None,
        }
    }

    pub fn state(&self) -> KafkaState {
        self.consumer.context().state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn topic_error(&self, action: &'static str, error: impl ToString) -> KafkaError {
        KafkaError::Topic { action, topic: self.topic.clone(), error: error.to_string() }
    }
}

/// Whether a broker did not answer; nothing is said of records then.
pub(super) fn is_of_connection(error: &NativeError) -> bool {
    error.rdkafka_error_code().is_none_or(is_no_answer)
}

pub(super) fn is_no_answer(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::RequestTimedOut
            | Code::NetworkException
            | Code::BrokerDestroy
            | Code::NodeUpdate
            | Code::SSL
    )
}

fn owned(message: &impl Message) -> KafkaMessage {
    let millis = message.timestamp().to_millis().filter(|millis| *millis >= 0);
    KafkaMessage {
        partition: message.partition(),
        offset: message.offset(),
        record_time: millis.map(|millis| EventTime::from_micros(millis.saturating_mul(1_000))),
        payload: message.payload().map(<[u8]>::to_vec),
    }
}
