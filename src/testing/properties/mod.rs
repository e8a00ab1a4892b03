//! What holds for every view whatever its definitions say: values do not depend on the order of arrival, nor on events
//! that come again, and they are those of the naive reference, on the edges of windows above all.
//!
//! Random events are put through the code that makes datasets; the questions stand at events and around the instants
//! at which they enter and leave windows.

mod generate;
mod oracle;

use std::fs;

use arrow::array::RecordBatch;
use fastrand::Rng;
use freshet_config::arrays::feature_array;
use freshet_config::definitions::{Column, Definitions, Function, Service, ServiceFeature, Source, arrow_schema};
use freshet_config::diagnostic::Place;
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, FeatureType, Value};
use freshet_engine::dataset::Dataset;
use freshet_engine::plan::Plan;

use super::compare::found;
use super::{Bench, events_file};
use crate::exit::Failure;
use generate::Events;
use oracle::Oracle;

/// The column of instants of the questions.
const INSTANT: &str = "__at";
/// Events of one source, at most: each question costs the reference a look at all of its key's.
const MOST_EVENTS: usize = 2_000;

/// What was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    pub views: usize,
    /// Questions over all views.
    pub cases: usize,
    /// One line per value that breaks a property.
    pub lines: Vec<String>,
}

/// The definitions with one service per view: all of its features.
fn view_services(definitions: &Definitions) -> Definitions {
    let mut definitions = definitions.clone();
    let service = |(index, view): (usize, &freshet_config::definitions::View)| Service {
        name: view.name.clone(),
        features: (0..view.features.len()).map(|feature| ServiceFeature::View { view: index, feature }).collect(),
        request: Vec::new(),
        derived: Vec::new(),
        description: None,
        place: Place::default(),
    };
    definitions.services = definitions.views.iter().enumerate().map(service).collect();
    definitions
}

/// Checks `cases` questions per view of `plan`.
pub fn check(plan: &Plan, cases: usize, seed: u64) -> Result<Checked, Failure> {
    let bench = Bench::over(view_services(&plan.definitions))?;
    let mut rng = Rng::with_seed(seed);
    let mut checked = Checked::default();
    for name in bench.dimension_files() {
        write(&bench, &name, "")?;
    }
    let sources = 0..bench.plan.definitions.sources.len();
    // What views say of changes follows from views that are checked; `Oracle` evaluates events that were read.
    // Nor does it know changelogs and lists.
    let plain = |source: &usize| {
        let Source { changes_of, changelog, explode, .. } = &bench.plan.definitions.sources[*source];
        changes_of.is_none() && changelog.is_none() && explode.is_none()
    };
    for source in sources.filter(plain) {
        let count = (20 + cases).min(MOST_EVENTS);
        let events = Events::generate(&bench.plan.definitions, source, count, &mut rng);
        let views: Vec<usize> =
            (0..bench.plan.views.len()).filter(|view| bench.plan.definitions.views[*view].source == source).collect();
        let oracle = Oracle::new(&bench.plan, source, &events)?;
        let questions: Vec<Questions> =
            views.iter().map(|view| Questions::draw(&bench.plan, *view, &oracle, cases, &mut rng)).collect();
        let file = events_file(&bench.plan.definitions.sources[source].name);
        write(&bench, &file, &events.lines(&events.in_order()))?;
        let plain = answers(&bench, &questions)?;
        for (questions, answers) in questions.iter().zip(&plain) {
            checked.lines.extend(questions.against_reference(&bench.plan, &oracle, answers));
            checked.views += 1;
            checked.cases += questions.asked.len();
        }
        let mut orders = vec![("when events arrive in another order", events.shuffled(&mut rng))];
        if bench.plan.definitions.sources[source].dedup_key.is_some() {
            orders.push(("when every event comes twice", events.twice()));
        }
        for (when, order) in orders {
            write(&bench, &file, &events.lines(&order))?;
            for ((questions, before), after) in questions.iter().zip(&plain).zip(answers(&bench, &questions)?) {
                checked.lines.extend(questions.differences(&bench.plan, before, &after, when));
            }
        }
        write(&bench, &file, "")?;
    }
    Ok(checked)
}

fn write(bench: &Bench, name: &str, text: &str) -> Result<(), Failure> {
    let path = bench.directory.path().join(name);
    fs::write(&path, text).map_err(|error| Failure::cannot_write(format!("cannot write {}: {error}", path.display())))
}

/// Per view, per question, the features.
fn answers(bench: &Bench, questions: &[Questions]) -> Result<Vec<Vec<Vec<Value>>>, Failure> {
    questions.iter().map(|questions| questions.answers(&bench.plan)).collect()
}

/// Keys and instants asked of one view.
struct Questions {
    view: usize,
    asked: Vec<(Vec<Value>, EventTime)>,
}

