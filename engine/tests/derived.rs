//! Derived features: what their SQL may say, and their values in datasets.

use std::fs;
use std::path::Path;

use freshet_engine::dataset::{Dataset, DatasetOptions, run};
use freshet_engine::plan::Plan;

const DEFINITIONS: &str = "
sources:
  - {name: txn, history: {ndjson: {path: txn.ndjson}}, schema: {id: int64, amount: float64, ts: timestamp}, event_time: ts}
entities:
  - {name: card, keys: {id: int64}}
views:
  - name: card_txn
    source: txn
    entity: card
    aggregates:
      - {name: n, fn: count, windows: [10s]}
      - {name: amount, fn: sum, of: amount, windows: [10s]}
realtime:
  - name: ratios
    request: {amount: float64}
    features:
      - {name: share, type: float64, sql: \"request.amount / card_txn.amount_10s\"}
      - {name: twice, type: float64, sql: \"ratios.share * 2\"}
services:
  - name: fraud
    features: [card_txn.n_10s, ratios.twice]
    request: {bonus: int64}
    derived:
      - {name: total, type: int64, sql: \"derived.base + request.bonus\"}
      - {name: base, type: int64, sql: \"card_txn.n_10s * 10\"}
      - {name: at, type: timestamp, sql: \"request_timestamp\"}
";

fn refused(from: &str, to: &str) -> Vec<String> {
    assert!(DEFINITIONS.contains(from), "{from}");
    let text = DEFINITIONS.replacen(from, to, 1);
    let definitions = freshet_config::parse(&[("a.yaml".to_string(), text)]).unwrap();
    let errors = Plan::compile(definitions, Path::new("")).expect_err("it is refused");
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn mistakes_in_sql_are_refused_with_their_place_and_a_hint() {
    let total = "derived feature `total` of service `fraud`";
    let share = "feature `share` of realtime view `ratios`";
    for (from, to, expected) in [
        (
            "derived.base + request.bonus",
            "derived.bse + request.bonus",
            vec![format!("a.yaml:24:41: {total}: unknown derived feature `bse` [DEF-REF]; did you mean `base`?")],
        ),
        (
            "derived.base + request.bonus",
            "derived.base + request.bonu + x",
            vec![
                format!("a.yaml:24:56: {total}: unknown request field `bonu` [DEF-REF]; did you mean `bonus`?"),
                format!(
                    "a.yaml:24:71: {total}: unknown name `x` [DEF-REF]; write `request.FIELD`, `VIEW.FEATURE` or \
                     `request_timestamp`"
                ),
            ],
        ),
        (
            "    request: {amount: float64}\n",
            "",
            vec![format!(
                "a.yaml:16:43: {share}: unknown request field `amount` [DEF-REF]; declare it with its type, such as \
                 `request: {{amount: float64}}`"
            )],
        ),
        (
            "derived.base + request.bonus",
            "derived.base + bonus",
            vec![format!("a.yaml:24:56: {total}: unknown name `bonus` [DEF-REF]; did you mean `request.bonus`?")],
        ),
        (
            "request.amount / card_txn.amount_10s",
            "request.amount / card_tnx.amount_10s",
            vec![format!(
                "a.yaml:17:60: {share}: unknown view `card_tnx` in `card_tnx.amount_10s` [DEF-REF]; did you mean `card_txn`?"
            )],
        ),
        (
            "request.amount / card_txn.amount_10s",
            "request.amount / card_txn.amount_10",
            vec![format!(
                "a.yaml:17:60: {share}: unknown feature `amount_10` of view `card_txn` [DEF-REF]; did you mean `amount_10s`?"
            )],
        ),
        (
            "request.amount / card_txn.amount_10s",
            "request.amount / derived.base",
            vec![format!(
                "a.yaml:17:60: {share}: a realtime view cannot use the derived features of a service [DEF-REF]; make it a \
                 feature of a realtime view"
            )],
        ),
        (
            "card_txn.n_10s * 10",
            "card_txn.n_10s * 0.5",
            vec![
                "a.yaml:25:40: derived feature `base` of service `fraud`: the expression gives float64, not int64 [DEF-TYPE]; \
                 write `cast(... as bigint)`, or change the declared type"
                    .to_string(),
            ],
        ),
        (
            "sql: \"request_timestamp\"",
            "sql: \"now()\"",
            vec![
                "a.yaml:26:42: derived feature `at` of service `fraud`: `now` gives another value each time, so the feature \
                 could not be computed again [DEF-NONDET]; use `request_timestamp`, the instant asked for"
                    .to_string(),
            ],
        ),
        (
            "card_txn.n_10s * 10",
            "derived.total - 1",
            vec![
                "a.yaml:24:41: features refer to each other in a circle: derived.total -> derived.base -> derived.total \
                 [DEF-CYCLE]; take one of the references out"
                    .to_string(),
            ],
        ),
        (
            "request.amount / card_txn.amount_10s",
            "ratios.twice",
            vec![
                "a.yaml:17:43: features refer to each other in a circle: ratios.share -> ratios.twice -> ratios.share \
                 [DEF-CYCLE]; take one of the references out"
                    .to_string(),
            ],
        ),
        (
            "request: {bonus: int64}",
            "request: {bonus: int64, amount: int64}",
            vec![
                "a.yaml:22:29: request field `amount` of service `fraud` is int64, but float64 in realtime view `ratios`, \
                 which it uses [DEF-TYPE]; declare both with one type, or rename one"
                    .to_string(),
            ],
        ),
    ] {
        assert_eq!(refused(from, to), expected, "`{from}` -> `{to}`");
    }
}

#[test]
fn errors_of_all_expressions_are_told_at_once() {
    let text = DEFINITIONS
        .replace("of: amount", "of: amnt")
        .replace("ratios.share * 2", "ratios.shore * 2")
        .replace("request_timestamp", "random()");
    let definitions = freshet_config::parse(&[("a.yaml".to_string(), text)]).unwrap();
    let errors = Plan::compile(definitions, Path::new("")).expect_err("it is refused").to_string();
    assert_eq!(errors.lines().count(), 3, "what uses a feature of an unsound view is no second error:\n{errors}");
}

fn directory(events: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("features.yaml"), DEFINITIONS).unwrap();
    fs::write(directory.path().join("txn.ndjson"), events).unwrap();
    directory
}

const EVENTS: &str = "{\"id\":1,\"amount\":4.0,\"ts\":\"1970-01-01T00:00:01Z\"}
{\"id\":1,\"amount\":6.0,\"ts\":\"1970-01-01T00:00:05Z\"}
{\"id\":2,\"amount\":0.0,\"ts\":\"1970-01-01T00:00:05Z\"}
";

#[test]
fn a_dataset_derives_from_the_spines_columns() {
    let directory = directory(EVENTS);
    let spine = "id,amount,bonus,ts\n1,5,1,1970-01-01T00:00:05Z\n1,5,2,1970-01-01T00:00:04Z\n2,1,3,1970-01-01T00:00:06Z\n\
                 3,1,9223372036854775807,1970-01-01T00:00:06Z\n1,,,1970-01-01T00:00:12Z\n";
    fs::write(directory.path().join("spine.csv"), spine).unwrap();
    let options = DatasetOptions {
        definitions: directory.path().to_path_buf(),
        service: "fraud".into(),
        spine: directory.path().join("spine.csv"),
        out: directory.path().join("out.csv"),
        time_column: None,
    };
    let report = run(&options).unwrap();
    assert_eq!(
        fs::read_to_string(&options.out).unwrap(),
        "id,amount,bonus,ts,card_txn__n_10s,ratios__twice,derived__total,derived__base,derived__at\n\
         1,5.0,1,1970-01-01T00:00:05Z,2,1.0,21,20,1970-01-01T00:00:05Z\n\
         1,5.0,2,1970-01-01T00:00:04Z,1,2.5,12,10,1970-01-01T00:00:04Z\n\
         2,1.0,3,1970-01-01T00:00:06Z,1,,13,10,1970-01-01T00:00:06Z\n\
         3,1.0,9223372036854775807,1970-01-01T00:00:06Z,0,,9223372036854775807,0,1970-01-01T00:00:06Z\n\
         1,,,1970-01-01T00:00:12Z,1,,,10,1970-01-01T00:00:12Z\n"
    );
    let errors = report.errors.iter().map(|failed| (&*failed.feature, failed.served, &*failed.reason, failed.count));
    assert_eq!(
        errors.collect::<Vec<_>>(),
        [
            ("ratios.twice", true, "`ratios.share`, which it is computed from, is an error", 1),
            ("ratios.share", false, "the expression failed: the result is not a finite number", 1),
        ]
    );
    assert_eq!((report.features, report.failed_values()), (5, 1), "only the share of nothing is an error");
}

/// Sums that leave their type, of one card, and what is derived from them.
const ERRORS: &str = "
sources:
  - {name: txn, history: {ndjson: {path: txn.ndjson}}, schema: {id: int64, amount: int64, ts: timestamp}, event_time: ts}
entities:
  - {name: card, keys: {id: int64}}
views:
  - name: v
    source: txn
    entity: card
    aggregates:
      - {name: amount, fn: sum, of: amount, windows: [10s]}
      - {name: some, fn: histogram, limit: 1, of: amount, windows: [10s]}
realtime:
  - name: r
    features:
      - {name: a, type: int64, sql: v.amount_10s + 1}
      - {name: b, type: int64, sql: r.a * 2}
services:
  - name: s
    features: [v.amount_10s, r.b]
    derived:
      - {name: saved, type: int64, sql: \"coalesce(r.b, v.amount_10s, 7)\"}
      - {name: null_too, type: int64, sql: \"nullif(derived.saved, 7)\"}
      - {name: own, type: int64, sql: \"coalesce(r.b, 1 / (derived.saved - 7))\"}
      - {name: many, type: int64, sql: \"cardinality(v.some_10s)\"}
      - {name: known, type: bool, sql: \"r.b is null\"}
";

#[test]
fn a_null_that_comes_of_an_error_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("features.yaml"), ERRORS).unwrap();
    let event = |id: i64, amount: i64| format!("{{\"id\":{id},\"amount\":{amount},\"ts\":1000000}}\n");
    fs::write(path("txn.ndjson"), [event(1, i64::MAX), event(1, 1), event(2, 5)].concat()).unwrap();
    fs::write(path("spine.csv"), "id,ts\n1,1970-01-01T00:00:02Z\n2,1970-01-01T00:00:02Z\n3,1970-01-01T00:00:02Z\n")
        .unwrap();
    let options = DatasetOptions {
        definitions: directory.path().to_path_buf(),
        service: "s".into(),
        spine: path("spine.csv"),
        out: path("out.csv"),
        time_column: None,
    };
    let report = run(&options).unwrap();
    assert_eq!(
        fs::read_to_string(&options.out).unwrap(),
        "id,ts,v__amount_10s,r__b,derived__saved,derived__null_too,derived__own,derived__many,derived__known\n\
         1,1970-01-01T00:00:02Z,,,7,,,,true\n\
         2,1970-01-01T00:00:02Z,5,12,12,12,12,1,false\n\
         3,1970-01-01T00:00:02Z,,,7,,,0,true\n"
    );
    let errors = report.errors.iter().map(|failed| (&*failed.feature, failed.served, &*failed.reason, failed.count));
    let of_sum = "`v.amount_10s`, which it is computed from, is an error";
    assert_eq!(
        errors.collect::<Vec<_>>(),
        [
            ("v.amount_10s", true, "the sum is beyond int64", 1),
            ("r.b", true, of_sum, 1),
            // Its own failure, though an input is an error too, and of a card without events.
            ("derived.own", true, "the expression failed: division by zero", 2),
            ("derived.many", true, "`v.some_10s`, which it is computed from, is an error", 1),
            ("v.some_10s", false, "more than 1 distinct values in the window", 1),
            ("r.a", false, of_sum, 1),
        ],
        "what gives a value in spite of it, and a null of such a value, is none"
    );
}

#[test]
fn the_spine_has_the_request_fields_in_their_types() {
    let directory = directory(EVENTS);
    let definitions = freshet_config::load(directory.path()).unwrap();
    let plan = Plan::compile(definitions, directory.path()).unwrap();
    let refusal = |spine: &str| {
        let path = directory.path().join("spine.csv");
        fs::write(&path, spine).unwrap();
        let error = Dataset::build(&plan, "fraud", &path, None).expect_err("it is refused").to_string();
        error.replace(&directory.path().display().to_string(), "DIR")
    };
    assert_eq!(
        refusal("id,amount,ts\n1,5,1970-01-01T00:00:05Z\n"),
        "the spine DIR/spine.csv has no column `bonus` for the request field of that name; its columns are id, amount, ts"
    );
    assert!(refusal("id,amount,bonus,ts\n1,5,x,1970-01-01T00:00:05Z\n").contains("`bonus` must be an int64 number"));
}
