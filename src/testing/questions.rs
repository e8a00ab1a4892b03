//! The questions of a test: their rows, and what is wrong with the answers.

use std::sync::Arc;

use arrow::array::RecordBatch;
use freshet_config::arrays::feature_array;
use freshet_config::cases::{Ask, At, CODE, Case, Pairs, Written};
use freshet_config::definitions::{Column, arrow_schema};
use freshet_config::diagnostic::{Diagnostic, Diagnostics, Place, suggestion};
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};
use freshet_connectors::events::Code;
use freshet_engine::dataset::{Dataset, RefusedEvents};
use freshet_engine::plan::Plan;
use freshet_operators::lookup::ServicePlan;

use super::compare::{agree, found};
use crate::exit::Failure;

/// The column of instants: no definition can have one of its name.
const INSTANT: &str = "__at";

/// A question with everything read in its type.
pub struct Question {
    service: Arc<ServicePlan>,
    at: EventTime,
    /// Join keys, then the request fields that are no join keys.
    values: Vec<Value>,
    expected: Vec<Expected>,
}

struct Expected {
    place: Place,
    /// Index into the service's features.
    feature: usize,
    value: Value,
}

/// The questions of a case, those that are sound.
pub fn questions(plan: &Plan, case: &Case, errors: &mut Diagnostics) -> Vec<Question> {
    case.ask.items.iter().filter_map(|ask| question(plan, ask, errors)).collect()
}

