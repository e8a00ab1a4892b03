//! A shop of every kind of view: over a changelog, by category, over exploded events, over the changes of a view; and
//! what was told of it, in the order it was told.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::running::{Random, SECOND, START};

/// `STREAM` and `HISTORY` of a source are said per test, and so are the modes of two views.
const DEFINITIONS: &str = r#"
sources:
  - name: orders
    ORDERS
    schema: {id: int64, buyer: int64, shop: string, amount: int64, ts: timestamp}
    event_time: ts
    changelog: {key: id}
  - name: baskets
    BASKETS
    schema: {id: string, buyer: int64, items: array<string>, ts: timestamp}
    event_time: ts
    dedup_key: id
    explode: {column: items, as: item}
  - name: buyer_states
    changes_of: spend
    select:
      - {name: place, type: string, sql: "coalesce(shop_5m, shop_5m_before)"}
      - {name: rises, type: bool, sql: "coalesce(amount_2m, 0) > 150 and coalesce(amount_2m_before, 0) <= 150"}
entities:
  - {name: buyer, keys: {buyer: int64}}
  - {name: shop, keys: {shop: string}}
views:
  - name: spend
    source: orders
    entity: buyer
    mode: SPEND
    aggregates:
      - {name: n, fn: count, windows: [2m]}
      - {name: amount, fn: sum, of: amount, windows: [2m]}
      - {name: shop, fn: last, of: shop, windows: [5m]}
  - name: per_shop
    source: orders
    entity: buyer
    mode: PER_SHOP
    aggregates:
      - {name: n, fn: count, by: shop, windows: [10m]}
      - {name: spent, fn: sum, of: amount, by: shop, windows: [3m]}
      - {name: largest, fn: max, of: amount, windows: [10m]}
  - name: bought
    source: baskets
    entity: buyer
    offline: true
    aggregates:
      - {name: n, fn: count, windows: [10m]}
      - {name: items, fn: last, n: 4, of: item, windows: [10m]}
      - {name: kinds, fn: count_distinct, of: item, windows: [2m, 10m]}
      - {name: per, fn: count, by: item, windows: [10m]}
  - name: often
    source: buyer_states
    entity: buyer
    aggregates:
      - {name: rises, fn: count, where: rises, windows: [10m]}
      - {name: most, fn: max, of: n_2m, windows: [10m]}
  - name: busy
    source: buyer_states
    entity: shop
    keys: {shop: place}
    mode: {interval: 10s}
    aggregates:
      - {name: changes, fn: count, windows: [5m]}
      - {name: newest, fn: last, of: buyer, windows: [5m]}
      - {name: per_buyer, fn: count, by: buyer, windows: [5m]}
services:
  - {name: s, features: [spend, per_shop, bought, often, busy]}
"#;

pub const SHOPS: [&str; 3] = ["a", "b", "c"];
pub const BUYERS: i64 = 4;
const ITEMS: [&str; 4] = ["p", "q", "r", "s"];

/// Definitions whose sources are read from files that hold part of it, and from a log.
pub fn definitions(modes: [&str; 2], history: bool, stream: bool) -> String {
    let source = |name: &str| {
        let mut lines = String::new();
        if history {
            write!(lines, "history: {{ndjson: {{path: {name}.ndjson}}}}\n    ").unwrap();
        }
        if stream {
            write!(lines, "stream: {{log: {{}}}}\n    ").unwrap();
        }
        lines
    };
    let text = DEFINITIONS.replace("ORDERS", source("orders").trim_end());
    let text = text.replace("BASKETS", source("baskets").trim_end());
    text.replace("PER_SHOP", modes[1]).replace("SPEND", modes[0])
}

/// A row of the table of orders.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub buyer: i64,
    pub shop: &'static str,
    pub amount: i64,
    pub at: i64,
}

#[derive(Clone, Debug)]
pub enum Told {
    /// What an order is from now on; `None`: it is gone.
    Order(u64, Option<Order>),
    Basket {
        id: u64,
        buyer: i64,
        items: Vec<Option<&'static str>>,
        at: i64,
    },
}

impl Told {
    pub fn source(&self) -> &'static str {
        match self {
            Told::Order(..) => "orders",
            Told::Basket { .. } => "baskets",
        }
    }

    pub fn json(&self) -> String {
        match self {
            Told::Order(id, None) => format!(r#"{{"id":{id},"__deleted":true}}"#),
            Told::Order(id, Some(Order { buyer, shop, amount, at })) => {
                format!(r#"{{"id":{id},"buyer":{buyer},"shop":"{shop}","amount":{amount},"ts":{at}}}"#)
            }
            Told::Basket { id, buyer, items, at } => {
                let item = |item: &Option<&str>| item.map_or("null".to_string(), |item| format!("\"{item}\""));
                let items: Vec<String> = items.iter().map(item).collect();
                format!(r#"{{"id":"b{id}","buyer":{buyer},"items":[{}],"ts":{at}}}"#, items.join(","))
            }
        }
    }
}

/// On whole seconds, some late, many of one instant; orders change and go, baskets come twice.
pub fn told(seed: u64, count: usize) -> Vec<Told> {
    let mut random = Random(seed);
    let mut there = std::collections::BTreeSet::new();
    (0..count as i64)
        .map(|i| {
            let late = if random.below(6) == 0 { random.below(120) as i64 } else { 0 };
            let at = START + (i / 3 * 9 - late) * SECOND;
            let buyer = random.below(BUYERS as u64) as i64;
            if random.below(3) == 0 {
                let items = (0..random.below(4)).map(|_| (random.below(9) > 0).then(|| random.pick(&ITEMS))).collect();
                // Some come twice, with other contents: the first one stands.
                return Told::Basket { id: (i as u64).saturating_sub(random.below(10) / 9), buyer, items, at };
            }
            let id = random.below(count as u64 / 4);
            if there.contains(&id) && random.below(3) == 0 {
                there.remove(&id);
                return Told::Order(id, None);
            }
            there.insert(id);
            Told::Order(id, Some(Order { buyer, shop: random.pick(&SHOPS), amount: random.below(100) as i64, at }))
        })
        .collect()
}

/// The orders that are there at the end, each with the place of what was told of it last.
pub fn orders(told: &[Told]) -> Vec<(usize, Order)> {
    let mut rows = BTreeMap::new();
    for (place, told) in told.iter().enumerate() {
        match told {
            Told::Order(id, Some(order)) => drop(rows.insert(id, (place, *order))),
            Told::Order(id, None) => drop(rows.remove(id)),
            Told::Basket { .. } => {}
        }
    }
    rows.into_values().collect()
}
