//! The orders of the whole-system test: what is sent, what must become of it, and what features are worth by
//! definition.

mod files;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use freshet_config::definitions::Function;
use freshet_config::time::{EventTime, Span};
use freshet_config::value::Value;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::view::ViewPlan;
use serde_json::json;

pub use files::{offline_rows, write_history, write_shops};

/// Shoppers are numbered from 1; the first one's values are worked out by hand.
pub const SHOPPERS: i64 = 24;
/// The first shop is in the hand-made orders only; the last one is unknown to the dimension.
pub const SHOPS: [&str; 6] = ["north", "south", "east", "west", "harbour", "pop-up"];
/// Orders of every other shopper.
const ORDERS_EACH: u64 = 16;
/// Older orders are in the history, younger ones in the topic.
const HISTORY_ENDS: Span = Span::from_secs(2 * 3600);

/// What a shop takes of an order, as the dimension has it.
pub fn commission(shop: &str) -> Option<f64> {
    match shop {
        "north" => Some(0.05),
        "south" => Some(0.02),
        "east" | "west" | "harbour" => Some(0.03),
        _ => None,
    }
}

pub fn back(from: EventTime, seconds: i64) -> EventTime {
    EventTime::from_micros(from.micros() - seconds * 1_000_000)
}

#[derive(Clone, Debug)]
pub struct Order {
    pub id: String,
    pub shopper: i64,
    pub shop: &'static str,
    pub amount: f64,
    pub items: i32,
    pub paid: bool,
    pub at: EventTime,
}

impl Order {
    pub fn paid(id: &str, shopper: i64, shop: &'static str, amount: f64, items: i32, at: EventTime) -> Order {
        Order { id: id.to_string(), shopper, shop, amount, items, paid: true, at }
    }

    fn json(&self) -> String {
        json!({
            "order_id": self.id, "shopper_id": self.shopper, "shop": self.shop, "amount": self.amount,
            "items": self.items, "paid": self.paid, "at": self.at.to_string(),
        })
        .to_string()
    }

    fn fee(&self) -> f64 {
        self.amount * commission(self.shop).unwrap_or(0.0)
    }

    /// Takes the orders that `shopper_orders` counts for a shopper.
    pub fn of_shopper(shopper: i64) -> impl Fn(&Order) -> bool {
        move |order| order.shopper == shopper && order.paid
    }

    /// Takes the orders that `shop_load` counts for a shop.
    pub fn of_shop(shop: &str) -> impl Fn(&Order) -> bool {
        move |order| order.shop == shop && order.items > 0
    }
}

/// Everything that is sent, and the instant it is sent at.
pub struct Orders {
    /// A whole five minutes, at most five minutes ago.
    pub base: EventTime,
    /// Rows of the history, one of them older than any window reaches.
    pub history: Vec<Order>,
    /// Records of the topic.
    pub payloads: Vec<String>,
    admitted: Vec<Order>,
    codes: BTreeMap<&'static str, u64>,
}

impl Orders {
    pub fn new() -> Orders {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
        let base = EventTime::from_micros(now / 300 * 300 * 1_000_000);
        let codes = BTreeMap::new();
        let mut orders = Orders { base, history: Vec::new(), payloads: Vec::new(), admitted: Vec::new(), codes };
        orders.by_hand();
        orders.at_random();
        orders.bad();
        orders
    }

    /// An order that comes through the topic and counts.
    pub fn come(&mut self, order: Order) {
        self.payloads.push(order.json());
        self.admitted.push(order);
    }

    fn past(&mut self, order: Order) {
        self.history.push(order.clone());
        self.admitted.push(order);
    }

    /// Shopper 1: one order in the history, three in the topic, the first of them in both.
    fn by_hand(&mut self) {
        let base = self.base;
        self.past(Order::paid("h1", 1, "north", 100.0, 3, back(base, 20 * 3600)));
        let twice = Order::paid("o1", 1, "north", 10.5, 2, back(base, 1800));
        self.past(twice.clone());
        self.leave_out("EV-DUPLICATE", twice.json());
        self.come(Order::paid("o2", 1, "south", 20.25, 1, back(base, 1200)));
        self.come(Order::paid("o3", 1, "pop-up", 5.0, 3, base));
    }

    /// The other shoppers at the other shops: the same orders at every run, as seen from the base.
    fn at_random(&mut self) {
        let mut random = fastrand::Rng::with_seed(3);
        for n in 0..ORDERS_EACH * (SHOPPERS as u64 - 1) {
            let order = Order {
                id: format!("r{n}"),
                shopper: 2 + (n as i64) % (SHOPPERS - 1),
                shop: SHOPS[random.usize(1..SHOPS.len())],
                amount: f64::from(random.u32(1..20_000)) / 100.0,
                items: random.i32(1..5),
                paid: random.u8(0..5) > 0,
                at: EventTime::from_micros(self.base.micros() - random.i64(0..88_000_000_000)),
            };
            if order.at < self.base - HISTORY_ENDS { self.past(order) } else { self.come(order) }
        }
    }