impl Questions {
    /// At events of the view's keys, and around the instants at which they enter and leave windows.
    fn draw(plan: &Plan, view: usize, oracle: &Oracle, cases: usize, rng: &mut Rng) -> Questions {
        let (compiled, keyed) = (&plan.views[view], oracle.keyed(view));
        let mut asked = Vec::new();
        while !keyed.is_empty() && asked.len() < cases {
            let (key, event) = &keyed[rng.usize(..keyed.len())];
            let window = compiled.windows[rng.usize(..compiled.windows.len())];
            let entered = event.time.micros().saturating_sub(window.offset.micros());
            let left = entered.saturating_add(window.size.micros());
            let edge = [event.time.micros(), entered, left][rng.usize(..3)];
            let at = EventTime::from_micros(edge.saturating_add(rng.i64(-1..=1)));
            // Unbounded windows are left at no instant there is.
            if at.in_range() {
                asked.push((key.clone(), at));
            } else {
                asked.push((key.clone(), event.time));
            }
        }
        Questions { view, asked }
    }

    fn answers(&self, plan: &Plan) -> Result<Vec<Vec<Value>>, Failure> {
        let unfit =
            |error: arrow::error::ArrowError| Failure::internal(format!("the questions make no table: {error}"));
        let service = &plan.services[self.view];
        let mut columns: Vec<Column> = service.join_keys.clone();
        let mut arrays = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let values = self.asked.iter().map(|(key, _)| key.get(index).unwrap_or(&Value::Null));
            arrays.push(feature_array(&column.data_type.into(), values).map_err(unfit)?);
        }
        let instants: Vec<Value> = self.asked.iter().map(|(_, at)| Value::Timestamp(*at)).collect();
        arrays.push(feature_array(&DataType::Timestamp.into(), instants.iter()).map_err(unfit)?);
        columns.push(Column { name: INSTANT.to_string(), data_type: DataType::Timestamp });
        let rows = RecordBatch::try_new(arrow_schema(&columns), arrays).map_err(unfit)?;
        let dataset = Dataset::build_on(plan, &service.name, rows, INSTANT)
            .map_err(|error| Failure::data(format!("generated events of view `{}`: {error}", service.name)))?;
        let row = |row| service.features.iter().map(|f| found(&dataset, &f.name, &f.data_type, row)).collect();
        Ok((0..self.asked.len()).map(row).collect())
    }

    /// Values that are not the reference's. It knows neither categories nor what is approximate.
    fn against_reference(&self, plan: &Plan, oracle: &Oracle, answers: &[Vec<Value>]) -> Vec<String> {
        let (view, compiled) = (&plan.definitions.views[self.view], &plan.views[self.view]);
        if view.group.is_some() {
            return Vec::new();
        }
        let mut lines = Vec::new();
        for ((key, at), found) in self.asked.iter().zip(answers) {
            if compiled.before_start(*at) {
                continue;
            }
            let expected = oracle.features(self.view, compiled, key, *at);
            for (feature, ((value, _), found)) in compiled.features.iter().zip(expected.iter().zip(found)) {
                let inexact =
                    matches!(feature.function, Function::DecayedSum { .. } | Function::ApproxPercentile { .. });
                if !inexact && !same(value, found) {
                    lines.push(self.line(
                        plan,
                        &feature.name,
                        (key, *at),
                        found,
                        &format!("not {value}, by definition"),
                    ));
                }
            }
        }
        lines
    }

    fn differences(&self, plan: &Plan, before: &[Vec<Value>], after: &[Vec<Value>], when: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let features = &plan.views[self.view].features;
        for ((question, before), after) in self.asked.iter().zip(before).zip(after) {
            for (feature, (before, after)) in features.iter().zip(before.iter().zip(after)) {
                if !same(before, after) {
                    let rest = format!("and {after} {when}");
                    lines.push(self.line(plan, &feature.name, (&question.0, question.1), before, &rest));
                }
            }
        }
        lines
    }

    fn line(&self, plan: &Plan, feature: &str, (key, at): (&[Value], EventTime), found: &Value, rest: &str) -> String {
        let view = &plan.definitions.views[self.view];
        let key: Vec<String> = key.iter().map(ToString::to_string).collect();
        format!("{}: {}.{feature} of {} at {at} is {found}, {rest}", view.place, view.served_as, key.join(", "))
    }
}

/// Equal to the last bit.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float64(a), Value::Float64(b)) => a.to_bits() == b.to_bits(),
        (Value::Float32(a), Value::Float32(b)) => a.to_bits() == b.to_bits(),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
        }
        (a, b) => a == b,
    }
}

/// The Arrow column of a source's column.
fn column(data_type: DataType, values: &[Value]) -> Result<arrow::array::ArrayRef, Failure> {
    feature_array(&FeatureType::Scalar(data_type), values.iter())
        .map_err(|error| Failure::internal(format!("generated events make no table: {error}")))
}
