//! From readers to deliveries: what goes on, what goes to the ledger, and that it adds up.

#[path = "../../tests/services/mod.rs"]
mod services;
#[path = "ingest/site.rs"]
mod site;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int64Type};
use freshet_config::definitions::FileFormat;
use freshet_config::settings::KafkaSettings;
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{Value, encode_key};
use freshet_connectors::events::{Code, MAX_RECORD_BYTES};
use freshet_connectors::files::EventFiles;
use freshet_connectors::kafka::{KafkaOptions, create_topic};
use freshet_connectors::position;
use freshet_connectors::positions::SourcePosition;
use freshet_engine::clock::Clock;
use freshet_engine::ingest::{Change, Delivery, Intake, LogIngest, PushError, Trouble, feed_file};
use services::Service;
use site::{Site, assert_accounted, history, micros, stream};

/// One hour of reach: a window of 50 min and 10 min of lateness.
const DEFINITIONS: &str = "
sources:
  - name: sales
    stream: STREAM
    history: {ndjson: {path: sales.ndjson}}
    schema: {id: string, card: int64, amount: float64, at: timestamp, seq: int64}
    event_time: at
    dedup_key: id
    lateness: 10m
entities:
  - {name: card, keys: {card: int64}}
views:
  - name: card_sales
    source: sales
    entity: card
    aggregates: [{name: n, fn: count, windows: [50m]}]
";
const REACH: i64 = 3_600_000_000;

fn definitions() -> String {
    DEFINITIONS.replace("STREAM", "{log: {}}")
}

fn sale(id: &str, amount: f64, at: EventTime) -> String {
    format!("{{\"id\":\"{id}\",\"card\":7,\"amount\":{amount},\"at\":\"{at}\"}}")
}

fn ids(deliveries: &[Delivery]) -> Vec<String> {
    let texts = |delivery: &Delivery| -> Vec<String> {
        delivery.events.batch.column(0).as_string::<i32>().iter().map(|id| id.unwrap_or("null").to_string()).collect()
    };
    deliveries.iter().flat_map(texts).collect()
}

fn positions(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().flat_map(|delivery| delivery.events.positions.clone()).collect()
}

#[test]
fn everything_consumed_is_delivered_expired_or_in_the_ledger() {
    let site = Site::new(&definitions(), Clock::Wall);
    let now = site.clock.now();
    let lines = [
        sale("a", 1.0, micros(now, -1_000)),
        sale("old", 1.0, micros(now, -2 * REACH)),
        sale("a", 1.0, micros(now, -1_000)),
        "{\"id\":".to_string(),
        sale("b", 1.0, micros(now, -2_000)),
        sale("a", 2.0, micros(now, -1_000)),
    ];
    site.write("sales.ndjson", &lines.join("\n"));
    let keyless = format!("{{\"id\":\"k\",\"at\":\"{now}\"}}");
    let records = [
        sale("b", 1.0, micros(now, -2_000)),
        sale("c", 1.0, now),
        sale("edge", 1.0, micros(now, -REACH)),
        sale("late", 1.0, micros(now, -REACH - 1)),
        sale("early", 1.0, micros(now, 300_000_001)),
        keyless,
        String::new(),
        sale("c", 3.0, now),
        // Late before, and therefore not known as admitted.
        sale("late", 1.0, now),
        sale("d", 1.0, micros(now, 300_000_000)),
    ];
    site.append("sales", &records, now);

    let mut intake = site.intake();
    assert_eq!(intake.position(), Some(SourcePosition::Log { offset: 0 }));
    assert_eq!(intake.lag(), Some(10));
    let past = history(&mut intake);
    assert_eq!(ids(&past), ["a", "b"]);
    assert_eq!(positions(&past), [position::history(0, 0), position::history(0, 4)]);
    assert_eq!((past[0].latest, past[0].events.record_times.len()), (micros(now, -1_000), 0));
    assert_eq!((intake.counts().consumed, intake.counts().expired), (6, 1));
    assert_accounted(&site, &intake);

    let live = stream(&mut intake, 1000);
    assert_eq!(ids(&live), ["c", "edge", "late", "d"]);
    assert_eq!(positions(&live), [1, 2, 8, 9].map(position::log));
    assert_eq!(live[0].events.record_times, [now; 4]);
    assert_eq!(live[0].latest, micros(now, 300_000_000));
    assert_accounted(&site, &intake);
    assert_eq!((intake.counts().consumed, intake.counts().delivered), (16, 6));
    let expected = [
        (Code::Decode, 1),
        (Code::Empty, 1),
        (Code::Key, 1),
        (Code::Future, 1),
        (Code::Late, 1),
        (Code::Duplicate, 2),
        (Code::Conflict, 2),
    ];
    assert_eq!(BTreeMap::from_iter(site.ledgered("sales")), BTreeMap::from(expected));
    let places = site.places("sales");
    for place in [
        "EV-DUPLICATE sales.ndjson, row 2",
        "EV-CONFLICT sales.ndjson, row 5",
        "EV-DUPLICATE log/0",
        "EV-LATE log/3",
        "EV-KEY log/5",
        "EV-CONFLICT log/7",
    ] {
        assert!(places.iter().any(|found| found == place), "{place} in {places:?}");
    }
    assert_eq!(intake.poll(10, Duration::ZERO).unwrap().map(|_| ()), None);
    assert_eq!((intake.lag(), intake.trouble()), (Some(0), None));
}

