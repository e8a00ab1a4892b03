//! Processes whose CQL store is not there, at the start or later: they stay up, say what they wait for, and go on by themselves
//! when it comes.

mod process;
mod services;
mod site;

use std::time::{Duration, Instant};

use process::{PATIENCE, freshet, text};
use services::{Service, closed_port};
use site::{Site, ask};

const DEFINITIONS: &str = "
sources:
  - name: sales
    stream: {log: {}}
    schema: {id: int64, amount: int64, ts: timestamp}
    event_time: ts
entities:
  - {name: customer, keys: {id: int64}}
views:
  - name: spend
    source: sales
    entity: customer
    aggregates: [{name: amount, fn: sum, of: amount, windows: [3650d]}]
services:
  - {name: checkout, features: [\"spend.*\"]}
";

/// A process whose rows go to this node.
fn site(node: &str) -> Site {
    Site::new(DEFINITIONS, &format!("[store]\nkind = \"scylla\"\nnodes = [\"{node}\"]\n"))
}

/// Asks `/readyz` until it has this status and says these things.
fn readiness(url: &str, wanted: u16, parts: &[&str]) {
    let begun = Instant::now();
    loop {
        let (status, body) = ask(url, "/readyz");
        let said = body.to_string();
        if status == wanted && parts.iter().all(|part| said.contains(part)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{status} {body} instead of {parts:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Feeds a sale of a customer; what is accepted is in the log.
fn sell(url: &str, amount: u32) {
    let now = freshet_config::time::EventTime::from_micros(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_micros() as i64,
    );
    let body = format!(
        "{{\"records\": {{\"sales\": [{{\"record\": {{\"id\": 7, \"amount\": {amount}, \"ts\": \"{now}\"}}}}]}}}}"
    );
    let answer = ureq::post(&format!("{url}/ingest")).header("content-type", "application/json").send(body);
    assert_eq!(answer.expect("an answer").status(), 200);
}

/// What `freshet get` answers: the value of the only feature, or why there is none.
fn amount(url: &str) -> Result<String, String> {
    let shown = freshet(&["get", "checkout", "id=7", "--url", url]);
    match shown.status.success() {
        false => Err(text(&shown.stderr)),
        true => {
            let table = text(&shown.stdout);
            let value = table.lines().last().and_then(|line| line.split_whitespace().nth(1)).map(str::to_string);
            value.ok_or(table)
        }
    }
}

fn amount_becomes(url: &str, wanted: &str) {
    let begun = Instant::now();
    while amount(url).as_deref() != Ok(wanted) {
        assert!(begun.elapsed() < PATIENCE, "{:?} instead of {wanted}", amount(url));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_store_is_waited_for_at_the_start_and_later() {
    let mut node = Service::cassandra_later();
    let site = site(&node.address());
    let (running, url) = site.run();
    let wanted = format!("no ScyllaDB node of {} can be reached", node.address());
    readiness(&url, 503, &[&wanted, "trying again"]);
    assert_eq!(ask(&url, "/healthz").0, 200);
    sell(&url, 5);
    let early = amount(&url).unwrap_err();
    assert!(early.starts_with("the online store is being filled, ask again: ") && early.contains(&wanted), "{early}");

    node.start();
    readiness(&url, 200, &[]);
    amount_becomes(&url, "5");

    // What is accepted meanwhile is in the log, and becomes a row when the store is back.
    node.kill();
    sell(&url, 6);
    readiness(&url, 503, &[&format!("ScyllaDB at {} does not ", node.address()), "trying"]);
    let refused = amount(&url).unwrap_err();
    assert!(refused.contains("ScyllaDB cannot be read for view `spend`"), "{refused}");
    node.start();
    readiness(&url, 200, &[]);
    amount_becomes(&url, "11");

    // Who waits to write a row ends when told; the next one finds the event in the log, and the rows in the store.
    node.kill();
    sell(&url, 7);
    readiness(&url, 503, &[]);
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
    let (running, url) = site.run();
    readiness(&url, 503, &[&wanted]);
    let refused = amount(&url).unwrap_err();
    assert!(refused.contains(&wanted) && !refused.contains("is being filled"), "{refused}");
    node.start();
    readiness(&url, 200, &[]);
    amount_becomes(&url, "18");
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

#[test]
fn who_waits_for_a_store_ends_when_told() {
    let site = site(&format!("127.0.0.1:{}", closed_port()));
    let (running, url) = site.run();
    sell(&url, 5);
    readiness(&url, 503, &[]);
    running.signal("INT");
    assert_eq!(running.end().code(), Some(0));
}
