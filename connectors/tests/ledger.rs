//! The ledger: exact counts across files, threads and restarts.

use std::fs;

use freshet_connectors::events::{Code, Reason, Rejection};
use freshet_connectors::ledger::{Ledger, LedgerCount, LedgerError};

fn rejection(code: Code, number: usize) -> Rejection {
    Rejection {
        code,
        place: format!("log/{number}"),
        message: "a message".into(),
        record_time: None,
        payload_excerpt: "{\"a\": 1}".into(),
    }
}

fn count(ledger: &Ledger, source: &str, code: Code) -> u64 {
    ledger.summary().iter().find(|c| c.source == source && c.code == code).map_or(0, |c| c.count)
}

#[test]
fn counts_are_exact_while_old_rejections_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open_with(dir.path(), 4096).unwrap();
    for number in 0..500 {
        ledger.record("payments", &rejection(if number % 5 == 0 { Code::Time } else { Code::Decode }, number)).unwrap();
    }
    ledger.count("payments", Code::Filtered, 1_000_000).unwrap();
    ledger.count("payments", Code::Late, 0).unwrap();
    let on_disk: u64 = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(on_disk < 6000, "{on_disk} bytes kept");
    for ledger in [ledger, Ledger::open_with(dir.path(), 4096).unwrap()] {
        let counted = |reason, code, count| LedgerCount { source: "payments".into(), reason, code, count };
        assert_eq!(
            ledger.summary(),
            [
                counted(Reason::Unparsable, Code::Decode, 400),
                counted(Reason::Unparsable, Code::Time, 100),
                counted(Reason::Filtered, Code::Filtered, 1_000_000),
            ]
        );
        assert_eq!(ledger.total("payments"), 1_000_500);
        let places: Vec<String> = ledger.read("payments", 3).unwrap().into_iter().map(|r| r.place).collect();
        assert_eq!(places, ["log/499", "log/498", "log/497"]);
        assert!(ledger.read("payments", 1000).unwrap().len() > 10);
        assert!(ledger.read("unknown", 10).unwrap().is_empty());
    }
}

#[test]
fn threads_lose_no_count() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open_with(dir.path(), 20_000).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let ledger = &ledger;
            scope.spawn(move || {
                for number in 0..200 {
                    ledger.record(["a", "b"][thread % 2], &rejection(Code::Late, number)).unwrap();
                }
            });
        }
    });
    drop(ledger);
    let ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!((count(&ledger, "a", Code::Late), count(&ledger, "b", Code::Late)), (400, 400));
}

#[test]
fn a_checkpoint_sets_counts_back() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    ledger.record("a", &rejection(Code::Late, 1)).unwrap();
    let checkpoint = ledger.summary();
    ledger.record("a", &rejection(Code::Late, 2)).unwrap();
    ledger.record("b", &rejection(Code::Time, 3)).unwrap();
    ledger.restore(&checkpoint).unwrap();
    assert_eq!(ledger.summary(), checkpoint);
    ledger.record("a", &rejection(Code::Late, 2)).unwrap();
    drop(ledger);
    let ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!((count(&ledger, "a", Code::Late), ledger.total("b")), (2, 0));
}

#[test]
fn a_line_cut_by_a_crash_is_dropped_and_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.ndjson");
    Ledger::open(dir.path()).unwrap().record("a", &rejection(Code::Late, 1)).unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], b"{\"rejected\":{\"co"].concat()).unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    ledger.record("a", &rejection(Code::Late, 2)).unwrap();
    assert_eq!(count(&ledger, "a", Code::Late), 2);
    assert_eq!(ledger.read("a", 10).unwrap().len(), 2);
    drop(ledger);
    fs::write(&path, [&whole[..], b"garbage\n"].concat()).unwrap();
    let error = Ledger::open(dir.path()).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { line: 3, .. }), "{error}");
}

#[test]
fn names_cannot_leave_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    for name in ["", "../a", "a/b", "A", "a.b"] {
        assert!(matches!(ledger.count(name, Code::Late, 1), Err(LedgerError::Name(_))), "{name}");
        assert!(ledger.read(name, 1).is_err());
    }
}
