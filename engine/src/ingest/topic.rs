//! The topic of a source or dimension, read from the place a start needs.
//!
//! Law: a broker that does not answer, or has no such topic yet, is waited for and never an error. The wait is on a thread
//! of its own, so that whoever reads can stop at any time. A topic that is no longer the one that was read is not waited for:
//! nothing more is read of it, and the reader says so for as long as the process runs. One that is another than the process
//! before read is read from its beginning, as if nothing of it had been read.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use freshet_config::settings::KafkaSettings;
use freshet_config::time::EventTime;
use freshet_connectors::kafka::{Bounds, KafkaError, KafkaMessage, KafkaOptions, KafkaProbe, KafkaSource, TopicId};
use freshet_connectors::position;
use freshet_connectors::positions::SourcePosition;

use super::lag::TopicEnds;
use super::places::in_topic;
use super::stream::Record;
use super::topic_watch::TopicWatch;
use super::trouble::Trouble;
use super::{Connections, IntakeError};

/// A topic that is silent for this long has nothing more to give, whatever its end offset says: markers of transactions
/// and compacted records take offsets and never come.
const QUIET: Duration = Duration::from_secs(2);
/// Records that cannot be read are asked for again by the client, and refused again, more often than this.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// How long one attempt to reach a broker lasts; the client connects again and again meanwhile.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Pauses between attempts, each twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A topic, reached or not.
pub(super) struct TopicStream {
    topic: String,
    brokers: String,
    /// Per partition, where the process before this one stood.
    before: Offsets,
    /// Set when what is read is another topic than the one `before` speaks of.
    renewed: Arc<AtomicBool>,
    ends: TopicEnds,
    state: State,
}

enum State {
    Waiting(Waiting),
    Open(Box<OpenTopic>),
    Lost(Lost),
}

/// A topic of which nothing more can be read.
struct Lost {
    why: KafkaError,
    /// What the next start is told.
    position: SourcePosition,
}

/// Where the process before this one stood.
#[derive(Clone)]
pub(super) struct Before {
    pub partitions: BTreeMap<i32, i64>,
    /// In which topic of its name, where the broker told.
    pub topic_id: Option<TopicId>,
}

/// Offsets by partition.
type Offsets = BTreeMap<i32, i64>;

/// What a reader holds of the thread that waits for a broker.
struct Waiting {
    outcome: Receiver<Result<Reached, KafkaError>>,
    failure: LastFailure,
    /// The thread ends when this is gone.
    _wanted: Sender<Infallible>,
}

/// Why the last attempt failed.
type LastFailure = Arc<Mutex<Option<String>>>;

/// A topic that a broker told of, and the place it is read from.
struct Reached {
    source: KafkaSource,
    next: Offsets,
    bounds: Bounds,
    /// It is another topic than the process before read.
    renewed: bool,
}

