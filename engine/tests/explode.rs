//! Events with a list: each element counts as an event of its own, live, from history and in datasets.

mod running;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::array::{LargeListBuilder, StringBuilder};
use freshet_config::arrays::feature_array;
use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_connectors::ledger::Ledger;
use freshet_engine::dataset::Dataset;
use freshet_engine::plan::Plan;
use freshet_operators::lookup::ServedValue;
use parquet::arrow::ArrowWriter;
use running::{Random, Running, SECOND, START};

const DEFINITIONS: &str = r#"
sources:
  - name: orders
    stream: {log: {}}
    HISTORY
    schema: {items: array<string>, id: string, user: int64, ts: timestamp}
    event_time: ts
    dedup_key: id
    explode: {column: items, as: item}
    enrich:
      - {dimension: products, on: {product: item}, columns: [price]}
    select:
      - {name: label, sql: "upper(item)"}
dimensions:
  - name: products
    key: product
    schema: {product: string, price: int64}
    table: {csv: {path: products.csv}}
entities:
  - {name: user, keys: {user: int64}}
views:
  - name: bought
    source: orders
    entity: user
    aggregates:
      - {name: n, fn: count, windows: [1h]}
      - {name: label, fn: last, of: label, windows: [1h]}
      - {name: labels, fn: last, n: 4, of: label, windows: [1h]}
      - {name: spent, fn: sum, of: price, windows: [1h]}
      - {name: per, fn: count, by: item, windows: [1h]}
services:
  - {name: s, features: [bought]}
"#;

const ITEMS: [&str; 4] = ["b", "a", "d", "c"];

struct Order {
    id: String,
    user: i64,
    items: Option<Vec<Option<&'static str>>>,
    at: i64,
}

fn orders() -> Vec<Order> {
    let mut random = Random(3);
    let mut below = move |n| random.below(n);
    (0..400)
        .map(|i| Order {
            // Some come twice.
            id: format!("o{}", i - i64::from(below(10) == 0)),
            user: below(3) as i64,
            items: (below(8) > 0).then(|| {
                let items = (0..below(5)).map(|_| (below(9) > 0).then(|| ITEMS[below(4) as usize]));
                items.collect()
            }),
            // Several of one instant.
            at: START + i / 4 * 60 * SECOND,
        })
        .collect()
}

fn line(order: &Order) -> String {
    let item = |item: &Option<&str>| item.map_or("null".to_string(), |item| format!("\"{item}\""));
    let items = match &order.items {
        Some(items) => format!("[{}]", items.iter().map(item).collect::<Vec<_>>().join(", ")),
        None => "null".to_string(),
    };
    format!(r#"{{"id":"{}","user":{},"items":{items},"ts":{}}}"#, order.id, order.user, order.at)
}

/// Count, last label, last labels, spent, count per item.
fn expected(orders: &[Order], user: i64, at: i64) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    let first = orders.iter().filter(|order| seen.insert(order.id.clone()));
    let mine = first.filter(|order| order.user == user && order.at > at - 3600 * SECOND && order.at <= at);
    let items: Vec<Option<&str>> = mine.flat_map(|order| order.items.iter().flatten().copied()).collect();
    let known: Vec<&str> = items.iter().copied().flatten().collect();
    let label = |item: &&str| Value::String(item.to_uppercase());
    let newest = known.len().saturating_sub(4);
    // `d` has no price.
    let spent: Vec<i64> =
        known.iter().filter_map(|item| ["b", "a", "c"].iter().position(|p| p == item)).map(|p| p as i64 + 1).collect();
    let mut per: Vec<(Value, Value)> = Vec::new();
    for item in ["a", "b", "c", "d"] {
        let count = known.iter().filter(|known| **known == item).count() as i64;
        per.extend((count > 0).then(|| (Value::String(item.to_string()), Value::Int64(count))));
    }
    vec![
        Value::Int64(items.len() as i64),
        known.last().map_or(Value::Null, label),
        Value::List(known[newest..].iter().map(label).collect()),
        if spent.is_empty() { Value::Null } else { Value::Int64(spent.iter().sum()) },
        Value::Map(per),
    ]
}

