//! Pushed records.

use serde_json::json;

use crate::fixture::Fixture;
use crate::lookups::refused;

fn push(records: &str) -> String {
    format!("{{\"workspace_name\":\"prod\",\"dry_run\":false,\"records\":{records}}}")
}

#[test]
fn records_are_taken_as_they_were_written() {
    let fixture = Fixture::new();
    let record = "{\"ok\":true, \"id\": 12345678901234567890, \"x\":1.10}";
    let body = push(&format!("{{\"payments\":[{{\"record\": {record} }}],\"clicks\":[]}}"));
    let answer = fixture.client().post("/ingest", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(*fixture.log.taken.lock().unwrap(), [("payments".to_string(), record.to_string())]);
    let metrics = &answer.json()["ingestMetrics"]["dataSourceIngestMetrics"];
    assert_eq!(
        (&metrics[0]["dataSourceName"], &metrics[0]["onlineRecordIngestCount"]),
        (&json!("payments"), &json!("1"))
    );
    assert_eq!(answer.json()["workspaceName"], "prod");
}

#[test]
fn a_dry_run_writes_nothing() {
    let fixture = Fixture::new();
    let body = push("{\"payments\":[{\"record\":{\"ok\":true}}]}").replace("false", "true");
    assert_eq!(fixture.client().post("/ingest", &body).status, 200);
    assert!(fixture.log.taken.lock().unwrap().is_empty());
}

#[test]
fn bad_records_are_told_one_by_one() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    let answer = client.post("/ingest", &push("{\"payments\":[{\"record\":{\"ok\":true}},{\"record\":{}}]}"));
    assert_eq!(answer.status, 207);
    let error = json!([{"pushSourceName": "payments", "index": 1, "errorType": "EV-TIME", "errorMessage": "field `ts` is missing"}]);
    assert_eq!(answer.json()["recordErrors"], error);
    let answer = client.post("/ingest", &push("{\"payments\":[{\"record\":{}}]}"));
    refused(&answer, 400, 3, "none of 1 records");
    assert_eq!(answer.json()["recordErrors"][0]["index"], 0);
}

#[test]
fn what_cannot_be_taken_is_refused_before_anything_is() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    let good = "\"payments\":[{\"record\":{\"ok\":true}}]";
    for (body, status, code, needle) in [
        (push(&format!("{{{good},\"paiments\":[]}}")), 404, 5, "did you mean `payments`?"),
        (push(&format!("{{{good},\"history\":[]}}")), 404, 5, "takes records over HTTP"),
        (push(&format!("{{{good},{good}}}")), 400, 3, "given twice"),
        (push(&format!("{{{good}}}")).replace("prod", "dev"), 404, 5, "unknown workspace"),
        (push("{\"payments\":[{\"record\":{\"ok\":true}},{}]}"), 400, 3, "element 1"),
        (push("{\"payments\":[{\"record\":[]}]}"), 400, 3, "JSON object"),
        (push("{\"payments\":{}}"), 400, 3, "is expected here, not an object"),
        (
            push("{\"payments\":[{\"record\":{\"a\":NaN}}]}"),
            400,
            3,
            "`NaN` is no JSON, which has neither NaN nor infinities",
        ),
        (push("[]"), 400, 3, "is expected here, not a list"),
        ("{}".into(), 400, 3, "no `records`"),
        ("".into(), 400, 3, "empty"),
        (
            push(&format!("{{\"payments\":[{{\"record\":{}1{}}}]}}", "{\"a\":".repeat(130), "}".repeat(130))),
            400,
            3,
            "deeper",
        ),
    ] {
        refused(&client.post("/ingest", &body), status, code, needle);
    }
    assert!(fixture.log.taken.lock().unwrap().is_empty());
}

#[test]
fn a_log_that_cannot_write_is_not_a_success() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    let one = |text: &str| push(&format!("{{\"payments\":[{{\"record\":{{\"{text}\":true}}}}]}}"));
    let answer = client.post("/ingest", &one("busy"));
    refused(&answer, 503, 14, "send again in 7 s");
    assert_eq!(answer.header("retry-after"), Some("7"));
    refused(&client.post("/ingest", &one("full")), 507, 8, "no room");
    refused(&client.post("/ingest", &one("panic")), 500, 13, "failed while it took");
    let half = push("{\"payments\":[{\"record\":{\"ok\":true}}],\"clicks\":[{\"record\":{\"busy\":1}}]}");
    refused(&client.post("/ingest", &half), 503, 14, "1 record of `payments` was taken before");
}
