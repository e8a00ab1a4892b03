//! Health, figures and the page.

use crate::fixture::{BATCH, Fixture, GET, METADATA, lookup};
use crate::lookups::refused;

#[test]
fn readiness_says_why_not() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    refused(&client.get("/readyz"), 503, 14, "not ready: starting");
    for path in ["/healthz", "/livez"] {
        assert_eq!(client.get(path).status, 200);
    }
    fixture.state.readiness.ready();
    assert_eq!(client.get("/readyz").status, 200);
    fixture.state.readiness.not_ready("draining");
    assert_eq!(client.post(GET, &lookup("1", "")).status, 200, "what is there is still given");
    refused(&client.get("/readyz"), 503, 14, "draining");
}

#[test]
fn the_scrape_holds_the_servers_and_the_engines_figures() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    client.post(GET, &lookup("1", ""));
    client.post(GET, "{");
    client.get("/nowhere");
    let answer = client.get("/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "freshet_requests_total{route=\"get-features\",status=\"200\"} 1",
        "freshet_requests_total{route=\"get-features\",status=\"400\"} 1",
        "freshet_requests_total{route=\"unknown\",status=\"404\"} 1",
        "freshet_request_seconds_count{route=\"get-features\",service=\"fraud\"} 1",
        "freshet_connections 1",
        "freshet_ready 0",
        "freshet_state_bytes{view=\"spend\"} 42",
    ] {
        assert!(answer.text().lines().any(|l| l == line), "{line} is missing in\n{}", answer.text());
    }
}

#[test]
fn the_page_is_served_with_its_parts() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    let page = client.get("/");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(page.text().contains("<td class=\"text\">fraud</td>") && page.text().contains("1,234/s"));
    for (path, kind) in [("/assets/page.css", "text/css"), ("/assets/page.js", "text/javascript")] {
        assert!(page.text().contains(path));
        assert!(client.get(path).header("content-type").unwrap().starts_with(kind));
    }
    let stats = client.get("/api/v1/stats").json();
    assert_eq!(stats["engine"]["eventsPerSecond"], 1234.0);
    assert_eq!(stats["services"][0]["name"], "fraud");
    assert_eq!(stats["notReady"], "starting");
}

#[test]
fn wrong_methods_paths_and_types_are_told() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    for (method, path, allow) in
        [("GET", GET, "POST"), ("TRACE", "/metrics", "GET, HEAD"), ("DELETE", "/ingest", "POST")]
    {
        let answer = client.request(method, path, &[], "");
        refused(&answer, 405, 12, "is asked by");
        assert_eq!(answer.header("allow"), Some(allow));
    }
    for path in ["/api/v1/feature-service", "/%2e%2e%2fetc/passwd", "//metrics", "/metrics%00", "/api/v2/x"] {
        refused(&client.get(path), 404, 5, "no route");
    }
    for kind in ["text/xml", "application/x-www-form-urlencoded"] {
        let answer = client.request("POST", GET, &[&format!("content-type: {kind}")], &lookup("1", ""));
        refused(&answer, 415, 3, "send application/json");
    }
    let untyped = client.request("POST", GET, &["authorization: Tecton-key abc"], &lookup("1", ""));
    assert_eq!(untyped.status, 200);
}

#[test]
fn lookups_wait_for_a_store_that_is_being_filled() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    fixture.state.readiness.withhold();
    fixture.state.readiness.not_ready("source `txn`: no broker answers");
    let batch = "{\"params\":{\"featureServiceName\":\"fraud\",\"requestData\":[{\"joinKeyMap\":{\"user_id\":1,\"card\":\"c\"}}]}}";
    for (path, body) in [(GET, lookup("1", "")), (BATCH, batch.to_string())] {
        let answer = client.post(path, &body);
        refused(&answer, 503, 14, "the online store is being filled, ask again: source `txn`: no broker answers");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    // What is wrong with a request is told all the same.
    refused(&client.post(GET, &lookup("1", "").replace("fraud", "fruad")), 404, 5, "did you mean `fraud`?");
    refused(&client.post(GET, &lookup("\"x\"", "")), 400, 3, "is an int64");
    refused(&client.post(BATCH, "{\"params\":"), 400, 3, "the text breaks off");
    let service = "{\"params\":{\"featureServiceName\":\"fraud\"}}";
    assert_eq!(client.post(METADATA, service).status, 200);
    fixture.state.readiness.ready();
    assert_eq!(client.post(GET, &lookup("1", "")).status, 200);
}
