//! What every feature must be: the naive evaluation of the events of each view, level by level.
//!
//! The changes of a view are found by looking at each second: all events and windows here begin and end on one.

use std::collections::BTreeMap;

use freshet_config::definitions::View;
use freshet_config::time::EventTime;
use freshet_config::value::{Value, encode_key};
use freshet_engine::plan::Plan;
use freshet_operators::batch::hash_key;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::view::{ViewPlan, column_sources};

use crate::running::{SECOND, START};
use crate::world::{BUYERS, SHOPS, Told, orders};

/// An event as a view reads it: columns by name.
#[derive(Clone, Debug)]
struct Event {
    time: i64,
    position: u64,
    columns: BTreeMap<&'static str, Value>,
}

pub struct Oracle<'p> {
    plan: &'p Plan,
    orders: Vec<Event>,
    baskets: Vec<Event>,
    states: Vec<Event>,
    /// The seconds at which changes are looked for.
    seconds: i64,
}

impl<'p> Oracle<'p> {
    pub fn new(plan: &'p Plan, told: &[Told]) -> Oracle<'p> {
        let of_order = |(place, order): (usize, crate::world::Order)| Event {
            time: order.at,
            position: place as u64,
            columns: BTreeMap::from([
                ("buyer", Value::Int64(order.buyer)),
                ("shop", Value::String(order.shop.to_string())),
                ("amount", Value::Int64(order.amount)),
            ]),
        };
        let orders = orders(told).into_iter().map(of_order).collect();
        let mut seen = std::collections::BTreeSet::new();
        let mut baskets = Vec::new();
        for (place, told) in told.iter().enumerate() {
            let Told::Basket { id, buyer, items, at } = told else { continue };
            if seen.insert(id) {
                baskets.extend(items.iter().enumerate().map(|(element, item)| Event {
                    time: *at,
                    position: (place << 12 | element) as u64,
                    columns: BTreeMap::from([
                        ("buyer", Value::Int64(*buyer)),
                        ("item", item.map_or(Value::Null, |item| Value::String(item.to_string()))),
                    ]),
                }));
            }
        }
        let seconds = told.len() as i64 * 3 + 600;
        let mut oracle = Oracle { plan, orders, baskets, states: Vec::new(), seconds };
        oracle.states = (0..BUYERS).flat_map(|buyer| oracle.changes(buyer)).collect();
        oracle
    }

    /// Every key of the views, with a name that no event has among them.
    pub fn keys() -> Vec<(&'static str, Value)> {
        let buyers = (0..=BUYERS).map(|buyer| ("buyer", Value::Int64(buyer)));
        let shops = SHOPS.into_iter().chain(["z"]).map(|shop| ("shop", Value::String(shop.to_string())));
        buyers.chain(shops).collect()
    }

    /// The features of one of the plan's views.
    pub fn values(&self, view: usize, key: &Value, at: EventTime) -> Vec<Value> {
        let (plan, definition) = (&self.plan.views[view], &self.plan.definitions.views[view]);
        let events = self.events(definition, key);
        let Some(categories) = &plan.categories else { return evaluated(plan, definition, &events, at) };
        let column = definition.group.as_ref().unwrap().name.clone();
        let mut parts: BTreeMap<String, (Value, Vec<Event>)> = BTreeMap::new();
        for event in events {
            let category = event.columns[column.as_str()].clone();
            if !category.is_null() {
                // The numbers here have one digit, so that they are ordered like their texts.
                parts.entry(category.to_string()).or_insert((category, Vec::new())).1.push(event);
            }
        }
        let mut maps = vec![Vec::new(); categories.features.len()];
        for (category, events) in parts.into_values() {
            let values = evaluated(&categories.member, definition, &events, at);
            for (feature, map) in categories.features.iter().zip(&mut maps) {
                if values[categories.rows_of(feature.windows[0])] != Value::Int64(0) {
                    map.push((category.clone(), values[feature.member.unwrap()].clone()));
                }
            }
        }
        maps.into_iter().map(Value::Map).collect()
    }

    fn events(&self, view: &View, key: &Value) -> Vec<Event> {
        let all = match self.plan.definitions.sources[view.source].name.as_str() {
            "orders" => &self.orders,
            "baskets" => &self.baskets,
            _ => &self.states,
        };
        all.iter().filter(|event| &event.columns[view.key_columns[0].as_str()] == key).cloned().collect()
    }

    /// Where the features of `spend` change for a buyer, and what they are before and after.
    fn changes(&self, buyer: i64) -> Vec<Event> {
        let view = self.plan.definitions.view("spend").unwrap();
        let (plan, definition) = (&self.plan.views[view], &self.plan.definitions.views[view]);
        let key = Value::Int64(buyer);
        let events = self.events(definition, &key);
        let mut bytes = Vec::new();
        encode_key([&key], &mut bytes).unwrap();
        let empty = evaluated(plan, definition, &[], EventTime::from_micros(START));
        let state = |at: i64| {
            let seen = (0..plan.windows.len()).any(|w| {
                let inside = plan.lower(w, at)..plan.upper(plan.windows[w].offset, at);
                events.iter().any(|event| inside.contains(&event.time))
            });
            seen.then(|| evaluated(plan, definition, &events, EventTime::from_micros(at)))
        };
        let mut changes = Vec::new();
        let mut before = None;
        for second in -200..self.seconds {
            let at = START + second * SECOND;
            let after = state(at);
            if after != before {
                let of = |state: &Option<Vec<Value>>| state.clone().unwrap_or_else(|| empty.clone());
                changes.push(change(&key, at, hash_key(&bytes), of(&before), of(&after)));
            }
            before = after;
        }
        changes
    }
}

/// What the source over the changes of `spend` makes of one.
fn change(key: &Value, time: i64, position: u64, before: Vec<Value>, after: Vec<Value>) -> Event {
    let above = |values: &[Value]| matches!(values[1], Value::Int64(amount) if amount > 150);
    let place = if after[2].is_null() { &before[2] } else { &after[2] };
    let columns = BTreeMap::from([
        ("buyer", key.clone()),
        ("n_2m", after[0].clone()),
        ("place", place.clone()),
        ("rises", Value::Bool(above(&after) && !above(&before))),
    ]);
    Event { time, position, columns }
}

/// The naive evaluation of events whose columns have the names that the view's aggregates are written with.
fn evaluated(plan: &ViewPlan, view: &View, events: &[Event], at: EventTime) -> Vec<Value> {
    let sources = column_sources(view);
    let event = |event: &Event| {
        let values = sources.iter().map(|source| {
            let column = |sql: &freshet_config::definitions::Sql| event.columns[sql.text.as_str()].clone();
            let holds = source.filter.as_ref().is_none_or(|filter| column(filter) == Value::Bool(true));
            match &source.of {
                _ if !holds => Value::Null,
                Some(of) => column(of),
                None => Value::Bool(true),
            }
        });
        ReferenceEvent { time: EventTime::from_micros(event.time), position: event.position, values: values.collect() }
    };
    let events: Vec<ReferenceEvent> = events.iter().map(event).collect();
    evaluate(plan, &events, at).into_iter().map(|(value, _)| value).collect()
}
