//! Kafka: a topic as a source of records, and a producer that feeds one.
//!
//! Offsets are ours: partitions are assigned, never subscribed to (no rebalance can move them), and nothing is ever
//! committed to the broker. Plain threads poll; librdkafka reconnects on its own.

mod described;
mod probe;
mod sink;
mod source;
mod words;

use std::time::Duration;

pub use described::TopicId;
pub use probe::{Bounds, KafkaProbe};
pub use sink::{KafkaSink, create_topic};
pub use source::{KafkaMessage, KafkaSource, KafkaState};

#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// How long connecting, looking offsets up and sending may take.
    pub timeout: Duration,
    /// Further librdkafka settings by name, such as `security.protocol`. They cannot turn commits on.
    pub settings: Vec<(String, String)>,
}

impl Default for KafkaOptions {
    fn default() -> KafkaOptions {
        KafkaOptions { timeout: Duration::from_secs(10), settings: Vec::new() }
    }
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum KafkaError {
    #[error("{}", refused_setting(.0))]
    Settings(rdkafka::error::KafkaError),
    #[error("no kafka broker answered at {brokers} within {} s ({error}): check the address and that the broker runs", timeout.as_secs_f32())]
    Unreachable { brokers: String, timeout: Duration, error: String },
    #[error("kafka at {brokers} has no topic `{topic}`: create it, or correct the name")]
    NoTopic { brokers: String, topic: String },
    #[error("topic `{topic}` has {partitions} partitions: at most {} can be read", crate::position::MAX_PARTITIONS)]
    TooManyPartitions { topic: String, partitions: usize },
    #[error("topic `{topic}` has no partition {partition}: it has partitions 0 to {last}")]
    NoPartition { topic: String, partition: i32, last: i32 },
    #[error(
        "topic `{topic}` is gone from kafka at {brokers}: values stand still; make it anew, and start this process again"
    )]
    Gone { brokers: String, topic: String },
    #[error(
        "topic `{topic}` of kafka at {brokers} was deleted and made anew: values stand still, and may hold records of both; \
         start this process again: it reads the new one from its beginning, and no longer knows what only the old one held"
    )]
    Remade { brokers: String, topic: String },
    #[error("{}", offset_gone(topic, *partition, *offset, *first, *end))]
    OffsetGone { topic: String, partition: i32, offset: i64, first: i64, end: i64 },
    #[error("cannot {action} topic `{topic}`: {error}")]
    Topic { action: &'static str, topic: String, error: String },
    #[error(
        "{failed} of {records} records did not reach topic `{topic}` of kafka at {brokers} ({error}): check that its brokers run, \
         and send them again"
    )]
    NotSent { brokers: String, topic: String, records: usize, failed: usize, error: String },
}

/// The client's words on its settings without those that it says twice, and without values, which may be secrets.
fn refused_setting(error: &rdkafka::error::KafkaError) -> String {
    let rdkafka::error::KafkaError::ClientConfig(_, words, name, _) = error else {
        return format!("the kafka options do not go together: {error}");
    };
    let what = match words.split_once("not supported in this build: ") {
        Some((_, missing)) => {
            format!("this build of the client has not what it needs ({missing}); remove it, or build with it")
        }
        None if words.starts_with("No such configuration property") => {
            "there is none of this name; correct it, or remove it".to_string()
        }
        None => "it cannot have this value; look it up among the settings of librdkafka".to_string(),
    };
    format!("cannot use the kafka option `{name}`: {what}")
}

fn offset_gone(topic: &str, partition: i32, offset: i64, first: i64, end: i64) -> String {
    let go_on = "remove `positions.json` from the data directory, and start this process again";
    if offset < first {
        let records = first - offset;
        return format!(
            "{records} records of topic `{topic}` were deleted before they were read: the next one is {offset} of partition \
             {partition}, which begins at {first}; to go on without them, {go_on}"
        );
    }
    format!(
        "topic `{topic}` is not the one that was read: the next record is {offset} of partition {partition}, which ends at \
         {end}; to read it from its beginning, {go_on}"
    )
}

impl KafkaError {
    /// Whether what was to be read next is no longer there.
    pub fn is_loss(&self) -> bool {
        matches!(self, KafkaError::Gone { .. } | KafkaError::Remade { .. } | KafkaError::OffsetGone { .. })
    }

    /// Whether the topic itself is another one, or none: offsets of the old one mean nothing any more.
    pub fn is_other_topic(&self) -> bool {
        matches!(self, KafkaError::Gone { .. } | KafkaError::Remade { .. })
    }

    /// Whether waiting may mend it: brokers start late, and topics are created after them.
    pub fn may_pass(&self) -> bool {
        matches!(self, KafkaError::Unreachable { .. } | KafkaError::NoTopic { .. } | KafkaError::Topic { .. })
    }
}