#[test]
fn the_size_of_polls_decides_nothing() {
    let found = [1, 3, 1000].map(|max| {
        let site = Site::new(&definitions(), Clock::Wall);
        site.write("sales.ndjson", "");
        // The same sixty events again and again, some of them with the key of another, while time goes on: every
        // judgement there is occurs.
        let start = EventTime::parse("2026-03-01T12:00:00Z").unwrap();
        for n in 0..600i64 {
            let event = n * 7 % 60;
            let at = micros(start, event * REACH / 60);
            let sent = sale(&(event % 31).to_string(), event as f64, at);
            site.append("sales", &[sent, "[]".to_string()], micros(start, n * REACH / 200));
        }
        let mut intake = site.intake();
        let deliveries = stream(&mut intake, max);
        assert_accounted(&site, &intake);
        assert_eq!(intake.counts().consumed, 1_200);
        (ids(&deliveries), positions(&deliveries), site.ledgered("sales"))
    });
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
    let codes: Vec<Code> = found[0].2.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [Code::Decode, Code::Future, Code::Late, Code::Duplicate, Code::Conflict]);
}

#[test]
fn a_restart_reads_again_what_can_matter_and_ledgers_nothing_twice() {
    let mut site = Site::new(&definitions(), Clock::Wall);
    let now = site.clock.now();
    site.write("sales.ndjson", &format!("nonsense\n{}", sale("h", 1.0, now)));
    let old = micros(now, -REACH - 400_000_000);
    site.append("sales", &[sale("old", 1.0, old), "bad".to_string()], old);
    site.append("sales", &[sale("new", 1.0, now), "bad".to_string(), sale("new", 2.0, now)], now);
    {
        let mut intake = site.intake();
        assert_eq!(ids(&history(&mut intake)), ["h"]);
        assert_eq!(ids(&stream(&mut intake, 2)), ["old", "new"], "a first start reads everything");
        assert_accounted(&site, &intake);
        intake.save_position().unwrap();
    }
    let before = site.ledgered("sales");
    assert_eq!(before.iter().map(|(_, count)| count).sum::<u64>(), 4);
    site.stop();
    site.start();
    site.append("sales", &["bad".to_string(), sale("h", 1.0, now)], now);
    let mut intake = site.intake();
    assert_eq!(ids(&history(&mut intake)), ["h"]);
    assert_eq!(ids(&stream(&mut intake, 100)), ["new"]);
    let counts = intake.counts();
    assert_eq!((counts.consumed, counts.delivered, counts.rejected), (7, 2, 5), "three records of the log anew");
    let count = |counts: &[(Code, u64)], code| counts.iter().find(|(known, _)| *known == code).map_or(0, |(_, n)| *n);
    let after = site.ledgered("sales");
    assert_eq!(count(&after, Code::Decode), count(&before, Code::Decode) + 1);
    assert_eq!((count(&before, Code::Duplicate), count(&after, Code::Duplicate)), (0, 1));
    assert_eq!((count(&before, Code::Conflict), count(&after, Code::Conflict)), (1, 1));
}

