//! `freshet run` killed with SIGKILL while events come in, and started again with other numbers of workers: every value
//! is what counting by hand says, and what `freshet dataset` says of the same events read as one history.
//!
//! The client does as one should: what was not answered 200 is sent again.

mod process;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use freshet_config::time::EventTime;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use process::{PATIENCE, Running, freshet, text};
use serde_json::{Value, json};

/// Windows that nothing leaves while the test runs. `SOURCE` says where events of a source are read from.
const DEFINITIONS: &str = r#"
sources:
  - name: orders
    SOURCE
    schema: {id: int64, buyer: int64, shop: string, amount: int64, ts: timestamp}
    event_time: ts
    changelog: {key: id}
  - name: baskets
    SOURCE
    schema: {id: int64, buyer: int64, items: array<string>, ts: timestamp}
    event_time: ts
    dedup_key: id
    explode: {column: items, as: item}
  - name: buyer_states
    changes_of: spend
entities:
  - {name: buyer, keys: {buyer: int64}}
views:
  - name: spend
    source: orders
    entity: buyer
    aggregates:
      - {name: n, fn: count, windows: [2h]}
      - {name: amount, fn: sum, of: amount, windows: [2h]}
      - {name: shop, fn: last, of: shop, windows: [2h]}
      - {name: per_shop, fn: sum, of: amount, by: shop, windows: [2h]}
  - name: bought
    source: baskets
    entity: buyer
    aggregates:
      - {name: n, fn: count, windows: [2h]}
      - {name: items, fn: last, n: 5, of: item, windows: [2h]}
      - {name: per, fn: count, by: item, windows: [2h]}
  - name: states
    source: buyer_states
    entity: buyer
    aggregates:
      - {name: changes, fn: count, windows: [3h]}
      - {name: most, fn: max, of: n_2h, windows: [3h]}
      - {name: largest, fn: max, of: amount_2h, windows: [3h]}
      - {name: at_shop, fn: count, by: shop_2h, windows: [3h]}
services:
  - {name: s, features: [spend, bought, states]}
"#;

const BUYERS: i64 = 6;
const SHOPS: [&str; 3] = ["a", "b", "c"];
const ITEMS: [&str; 4] = ["p", "q", "r", "s"];
const COUNT: i64 = 3000;
/// Records of one request.
const CHUNK: usize = 40;

#[derive(Clone)]
enum Told {
    /// `None`: the order is gone.
    Order(i64, Option<Order>),
    Basket {
        id: i64,
        buyer: i64,
        items: Vec<&'static str>,
        at: i64,
    },
}

#[derive(Clone)]
struct Order {
    buyer: i64,
    shop: &'static str,
    amount: i64,
    at: i64,
}

impl Told {
    fn source(&self) -> &'static str {
        if let Told::Order(..) = self { "orders" } else { "baskets" }
    }

    fn json(&self) -> Value {
        match self {
            Told::Order(id, None) => json!({"id": id, "__deleted": true}),
            Told::Order(id, Some(Order { buyer, shop, amount, at })) => {
                json!({"id": id, "buyer": buyer, "shop": shop, "amount": amount, "ts": at})
            }
            Told::Basket { id, buyer, items, at } => json!({"id": id, "buyer": buyer, "items": items, "ts": at}),
        }
    }
}

/// The same for every run but for when it happens: in the last half hour before `now`.
fn told(now: i64) -> Vec<Told> {
    let mut seed = 17u64;
    let mut below = move |n: i64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as i64 % n
    };
    (0..COUNT)
        .map(|i| {
            // Five of one instant.
            let at = now - (1800 - i / 5 * 2) * 1_000_000;
            let buyer = below(BUYERS);
            match below(8) {
                0 | 1 => {
                    let items = (0..below(4)).map(|_| ITEMS[below(4) as usize]).collect();
                    Told::Basket { id: i - below(8) / 7, buyer, items, at }
                }
                2 => Told::Order(below(300), None),
                _ => {
                    let (shop, amount) = (SHOPS[below(3) as usize], below(100));
                    Told::Order(below(300), Some(Order { buyer, shop, amount, at }))
                }
            }
        })
        .collect()
}

