//! Derived features: request fields in, values out, and what one bad row costs.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::fixture::{BATCH, Fixture, GET, METADATA};
use crate::lookups::refused;

const STATUS: &str = "\"metadataOptions\":{\"includeNames\":true,\"includeServingStatus\":true,\"includeEffectiveTimes\":true,\
    \"includeDataTypes\":true,\"includeFeatureDescriptions\":true,\"includeFeatureTags\":true}";

/// Fields that all features of `scored` can be computed from.
fn fields() -> Value {
    json!({"amount": 3.5, "n": "4", "label": "ok", "at": "2020-01-01T00:00:00Z"})
}

/// The fields with some set to other values, or left out where null is given for "out".
fn with(changes: &[(&str, Value)]) -> Value {
    let mut all = fields();
    for (name, value) in changes {
        all[*name] = value.clone();
    }
    all
}

fn body(context: &Value) -> String {
    format!(
        "{{\"params\":{{\"featureServiceName\":\"scored\",\"joinKeyMap\":{{\"user_id\":2}},\
         \"requestContextMap\":{context},{STATUS}}}}}"
    )
}

fn ask(fixture: &Fixture, context: &Value) -> Answer {
    fixture.client().post(GET, &body(context))
}

fn values_and_statuses(answer: &Answer) -> (Vec<Value>, Vec<String>) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let features = answer["metadata"]["features"].as_array().unwrap();
    let statuses = features.iter().map(|feature| feature["status"].as_str().unwrap().to_string());
    (answer["result"]["features"].as_array().unwrap().clone(), statuses.collect())
}

#[test]
fn features_are_derived_from_the_request_from_views_and_from_each_other() {
    let fixture = Fixture::scored();
    let answer = ask(&fixture, &fields());
    let (values, statuses) = values_and_statuses(&answer);
    // spend.sum_1h of a key never seen, ratios.share, then the service's own in the order written.
    assert_eq!(json!(values), json!([null, 0.875, 8.0, 7.0, "2", "1", "OK", true, 0.4375]));
    assert_eq!(statuses[0], "MISSING_DATA");
    assert!(statuses[1..].iter().all(|status| status == "PRESENT"), "{statuses:?}");
    let features = answer.json()["metadata"]["features"].clone();
    assert!(features[0]["effectiveTime"].is_string());
    assert_eq!(
        features[1],
        json!({"name": "ratios.share", "dataType": {"type": "float64"}, "status": "PRESENT",
               "description": "parts of wholes", "tags": {"team": "risk"}})
    );
    assert_eq!(features[3]["name"], "derived.doubled");
}

