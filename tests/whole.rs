//! The whole shape, once and for real: `examples/whole` through the real binary, with a Kafka broker, a CQL server,
//! Parquet history and Parquet output.
//!
//! The base is the last whole five minutes before the test: all events lie before it, and answers are asked for instants
//! well after it. What is expected follows from the events alone, by hand for some keys and by the naive evaluation for
//! all.

mod process;
mod services;
mod whole_orders;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use freshet_config::time::{EventTime, Span};
use freshet_connectors::kafka::{KafkaOptions, KafkaSink, create_topic};
use freshet_engine::plan::Plan;
use freshet_operators::view::ViewPlan;
use process::{PATIENCE, Running, Variables, drain, freshet, text};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use services::Service;
use whole_orders::{Order, Orders, back, offline_rows, write_history, write_shops};

/// The example's views, compiled.
struct Views {
    shopper_orders: Arc<ViewPlan>,
    shop_load: Arc<ViewPlan>,
}

/// A directory laid out as the example asks for, and the servers' addresses.
struct Site {
    dir: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Site {
    fn new(kafka: &Service, cassandra: &Service, orders: &Orders) -> Site {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/whole");
        for file in ["orders.yaml", "freshet.toml"] {
            fs::copy(example.join(file), dir.path().join(file)).expect("the example is copied");
        }
        fs::create_dir_all(dir.path().join("data/orders")).expect("a temporary directory");
        write_history(&dir.path().join("data/orders/day.parquet"), &orders.history);
        write_shops(&dir.path().join("data/shops.parquet"));
        let variables = vec![
            ("FRESHET_KAFKA", kafka.address()),
            ("FRESHET_CQL", cassandra.address()),
            ("FRESHET_DATA", dir.path().join("state").display().to_string()),
            ("FRESHET_LISTEN", "127.0.0.1:0".to_string()),
        ];
        Site { dir, variables }
    }

    fn run(&self) -> (Running, String) {
        self.begin(Running::serve)
    }

    /// Begins a process in one of the ways there are.
    fn begin<T>(&self, way: impl Fn(&[&str], &Variables<'_>) -> T) -> T {
        let dir = self.dir.path().display().to_string();
        let config = self.dir.path().join("freshet.toml").display().to_string();
        let variables: Vec<(&str, &str)> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        way(&[&dir, "--config", &config], &variables)
    }

    fn views(&self) -> Views {
        let definitions = freshet_config::load(self.dir.path()).unwrap_or_else(|errors| panic!("{errors}"));
        let plan = Plan::compile(definitions, self.dir.path()).unwrap_or_else(|errors| panic!("{errors}"));
        let view =
            |name: &str| plan.views.iter().find(|view| view.name == name).expect("a view of the example").clone();
        Views { shopper_orders: view("shopper_orders"), shop_load: view("shop_load") }
    }

    fn state(&self, name: &str) -> String {
        self.dir.path().join("state").join(name).display().to_string()
    }
}

/// The features of one shopper and one shop at an instant, by name: values as the server wrote them, and statuses.
fn look_up(url: &str, shopper: i64, shop: &str, at: EventTime) -> BTreeMap<String, (String, String)> {
    let body = json!({"params": {
        "workspaceName": "prod",
        "featureServiceName": "checkout_v1",
        "joinKeyMap": {"shopper_id": shopper.to_string(), "shop": shop},
        "metadataOptions": {"includeNames": true, "includeServingStatus": true},
        "requestOptions": {"asOf": at.to_string()},
    }});
    let url = format!("{url}/api/v1/feature-service/get-features");
    let mut answer =
        ureq::post(&url).header("content-type", "application/json").send(body.to_string()).expect("an answer");
    let body = answer.body_mut().read_to_string().expect("text");
    let answer: BTreeMap<&str, &RawValue> = serde_json::from_str(&body).expect("JSON");
    let result: BTreeMap<&str, Vec<&RawValue>> = serde_json::from_str(answer["result"].get()).expect("a result");
    let metadata: Value = serde_json::from_str(answer["metadata"].get()).expect("metadata");
    let string = |value: &Value| value.as_str().expect("text").to_string();
    let about = metadata["features"].as_array().expect("a list").iter();
    let features = result["features"].iter().zip(about);
    features
        .map(|(value, about)| (string(&about["name"]), (value.get().to_string(), string(&about["status"]))))
        .collect()
}

/// Samples of one family, by labels.
fn metric(url: &str, family: &str) -> BTreeMap<String, u64> {
    let page =
        ureq::get(&format!("{url}/metrics")).call().expect("an answer").body_mut().read_to_string().expect("text");
    let sample = |line: &str| {
        let (labels, value) = line.strip_prefix(family)?.rsplit_once(' ')?;
        Some((labels.to_string(), value.parse::<f64>().ok()? as u64))
    };
    page.lines().filter_map(sample).collect()
}

fn consumed_becomes(url: &str, records: u64) {
    let begun = Instant::now();
    let label = "{source=\"orders\"}";
    while metric(url, "freshet_events_consumed_total").get(label) != Some(&records) {
        assert!(begun.elapsed() < PATIENCE, "{:?} of {records}", metric(url, "freshet_events_consumed_total"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every record read is admitted or in the ledger, each for its reason; once what was read is in an epoch.
fn every_record_has_a_place(url: &str, orders: &Orders) {
    consumed_becomes(url, orders.consumed());
    let label = "{source=\"orders\"}";
    let expected: BTreeMap<String, u64> = orders
        .left_out()
        .into_iter()
        .map(|(reason, records)| (format!("{{source=\"orders\",reason=\"{reason}\"}}"), records))
        .collect();
    let begun = Instant::now();
    while metric(url, "freshet_ledger_records_total") != expected && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(metric(url, "freshet_ledger_records_total"), expected);
    let admitted = metric(url, "freshet_events_admitted_total")[label];
    assert_eq!(admitted, orders.admitted().len() as u64);
    assert_eq!(admitted + expected.values().sum::<u64>(), orders.consumed());
    assert_eq!(metric(url, "freshet_events_passed_over_total")[label], 1);
    assert_eq!(metric(url, "freshet_engine_failed")[""], 0);
}

/// What shopper 1 and the shop `north` are worth half an hour after the base, worked out on paper (see
/// [`Orders::by_hand`]).
fn values_worked_out_by_hand(url: &str, base: EventTime) {
    let edge = base + Span::from_secs(1800);
    let before = EventTime::from_micros(edge.micros() - 1);
    let ten_minutes = base + Span::from_secs(600);
    let shown = |at: EventTime| look_up(url, 1, "north", at);
    for (at, name, value, status) in [
        // The order of half an hour before the base counts until an hour has passed, and not at that instant.
        (before, "shopper_orders.orders_1h", json!("3"), "PRESENT"),
        (edge, "shopper_orders.orders_1h", json!("2"), "PRESENT"),
        (before, "shopper_orders.amount_sum_1h", json!(35.75), "PRESENT"),
        (edge, "shopper_orders.amount_sum_1h", json!(25.25), "PRESENT"),
        (before, "shopper_orders.items_sum_1h", json!("6"), "PRESENT"),
        (edge, "shopper_orders.items_sum_1h", json!("4"), "PRESENT"),
        // The last order, at the base, is gone ten minutes later.
        (EventTime::from_micros(ten_minutes.micros() - 1), "shopper_orders.orders_10m", json!("1"), "PRESENT"),
        (ten_minutes, "shopper_orders.orders_10m", json!("0"), "MISSING_DATA"),
        (edge, "shopper_orders.orders_10m", json!("0"), "MISSING_DATA"),
        (edge, "shopper_orders.amount_sum_10m", json!(null), "MISSING_DATA"),
        // One of the history, three of the topic.
        (edge, "shopper_orders.orders_1d", json!("4"), "PRESENT"),
        (edge, "shopper_orders.amount_sum_1d", json!(135.75), "PRESENT"),
        (edge, "shopper_orders.amount_mean_1d", json!(33.9375), "PRESENT"),
        (edge, "shopper_orders.amount_max_1d", json!(100.0), "PRESENT"),
        // 100 and 10.5 at 5 %, 20.25 at 2 %, 5 at a shop without an entry.
        (edge, "shopper_orders.fee_sum_1d", json!(5.93), "PRESENT"),
        (edge, "shopper_orders.items_sum_1d", json!("9"), "PRESENT"),
        (edge, "shopper_orders.last_shop_1d", json!("pop-up"), "PRESENT"),
        (edge, "shopper_orders.last_at_1d", json!(base.to_string()), "PRESENT"),
        // Whole five minutes: an order of half past counts at half past five minutes later, and the last time just
        // before an hour and five minutes have passed.
        (edge, "shop_load.orders_1h", json!("1"), "PRESENT"),
        (EventTime::from_micros(edge.micros() + 299_999_999), "shop_load.amount_sum_1h", json!(10.5), "PRESENT"),
        (edge + Span::from_secs(300), "shop_load.amount_sum_1h", json!(null), "MISSING_DATA"),
        (edge, "shop_load.orders_6h", json!("1"), "PRESENT"),
        (edge, "shop_load.unpaid_1h", json!("0"), "PRESENT"),
    ] {
        assert_eq!(shown(at)[name], (value.to_string(), status.to_string()), "{name} at {at}, base {base}");
    }
    let nobody = look_up(url, 999, "nowhere", edge);
    assert!(nobody.values().all(|(value, status)| value == "null" && status == "MISSING_DATA"), "{nobody:?}");
}

/// Every key's features at several instants become those of the naive evaluation over the admitted orders: what was read
/// is readable soon after.
fn values_of_the_reference(url: &str, views: &Views, orders: &Orders) {
    let begun = Instant::now();
    while let Err(difference) = compare(url, views, orders) {
        assert!(begun.elapsed() < PATIENCE, "{difference}, base {}", orders.base);
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn compare(url: &str, views: &Views, orders: &Orders) -> Result<(), String> {
    for minutes in [20, 37, 61, 240, 1_441] {
        let at = orders.base + Span::from_micros(minutes * 60_000_000 + 123_457);
        for shopper in 1..=whole_orders::SHOPPERS {
            let shop = whole_orders::SHOPS[shopper as usize % whole_orders::SHOPS.len()];
            let shown = look_up(url, shopper, shop, at);
            let mut expected = orders.expected(&views.shopper_orders, &Order::of_shopper(shopper), at);
            expected.extend(orders.expected(&views.shop_load, &Order::of_shop(shop), at));
            assert_eq!(shown.len(), expected.len());
            for (name, value) in expected {
                let (found, value) = (&shown[&name].0, value.to_string());
                if *found != value {
                    return Err(format!("{name} of {shopper} and {shop} at {at} is {found}, not {value}"));
                }
            }
        }
    }
    Ok(())
}

/// What `freshet get` shows of a feature.
fn get(url: &str, feature: &str) -> Vec<String> {
    let output = freshet(&["get", "checkout_v1", "shopper_id=1", "shop=north", "--url", url]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    let row = table.lines().find(|line| line.starts_with(feature)).expect("the feature is in the table");
    row.split_whitespace().map(str::to_string).collect()
}

/// What `freshet ledger` counts, by code.
fn ledger(data_dir: &str) -> BTreeMap<String, u64> {
    let output = freshet(&["ledger", "orders", "--data-dir", data_dir, "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let counts = answer["counts"].as_array().expect("a list").iter();
    counts.map(|c| (c["code"].as_str().expect("text").to_string(), c["count"].as_u64().expect("a number"))).collect()
}

/// The newest offline row of every key is exact at the instant it is valid from.
fn rows_kept_offline(site: &Site, views: &Views, orders: &Orders) {
    let rows = offline_rows(&Path::new(&site.state("offline")).join("shopper_orders"), &views.shopper_orders);
    let shoppers: Vec<i64> = rows.keys().copied().collect();
    assert_eq!(shoppers, orders.paying_shoppers());
    for (shopper, (valid_from, values)) in rows {
        let expected = orders.values(&views.shopper_orders, &Order::of_shopper(shopper), valid_from);
        assert_eq!(values, expected, "shopper {shopper} at {valid_from}");
    }
}

#[test]
fn from_kafka_and_parquet_to_a_cql_store_parquet_and_rest() {
    let (mut kafka, cassandra) = std::thread::scope(|scope| {
        let kafka = scope.spawn(Service::kafka);
        let cassandra = scope.spawn(Service::cassandra);
        (kafka.join().expect("kafka starts"), cassandra.join().expect("cassandra starts"))
    });
    let options = KafkaOptions { timeout: Duration::from_secs(60), ..KafkaOptions::default() };
    create_topic(&kafka.address(), "orders", 3, &options).expect("the topic is created");
    let sink = KafkaSink::connect(&kafka.address(), &options).expect("the broker answers");
    let mut orders = Orders::new();
    let site = Site::new(&kafka, &cassandra, &orders);
    let views = site.views();

    // Half of the topic is there before the start, half comes while it runs.
    let (first, second) = orders.payloads.split_at(orders.payloads.len() / 2);
    sink.send_all("orders", first, Some(orders.base)).expect("the records are sent");
    let (running, url) = site.run();
    sink.send_all("orders", second, Some(orders.base)).expect("the records are sent");
    every_record_has_a_place(&url, &orders);
    values_of_the_reference(&url, &views, &orders);
    values_worked_out_by_hand(&url, orders.base);
    assert_eq!(get(&url, "shopper_orders.orders_1d")[1..3], ["4", "PRESENT"]);
    let codes = ledger(&site.state("engine"));
    assert_eq!(codes, orders.codes());
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
    rows_kept_offline(&site, &views, &orders);

    // What comes while nobody reads is read by the next process, on top of what was there.
    orders.come(Order::paid("meanwhile", 1, "north", 64.25, 1, back(orders.base, 60)));
    sink.send_all("orders", &orders.payloads[orders.payloads.len() - 1..], Some(orders.base)).expect("it is sent");
    let (running, url) = site.run();
    every_record_has_a_place(&url, &orders);
    values_of_the_reference(&url, &views, &orders);
    assert_eq!(get(&url, "shopper_orders.orders_1d")[1..3], ["5", "PRESENT"]);
    assert_eq!(get(&url, "shopper_orders.amount_sum_1d")[1..3], ["200.0", "PRESENT"]);
    // What the first process put into the ledger is not put there again; filtered events are counted behind the place
    // that knows them.
    let of_readers = |mut codes: BTreeMap<String, u64>| {
        codes.remove("EV-FILTERED");
        codes
    };
    assert_eq!(of_readers(ledger(&site.state("engine"))), of_readers(codes));
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
    rows_kept_offline(&site, &views, &orders);

    // Without its broker a process waits, and gives what the store has of the one before.
    kafka.kill();
    let (running, url, log) = site.begin(Running::listen);
    drain(log);
    assert_eq!(metric(&url, "freshet_ready")[""], 0);
    assert_eq!(get(&url, "shopper_orders.orders_1d")[1..3], ["5", "PRESENT"]);
    kafka.start();
    let begun = Instant::now();
    while metric(&url, "freshet_ready")[""] == 0 {
        assert!(begun.elapsed() < PATIENCE, "the broker is back, and the process not ready");
        std::thread::sleep(Duration::from_millis(50));
    }
    values_of_the_reference(&url, &views, &orders);
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}