#[test]
fn what_an_earlier_process_did_not_consume_is_never_passed_over() {
    let mut site = Site::new(&definitions(), Clock::Wall);
    site.write("sales.ndjson", "");
    let now = site.clock.now();
    let old = micros(now, -3 * REACH);
    site.append("sales", &[sale("a", 1.0, old), sale("b", 1.0, old)], old);
    let mut intake = site.intake();
    assert_eq!(ids(&intake.poll(1, Duration::from_secs(30)).unwrap().into_iter().collect::<Vec<_>>()), ["a"]);
    intake.save_position().unwrap();
    drop(intake);
    site.stop();
    site.start();
    assert_eq!(ids(&stream(&mut site.intake(), 10)), ["b"]);
}

#[test]
fn replays_judge_no_times_and_know_how_far_the_history_reaches() {
    let site = Site::new(&definitions(), Clock::event());
    let (from, to) =
        (EventTime::parse("2013-01-01T00:00:00Z").unwrap(), EventTime::parse("2013-06-01T00:00:00Z").unwrap());
    site.write("sales.ndjson", &[sale("b", 1.0, to), sale("a", 1.0, from), sale("b", 1.0, to)].join("\n"));
    site.append("sales", &[sale("c", 1.0, from), sale("d", 1.0, EventTime::MAX)], to);
    let mut intake = site.intake();
    assert_eq!(intake.history_latest().unwrap(), Some(to));
    assert_eq!(ids(&history(&mut intake)), ["b", "a"]);
    assert_eq!(ids(&stream(&mut intake, 10)), ["c", "d"]);
    assert_eq!(intake.counts().rejected, 1);
    assert_eq!(site.clock.now(), EventTime::MIN, "the clock is the caller's to advance");
}

#[test]
fn a_tie_breaker_takes_the_place_of_positions() {
    let site = Site::new(&definitions().replace("dedup_key: id", "tie_breaker: seq"), Clock::Wall);
    site.write("sales.ndjson", "");
    let now = site.clock.now();
    let record = |seq: &str| format!("{{\"card\":1,\"at\":\"{now}\",\"seq\":{seq}}}");
    site.append("sales", &["5", "null", "-5", "0"].map(record), now);
    let mut intake = site.intake();
    let deliveries = stream(&mut intake, 10);
    let order = positions(&deliveries);
    let mut by_position: Vec<usize> = (0..4).collect();
    by_position.sort_by_key(|row| order[*row]);
    assert_eq!(by_position, [1, 2, 3, 0]);
}

const PLANES: &str = "
sources:
  - name: flights
    stream: {log: {}}
    schema: {tail: string, at: timestamp}
    event_time: at
    enrich: [{dimension: planes, on: {tail: tail}, columns: [seats]}]
dimensions:
  - name: planes
    key: tail
    schema: {tail: string, seats: int64}
    table: {csv: {path: planes.csv}}
    changes: {log: {}}
entities:
  - {name: plane, keys: {tail: string}}
views:
  - name: plane_flights
    source: flights
    entity: plane
    aggregates: [{name: seats, fn: sum, of: seats, windows: [1h]}]
";

