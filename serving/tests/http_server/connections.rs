//! What connections survive: floods, dribbles, lies about length, and the end of the server.

use std::time::Duration;

use freshet_serving::{Limits, Server, ServerConfig};

use crate::fixture::{Fixture, GATE_KEY, GET, lookup};
use crate::lookups::refused;

fn post_head(headers: &str) -> Vec<u8> {
    format!("POST {GET} HTTP/1.1\r\nhost: x\r\n{headers}\r\n").into_bytes()
}

#[test]
fn a_connection_is_kept() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    for _ in 0..50 {
        assert_eq!(client.post(GET, &lookup("1", "")).status, 200);
    }
    assert!(client.get("/metrics").text().contains("status=\"200\"} 50"));
}

#[test]
fn pipelined_requests_are_answered_in_order_and_garbage_ends_them() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    let body = lookup("1", "");
    let mut bytes = post_head(&format!("content-length: {}\r\n", body.len()));
    bytes.extend_from_slice(body.as_bytes());
    bytes.extend_from_slice(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n\x00\x01garbage\r\n\r\n");
    client.send(&bytes).unwrap();
    assert!(client.answer().text().contains("features"));
    assert!(client.answer().text().contains("live"));
    refused(&client.answer(), 400, 3, "head cannot be read");
    assert!(client.ended());
    let mut other = fixture.client();
    assert_eq!(other.get("/livez").status, 200);
    assert!(other.get("/metrics").text().contains("freshet_requests_total{route=\"unknown\",status=\"400\"} 1"));
}

#[test]
fn a_body_too_large_by_its_own_account_is_not_read() {
    let fixture = Fixture::new();
    let mut client = fixture.client();
    client.send(&post_head("content-length: 1000000000\r\n")).unwrap();
    // Nothing of the body was sent: the answer cannot have waited for it.
    refused(&client.answer(), 413, 8, "larger than 1048576 bytes");
}

#[test]
fn a_body_without_end_is_cut() {
    let limits = Limits { body_bytes: 1000, ..Limits::default() };
    let fixture = Fixture::with(limits);
    let mut client = fixture.client();
    client.send(&post_head("transfer-encoding: chunked\r\n")).unwrap();
    let chunk = format!("64\r\n{}\r\n", " ".repeat(100));
    for _ in 0..20 {
        client.send(chunk.as_bytes()).unwrap();
    }
    let answer = client.answer();
    refused(&answer, 413, 8, "larger than 1000 bytes");
    assert_eq!(answer.header("connection"), Some("close"));
}

#[test]
fn a_body_that_dribbles_is_given_up() {
    let limits = Limits { body_timeout: Duration::from_millis(50), ..Limits::default() };
    let fixture = Fixture::with(limits);
    let mut client = fixture.client();
    client.send(&post_head("content-length: 100\r\n")).unwrap();
    client.send(b"{\"par").unwrap();
    refused(&client.answer(), 408, 4, "did not arrive within 0.05 s");
    assert!(client.ended());
}

#[test]
fn headers_that_dribble_are_given_up() {
    let limits = Limits { header_timeout: Duration::from_millis(50), ..Limits::default() };
    let fixture = Fixture::with(limits);
    let mut client = fixture.client();
    client.send(b"GET /livez HT").unwrap();
    assert!(client.ended());
}

#[test]
fn bodies_share_a_budget() {
    let limits = Limits { buffered_bytes: 150, ..Limits::default() };
    let fixture = Fixture::with(limits);
    let more = format!("{}{}", lookup("1", ""), " ".repeat(100));
    refused(&fixture.client().post(GET, &more), 503, 14, "too many request bodies");
    let small = fixture.client().post(GET, &lookup("1", ""));
    assert_eq!(small.status, 200, "what was refused is given back: {}", small.text());
}

