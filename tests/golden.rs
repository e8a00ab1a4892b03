//! The small golden sets, through the harness that `tests/golden/run` runs on the full ones.

#[path = "golden/harness/suite/mod.rs"]
mod suite;

use std::fs;
use std::path::{Path, PathBuf};

use suite::cells::{column, read};
use suite::{Outcome, Way};

fn small(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/small").join(name)
}

fn outcomes(directory: &Path, out: &Path) -> Vec<Outcome> {
    let specs = suite::specs(directory).unwrap();
    specs.iter().map(|spec| suite::run(directory, spec, Way::Dataset, out).unwrap()).collect()
}

/// Checks that all computed values agree, and returns the names of the specs of which some were.
fn compared(directory: &Path) -> Vec<String> {
    let out = tempfile::tempdir().unwrap();
    let mut compared = Vec::new();
    for outcome in outcomes(directory, out.path()) {
        assert!(outcome.agrees(), "{outcome}");
        if let Outcome::Compared { name, values, .. } = outcome {
            assert!(values > 0, "{name} compares nothing");
            assert!(out.path().join(format!("{name}.parquet")).exists());
            compared.push(name);
        }
    }
    compared
}

#[test]
fn windows_agree() {
    let found = compared(&small("windows"));
    for name in ["batch", "continuous", "time_interval"] {
        assert!(found.contains(&name.to_string()), "{name} is not among {found:?}");
    }
}

#[test]
fn kinds_agree() {
    let found = compared(&small("kinds"));
    let everywhere = ["lifetime", "series", "start", "types"]
        .map(|kind| ["continuous", "time_interval"].map(|mode| format!("{kind}_{mode}")));
    let batches = ["attributes_batch_ttl", "attributes_stream_ttl", "batch_daily"].map(str::to_string);
    for name in everywhere.into_iter().flatten().chain(batches) {
        assert!(found.contains(&name), "{name} is not among {found:?}");
    }
}

/// Taking a subset of all keys keeps everything; an expected value moved by hand is found.
#[test]
fn a_wrong_value_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    suite::subset::write_subset(&small("windows"), usize::MAX, &set).unwrap();
    for name in ["events.parquet", "spine.parquet", "expected_continuous_window.parquet"] {
        assert_eq!(read(&set.join(name)).unwrap(), read(&small("windows").join(name)).unwrap(), "{name}");
    }
    // Tiled values stand in for continuous ones.
    let (from, to) =
        (set.join("expected_time_interval_window.parquet"), set.join("expected_continuous_window.parquet"));
    fs::copy(from, &to).unwrap();
    let outcomes = outcomes(&set, &dir.path().join("out"));
    let wrong: Vec<String> = outcomes.iter().filter(|o| !o.agrees()).map(Outcome::to_string).collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].starts_with("continuous: ") && wrong[0].contains(", expected "), "{}", wrong[0]);
    assert!(!column(&read(&to).unwrap(), "user_id").unwrap().is_empty());
}

/// The same values through the running engine: pushed in order, read at each instant.
#[test]
fn the_live_way_agrees() {
    for set in ["windows", "kinds"] {
        let out = tempfile::tempdir().unwrap();
        let specs = suite::specs(&small(set)).unwrap();
        let mut compared = 0;
        for spec in &specs {
            let outcome = suite::run(&small(set), spec, Way::Live, out.path()).unwrap();
            assert!(outcome.agrees(), "{outcome}");
            compared += usize::from(matches!(outcome, Outcome::Compared { .. }));
        }
        assert!(compared >= 2, "{set} compares nothing");
    }
}