/// The features of a buyer, by counting.
fn counted(told: &[Told], buyer: i64) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    let mut baskets = BTreeMap::new();
    for (place, told) in told.iter().enumerate() {
        match told {
            Told::Order(id, Some(order)) => drop(rows.insert(id, (order.at, place, order))),
            Told::Order(id, None) => drop(rows.remove(id)),
            Told::Basket { id, buyer, items, .. } => drop(baskets.entry(id).or_insert((place, *buyer, items))),
        }
    }
    let mut orders: Vec<(i64, usize, &Order)> = rows.into_values().filter(|(.., order)| order.buyer == buyer).collect();
    orders.sort_by_key(|(at, place, _)| (*at, *place));
    // Every instant with an order changes the number of them.
    let (mut changes, mut sum) = (0, 0);
    let (mut per_shop, mut at_shop) = (BTreeMap::new(), BTreeMap::new());
    for (i, (at, _, order)) in orders.iter().enumerate() {
        sum += order.amount;
        *per_shop.entry(order.shop).or_insert(0) += order.amount;
        if orders.get(i + 1).is_none_or(|(next, ..)| next != at) {
            changes += 1;
            *at_shop.entry(order.shop).or_insert(0) += 1;
        }
    }
    let mut elements: Vec<&str> = Vec::new();
    let mut of_buyer: Vec<_> = baskets.into_values().filter(|(_, of, _)| *of == buyer).collect();
    of_buyer.sort_by_key(|(place, ..)| *place);
    of_buyer.iter().for_each(|(.., items)| elements.extend(items.iter()));
    let mut per = BTreeMap::new();
    elements.iter().for_each(|item| *per.entry(*item).or_insert(0) += 1);
    let newest = &elements[elements.len().saturating_sub(5)..];
    BTreeMap::from([
        ("spend.n_2h".to_string(), json!(orders.len())),
        ("spend.amount_2h".to_string(), if orders.is_empty() { Value::Null } else { json!(sum) }),
        ("spend.shop_2h".to_string(), json!(orders.last().map(|(.., order)| order.shop))),
        ("spend.per_shop_2h".to_string(), json!(per_shop)),
        ("bought.n_2h".to_string(), json!(elements.len())),
        ("bought.items_2h".to_string(), json!(newest)),
        ("bought.per_2h".to_string(), json!(per)),
        ("states.changes_3h".to_string(), json!(changes)),
        ("states.most_3h".to_string(), if orders.is_empty() { Value::Null } else { json!(orders.len()) }),
        // Amounts are not negative, so the last sum is the largest.
        ("states.largest_3h".to_string(), if orders.is_empty() { Value::Null } else { json!(sum) }),
        ("states.at_shop_3h".to_string(), json!(at_shop)),
    ])
}

fn write_definitions(directory: &Path, source: impl Fn(&str) -> String) -> String {
    std::fs::create_dir_all(directory).expect("a temporary directory is written");
    let mut definitions = DEFINITIONS.to_string();
    for name in ["orders", "baskets"] {
        definitions = definitions.replacen("SOURCE", &source(name), 1);
    }
    std::fs::write(directory.join("features.yaml"), definitions).expect("a temporary file is written");
    directory.display().to_string()
}

fn write_history(directory: &Path, told: &[Told]) {
    for source in ["orders", "baskets"] {
        let of_source = told.iter().filter(|told| told.source() == source);
        let lines: String = of_source.map(|told| format!("{}\n", told.json())).collect();
        std::fs::write(directory.join(format!("{source}.ndjson")), lines).expect("a temporary file is written");
    }
}

/// Sends what was told from `acknowledged` on, and counts what was answered 200; ends when nobody answers.
fn feed(url: &str, told: &[Told], acknowledged: &AtomicUsize) {
    loop {
        let from = acknowledged.load(Ordering::Acquire);
        let part = &told[from..told.len().min(from + CHUNK)];
        if part.is_empty() {
            return;
        }
        let of = |source: &str| -> Vec<Value> {
            part.iter().filter(|told| told.source() == source).map(|told| json!({"record": told.json()})).collect()
        };
        let body = json!({"records": {"orders": of("orders"), "baskets": of("baskets")}}).to_string();
        let sent = ureq::post(format!("{url}/ingest")).header("content-type", "application/json").send(&body);
        match sent {
            Ok(answer) => assert_eq!(answer.status().as_u16(), 200),
            Err(ureq::Error::StatusCode(status)) => panic!("ingest is answered {status}"),
            Err(_) => return,
        }
        acknowledged.fetch_add(part.len(), Ordering::AcqRel);
    }
}