#[test]
fn heads_have_limits() {
    let fixture = Fixture::new();
    let mut large = fixture.client();
    let header = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    // The server may answer and close before it has all of it.
    let _ = large.send(header.as_bytes());
    refused(&large.answer(), 431, 8, "more than 32768 bytes or 100 header fields");
    assert!(large.ended());
    let mut many = fixture.client();
    let fields: String = (0..200).map(|i| format!("x{i}: 1\r\n")).collect();
    let _ = many.send(format!("GET /livez HTTP/1.1\r\nhost: x\r\n{fields}\r\n").as_bytes());
    refused(&many.answer(), 431, 8, "100 header fields");
    let mut long = fixture.client();
    let path = "y".repeat(70_000);
    let _ = long.send(format!("GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    refused(&long.answer(), 431, 8, "more than 32768 bytes");
}

#[test]
fn lengths_that_lie_smuggle_nothing() {
    let fixture = Fixture::new();
    let body = lookup("1", "");
    for headers in ["content-length: 5\r\ncontent-length: 6\r\n", "content-length: x\r\n", "transfer-encoding: x\r\n"] {
        let mut client = fixture.client();
        client.send(&post_head(headers)).unwrap();
        let answer = client.answer();
        refused(&answer, 400, 3, "length of the body");
        assert_eq!(answer.header("connection"), Some("close"), "{headers}");
        assert!(client.ended(), "{headers}");
    }
    for headers in
        ["content-length: 4\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: chunked\r\ncontent-length: 4\r\n"]
    {
        let mut client = fixture.client();
        let mut bytes = post_head(headers);
        bytes.extend_from_slice(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n");
        client.send(&bytes).unwrap();
        let answer = client.answer();
        refused(&answer, 400, 3, "both Content-Length and Transfer-Encoding");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.ended(), "what follows such a body is never read");
    }
    let mut two_hosts = fixture.client();
    two_hosts.send(&post_head(&format!("host: other\r\ncontent-length: {}\r\n", body.len()))).unwrap();
    two_hosts.send(body.as_bytes()).unwrap();
    refused(&two_hosts.answer(), 400, 3, "more than one Host");
    // One after the other they are no lie.
    let mut honest = fixture.client();
    assert_eq!(honest.post(GET, &body).status, 200);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    honest.send(&[&post_head("transfer-encoding: chunked\r\n")[..], chunked.as_bytes()].concat()).unwrap();
    assert_eq!(honest.answer().status, 200);
    let mut short = fixture.client();
    short.send(&post_head("content-length: 4\r\n")).unwrap();
    short.send(b"{}  ").unwrap();
    refused(&short.answer(), 400, 3, "no `params`");
}

#[test]
fn lengths_and_codings_that_nobody_reads_are_told() {
    let fixture = Fixture::new();
    for length in ["18446744073709551615", "18446744073709551614", "184467440737095516150"] {
        let mut client = fixture.client();
        client.send(&post_head(&format!("content-length: {length}\r\n"))).unwrap();
        let answer = client.answer();
        refused(&answer, 413, 8, "say how many it has");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let body = lookup("1", "");
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for (coding, status, code, needle) in [
        ("transfer-encoding: gzip, chunked\r\n", 501, 12, "`gzip, chunked`; send `chunked` alone"),
        ("transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n", 501, 12, "send `chunked` alone"),
        ("transfer-encoding: chunked, chunked\r\n", 400, 3, "more than once"),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", 400, 3, "more than once"),
    ] {
        let mut client = fixture.client();
        client.send(&[&post_head(coding)[..], chunks.as_bytes()].concat()).unwrap();
        let answer = client.answer();
        refused(&answer, status, code, needle);
        assert_eq!(answer.header("connection"), Some("close"), "{coding}");
        assert!(client.ended(), "{coding}");
    }
}

/// What is answered before a body is read keeps its connection, or says that it does not.
#[test]
fn a_body_that_comes_behind_its_answer_ends_nothing_unsaid() {
    let fixture = Fixture::new();
    let head = |method: &str, path: &str, more: &str, bytes: usize| {
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{more}content-length: {bytes}\r\n\r\n").into_bytes()
    };
    for (method, path, more, status) in [
        ("POST", GET, "content-type: text/xml\r\n", 415),
        ("POST", GET, "content-encoding: gzip\r\n", 415),
        ("POST", "/nowhere", "", 404),
        ("PUT", GET, "", 405),
        ("GET", "/livez", "", 200),
    ] {
        let mut client = fixture.client();
        client.send(&head(method, path, more, 100)).unwrap();
        let answer = client.answer();
        assert_eq!((answer.status, answer.header("connection")), (status, None), "{method} {path}");
        client.send(&[b'x'; 60]).unwrap();
        client.send(&[b'x'; 40]).unwrap();
        assert_eq!(client.post(GET, &lookup("1", "")).status, 200, "{method} {path}: the connection goes on");

        for (more, bytes) in [(more.to_string(), 1 << 20), (format!("{more}expect: 100-continue\r\n"), 100)] {
            let mut client = fixture.client();
            client.send(&head(method, path, &more, bytes)).unwrap();
            let answer = client.answer();
            assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{method} {path} {more}");
        }
    }
}

#[test]
fn lookups_beyond_the_limit_are_told_to_come_back() {
    let limits = Limits { in_flight: 1, ..Limits::default() };
    let fixture = Fixture::with(Limits { lookup_timeout: Duration::from_secs(60), ..limits });
    let mut first = fixture.client();
    let body = lookup(&GATE_KEY.to_string(), "");
    first.send(&post_head(&format!("content-length: {}\r\n", body.len()))).unwrap();
    first.send(body.as_bytes()).unwrap();
    fixture.await_waiting(1);
    let mut second = fixture.client();
    let answer = second.post(GET, &lookup("1", ""));
    refused(&answer, 503, 14, "works on 1 lookups already");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(second.get("/metrics").text().contains("freshet_shed_total{reason=\"lookups\"} 1"));
    fixture.gate.add_permits(1);
    assert_eq!(first.answer().status, 200);
    // The place is given back before the answer is sent.
    assert_eq!(first.post(GET, &lookup("1", "")).status, 200);
}

#[test]
fn a_caller_who_leaves_takes_the_work_along() {
    let limits = Limits { in_flight: 1, lookup_timeout: Duration::from_secs(600), ..Limits::default() };
    let fixture = Fixture::with(limits);
    let mut leaving = fixture.client();
    let body = lookup(&GATE_KEY.to_string(), "");
    leaving.send(&post_head(&format!("content-length: {}\r\n", body.len()))).unwrap();
    leaving.send(body.as_bytes()).unwrap();
    fixture.await_waiting(1);
    drop(leaving);
    // The one place becomes free though nobody opened the gate.
    let mut client = fixture.client();
    while client.post(GET, &lookup("1", "")).status != 200 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    let fixture = Fixture::with(Limits { connections: 1, ..Limits::default() });
    let mut first = fixture.client();
    assert_eq!(first.get("/livez").status, 200);
    let mut second = fixture.client();
    refused(&second.answer(), 503, 14, "1 connections already");
    assert!(second.ended());
    assert_eq!(first.get("/livez").status, 200);
}

#[test]
fn shutdown_finishes_what_is_in_flight() {
    let fixture = Fixture::with(Limits { lookup_timeout: Duration::from_secs(60), ..Limits::default() });
    let (mut busy, mut idle) = (fixture.client(), fixture.client());
    assert_eq!(idle.get("/livez").status, 200);
    let body = lookup(&GATE_KEY.to_string(), "");
    busy.send(&post_head(&format!("content-length: {}\r\n", body.len()))).unwrap();
    busy.send(body.as_bytes()).unwrap();
    fixture.await_waiting(1);
    let Fixture { server, gate, .. } = fixture;
    let address = server.local_addr();
    let stopping = std::thread::spawn(move || server.shutdown());
    assert!(idle.ended(), "a connection that waits is closed at once");
    gate.add_permits(1);
    assert_eq!(busy.answer().status, 200);
    assert!(busy.ended(), "no other request is taken");
    stopping.join().unwrap();
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn shutdown_cuts_what_does_not_end() {
    let limits = Limits {
        drain_timeout: Duration::from_millis(20),
        lookup_timeout: Duration::from_secs(600),
        ..Limits::default()
    };
    let fixture = Fixture::with(limits);
    let mut client = fixture.client();
    let body = lookup(&GATE_KEY.to_string(), "");
    client.send(&post_head(&format!("content-length: {}\r\n", body.len()))).unwrap();
    client.send(body.as_bytes()).unwrap();
    fixture.await_waiting(1);
    fixture.server.shutdown();
    assert!(client.ended());
}

#[test]
fn a_port_in_use_is_an_error() {
    let fixture = Fixture::new();
    let config = ServerConfig { listen: fixture.server.local_addr(), threads: 1, limits: Limits::default() };
    let error = Server::bind(config, fixture.state.clone()).unwrap_err().to_string();
    assert!(error.starts_with("cannot listen on 127.0.0.1:"), "{error}");
}
