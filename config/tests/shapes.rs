//! Errors of shape hide no other errors, and make none that only follow from them.

use freshet_config::parse;

const GOOD: &str = include_str!("definitions/good.yaml");

fn refused(text: &str) -> Vec<String> {
    match parse(&[("a.yaml".to_string(), text.to_string())]) {
        Ok(_) => panic!("accepted: {text}"),
        Err(errors) => errors.iter().map(|error| error.to_string().replace("a.yaml:", "")).collect(),
    }
}

/// The good file with every piece of text replaced, each of which must be there.
fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(GOOD.to_string(), |text, (from, to)| {
        assert!(text.contains(from), "the file holds no `{from}`");
        text.replacen(from, to, 1)
    })
}

/// Where the errors stand and what they begin with, which is enough to tell them apart.
fn begin_with(lines: &[String], expected: &[&str]) {
    let fits = lines.len() == expected.len() && lines.iter().zip(expected).all(|(line, start)| line.starts_with(start));
    assert!(fits, "{lines:#?}\nis not\n{expected:#?}");
}

#[test]
fn a_source_is_checked_beside_its_errors_of_shape() {
    let text = changed(&[
        ("{parquet: {path: \"data/txn/\"}}", "{parquet: {pat: \"\"}}"),
        ("amount: float64", "amount: flaot64"),
        ("event_time: ts", "event_time: [ts]"),
        ("dedup_key: txn_id", "dedup_key: txn"),
        ("lateness: 1h", "lateness: 60"),
        ("dimension: planes", "dimension: plane"),
    ]);
    begin_with(
        &refused(&text),
        &[
            "4:25: unknown field `pat` in a path [DEF-YAML]",
            "4:30: `` cannot be the path of the history of source `transactions` [DEF-ARG]",
            "5:74: unknown type `flaot64` of column `amount`",
            "6:17: `event_time` takes text, not a list [DEF-YAML]",
            "7:16: no column `txn` for the dedup key of source `transactions`",
            "9:15: the lateness `60` of source `transactions` has no unit",
            "11:21: unknown dimension `plane`",
        ],
    );
}

#[test]
fn a_view_is_checked_beside_its_errors_of_shape() {
    let text = changed(&[
        ("entity: card\n", "entity: crad\n"),
        ("{interval: 5m}", "{intervall: 5m}"),
        ("- {name: txn_count, fn: count, windows: [10m, 1h, 24h]", "- {fn: coun, windows: [7m, 1h]"),
        ("of: amount, windows: [1h, 24h]", "of: amount, windows: [1h, {siz: 1h, offset: 2h}]"),
        ("offline: true", "offlin: maybe"),
        ("tags: {", "tags: [a] # {"),
    ]);
    begin_with(
        &refused(&text),
        &[
            "31:13: unknown entity `crad` in view `card_txn`",
            "33:12: unknown field `intervall` in a mode",
            "35:9: an aggregate needs the field `name`",
            "35:14: an aggregate of view `card_txn`: unknown function `coun`",
            "35:30: an aggregate of view `card_txn`: the window `7m` is not a multiple of the view's interval 5m",
            "36:64: unknown field `siz` in a window",
            "36:81: aggregate `amount_sum` of view `card_txn`: the offset `2h` is positive",
            "38:5: unknown field `offlin` in view `card_txn`",
            "38:13: `offline` takes true or false, not text",
            "43:11: `tags` takes a map, not a list",
        ],
    );
}

#[test]
fn what_follows_from_an_error_of_shape_is_not_said() {
    for (from, to, expected) in [
        ("    source: transactions", "    source: [transactions]", "`source` takes text, not a list"),
        ("    entity: card\n", "    entity: 7\n", "`entity` takes text, not a number"),
        ("{parquet: {path: \"data/txn/\"}}", "{path: data}", "unknown field `path` in a set of files"),
        ("    stream: {log: {}}\n", "    strm: {log: {}}\n", "unknown field `strm` in source `logins`"),
        ("    stream: {log: {}}\n", "    stream: log\n", "`stream` takes a stream (a map), not text"),
        ("    table: {csv: {path: planes.csv}}\n    changes: {log: {}}", "    files: a", "unknown field `files`"),
        ("{interval: 5m}", "{tumbling: 5m}", "unknown field `tumbling` in a mode"),
        ("fn: sum, of: amount", "fn: sum, column: amount", "unknown field `column` in aggregate `amount_sum`"),
        ("fn: sum, of: amount", "fn: sum, off: amount", "unknown field `off` in aggregate `amount_sum`"),
        ("fn: sum, of: amount", "fn: sum, of: amount, m: 3", "unknown field `m` in aggregate `amount_sum`"),
        ("name: amount_sum", "name: [amount_sum]", "`name` takes text, not a list"),
        ("name: amount_sum", "nme: amount_sum", "unknown field `nme` in an aggregate"),
        ("name: card_txn", "nam: card_txn", "unknown field `nam` in a view"),
        ("key: tailnum", "key: [1]", "`key` takes text, not a number"),
        ("key: tailnum", "key: {tailnum: 1}", "`key` takes text, not a map"),
        ("schema: {user: int64, at: timestamp}", "schema: {user: int64, at: [timestamp]}", "`at` takes text"),
        ("schema: {user: int64, at: timestamp}", "schema: [user]", "`schema` takes a map, not a list"),
        ("columns: [seats,", "columns: [[seats],", "`columns` takes text, not a list"),
        ("name: abroad", "name: {abroad: 1}", "`name` takes text, not a map"),
        ("{name: user, keys: {user_id: int64}}", "{name: user, keys: []}", "`keys` takes a map, not a list"),
    ] {
        let text = changed(&[(from, to)]);
        let lines = refused(&text);
        assert!(lines.len() == 1 && lines[0].contains(expected), "`{from}` -> `{to}`: {lines:#?}");
    }
}

#[test]
fn the_lists_of_a_source_are_not_judged_while_nobody_knows_which_is_exploded() {
    let text = "sources:\n  - name: s\n    stream: {log: {}}\n    schema: {a: array<int64>, at: timestamp}\n    \
                event_time: at\n    explode: {column: [a]}\n";
    begin_with(&refused(text), &["6:23: `column` takes text, not a list"]);
}

#[test]
fn a_key_that_stands_twice_hides_nothing() {
    let text = changed(&[
        ("country: string", "amount: string"),
        ("event_time: ts", "event_time: tss"),
        ("lateness: 1h", "lateness: 1h\n    lateness: 2"),
    ]);
    begin_with(
        &refused(&text),
        &["5:83: the key `amount` stands twice", "6:17: no column `tss`", "10:5: the key `lateness` stands twice"],
    );
    // What stands in the second of two sections is known and checked all the same.
    let text = format!("{GOOD}\nentities:\n  - {{name: Late, keys: {{id: int64}}}}\nviews: []\n");
    let lines = refused(&text);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[1].contains("`Late` cannot be the name of an entity"), "{lines:#?}");
}

#[test]
fn a_section_that_is_unknown_may_hold_what_others_name() {
    let views = GOOD.replacen("views:", "feature_definitions:", 1);
    let lines = refused(&views);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    // One that is misspelled is read.
    let views = GOOD.replacen("views:", "viewz:", 1).replacen("entity: card\n", "entity: crad\n", 1);
    begin_with(&refused(&views), &["28:1: unknown field `viewz`", "31:13: unknown entity `crad`"]);
}
