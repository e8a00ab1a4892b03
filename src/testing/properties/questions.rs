//! Keys and instants asked of one view, and what is wrong with the answers.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use fastrand::Rng;
use freshet_config::arrays::feature_array;
use freshet_config::definitions::{Column, Mode, Window, arrow_schema};
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};
use freshet_engine::dataset::Dataset;
use freshet_engine::plan::Plan;

use super::super::compare::found;
use super::super::questions::{is_refusal, no_table};
use super::oracle::{Key, Oracle, expected, same};
use crate::exit::Failure;

/// The column of instants.
const INSTANT: &str = "__at";

/// Questions to one view.
pub struct Questions<'o> {
    pub view: usize,
    pub asked: Vec<(&'o Key, EventTime)>,
}

/// Per question, the features in the order of the view.
pub type Answers = Vec<Vec<Value>>;

impl<'o> Questions<'o> {
    /// At events of the view's keys, and around the instants at which they enter and leave windows. None without events.
    pub fn draw(plan: &Plan, view: usize, oracle: &'o Oracle, cases: usize, rng: &mut Rng) -> Questions<'o> {
        let (compiled, keys) = (&plan.views[view], oracle.keys(view));
        let mut asked = Vec::new();
        while !keys.is_empty() && asked.len() < cases {
            let key = &keys[rng.usize(..keys.len())];
            let event = &key.events[rng.usize(..key.events.len())];
            let window = compiled.windows[rng.usize(..compiled.windows.len())];
            let edge = edge(compiled.mode, window, event.time.micros(), rng);
            let at = EventTime::from_micros(edge.saturating_add(rng.i64(-1..=1)));
            // Unbounded windows are left at no instant there is.
            asked.push((key, if at.in_range() { at } else { event.time }));
        }
        Questions { view, asked }
    }

    pub fn answers(&self, plan: &Plan) -> Result<Answers, Failure> {
        let service = &plan.services[self.view];
        let rows = self.rows(&service.join_keys).map_err(no_table)?;
        let dataset = Dataset::build_on(plan, &service.name, rows, INSTANT).map_err(|error| {
            let view = &plan.definitions.views[self.view].served_as;
            Failure::data(format!("generated events of view `{view}`: {error}"))
        })?;
        if let Some(refused) = dataset.report.refused.iter().find(|refused| is_refusal(refused)) {
            return Err(Failure::internal(format!("a generated event is none: {}", refused.first)));
        }
        let row = |row| service.features.iter().map(|f| found(&dataset, &f.name, &f.data_type, row)).collect();
        Ok((0..self.asked.len()).map(row).collect())
    }

    fn rows(&self, join_keys: &[Column]) -> Result<RecordBatch, ArrowError> {
        let mut columns = join_keys.to_vec();
        let mut arrays = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let values = self.asked.iter().map(|(key, _)| key.values.get(index).unwrap_or(&Value::Null));
            arrays.push(feature_array(&column.data_type.into(), values)?);
        }
        let instants: Vec<Value> = self.asked.iter().map(|(_, at)| Value::Timestamp(*at)).collect();
        arrays.push(feature_array(&DataType::Timestamp.into(), instants.iter())?);
        columns.push(Column { name: INSTANT.to_string(), data_type: DataType::Timestamp });
        RecordBatch::try_new(arrow_schema(&columns), arrays)
    }

    /// Values that are not the reference's.
    pub fn against_reference(&self, plan: &Plan, answers: &Answers) -> Vec<String> {
        let compiled = &plan.views[self.view];
        let mut lines = Vec::new();
        for ((key, at), found) in self.asked.iter().zip(answers) {
            let expected = expected(compiled, key, *at);
            for (feature, (expected, found)) in compiled.features.iter().zip(expected.iter().zip(found)) {
                if !expected.is(found) {
                    let rest = format!("not {}, by definition", expected.value);
                    lines.push(self.line(plan, &feature.name, (key, *at), found, &rest));
                }
            }
        }
        lines
    }

    /// Values that are others than before.
    pub fn differences(&self, plan: &Plan, before: &Answers, after: &Answers, when: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let features = &plan.views[self.view].features;
        for ((question, before), after) in self.asked.iter().zip(before).zip(after) {
            for (feature, (before, after)) in features.iter().zip(before.iter().zip(after)) {
                if !same(before, after) {
                    let rest = format!("and {after} {when}");
                    lines.push(self.line(plan, &feature.name, *question, before, &rest));
                }
            }
        }
        lines
    }

    fn line(&self, plan: &Plan, feature: &str, (key, at): (&Key, EventTime), found: &Value, rest: &str) -> String {
        let view = &plan.definitions.views[self.view];
        let key: Vec<String> = key.values.iter().map(ToString::to_string).collect();
        format!("{}: {}.{feature} of {} at {at} is {found}, {rest}", view.place, view.served_as, key.join(", "))
    }
}

/// The instant of an event at `time`, or one near which it enters or leaves a window; in microseconds.
fn edge(mode: Mode, window: Window, time: i64, rng: &mut Rng) -> i64 {
    let entered = time.saturating_sub(window.offset.micros());
    let left = entered.saturating_add(window.size.micros());
    let edge = [time, entered, left][rng.usize(..3)];
    let (step, delay) = match mode {
        Mode::Continuous => return edge,
        Mode::Interval(step) | Mode::Sawtooth(step) => (step.micros(), 0),
        Mode::Batch { schedule, delay } => (schedule.micros(), delay.micros()),
    };
    // Where a step ends, windows move; in between they must not.
    match rng.usize(..3) {
        0 => edge,
        _ => edge.div_euclid(step).saturating_add(1).saturating_mul(step).saturating_add(delay),
    }
}
