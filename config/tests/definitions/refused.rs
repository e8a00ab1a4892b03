//! One change to the good file each, and the lines it is refused with (places without the file's name).

/// What is replaced, by what, and the lines.
pub type Case = (&'static str, &'static str, &'static [&'static str]);

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    ("dedup_key: txn_id", "dedup_key: tailnum\n    explode: {column: tailnum}", &[
        "5:109: the exploded column `tailnum` of source `transactions` is `string`, not a list [DEF-TYPE]; write `tailnum: array<string>`",
        "7:16: the dedup key of source `transactions` is `tailnum`, which is exploded [DEF-ARG]; name a column that an event has once",
    ]),
    ("dedup_key: txn_id", "changelog: {key: card_id}\n    explode: {column: tailnum}", &[
        "5:109: the exploded column `tailnum` of source `transactions` is `string`, not a list [DEF-TYPE]; write `tailnum: array<string>`",
        "7:16: source `transactions` has a `changelog`, whose rows are events as they are, and an `explode` step [DEF-ARG]; remove one of the two",
    ]),
    ("history: {parquet: {path: \"data/txn/\"}}", "history: {csv: {path: txn/}}\n    explode: {column: tailnum}", &[
        "5:14: source `transactions` explodes a column, and its history is CSV, which holds no lists [DEF-ARG]; keep the history as Parquet or NDJSON",
        "6:109: the exploded column `tailnum` of source `transactions` is `string`, not a list [DEF-TYPE]; write `tailnum: array<string>`",
    ]),
    ("tailnum: string, ts: timestamp", "tailnum: array<string>, ts: timestamp", &[
        "5:109: unknown type `array<string>` of column `tailnum` of source `transactions` [DEF-TYPE]; only a source's column that is exploded holds lists: add `explode: {column: NAME}`",
    ]),
    ("dedup_key: txn_id", "dedup_key: txn_id\n    explode: {column: country, as: ts}", &[
        "5:92: the exploded column `country` of source `transactions` is `string`, not a list [DEF-TYPE]; write `country: array<string>`",
        "5:117: the column `ts` of source `transactions` is defined twice, first at a.yaml:8:36 and again here [DEF-DUP]; rename or remove one of the two",
    ]),
    ("dedup_key: txn_id", "dedup_key: txn_id\n    explode: {column: items}", &[
        "8:23: no column `items` for the explode step of source `transactions` [DEF-COL]; the columns are txn_id, card_id, merchant_id, amount, country, tailnum, ts, seq",
    ]),
    ("txn_id: string, card_id: int64, merchant_id: int64", "txn_id: array<string>, card_id: int64, merchant_id: int64", &[
        "5:22: unknown type `array<string>` of column `txn_id` of source `transactions` [DEF-TYPE]; only a source's column that is exploded holds lists: add `explode: {column: NAME}`",
    ]),
    ("dedup_key: txn_id", "dedup_key: txn_id\n    changelog: {key: txn_id}", &[
        "7:16: source `transactions` has a `changelog`, of whose records the last counts, and a `dedup_key` [DEF-ARG]; remove it; what names a row is the changelog's key, in line 8",
    ]),
    ("dedup_key: txn_id", "changelog: {key: [txn, amount, card_id, card_id], format: avro, version: country}", &[
        "7:23: no column `txn` for the key of the changelog of source `transactions` [DEF-COL]; the columns are txn_id, card_id, merchant_id, amount, country, tailnum, ts, seq",
        "7:28: the key `amount` of the changelog of source `transactions` is float64, and a float cannot be a key [DEF-TYPE]; use an integer, string, bool or timestamp",
        "7:45: the key of the changelog of source `transactions` names `card_id` twice [DEF-DUP]; name it once",
        "7:63: unknown format `avro` of the changelog of source `transactions` [DEF-ARG]; there is debezium, upsert",
        "7:78: the version `country` of the changelog of source `transactions` is string [DEF-TYPE]; name an integer or timestamp column that grows with every change of a row",
    ]),
    ("dedup_key: txn_id", "changelog: {key: []}", &[
        "7:16: the changelog of source `transactions` has 0 key columns, and 1 to 16 are allowed [DEF-ARG]; name the columns that name a row",
    ]),
    ("dedup_key: txn_id", "changelog: {keys: txn_id}", &[
        "7:17: unknown field `keys` in a changelog [DEF-YAML]; did you mean `key`?",
    ]),
    ("source: transactions", "source: transactons", &[
        "30:13: unknown source `transactons` in view `card_txn` [DEF-REF]; did you mean `transactions`?",
    ]),
    ("entity: card", "entity: merchant", &[
        "31:13: unknown entity `merchant` in view `card_txn` [DEF-REF]; there is card, user",
    ]),
    ("dimension: planes", "dimension: plane", &[
        "11:21: unknown dimension `plane` in a join of source `transactions` [DEF-REF]; did you mean `planes`?",
    ]),
    (r#""user_logins""#, r#""user_login""#, &[
        "54:16: unknown view `user_login` in service `fraud_v1` [DEF-REF]; did you mean `user_logins`?",
    ]),
    (r#""card_txn.amount_sum_1h""#, r#""card_txn.amount_sum_2h""#, &[
        "54:31: unknown feature `amount_sum_2h` of view `card_txn` in service `fraud_v1` [DEF-REF]; did you mean `amount_sum_1h`?",
    ]),
    ("name: user_logins", "name: card_txn", &[
        "44:11: the view `card_txn` is defined twice, first at a.yaml:29:11 and again here [DEF-DUP]; rename or remove one of the two",
        "54:16: unknown view `user_logins` in service `fraud_v1` [DEF-REF]; there is card_txn",
    ]),
    ("name: card_txn", "name: ../txn", &[
        "29:11: `../txn` cannot be the name of a view [DEF-NAME]; start with a lower-case letter, go on with lower-case letters, digits and `_`, 64 characters at most",
        "54:31: unknown view `card_txn` in service `fraud_v1` [DEF-REF]; there is user_logins",
        "54:57: unknown view `card_txn` in service `fraud_v1` [DEF-REF]; there is user_logins",
    ]),
    ("name: card_txn", "name: __meta", &[
        "29:11: the name `__meta` of a view starts with `__`, which is reserved [DEF-NAME]; choose another name",
        "54:31: unknown view `card_txn` in service `fraud_v1` [DEF-REF]; there is __meta, user_logins",
        "54:57: unknown view `card_txn` in service `fraud_v1` [DEF-REF]; there is __meta, user_logins",
    ]),
    ("name: card_txn", r#"name: "txn\0🙂""#, &[
        r#"29:11: `txn\u{0}🙂` cannot be the name of a view [DEF-NAME]; start with a lower-case letter, go on with lower-case letters, digits and `_`, 64 characters at most"#,
        "54:31: unknown view `card_txn` in service `fraud_v1` [DEF-REF]; there is user_logins",
        "54:57: unknown view `card_txn` in service `fraud_v1` [DEF-REF]; there is user_logins",
    ]),
    ("name: fraud_v1", "name: Fraud", &[
        "52:11: `Fraud` cannot be the name of a service [DEF-NAME]; start with a lower-case letter, go on with lower-case letters, digits and `_`, 64 characters at most",
    ]),
    ("name: fraud_v1", "name: 7", &[
        "52:11: `name` takes text, not a number [DEF-YAML]; put it in quotes",
    ]),
    ("name: amount_sum", "name: txn_count", &[
        "36:58: the feature `txn_count_1h` of view `card_txn` is defined twice, first at a.yaml:35:53 and again here [DEF-DUP]; rename or remove one of the two",
        "36:62: the feature `txn_count_24h` of view `card_txn` is defined twice, first at a.yaml:35:57 and again here [DEF-DUP]; rename or remove one of the two",
        "54:31: unknown feature `amount_sum_1h` of view `card_txn` in service `fraud_v1` [DEF-REF]; there is seats_max_1h, txn_count_10m, txn_count_1h, txn_count_24h",
    ]),
    ("name: abroad", "name: seats", &[
        "14:16: the column `seats` of source `transactions` is defined twice, first at a.yaml:11:63 and again here [DEF-DUP]; rename or remove one of the two",
    ]),
    ("country: string", "amount: string", &[
        "5:83: the key `amount` stands twice in one map [DEF-YAML]; keep one of the two",
    ]),
    ("[10m, 1h, 24h]", "[1h, 1h]", &[
        "35:52: the feature `txn_count_1h` of view `card_txn` is defined twice, first at a.yaml:35:48 and again here [DEF-DUP]; rename or remove one of the two",
    ]),
    (r#""card_txn.*""#, r#""user_logins""#, &[
        "54:57: the entry `user_logins` of service `fraud_v1` is defined twice, first at a.yaml:54:16 and again here [DEF-DUP]; rename or remove one of the two",
    ]),
    ("[10m, 1h, 24h]", r#"[0s, -1h, 10, "1 fortnight", 400y, 3654d, lifetime]"#, &[
        "35:48: aggregate `txn_count` of view `card_txn`: the window `0s` is not longer than zero [DEF-WINDOW]; write a positive span, such as 10m",
        "35:52: aggregate `txn_count` of view `card_txn`: the window `-1h` is not longer than zero [DEF-WINDOW]; write a positive span, such as 10m",
        "35:57: aggregate `txn_count` of view `card_txn`: the window `10` has no unit [DEF-WINDOW]; write a unit w, d, h, m, s, ms or us, such as 10m or 30s",
        "35:61: aggregate `txn_count` of view `card_txn`: the window `1 fortnight` is not a span [DEF-WINDOW]; write numbers with units w, d, h, m, s, ms or us, such as 90s or 1h30m",
        "35:76: aggregate `txn_count` of view `card_txn`: the window `400y` is not a span [DEF-WINDOW]; write numbers with units w, d, h, m, s, ms or us, such as 90s or 1h30m",
        "35:82: aggregate `txn_count` of view `card_txn`: the window `3654d` is longer than the 3653d (10 years) allowed [DEF-WINDOW]; write a shorter span",
        "35:89: aggregate `txn_count` of view `card_txn`: the window `lifetime` needs the view's lifetime_start [DEF-WINDOW]; add `lifetime_start: 2024-01-01` to the view, or write a span",
    ]),
    ("[10m, 1h, 24h]", "[7m, 3m, 10m]", &[
        "35:48: aggregate `txn_count` of view `card_txn`: the window `7m` is not a multiple of the view's interval 5m [DEF-WINDOW]; write 5m or 10m",
        "35:52: aggregate `txn_count` of view `card_txn`: the window `3m` is not a multiple of the view's interval 5m [DEF-WINDOW]; write 5m",
    ]),
    ("[10m, 1h, 24h]", "[]", &[
        "35:47: aggregate `txn_count` of view `card_txn` has no windows [DEF-WINDOW]; write windows such as [1h, 24h]",
    ]),
    ("{interval: 5m}", "{interval: 0m}", &[
        "33:22: the interval `0m` of view `card_txn` is not longer than zero [DEF-WINDOW]; write a positive span, such as 10m",
    ]),
    ("{interval: 5m}", "sliding", &[
        "33:11: the mode `sliding` of view `card_txn` is unknown [DEF-ARG]; write `continuous`, `{interval: 5m}`, `{batch: {schedule: 1h, delay: 10m}}` or `{sawtooth: 1h}`",
    ]),
    ("{interval: 5m}", "batch", &[
        "33:11: the mode `batch` of view `card_txn` needs its span [DEF-ARG]; write `continuous`, `{interval: 5m}`, `{batch: {schedule: 1h, delay: 10m}}` or `{sawtooth: 1h}`",
    ]),
    ("{interval: 5m}", "{interval: 2h}", &[
        "33:11: the interval 2h of view `card_txn` is longer than the lateness 1h of source `transactions` [DEF-LATE]; raise the source's lateness to at least 2h, or write a shorter interval",
        "35:48: aggregate `txn_count` of view `card_txn`: the window `10m` is not a multiple of the view's interval 2h [DEF-WINDOW]; write 2h",
        "35:53: aggregate `txn_count` of view `card_txn`: the window `1h` is not a multiple of the view's interval 2h [DEF-WINDOW]; write 2h",
        "36:59: aggregate `amount_sum` of view `card_txn`: the window `1h` is not a multiple of the view's interval 2h [DEF-WINDOW]; write 2h",
        "37:64: aggregate `seats_max` of view `card_txn`: the window `1h` is not a multiple of the view's interval 2h [DEF-WINDOW]; write 2h",
    ]),
    ("fn: sum, of: amount", "fn: sum, of: country", &[
        "36:41: aggregate `amount_sum` of view `card_txn`: sum needs a number, and `country` is string [DEF-TYPE]; for string there are {functions}",
    ]),
    ("fn: sum, of: amount", "fn: sum", &[
        "36:16: aggregate `amount_sum` of view `card_txn` has no `of`, and sum needs a column or an expression [DEF-ARG]; add `of: COLUMN`",
    ]),
    ("fn: sum, of: amount", "fn: summ, of: amount", &[
        "36:32: aggregate `amount_sum` of view `card_txn`: unknown function `summ` [DEF-ARG]; did you mean `sum`?",
    ]),
    ("amount: float64", "amount: double", &[
        "5:74: unknown type `double` of column `amount` of source `transactions` [DEF-TYPE]; write `float64`",
    ]),
    ("amount: float64", "amount: flaot64", &[
        "5:74: unknown type `flaot64` of column `amount` of source `transactions` [DEF-TYPE]; did you mean `float64`?",
    ]),
    ("event_time: ts", "event_time: amount", &[
        "6:17: the event time `amount` of source `transactions` is float64, not a timestamp [DEF-TIME]; name a timestamp column: ts",
    ]),
    ("event_time: ts", "event_time: tss", &[
        "6:17: no column `tss` for the event time of source `transactions` [DEF-COL]; did you mean `ts`? the columns are txn_id, card_id, merchant_id, amount, country, tailnum, ts, seq",
    ]),
    ("tie_breaker: seq", "tie_breaker: country", &[
        "8:18: the tie breaker `country` of source `transactions` is string, not an integer [DEF-TYPE]; use an int32 or int64 column",
    ]),
    ("dedup_key: txn_id", "dedup_key: amount", &[
        "7:16: the dedup key `amount` of source `transactions` is float64, and a float cannot be a key [DEF-TYPE]; use an integer, string, bool or timestamp",
    ]),
    ("keys: {user_id: user}", "keys: {user_id: usr}", &[
        "47:21: source `logins` has no column `usr` for the join key `user_id` of view `user_logins` [DEF-COL]; the columns are user, at",
    ]),
    ("    keys: {user_id: user}\n", "", &[
        "46:13: source `logins` has no column `user_id` for the join key `user_id` of view `user_logins` [DEF-COL]; add `keys: {user_id: COLUMN}` to the view; the columns are user, at",
    ]),
    ("keys: {user_id: user}", "keys: {userid: user}", &[
        "46:13: source `logins` has no column `user_id` for the join key `user_id` of view `user_logins` [DEF-COL]; add `keys: {user_id: COLUMN}` to the view; the columns are user, at",
        "47:12: `userid` in the keys of view `user_logins` is not a key of entity `user` [DEF-COL]; did you mean `user_id`?",
    ]),
    ("{user_id: int64}", "{user_id: string}", &[
        "47:21: the join key `user` of view `user_logins` is int64 in source `logins`, but string in entity `user` [DEF-TYPE]; declare both with one type",
    ]),
    ("{user_id: int64}", "{user_id: float64}", &[
        "27:34: key `user_id` of entity `user` is float64, and a float cannot be a key [DEF-TYPE]; use an integer, string, bool or timestamp",
    ]),
    ("on: {tailnum: tailnum}", "on: {tail: tailnum}", &[
        "11:33: the join of source `transactions` with dimension `planes` leaves out its key column `tailnum` [DEF-COL]; name an event column for every key column",
        "11:34: `tail` is not a key column of dimension `planes` [DEF-COL]; write `{dimension key: event column}`; the key is tailnum",
    ]),
    ("on: {tailnum: tailnum}", "on: {tailnum: card_id}", &[
        "11:43: column `card_id` is int64, but the key `tailnum` of dimension `planes` is string [DEF-TYPE]; declare both with one type",
    ]),
    ("columns: [seats,", "columns: [seat,", &[
        "11:63: no column `seat` for a join with dimension `planes` [DEF-COL]; did you mean `seats`? the columns are tailnum, year, seats",
    ]),
    ("key: tailnum", "key: [tailnum, year]", &[
        "11:33: the join of source `transactions` with dimension `planes` leaves out its key column `year` [DEF-COL]; name an event column for every key column",
        "21:20: column `year`, the key of dimension `planes`, is float64, and a float cannot be a key [DEF-TYPE]; use an integer, string, bool or timestamp",
    ]),
    ("lateness: 1h", "lateness: -1h", &[
        "9:15: the lateness `-1h` of source `transactions` is negative [DEF-LATE]; write zero or a positive span, such as 1h",
    ]),
    ("lateness: 1h", "lateness: 60", &[
        "9:15: the lateness `60` of source `transactions` has no unit [DEF-LATE]; write a unit w, d, h, m, s, ms or us, such as 10m or 30s",
    ]),
    ("lateness: 1h", "lateness: 11000d", &[
        "9:15: the lateness `11000d` of source `transactions` is longer than the 3653d (10 years) allowed [DEF-LATE]; write a shorter span",
    ]),
    ("serving_ttl: 30d", "serving_ttl: 0d", &[
        "39:18: the serving_ttl `0d` of view `card_txn` is not longer than zero [DEF-ARG]; write a positive span, such as 10m",
    ]),
    ("feature_start: 2025-01-01T00:00:00Z", "feature_start: 2025-01", &[
        "40:20: the feature_start of view `card_txn` `2025-01` is not an RFC 3339 instant with a zone [DEF-TIME]; write one such as 2026-01-31T12:00:00Z",
    ]),
    ("dedup_key: txn_id", "dedupe_key: txn_id", &[
        "7:5: unknown field `dedupe_key` in source `transactions` [DEF-YAML]; did you mean `dedup_key`?",
    ]),
    ("    event_time: at\n", "", &[
        "15:5: source `logins` needs the field `event_time` [DEF-YAML]; add `event_time`",
    ]),
    ("  - name: logins\n    stream: {log: {}}\n    schema: {user: int64, at: timestamp}\n    event_time: at\n", "  - {stream: {log: {}}}\n", &[
        "15:5: a source needs the field `event_time` [DEF-YAML]; add `event_time`",
        "15:5: a source needs the field `name` [DEF-YAML]; add `name`",
        "15:5: a source needs the field `schema` [DEF-YAML]; add `schema`",
    ]),
    ("views:", "view:", &[
        "28:1: unknown field `view` in a file of definitions [DEF-YAML]; did you mean `views`?",
    ]),
    ("offline: true", "offline: yes", &[
        "38:14: `offline` takes true or false, not text [DEF-YAML]; write `true` or `false`, without quotes",
    ]),
    ("aggregates:\n      - {name: logins, fn: count, windows: [1h]}", "aggregates: {}", &[
        "49:17: `aggregates` takes a list, not a map [DEF-YAML]; put it in brackets, or write an item per line behind `-`",
    ]),
    ("stream: {log: {}}", "stream: {log: {}, kafka: {topic: t}}", &[
        "16:13: the stream of source `logins` needs exactly one of `kafka` and `log` [DEF-ARG]; write `{kafka: {topic: NAME}}` or `{log: {}}`",
    ]),
    ("stream: {log: {}}", "description: nothing", &[
        "15:11: source `logins` has neither `stream` nor `history`, so no event could come [DEF-ARG]; add at least one of the two",
    ]),
    ("topic: txn.v1, format: json", "topic: txn/v1, format: avro", &[
        "3:29: `txn/v1` cannot be the topic of the stream of source `transactions` [DEF-ARG]; use letters, digits, `.`, `_` and `-`, 249 characters at most",
        "3:45: the format `avro` of the stream of source `transactions` is not supported yet [DEF-ARG]; write `json`",
    ]),
    ("{csv: {path: planes.csv}}", r#"{csv: {path: ""}}"#, &[
        "23:25: `` cannot be the path of the table of dimension `planes` [DEF-ARG]; name a file or a directory",
    ]),
    ("table: {csv: {path: planes.csv}}\n    changes: {log: {}}", "", &[
        "20:11: dimension `planes` has neither `table` nor `changes`, so it would stay empty [DEF-ARG]; add at least one of the two",
    ]),
    (r#"sql: "amount * 0.9""#, r#"sql: " ""#, &[
        "13:48: the expression of column `amount_eur` of source `transactions` is empty [DEF-ARG]; write a column or an SQL expression, or remove it",
    ]),
    ("topic: txn.v1,", "topic: txn.v1, password: hunter2,", &[
        "3:37: unknown field `password` in a kafka stream [DEF-YAML]; there is format, topic",
        "3:47: the value of `password` is a password or key in plain text (not shown) [DEF-SECRET]; definitions are shared and hashed: put it into the settings as `${NAME}`, an environment variable",
    ]),
    (r#""data/txn/""#, r#""s3://me:hunter2@bucket/txn""#, &[
        "4:31: this text holds a password or key in plain text (not shown) [DEF-SECRET]; definitions are shared and hashed: put it into the settings as `${NAME}`, an environment variable",
    ]),
    ("    lateness: 1h", "\tlateness: 1h", &[
        "8:18: the file is not valid YAML: while scanning a plain scalar, found a tab [DEF-YAML]; indent with spaces: YAML does not allow tabs",
    ]),
    ("    lateness: 1h", "    lateness: 1h\n    lateness: 2h", &[
        "10:5: the key `lateness` stands twice in one map [DEF-YAML]; keep one of the two",
    ]),
];
