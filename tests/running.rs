//! Processes that run: the demo to its end, and `run` fed, asked, stopped and started again.

mod process;

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use freshet_config::time::{EventTime, Span};
use process::{PATIENCE, Running, find, freshet, text};
use serde_json::Value;

/// The URL and the body of a `curl` line.
fn pasted(line: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix("curl -s ")?;
    let (url, rest) = rest.split_once(" -H 'content-type: application/json' -d '")?;
    Some((url.to_string(), rest.strip_suffix('\'')?.to_string()))
}

fn post(url: &str, body: &str) -> Option<Value> {
    let mut answer = ureq::post(url).header("content-type", "application/json").send(body).ok()?;
    serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
}

#[test]
fn the_demo_serves_answers_that_change_and_ends_with_a_summary() {
    let mut demo = Running::start(&["demo", "--events", "20000", "--listen", "127.0.0.1:0"], &[]);
    let mut output = demo.stdout();
    let (url, body) = find(&mut output, pasted);
    let mut answers = Vec::new();
    while let Some(answer) = post(&url, &body) {
        if answers.last() != Some(&answer["result"]) {
            answers.push(answer["result"].clone());
        }
        if answers.len() == 3 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(answers.len(), 3, "the answer of the pasted line changes from call to call: {answers:?}");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("text");
    assert!(demo.end().success(), "{rest}");
    assert!(rest.contains("20000 events pushed in "), "{rest}");
    let consumed = rest.lines().find_map(|line| line.strip_prefix("consumed ")).expect("what was consumed");
    let numbers: Vec<u64> = consumed.split([' ', ':', ',']).filter_map(|word| word.parse().ok()).collect();
    let [consumed, admitted, late, duplicate, unparsable] = numbers[..] else { panic!("{rest}") };
    assert_eq!(consumed, admitted + late + duplicate + unparsable, "{rest}");
    assert!(consumed == 20_000 && late > 0 && duplicate > 0 && unparsable > 0, "{rest}");
    assert!(rest.contains(", 0 failed; first value served "), "{rest}");
}

#[test]
fn a_signal_ends_the_demo_in_good_order() {
    for signal in ["INT", "TERM"] {
        let mut demo = Running::start(&["demo", "--rate", "100", "--listen", "127.0.0.1:0"], &[]);
        let mut output = demo.stdout();
        find(&mut output, pasted);
        demo.signal(signal);
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("text");
        assert_eq!(demo.end().code(), Some(0), "{rest}");
        assert!(rest.contains(" events pushed in "), "{rest}");
    }
}

/// `freshet run` on the fraud example, ready; and its URL.
fn run(data_dir: &Path) -> (Running, String) {
    let dir = data_dir.display().to_string();
    Running::serve(&["examples/fraud", "--data-dir", &dir, "--listen", "127.0.0.1:0"], &[])
}

fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    EventTime::from_micros(i64::try_from(since.as_micros()).expect("before 294000"))
}

fn event(id: &str, amount: &str, at: EventTime) -> String {
    format!(
        "{{\"txn_id\":\"{id}\",\"card_id\":1,\"merchant_id\":2,\"amount\":{amount},\"country\":\"DE\",\
         \"channel\":\"chip\",\"approved\":true,\"ts\":\"{at}\"}}\n"
    )
}

