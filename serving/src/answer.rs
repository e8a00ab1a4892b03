//! Answers to lookups, written by hand: values by position, then the metadata asked for.
//!
//! A general serialiser would cost twice the time of the whole request; the writer copies pre-rendered fragments instead.

use std::fmt::Write as _;
use std::time::Duration;

use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};
use freshet_operators::lookup::{ServedValue, ServicePlan, ViewFeature};
use freshet_operators::row::{FeatureValue, Reason, RowError, Status};

use crate::catalog::ServedService;
use crate::json::{is_not_a_number, write_seconds, write_text, write_value};
use crate::request::Selection;

/// One row's features as read: all features of each view of the service, view after view.
#[derive(Debug, Default)]
pub struct RowValues {
    pub values: Vec<FeatureValue>,
    /// Per view of the service, where its features begin and whether the key had a row.
    pub views: Vec<(usize, bool)>,
}

impl RowValues {
    pub fn clear(&mut self) {
        self.values.clear();
        self.views.clear();
    }

    /// A feature as read; `None` when the reader gave fewer than its plan has.
    pub fn feature(&self, place: ViewFeature) -> Option<&FeatureValue> {
        let (start, _) = self.views.get(place.view)?;
        self.values.get(start.checked_add(place.feature)?)
    }
}

/// What to write besides the values.
#[derive(Clone, Copy, Debug)]
pub struct AnswerOptions {
    pub selection: Selection,
    /// Count of a key without a row as 0 instead of null.
    pub coerce_null_counts: bool,
    /// The instant asked for.
    pub at: EventTime,
}

/// What the metadata says about the time taken and the bytes read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerCost {
    /// From the request's arrival to the beginning of its metadata.
    pub server_time: Duration,
    pub store_time: Duration,
    pub store_bytes: usize,
}

/// Appends `{"features":[..]}` for one row and its statuses, in the service's order. `derived` gives a derived feature of
/// the row.
pub fn write_row(
    out: &mut Vec<u8>,
    service: &ServedService,
    row: &RowValues,
    derived: impl Fn(usize) -> Option<FeatureValue>,
    options: &AnswerOptions,
    statuses: &mut Vec<Status>,
) {
    out.extend_from_slice(b"{\"features\":[");
    for (index, feature) in service.plan.features.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        statuses.push(match feature.value {
            ServedValue::View(place) => {
                let found = row.views.get(place.view).is_some_and(|(_, found)| *found);
                let counts = service.counts.get(index).copied().unwrap_or(false);
                // Before its first instant a view has no values, nor has one whose values expire of a key without events:
                // that is not an empty window.
                let view = service.plan.views.get(place.view);
                let has_values =
                    || view.is_some_and(|of| !of.plan.before_start(options.at) && of.plan.expiry.is_none());
                write_feature(out, row.feature(place), found, counts, options.coerce_null_counts && has_values())
            }
            ServedValue::Derived(step) => write_feature(out, derived(step).as_ref(), true, false, false),
        });
    }
    out.extend_from_slice(b"]}");
}

/// Writes one value and gives the status it is served with.
fn write_feature(out: &mut Vec<u8>, read: Option<&FeatureValue>, found: bool, counts: bool, coerce: bool) -> Status {
    let Some(FeatureValue { value, status }) = read else {
        // The reader gave fewer features than its plan has: say so rather than shift values.
        out.extend_from_slice(b"null");
        return Status::Error(Reason::Row(RowError::Layout));
    };
    let zero = Value::Int64(0);
    let value = match (counts, found) {
        (true, false) if coerce && *status == Status::MissingData => &zero,
        (true, false) => &Value::Null,
        (true, true) if coerce && value.is_null() && *status == Status::MissingData => &zero,
        _ => value,
    };
    write_value(out, value);
    match is_not_a_number(value) {
        true => Status::Error(Reason::NotFinite(DataType::Float64)),
        false => *status,
    }
}

/// Appends `,"metadata":{..}` when anything was asked for. `statuses` holds one row's statuses after the other's.
pub fn write_metadata(
    out: &mut Vec<u8>,
    service: &ServedService,
    options: &AnswerOptions,
    statuses: &[Status],
    batch_rows: Option<usize>,
    cost: &ServerCost,
) {
    let selection = options.selection;
    if !selection.any_feature() && !selection.slo_info {
        return;
    }
    out.extend_from_slice(b",\"metadata\":{");
    if selection.any_feature() {
        write_features(out, service, options, statuses, batch_rows.is_some());
    }
    if selection.slo_info {
        if selection.any_feature() {
            out.push(b',');
        }
        write_slo_info(out, batch_rows, cost);
    }
    out.push(b'}');
}