/// The served features of a buyer; integers, which are texts on the wire, as numbers.
fn served(url: &str, buyer: i64) -> BTreeMap<String, Value> {
    let output = freshet(&["get", "s", &format!("buyer={buyer}"), "--url", url, "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names = answer["metadata"]["features"].as_array().expect("a list");
    let values = answer["result"]["features"].as_array().expect("a list");
    let pairs = names.iter().zip(values);
    pairs.map(|(name, value)| (name["name"].as_str().expect("text").to_string(), plain(value))).collect()
}

fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => text.parse::<i64>().map_or_else(|_| value.clone(), |number| json!(number)),
        Value::Array(values) => values.iter().map(plain).collect(),
        Value::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}

/// Asks until every buyer's features are those counted.
fn becomes(url: &str, told: &[Told]) {
    let begun = Instant::now();
    for buyer in 0..=BUYERS {
        let expected = counted(told, buyer);
        loop {
            let mut found = served(url, buyer);
            if buyer == BUYERS {
                // Counts of a key never seen are null on the wire.
                let nothing = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
                found.retain(|_, value| !value.is_null() && !nothing(value) && value != &json!({}));
                assert_eq!(found, BTreeMap::new());
                break;
            }
            if found == expected {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "buyer {buyer}: {found:?} instead of {expected:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn every_value_survives_processes_that_are_killed() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let now = i64::try_from(since.as_secs()).expect("before 294000") * 1_000_000;
    let told = told(now);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("definitions");
    let definitions = write_definitions(&path, |name| {
        format!("stream: {{log: {{}}}}\n    history: {{ndjson: {{path: {name}.ndjson}}}}")
    });
    const HISTORY: usize = 600;
    write_history(&path, &told[..HISTORY]);
    let data_dir = dir.path().join("data").display().to_string();
    let start = |workers: &str| {
        Running::serve(&[&definitions, "--data-dir", &data_dir, "--listen", "127.0.0.1:0", "--workers", workers], &[])
    };
    let acknowledged = AtomicUsize::new(HISTORY);
    // Each is killed while it takes events in, or at the latest while it works on them.
    for (workers, killed_after, most) in [("1", 1200, 1800), ("3", 2100, 2700)] {
        let (running, url) = start(workers);
        std::thread::scope(|scope| {
            scope.spawn(|| feed(&url, &told[..most], &acknowledged));
            while acknowledged.load(Ordering::Acquire) < killed_after {
                std::thread::sleep(Duration::from_millis(1));
            }
            running.signal("KILL");
        });
        assert_eq!(running.end().code(), None, "a signal ended it");
    }
    let (running, url) = start("2");
    feed(&url, &told, &acknowledged);
    assert_eq!(acknowledged.load(Ordering::Acquire), told.len());
    becomes(&url, &told);
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
    let (running, url) = start("4");
    becomes(&url, &told);
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));

    let path = dir.path().join("history");
    let definitions = write_definitions(&path, |name| format!("history: {{ndjson: {{path: {name}.ndjson}}}}"));
    write_history(&path, &told);
    let (spine, out) = (path.join("spine.csv"), path.join("out.parquet"));
    let rows: String = (0..BUYERS).map(|buyer| format!("{buyer},{}\n", EventTime::from_micros(now))).collect();
    std::fs::write(&spine, format!("buyer,at\n{rows}")).expect("a temporary file is written");
    let (spine, out) = (spine.display().to_string(), out.display().to_string());
    let made = freshet(&["dataset", &definitions, "--service", "s", "--spine", &spine, "--out", &out]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    for (buyer, row) in trained(&out).into_iter().enumerate() {
        for (name, expected) in counted(&told, buyer as i64) {
            let found = row.get(&name.replace('.', "__")).cloned().unwrap_or(Value::Null);
            assert_eq!(found, expected, "{name} of buyer {buyer} in the dataset");
        }
    }
}

/// The rows of a dataset as JSON objects, nulls left out.
fn trained(path: &str) -> Vec<serde_json::Map<String, Value>> {
    let file = File::open(path).expect("the dataset was written");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
    let mut writer = arrow_json::ArrayWriter::new(Vec::new());
    for batch in reader.expect("a parquet file") {
        writer.write(&batch.expect("a batch")).expect("columns that JSON has");
    }
    writer.finish().expect("JSON");
    serde_json::from_slice(&writer.into_inner()).expect("JSON")
}