/// Asks until the card's 24-hour count is `count`: events are readable soon after they are durable.
fn count_becomes(url: &str, count: &str) {
    let begun = Instant::now();
    loop {
        let output = freshet(&["get", "fraud_v1", "card_id=1", "merchant_id=2", "--url", url]);
        let table = text(&output.stdout);
        let row = table.lines().find(|line| line.starts_with("card_velocity.txns_24h"));
        let cells: Vec<&str> = row.unwrap_or_default().split_whitespace().collect();
        if cells.get(1) == Some(&count) {
            assert_eq!(cells[2], "PRESENT");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{table}{}", text(&output.stderr));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn events_are_fed_looked_up_and_still_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (data_dir, file) = (dir.path().join("data"), dir.path().join("txn.ndjson"));
    let (running, url) = run(&data_dir);
    let at = now();
    let late = at - Span::from_secs(3 * 86_400);
    let lines = [
        event("a", "10.5", at),
        event("b", "\"a lot\"", now()),
        event("c", "4.5", now()),
        "[]\n".to_string(),
        event("a", "10.5", at),
        event("a", "99", at),
        event("d", "1", late),
    ];
    std::fs::write(&file, lines.concat()).expect("a temporary file is written");
    let path = file.display().to_string();
    let fed = freshet(&["ingest", "transactions", &path, "--url", &url]);
    let errors = text(&fed.stderr);
    assert_eq!(fed.status.code(), Some(65), "{errors}");
    assert_eq!(text(&fed.stdout), "transactions: 5 accepted, 2 rejected\n");
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines[0], format!("{path}:4: not a JSON object, but another value"));
    assert!(lines[1].starts_with(&format!("{path}:2: ")) && lines[1].ends_with("[EV-TYPE]"), "{errors}");
    assert_eq!(lines[2], format!("2 records of {path} were not accepted"));
    count_becomes(&url, "2");

    let busy = freshet(&["run", "examples/fraud", "--data-dir", &data_dir.display().to_string()]);
    assert_eq!(busy.status.code(), Some(75));
    let said = format!("is in use by process {}: ", running.id());
    assert!(text(&busy.stderr).contains(&said), "{}", text(&busy.stderr));

    let ledger = freshet(&["ledger", "--data-dir", &data_dir.display().to_string(), "--json"]);
    let ledger: Value = serde_json::from_slice(&ledger.stdout).expect("JSON");
    let counts: Vec<(&str, u64)> = ledger["counts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|count| (count["code"].as_str().expect("text"), count["count"].as_u64().expect("a number")))
        .collect();
    for code in ["EV-LATE", "EV-DUPLICATE", "EV-CONFLICT"] {
        assert!(counts.contains(&(code, 1)), "{code}: {ledger}");
    }

    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
    let (running, url) = run(&data_dir);
    count_becomes(&url, "2");
    std::fs::write(&file, event("e", "2", now())).expect("a temporary file is written");
    assert!(freshet(&["ingest", "transactions", &path, "--url", &url]).status.success());
    count_becomes(&url, "3");
    running.signal("INT");
    assert_eq!(running.end().code(), Some(0));
}

/// Values that expire ten minutes after the last event.
const EXPIRING: &str = "
sources:
  - {name: txn, stream: {log: {}}, schema: {id: int64, amount: int64, ts: timestamp}, event_time: ts}
entities:
  - {name: card, keys: {id: int64}}
views:
  - name: card_txn
    source: txn
    entity: card
    serving_ttl: 10m
    aggregates:
      - {name: n, fn: count, windows: [1h]}
      - {name: amount, fn: sum, of: amount, windows: [1h]}
services:
  - {name: s, features: [\"card_txn.*\"]}
";

/// A feature's value and what is said of it.
type Shown = (Value, String, Option<String>);

/// The features of a service for the key 7, over the socket.
fn asked(url: &str, service: &str, at: EventTime) -> Vec<Shown> {
    let body = serde_json::json!({"params": {
        "featureServiceName": service,
        "joinKeyMap": {"id": "7"},
        "metadataOptions": {"includeServingStatus": true},
        "requestOptions": {"asOf": at.to_string()},
    }});
    let answer = post(&format!("{url}/api/v1/feature-service/get-features"), &body.to_string()).expect("an answer");
    let values = answer["result"]["features"].as_array().expect("a list").iter();
    let about = answer["metadata"]["features"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().map(str::to_string);
    let one = |(value, about): (&Value, &Value)| {
        (value.clone(), text(&about["status"]).expect("text"), text(&about["statusReason"]))
    };
    values.zip(about).map(one).collect()
}

/// A process on definitions of a test's own, and its URL; the second one of a directory goes on where the first was.
fn run_on(dir: &Path, definitions: &str) -> (Running, String) {
    let directory = dir.join("definitions");
    std::fs::create_dir_all(&directory).expect("a temporary directory is written");
    std::fs::write(directory.join("features.yaml"), definitions).expect("a temporary file is written");
    let (directory, data_dir) = (directory.display().to_string(), dir.join("data").display().to_string());
    Running::serve(&[&directory, "--data-dir", &data_dir, "--listen", "127.0.0.1:0"], &[])
}

/// Feeds lines to the source `txn`.
fn feed(dir: &Path, url: &str, lines: &[String]) {
    let file = dir.join("txn.ndjson");
    std::fs::write(&file, lines.concat()).expect("a temporary file is written");
    let fed = freshet(&["ingest", "txn", &file.display().to_string(), "--url", url]);
    assert!(fed.status.success(), "{}", text(&fed.stderr));
}

/// Asks until the first feature has this status.
fn status_becomes(url: &str, service: &str, at: EventTime, status: &str) -> Vec<Shown> {
    let begun = Instant::now();
    loop {
        let shown = asked(url, service, at);
        if shown[0].1 == status {
            return shown;
        }
        assert!(begun.elapsed() < PATIENCE, "{shown:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn values_expire_over_the_socket() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (running, url) = run_on(dir.path(), EXPIRING);
    let at = now();
    feed(dir.path(), &url, &[format!("{{\"id\":7,\"amount\":4,\"ts\":\"{at}\"}}\n")]);
    // A row answers from its writing on.
    let written = at + Span::from_secs(300);
    let present = |value: &str| (Value::from(value), "PRESENT".to_string(), None);
    assert_eq!(status_becomes(&url, "s", written, "PRESENT"), [present("1"), present("4")]);
    let expires = at + Span::from_secs(600);
    let before = EventTime::from_micros(expires.micros() - 1);
    assert_eq!(asked(&url, "s", before), [present("1"), present("4")]);
    let expired = (Value::Null, "EXPIRED".to_string(), None);
    for later in [expires, expires + Span::from_secs(3000), expires + Span::from_secs(86_400)] {
        assert_eq!(asked(&url, "s", later), [expired.clone(), expired.clone()], "at {later}");
    }
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

/// A key of many events, and features made of what its row cannot say.
const MANY: &str = "
sources:
  - {name: txn, stream: {log: {}}, schema: {id: int64, amount: int64, ts: timestamp}, event_time: ts}
entities:
  - {name: card, keys: {id: int64}}
views:
  - {name: v, source: txn, entity: card, aggregates: [{name: n, fn: count, windows: [3h]}]}
services:
  - name: s
    features: [v]
    derived:
      - {name: known, type: int64, sql: \"coalesce(v.n_3h, 0)\"}
      - {name: few, type: bool, sql: \"derived.known < 10\"}
";

/// What no window saw any more when the process started has no row: nothing is said of it, not even 0.
#[test]
fn instants_before_a_start_are_stale_where_there_is_no_row() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let at = now() - Span::from_secs(3 * 86_400);
    std::fs::create_dir(dir.path().join("definitions")).expect("a temporary directory is written");
    let line = format!("{{\"id\":7,\"amount\":4,\"ts\":\"{at}\"}}\n");
    std::fs::write(dir.path().join("definitions/txn.ndjson"), line).expect("a temporary file is written");
    let definitions = EXPIRING.replace("    serving_ttl: 10m\n", "");
    let (running, url) =
        run_on(dir.path(), &definitions.replace("stream: {log: {}}", "history: {ndjson: {path: txn.ndjson}}"));
    let both = |status: &str| [(); 2].map(|()| (Value::Null, status.to_string(), None));
    assert_eq!(asked(&url, "s", at), both("STALE"));
    assert_eq!(asked(&url, "s", now()), both("MISSING_DATA"));
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

/// A late event may have changed what lies in the past, when no window holds it any more.
#[test]
fn views_over_changes_answer_for_the_present_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let definitions = EXPIRING
        .replace("    serving_ttl: 10m\n", "")
        .replace("entities:", "  - {name: states, changes_of: card_txn, lateness: 1h}\nentities:")
        + "  - {name: c, features: [\"changed.*\"]}\n";
    let definitions = definitions.replace(
        "services:",
        "  - {name: changed, source: states, entity: card, aggregates: [{name: n, fn: count, windows: [1h]}]}\nservices:",
    );
    let (running, url) = run_on(dir.path(), &definitions);
    let at = now();
    feed(dir.path(), &url, &[format!("{{\"id\":7,\"amount\":4,\"ts\":\"{at}\"}}\n")]);
    let shown = status_becomes(&url, "c", at + Span::from_secs(60), "PRESENT");
    assert_eq!(shown[0].0, Value::from("1"));
    // It has passed when the server looks at it, and lies no further back than changes are waited for.
    assert_eq!(asked(&url, "c", now())[0].1, "PRESENT");
    assert_eq!(asked(&url, "c", at - Span::from_secs(2 * 3600))[0].1, "STALE");
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

#[test]
fn what_is_made_of_a_stale_feature_is_stale() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (running, url) = run_on(dir.path(), MANY);
    let at = now();
    let line = |i: i64| format!("{{\"id\":7,\"amount\":4,\"ts\":\"{}\"}}\n", at - Span::from_secs(60 * i));
    feed(dir.path(), &url, &(0..100).map(line).collect::<Vec<_>>());
    let shown = status_becomes(&url, "s", at + Span::from_secs(60), "PRESENT");
    let values: Vec<&Value> = shown.iter().map(|(value, ..)| value).collect();
    assert_eq!(values, [&Value::from("100"), &Value::from("100"), &Value::from(false)]);
    // Before its row's instant a key of many events is known of no more.
    let stale = (Value::Null, "STALE".to_string(), None);
    assert_eq!(asked(&url, "s", at - Span::from_secs(3000)), [stale.clone(), stale.clone(), stale]);
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

/// Values that cannot be given, each for its reason.
const FAILING: &str = "
sources:
  - {name: txn, stream: {log: {}}, schema: {id: int64, amount: int64, shop: string, ts: timestamp}, event_time: ts}
entities:
  - {name: card, keys: {id: int64}}
views:
  - name: card_txn
    source: txn
    entity: card
    aggregates:
      - {name: amount, fn: sum, of: amount, windows: [1h]}
      - {name: shops, fn: count_distinct, of: shop, limit: 2, windows: [1h]}
      - {name: n, fn: count, windows: [1h]}
      - {name: by_shop, fn: sum, of: amount, by: shop, windows: [1h]}
services:
  - name: s
    features: [\"card_txn.*\"]
    derived: [{name: share, type: int64, sql: 1 / (card_txn.n_1h - 40)}]
";

#[test]
fn errors_say_why_and_are_counted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (running, url) = run_on(dir.path(), FAILING);
    let at = now();
    let line = |n: i64| {
        let amount = if n < 3 { i64::MAX / 2 } else { 0 };
        format!("{{\"id\":7,\"amount\":{amount},\"shop\":\"s{}\",\"ts\":\"{at}\"}}\n", n % 3)
    };
    feed(dir.path(), &url, &(0..40).map(line).collect::<Vec<_>>());
    let written = at + Span::from_secs(300);
    let begun = Instant::now();
    let names = || asked(&url, "s", written);
    while !names().iter().any(|(value, _, _)| *value == "40") {
        assert!(begun.elapsed() < PATIENCE, "{:?}", names());
        std::thread::sleep(Duration::from_millis(20));
    }
    let reasons: Vec<(String, Option<String>)> = names().into_iter().map(|(_, status, why)| (status, why)).collect();
    let error = |why: &str| ("ERROR".to_string(), Some(why.to_string()));
    let fine = || ("PRESENT".to_string(), None);
    assert_eq!(
        reasons,
        [
            error("the sum is beyond int64"),
            error("more than 2 distinct values in the window"),
            fine(),
            fine(),
            error("the expression failed: division by zero"),
        ]
    );
    let table = text(&freshet(&["get", "s", "id=7", "--url", &url]).stdout);
    assert!(table.contains("ERROR: the expression failed: division by zero"), "{table}");
    let mut answer = ureq::get(&format!("{url}/metrics")).call().expect("an answer");
    let metrics = answer.body_mut().read_to_string().expect("text");
    for (view, reason) in [("card_txn", "overflow"), ("card_txn", "too_many_values"), ("derived", "expression")] {
        let sample = format!("freshet_error_values_total{{service=\"s\",view=\"{view}\",reason=\"{reason}\"}} ");
        assert!(metrics.contains(&sample), "{sample} in {metrics}");
    }
    // The key has more than 32 events, so that its row has a window of more than two values; its view is one to its author.
    assert!(metrics.contains("freshet_keys_over_value_limit{view=\"card_txn\"} 1\n"), "{metrics}");
    assert!(metrics.contains("freshet_keys{view=\"card_txn\"} 2\n") && !metrics.contains('@'), "{metrics}");
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

/// Sums of ten seconds, and what a request makes of them.
const DERIVED: &str = "
sources:
  - {name: txn, stream: {log: {}}, schema: {id: int64, amount: float64, ts: timestamp}, event_time: ts}
entities:
  - {name: card, keys: {id: int64}}
views:
  - name: card_txn
    source: txn
    entity: card
    aggregates: [{name: amount, fn: sum, of: amount, windows: [1h]}]
realtime:
  - name: ratios
    request: {amount: float64}
    features: [{name: share, type: float64, sql: request.amount / card_txn.amount_1h}]
services:
  - name: fraud
    features: [ratios.share]
    request: {label: string, known: bool}
    derived:
      - {name: loud, type: string, sql: upper(request.label)}
      - {name: alarm, type: bool, sql: derived.loud = 'X1' and not request.known and ratios.share > 0.25}
";

#[test]
fn derived_features_are_made_of_a_request_and_of_what_is_stored() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let definitions = dir.path().join("definitions");
    std::fs::create_dir(&definitions).expect("a temporary directory is written");
    std::fs::write(definitions.join("features.yaml"), DERIVED).expect("a temporary file is written");
    let (definitions, data_dir) = (definitions.display().to_string(), dir.path().join("data").display().to_string());
    let (running, url) = Running::serve(&[&definitions, "--data-dir", &data_dir, "--listen", "127.0.0.1:0"], &[]);
    let file = dir.path().join("txn.ndjson");
    let events: String =
        [4, 6].iter().map(|amount| format!("{{\"id\":7,\"amount\":{amount},\"ts\":\"{}\"}}\n", now())).collect();
    std::fs::write(&file, events).expect("a temporary file is written");
    assert!(freshet(&["ingest", "txn", &file.display().to_string(), "--url", &url]).status.success());
    let ask = |fields: &[&str]| {
        let fields: Vec<&str> = fields.iter().flat_map(|field| ["--request", field]).collect();
        freshet(&[&["get", "fraud", "id=7", "--url", &url], &fields[..]].concat())
    };
    let begun = Instant::now();
    loop {
        let output = ask(&["amount=5", "label=x1", "known=false"]);
        let table = text(&output.stdout);
        let cells: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        if cells.first().is_some_and(|share| share[1] == "0.5") {
            assert_eq!(
                cells,
                [
                    ["ratios.share", "0.5", "PRESENT"],
                    ["derived.loud", "X1", "PRESENT"],
                    ["derived.alarm", "true", "PRESENT"]
                ]
            );
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{table}{}", text(&output.stderr));
        std::thread::sleep(Duration::from_millis(20));
    }
    let refused = ask(&["amount=5", "label=x1"]);
    assert_eq!(refused.status.code(), Some(65));
    assert!(
        text(&refused.stderr).starts_with("service `fraud` needs request field `known`"),
        "{}",
        text(&refused.stderr)
    );
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}

#[test]
fn requests_that_are_wrong_say_what_the_server_said() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (running, url) = run(&dir.path().join("data"));
    let file = dir.path().join("txn.ndjson");
    std::fs::write(&file, event("a", "1", now())).expect("a temporary file is written");
    let file = file.display().to_string();
    let fed = ["ingest", "transaction", &file];
    for (arguments, message) in [
        (&["get", "fraud_v2", "card_id=1"][..], "unknown feature service `fraud_v2`; did you mean `fraud_v1`?"),
        (&["get", "fraud_v1", "card_id=x", "merchant_id=1"], "join key `card_id` is an int64"),
        (&fed, "no source `transaction` takes records over HTTP; did you mean `transactions`?"),
    ] {
        let output = freshet(&[arguments, &["--url", &url]].concat());
        assert_eq!(output.status.code(), Some(65), "{arguments:?}");
        assert!(text(&output.stderr).starts_with(message), "{}", text(&output.stderr));
    }
    drop(running);
}

/// An event of the history that one view cannot take for its key, and no other either, has its place: in the ledger, and in
/// what is said of a dataset.
#[test]
fn rows_without_a_key_have_their_place() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let definitions = dir.path().join("definitions");
    std::fs::create_dir(&definitions).expect("a temporary directory");
    let write = |name: &str, content: &str| std::fs::write(dir.path().join(name), content).expect("it is written");
    write(
        "definitions/sales.yaml",
        "sources:\n  - name: sales\n    history: {ndjson: {path: ../sales.ndjson}}\n\
         \x20   schema: {shop: int64, city: string, at: timestamp}\n    event_time: at\n\
         entities:\n  - {name: shop, keys: {shop: int64}}\n  - {name: city, keys: {city: string}}\n\
         views:\n  - {name: v, source: sales, entity: shop, aggregates: [{name: n, fn: count, windows: [1h]}]}\n\
         \x20 - {name: w, source: sales, entity: city, aggregates: [{name: n, fn: count, windows: [1h]}]}\n\
         services:\n  - {name: s, features: [v, w]}\n",
    );
    let at = now();
    let events = ["\"shop\":1,", "\"city\":\"Oslo\",", ""].map(|keys| format!("{{{keys}\"at\":\"{at}\"}}\n"));
    write("sales.ndjson", &events.concat());
    write("spine.csv", &format!("shop,city,time\n1,Oslo,{at}\n"));
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (spine, out, data) = (path("spine.csv"), path("out.csv"), path("data"));
    let wanted = "sales.ndjson, row 2: a join key of every view that would take the event is null or too long [EV-KEY]";

    let made = freshet(&["dataset", &path("definitions"), "--service", "s", "--spine", &spine, "--out", &out]);
    assert!(made.status.success() && text(&made.stderr).contains(wanted), "{}", text(&made.stderr));

    let run = [&path("definitions"), "--data-dir", &data, "--listen", "127.0.0.1:0"];
    let (running, _) = Running::serve(&run, &[]);
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
    let ledger = text(&freshet(&["ledger", "--data-dir", &data]).stdout);
    assert!(ledger.contains(wanted), "{ledger}");
}
