//! get-features, get-features-batch and metadata.

use serde_json::json;

use crate::client::Answer;
use crate::fixture::{BATCH, DOWN_KEY, Fixture, GATE_KEY, GET, METADATA, PANIC_KEY, catalog, lookup};

const ALL_METADATA: &str = ",\"metadataOptions\":{\"includeNames\":true,\"includeDataTypes\":true,\"includeEffectiveTimes\":true,\
    \"includeServingStatus\":true,\"includeSloInfo\":true,\"includeFeatureDescriptions\":true,\"includeFeatureTags\":true}";

#[test]
fn a_lookup_gives_values_by_position_and_no_metadata_unasked() {
    let fixture = Fixture::new();
    let answer = fixture.client().post(GET, &lookup("2", ""));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "{\"result\":{\"features\":[null,null,null]}}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-freshet-plan"), Some(catalog("prod").plan_id().to_string().as_str()));
}

#[test]
fn a_count_of_a_key_without_a_row_is_zero_only_when_asked_so() {
    let fixture = Fixture::new();
    let answer = fixture.client().post(GET, &lookup("2", ",\"requestOptions\":{\"coerceNullCountsToZero\":true}"));
    assert_eq!(answer.text(), "{\"result\":{\"features\":[null,\"0\",\"0\"]}}");
}

#[test]
fn metadata_follows_the_options_and_the_instant() {
    let fixture = Fixture::new();
    let body = fixture.client().post(GET, &lookup("\"2\"", ALL_METADATA)).json();
    let features = body["metadata"]["features"].as_array().unwrap();
    assert_eq!(features.len(), 3);
    assert_eq!(
        features[1],
        json!({"name": "cards.count_1h", "dataType": {"type": "int64"}, "effectiveTime": "2026-01-01T00:00:00Z",
               "status": "MISSING_DATA", "description": "money \"spent\"", "tags": {"team": "fraud"}})
    );
    assert_eq!(features[0]["effectiveTime"], "2026-01-01T00:00:30Z", "a continuous view speaks of the instant itself");
    assert_eq!(body["metadata"]["sloInfo"]["sloEligible"], true);
    let as_of = format!("{ALL_METADATA},\"requestOptions\":{{\"asOf\":\"2025-12-31T13:00:01.5+01:00\"}}");
    let body = fixture.client().post(GET, &lookup("2", &as_of)).json();
    assert_eq!(body["metadata"]["features"][0]["effectiveTime"], "2025-12-31T12:00:01.500Z");
    assert_eq!(body["metadata"]["features"][1]["effectiveTime"], "2025-12-31T12:00:00Z");
}

#[test]
fn found_rows_are_counted() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    client.post(GET, &lookup("1", ""));
    let stats = client.get("/api/v1/stats").json();
    assert_eq!((&stats["serving"]["rowsRead"], &stats["serving"]["rowsFound"]), (&json!(2), &json!(1)));
}

#[test]
fn a_batch_has_one_result_and_one_status_per_row() {
    let fixture = Fixture::new();
    let row = |id: i64| format!("{{\"joinKeyMap\":{{\"user_id\":{id},\"card\":null}}}}");
    let body = format!(
        "{{\"params\":{{\"feature_service_name\":\"fraud\",\"requestData\":[{},{}],\
         \"metadata_options\":{{\"includeServingStatus\":true,\"includeSloInfo\":true}}}}}}",
        row(1),
        row(2)
    );
    let answer = fixture.client().post(BATCH, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["result"].as_array().unwrap().len(), 2);
    assert_eq!(body["result"][0]["features"].as_array().unwrap().len(), 3);
    assert_eq!(body["metadata"]["features"][2]["status"].as_array().unwrap().len(), 2);
    assert_eq!(body["metadata"]["sloInfo"].as_array().unwrap().len(), 2);
    assert!(body["metadata"]["batchSloInfo"].is_object());
    // A null key is never looked up: two rows, one read each.
    assert_eq!(fixture.keys_seen.lock().unwrap().len(), 2);
    let empty = fixture.client().post(BATCH, "{\"params\":{\"featureServiceName\":\"fraud\",\"requestData\":[]}}");
    assert_eq!((empty.status, empty.text()), (200, "{\"result\":[]}"));
}

