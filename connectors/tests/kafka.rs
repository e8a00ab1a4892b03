//! The Kafka source and sink against librdkafka's own mock brokers on loopback.

use std::collections::BTreeMap;
use std::time::Duration;

use freshet_config::time::EventTime;
use freshet_connectors::kafka::{KafkaError, KafkaMessage, KafkaOptions, KafkaSink, KafkaSource};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

type Mock = MockCluster<'static, DefaultProducerContext>;

const AT: EventTime = EventTime::from_micros(1_772_366_400_000_000);

fn cluster(topic: &str, partitions: i32) -> (Mock, String) {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic(topic, partitions, 1).unwrap();
    let brokers = mock.bootstrap_servers();
    (mock, brokers)
}

fn options() -> KafkaOptions {
    KafkaOptions { timeout: Duration::from_secs(30), ..KafkaOptions::default() }
}

fn read(source: &mut KafkaSource, count: usize) -> Vec<KafkaMessage> {
    let mut messages = Vec::new();
    while messages.len() < count {
        let some = source.poll(4, Duration::from_secs(30)).unwrap();
        assert!(!some.is_empty() && some.len() <= 4, "after {} of {count}", messages.len());
        messages.extend(some);
    }
    messages
}

#[test]
fn records_come_back_per_partition_in_order_with_their_times() {
    let (_mock, brokers) = cluster("events", 3);
    let sink = KafkaSink::connect(&brokers, &options()).unwrap();
    let payloads: Vec<String> = (0..50).map(|n| format!("{n}")).collect();
    sink.send_all("events", &payloads, Some(AT)).unwrap();
    let mut source = KafkaSource::connect(&brokers, "events", &options()).unwrap();
    assert_eq!(source.partitions(), 3);
    source.assign(&BTreeMap::new()).unwrap();
    let messages = read(&mut source, 50);
    let mut next: BTreeMap<i32, i64> = (0..3).map(|partition| (partition, 0)).collect();
    let mut seen: Vec<u32> = Vec::new();
    for message in &messages {
        assert_eq!(Some(&message.offset), next.get(&message.partition));
        next.insert(message.partition, message.offset + 1);
        assert_eq!(message.record_time, Some(AT));
        seen.push(String::from_utf8(message.payload.clone().unwrap()).unwrap().parse().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    let ends: BTreeMap<i32, i64> = source.bounds().unwrap().into_iter().map(|(n, (_, end))| (n, end)).collect();
    assert_eq!(ends, next);
    assert_eq!(source.probe().look(&next).unwrap(), source.bounds().unwrap());
    assert_eq!(source.state().trouble, None);

    // Another reader goes on where the first one stands.
    let mut second = KafkaSource::connect(&brokers, "events", &options()).unwrap();
    second.assign(&next).unwrap();
    sink.send_all("events", &["more"], Some(AT)).unwrap();
    assert_eq!(read(&mut second, 1)[0].payload.as_deref(), Some(&b"more"[..]));
}

#[test]
fn offsets_that_are_not_there_are_refused_before_reading() {
    let (_mock, brokers) = cluster("events", 1);
    KafkaSink::connect(&brokers, &options()).unwrap().send_all("events", &["a", "b"], None).unwrap();
    let mut source = KafkaSource::connect(&brokers, "events", &options()).unwrap();
    let error = source.assign(&BTreeMap::from([(0, 3)])).unwrap_err();
    assert!(matches!(error, KafkaError::OffsetGone { offset: 3, first: 0, end: 2, .. }), "{error}");
    let error = source.assign(&BTreeMap::from([(7, 0)])).unwrap_err();
    assert_eq!(error.to_string(), "topic `events` has no partition 7: it has partitions 0 to 0");
    source.assign(&BTreeMap::from([(0, 1)])).unwrap();
    assert_eq!(read(&mut source, 1)[0].payload.as_deref(), Some(&b"b"[..]));
}

#[test]
fn connecting_names_what_is_missing() {
    let short = KafkaOptions { timeout: Duration::from_millis(300), ..KafkaOptions::default() };
    let Err(error) = KafkaSource::connect("127.0.0.1:1", "events", &short) else { panic!("connected to nothing") };
    assert!(error.to_string().starts_with("no kafka broker answered at 127.0.0.1:1 within 0.3 s"), "{error}");
    assert!(matches!(KafkaSink::connect("127.0.0.1:1", &short), Err(KafkaError::Unreachable { .. })));

    let (_mock, brokers) = cluster("events", 1);
    let Err(error) = KafkaSource::connect(&brokers, "evnts", &options()) else { panic!("found the topic") };
    assert_eq!(error.to_string(), format!("kafka at {brokers} has no topic `evnts`: create it, or correct the name"));

    let wrong = KafkaOptions { settings: vec![("no.such.setting".into(), "1".into())], ..options() };
    assert!(matches!(KafkaSource::connect(&brokers, "events", &wrong), Err(KafkaError::Settings(_))));
}

#[test]
fn records_that_cannot_be_sent_are_counted() {
    let (_mock, brokers) = cluster("events", 1);
    let sink = KafkaSink::connect(&brokers, &options()).unwrap();
    let error = sink.send_all("events", &[vec![0; 10], vec![0; 3 << 20]], None).unwrap_err();
    let wanted = format!("1 of 2 records did not reach topic `events` of kafka at {brokers} (");
    assert!(error.to_string().starts_with(&wanted), "{error}");
}