fn write_features(
    out: &mut Vec<u8>,
    service: &ServedService,
    options: &AnswerOptions,
    statuses: &[Status],
    batch: bool,
) {
    let selection = options.selection;
    let features = service.plan.features.len();
    let mut effective = EffectiveTime::default();
    out.extend_from_slice(b"\"features\":[");
    for (index, feature) in service.plan.features.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{" } else { b"{" });
        let fragment = service.fragment(index, selection);
        out.extend_from_slice(fragment);
        let mut comma = !fragment.is_empty();
        let mut next = |out: &mut Vec<u8>| {
            if comma {
                out.push(b',');
            }
            comma = true;
        };
        // What is derived speaks of the request; only what is read from a view has a time of its own.
        let view = match feature.value {
            ServedValue::View(place) => service.plan.views.get(place.view),
            ServedValue::Derived(_) => None,
        };
        if let (true, Some(view)) = (selection.effective_times, view) {
            next(out);
            out.extend_from_slice(b"\"effectiveTime\":\"");
            out.extend_from_slice(effective.text(view.plan.effective_time(options.at)).as_bytes());
            out.push(b'"');
        }
        if selection.serving_status {
            next(out);
            out.extend_from_slice(b"\"status\":");
            let of_feature = || statuses.iter().skip(index).step_by(features).copied();
            write_statuses(out, of_feature(), batch);
            if of_feature().any(Status::is_error) {
                out.extend_from_slice(b",\"statusReason\":");
                write_reasons(out, &service.plan, of_feature(), batch);
            }
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// One status, or a list with one per row.
fn write_statuses(out: &mut Vec<u8>, statuses: impl Iterator<Item = Status>, batch: bool) {
    if batch {
        out.push(b'[');
    }
    for (row, status) in statuses.enumerate() {
        if row > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(status.name().as_bytes());
        out.push(b'"');
    }
    if batch {
        out.push(b']');
    }
}

/// Why a value is an error; of a batch a list with one entry per row, null for what is none.
fn write_reasons(out: &mut Vec<u8>, plan: &ServicePlan, statuses: impl Iterator<Item = Status>, batch: bool) {
    if batch {
        out.push(b'[');
    }
    for (row, status) in statuses.enumerate() {
        if row > 0 {
            out.push(b',');
        }
        match status.reason() {
            Some(reason) => write_text(out, &plan.explain(reason)),
            None => out.extend_from_slice(b"null"),
        }
    }
    if batch {
        out.push(b']');
    }
}

/// Prints an instant once for all neighbours that share it.
#[derive(Default)]
struct EffectiveTime {
    at: Option<EventTime>,
    text: String,
}

impl EffectiveTime {
    fn text(&mut self, at: EventTime) -> &str {
        if self.at != Some(at) {
            self.at = Some(at);
            self.text.clear();
            // Writing to memory cannot fail.
            let _ = write!(self.text, "{at}");
        }
        &self.text
    }
}

fn write_slo_info(out: &mut Vec<u8>, batch_rows: Option<usize>, cost: &ServerCost) {
    let one = |out: &mut Vec<u8>, bytes: bool| {
        out.extend_from_slice(b"{\"sloEligible\":true,\"sloServerTimeSeconds\":");
        write_seconds(out, cost.server_time.as_secs_f64());
        out.extend_from_slice(b",\"serverTimeSeconds\":");
        write_seconds(out, cost.server_time.as_secs_f64());
        out.extend_from_slice(b",\"storeMaxLatency\":");
        write_seconds(out, cost.store_time.as_secs_f64());
        if bytes {
            out.extend_from_slice(b",\"storeResponseSizeBytes\":");
            out.extend_from_slice(itoa::Buffer::new().format(cost.store_bytes).as_bytes());
        }
        out.push(b'}');
    };
    out.extend_from_slice(b"\"sloInfo\":");
    match batch_rows {
        None => one(out, true),
        // All rows of a batch are read by one call, so that they share its times; bytes are not told apart.
        Some(rows) => {
            out.push(b'[');
            for row in 0..rows {
                if row > 0 {
                    out.push(b',');
                }
                one(out, false);
            }
            out.extend_from_slice(b"],\"batchSloInfo\":");
            one(out, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use freshet_config::definitions::{Column, Function, Mode, PlanId};
    use freshet_config::time::Span;
    use freshet_config::value::{DataType, FeatureType};
    use freshet_operators::lookup::{ServedFeature, ServicePlan, ViewLookup};
    use freshet_operators::view::{FeaturePlan, ViewPlan};

    use super::*;

    /// A service of one tiled view with a count and a sum, sum first.
    fn service(feature_start: Option<EventTime>) -> ServedService {
        let plan = |name: &str, function, data_type| FeaturePlan {
            name: name.into(),
            function,
            column: None,
            summary: None,
            window: 0,
            series: Vec::new(),
            data_type: FeatureType::Scalar(data_type),
        };
        let view = ViewPlan {
            name: "spend".into(),
            mode: Mode::Interval(Span::from_secs(60)),
            windows: Vec::new(),
            columns: Vec::new(),
            features: vec![
                plan("count_1h", Function::Count, DataType::Int64),
                plan("sum_1h", Function::Sum, DataType::Float64),
            ],
            summaries: Vec::new(),
            feature_start,
            lifetime_start: None,
            expiry: None,
            retracts: false,
            answers_back: None,
            plan_id: PlanId(1),
            categories: None,
        };
        let served = |feature, name: &str, data_type| ServedFeature {
            name: name.into(),
            value: ServedValue::View(ViewFeature { view: 0, feature }),
            data_type: FeatureType::Scalar(data_type),
            description: Some("what \"was\" spent".into()),
            tags: vec![("team".into(), "fraud".into())],
        };
        ServedService::new(Arc::new(ServicePlan {
            name: "svc".into(),
            plan_id: PlanId(1),
            join_keys: vec![Column { name: "user".into(), data_type: DataType::Int64 }],
            request: Vec::new(),
            inputs: Vec::new(),
            derived: Vec::new(),
            views: vec![ViewLookup { view: 0, plan: Arc::new(view), key: vec![0] }],
            features: vec![served(1, "spend.sum_1h", DataType::Float64), served(0, "spend.count_1h", DataType::Int64)],
        }))
    }

    fn options(selection: Selection, coerce_null_counts: bool) -> AnswerOptions {
        AnswerOptions { selection, coerce_null_counts, at: EventTime::from_micros(90_000_000) }
    }

    fn row(count: Value, sum: Value, status: Status, found: bool) -> RowValues {
        let value = |value| FeatureValue { value, status };
        RowValues { values: vec![value(count), value(sum)], views: vec![(0, found)] }
    }

    fn written(row: &RowValues, coerce: bool) -> (String, Vec<Status>) {
        written_by(&service(None), row, coerce)
    }

    fn written_by(service: &ServedService, row: &RowValues, coerce: bool) -> (String, Vec<Status>) {
        let (mut out, mut statuses) = (Vec::new(), Vec::new());
        write_row(&mut out, service, row, |_| None, &options(Selection::default(), coerce), &mut statuses);
        (String::from_utf8(out).unwrap(), statuses)
    }

    #[test]
    fn features_come_in_the_services_order() {
        let (text, statuses) = written(&row(Value::Int64(3), Value::Float64(1.5), Status::Present, true), false);
        assert_eq!(text, r#"{"features":[1.5,"3"]}"#);
        assert_eq!(statuses, [Status::Present; 2]);
    }

    #[test]
    fn a_count_without_a_row_is_null_unless_coerced() {
        let missing = row(Value::Int64(0), Value::Null, Status::MissingData, false);
        assert_eq!(written(&missing, false).0, r#"{"features":[null,null]}"#);
        assert_eq!(written(&missing, true).0, r#"{"features":[null,"0"]}"#);
        let empty_window = row(Value::Int64(0), Value::Null, Status::MissingData, true);
        assert_eq!(written(&empty_window, false).0, r#"{"features":[null,"0"]}"#);
        // A stale count is unknown, not zero, whether there is a row or not.
        for found in [true, false] {
            let stale = row(Value::Null, Value::Null, Status::Stale, found);
            assert_eq!(written(&stale, true).0, r#"{"features":[null,null]}"#);
        }
    }

    #[test]
    fn counts_before_the_feature_start_are_null_however_they_are_asked_for() {
        let unborn = row(Value::Null, Value::Null, Status::MissingData, true);
        let never_seen = row(Value::Null, Value::Null, Status::MissingData, false);
        // The answer for 00:01:30 is that of the tile that begins at 00:01:00.
        for (start, count) in [(60_000_000, "\"0\""), (60_000_001, "null"), (i64::MIN, "\"0\"")] {
            let service = service(Some(EventTime::from_micros(start)));
            for row in [&unborn, &never_seen] {
                assert_eq!(written_by(&service, row, true).0, format!("{{\"features\":[null,{count}]}}"), "{start}");
            }
        }
    }

    #[test]
    fn a_short_read_and_a_nan_are_errors_of_their_feature() {
        let mut short = row(Value::Int64(3), Value::Null, Status::Present, true);
        short.values.pop();
        assert_eq!(
            written(&short, false),
            (
                r#"{"features":[null,"3"]}"#.to_string(),
                vec![Status::Error(Reason::Row(RowError::Layout)), Status::Present]
            )
        );
        let nan = row(Value::Int64(3), Value::Float64(f64::NAN), Status::Present, true);
        let reason = Reason::NotFinite(DataType::Float64);
        assert_eq!(written(&nan, false).1, [Status::Error(reason), Status::Present]);
    }

    fn metadata(selection: Selection, statuses: &[Status], rows: Option<usize>) -> String {
        let mut out = Vec::new();
        let cost = ServerCost {
            server_time: Duration::from_micros(250),
            store_time: Duration::from_micros(5),
            store_bytes: 9,
        };
        write_metadata(&mut out, &service(None), &options(selection, false), statuses, rows, &cost);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn metadata_holds_what_was_asked_for_and_is_never_null() {
        assert_eq!(metadata(Selection::default(), &[Status::Present; 2], None), "");
        let names = Selection { names: true, data_types: true, ..Selection::default() };
        assert_eq!(
            metadata(names, &[], None),
            ",\"metadata\":{\"features\":[{\"name\":\"spend.sum_1h\",\"dataType\":{\"type\":\"float64\"}},\
             {\"name\":\"spend.count_1h\",\"dataType\":{\"type\":\"int64\"}}]}"
        );
    }

    #[test]
    fn dynamic_parts_follow_the_instant_and_the_rows() {
        let all = Selection {
            names: true,
            data_types: true,
            descriptions: true,
            tags: true,
            effective_times: true,
            serving_status: true,
            slo_info: true,
        };
        let error = Status::Error(Reason::TooManyValues { limit: 9 });
        let statuses = [Status::Present, Status::Stale, Status::Expired, error];
        let text = metadata(all, &statuses, Some(2));
        let parsed: serde_json::Value = serde_json::from_str(&format!("{{\"x\":0{text}}}")).unwrap();
        let first = &parsed["metadata"]["features"][0];
        assert_eq!(first["status"], serde_json::json!(["PRESENT", "EXPIRED"]));
        assert_eq!(parsed["metadata"]["features"][1]["status"], serde_json::json!(["STALE", "ERROR"]));
        assert!(first.get("statusReason").is_none(), "nothing of it is an error");
        let reasons = serde_json::json!([null, "more than 9 distinct values in the window"]);
        assert_eq!(parsed["metadata"]["features"][1]["statusReason"], reasons);
        assert_eq!(first["effectiveTime"], "1970-01-01T00:01:00Z", "the start of the tile");
        assert_eq!(first["description"], "what \"was\" spent");
        assert_eq!(first["tags"]["team"], "fraud");
        assert_eq!(parsed["metadata"]["sloInfo"].as_array().unwrap().len(), 2);
        assert_eq!(parsed["metadata"]["batchSloInfo"]["serverTimeSeconds"], 0.00025);
        assert_eq!(parsed["metadata"]["batchSloInfo"]["storeResponseSizeBytes"], 9);
        let status_alone = Selection { serving_status: true, ..Selection::default() };
        let one = metadata(status_alone, &statuses[..2], None);
        assert_eq!(one, ",\"metadata\":{\"features\":[{\"status\":\"PRESENT\"},{\"status\":\"STALE\"}]}");
    }
}