#[test]
fn metadata_lists_the_request_fields_and_the_keys_of_what_is_only_read() {
    let fixture = Fixture::scored();
    let body = fixture.client().post(METADATA, "{\"params\":{\"featureServiceName\":\"scored\"}}").json();
    let names: Vec<&str> =
        body["inputRequestContextKeys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["amount", "label", "at", "n"], "the service's own, then those of its realtime views");
    assert_eq!(body["inputRequestContextKeys"][2]["dataType"], json!({"type": "timestamp"}));
    assert_eq!(body["inputJoinKeys"].as_array().unwrap().len(), 1);
    assert_eq!(body["featureValues"].as_array().unwrap().len(), 9);
}

#[test]
fn what_cannot_be_computed_is_null_with_an_error_and_the_rest_stays() {
    let fixture = Fixture::scored();
    let (values, statuses) = values_and_statuses(&ask(&fixture, &with(&[("n", json!(0))])));
    // The share is infinite, the whole quotient undefined; half of an error is one.
    assert_eq!(json!(values), json!([null, null, 8.0, 7.0, null, "1", "OK", true, null]));
    assert_eq!((statuses[1].as_str(), statuses[4].as_str(), statuses[8].as_str()), ("ERROR", "ERROR", "ERROR"));
    let answer = ask(&fixture, &with(&[("n", json!(0))])).json();
    let reasons: Vec<&str> =
        [1, 8].map(|i| answer["metadata"]["features"][i]["statusReason"].as_str().unwrap_or_default()).to_vec();
    let of_share = "`ratios.share`, which it is computed from, is an error";
    assert_eq!(reasons, ["the expression failed: the result is not a finite number", of_share]);
    assert_eq!(statuses[2], "PRESENT");

    let (values, statuses) = values_and_statuses(&ask(&fixture, &with(&[("amount", json!("NaN"))])));
    assert_eq!((&values[3], statuses[3].as_str()), (&Value::Null, "ERROR"), "no number is served as none");
    let (values, statuses) = values_and_statuses(&ask(&fixture, &with(&[("amount", Value::Null)])));
    assert_eq!((&values[3], statuses[3].as_str()), (&Value::Null, "MISSING_DATA"), "null is a value");
    assert_eq!(values[6], "OK");
}

#[test]
fn a_bad_row_of_a_batch_leaves_the_others_alone() {
    let fixture = Fixture::scored();
    let ns: Vec<i64> = (0..40).map(|row| row % 5 - 1).collect();
    let rows: Vec<Value> = ns
        .iter()
        .map(|n| json!({"joinKeyMap": {"user_id": 2}, "requestContextMap": with(&[("n", json!(n)), ("amount", json!(n))])}))
        .collect();
    let body = json!({"params": {"featureServiceName": "scored", "requestData": rows,
        "metadataOptions": {"includeServingStatus": true}}});
    let answer = fixture.client().post(BATCH, &body.to_string()).json();
    for (row, n) in ns.iter().enumerate() {
        let features = &answer["result"][row]["features"];
        let whole = if *n == 0 { Value::Null } else { json!((10 / n).to_string()) };
        assert_eq!((&features[3], &features[4]), (&json!(*n as f64 * 2.0), &whole), "row {row}");
        let status = if *n == 0 { "ERROR" } else { "PRESENT" };
        assert_eq!(answer["metadata"]["features"][4]["status"][row], status, "row {row}");
    }
}

#[test]
fn wrong_request_fields_say_what_and_where() {
    let fixture = Fixture::scored();
    let at = |name: &str| format!("/params/requestContextMap/{name}");
    let cases = [
        (with(&[("amuont", json!(1))]), "amuont", "did you mean `amount`?"),
        (with(&[("amount", json!("3.5"))]), "amount", "is a float64, as a number, not the string `3.5`"),
        (with(&[("amount", json!(true))]), "amount", "not a boolean"),
        (with(&[("amount", json!([1]))]), "amount", "no array or object"),
        (with(&[("n", json!(1.5))]), "n", "is an int64"),
        (with(&[("n", json!({"x": 1}))]), "n", "no array or object"),
        (with(&[("label", json!(7))]), "label", "is a string"),
        (with(&[("at", json!("yesterday"))]), "at", "RFC 3339"),
        (json!({"amount": 1, "n": 1, "at": null}), "label", "needs request field `label` of requestContextMap"),
    ];
    for (context, name, needle) in cases {
        let answer = ask(&fixture, &context);
        refused(&answer, 400, 3, needle);
        assert_eq!(answer.json()["pointer"], at(name));
    }
    let rows = json!([{"joinKeyMap": {"user_id": 2}, "requestContextMap": fields()}, {"joinKeyMap": {"user_id": 2}}]);
    let body = json!({"params": {"featureServiceName": "scored", "requestData": rows}});
    let answer = fixture.client().post(BATCH, &body.to_string());
    assert_eq!(answer.json()["pointer"], "/params/requestData/1/requestContextMap/amount");
}

#[test]
fn fields_of_others_pass_when_asked_so() {
    let fixture = Fixture::scored();
    let more = body(&with(&[("other", json!({"x": [1]}))]))
        .replace(STATUS, &format!("{STATUS},\"requestOptions\":{{\"ignoreExtraRequestContextFields\":true}}"));
    let (values, _) = values_and_statuses(&fixture.client().post(GET, &more));
    assert_eq!(values[3], 7.0);
}
