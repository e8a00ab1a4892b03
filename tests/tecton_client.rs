//! The unmodified `tecton-client` from PyPI reads features from `freshet run` over plain http.
//!
//! What it must see is written in `tecton_client.py`; here the events are known, and the client is installed into a
//! virtual environment under `target` on first use.

mod process;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use freshet_config::time::{EventTime, Span};
use process::{Running, text};
use serde_json::{Value, json};

const CLIENT: &str = "tecton-client==0.4.0";

const DEFINITIONS: &str = r#"
sources:
  - name: purchases
    stream: {log: {}}
    schema:
      {user_id: int64, shop: string, cents: int64, items: int32, price: float64, weight: float32, gift: bool, at: timestamp}
    event_time: at
entities:
  - {name: user, keys: {user_id: int64}}
  - {name: shop, keys: {shop: string}}
views:
  - name: user_purchases
    source: purchases
    entity: user
    mode: continuous
    description: what a "user" bought
    tags: {team: growth}
    aggregates:
      - {name: n, fn: count, windows: [1h, 30d]}
      - {name: cents, fn: sum, of: cents, windows: [30d]}
      - {name: price, fn: mean, of: price, windows: [30d]}
      - {name: weight, fn: max, of: weight, windows: [30d]}
      - {name: items, fn: sum, of: items, windows: [30d]}
      - {name: gift, fn: last, of: gift, windows: [30d]}
      - {name: at, fn: last, of: at, windows: [30d]}
      - {name: shop, fn: last, of: shop, windows: [30d]}
  - name: shop_load
    source: purchases
    entity: shop
    mode: {interval: 1h}
    aggregates:
      - {name: n, fn: count, windows: [30d]}
      - {name: price, fn: sum, of: price, windows: [30d]}
services:
  - {name: user_v1, features: ["user_purchases.*"]}
  - {name: checkout_v1, features: ["shop_load.*", "user_purchases.n_30d"]}
  - name: failing_v1
    features: ["user_purchases.n_30d"]
    derived: [{name: share, type: int64, sql: 1 / (user_purchases.n_30d - 2)}]
"#;

/// The interpreter of an environment that has the client.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tecton-client");
    fs::create_dir_all(&target).expect("the target directory is ours");
    // Two test runs at once would write one environment.
    let lock = File::create(target.join("lock")).expect("the target directory is ours");
    lock.lock().expect("files can be locked");
    let python = target.join("venv/bin/python");
    let complete = target.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == CLIENT) {
        return python;
    }
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(target.join("venv")).output();
    let made = made.is_ok_and(|output| output.status.success());
    assert!(made, "no virtual environment can be made with python3 -m venv: run tests/services/prerequisites");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", CLIENT];
    let installed = Command::new(&python).args(pip).output().expect("the environment's python runs");
    assert!(installed.status.success(), "pip cannot install {CLIENT}: {}", text(&installed.stderr).trim_end());
    fs::write(complete, CLIENT).expect("the target directory is ours");
    python
}

/// Two purchases of user 1, two hours and one minute less ago, at whole seconds.
fn purchases(first: EventTime) -> Value {
    let second = EventTime::from_micros(first.micros() + Span::from_secs(60).micros());
    json!([
        {"record": {"user_id": 1, "shop": "north", "cents": 9_007_199_254_740_993_i64, "items": 2, "price": 1.5,
            "weight": 0.5, "gift": false, "at": first.to_string()}},
        {"record": {"user_id": 1, "shop": "söder", "cents": 7, "items": 3, "price": 2.0,
            "weight": 1.25, "gift": true, "at": second.to_string()}},
    ])
}

fn run_script(url: &str, first: EventTime) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tecton_client.py");
    let seconds = (first.micros() / 1_000_000).to_string();
    let mut command = Command::new(python());
    // Isolated: beside the script its own name would stand for the client's.
    command.arg("-I").arg(script).args([url, &seconds]).stdin(Stdio::null());
    // The server is on this machine, whatever lies between it and others.
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command.output().expect("the environment's python runs")
}

#[test]
fn the_client_reads_names_types_times_statuses_and_errors() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let definitions = dir.path().join("definitions");
    fs::create_dir(&definitions).expect("a temporary directory");
    fs::write(definitions.join("purchases.yaml"), DEFINITIONS).expect("a temporary file is written");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let arguments = [&path("definitions"), "--data-dir", &path("data"), "--listen", "127.0.0.1:0"];
    let (running, url) = Running::serve(&arguments, &[]);

    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let first = EventTime::from_micros((now as i64 - 7_200) * 1_000_000);
    let body = json!({"workspace_name": "prod", "records": {"purchases": purchases(first)}}).to_string();
    let answer = ureq::post(&format!("{url}/ingest")).header("content-type", "application/json").send(body);
    assert_eq!(answer.expect("the records are taken").status().as_u16(), 200);

    let output = run_script(&url, first);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    // The script says what it looked at, so that one that looks at nothing fails.
    assert_eq!(text(&output.stdout), "22 checks passed\n");
    running.signal("TERM");
    assert_eq!(running.end().code(), Some(0));
}