fn plan(directory: &Path, history: &str) -> Arc<Plan> {
    std::fs::write(directory.join("products.csv"), "product,price\nb,1\na,2\nc,3\n").unwrap();
    let text = DEFINITIONS.replace("HISTORY", history);
    running::plan(&text, directory)
}

fn start(directory: &Path, plan: &Arc<Plan>, workers: usize) -> Running {
    let running = running::start(directory, plan, workers);
    running.settle();
    running
}

/// The features of the service.
fn values(running: &Running, user: i64, at: EventTime) -> Vec<Value> {
    let service = &running.plan.services[0];
    let views: Vec<_> = service.views.iter().map(|of| running.values(of.view, &[Value::Int64(user)], at)).collect();
    let value = |value: &ServedValue| match value {
        ServedValue::View(of) => views[of.view][of.feature].clone(),
        ServedValue::Derived(_) => panic!("nothing is derived"),
    };
    service.features.iter().map(|feature| value(&feature.value)).collect()
}

fn check(running: &Running, orders: &[Order]) {
    let now = running.now();
    for user in 0..4 {
        assert_eq!(values(running, user, now), expected(orders, user, now.micros()), "user {user}");
    }
}

#[test]
fn every_element_counts_live_and_after_a_restart() {
    let orders = orders();
    for workers in [1, 2] {
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(directory.path(), "");
        let running = start(directory.path(), &plan, workers);
        let lines: Vec<String> = orders.iter().map(line).collect();
        running.push("orders", &lines, 37);
        running.settle();
        check(&running, &orders);
        let figures = running.engine.figures();
        let source = &figures.sources[0];
        assert_eq!(source.consumed, source.admitted + source.duplicate + source.filtered);
        assert!(source.duplicate > 10 && source.filtered > 30, "{source:?}");
        let filtered = running.ledgered("EV-FILTERED");
        assert_eq!(filtered, source.filtered);
        running.stop();
        let again = start(directory.path(), &plan, 3 - workers);
        check(&again, &orders);
        assert_eq!(again.ledgered("EV-FILTERED"), filtered, "what was left out is not counted twice");
        again.stop();
    }
}

