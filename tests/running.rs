//! Processes that run: the demo to its end, and `run` fed, asked, stopped and started again.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use freshet_config::time::{EventTime, Span};
use serde_json::Value;

/// Longer than anything here takes, so that a hang fails instead of lasting.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that is killed when a test fails before its end.
struct Running(Child);

impl Running {
    fn start(arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freshet"));
        command.args(arguments).env_remove("FRESHET_LOG").stdin(Stdio::null());
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs"))
    }

    fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().expect("piped and not taken before"))
    }

    fn stderr(&mut self) -> BufReader<ChildStderr> {
        BufReader::new(self.0.stderr.take().expect("piped and not taken before"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.0.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    fn end(mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait().expect("a child can be waited for") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the process does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already over in all good cases.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads lines up to one that `wanted` takes something from.
fn find<T>(lines: &mut impl BufRead, wanted: impl Fn(&str) -> Option<T>) -> T {
    let mut seen = String::new();
    loop {
        let before = seen.len();
        let read = lines.read_line(&mut seen).expect("text");
        assert!(read > 0, "the output ended before what was awaited:\n{seen}");
        if let Some(found) = wanted(seen[before..].trim_end()) {
            return found;
        }
    }
}

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
    let mut demo = Running::start(&["demo", "--events", "20000", "--listen", "127.0.0.1:0"]);
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
    assert!(late > 0 && duplicate > 0, "{rest}");
    assert!(rest.contains(" unparsable records refused when they were pushed"), "{rest}");
    assert!(rest.contains(", 0 failed; first value served "), "{rest}");
}

#[test]
fn a_signal_ends_the_demo_in_good_order() {
    for signal in ["INT", "TERM"] {
        let mut demo = Running::start(&["demo", "--rate", "100", "--listen", "127.0.0.1:0"]);
        let mut output = demo.stdout();
        find(&mut output, pasted);
        demo.signal(signal);
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("text");
        assert_eq!(demo.end().code(), Some(0), "{rest}");
        assert!(rest.contains(" events pushed in "), "{rest}");
    }
}

fn freshet(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_freshet")).args(arguments).stdin(Stdio::null()).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `freshet run` on the fraud example, ready; gives its URL. The rest of its log is thrown away as it comes.
fn run(data_dir: &Path) -> (Running, String) {
    let dir = data_dir.display().to_string();
    let mut running = Running::start(&["run", "examples/fraud", "--data-dir", &dir, "--listen", "127.0.0.1:0"]);
    let mut log = running.stderr();
    let address = find(&mut log, |line| {
        let (_, rest) = line.split_once("listening address=")?;
        rest.split_whitespace().next().map(str::to_string)
    });
    find(&mut log, |line| line.contains("ready").then_some(()));
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (running, format!("http://{address}"))
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
    let late = now() - Span::from_secs(3 * 86_400);
    let lines = [
        event("a", "10.5", now()),
        event("b", "\"a lot\"", now()),
        event("c", "4.5", now()),
        "[]\n".to_string(),
        event("a", "10.5", now()),
        event("d", "1", late),
    ];
    std::fs::write(&file, lines.concat()).expect("a temporary file is written");
    let path = file.display().to_string();
    let fed = freshet(&["ingest", "transactions", &path, "--url", &url]);
    let errors = text(&fed.stderr);
    assert_eq!(fed.status.code(), Some(65), "{errors}");
    assert_eq!(text(&fed.stdout), "transactions: 4 accepted, 2 rejected\n");
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines[0], format!("{path}:4: not a JSON object, but another value"));
    assert!(lines[1].starts_with(&format!("{path}:2: ")) && lines[1].ends_with("[EV-TYPE]"), "{errors}");
    assert_eq!(lines[2], format!("2 records of {path} were not accepted"));
    count_becomes(&url, "2");

    let busy = freshet(&["run", "examples/fraud", "--data-dir", &data_dir.display().to_string()]);
    assert_eq!(busy.status.code(), Some(75));
    let said = format!("is in use by process {}: ", running.0.id());
    assert!(text(&busy.stderr).contains(&said), "{}", text(&busy.stderr));

    let ledger = freshet(&["ledger", "--data-dir", &data_dir.display().to_string(), "--json"]);
    let ledger: Value = serde_json::from_slice(&ledger.stdout).expect("JSON");
    let counts: Vec<(&str, u64)> = ledger["counts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|count| (count["code"].as_str().expect("text"), count["count"].as_u64().expect("a number")))
        .collect();
    assert!(counts.contains(&("EV-LATE", 1)) && counts.contains(&("EV-DUPLICATE", 1)), "{ledger}");

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

#[test]
fn requests_that_are_wrong_say_what_the_server_said() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (running, url) = run(&dir.path().join("data"));
    for (arguments, message) in [
        (&["get", "fraud_v2", "card_id=1"][..], "unknown feature service `fraud_v2`; did you mean `fraud_v1`?"),
        (&["get", "fraud_v1", "card_id=x", "merchant_id=1"], "join key `card_id` is an int64"),
        (&["ingest", "transaction", "examples/none.csv"], "cannot open examples/none.csv"),
    ] {
        let output = freshet(&[arguments, &["--url", &url]].concat());
        assert_eq!(output.status.code(), Some(65), "{arguments:?}");
        assert!(text(&output.stderr).starts_with(message), "{}", text(&output.stderr));
    }
    drop(running);
}