#[test]
fn a_batch_has_a_limit() {
    let fixture = Fixture::new();
    let rows = vec!["{\"joinKeyMap\":{\"user_id\":1,\"card\":\"c\"}}"; 1001].join(",");
    let body = format!("{{\"params\":{{\"featureServiceName\":\"fraud\",\"requestData\":[{rows}]}}}}");
    let answer = fixture.client().post(BATCH, &body);
    refused(&answer, 400, 3, "limit of 1000");
    assert_eq!(answer.json()["pointer"], "/params/requestData");
    let row = "{\"joinKeyMap\":{\"user_id\":1,\"card\":\"c\"}},{\"joinKeyMap\":{\"user_id\":1}}";
    let answer = fixture
        .client()
        .post(BATCH, &format!("{{\"params\":{{\"featureServiceName\":\"fraud\",\"requestData\":[{row}]}}}}"));
    assert_eq!(answer.json()["pointer"], "/params/requestData/1/joinKeyMap/card");
}

#[test]
fn metadata_names_keys_and_features() {
    let fixture = Fixture::new();
    let body = "{\"params\":{\"workspaceName\":\"prod\",\"featureServiceName\":\"fraud\"}}";
    let body = fixture.client().post(METADATA, body).json();
    assert_eq!(body["featureServiceType"], "DEFAULT");
    assert_eq!(body["inputJoinKeys"][1], json!({"name": "card", "dataType": {"type": "string"}, "type": "string"}));
    assert_eq!(body["featureValues"][0]["name"], "spend.sum_1h");
    assert_eq!(body["featureValues"][0]["dataType"]["type"], "float64");
    assert_eq!(body["inputRequestContextKeys"], json!([]));
}

/// Checks a refusal's status, gRPC code and message, and that it is JSON.
pub fn refused(answer: &Answer, status: u16, code: u64, needle: &str) {
    let body = answer.json();
    let message = body["message"].as_str().unwrap();
    assert_eq!((answer.status, body["code"].as_u64()), (status, Some(code)), "{message}");
    assert!(body["error"].is_string());
    assert!(message.contains(needle), "`{needle}` is not in `{message}`");
}

#[test]
fn wrong_requests_say_what_and_where() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    let service = |name: &str| lookup("1", "").replace("fraud", name);
    let keys = |keys: &str| format!("{{\"params\":{{\"featureServiceName\":\"fraud\",\"joinKeyMap\":{{{keys}}}}}}}");
    let cases = [
        (service("fruad"), 404, 5, "did you mean `fraud`?", ""),
        (service(&"x".repeat(100_000)), 404, 5, "there is fraud", ""),
        (lookup("1", "").replace("prod", "dev"), 404, 5, "unknown workspace `dev`", ""),
        (keys("\"user_id\":1"), 400, 3, "needs join key `card`", "/params/joinKeyMap/card"),
        (keys("\"user_id\":1,\"cards\":\"c\""), 400, 3, "`cards` is given", "/params/joinKeyMap/card"),
        (keys("\"user_id\":1,\"card\":\"c\",\"ip/v4\":2"), 400, 3, "no join key `ip/v4`", "/params/joinKeyMap/ip~1v4"),
        (lookup("\"abc\"", ""), 400, 3, "is an int64", "/params/joinKeyMap/user_id"),
        (lookup("1.5", ""), 400, 3, "not the number 1.5", "/params/joinKeyMap/user_id"),
        (lookup("[1]", ""), 400, 3, "is expected here, not a list", ""),
        (lookup("NaN", ""), 400, 3, "byte 87: `NaN` is no JSON", ""),
        (lookup("1e999", ""), 400, 3, "the number is beyond those of 64 bits", ""),
        (lookup("1,\"user_id\":2", ""), 400, 3, "`user_id` is given twice", ""),
        (lookup("1", ",\"entitiy\":1"), 400, 3, "unknown field `entitiy`", ""),
        (lookup("1", ",\"requestData\":[]"), 400, 3, "get-features-batch", "/params/requestData"),
        (lookup("1", ",\"featureViewName\":\"v\""), 400, 3, "featureServiceName", "/params/featureViewName"),
        (
            lookup("1", ",\"requestContextMap\":{\"amt\":1}"),
            400,
            3,
            "no request field `amt`",
            "/params/requestContextMap/amt",
        ),
        (lookup("1", ",\"requestOptions\":{\"asOf\":\"now\"}"), 400, 3, "RFC 3339", "/params/requestOptions/asOf"),
        (
            lookup("1", ",\"requestOptions\":{\"latencyBudgetMs\":-1}"),
            400,
            3,
            "no time",
            "/params/requestOptions/latencyBudgetMs",
        ),
        ("{\"params\":{\"joinKeyMap\":{}}}".into(), 400, 3, "names no feature service", "/params/featureServiceName"),
        ("".into(), 400, 3, "empty", ""),
        ("[]".into(), 400, 3, "1:1", ""),
        ("{\"params\":\n{},}".into(), 400, 3, "2:4, byte 14: a trailing comma", ""),
        ("\u{feff}{}".into(), 400, 3, "1:1, byte 0: a byte order mark of UTF-8 is in front", ""),
        ("{\"params\":{}}{}".into(), 400, 3, "1:14, byte 13: something follows the JSON value", ""),
        ("[".repeat(100_000), 400, 3, "not a list", ""),
        (
            format!("{{\"params\":{{\"requestContextMap\":{}", "{\"a\":".repeat(100_000)),
            400,
            3,
            "the text breaks off; send all of it",
            "",
        ),
    ];
    for (body, status, code, needle, pointer) in cases {
        let answer = client.post(GET, &body);
        refused(&answer, status, code, needle);
        assert!(answer.body.len() < 1500, "an answer does not repeat what was sent");
        if !pointer.is_empty() {
            assert_eq!(answer.json()["pointer"], pointer);
        }
    }
    assert_eq!(client.post(GET, &lookup("1", "")).status, 200, "the connection is as good as before");
}

