//! The command line as users meet it: the real binary, its messages and its statuses.

mod check;
mod dataset;
#[path = "../process/mod.rs"]
mod process;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use process::{freshet, text};

/// Runs a command that is refused; stdout stays empty.
fn refused(arguments: &[&str]) -> (i32, String) {
    let output = freshet(arguments);
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    (output.status.code().expect("not killed"), text(&output.stderr))
}

fn write(dir: &Path, name: &str, content: &str) {
    fs::write(dir.join(name), content).expect("a temporary file is written");
}

#[test]
fn wrong_flags_are_one_line_and_status_2() {
    for (arguments, message) in [
        (
            &["demo", "--worker", "2"][..],
            "unexpected argument '--worker' found; a similar argument exists: '--workers'; see `freshet demo --help`",
        ),
        (
            &["demo", "--workers", "0"],
            "invalid value '0' for '--workers <N>': write a whole number from 1 to 256; see `freshet --help`",
        ),
        (
            &["demo", "--workers", "-1"],
            "invalid value '-1' for '--workers <N>': write a whole number from 1 to 256; see `freshet --help`",
        ),
        (
            &["run", "x", "--workers", "1e9"],
            "invalid value '1e9' for '--workers <N>': write a whole number from 1 to 256; see `freshet --help`",
        ),
        (
            &["demo", "--workers", "two"],
            "invalid value 'two' for '--workers <N>': write a whole number from 1 to 256; see `freshet --help`",
        ),
        (
            &["demo", "--for", "30"],
            "invalid value '30' for '--for <TIME>': write a time with its unit, such as 30s, 5m or 1h30m; see `freshet --help`",
        ),
        (
            &["ledger", "--latest", "-1"],
            "invalid value '-1' for '--latest <N>': write a whole number from 0 to 1000000; see `freshet --help`",
        ),
        (
            &["ledger", "--latest", "99999999999999999999"],
            "invalid value '99999999999999999999' for '--latest <N>': write a whole number from 0 to 1000000; \
             see `freshet --help`",
        ),
        (
            &["demo", "flihgts"],
            "unrecognized subcommand 'flihgts'; a similar subcommand exists: 'flights'; see `freshet demo --help`",
        ),
        (&["check"], "the following required arguments were not provided: <DIR>; see `freshet check --help`"),
        (
            &["demo", "flights", "--data", "x", "--all", "--until", "2013-11-02T00:00:00Z"],
            "the argument '--all' cannot be used with '--until <INSTANT>'; see `freshet demo flights --help`",
        ),
        (
            &["get", "s", "card_id"],
            "invalid value 'card_id' for '[KEY=VALUE]...': write a join key and its value, such as card_id=4242; see `freshet --help`",
        ),
        (
            &["get", "s", "--as-of", "yesterday"],
            "invalid value 'yesterday' for '--as-of <INSTANT>': write an instant with a zone, such as \
             2026-01-31T12:00:00Z; see `freshet --help`",
        ),
        (&["get", "s", "a=1", "a=2"], "the join key `a` is given twice; give each once"),
        (&["get", "s", "--url", "localhost"], "`localhost` is no address of a server: write http://HOST:PORT"),
    ] {
        assert_eq!(refused(arguments), (2, format!("{message}\n")), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf_8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let argument = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let output =
        Command::new(env!("CARGO_BIN_EXE_freshet")).arg("get").arg(argument).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("invalid UTF-8"), "{}", text(&output.stderr));
}

#[test]
fn the_examples_are_sound_and_print_their_plans() {
    for (example, service) in [("examples/fraud", "fraud_v1"), ("examples/flights", "departure_delay_v1")] {
        let checked = freshet(&["check", example]);
        assert!(checked.status.success(), "{}", text(&checked.stderr));
        let counted = freshet(&["check", example, "--json"]);
        let counts: serde_json::Value = serde_json::from_slice(&counted.stdout).expect("JSON");
        assert!(counts["features"].as_u64() > Some(20), "{counts}");
        let plan = freshet(&["dataflow", example]);
        let plan = text(&plan.stdout);
        assert!(plan.starts_with(&format!("plan {}\n", counts["plan"].as_str().expect("text"))), "{plan}");
        assert!(plan.contains(service), "{plan}");
    }
}

#[test]
fn the_schema_knows_the_sections() {
    let output = freshet(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for section in ["sources", "dimensions", "entities", "views", "services"] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // Nobody reads: the first write finds the pipe closed.
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet"));
    let output = command.args(["dataflow", "examples/flights"]).stdout(writer).stderr(Stdio::piped()).output();
    let output = output.expect("the binary runs");
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn settings_are_refused_with_all_their_errors() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write(dir.path(), "freshet.toml", "[engine]\nworker = 2\n[htp]\n");
    let config = dir.path().join("freshet.toml").display().to_string();
    let (status, errors) = refused(&["run", "examples/fraud", "--config", &config]);
    assert_eq!(status, 78);
    assert_eq!(errors.lines().count(), 2, "{errors}");
    assert!(errors.contains("did you mean `workers`?") && errors.contains("did you mean `http`?"), "{errors}");
    write(dir.path(), "freshet.toml", "[engine]\nepoch = \"30\"\n");
    let (status, errors) = refused(&["run", "examples/fraud", "--config", &config]);
    assert_eq!(status, 78);
    assert!(errors.contains("freshet.toml:2:") && errors.contains("unit"), "{errors}");
    let (status, errors) = refused(&["run", "examples/fraud", "--config", "nowhere.toml"]);
    assert_eq!(status, 78);
    assert!(errors.starts_with("nowhere.toml: cannot read the settings: "), "{errors}");
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write(dir.path(), "file", "");
    let path = dir.path().join("file").display().to_string();
    let (status, errors) = refused(&["run", "examples/fraud", "--data-dir", &path, "--listen", "127.0.0.1:0"]);
    assert_eq!(status, 73);
    let said = format!("cannot use the data directory {path}: it is a file; ");
    assert!(errors.lines().last().is_some_and(|line| line.starts_with(&said)), "{errors}");
}

#[test]
fn a_taken_port_is_status_69() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = holder.local_addr().expect("bound").to_string();
    let (status, errors) = refused(&["demo", "--events", "1", "--listen", &address]);
    assert_eq!(status, 69);
    assert!(errors.starts_with(&format!("cannot listen on {address}: ")), "{errors}");
}

#[test]
fn files_that_a_command_needs_are_named() {
    let (status, errors) = refused(&["ingest", "transactions", "nowhere.ndjson"]);
    assert_eq!(status, 65);
    assert!(errors.starts_with("cannot open nowhere.ndjson: "), "{errors}");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().display().to_string();
    let (status, errors) = refused(&["ledger", "--data-dir", &path]);
    assert_eq!(status, 69);
    assert!(errors.starts_with(&format!("cannot read a ledger in {path}/ledger: ")), "{errors}");
    let output = freshet(&["demo", "flights", "--data", &path]);
    assert_eq!(output.status.code(), Some(65));
    let errors = text(&output.stderr);
    assert!(errors.contains("missing flight_events.parquet: Parquet with the columns event_id, "), "{errors}");
    assert!(errors.contains("missing planes.parquet: Parquet with the columns tailnum, seats"), "{errors}");
}

#[test]
fn a_server_that_is_not_there_is_said_to_be_so_with_status_69() {
    let (status, said) = refused(&["get", "s", "--url", "http://127.0.0.1:9"]);
    assert_eq!(status, 69);
    assert_eq!(
        said,
        "cannot reach http://127.0.0.1:9: connection refused; is `freshet run` or `freshet demo` running there?\n"
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let url = format!("http://{free}");
    let (status, errors) = refused(&["get", "fraud_v1", "card_id=1", "--url", &url]);
    assert_eq!(status, 69);
    assert!(errors.starts_with(&format!("cannot reach {url}: ")), "{errors}");
}

#[test]
fn what_is_damaged_is_no_matter_of_writing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().display().to_string();
    write(dir.path(), "positions.json", "{\"a\":");
    let (status, errors) = refused(&["run", "examples/fraud", "--data-dir", &path, "--listen", "127.0.0.1:0"]);
    assert_eq!(status, 65, "{errors}");
    let last = errors.lines().last().unwrap_or_default();
    assert!(last.contains("are damaged") && last.contains("restore the file, or remove it"), "{errors}");
}
