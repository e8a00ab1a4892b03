//! Changes of a view whose events are taken back: rows of a changelog, and events enriched anew. What views over them say
//! is as if only the final rows, of the table and of the dimension, had ever been there.

mod running;

use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_operators::row::Status;
use running::{Random, Running, SECOND, START, plan, start};

const DEFINITIONS: &str = r#"
sources:
  - name: orders
    stream: {log: {}}
    schema: {id: int64, user: int64, product: string, amount: float64, ts: timestamp}
    event_time: ts
    changelog: {key: id, format: upsert}
    enrich:
      - {dimension: products, on: {product: product}, columns: [weight]}
    select:
      - {name: weighted, type: float64, sql: "amount * coalesce(weight, 1.0)"}
  - name: user_states
    changes_of: spend
    select:
      - {name: rises, type: bool, sql: "weighted_10m > 50 and coalesce(weighted_10m_before, 0) <= 50"}
      - {name: product, type: string, sql: "coalesce(product_10m, product_10m_before)"}
dimensions:
  - {name: products, key: product, schema: {product: string, weight: float64}, changes: {log: {}}}
entities:
  - {name: user, keys: {user: int64}}
  - {name: product, keys: {product: string}}
views:
  - name: spend
    source: orders
    entity: user
    aggregates:
      - {name: weighted, fn: sum, of: weighted, windows: [10m]}
      - {name: product, fn: last, of: product, windows: [10m]}
  - name: bursts
    source: user_states
    entity: user
    aggregates:
      - {name: times, fn: count, where: rises, windows: [2h]}
      - {name: highest, fn: max, of: weighted_10m, windows: [2h]}
  - name: buyers
    source: user_states
    entity: product
    aggregates:
      - {name: newest, fn: last, of: '"user"', windows: [2h]}
      - {name: changes, fn: count, windows: [30m, 2h]}
  - name: product_now
    source: user_states
    entity: product
    attributes: [user, weighted_10m]
services:
  - {name: s, features: [bursts, buyers, product_now]}
"#;

const PRODUCTS: [&str; 3] = ["a", "b", "c"];

fn order(id: u64, random: &mut Random) -> String {
    let (user, product, amount) = (random.below(3), PRODUCTS[random.below(3) as usize], random.below(4_000));
    // Whole minutes: events of one instant are many. The last order says what time it is.
    let at = if id == 59 { START + 3_600 * SECOND } else { START + random.below(60) as i64 * 60 * SECOND };
    let amount = amount as f64 / 100.0;
    format!(r#"{{"id":{id},"user":{user},"product":"{product}","amount":{amount:?},"ts":{at}}}"#)
}

fn push(running: &Running, source: &str, records: &[String]) {
    running.push(source, records, 17);
    running.settle();
}

/// Every value of every key, now and at some instants ahead; `None` where the row does not reach so far.
fn values(running: &Running) -> Vec<(String, Option<Vec<Value>>)> {
    let now = START + 3_600 * SECOND;
    assert_eq!(running.now().micros(), now);
    let users = (0..4).map(|user| ("bursts", Value::Int64(user)));
    let products = ["buyers", "product_now"]
        .into_iter()
        .flat_map(|view| PRODUCTS.map(|product| (view, Value::String(product.to_string()))));
    let mut all = Vec::new();
    for (name, key) in users.chain(products) {
        let view = running.plan.definitions.view(name).unwrap();
        for minutes in [0, 1, 9, 10, 31, 115] {
            let at = EventTime::from_micros(now + minutes * 60 * SECOND);
            let out = running.read(view, std::slice::from_ref(&key), at);
            let stale = minutes > 0 && out.iter().any(|v| v.status == Status::Stale);
            let values = out.into_iter().map(|v| v.value).collect();
            all.push((format!("{name} of {key} {minutes} min ahead"), (!stale).then_some(values)));
        }
    }
    all
}

fn product(name: &str, weight: f64) -> String {
    format!(r#"{{"product":"{name}","weight":{weight:?}}}"#)
}

#[test]
fn what_was_taken_back_has_never_been() {
    for (seed, workers) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
        let mut random = Random(seed);
        let drafts: Vec<String> = (0..60).map(|id| order(id, &mut random)).collect();
        let mut finals: Vec<Option<String>> = (0..60).map(|id| Some(order(id, &mut random))).collect();
        finals[..59].iter_mut().for_each(|row| {
            row.take_if(|_| random.below(4) == 0);
        });
        let changes: Vec<String> = finals
            .iter()
            .enumerate()
            .map(|(id, row)| row.clone().unwrap_or_else(|| format!(r#"{{"id":{id},"__deleted":true}}"#)))
            .collect();

        let directory = tempfile::tempdir().unwrap();
        let changed = start(directory.path(), &plan(DEFINITIONS, directory.path()), workers);
        push(&changed, "products", &[product("a", 3.0), product("b", 0.25)]);
        push(&changed, "orders", &drafts);
        let before = values(&changed);
        push(&changed, "products", &[product("a", 0.5), r#"{"product":"b","__deleted":true}"#.to_string()]);
        push(&changed, "orders", &changes);
        push(&changed, "products", &[product("c", 4.0)]);

        let other = tempfile::tempdir().unwrap();
        let plain = start(other.path(), &plan(DEFINITIONS, other.path()), 3 - workers);
        push(&plain, "products", &[product("a", 0.5), product("c", 4.0)]);
        push(&plain, "orders", &finals.into_iter().flatten().collect::<Vec<String>>());
        let (found, expected) = (values(&changed), values(&plain));
        let mut compared = 0;
        for (found, expected) in found.iter().zip(&expected).filter(|(a, b)| a.1.is_some() && b.1.is_some()) {
            assert_eq!(found, expected, "seed {seed}");
            compared += 1;
        }
        assert!(compared > 30, "only {compared} rows are compared");
        assert_ne!(before, found);
        let there = expected.iter().flat_map(|(_, values)| values).flatten().filter(|value| !value.is_null()).count();
        assert!(there > 60, "only {there} values are there");
        changed.stop();
        plain.stop();
    }
}