struct OpenTopic {
    source: KafkaSource,
    probe: KafkaProbe,
    watch: TopicWatch,
    ends: TopicEnds,
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
        before: Option<Before>,
        needed_from: Option<EventTime>,
        connections: &Connections<'_>,
    ) -> Result<TopicStream, IntakeError> {
        let settings = connections.kafka.ok_or_else(|| IntakeError::NoKafka(input.to_string()))?;
        let mut options = KafkaOptions { timeout: ATTEMPT, ..kafka_options(settings) };
        if let Some(group) = &settings.group {
            options.settings.push(("group.id".to_string(), group.clone()));
        }
        let brokers = settings.brokers.join(",");
        let source = KafkaSource::prepare(&brokers, topic, &options)
            .map_err(|error| IntakeError::Kafka { input: input.to_string(), error })?;
        let (report, outcome) = bounded(1);
        let (wanted, still_wanted) = bounded(0);
        let failure = LastFailure::default();
        let (told, start) = (failure.clone(), Start { before: before.clone(), needed_from });
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
            brokers,
            before: before.map(|before| before.partitions).unwrap_or_default(),
            renewed: connections.positions.renewed(input),
            ends: TopicEnds::default(),
            state: State::Waiting(Waiting { outcome, failure, _wanted: wanted }),
        })
    }

    /// For whoever asks how far behind the reader is.
    pub fn ends(&self) -> TopicEnds {
        self.ends.clone()
    }

    /// The next records: waits up to `wait` for the first, or for a broker.
    pub fn poll(&mut self, input: &str, max: usize, wait: Duration) -> Result<Vec<Record>, IntakeError> {
        let failed = |error| IntakeError::Kafka { input: input.to_string(), error };
        match &mut self.state {
            State::Open(topic) => match topic.poll(max, wait) {
                Err(why) if why.is_loss() => {
                    let mut position = topic.position();
                    // Of another topic the next start has read nothing.
                    if why.is_other_topic() {
                        position = SourcePosition::Kafka { partitions: Offsets::new(), topic_id: None };
                        self.before.clear();
                    }
                    self.ends.set_bounds(None);
                    self.state = State::Lost(Lost { why, position });
                    Ok(Vec::new())
                }
                polled => polled.map_err(failed),
            },
            State::Lost(_) => {
                std::thread::sleep(wait);
                Ok(Vec::new())
            }
            State::Waiting(waiting) => {
                match waiting.outcome.recv_timeout(wait) {
                    Ok(reached) => {
                        let reached = reached.map_err(failed)?;
                        if reached.renewed {
                            tracing::warn!(
                                "topic `{}` of kafka at {} was made anew since it was read last: it is read from its beginning",
                                self.topic,
                                self.brokers
                            );
                            self.before.clear();
                            self.renewed.store(true, Ordering::Release);
                        }
                        let topic = OpenTopic::new(input, reached, self.ends.clone())?;
                        // A partition shorter than what was read of it is another one.
                        for (partition, before) in &mut self.before {
                            *before = (*before).min(topic.backlog_end.get(partition).copied().unwrap_or(*before));
                        }
                        self.state = State::Open(Box::new(topic));
                    }
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
        match &self.state {
            State::Waiting(_) => None,
            State::Open(topic) => Some(topic.position()),
            State::Lost(lost) => Some(lost.position.clone()),
        }
    }

    /// Offsets, but none before what an earlier process consumed.
    pub fn furthest(&self, mut offsets: Offsets) -> Offsets {
        for (partition, before) in &self.before {
            let offset = offsets.entry(*partition).or_insert(*before);
            *offset = (*offset).max(*before);
        }
        offsets
    }

    /// A record as rejections name it.
    pub fn place(&self, position: u64) -> String {
        in_topic(&self.topic, position)
    }

    pub fn was_consumed(&self, position: u64) -> bool {
        let (partition, offset) = position::split_kafka(position);
        self.before.get(&partition).is_some_and(|before| offset < *before)
    }

    /// Whether everything was read that the topic held when it was opened.
    pub fn caught_up(&self) -> bool {
        match &self.state {
            State::Open(topic) => topic.caught_up(),
            State::Waiting(_) | State::Lost(_) => false,
        }
    }

    /// What keeps records from coming.
    pub fn trouble(&self) -> Option<Trouble> {
        match &self.state {
            State::Open(topic) => topic.trouble().map(Trouble::Fails),
            State::Lost(lost) => Some(Trouble::Ends(lost.why.to_string())),
            State::Waiting(waiting) => {
                let failure = waiting.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Some(
                    failure.map_or_else(
                        || Trouble::Waits(format!("the kafka broker at {}", self.brokers)),
                        Trouble::Fails,
                    ),
                )
            }
        }
    }
}

/// What decides where reading begins.
struct Start {
    before: Option<Before>,
    /// Records that an earlier process consumed and that came before this instant are passed over.
    needed_from: Option<EventTime>,
}

/// Tries until the topic is open, or something is wrong that waiting does not mend. `None` when nobody wants it any more.
fn wait_for(
    mut source: KafkaSource,
    start: &Start,
    failure: &Mutex<Option<String>>,
    still_wanted: &Receiver<Infallible>,
) -> Option<Result<Reached, KafkaError>> {
    let mut pause = FIRST_PAUSE;
    loop {
        match start.assign(&mut source) {
            Ok((next, bounds)) => {
                let renewed = start.is_before_another(&source);
                return Some(Ok(Reached { source, next, bounds, renewed }));
            }
            Err(error) if error.may_pass() => {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
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
    /// Whether the process before read another topic of this name. Brokers that do not tell have only one.
    fn is_before_another(&self, source: &KafkaSource) -> bool {
        let before = self.before.as_ref().and_then(|before| before.topic_id.as_ref());
        matches!((before, source.topic_id()), (Some(before), Some(now)) if before != now)
    }

    /// Has all partitions read; gives the offsets to start from where they are not the first, and where all begin and end.
    fn assign(&self, source: &mut KafkaSource) -> Result<(Offsets, Bounds), KafkaError> {
        source.look_up()?;
        let before = self.before.as_ref().filter(|_| !self.is_before_another(source));
        let start = match (before, self.needed_from) {
            (Some(Before { partitions: before, .. }), Some(from)) => {
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
        let bounds = source.bounds()?;
        source.assign(&start)?;
        Ok((start, bounds))
    }
}

impl OpenTopic {
    fn new(input: &str, reached: Reached, ends: TopicEnds) -> Result<OpenTopic, IntakeError> {
        let Reached { source, next, bounds, renewed: _ } = reached;
        let backlog_end = bounds.iter().map(|(partition, (_, end))| (*partition, *end)).collect();
        ends.set_next(&next);
        ends.set_bounds(Some(bounds));
        let watch = TopicWatch::start(input, source.probe(), ends.clone())
            .map_err(|error| IntakeError::Thread { input: input.to_string(), error })?;
        Ok(OpenTopic { probe: source.probe(), source, watch, ends, next, backlog_end, quiet_since: None })
    }

    fn position(&self) -> SourcePosition {
        SourcePosition::Kafka { partitions: self.next.clone(), topic_id: self.source.topic_id().cloned() }
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, KafkaError> {
        if let Some(lost) = self.watch.lost() {
            return Err(lost);
        }
        let partitions = self.ends.partitions().and_then(|count| i32::try_from(count).ok()).unwrap_or(0);
        if partitions > self.source.partitions() {
            tracing::info!(topic = self.source.topic(), partitions, "the topic has more partitions");
            self.source.widen(partitions, &self.next)?;
        }
        let messages = self.source.poll(max, wait).map_err(|error| self.reason(error))?;
        for message in &messages {
            self.next.insert(message.partition, message.offset + 1);
        }
        if !messages.is_empty() {
            self.ends.set_next(&self.next);
        }
        let quiet = messages.is_empty() && self.source.state().trouble.is_none();
        self.quiet_since = quiet.then(|| self.quiet_since.unwrap_or_else(Instant::now));
        if self.is_quiet() {
            self.ends.pass_to_ends();
        }
        let record = |message: KafkaMessage| Record {
            payload: message.payload.unwrap_or_default(),
            position: position::kafka(message.partition, message.offset),
            record_time: message.record_time,
        };
        Ok(messages.into_iter().map(record).collect())
    }

    /// Whether brokers answer is found by looks, which reach the leaders of all partitions: the client also speaks of brokers
    /// that nothing is read from, and does not say when one is back. What it says of records counts until it stops.
    fn trouble(&self) -> Option<String> {
        self.watch.trouble().or_else(|| {
            let state = self.source.state();
            let refused = state.refused_at.is_some_and(|at| at.elapsed() < REFUSED_FOR);
            state
                .trouble
                .filter(|_| refused)
                .map(|why| format!("records of topic `{}` of kafka cannot be read ({why})", self.source.topic()))
        })
    }

    fn caught_up(&self) -> bool {
        let next = |partition: &i32| self.next.get(partition).copied().unwrap_or(0);
        self.backlog_end.iter().all(|(partition, end)| next(partition) >= *end) || self.is_quiet()
    }

    fn is_quiet(&self) -> bool {
        self.quiet_since.is_some_and(|since| since.elapsed() >= QUIET)
    }

    /// What the client's error is about, where the broker says more: the client goes by names, and by offsets alone.
    fn reason(&self, error: KafkaError) -> KafkaError {
        match self.probe.look_for(&self.next) {
            // The client has waited for the topic itself.
            Err(KafkaError::NoTopic { .. }) => self.probe.gone(),
            Err(loss) if loss.is_loss() => loss,
            _ => error,
        }
    }
}

/// What the client is told beside the brokers.
pub(super) fn kafka_options(settings: &KafkaSettings) -> KafkaOptions {
    let settings = settings.options.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    KafkaOptions { settings, ..KafkaOptions::default() }
}