#[test]
fn request_fields_too_many_are_ignored_when_asked_so() {
    let fixture = Fixture::new();
    let more =
        ",\"requestContextMap\":{\"amt\":[1,{\"x\":2}]},\"requestOptions\":{\"ignoreExtraRequestContextFields\":true}";
    assert_eq!(fixture.client().post(GET, &lookup("1", more)).status, 200);
}

#[test]
fn bytes_that_are_no_utf8_are_refused() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    client.send(b"POST /api/v1/feature-service/get-features HTTP/1.1\r\nhost: x\r\ncontent-length: 15\r\n\r\n{\"params\xff\xfe\":{}}").unwrap();
    assert_eq!(client.answer().status, 400);
}

#[test]
fn query_text_in_a_key_is_data() {
    let fixture = Fixture::new();
    let body = lookup("1", "").replace("c1", "'; DROP TABLE rows; --");
    assert_eq!(fixture.client().post(GET, &body).status, 200);
    let mut key = 22u32.to_le_bytes().to_vec();
    key.extend_from_slice(b"'; DROP TABLE rows; --");
    assert!(fixture.keys_seen.lock().unwrap().contains(&key));
}

#[test]
fn a_store_that_fails_stalls_or_panics_costs_one_answer() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    let answer = client.post(GET, &lookup(&DOWN_KEY.to_string(), ""));
    refused(&answer, 503, 14, "no node answers");
    assert_eq!(answer.header("retry-after"), Some("1"));
    refused(&client.post(GET, &lookup(&PANIC_KEY.to_string(), "")), 500, 13, "failed on this request");
    let budget = ",\"requestOptions\":{\"latencyBudgetMs\":5}";
    refused(&client.post(GET, &lookup(&GATE_KEY.to_string(), budget)), 504, 4, "within 5 ms");
    assert_eq!(client.post(GET, &lookup("1", "")).status, 200, "the same connection goes on");
}

#[test]
fn a_new_catalog_serves_from_the_next_request() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    assert_eq!(client.post(GET, &lookup("1", "")).status, 200);
    fixture.state.catalog.swap(catalog("dev"));
    assert_eq!(client.post(GET, &lookup("1", "")).status, 404);
    assert_eq!(client.post(GET, &lookup("1", "").replace("prod", "dev")).status, 200);
}
