//! `freshet dataset`: what it says of what it left out, could not compute or cannot write.

use std::fs;
use std::path::Path;

use crate::process::{freshet, text};
use crate::{refused, write};

/// Definitions with a history, of which two rows of five are no events, and a spine.
fn shop(dir: &Path) {
    write(
        dir,
        "shop.yaml",
        "sources:\n  - name: sales\n    history: {ndjson: {path: sales.ndjson}}\n\
         \x20   schema: {shop: int64, amount: float64, at: timestamp}\n    event_time: at\n\
         entities:\n  - {name: shop, keys: {shop: int64}}\n\
         views:\n  - {name: v, source: sales, entity: shop, aggregates: [{name: n, fn: count, windows: [1h]}]}\n\
         services:\n  - {name: s, features: [v]}\n",
    );
    let event = |amount: &str| format!("{{\"shop\":1,\"amount\":{amount},\"at\":\"2026-01-01T00:00:00Z\"}}\n");
    let events = ["1", "\"NaN\"", "2", "true", "\"inf\""].map(event).concat();
    write(dir, "sales.ndjson", &events);
    write(dir, "spine.csv", "shop,time\n1,2026-01-01T00:30:00Z\n");
}

#[test]
fn a_dataset_of_a_service_that_is_not_there_says_what_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write(dir.path(), "spine.csv", "card_id,time\n1,2026-01-01T00:00:00Z\n");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (spine, out) = (path("spine.csv"), path("out.csv"));
    let (status, errors) =
        refused(&["dataset", "examples/fraud", "--service", "fraud_v2", "--spine", &spine, "--out", &out]);
    assert_eq!((status, errors.as_str()), (65, "there is no service `fraud_v2`: did you mean `fraud_v1`?\n"));
}

#[test]
fn a_dataset_says_what_of_the_history_it_left_out() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    shop(dir.path());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (definitions, spine, out) = (dir.path().display().to_string(), path("spine.csv"), path("out.csv"));
    let arguments = ["dataset", &definitions, "--service", "s", "--spine", &spine, "--out", &out];
    let made = freshet(&arguments);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    assert_eq!(text(&made.stdout), format!("{out}: 1 row\n"));
    assert_eq!(
        text(&made.stderr),
        "3 rows of the history of source `sales` are no events and were left out (EV-RANGE 2, EV-TYPE 1); the first: \
         sales.ndjson, line 2: `amount` is NaN: events hold finite numbers only [EV-RANGE]\n"
    );
    assert_eq!(fs::read_to_string(&out).expect("written"), "shop,time,v__n_1h\n1,2026-01-01T00:30:00Z,2\n");
    let made = freshet(&[&arguments[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!((report["rows"].as_u64(), report["refusedEvents"].as_u64()), (Some(1), Some(3)), "{report}");
    assert_eq!(report["refused"][1]["code"], "EV-TYPE");
}

/// What a reader pastes works: the line stands in the README and in the example.
#[test]
fn the_dataset_of_the_readme_is_made() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let line_of = |file: &str| {
        let text = fs::read_to_string(root.join(file)).expect("a file of the repository");
        let line = text.lines().map(str::trim).find(|line| line.starts_with("freshet dataset examples/"));
        line.expect("a line to paste").to_string()
    };
    let line = line_of("README.md");
    assert_eq!(line, line_of("examples/training/README.md"));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let make = |out: &str| {
        let line = line.replace("training.parquet", out);
        let made = freshet(&line.split_whitespace().skip(1).collect::<Vec<_>>());
        assert_eq!((made.status.code(), text(&made.stderr)), (Some(0), String::new()));
        assert_eq!(text(&made.stdout), format!("{out}: 8 rows\n"));
    };
    make(&path("training.parquet"));
    make(&path("training.csv"));
    let training = fs::read_to_string(path("training.csv")).expect("written");
    let lines: Vec<&str> = training.lines().collect();
    assert!(lines[0].starts_with("card_id,amount,ts,fraud,card_txn__txns_1h,"), "{training}");
    // Thirteen payments of the day before, three of them abroad; none is of the last hour.
    assert_eq!(lines[4], "4242,481.0,2026-03-02T20:00:00Z,true,0,13,,1091.45,3,DE,0.44069815383205824");
    assert_eq!(lines[7], "99,4.5,2026-03-03T12:00:00Z,false,0,0,,,0,,");
}

#[test]
fn a_dataset_says_how_many_values_are_errors_and_why() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    shop(dir.path());
    let text_of = fs::read_to_string(dir.path().join("shop.yaml")).expect("written");
    let limited = "{name: d, fn: count_distinct, limit: 1, of: amount, windows: [1h]}";
    let derived = "    derived: [{name: more, type: int64, sql: v.d_1h + 1}]\n";
    let more = text_of.replace("[{name: n,", &format!("[{limited}, {{name: n,")).replace("[v]}\n", "[v.n_1h]}\n");
    let more = more.replace("  - {name: s, features: [v.n_1h]}\n", "  - name: s\n    features: [v.n_1h]\n");
    write(dir.path(), "shop.yaml", &format!("{more}{derived}"));
    write(
        dir.path(),
        "spine.csv",
        "shop,time\n1,2026-01-01T00:30:00Z\n1,2026-01-01T00:40:00Z\n2,2026-01-01T00:30:00Z\n",
    );
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (definitions, spine, out) = (dir.path().display().to_string(), path("spine.csv"), path("out.csv"));
    let arguments = ["dataset", &definitions, "--service", "s", "--spine", &spine, "--out", &out];
    let made = freshet(&arguments);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let said = text(&made.stderr);
    assert_eq!(
        said.lines().skip(1).collect::<Vec<_>>(),
        [
            "2 values of `derived.more` are errors and null: `v.d_1h`, which it is computed from, is an error; the first in row 1",
            "2 values of `v.d_1h` are errors, which others are computed from: more than 1 distinct values in the window; the first in row 1",
        ]
    );
    let made = freshet(&[&arguments[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!(report["failedValues"], 2, "{report}");
    assert_eq!(
        report["errors"][1],
        serde_json::json!({"feature": "v.d_1h", "served": false, "reason": "more than 1 distinct values in the window", "values": 2, "firstRow": 1})
    );
}

#[test]
fn a_dataset_is_not_written_where_it_cannot_or_must_not_be() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    shop(dir.path());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let dataset = |out: &str| {
        let definitions = dir.path().display().to_string();
        refused(&["dataset", &definitions, "--service", "s", "--spine", &path("spine.csv"), "--out", out])
    };
    let (status, errors) = dataset(&path("no/such/out.csv"));
    assert_eq!(status, 73, "{errors}");
    assert!(errors.starts_with(&format!("cannot write {}: ", path("no/such/out.csv"))), "{errors}");
    let (status, errors) = dataset(&path("../").replace("../", "./spine.csv"));
    assert_eq!(status, 2, "{errors}");
    assert!(errors.starts_with("the dataset would be written over its spine "), "{errors}");
    assert!(fs::read_to_string(path("spine.csv")).expect("still there").starts_with("shop,time\n"));
}
