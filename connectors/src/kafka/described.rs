//! What brokers say of a topic beside its records: which topic of its name it is, and how many partitions it has.
//!
//! Law: two topics of one name differ in nothing but their id, which the wrapper of the client does not give. So this file
//! calls the client itself. Every pointer it takes is given back before it returns, and none leaves it.

use std::ffi::{CStr, CString};
use std::fmt;
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::{RDKafka, RDKafkaRespErr};
use serde::{Deserialize, Serialize};

/// A topic at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// `None`: the broker is older than ids of topics.
    pub id: Option<TopicId>,
    pub partitions: usize,
}

/// Of no other topic before or after; in base64, as Kafka's own tools show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(String);

impl From<String> for TopicId {
    fn from(base64: String) -> TopicId {
        TopicId(base64)
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Asks a broker, for at most `timeout`.
pub(super) fn describe(client: *mut RDKafka, topic: &str, timeout: Duration) -> Result<Described, RDKafkaErrorCode> {
    let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the caller's client lives until this returns. The request copies the name and the options; queue, options,
    // names and event are destroyed once each, by the guards, after the last use of what they hold.
    unsafe {
        let queue = Guard(native::rd_kafka_queue_new(client), native::rd_kafka_queue_destroy);
        let describing = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options =
            Guard(native::rd_kafka_AdminOptions_new(client, describing), native::rd_kafka_AdminOptions_destroy);
        let failed = native::rd_kafka_AdminOptions_set_request_timeout(options.0, millis.max(1), ptr::null_mut(), 0);
        check(failed)?;
        let mut names = [name.as_ptr()];
        let names = native::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let names = Guard(names, native::rd_kafka_TopicCollection_destroy);
        native::rd_kafka_DescribeTopics(client, names.0, options.0, queue.0);
        let event = Guard(native::rd_kafka_queue_poll(queue.0, millis), native::rd_kafka_event_destroy);
        if event.0.is_null() {
            return Err(RDKafkaErrorCode::OperationTimedOut);
        }
        check(native::rd_kafka_event_error(event.0))?;
        read(event.0)
    }
}

/// # Safety
///
/// `event` is valid. What is read of it belongs to it.
unsafe fn read(event: *mut native::rd_kafka_event_t) -> Result<Described, RDKafkaErrorCode> {
    let none = Err(RDKafkaErrorCode::BadMessage);
    // SAFETY: every pointer comes from the event, which outlives them, and is looked at before it is followed.
    unsafe {
        let result = native::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return none;
        }
        let mut count = 0;
        let topics = native::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if topics.is_null() || count == 0 || (*topics).is_null() {
            return none;
        }
        let topic = *topics;
        let error = native::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            check(native::rd_kafka_error_code(error))?;
        }
        let mut partitions = 0;
        native::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        let known = !id.is_null()
            // A broker that knows no ids says nothing but zeros.
            && (native::rd_kafka_Uuid_most_significant_bits(id), native::rd_kafka_Uuid_least_significant_bits(id)) != (0, 0);
        let text = if known { native::rd_kafka_Uuid_base64str(id) } else { ptr::null() };
        let id = (!text.is_null()).then(|| TopicId(CStr::from_ptr(text).to_string_lossy().into_owned()));
        Ok(Described { id, partitions })
    }
}

fn check(code: RDKafkaRespErr) -> Result<(), RDKafkaErrorCode> {
    match RDKafkaErrorCode::from(code) {
        RDKafkaErrorCode::NoError => Ok(()),
        error => Err(error),
    }
}

/// Something of the client's, and what destroys it.
struct Guard<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the pointer is the guard's own, and is destroyed here alone.
            unsafe { (self.1)(self.0) }
        }
    }
}
