//! Kafka: a topic as a source of records, and a producer that feeds one.
//!
//! Offsets are ours: partitions are assigned, never subscribed to (no rebalance can move them), and nothing is ever
//! committed to the broker. Plain threads poll; librdkafka reconnects on its own.

mod sink;
mod source;

use std::time::Duration;

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
    #[error("cannot use the kafka settings: {0}")]
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
        "record {topic}/{partition}/{offset} is not there: the topic holds offsets {first} to {end}, the last one \
         excluded; its records were deleted or the topic was made anew"
    )]
    OffsetGone { topic: String, partition: i32, offset: i64, first: i64, end: i64 },
    #[error("cannot {action} topic `{topic}`: {error}")]
    Topic { action: &'static str, topic: String, error: String },
    #[error("{failed} of {records} records did not reach topic `{topic}`: {error}")]
    NotSent { topic: String, records: usize, failed: usize, error: String },
}

impl KafkaError {
    /// Whether waiting may mend it: brokers start late, and topics are created after them.
    pub fn may_pass(&self) -> bool {
        matches!(self, KafkaError::Unreachable { .. } | KafkaError::NoTopic { .. } | KafkaError::Topic { .. })
    }
}