fn parquet(orders: &[Order], path: &Path) {
    let mut lists = LargeListBuilder::new(StringBuilder::new());
    for order in orders {
        order.items.iter().flatten().for_each(|item| lists.values().append_option(*item));
        lists.append(order.items.is_some());
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("user", Arc::new(orders.iter().map(|o| o.user).collect::<Int64Array>())),
        ("items", Arc::new(lists.finish())),
        ("id", Arc::new(orders.iter().map(|o| Some(o.id.as_str())).collect::<StringArray>())),
        ("ts", Arc::new(orders.iter().map(|o| Some(o.at / 1000)).collect::<TimestampMillisecondArray>())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn histories_and_datasets_count_the_same() {
    let orders = orders();
    for format in ["ndjson", "parquet"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(format!("orders.{format}"));
        match format {
            "parquet" => parquet(&orders, &path),
            _ => std::fs::write(&path, orders.iter().map(|o| line(o) + "\n").collect::<String>()).unwrap(),
        }
        let plan = plan(directory.path(), &format!("history: {{{format}: {{path: orders.{format}}}}}"));
        let running = start(directory.path(), &plan, 2);
        check(&running, &orders);
        running.stop();
        let asked: Vec<(i64, i64)> = (0..40).map(|i| (i % 4, orders[i as usize * 9].at + (i % 2) * SECOND)).collect();
        let rows: String = asked.iter().map(|(user, at)| format!("{user},{}\n", EventTime::from_micros(*at))).collect();
        let spine = directory.path().join("spine.csv");
        std::fs::write(&spine, format!("user,at\n{rows}")).unwrap();
        let dataset = Dataset::build(&plan, "s", &spine, None).unwrap();
        assert_eq!(dataset.report.refused_events(), 0);
        for (row, (user, at)) in asked.iter().enumerate() {
            for (feature, wanted) in plan.services[0].features.iter().zip(&expected(&orders, *user, *at)) {
                let array = dataset.batches[0].column_by_name(&feature.name.replace('.', "__")).unwrap();
                let same = feature_array(&feature.data_type, [wanted]).unwrap();
                assert_eq!(&array.slice(row, 1), &same, "{} in row {row} from {format}", feature.name);
            }
        }
    }
}

#[test]
fn what_is_no_list_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(directory.path(), "");
    let running = start(directory.path(), &plan, 1);
    let order = |items: &str| format!(r#"{{"id":"a","user":1,"items":{items},"ts":{START}}}"#);
    let long = format!("[{}]", vec!["\"a\""; 4097].join(","));
    let lines = [order("\"a\""), order("[1]"), order("[[\"a\"]]"), order("{}"), order(&long), order("[]")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let refused = running.engine.push("orders", &lines).unwrap().rejected;
    let codes: Vec<&str> = refused.iter().map(|r| r.code.name()).collect();
    assert_eq!(codes, ["EV-TYPE", "EV-TYPE", "EV-TYPE", "EV-TYPE", "EV-SIZE"]);
    running.stop();
}

/// A record of which every element repeats `bytes` of text.
fn repeated(id: usize, bytes: usize, elements: usize) -> String {
    let items = vec!["\"a\""; elements].join(",");
    format!(r#"{{"id":"{id}-{}","user":1,"items":[{items}],"ts":{}}}"#, "x".repeat(bytes), START + id as i64 * SECOND)
}

#[test]
fn a_record_that_would_become_too_much_is_refused_and_the_others_count() {
    // 3 kB times 4096 is 12 MB, of which several make a part; 20 kB times 4096 is more than a record may become.
    let records: Vec<String> = (0..9)
        .map(|id| match id {
            4 => repeated(id, 20_000, 4096),
            7 => repeated(id, 900_000, 4096),
            _ => repeated(id, 3_000, 4096),
        })
        .collect();
    let wanted = Value::Int64(7 * 4096);
    let now = EventTime::from_micros(START + 60 * SECOND);
    let directory = tempfile::tempdir().unwrap();
    let live = plan(directory.path(), "");
    let running = start(directory.path(), &live, 2);
    let lines: Vec<&str> = records.iter().map(String::as_str).collect();
    for part in lines.chunks(4) {
        assert_eq!(running.engine.push("orders", part).unwrap().rejected, []);
    }
    assert!(running.engine.settle());
    assert_eq!(values(&running, 1, now)[0], wanted);
    let figures = running.engine.figures();
    assert_eq!(figures.failed, None);
    let source = &figures.sources[0];
    assert_eq!((source.consumed, source.admitted, source.unparsable), (7 * 4096 + 2, 7 * 4096, 2), "{source:?}");
    running.stop();
    let refused = Ledger::open(&directory.path().join("ledger")).unwrap();
    let sizes: u64 = refused.summary().iter().filter(|c| c.code.name() == "EV-SIZE").map(|c| c.count).sum();
    assert_eq!(sizes, 2);
    // A second process reads them again: they count once, and are in the ledger once.
    let again = start(directory.path(), &live, 1);
    assert_eq!(values(&again, 1, now)[0], wanted);
    again.stop();
    let refused = Ledger::open(&directory.path().join("ledger")).unwrap();
    let sizes: u64 = refused.summary().iter().filter(|c| c.code.name() == "EV-SIZE").map(|c| c.count).sum();
    assert_eq!(sizes, 2);

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("orders.ndjson"), records.join("\n")).unwrap();
    let history = plan(directory.path(), "history: {ndjson: {path: orders.ndjson}}");
    let running = start(directory.path(), &history, 1);
    assert_eq!(values(&running, 1, now)[0], wanted);
    running.stop();
    let spine = directory.path().join("spine.csv");
    std::fs::write(&spine, format!("user,at\n1,{now}\n")).unwrap();
    let dataset = Dataset::build(&history, "s", &spine, None).unwrap();
    let counts = dataset.batches[0].column_by_name("bought__n_1h").unwrap();
    assert_eq!(counts, &feature_array(&history.services[0].features[0].data_type, [&wanted]).unwrap());
    let refused = &dataset.report.refused[0];
    assert_eq!((refused.code, refused.count), ("EV-SIZE", 2));
    assert_eq!(
        refused.first,
        "orders.ndjson, row 4: one event per element of `items` makes 82063360 bytes of this record, more than \
         67108864: shorten its texts or the list [EV-SIZE]"
    );
}
