//! Random events of a source: few keys, values that filters look for, times on and around the edges of its windows.

use fastrand::Rng;
use freshet_config::definitions::{Definitions, Sql};
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};

use super::super::events::json;

/// 2026-01-01T00:00:00Z in microseconds.
const START_US: i64 = 1_767_225_600_000_000;
/// Distinct values of a column that may be a key.
const VALUES: i64 = 6;
/// One value in this many is null.
const NULL_ONE_IN: usize = 12;

pub struct Events {
    names: Vec<String>,
    pub types: Vec<DataType>,
    pub time: usize,
    /// Per event, per column of the source.
    pub rows: Vec<Vec<Value>>,
}

impl Events {
    pub fn generate(definitions: &Definitions, source: usize, count: usize, rng: &mut Rng) -> Events {
        let declared = &definitions.sources[source];
        let (texts, steps) = (literals(definitions, source), steps(definitions, source));
        let mut rows = Vec::with_capacity(count);
        for event in 0..count {
            let value = |(index, column): (usize, &freshet_config::definitions::Column)| {
                if index == declared.event_time {
                    return Value::Timestamp(instant(&steps, rng));
                }
                if Some(index) == declared.dedup_key {
                    return unique(column.data_type, event);
                }
                match rng.usize(..NULL_ONE_IN) {
                    0 => Value::Null,
                    _ => value(column.data_type, &texts, &steps, rng),
                }
            };
            rows.push(declared.schema.iter().enumerate().map(value).collect());
        }
        Events {
            names: declared.schema.iter().map(|column| column.name.clone()).collect(),
            types: declared.schema.iter().map(|column| column.data_type).collect(),
            time: declared.event_time,
            rows,
        }
    }

    pub fn in_order(&self) -> Vec<usize> {
        (0..self.rows.len()).collect()
    }

    /// Another order of arrival. Events of one instant keep theirs, which is part of what they mean.
    pub fn shuffled(&self, rng: &mut Rng) -> Vec<usize> {
        let salt = rng.u64(..);
        let mut order = self.in_order();
        order.sort_by_key(|row| match &self.rows[*row][self.time] {
            Value::Timestamp(at) => Rng::with_seed(salt ^ at.micros() as u64).u64(..),
            _ => 0,
        });
        order
    }

    /// Every event, and all of them again.
    pub fn twice(&self) -> Vec<usize> {
        [self.in_order(), self.in_order()].concat()
    }

    /// Events as lines of JSON.
    pub fn lines(&self, order: &[usize]) -> String {
        let mut text = String::new();
        for row in order {
            let cells = self.names.iter().zip(&self.rows[*row]).map(|(name, value)| (name.clone(), json(value)));
            text.push_str(&serde_json::Value::Object(cells.collect()).to_string());
            text.push('\n');
        }
        text
    }
}

/// Spans on whose multiples events stand: the windows of the source's views and the steps of their modes.
fn steps(definitions: &Definitions, source: usize) -> Vec<i64> {
    let views = definitions.views.iter().filter(|view| view.source == source);
    let windows = views.flat_map(|view| &view.aggregates).flat_map(|aggregate| &aggregate.windows);
    // Lifetime windows have no edge to stand on.
    let mut steps: Vec<i64> =
        windows.map(|window| window.size.micros()).filter(|size| *size <= 40 * 86_400_000_000).collect();
    steps.push(1_000_000);
    steps.sort_unstable();
    steps.dedup();
    steps
}

fn instant(steps: &[i64], rng: &mut Rng) -> EventTime {
    let step = steps[rng.usize(..steps.len())];
    let near = [-1, 0, 0, 0, 1, 500_000][rng.usize(..6)];
    EventTime::from_micros(START_US + step * rng.i64(0..3) / 2 + near)
}

/// The quoted texts of a source's expressions: what its filters look for.
fn literals(definitions: &Definitions, source: usize) -> Vec<String> {
    let declared = &definitions.sources[source];
    let views = definitions.views.iter().filter(|view| view.source == source);
    let of_view = |view: &freshet_config::definitions::View| -> Vec<Sql> {
        let aggregates = view.aggregates.iter().flat_map(|a| a.filter.iter().chain(&a.of)).cloned();
        view.filter.iter().cloned().chain(aggregates).collect()
    };
    let all = declared.select.iter().map(|column| column.sql.clone()).chain(views.flat_map(of_view));
    let mut texts: Vec<String> = Vec::new();
    for sql in all {
        texts.extend(sql.text.split('\'').skip(1).step_by(2).map(str::to_string));
    }
    texts.extend(["a", "b", ""].map(str::to_string));
    texts.sort_unstable();
    texts.dedup();
    texts
}

fn value(data_type: DataType, texts: &[String], steps: &[i64], rng: &mut Rng) -> Value {
    match data_type {
        DataType::Int32 => Value::Int32(rng.i32(-1..VALUES as i32)),
        DataType::Int64 => Value::Int64(rng.i64(-1..VALUES)),
        DataType::Float32 => Value::Float32([0.1, -2.5, 1e30, 3.0][rng.usize(..4)]),
        DataType::Float64 => match rng.usize(..8) {
            0 => Value::Float64(-0.0),
            1 => Value::Float64(1e300),
            2 => Value::Float64(1e-9),
            _ => Value::Float64(rng.i64(-500..20_000) as f64 / 100.0),
        },
        DataType::String => Value::String(texts[rng.usize(..texts.len())].clone()),
        DataType::Bool => Value::Bool(rng.bool()),
        DataType::Timestamp => Value::Timestamp(instant(steps, rng)),
    }
}

/// A value that no other event has.
fn unique(data_type: DataType, event: usize) -> Value {
    match data_type {
        DataType::Int32 => Value::Int32(event as i32),
        DataType::Int64 => Value::Int64(event as i64),
        DataType::String => Value::String(format!("event {event}")),
        DataType::Timestamp => Value::Timestamp(EventTime::from_micros(START_US + event as i64)),
        // Floats and booleans tell no events apart.
        DataType::Float32 | DataType::Float64 | DataType::Bool => Value::Null,
    }
}
