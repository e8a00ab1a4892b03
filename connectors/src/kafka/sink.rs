//! Feeding a topic: records are acknowledged by every in-sync replica, in order and without doubles, or named as failed.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freshet_config::time::EventTime;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError as NativeError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use super::words::{plain, plain_error};
use super::{KafkaError, KafkaOptions};

/// An idempotent producer that waits for every record. Share it between threads by reference.
pub struct KafkaSink {
    producer: ThreadedProducer<Reports>,
    brokers: String,
    timeout: Duration,
}

/// Passes delivery reports on to the call that waits for them, and keeps what the client says of brokers.
#[derive(Default)]
struct Reports {
    said: Mutex<Option<String>>,
}

impl ClientContext for Reports {
    fn error(&self, error: NativeError, reason: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        // That all are down says less than why the last of them is.
        if said.is_none() || error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *said = Some(plain(reason));
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Outstanding>;

    fn delivery(&self, result: &DeliveryResult<'_>, outstanding: Arc<Outstanding>) {
        outstanding.settle(result.as_ref().err().map(|(error, _)| plain_error(error)));
    }
}

/// The records of one call that no report has come for yet.
#[derive(Default)]
struct Outstanding {
    counts: Mutex<Counts>,
    settled: Condvar,
}

#[derive(Default)]
struct Counts {
    waiting: usize,
    failed: usize,
    error: Option<String>,
}

impl Outstanding {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, error: Option<String>) {
        let mut counts = self.counts();
        counts.waiting -= 1;
        if let Some(error) = error {
            counts.failed += 1;
            counts.error.get_or_insert(error);
        }
        self.settled.notify_all();
    }
}

impl KafkaSink {
    /// Connects and waits until a broker answers.
    pub fn connect(brokers: &str, options: &KafkaOptions) -> Result<KafkaSink, KafkaError> {
        let mut config = client(brokers, options);
        if config.get("partitioner").is_none() {
            config.set("partitioner", "murmur2_random");
        }
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", options.timeout.as_millis().max(1).to_string());
        let producer: ThreadedProducer<Reports> =
            config.create_with_context(Reports::default()).map_err(KafkaError::Settings)?;
        producer.client().fetch_metadata(None, options.timeout).map_err(|error| KafkaError::Unreachable {
            brokers: brokers.to_string(),
            timeout: options.timeout,
            error: {
                let said = &producer.context().said;
                said.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| plain_error(&error))
            },
        })?;
        Ok(KafkaSink { producer, brokers: brokers.to_string(), timeout: options.timeout })
    }

    /// As [`KafkaSink::send_keyed`], of records without keys: Kafka spreads them over the partitions.
    pub fn send_all<P: AsRef<[u8]>>(
        &self,
        topic: &str,
        payloads: &[P],
        record_time: Option<EventTime>,
    ) -> Result<(), KafkaError> {
        let records: Vec<(Option<&str>, &P)> = payloads.iter().map(|payload| (None, payload)).collect();
        self.send_keyed(topic, &records, record_time)
    }

    /// Sends keys and payloads, and returns when each is acknowledged. Records of one key come into the partition into which
    /// producers in Java put them. `record_time` is rounded down to milliseconds, and without one the client's clock stamps
    /// the records.
    pub fn send_keyed<K: AsRef<str>, P: AsRef<[u8]>>(
        &self,
        topic: &str,
        records: &[(Option<K>, P)],
        record_time: Option<EventTime>,
    ) -> Result<(), KafkaError> {
        let outstanding = Arc::new(Outstanding::default());
        for (key, payload) in records {
            let key = key.as_ref().map(|key| key.as_ref().as_bytes());
            self.send(topic, (key, payload.as_ref()), record_time, &outstanding);
        }
        let mut counts = outstanding.counts();
        // Every record sent gets a report, at the latest when its own timeout ends.
        while counts.waiting > 0 {
            counts = outstanding.settled.wait(counts).unwrap_or_else(PoisonError::into_inner);
        }
        match counts.error.take() {
            None => Ok(()),
            Some(error) => Err(KafkaError::NotSent {
                brokers: self.brokers.clone(),
                topic: topic.to_string(),
                records: records.len(),
                failed: counts.failed,
                error,
            }),
        }
    }

    fn send(
        &self,
        topic: &str,
        (key, payload): (Option<&[u8]>, &[u8]),
        record_time: Option<EventTime>,
        outstanding: &Arc<Outstanding>,
    ) {
        outstanding.counts().waiting += 1;
        let mut record: BaseRecord<'_, [u8], [u8], Arc<Outstanding>> =
            BaseRecord::with_opaque_to(topic, outstanding.clone()).payload(payload);
        record.key = key;
        record.timestamp = record_time.map(|at| at.micros().div_euclid(1_000));
        while let Err((error, refused)) = self.producer.send(record) {
            if error != NativeError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                outstanding.settle(Some(plain_error(&error)));
                return;
            }
            // The queue drains as reports come; its own thread serves them.
            std::thread::sleep(Duration::from_millis(5).min(self.timeout));
            record = refused;
        }
    }
}

/// Creates a topic with one replica. One that exists is an error.
pub fn create_topic(brokers: &str, topic: &str, partitions: i32, options: &KafkaOptions) -> Result<(), KafkaError> {
    let failed = |error: String| KafkaError::Topic { action: "create", topic: topic.to_string(), error };
    let admin: AdminClient<DefaultClientContext> = client(brokers, options).create().map_err(KafkaError::Settings)?;
    let wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let limits = AdminOptions::new().request_timeout(Some(options.timeout)).operation_timeout(Some(options.timeout));
    let results = futures::executor::block_on(admin.create_topics([&wanted], &limits));
    for result in results.map_err(|error| failed(error.to_string()))? {
        result.map_err(|(_, code)| failed(code.to_string()))?;
    }
    Ok(())
}

fn client(brokers: &str, options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in &options.settings {
        config.set(name, value);
    }
    config.set("bootstrap.servers", brokers);
    config
}