#[test]
fn the_last_word_on_a_row_of_a_dimension_counts() {
    let mut site = Site::new(PLANES, Clock::Wall);
    let now = site.clock.now();
    site.write("planes.csv", "tail,seats\nA,1\nB,2\nA,3\n");
    let records = [
        r#"{"tail":"A","seats":4,"unknown":[1]}"#,
        r#"{"tail":"B","__deleted":true}"#,
        r#"{"seats":4}"#,
        r#"{"tail":"C","__deleted":false}"#,
        "",
        r#"{"tail":"D","__deleted":1}"#,
    ];
    site.append("planes", &records.map(String::from), now);
    let mut planes = site.dimension();
    let table = planes.table().unwrap();
    let rows: Vec<(String, i64)> = table
        .iter()
        .flat_map(|batch| {
            let (tails, seats) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
            (0..batch.num_rows()).map(|row| (tails.value(row).to_string(), seats.value(row))).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(rows, [("B".to_string(), 2), ("A".to_string(), 3)]);
    assert_eq!(planes.replaced(), 1);

    let key = |tail: &str| {
        let mut key = Vec::new();
        encode_key(&[Value::String(tail.to_string())], &mut key).unwrap();
        key
    };
    let row = |tail: &str, seats: Value| Some(vec![Value::String(tail.to_string()), seats]);
    assert_eq!(planes.lag(), Some(6));
    assert_eq!(
        planes.poll(10, Duration::from_secs(30)).unwrap(),
        [
            Change { key: key("A"), row: row("A", Value::Int64(4)) },
            Change { key: key("B"), row: None },
            Change { key: key("C"), row: row("C", Value::Null) },
        ]
    );
    assert_eq!((planes.lag(), planes.poll(10, Duration::ZERO).unwrap()), (Some(0), Vec::new()));
    let counts = planes.counts();
    assert_eq!((counts.consumed, counts.delivered, counts.rejected), (6, 3, 3));
    let ledgered = site.ledgered("planes");
    assert_eq!(ledgered, [(Code::Empty, 1), (Code::Key, 1), (Code::Type, 1)]);

    // Every start reads all changes, however old; the ledger has their rejections already.
    planes.save_position().unwrap();
    drop(planes);
    site.stop();
    site.start();
    assert_eq!(site.dimension().poll(10, Duration::from_secs(30)).unwrap().len(), 3);
    assert_eq!(site.ledgered("planes"), ledgered);

    site.write("planes.csv", "tail,seats\nA,1\n,2\n");
    let error = site.dimension().table().unwrap_err().to_string();
    assert_eq!(error, "the table of dimension `planes` has 1 rows with a null or overlong key: remove them");
}

#[test]
fn pushed_records_are_checked_one_by_one_and_are_in_the_log_when_answered() {
    let site = Site::new(&definitions(), Clock::Wall);
    site.write("sales.ndjson", "");
    let now = site.clock.now();
    let door = LogIngest::new(&site.plan, site.logs(), None, site.clock.clone());
    let (good, early) = (sale("a", 1.0, now), sale("b", 1.0, micros(now, 2 * REACH)));
    let large = sale(&"x".repeat(MAX_RECORD_BYTES), 1.0, now);
    let records = [good.as_str(), "{}", &early, &large, "{\"card\":\"x\"}", &good];
    assert_eq!(door.check("sales", &records).unwrap().accepted, 2);
    assert_eq!(site.logs().get("sales").unwrap().end_offset(), 0, "a check writes nothing");
    let report = door.append("sales", &records).unwrap();
    let rejected: Vec<(usize, &str)> = report.rejected.iter().map(|r| (r.index, r.code.name())).collect();
    assert_eq!(rejected, [(1, "EV-TIME"), (2, "EV-FUTURE"), (3, "EV-SIZE"), (4, "EV-TYPE")]);
    assert_eq!((report.accepted, site.logs().get("sales").unwrap().end_offset()), (2, 2));
    let mut intake = site.intake();
    assert_eq!(ids(&stream(&mut intake, 10)), ["a"]);
    assert_eq!(site.ledgered("sales"), [(Code::Duplicate, 1)]);

    let error = door.append("sale", &[&good]).unwrap_err();
    assert!(matches!(&error, PushError::UnknownSource { .. }) && error.to_string().contains("`sales`"), "{error}");
    let closed = Site::new(&definitions().replace("    stream: {log: {}}\n", ""), Clock::Wall);
    let door = LogIngest::new(&closed.plan, closed.logs(), None, closed.clock.clone());
    assert!(matches!(door.append("sales", &[&good]), Err(PushError::NoStream(_))));
    let kafka = Site::new(&DEFINITIONS.replace("STREAM", "{kafka: {topic: t, format: json}}"), Clock::Wall);
    let door = LogIngest::new(&kafka.plan, kafka.logs(), None, kafka.clock.clone());
    assert!(matches!(door.append("sales", &[&good]), Err(PushError::NoKafka(_))));
    kafka.write("sales.ndjson", "");
    let error = kafka.try_intake().err().unwrap().to_string();
    assert_eq!(error, "input `sales` reads from kafka: add a section [kafka] with `brokers` to the settings");
}

#[derive(Debug, thiserror::Error)]
#[error("full")]
struct Full;

#[test]
fn fed_files_come_back_as_the_rows_they_hold() {
    let site = Site::new(&definitions().replace("    dedup_key: id\n", ""), Clock::event());
    let source = &site.plan.definitions.sources[0];
    let at = EventTime::parse("2026-01-31T12:00:00.000001Z").unwrap();
    let mut lines: Vec<String> = (0..2_500).map(|n| sale(&n.to_string(), 0.1 * n as f64, micros(at, n))).collect();
    lines.insert(1, "nonsense".to_string());
    lines.push(format!(
        "{{\"id\":\"\\\"é\\n\\u0000\",\"card\":{},\"amount\":1e-300,\"at\":0,\"seq\":{}}}",
        i64::MIN,
        i64::MAX
    ));
    site.write("sales.ndjson", &lines.join("\n"));
    let batches: Vec<RecordBatch> =
        EventFiles::open(source, site.dir.path()).unwrap().map(|some| some.unwrap().events.batch).collect();
    let whole = concat_batches(&batches[0].schema(), &batches).unwrap();
    let parquet = site.path("sales.parquet");
    let file = File::create(&parquet).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, whole.schema(), None).unwrap();
    writer.write(&whole).unwrap();
    writer.close().unwrap();

    for (name, format, rejected) in [("sales.ndjson", FileFormat::Ndjson, 1), ("sales.parquet", FileFormat::Parquet, 0)]
    {
        let mut sizes = Vec::new();
        let from = site.logs().get("sales").unwrap().end_offset();
        let report = feed_file(source, &site.path(name), format, |records| {
            sizes.push(records.len());
            site.append("sales", records, at);
            Ok::<(), Full>(())
        })
        .unwrap();
        assert_eq!((sizes, report.records, report.rejected), (vec![1000, 1000, 501], 2_501, rejected), "{name}");
        assert_eq!(report.first_rejected.len() as u64, rejected);
        assert_eq!(site.logs().get("sales").unwrap().end_offset() - from, 2_501);
    }
    let mut intake = site.intake();
    let deliveries = stream(&mut intake, 2_501);
    assert_eq!(deliveries.len(), 2);
    for delivery in deliveries {
        assert_eq!(delivery.events.batch, whole);
    }
    let full = feed_file(source, &site.path("sales.ndjson"), FileFormat::Ndjson, |_| Err(Full));
    assert_eq!(full.unwrap_err().to_string(), "full");
}

/// Polls until `count` events were delivered, or for half a minute.
fn take(intake: &mut Intake, count: usize) -> Vec<String> {
    let started = Instant::now();
    let mut found = Vec::new();
    while found.len() < count && started.elapsed() < Duration::from_secs(30) {
        found.extend(ids(&intake.poll(100, Duration::from_millis(200)).unwrap().into_iter().collect::<Vec<_>>()));
    }
    found
}

/// An intake whose broker answered, and of which nothing was read yet.
fn reached(site: &Site) -> Intake {
    let mut intake = site.intake();
    let started = Instant::now();
    while intake.position().is_none() && started.elapsed() < Duration::from_secs(30) {
        assert!(intake.poll(100, Duration::from_millis(50)).unwrap().is_none());
    }
    intake
}

/// The next offset of every partition of which something was read.
fn offsets(intake: &Intake) -> Vec<(i32, i64)> {
    match intake.position() {
        Some(SourcePosition::Kafka { partitions, topic_id }) => {
            assert!(topic_id.is_some(), "the broker of the test tells");
            partitions.into_iter().collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_topic_is_read_from_where_it_matters() {
    let broker = Service::kafka();
    let mut site = Site::new(&DEFINITIONS.replace("STREAM", "{kafka: {topic: sales, format: json}}"), Clock::Wall);
    site.write("sales.ndjson", "");
    site.kafka =
        Some(KafkaSettings { brokers: vec![broker.address()], group: Some("g".into()), options: BTreeMap::new() });
    let mut intake = site.intake();
    let started = Instant::now();
    let waits = Trouble::Waits(format!("the kafka broker at {}", broker.address()));
    while intake.trouble() == Some(waits.clone()) && started.elapsed() < Duration::from_secs(30) {
        assert!(intake.poll(100, Duration::from_millis(50)).unwrap().is_none());
    }
    let trouble = intake.trouble().unwrap().sentence("source", "sales");
    assert!(trouble.contains("has no topic `sales`: create it, or correct the name"), "{trouble}");
    assert_eq!((intake.caught_up(), intake.lag(), intake.position()), (false, None, None));
    drop(intake);

    create_topic(&broker.address(), "sales", 1, &KafkaOptions::default()).unwrap();
    let now = site.clock.now();
    let old = micros(now, -2 * REACH);
    let door = |clock: Arc<Clock>| LogIngest::new(&site.plan, site.logs(), site.kafka.as_ref(), clock);
    let past = Clock::event();
    past.advance(old);
    assert_eq!(door(Arc::new(past)).append("sales", &[&sale("old", 1.0, old), "{}"]).unwrap().accepted, 1);
    let now_door = door(site.clock.clone());
    now_door.append("sales", &[&sale("a", 1.0, now), &sale("late", 1.0, old), &sale("a", 1.0, now)]).unwrap();

    let mut intake = reached(&site);
    assert_eq!(intake.lag(), Some(4));
    assert_eq!(take(&mut intake, 2), ["old", "a"]);
    while intake.lag() != Some(0) {
        assert!(intake.poll(100, Duration::from_secs(30)).unwrap().is_none());
    }
    assert_eq!(offsets(&intake), [(0, 4)]);
    assert_eq!((intake.counts().consumed, intake.counts().delivered), (4, 2));
    assert_accounted(&site, &intake);
    assert_eq!(site.ledgered("sales"), [(Code::Late, 1), (Code::Duplicate, 1)]);
    assert_eq!(site.places("sales"), ["EV-LATE sales/0/2", "EV-DUPLICATE sales/0/3"]);
    intake.save_position().unwrap();
    drop((intake, now_door));

    let ledgered = site.ledgered("sales");
    // One that ends before it has read everything again, and one that does not.
    for _ in 0..2 {
        site.stop();
        site.start();
        let intake = reached(&site);
        assert_eq!(offsets(&intake), [(0, 1)]);
        intake.save_position().unwrap();
    }
    let mut intake = reached(&site);
    assert_eq!(take(&mut intake, 1), ["a"]);
    while intake.lag() != Some(0) {
        assert!(intake.poll(100, Duration::from_secs(30)).unwrap().is_none());
    }
    assert_eq!(intake.counts().consumed, 3, "the old record is not read again");
    assert_eq!(site.ledgered("sales"), ledgered);
}

/// Records of one row, or of one event that comes again, are in one partition: each start reads them in one order.
#[test]
fn what_has_one_key_is_pushed_into_one_partition() {
    let broker = Service::kafka();
    let mut site = Site::new(&DEFINITIONS.replace("STREAM", "{kafka: {topic: sales, format: json}}"), Clock::Wall);
    site.write("sales.ndjson", "");
    site.kafka = Some(KafkaSettings { brokers: vec![broker.address()], group: None, options: BTreeMap::new() });
    create_topic(&broker.address(), "sales", 4, &KafkaOptions::default()).unwrap();
    let now = site.clock.now();
    let door = LogIngest::new(&site.plan, site.logs(), site.kafka.as_ref(), site.clock.clone());
    let ids: Vec<String> = (0..20).map(|n| format!("id{n}")).collect();
    for amount in [1.0, 2.0, 3.0] {
        let records: Vec<String> = ids.iter().map(|id| sale(id, amount, now)).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        assert_eq!(door.append("sales", &records).unwrap().accepted, 20);
    }
    let mut intake = reached(&site);
    let mut places: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    let mut amounts = Vec::new();
    while intake.counts().consumed < 60 {
        if let Some(delivery) = intake.poll(100, Duration::from_secs(30)).unwrap() {
            let amount = delivery.events.batch.column(2).as_primitive::<Float64Type>().values().to_vec();
            amounts.extend(amount);
            for (id, position) in
                crate::ids(std::slice::from_ref(&delivery)).into_iter().zip(&delivery.events.positions)
            {
                places.entry(id).or_default().push(position::split_kafka(*position).0);
            }
        }
    }
    assert_eq!(amounts, [1.0; 20], "the first of each");
    assert_eq!(places.len(), 20);
    let used: std::collections::BTreeSet<i32> = places.values().flatten().copied().collect();
    assert_eq!(used.len(), 4, "keys are spread");
    assert_eq!(site.ledgered("sales"), [(Code::Conflict, 40)]);
}

/// A start reads again what was read before. One that ends before it has, in no good order, must not let the next one
/// put into the ledger what is there.
#[test]
fn a_start_that_is_cut_off_leaves_positions_where_they_were() {
    let mut site = Site::new(&definitions(), Clock::Wall);
    let now = site.clock.now();
    let lines = [sale("a", 1.0, now), sale("a", 1.0, now), sale("b", 1.0, now), sale("b", 1.0, now)];
    site.write("sales.ndjson", &lines.join("\n"));
    let records = ["a", "c", "c", "d", "a", "d"].map(|id| sale(id, 1.0, now));
    site.append("sales", &records, now);
    let whole = |site: &Site| {
        let mut intake = site.intake();
        history(&mut intake);
        let delivered = ids(&stream(&mut intake, 1));
        intake.save_position().unwrap();
        delivered
    };
    assert_eq!(whole(&site), ["c", "d"]);
    let ledgered = site.ledgered("sales");
    assert_eq!(ledgered, [(Code::Duplicate, 6)]);
    for read in 0..4 {
        site.stop();
        site.start();
        let mut intake = site.intake();
        if read > 1 {
            history(&mut intake);
        }
        for _ in 1..read {
            intake.poll(1, Duration::from_secs(30)).unwrap();
        }
        intake.save_position().unwrap();
    }
    site.stop();
    site.start();
    assert_eq!(whole(&site), ["c", "d"]);
    assert_eq!(site.ledgered("sales"), ledgered);
}

#[test]
fn intakes_move_to_the_thread_that_uses_them() {
    fn assert_send<T: Send>() {}
    assert_send::<Intake>();
    assert_send::<freshet_engine::ingest::DimensionIntake>();
    fn assert_sync<T: Sync + Send>() {}
    assert_sync::<LogIngest>();
    assert_eq!(Span::from_micros(REACH), Span::from_secs(3_600));
}
