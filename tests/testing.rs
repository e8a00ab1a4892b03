//! `freshet test` on every kind of source and view: the real binary, its tables and its generated cases.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Sources that are changelogs, exploded and joined; views by category, of attributes, and of every mode.
const KINDS: &str = include_str!("testing/kinds.yaml");
const TABLES: &str = include_str!("testing/kinds_tables.yaml");
/// Views over the changes of views, of several modes and depths.
const CHANGES: &str = include_str!("testing/changes.yaml");

/// Status, stdout and stderr of `freshet test` on some definitions and tables.
fn tested(definitions: &str, tables: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("a temporary file is written");
    fs::create_dir(dir.path().join("tests")).expect("a temporary directory is written");
    write("kinds.yaml", definitions);
    write("tests/a.yaml", tables);
    run(dir.path(), arguments)
}

fn run(directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet"));
    command.arg("test").arg(directory).args(arguments).env_remove("FRESHET_LOG").stdin(Stdio::null());
    let output = command.output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_kind_of_source_and_view_is_tested_and_what_is_not_is_named() {
    let never = "no generated case of view `never` (kinds.yaml:80:11), for no generated event passes its conditions: \
                 test it with tables";
    for seed in ["1", "2", "3"] {
        let out = tested(KINDS, TABLES, &["--seed", seed, "--cases", "60"]);
        let said = format!("1 test passed\n420 generated cases of 5 views (seed {seed}) passed\n{never}\n");
        assert_eq!(out, (Some(0), said, String::new()));
    }
}

#[test]
fn views_over_changes_are_generated_too() {
    for seed in ["1", "2", "3"] {
        let out = tested(CHANGES, "", &["--seed", seed, "--cases", "40"]);
        let said = format!("0 tests passed\n320 generated cases of 8 views (seed {seed}) passed\n");
        assert_eq!(out, (Some(0), said, String::new()));
    }
}

#[test]
fn what_is_derived_from_requests_is_left_to_tables_by_name() {
    let derived = "realtime:\n  - {name: ratios, request: {x: float64}, features: [{name: r, type: float64, sql: request.x * 2}]}\n";
    let service = "    derived: [{name: d, type: int64, sql: spent.in_large_1h + 1}]\n";
    let (status, out, _) = tested(&format!("{KINDS}{service}{derived}"), "", &["--seed", "1", "--cases", "5"]);
    let said: Vec<&str> = out.lines().skip(3).collect();
    let expected = [
        "no generated case of realtime view `ratios`: test with tables what requests derive",
        "no generated case of derived features of service `s`: test with tables what requests derive",
    ];
    assert_eq!((status, &said[..]), (Some(0), &expected[..]), "{out}");
}

#[test]
fn tables_hold_changes_lists_and_rows_of_dimensions() {
    let wrong = TABLES.replace("spent.sum_1h: 50", "spent.sum_1h: 56").replace("bought.n_1h: 3", "bought.n_1h: 2");
    let (status, _, errors) = tested(KINDS, &wrong, &["--cases", "0"]);
    assert_eq!(status, Some(65));
    assert_eq!(
        errors.lines().collect::<Vec<_>>(),
        [
            "tests/a.yaml:20:16: kinds: spent.sum_1h at 2026-01-01T00:20:00Z is 50, not 56",
            "tests/a.yaml:20:85: kinds: bought.n_1h at 2026-01-01T00:20:00Z is 3, not 2",
            "1 of 1 test failed",
        ]
    );
}

#[test]
fn rows_that_a_source_cannot_have_are_refused_at_their_place() {
    let unfit = TABLES
        .replace("{id: 9, __deleted: true}", "{__deleted: yes, revision: 4}")
        .replace("amount: 7, placed_at: 2026-01-01T00:00:00Z", "amount: 7")
        .replace("items: []", "items: pen, __deleted: true")
        .replace("[pen, ink, null]", "[pen, 7]");
    let (status, _, errors) = tested(KINDS, &unfit, &["--cases", "0"]);
    assert_eq!(status, Some(65));
    assert_eq!(
        errors.lines().collect::<Vec<_>>(),
        [
            "tests/a.yaml:5:9: a row of source `orders` has no `placed_at` [TEST-CASE]; a row counts by it, so it must be there",
            "tests/a.yaml:9:9: a row of source `orders` has no `id` [TEST-CASE]; a row counts by it, so it must be there",
            "tests/a.yaml:9:9: a row of source `orders` has no `placed_at` [TEST-CASE]; a row counts by it, so it must be there",
            "tests/a.yaml:9:21: column `__deleted` of source `orders` is bool, not text `yes` [TEST-CASE]; write true, false or null",
            "tests/a.yaml:11:39: an element of column `items` of source `carts` is string, not a number `7` [TEST-CASE]; put it in quotes",
            "tests/a.yaml:12:33: column `items` of source `carts` is list<string>, not text `pen` [TEST-CASE]; write a list as [..] and a map as {..}, or null",
            "tests/a.yaml:12:38: unknown column `__deleted` of source `carts` [TEST-CASE]; there is id, items, ts, user",
        ]
    );
}

#[test]
fn errors_of_shape_hide_no_others() {
    let tables = "- name: m
  asks: []
  events:
    txn: [{id: one, amount: 1, ts: 2026-01-01T00:00:00Z}]
  ask:
    - {service: fraud, keys: {id: 1}, request: {amount: .nan}, expect: {card_txn.n_10s: 2, card_txn.o: 1}}
    - {service: fraud, keys: 7, at: 2026-01-01T00:00:09Z, expect: {card_txn.n_10s: 1.5}}
";
    let (status, _, errors) = tested(TESTED, tables, &["--cases", "0"]);
    assert_eq!(status, Some(65));
    let starts = [
        "tests/a.yaml:2:3: unknown field `asks` in test `m`",
        "tests/a.yaml:4:16: column `id` of source `txn` is int64, not text `one` [TEST-CASE]; write a whole number",
        "tests/a.yaml:6:7: a question needs the field `at`",
        "tests/a.yaml:6:57: request field `amount` is float64, not a number `NaN` [TEST-CASE]; write a number, null, or one of",
        "tests/a.yaml:6:92: unknown feature `card_txn.o` of service `fraud`",
        "tests/a.yaml:7:30: `keys` takes a map, not a number",
        "tests/a.yaml:7:17: the question leaves out request field `amount`",
        "tests/a.yaml:7:84: feature `card_txn.n_10s` is int64, not a number `1.5`",
    ];
    for start in starts {
        assert!(errors.lines().any(|line| line.starts_with(start)), "{start}\n{errors}");
    }
    assert_eq!(errors.lines().count(), starts.len(), "{errors}");
}

const TESTED: &str = "
sources:
  - {name: txn, stream: {log: {}}, schema: {id: int64, amount: float64, ts: timestamp}, event_time: ts}
entities:
  - {name: card, keys: {id: int64}}
views:
  - name: card_txn
    source: txn
    entity: card
    where: amount > 0
    aggregates:
      - {name: n, fn: count, windows: [10s]}
      - {name: mean, fn: mean, of: amount, windows: [10s]}
services:
  - name: fraud
    features: [card_txn]
    request: {amount: float64}
    derived: [{name: ratio, type: float64, sql: request.amount / card_txn.mean_10s}]
";

const TWO_EVENTS: &str = "- name: two events
  events:
    txn:
      - {id: 1, amount: 1, ts: 2026-01-01T00:00:00Z}
      - {id: 1, amount: 2, ts: 2026-01-01T00:00:05Z}
  ask:
    - {service: fraud, keys: {id: 1}, request: {amount: 1}, at: 2026-01-01T00:00:09Z, expect: {card_txn.n_10s: 2, card_txn.mean_10s: 1.5, derived.ratio: 0.6666666667}}
    - {service: fraud, keys: {id: 2}, request: {amount: null}, at: 2026-01-01T00:00:09Z, expect: {card_txn.n_10s: 0, derived.ratio: null}}
";

#[test]
fn tests_of_definitions_pass_or_name_what_does_not_hold() {
    let (_, out, errors) = tested(TESTED, TWO_EVENTS, &["--seed", "7", "--cases", "50"]);
    assert_eq!(errors, "");
    assert_eq!(
        out,
        "1 test passed\n50 generated cases of 1 view (seed 7) passed\n\
         no generated case of derived features of service `fraud`: test with tables what requests derive\n"
    );

    let wrong =
        TWO_EVENTS.replace("n_10s: 2", "n_10s: 3").replace("0.6666666667", "null").replace("n_10s: 0", "n_10s: null");
    let (status, _, errors) = tested(TESTED, &wrong, &["--cases", "0"]);
    assert_eq!(status, Some(65));
    assert_eq!(
        errors.lines().collect::<Vec<_>>(),
        [
            "tests/a.yaml:7:96: two events: card_txn.n_10s at 2026-01-01T00:00:09Z is 2, not 3",
            "tests/a.yaml:7:139: two events: derived.ratio at 2026-01-01T00:00:09Z is 0.6666666666666666, not null",
            "tests/a.yaml:8:99: two events: card_txn.n_10s at 2026-01-01T00:00:09Z is 0, not null",
            "1 of 1 test failed",
        ]
    );

    let unknown = TWO_EVENTS
        .replace("txn:", "txns:")
        .replace("keys: {id: 2}, request: {amount: null}", "keys: {id: two}")
        .replace("derived.ratio: 0.6666666667", "derived.ration: 1");
    let (status, _, errors) = tested(TESTED, &unknown, &[]);
    assert_eq!(status, Some(65));
    assert_eq!(
        errors.lines().collect::<Vec<_>>(),
        [
            "tests/a.yaml:3:5: unknown source `txns` [TEST-CASE]; did you mean `txn`?",
            "tests/a.yaml:7:139: unknown feature `derived.ration` of service `fraud` [TEST-CASE]; did you mean `derived.ratio`?",
            "tests/a.yaml:8:17: the question leaves out request field `amount`, which service `fraud` needs [TEST-CASE]; \
             write it as float64, or as null",
            "tests/a.yaml:8:35: join key `id` is int64, not text `two` [TEST-CASE]; write a whole number within its range, \
             such as 3, or null",
        ]
    );
}

const BURSTS: &str = "
sources:
  - {name: txn, stream: {log: {}}, schema: {id: int64, shop: string, ts: timestamp}, event_time: ts}
  - name: card_states
    changes_of: card_txn
    select: [{name: rises, type: bool, sql: n_10s > 1 and n_10s_before <= 1}]
entities:
  - {name: card, keys: {id: int64}}
  - {name: shop, keys: {shop: string}}
views:
  - {name: card_txn, source: txn, entity: card, aggregates: [{name: n, fn: count, windows: [10s]}, {name: shop, fn: last, of: shop, windows: [1m]}]}
  - {name: bursts, source: card_states, entity: card, aggregates: [{name: times, fn: count, where: rises, windows: [1h]}]}
  - {name: shops, source: card_states, entity: shop, keys: {shop: shop_1m}, aggregates: [{name: most, fn: max, of: n_10s, windows: [1h]}]}
services:
  - {name: fraud, features: [bursts, shops]}
";

#[test]
fn tables_test_views_over_changes() {
    // Card 1 rises above one event at 0:05 and at 0:31, when two come at once; a card with one event never does.
    let table = "- name: bursts
  events:
    txn:
      - {id: 1, shop: a, ts: 2026-01-01T00:00:00Z}
      - {id: 1, shop: a, ts: 2026-01-01T00:00:05Z}
      - {id: 1, shop: b, ts: 2026-01-01T00:00:31Z}
      - {id: 1, shop: b, ts: 2026-01-01T00:00:31Z}
      - {id: 2, shop: a, ts: 2026-01-01T00:00:05Z}
  ask:
    - {service: fraud, keys: {id: 1, shop: a}, at: 2026-01-01T00:00:04Z, expect: {bursts.times_1h: 0, shops.most_1h: 1}}
    - {service: fraud, keys: {id: 1, shop: b}, at: 2026-01-01T00:00:05Z, expect: {bursts.times_1h: 1, shops.most_1h: null}}
    - {service: fraud, keys: {id: 2, shop: a}, at: 2026-01-01T00:10:00Z, expect: {bursts.times_1h: 0, shops.most_1h: 2}}
    - {service: fraud, keys: {id: 1, shop: b}, at: 2026-01-01T01:00:04Z, expect: {bursts.times_1h: 2, shops.most_1h: 2}}
    - {service: fraud, keys: {id: 1, shop: b}, at: 2026-01-01T01:00:31Z, expect: {bursts.times_1h: 0, shops.most_1h: 0}}
";
    let (_, out, errors) = tested(BURSTS, table, &["--cases", "20", "--seed", "3"]);
    assert_eq!(errors, "");
    assert_eq!(out, "1 test passed\n60 generated cases of 3 views (seed 3) passed\n");

    let (status, _, errors) = tested(BURSTS, &table.replace("    txn:", "    card_states:"), &["--cases", "0"]);
    assert_eq!(status, Some(65));
    assert!(errors.starts_with("tests/a.yaml:3:5: unknown source `card_states` [TEST-CASE]"), "{errors}");
}

#[test]
fn the_tests_of_the_examples_pass() {
    for example in ["fraud", "flights"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
        let (status, out, errors) = run(&directory, &["--cases", "60"]);
        assert_eq!(status, Some(0), "{errors}");
        assert!(out.contains(" tests passed\n"), "{out}");
    }
}
