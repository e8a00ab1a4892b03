//! Definition files as users write them: what is accepted, what is refused, and in which words.

use freshet_config::definitions::{Definitions, FileFormat, Mode, Stream};
use freshet_config::parse;
use freshet_config::time::Span;

const GOOD: &str = include_str!("definitions/good.yaml");

fn one_file(text: &str) -> Vec<(String, String)> {
    vec![("a.yaml".to_string(), text.to_string())]
}

fn accepted(text: &str) -> Definitions {
    parse(&one_file(text)).unwrap_or_else(|errors| panic!("refused:\n{errors}"))
}

/// The rendered lines of the errors of some files.
fn refused(files: &[(String, String)]) -> Vec<String> {
    match parse(files) {
        Ok(_) => panic!("accepted: {files:?}"),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The good file with one piece of text replaced, which must be there.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the good file holds no `{from}`");
    GOOD.replacen(from, to, 1)
}

#[test]
fn dump() {
    for (from, to) in CASES {
        println!("(r#\"{from}\"#, r#\"{to}\"#, &[");
        match parse(&one_file(&changed(from, to))) {
            Ok(_) => println!("ACCEPTED"),
            Err(errors) => {
                errors.iter().for_each(|e| println!("    r#\"{}\"#,", e.to_string().trim_start_matches("a.yaml:")))
            }
        }
        println!("]),");
    }
}

const CASES: &[(&str, &str)] = &[
    // References.
    ("source: transactions", "source: transactons"),
    ("entity: card", "entity: merchant"),
    ("dimension: planes", "dimension: plane"),
    ("\"user_logins\"", "\"user_login\""),
    ("\"card_txn.amount_sum_1h\"", "\"card_txn.amount_sum_2h\""),
    // Names and duplicates.
    ("name: user_logins", "name: card_txn"),
    ("name: card_txn", "name: ../txn"),
    ("name: card_txn", "name: __meta"),
    ("name: card_txn", "name: \"txn\\0🙂\""),
    ("name: fraud_v1", "name: Fraud"),
    ("name: fraud_v1", "name: 7"),
    ("name: amount_sum", "name: txn_count"),
    ("name: abroad", "name: seats"),
    ("country: string", "amount: string"),
    ("[10m, 1h, 24h]", "[1h, 1h]"),
    ("\"card_txn.*\"", "\"user_logins\""),
    // Windows.
    ("[10m, 1h, 24h]", "[0s, -1h, 10, \"1 fortnight\", 400y, 3654d, lifetime]"),
    ("[10m, 1h, 24h]", "[7m, 3m, 10m]"),
    ("[10m, 1h, 24h]", "[]"),
    ("offset: 0s", "offset: -2h"),
    ("{interval: 5m}", "{interval: 0m}"),
    ("{interval: 5m}", "sliding"),
    ("{interval: 5m}", "batch"),
    ("{interval: 5m}", "{interval: 2h}"),
    // Types and columns.
    ("fn: sum, of: amount", "fn: sum, of: country"),
    ("fn: sum, of: amount", "fn: sum"),
    ("fn: sum, of: amount", "fn: summ, of: amount"),
    ("fn: sum, of: amount", "fn: approx_percentile, of: amount, percentile: 1.5"),
    ("fn: sum, of: amount", "fn: last, n: 3, of: amount"),
    ("amount: float64", "amount: double"),
    ("amount: float64", "amount: flaot64"),
    ("event_time: ts", "event_time: amount"),
    ("event_time: ts", "event_time: tss"),
    ("tie_breaker: seq", "tie_breaker: country"),
    ("dedup_key: txn_id", "dedup_key: amount"),
    ("keys: {user_id: user}", "keys: {user_id: usr}"),
    ("    keys: {user_id: user}\n", ""),
    ("keys: {user_id: user}", "keys: {userid: user}"),
    ("{user_id: int64}", "{user_id: string}"),
    ("{user_id: int64}", "{user_id: float64}"),
    ("on: {tailnum: tailnum}", "on: {tail: tailnum}"),
    ("on: {tailnum: tailnum}", "on: {tailnum: card_id}"),
    ("columns: [seats,", "columns: [seat,"),
    ("key: tailnum", "key: [tailnum, year]"),
    // Spans and instants elsewhere.
    ("lateness: 1h", "lateness: -1h"),
    ("lateness: 1h", "lateness: 60"),
    ("lateness: 1h", "lateness: 11000d"),
    ("serving_ttl: 30d", "serving_ttl: 0d"),
    ("feature_start: 2025-01-01T00:00:00Z", "feature_start: 2025-01-01"),
    // Shapes.
    ("dedup_key: txn_id", "dedupe_key: txn_id"),
    ("    event_time: at\n", ""),
    (
        "  - name: logins\n    stream: {log: {}}\n    schema: {user: int64, at: timestamp}\n    event_time: at\n",
        "  - {stream: {log: {}}}\n",
    ),
    ("views:", "view:"),
    ("offline: true", "offline: yes"),
    ("aggregates:\n      - {name: logins, fn: count, windows: [1h]}", "aggregates: {}"),
    ("stream: {log: {}}", "stream: {log: {}, kafka: {topic: t}}"),
    ("stream: {log: {}}", "description: nothing"),
    ("topic: txn.v1, format: json", "topic: txn/v1, format: avro"),
    ("{csv: {path: planes.csv}}", "{csv: {path: \"\"}}"),
    ("table: {csv: {path: planes.csv}}\n    changes: {log: {}}", ""),
    ("sql: \"amount * 0.9\"", "sql: \" \""),
    // Secrets.
    ("topic: txn.v1,", "topic: txn.v1, password: hunter2,"),
    ("\"data/txn/\"", "\"s3://me:hunter2@bucket/txn\""),
    // YAML.
    ("    lateness: 1h", "\tlateness: 1h"),
    ("    lateness: 1h", "    lateness: 1h\n    lateness: 2h"),
];
