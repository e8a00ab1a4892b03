//! A look at a topic from beside its reader: whether it is still the one that is read, and where it begins and ends.
//!
//! Law: what is read next is there. A topic that was deleted, made anew, or whose records went before they were read is an
//! error that says so, never a silence and never a leap.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError as NativeError, RDKafkaErrorCode};

use super::KafkaError;
use super::described::{TopicId, describe};
use super::source::{Watch, is_no_answer};
use super::words::plain_code;

/// Shares a reader's connection; for a thread of its own.
pub struct KafkaProbe {
    pub(super) consumer: Arc<BaseConsumer<Watch>>,
    pub(super) brokers: String,
    pub(super) topic: String,
    /// Of the topic that is read, where the broker tells.
    pub(super) id: Option<TopicId>,
    /// How many partitions the client was told of.
    pub(super) partitions: AtomicUsize,
    pub(super) timeout: Duration,
}

/// Where the partitions of a topic begin and end: the offset of the first record, and the one behind the last.
pub type Bounds = BTreeMap<i32, (i64, i64)>;

impl KafkaProbe {
    /// Where the topic begins and ends, if it is still the one of which what stands before `next` was read. Of partitions
    /// that `next` does not name nothing was.
    pub fn look(&self, next: &BTreeMap<i32, i64>) -> Result<Bounds, KafkaError> {
        let known = self.partitions.load(Ordering::Relaxed);
        let ends = self.ends(known);
        // A description that no broker gives makes the client connect again and again, without a pause, for as long as it is
        // waited for: it is asked for only while brokers answer.
        match &ends {
            Ok(_) => {}
            Err(KafkaError::Unreachable { .. }) => return ends,
            // Of partitions that it does not know the client says so, whether brokers answer or not.
            Err(_) => _ = self.told()?,
        }
        let partitions = match &self.id {
            Some(id) => self.described(id)?,
            None => self.told()?,
        };
        let bounds = if partitions == known { ends? } else { self.ends(partitions)? };
        for (&partition, &(first, end)) in &bounds {
            // That `first` is beyond it says nothing: marks of transactions take offsets, and are never given out.
            if let Some(offset) = next.get(&partition).copied().filter(|offset| *offset > end) {
                return Err(KafkaError::OffsetGone { topic: self.topic.clone(), partition, offset, first, end });
            }
        }
        Ok(bounds)
    }

    fn ends(&self, partitions: usize) -> Result<Bounds, KafkaError> {
        let watermarks = |partition| {
            let ends = self.consumer.fetch_watermarks(&self.topic, partition, self.timeout);
            ends.map(|ends| (partition, ends)).map_err(|error| self.error("read the ends of", code_of(&error)))
        };
        (0..i32::try_from(partitions).unwrap_or(i32::MAX)).map(watermarks).collect()
    }

    /// How many partitions the topic has, if it is the one with this id.
    fn described(&self, id: &TopicId) -> Result<usize, KafkaError> {
        let described = describe(self.consumer.client().native_ptr(), &self.topic, self.timeout)
            .map_err(|code| self.error("look at", code))?;
        if described.id.is_some_and(|found| found != *id) {
            return Err(KafkaError::Remade { brokers: self.brokers.clone(), topic: self.topic.clone() });
        }
        if self.partitions.swap(described.partitions, Ordering::Relaxed) != described.partitions {
            // The client knows the partitions that it was told of last, and asks for others on its own in minutes.
            self.told()?;
        }
        Ok(described.partitions)
    }

    /// How many partitions a topic of this name has, and has the client know of them.
    fn told(&self) -> Result<usize, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), self.timeout);
        let metadata = metadata.map_err(|error| self.error("look at", code_of(&error)))?;
        let found = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        match found.map(|topic| (topic.error().map(RDKafkaErrorCode::from), topic.partitions().len())) {
            Some((None, partitions)) if partitions > 0 => Ok(partitions),
            Some((Some(code), _)) => Err(self.error("look at", code)),
            _ => Err(self.error("look at", RDKafkaErrorCode::UnknownTopicOrPartition)),
        }
    }

    /// As [`KafkaProbe::look`], after the broker said that it has not what is read next.
    pub fn look_for(&self, next: &BTreeMap<i32, i64>) -> Result<Bounds, KafkaError> {
        let bounds = self.look(next)?;
        for (&partition, &offset) in next {
            if let Some((first, end)) = bounds.get(&partition).copied().filter(|(first, _)| *first > offset) {
                return Err(KafkaError::OffsetGone { topic: self.topic.clone(), partition, offset, first, end });
            }
        }
        Ok(bounds)
    }

    /// The topic has been missing for too long to come back as it was.
    pub fn gone(&self) -> KafkaError {
        KafkaError::Gone { brokers: self.brokers.clone(), topic: self.topic.clone() }
    }

    fn error(&self, action: &'static str, code: RDKafkaErrorCode) -> KafkaError {
        use RDKafkaErrorCode as Code;
        match code {
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownTopicId => {
                KafkaError::NoTopic { brokers: self.brokers.clone(), topic: self.topic.clone() }
            }
            code if is_no_answer(code) => KafkaError::Unreachable {
                brokers: self.brokers.clone(),
                timeout: self.timeout,
                error: self.consumer.context().said().unwrap_or_else(|| plain_code(code)),
            },
            _ => KafkaError::Topic { action, topic: self.topic.clone(), error: plain_code(code) },
        }
    }
}

fn code_of(error: &NativeError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)
}