fn question(plan: &Plan, ask: &Ask, errors: &mut Diagnostics) -> Option<Question> {
    let Some(service) = plan.services.iter().find(|service| service.name == ask.service.value) else {
        let hint = suggestion(&ask.service.value, plan.services.iter().map(|service| service.name.as_str()));
        let message = format!("unknown service `{}`", ask.service.value);
        errors.push(Diagnostic::new(&ask.service.place, CODE, message).hint(hint));
        return None;
    };
    let at = match ask.at.scalar("`at`", DataType::Timestamp) {
        Ok(Value::Timestamp(at)) => Some(at),
        Ok(_) => {
            errors.push(Diagnostic::new(ask.at.place(), CODE, "`at` is null, and a question needs an instant"));
            None
        }
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let keys = given("join key", service, &service.join_keys, ask.keys.as_ref(), &ask.service.place, errors);
    let request = given("request field", service, &service.request, ask.request.as_ref(), &ask.service.place, errors);
    let expected =
        ask.expect.entries.iter().filter_map(|(name, value)| expected(service, name, value, errors)).collect();
    let mut values = keys?;
    let fields = service.request.iter().zip(request?).filter(|(field, _)| is_no_key(service, field));
    values.extend(fields.map(|(_, value)| value));
    Some(Question { service: service.clone(), at: at?, values, expected })
}

fn is_no_key(service: &ServicePlan, field: &Column) -> bool {
    service.join_keys.iter().all(|key| key.name != field.name)
}

/// One value per column, all of them written and no others.
fn given(
    what: &str,
    service: &ServicePlan,
    columns: &[Column],
    written: Option<&Pairs<Written>>,
    place: &Place,
    errors: &mut Diagnostics,
) -> Option<Vec<Value>> {
    let entries = written.map_or(&[][..], |written| &written.entries);
    let mut sound = true;
    let mut refuse = |diagnostic: Diagnostic| {
        errors.push(diagnostic);
        sound = false;
    };
    for (name, _) in entries {
        if columns.iter().all(|column| column.name != name.value) {
            let hint = suggestion(&name.value, columns.iter().map(|column| column.name.as_str()));
            let message = format!("unknown {what} `{}` of service `{}`", name.value, service.name);
            refuse(Diagnostic::new(&name.place, CODE, message).hint(hint));
        }
    }
    let mut values = Vec::new();
    for column in columns {
        let subject = format!("{what} `{}`", column.name);
        match entries.iter().find(|(name, _)| name.value == column.name) {
            Some((_, value)) => match value.scalar(&subject, column.data_type) {
                Ok(value) => values.push(value),
                Err(error) => refuse(error),
            },
            None => {
                let message = format!("the question leaves out {subject}, which service `{}` needs", service.name);
                let hint = format!("write it as {}, or as null", column.data_type);
                refuse(Diagnostic::new(written.map_or(place, |written| &written.place), CODE, message).hint(hint));
            }
        }
    }
    sound.then_some(values)
}

fn expected(service: &ServicePlan, name: &At<String>, value: &Written, errors: &mut Diagnostics) -> Option<Expected> {
    let Some(feature) = service.features.iter().position(|feature| feature.name == name.value) else {
        let hint = suggestion(&name.value, service.features.iter().map(|feature| feature.name.as_str()));
        let message = format!("unknown feature `{}` of service `{}`", name.value, service.name);
        errors.push(Diagnostic::new(&name.place, CODE, message).hint(hint));
        return None;
    };
    match value.feature(&format!("feature `{}`", name.value), &service.features[feature].data_type) {
        Ok(value) => Some(Expected { place: name.place.clone(), feature, value }),
        Err(error) => {
            errors.push(error);
            None
        }
    }
}

/// Answers the questions from the events in place; a line per expectation that does not hold, in the order written.
pub fn answer(plan: &Plan, case: &str, questions: &[Question]) -> Result<Vec<String>, Failure> {
    let mut wrong: Vec<(&Place, String)> = Vec::new();
    for service in &plan.services {
        let asked: Vec<&Question> = questions.iter().filter(|question| question.service.name == service.name).collect();
        if asked.is_empty() {
            continue;
        }
        let dataset = Dataset::build_on(plan, &service.name, rows(service, &asked)?, INSTANT)
            .map_err(|error| Failure::data(format!("{case}: {error}")))?;
        if let Some(refused) = dataset.report.refused.iter().find(|refused| is_refusal(refused)) {
            return Err(Failure::data(format!("{case}: an event is none: {}", refused.first)));
        }
        for (row, question) in asked.iter().enumerate() {
            for expected in &question.expected {
                let feature = &service.features[expected.feature];
                let value = found(&dataset, &feature.name, &feature.data_type, row);
                if !agree(&expected.value, &value) {
                    let line = format!(
                        "{}: {case}: {} at {} is {}, not {}",
                        expected.place,
                        feature.name,
                        question.at,
                        shown(&value),
                        shown(&expected.value)
                    );
                    wrong.push((&expected.place, line));
                }
            }
        }
    }
    wrong.sort_by_key(|(place, _)| *place);
    Ok(wrong.into_iter().map(|(_, line)| line).collect())
}

/// Whether records are missing that should be events. Changes of a row that come too late, or remove what is not there,
/// are what a changelog may hold, and events without a key what a stream may: that they change nothing is worth a test.
pub fn is_refusal(refused: &RefusedEvents) -> bool {
    ![Code::Stale.name(), Code::Unknown.name(), Code::Key.name()].contains(&refused.code)
}

/// Questions that make no spine.
pub fn no_table(error: arrow::error::ArrowError) -> Failure {
    Failure::internal(format!("the questions make no table: {error}"))
}

/// The questions to one service as a spine.
fn rows(service: &ServicePlan, asked: &[&Question]) -> Result<RecordBatch, Failure> {
    let fields = service.request.iter().filter(|field| is_no_key(service, field));
    let mut columns: Vec<Column> = service.join_keys.iter().chain(fields).cloned().collect();
    let mut arrays = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        let values = asked.iter().map(|question| question.values.get(index).unwrap_or(&Value::Null));
        arrays.push(feature_array(&column.data_type.into(), values).map_err(no_table)?);
    }
    let instants: Vec<Value> = asked.iter().map(|question| Value::Timestamp(question.at)).collect();
    arrays.push(feature_array(&DataType::Timestamp.into(), instants.iter()).map_err(no_table)?);
    columns.push(Column { name: INSTANT.to_string(), data_type: DataType::Timestamp });
    RecordBatch::try_new(arrow_schema(&columns), arrays).map_err(no_table)
}

/// A value as a test writes it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::List(values) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{key}: {}", shown(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
