//! Processes whose broker is not there: they stay up, say what they wait for, and go on by themselves when it comes.

mod process;
mod services;
mod site;

use std::fs;
use std::time::{Duration, Instant};

use freshet_connectors::kafka::{KafkaOptions, KafkaSink, KafkaSource, create_topic};
use process::{PATIENCE, freshet, text};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use services::{Service, closed_port};
use site::{Site, ask};

const DEFINITIONS: &str = "
sources:
  - name: sales
    stream: {kafka: {topic: sales}}
    schema: {id: int64, amount: int64, shop: string, ts: timestamp}
    event_time: ts
    enrich: [{dimension: shops, on: {shop: shop}, columns: [city]}]
dimensions:
  - {name: shops, changes: {kafka: {topic: shops}}, schema: {shop: string, city: string}, key: [shop]}
entities:
  - {name: customer, keys: {id: int64}}
views:
  - name: spend
    source: sales
    entity: customer
    aggregates: [{name: amount, fn: sum, of: amount, windows: [3650d]}]
services:
  - {name: checkout, features: [\"spend.*\"]}
";

/// A process that reads from this broker; `more` are further settings of Kafka.
fn site(broker: &str, more: &str) -> Site {
    Site::new(DEFINITIONS, &format!("clock = \"event\"\n[kafka]\nbrokers = [\"{broker}\"]\n{more}"))
}

/// Status and stderr of `freshet ingest` with a sale.
fn ingest(site: &Site, url: &str) -> (Option<i32>, String) {
    let (file, sale) =
        (site.path("sale.ndjson"), r#"{"id": 7, "amount": 5, "shop": "north", "ts": "2026-01-01T00:00:00Z"}"#);
    fs::write(&file, sale).expect("a temporary directory is written");
    let fed = freshet(&["ingest", "sales", &file, "--url", url]);
    (fed.status.code(), text(&fed.stderr))
}

/// Asks `/readyz` until it says something with `wanted` in it; gives its status and what it said.
fn readiness(url: &str, wanted: &str) -> (u16, String) {
    let begun = Instant::now();
    loop {
        let (status, body) = ask(url, "/readyz");
        let said = body["message"].as_str().or(body["status"].as_str()).unwrap_or_default().to_string();
        if said.contains(wanted) {
            return (status, said);
        }
        assert!(begun.elapsed() < PATIENCE, "{status} {said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_broker_that_comes_late_is_waited_for() {
    let mut broker = Service::kafka_later();
    let site = site(&broker.address(), "");
    let (running, url) = site.run();
    let (status, said) = readiness(&url, "source `sales`: ");
    assert_eq!(status, 503);
    let wanted = format!("source `sales`: no kafka broker answered at {} within 5 s (", broker.address());
    assert!(
        said.contains(&wanted) && said.contains(": Connection refused): check") && said.contains("trying again"),
        "{said}"
    );
    readiness(&url, "dimension `shops`: no kafka broker answered at ");
    assert_eq!(ask(&url, "/healthz").0, 200);
    let early = freshet(&["get", "checkout", "id=7", "--url", &url]);
    assert!(
        text(&early.stderr).starts_with("the online store is being filled, ask again: "),
        "{}",
        text(&early.stderr)
    );

    broker.start();
    let (status, said) = readiness(&url, "has no topic `sales`");
    assert_eq!(status, 503, "{said}");
    let options = KafkaOptions { timeout: Duration::from_secs(60), ..KafkaOptions::default() };
    for topic in ["sales", "shops"] {
        create_topic(&broker.address(), topic, 1, &options).expect("the topic is created");
    }
    let sink = KafkaSink::connect(&broker.address(), &options).expect("the broker answers");
    let sale = r#"{"id": 7, "amount": 5, "shop": "north", "ts": "2026-01-01T00:00:00Z"}"#;
    sink.send_all("sales", &[sale], None).expect("the record is sent");
    let begun = Instant::now();
    while ask(&url, "/readyz").0 != 200 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", ask(&url, "/readyz"));
        std::thread::sleep(Duration::from_millis(50));
    }
    loop {
        let shown = freshet(&["get", "checkout", "id=7", "--url", &url]);
        let table = text(&shown.stdout);
        if table.contains("PRESENT") {
            assert_eq!(table.lines().last().and_then(|line| line.split_whitespace().nth(1)), Some("5"), "{table}");
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{table}{}", text(&shown.stderr));
        std::thread::sleep(Duration::from_millis(50));
    }
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

#[test]
fn who_waits_for_a_broker_ends_when_told() {
    let broker = format!("127.0.0.1:{}", closed_port());
    let site = site(&broker, "");
    let (running, url) = site.run();
    // Long before an attempt to reach it is over.
    let (status, said) = readiness(&url, "source `sales` waits for the kafka broker at 127.0.0.1:");
    assert!(status == 503 && said.contains("dimension `shops` waits for the kafka broker at "), "{said}");
    let wanted = format!(
        "source `sales`: no kafka broker answered at {broker} within 10 s ({broker}: Connection refused): check the address \
         and that the broker runs\n"
    );
    assert_eq!(ingest(&site, &url), (Some(69), wanted));
    running.signal("INT");
    assert_eq!(running.end().code(), Some(0));
    let positions = fs::read_to_string(site.path("data/positions.json")).unwrap_or_default();
    assert!(!positions.contains("sales"), "nothing was read, so that there is no position: {positions}");
}

/// The value of the only service's only feature.
fn amount(url: &str) -> Option<String> {
    let shown = freshet(&["get", "checkout", "id=7", "--url", url]);
    text(&shown.stdout).lines().last().and_then(|line| line.split_whitespace().nth(1)).map(str::to_string)
}

/// Waits for what does not come at once.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn metric(url: &str, name: &str) -> Option<f64> {
    let text =
        ureq::get(&format!("{url}/metrics")).call().expect("an answer").body_mut().read_to_string().expect("text");
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn delete_topic(broker: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker).create().expect("a client");
    let limits = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let results = runtime.block_on(admin.delete_topics(&[topic], &limits)).expect("the broker answers");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// Offsets alone do not tell: the new topic has more records than were read of the old one.
#[test]
fn a_topic_that_is_another_one_is_never_read_on() {
    let broker = Service::kafka();
    let options = KafkaOptions { timeout: Duration::from_secs(60), ..KafkaOptions::default() };
    let create = |topic| create_topic(&broker.address(), topic, 1, &options).expect("the topic is created");
    create("sales");
    create("shops");
    let send = |ids: std::ops::Range<u32>| {
        let sink = KafkaSink::connect(&broker.address(), &options).expect("the broker answers");
        let sale = |_| r#"{"id": 7, "amount": 5, "shop": "north", "ts": "2026-01-01T00:00:00Z"}"#;
        sink.send_all("sales", &ids.map(sale).collect::<Vec<_>>(), None).expect("the records are sent");
    };
    send(0..2);
    let site = site(&broker.address(), "");
    let (running, url) = site.run();
    until("ready with the first records", || amount(&url).as_deref() == Some("10"));
    until("nothing is left", || metric(&url, "freshet_source_lag_records{source=\"sales\"}") == Some(0.0));

    delete_topic(&broker.address(), "sales");
    create("sales");
    send(0..5);
    let (status, said) = readiness(&url, "was deleted and made anew");
    assert_eq!(status, 503);
    let address = broker.address();
    assert!(
        said.contains(&format!("source `sales`: topic `sales` of kafka at {address} was deleted and made anew")),
        "{said}"
    );
    assert!(said.contains("start this process again") && !said.contains("trying again"), "{said}");
    assert_eq!(ask(&url, "/healthz").0, 200);
    assert_eq!(metric(&url, "freshet_ready"), Some(0.0));
    assert!(amount(&url).is_some_and(|amount| amount != "null"), "what is there is still given");
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));

    let (running, url) = site.run();
    until("the new topic is read whole", || amount(&url).as_deref() == Some("25"));
    delete_topic(&broker.address(), "shops");
    let (status, said) = readiness(&url, "is gone");
    assert_eq!(status, 503);
    assert!(said.contains(&format!("dimension `shops`: topic `shops` is gone from kafka at {address}")), "{said}");
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

/// Offsets alone do not tell: the new topic has as many records as were read of the old one, and one of them is refused.
#[test]
fn a_topic_made_anew_while_nobody_reads_is_another_one() {
    let broker = Service::kafka();
    let address = broker.address();
    let options = KafkaOptions { timeout: Duration::from_secs(60), ..KafkaOptions::default() };
    let create = |topic| create_topic(&address, topic, 1, &options).expect("the topic is created");
    create("sales");
    create("shops");
    let send = |records: &[&str]| {
        let sink = KafkaSink::connect(&address, &options).expect("the broker answers");
        sink.send_all("sales", records, None).expect("the records are sent");
    };
    let sale = r#"{"id": 7, "amount": 5, "shop": "north", "ts": "2026-01-01T00:00:00Z"}"#;
    send(&[sale, sale, "{}"]);
    let site = site(&address, "");
    let refused = || {
        let ledger = freshet(&["ledger", "sales", "--data-dir", &site.path("data"), "--json"]);
        let answer: Value = serde_json::from_slice(&ledger.stdout).expect("JSON");
        answer["counts"].as_array().expect("a list").iter().filter_map(|count| count["count"].as_u64()).sum::<u64>()
    };
    let run_until = |wanted: &str| {
        let (running, url) = site.run();
        until("every record is read", || amount(&url).as_deref() == Some(wanted));
        until("nothing is left", || metric(&url, "freshet_source_lag_records{source=\"sales\"}") == Some(0.0));
        running.signal("TERM");
        assert_eq!(running.end().code(), Some(0));
    };
    run_until("10");
    assert_eq!(refused(), 1);
    run_until("10");
    assert_eq!(refused(), 1, "the ledger has it from the process before");

    delete_topic(&address, "sales");
    create("sales");
    send(&["{}", sale, sale, sale]);
    run_until("15");
    assert_eq!(refused(), 2, "the new topic's first record was never seen");
    run_until("15");
    assert_eq!(refused(), 2);
}

#[test]
fn a_broker_that_goes_away_later_is_said_and_comes_back() {
    let mut broker = Service::kafka();
    let options = KafkaOptions { timeout: Duration::from_secs(60), ..KafkaOptions::default() };
    for topic in ["sales", "shops"] {
        create_topic(&broker.address(), topic, 1, &options).expect("the topic is created");
    }
    let address = broker.address();
    let send = || {
        let sink = KafkaSink::connect(&address, &options).expect("the broker answers");
        let sale = r#"{"id": 7, "amount": 5, "shop": "north", "ts": "2026-01-01T00:00:00Z"}"#;
        sink.send_all("sales", &[sale], None).expect("the record is sent");
    };
    send();
    let site = site(&broker.address(), "");
    let (running, url) = site.run();
    assert_eq!(ingest(&site, &url), (Some(0), String::new()));
    until("ready with the first records", || amount(&url).as_deref() == Some("10"));
    until("ready", || ask(&url, "/readyz").0 == 200);

    broker.kill();
    until("not ready", || ask(&url, "/readyz").0 == 503);
    for input in ["source `sales`", "dimension `shops`"] {
        let wanted = format!("{input}: no kafka broker answered at {address} within ");
        let (status, said) = readiness(&url, &wanted);
        assert!(status == 503 && said.contains("; trying again"), "{said}");
    }
    assert_eq!(metric(&url, "freshet_ready"), Some(0.0));
    assert_eq!(ask(&url, "/healthz").0, 200);
    assert_eq!(amount(&url).as_deref(), Some("10"), "what is in memory is still given");
    let wanted = format!(
        "source `sales`: 1 of 1 records did not reach topic `sales` of kafka at {address} (no broker acknowledged them in \
         time): check that its brokers run, and send them again\n"
    );
    assert_eq!(ingest(&site, &url), (Some(69), wanted));

    broker.start();
    // Nothing needs to come for it to be well again.
    until("ready again", || ask(&url, "/readyz").0 == 200);
    send();
    until("the third record is read", || amount(&url).as_deref() == Some("15"));
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

#[test]
fn partitions_that_are_added_are_read() {
    let broker = Service::kafka();
    let options = KafkaOptions { timeout: Duration::from_secs(60), ..KafkaOptions::default() };
    for topic in ["sales", "shops"] {
        create_topic(&broker.address(), topic, 1, &options).expect("the topic is created");
    }
    let site = site(&broker.address(), "");
    let (running, url) = site.run();
    until("ready", || ask(&url, "/readyz").0 == 200);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker.address()).create().expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let wanted = NewPartitions::new("sales", 3);
    let limits = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let results = runtime.block_on(admin.create_partitions(&[wanted], &limits)).expect("the broker answers");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", broker.address()).create().expect("a client");
    let sale = r#"{"id": 7, "amount": 5, "shop": "north", "ts": "2026-01-01T00:00:00Z"}"#;
    // Brokers may take a while to know of partitions, and records to those they do not know are lost.
    let ends = || {
        let source = KafkaSource::connect(&broker.address(), "sales", &options).expect("the broker answers");
        source.bounds().map(|bounds| bounds.into_values().map(|(_, end)| end).collect::<Vec<_>>()).unwrap_or_default()
    };
    until("every partition has a record", || {
        let found = ends();
        for partition in (0..3).filter(|partition| found.get(*partition).copied().unwrap_or(0) == 0) {
            let record = BaseRecord::<(), str>::to("sales").partition(partition as i32).payload(sale);
            // A partition that the producer does not know of yet is tried again.
            let _ = producer.send(record);
        }
        producer.flush(Duration::from_secs(60)).expect("the records are sent or given up");
        let found = ends();
        found.len() == 3 && found.iter().all(|end| *end > 0)
    });
    let wanted = (5 * ends().iter().sum::<i64>()).to_string();
    let begun = Instant::now();
    while amount(&url).as_deref() != Some(&wanted) {
        let (status, said) = ask(&url, "/readyz");
        assert!(begun.elapsed() < PATIENCE, "{:?} instead of {wanted}: {status} {said}", amount(&url));
        std::thread::sleep(Duration::from_millis(50));
    }
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

#[test]
fn settings_that_cannot_be_end_the_process() {
    let broker = format!("127.0.0.1:{}", closed_port());
    for (option, value, why) in [
        ("no.such.setting", "1", "there is none of this name; correct it, or remove it"),
        (
            "ssl.key.password",
            "hunter2",
            "this build of the client has not what it needs (OpenSSL not available at build time)",
        ),
        ("fetch.wait.max.ms", "hunter2", "it cannot have this value"),
    ] {
        let site = site(&broker, &format!("options = {{\"{option}\" = \"{value}\"}}\n"));
        let ended = freshet(&["run", &site.path("definitions"), "--config", &site.path("freshet.toml")]);
        let errors = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(78), "{errors}");
        assert!(errors.contains(&format!("input `sales`: cannot use the kafka option `{option}`: {why}")), "{errors}");
        assert_eq!(errors.matches(option).count(), 1, "{errors}");
        assert!(!errors.contains("hunter2"), "values may be secrets: {errors}");
    }
}
