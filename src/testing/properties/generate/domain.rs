//! What generated values are drawn from: few keys, what filters look for, times on and around the edges of windows.

use fastrand::Rng;
use freshet_config::definitions::{Definitions, Mode, Sql, View};
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};

use super::root;

/// 2026-01-01T00:00:00Z in microseconds.
const START_US: i64 = 1_767_225_600_000_000;
/// Distinct values of a column that may be a key.
const VALUES: i64 = 6;
/// One value in this many is null.
const NULL_ONE_IN: usize = 12;
/// One number in this many is next to one that an expression names.
const NAMED_ONE_IN: usize = 4;
/// Longer windows have edges too far off to stand on.
const LONGEST_STEP_US: i64 = 40 * 86_400_000_000;

/// The values of the events of some sources.
pub struct Domain {
    /// Instants that times lie around: a beginning, and those from which views count events or have values.
    anchors: Vec<i64>,
    /// Spans on whose multiples times lie: the views' windows and offsets, and the steps of their modes.
    steps: Vec<i64>,
    /// Texts in quotes of their expressions.
    texts: Vec<String>,
    /// Numbers of their expressions.
    numbers: Vec<f64>,
}

impl Domain {
    /// For `sources`, and whatever is made of their events.
    pub fn of_sources(definitions: &Definitions, sources: &[usize]) -> Domain {
        let of = |source: &usize| sources.contains(&root(definitions, *source));
        let all: Vec<usize> = (0..definitions.sources.len()).filter(of).collect();
        let views: Vec<&View> = definitions.views.iter().filter(|view| all.contains(&view.source)).collect();
        let select = all.iter().flat_map(|source| &definitions.sources[*source].select).map(|column| &column.sql);
        let expressions: Vec<&Sql> = select.chain(views.iter().flat_map(|view| expressions(view))).collect();
        let starts = views.iter().flat_map(|view| [view.lifetime_start, view.feature_start]).flatten();
        Domain {
            anchors: distinct(starts.map(EventTime::micros).collect()),
            steps: distinct(views.iter().flat_map(|view| steps(view)).chain([1_000_000]).collect()),
            texts: texts(&expressions),
            numbers: expressions.iter().flat_map(|sql| numbers(&sql.text)).collect(),
        }
    }

    pub fn instant(&self, rng: &mut Rng) -> EventTime {
        // Most around one instant: events far from each other are in no window together.
        let anchor = match rng.usize(..4 * self.anchors.len().max(1)) {
            index if index < self.anchors.len() => self.anchors[index],
            _ => START_US,
        };
        let step = self.steps[rng.usize(..self.steps.len())];
        let near = [-1, 0, 0, 0, 1, 500_000][rng.usize(..6)];
        let at = EventTime::from_micros(anchor.saturating_add(step * rng.i64(0..3) / 2 + near));
        if at.in_range() { at } else { EventTime::from_micros(START_US) }
    }

    pub fn value_or_null(&self, data_type: DataType, rng: &mut Rng) -> Value {
        if rng.usize(..NULL_ONE_IN) == 0 { Value::Null } else { self.value(data_type, rng) }
    }

    pub fn value(&self, data_type: DataType, rng: &mut Rng) -> Value {
        let named = (data_type.is_number() && !self.numbers.is_empty() && rng.usize(..NAMED_ONE_IN) == 0)
            .then(|| self.numbers[rng.usize(..self.numbers.len())] + rng.i64(-1..=1) as f64);
        match data_type {
            // A cast stops at the ends of the type.
            DataType::Int32 => Value::Int32(named.map_or_else(|| rng.i32(-1..VALUES as i32), |number| number as i32)),
            DataType::Int64 => Value::Int64(named.map_or_else(|| rng.i64(-1..VALUES), |number| number as i64)),
            DataType::Float32 => {
                let named = named.map(|number| number as f32).filter(|number| number.is_finite());
                Value::Float32(named.unwrap_or_else(|| [0.1, -2.5, 1e30, 3.0][rng.usize(..4)]))
            }
            DataType::Float64 => Value::Float64(named.unwrap_or_else(|| match rng.usize(..8) {
                0 => -0.0,
                1 => 1e300,
                2 => 1e-9,
                _ => rng.i64(-500..20_000) as f64 / 100.0,
            })),
            DataType::String => Value::String(self.texts[rng.usize(..self.texts.len())].clone()),
            DataType::Bool => Value::Bool(rng.bool()),
            DataType::Timestamp => Value::Timestamp(self.instant(rng)),
        }
    }

    /// A list that is taken apart; some are null, empty, or hold nulls.
    pub fn list(&self, element: DataType, rng: &mut Rng) -> Value {
        if rng.usize(..NULL_ONE_IN) == 0 {
            return Value::Null;
        }
        Value::List((0..rng.usize(..4)).map(|_| self.value_or_null(element, rng)).collect())
    }
}

/// The value of a type that belongs to `number`; null for types that hold too few of them.
pub fn numbered(data_type: DataType, number: usize) -> Value {
    match data_type {
        DataType::Int32 => Value::Int32(number as i32),
        DataType::Int64 => Value::Int64(number as i64),
        DataType::String => Value::String(format!("no {number}")),
        DataType::Timestamp => Value::Timestamp(EventTime::from_micros(START_US + number as i64)),
        DataType::Float32 | DataType::Float64 | DataType::Bool => Value::Null,
    }
}

fn expressions(view: &View) -> impl Iterator<Item = &Sql> {
    let aggregates = view.aggregates.iter().flat_map(|a| a.filter.iter().chain(&a.of).chain(&a.order));
    view.filter.iter().chain(aggregates)
}

fn steps(view: &View) -> Vec<i64> {
    let windows = view.aggregates.iter().flat_map(|aggregate| &aggregate.windows);
    let mut steps: Vec<i64> = windows.flat_map(|window| [window.size.micros(), -window.offset.micros()]).collect();
    steps.extend(view.serving_ttl.map(|ttl| ttl.micros()));
    match view.mode {
        Mode::Continuous => {}
        Mode::Interval(step) | Mode::Sawtooth(step) => steps.push(step.micros()),
        Mode::Batch { schedule, delay } => steps.extend([schedule.micros(), delay.micros()]),
    }
    steps.retain(|step| *step > 0 && *step <= LONGEST_STEP_US);
    steps
}

/// What filters compare texts with, and a few others.
fn texts(expressions: &[&Sql]) -> Vec<String> {
    let quoted = expressions.iter().flat_map(|sql| sql.text.split('\'').skip(1).step_by(2));
    distinct(quoted.chain(["a", "b", ""]).map(str::to_string).collect())
}

/// Numbers outside of quotes and names.
fn numbers(text: &str) -> Vec<f64> {
    let outside = text.split('\'').step_by(2);
    let words = outside.flat_map(|text| text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).filter_map(|word| word.parse().ok()).collect()
}

fn distinct<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_names_and_texts() {
        assert_eq!(numbers("n_1h > 5 and x2 <= 0.25 or s = '7 of 9' and t > 1e3"), [5.0, 0.25, 1e3]);
    }
}