    /// Records that must be left out, each for its reason.
    fn bad(&mut self) {
        let base = self.base;
        let again: Vec<String> = self.payloads.iter().rev().take(5).cloned().collect();
        for payload in again {
            self.leave_out("EV-DUPLICATE", payload);
        }
        let order = |id: &str, at: EventTime| Order::paid(id, 2, "south", 1.0, 1, at);
        self.leave_out("EV-CONFLICT", Order::paid("h1", 1, "north", 99.0, 3, back(base, 20 * 3600)).json());
        self.leave_out("EV-LATE", order("late", EventTime::from_micros(back(base, 25 * 3600).micros() - 1)).json());
        self.leave_out("EV-FUTURE", order("early", EventTime::from_micros(back(base, -300).micros() + 1)).json());
        self.leave_out("EV-DECODE", "{\"order_id\":".to_string());
        self.leave_out("EV-TYPE", order("type", base).json().replace("\"amount\":1.0", "\"amount\":\"a lot\""));
        self.leave_out("EV-RANGE", order("range", base).json().replace("\"items\":1", "\"items\":3000000000"));
        self.leave_out("EV-EMPTY", String::new());
        for id in ["nothing", "void"] {
            self.leave_out("EV-FILTERED", Order { items: 0, paid: false, ..order(id, base) }.json());
        }
        self.history.push(order("old", back(base, 3 * 86_400)));
    }

    fn leave_out(&mut self, code: &'static str, payload: String) {
        self.payloads.push(payload);
        *self.codes.entry(code).or_default() += 1;
    }

    pub fn admitted(&self) -> &[Order] {
        &self.admitted
    }

    /// Everything read but the old order of the history.
    pub fn consumed(&self) -> u64 {
        (self.history.len() - 1 + self.payloads.len()) as u64
    }

    pub fn codes(&self) -> BTreeMap<String, u64> {
        self.codes.iter().map(|(code, records)| (code.to_string(), *records)).collect()
    }

    /// What is left out, by reason.
    pub fn left_out(&self) -> BTreeMap<&'static str, u64> {
        let mut reasons = BTreeMap::new();
        for (code, records) in &self.codes {
            let reason = match *code {
                "EV-DUPLICATE" | "EV-CONFLICT" => "duplicate",
                "EV-LATE" => "late",
                "EV-FUTURE" => "future",
                "EV-FILTERED" => "filtered",
                _ => "unparsable",
            };
            *reasons.entry(reason).or_default() += records;
        }
        reasons
    }

    pub fn paying_shoppers(&self) -> Vec<i64> {
        (1..=SHOPPERS).filter(|shopper| self.admitted.iter().any(Order::of_shopper(*shopper))).collect()
    }

    /// The features of a view over the orders taken, by definition.
    pub fn values(&self, plan: &ViewPlan, taken: &impl Fn(&Order) -> bool, at: EventTime) -> Vec<Value> {
        let values = |order: &Order| match plan.name.as_str() {
            "shopper_orders" => vec![
                Value::Float64(order.amount),
                Value::Float64(order.fee()),
                Value::Int32(order.items),
                Value::String(order.shop.to_string()),
                Value::Timestamp(order.at),
            ],
            _ => vec![Value::Float64(order.amount), if order.paid { Value::Null } else { Value::Bool(true) }],
        };
        let event = |(position, order): (usize, &Order)| ReferenceEvent {
            time: order.at,
            position: position as u64,
            values: values(order),
        };
        let events: Vec<ReferenceEvent> =
            self.admitted.iter().filter(|order| taken(order)).enumerate().map(event).collect();
        assert!(events.iter().all(|event| event.values.len() == plan.columns.len()), "the example's columns changed");
        evaluate(plan, &events, at).into_iter().map(|(value, _)| value).collect()
    }

    /// The same as answers have them, by name. A key never seen has no counts.
    pub fn expected(
        &self,
        plan: &ViewPlan,
        taken: &impl Fn(&Order) -> bool,
        at: EventTime,
    ) -> Vec<(String, serde_json::Value)> {
        let seen = self.admitted.iter().any(taken);
        let values = self.values(plan, taken, at);
        let features = plan.features.iter().zip(values).map(|(feature, value)| {
            let shown = match value {
                Value::Int64(_) if feature.function == Function::Count && !seen => serde_json::Value::Null,
                Value::Int64(number) => number.to_string().into(),
                Value::Int32(number) => number.to_string().into(),
                Value::Float64(number) => number.into(),
                Value::String(text) => text.into(),
                Value::Timestamp(at) => at.to_string().into(),
                Value::Null => serde_json::Value::Null,
                other => panic!("the example has no feature such as {other:?}"),
            };
            (format!("{}.{}", plan.name, feature.name), shown)
        });
        features.collect()
    }
}
