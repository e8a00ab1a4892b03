//! `freshet check`: every mistake at once, with its place and what to do.

use crate::process::{freshet, text};
use crate::{refused, write};

/// What `check` says of definitions of one file, which it refuses.
fn check_refuses(name: &str, content: &str) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write(dir.path(), name, content);
    let (status, errors) = refused(&["check", &dir.path().display().to_string()]);
    assert_eq!(status, 65, "{errors}");
    errors
}

#[test]
fn all_errors_of_definitions_are_said_at_once() {
    let errors = check_refuses(
        "views.yaml",
        "sources:\n  - {name: txn, stream: {log: {}}, schema: {card: int64, city: string, at: timestamp}, event_time: at}\n\
         entities:\n  - {name: card, keys: {card: int64}}\n\
         views:\n  - {name: v, source: txm, entity: card, aggregates: [{name: n, fn: count, windows: [1h]}]}\n\
         \x20 - {name: w, source: txn, entity: card, aggregates: [{name: s, fn: sum, of: city, windows: [0s]}]}\n\
         services:\n  - {name: s, features: [\"w.nothing\"]}\n",
    );
    let lines: Vec<&str> = errors.lines().collect();
    for (place, code, part) in [
        ("views.yaml:6:", "[DEF-REF]", "did you mean `txn`?"),
        ("views.yaml:7:", "[DEF-TYPE]", "sum needs a number"),
        ("views.yaml:7:", "[DEF-WINDOW]", "0s"),
    ] {
        let found = lines.iter().any(|line| line.starts_with(place) && line.contains(code) && line.contains(part));
        assert!(found, "{place} {code} {part} is missing in\n{errors}");
    }
}

/// Whatever is wrong with another view: what is derived is checked as far as what it names is known, and nothing is called
/// unknown that may be what is refused.
#[test]
fn derived_features_are_checked_beside_a_view_that_is_refused() {
    let text = r#"sources:
  - {name: s, stream: {log: {}}, schema: {k: int64, f: float64, ts: timestamp}, event_time: ts}
entities: [{name: e, keys: {k: int64}}]
views:
  - {name: v, source: s, entity: e, aggregates: [{name: n, fn: count, windows: [30m]}, {name: m, fn: max, of: f, windows: [1h]}]}
  - {name: w, source: s, entity: e, aggregates: [{name: n, fn: summ, of: f, windows: [30m]}, {name: l, fn: count, windows: [1h]}]}
realtime:
  - {name: r1, features: [{name: a, type: int64, sql: "r2.a + 1"}]}
  - {name: r2, features: [{name: a, type: int64, sql: "r1.a + 1"}]}
services:
  - name: svc
    features: ["v.*"]
    request: {x: float64, y: flaot64}
    derived:
      - {name: a, type: int64, sql: "request.x"}
      - {name: b, type: int64, sql: "derived.c"}
      - {name: c, type: int64, sql: "derived.b"}
      - {name: d, type: string, sql: "v.n_30m"}
      - {name: e, type: int64, sql: "v.nope"}
      - {name: f, type: float64, sql: "w.n_30m + w.other + request.y + derived.z"}
      - {name: g, type: float64, sql: "sqroot(v.m_1h)"}
      - {name: h, type: float64, sql: "v.m_1h * 2"}
"#;
    let errors = check_refuses("d.yaml", text);
    let places: Vec<&str> = errors.lines().map(|line| line.split(": ").next().unwrap_or_default()).collect();
    let lines: Vec<&str> = places.iter().map(|place| place.split(':').nth(1).unwrap_or_default()).collect();
    assert_eq!(lines, ["6", "8", "13", "15", "16", "18", "19", "21"], "{errors}");
    for part in
        ["unknown function `summ`", "r1.a -> r2.a", "derived.b -> derived.c", "not string", "not int64", "`sqroot`"]
    {
        assert!(errors.contains(part), "{part} is missing in\n{errors}");
    }
}

#[test]
fn errors_in_sql_are_found_by_check() {
    let errors = check_refuses(
        "views.yaml",
        "sources:\n  - {name: txn, stream: {log: {}}, schema: {card: int64, at: timestamp}, event_time: at}\n\
         entities:\n  - {name: card, keys: {card: int64}}\n\
         views:\n  - {name: v, source: txn, entity: card, where: \"crad > 1\", aggregates: [{name: n, fn: count, windows: [1h]}]}\n\
         services:\n  - {name: s, features: [\"v.*\"]}\n",
    );
    assert!(errors.starts_with("views.yaml:6:") && errors.contains("did you mean `card`?"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn check_prints_errors_as_json_too() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write(
        dir.path(),
        "views.yaml",
        "sources:\n  - {name: txn, stream: {log: {}}, schema: {card: int64, at: timestamp}, event_time: at}\n\
         entities:\n  - {name: card, keys: {card: int64}}\n\
         views:\n  - {name: v, source: txm, entity: card, aggregates: [{name: n, fn: count, windows: [1h]}]}\n",
    );
    let output = freshet(&["check", &dir.path().display().to_string(), "--json"]);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(65), ""));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let error = &found["errors"][0];
    assert_eq!((error["file"].as_str(), error["line"].as_u64()), (Some("views.yaml"), Some(6)), "{found}");
    assert_eq!((error["code"].as_str(), error["column"].as_u64()), (Some("DEF-REF"), Some(23)), "{found}");
    assert!(error["message"].is_string(), "{found}");
    assert_eq!(error["hint"], "did you mean `txn`?");
}

#[test]
fn texts_that_could_grow_without_bound_are_refused_by_check() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let views = |second: &str| {
        let pad = "rpad('a', 60, 'a')";
        format!(
            "sources:\n  - name: txn\n    stream: {{log: {{}}}}\n    schema: {{card: int64, s: string, at: timestamp}}\n\
             \x20   event_time: at\n    select:\n\
             \x20     - {{name: a, sql: \"replace(s, 'aaaaaaaa', {pad})\"}}\n\
             \x20     - {{name: b, sql: \"{second}\"}}\n\
             entities:\n  - {{name: card, keys: {{card: int64}}}}\n\
             views:\n  - {{name: v, source: txn, entity: card, aggregates: [{{name: l, fn: last, of: b, windows: [1h]}}]}}\n"
        )
    };
    let check = |text: &str| {
        write(dir.path(), "views.yaml", text);
        freshet(&["check", &dir.path().display().to_string()])
    };
    let sound = check(&views("a || '!'"));
    assert!(sound.status.success(), "{}", text(&sound.stderr));
    // Each alone is within bounds, one after the other they are not.
    let refused = check(&views("replace(a, 'a', 'aaaa')"));
    let errors = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(65), "{errors}");
    assert!(errors.starts_with("views.yaml:8:") && errors.contains("could grow to 120-fold"), "{errors}");
}

#[test]
fn patterns_that_come_from_events_are_refused_by_check() {
    let errors = check_refuses(
        "views.yaml",
        "sources:\n  - {name: txn, stream: {log: {}}, schema: {card: int64, s: string, at: timestamp}, event_time: at}\n\
         entities:\n  - {name: card, keys: {card: int64}}\n\
         views:\n  - {name: v, source: txn, entity: card, where: \"card > 1 and regexp_like(s, s)\", aggregates: [{name: n, fn: count, windows: [1h]}]}\n\
         services:\n  - {name: s, features: [v], request: {x: string}, derived: [{name: d, type: bool, sql: request.x ~ request.x}, {name: e, type: bool, sql: \"request.x ~ '(x{1000}){1000}'\"}]}\n",
    );
    assert_eq!(
        errors.lines().collect::<Vec<_>>(),
        [
            "views.yaml:6:62: the filter of view `v`: the pattern of `regexp_like` comes from the event, and may take any time \
             to look for [DEF-SQL]; write the pattern, and its flags, as a text in quotes",
            "views.yaml:8:89: derived feature `d` of service `s`: the pattern of `~` comes from the event, and may take any time \
             to look for [DEF-SQL]; write the pattern, and its flags, as a text in quotes",
            "views.yaml:8:152: derived feature `e` of service `s`: the pattern `(x{1000}){1000}` of `~` takes more than 1048576 \
             bytes when it is compiled [DEF-SQL]; repeat less, or name fewer characters",
        ]
    );
}

#[test]
fn errors_in_sql_over_several_lines_name_the_line() {
    let text = "sources:\n  - {name: txn, stream: {log: {}}, schema: {card: int64, at: timestamp}, event_time: at}\n\
         entities:\n  - {name: card, keys: {card: int64}}\n\
         views:\n  - name: v\n    source: txn\n    entity: card\n    where: |\n      card > 1\n        and crad < 9\n\
         \x20   aggregates:\n      - name: n\n        fn: count\n        windows: [1h]\n        where: >\n          card > 1\n\
         \x20         and card < crad\n";
    let errors = check_refuses("views.yaml", text);
    let places: Vec<&str> = errors.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(places, ["views.yaml:11:13", "views.yaml:18:22"], "{errors}");
    let errors = check_refuses("views.yaml", &text.replace("and crad", "and card"));
    assert!(errors.starts_with("views.yaml:18:22: "), "{errors}");
}

#[test]
fn every_error_of_definitions_comes_at_once_whatever_stage_finds_it() {
    let text = r#"sources:
  - name: txns
    stream: {log: {}}
    schema: {card_id: int64, amount: float64, ts: timestamp}
    event_time: ts
    select:
      - {name: cents, sql: "amout * 100"}
      - {name: twice, sql: "cents * 2"}
      - {name: large, type: bool, sql: "amount > 'x' || 1"}
entities:
  - {name: card, keys: {card_id: int64}}
views:
  - name: card_txns
    source: txns
    entity: crad
    where: "amuont > 0"
    aggregates:
      - {name: n, fn: count, where: "nope = 1", windows: [1h]}
      - {name: total, fn: sum, of: cardd, windows: [1h, 0s]}
      - {name: of_cents, fn: sum, of: cents, windows: [1h]}
services:
  - {name: s, features: [card_txns]}
"#;
    let check = |text: &str| {
        let errors = check_refuses("d.yaml", text);
        errors.lines().map(|line| line.split(' ').next().unwrap_or_default().to_string()).collect::<Vec<_>>()
    };
    let sql = ["d.yaml:7:29:", "d.yaml:9:41:", "d.yaml:16:13:", "d.yaml:18:37:", "d.yaml:19:36:"];
    let found = check(text);
    for place in sql.into_iter().chain(["d.yaml:15:13:", "d.yaml:19:57:"]) {
        let line = place.rsplitn(3, ':').nth(2).unwrap();
        assert!(found.iter().any(|found| found.starts_with(line)), "{place} is not among {found:?}");
    }
    assert_eq!(found.len(), 7, "{found:?}");
    let mended = text.replace("crad", "card").replace("[1h, 0s]", "[1h]");
    assert_eq!(check(&mended).len(), 5);
}

#[test]
fn sql_is_checked_over_what_is_known_of_a_source() {
    let text = r#"sources:
  - name: txns
    history: {parquet: {pat: "data/"}}
    schema: {card_id: int64, amount: flaot64, country: string}
    event_time: [ts]
    enrich:
      - {dimension: planes, on: {id: card_id}, columns: [seats]}
    select:
      - {name: cents, sql: "amount * 100"}
      - {name: lost, sql: [1]}
      - {name: large, sql: "contry = 'DE' and cents > 1 and seats > 2 and lost"}
      - {name: y, sql: "1 +"}
      - {name: country, sql: "1"}
views:
  - name: card_txns
    source: txns
    aggregates:
      - {fn: sum, of: "country || 'x'", windows: [1h]}
      - {name: a, fn: sum, of: "amount * 2", where: "nope = 1", windows: [1h]}
  - name: of_nothing
    source: txn
    entity: card
    where: "amount > now()"
    aggregates:
      - {name: n, fn: count, where: "(", windows: [1h]}
"#;
    let errors = check_refuses("d.yaml", text);
    let found: Vec<&str> = errors.lines().collect();
    let expected = [
        "d.yaml:3:25: unknown field `pat` in a path",
        "d.yaml:4:38: unknown type `flaot64`",
        "d.yaml:5:17: `event_time` takes text, not a list",
        "d.yaml:7:21: unknown dimension `planes`",
        "d.yaml:10:27: `sql` takes text, not a list",
        "d.yaml:11:28: computed column `large`: unknown column `contry`",
        "d.yaml:12:24: computed column `y`: expected: an expression",
        "d.yaml:13:16: the column `country` of source `txns` is defined twice",
        "d.yaml:15:5: view `card_txns` needs the field `entity`",
        "d.yaml:18:9: an aggregate needs the field `name`",
        "d.yaml:18:23: an aggregate of view `card_txns`: sum needs a number",
        "d.yaml:19:53: the filter of aggregate `a` of view `card_txns`: unknown column `nope`",
        "d.yaml:21:13: unknown source `txn` in view `of_nothing`",
        "d.yaml:22:13: unknown entity `card` in view `of_nothing`",
        "d.yaml:23:21: the filter of view `of_nothing`: `now` gives another value each time",
        "d.yaml:25:37: the filter of aggregate `n` of view `of_nothing`: expected: an expression",
    ];
    let fits = found.len() == expected.len() && found.iter().zip(expected).all(|(line, start)| line.starts_with(start));
    assert!(fits, "{found:#?}");
}

/// Definitions with one wrong expression in each of the places that take one.
fn with_expression(place: &str, text: &str) -> String {
    let sql = |here: &str, otherwise: &str| {
        serde_json::to_string(if here == place { text } else { otherwise }).expect("text serialises")
    };
    format!(
        "sources:
  - name: s
    stream: {{log: {{}}}}
    schema: {{k: int64, n: int32, v: float64, f: float32, t: string, b: bool, at: timestamp}}
    event_time: at
    select: [{{name: c, type: int64, sql: {select}}}]
entities: [{{name: e, keys: {{k: int64}}}}]
views:
  - name: w
    source: s
    entity: e
    where: {filter}
    aggregates: [{{name: a, fn: sum, of: {of}, windows: [1h]}}]
",
        select = sql("select", "k"),
        filter = sql("where", "true"),
        of = sql("of", "v"),
    )
}

#[test]
fn messages_on_sql_speak_of_the_types_of_columns_and_say_what_to_do() {
    let everywhere = [
        "t > 1 and b",
        "b > 1",
        "b > t",
        "at > 1",
        "at > 'yesterday'",
        "at > t",
        "t = at",
        "k = 'x'",
        "v = 'x'",
        "t + 1",
        "t - at",
        "at + 1",
        "at + at",
        "b + 1",
        "b and 1",
        "k or b",
        "not k",
        "not t",
        "-t",
        "-b",
        "k || v",
        "t ~ 1",
        "t like 1",
        "k like 'a'",
        "k in ('a', 'b')",
        "t in (1, at)",
        "b in (1)",
        "at in (1, 2)",
        "k between 'a' and 'b'",
        "at between 1 and 2",
        "case when k then 1 else 2 end",
        "case when b then 1 else 'a' end = 1",
        "case when b then at else 1 end",
        "case t when 1 then 2 end",
        "case k when 'a' then 1 end",
        "abs(t)",
        "abs(b)",
        "abs()",
        "abs(k, k)",
        "round(t)",
        "round(v, 1, 2)",
        "sqrt(t)",
        "upper(k)",
        "upper(at)",
        "upper()",
        "substr(k, 1)",
        "substr(t, 'a')",
        "concat()",
        "length(k)",
        "length(b)",
        "date_trunc(at)",
        "date_trunc('fortnight', at)",
        "date_trunc('hour', t)",
        "date_part('hour', k)",
        "extract(hour from t)",
        "coalesce(k, t) > 1",
        "coalesce(b, 1)",
        "nullif(k, t) > 1",
        "nullif(b, 1)",
        "greatest(k, t) > 1",
        "greatest(b, 1)",
        "cast(b as timestamp)",
        "cast(at as boolean)",
        "cast('x' as bigint)",
        "cast('x' as double)",
        "cast('x' as timestamp)",
        "cast('x' as boolean)",
        "cast(t as decimal)",
        "cast(t as blob)",
        "cast(k as interval)",
        "to_timestamp(b)",
        "1 / 0",
        "9223372036854775807 + 1",
        "k & v",
        "t & 1",
        "k << 'a'",
        "t[1]",
        "k[1]",
        "t.x",
        "k.x.y",
        "array_length(k)",
        "map_keys(t)",
        "make_array(1, 'a', at)",
        "array_sum(t)",
        "nope(1)",
        "nope",
        "'open",
        "(k",
        "k k",
        "k +",
        "",
        " ",
        "select 1",
        "(select 1)",
        "exists (select 1)",
        "sum(k)",
        "count(*)",
        "row_number() over ()",
        "now()",
        "random()",
        "current_date",
        "?",
        "$1",
        ":a",
        "@a",
        "k -> 1",
        "t -> 'a'",
        "x -> x",
        "interval '1'",
        "interval '1 fortnight'",
        "at + interval '1 x'",
        "date '2026'",
        "timestamp 'x'",
        "time 'x'",
        "x'zz'",
        "1e999",
        "null",
        "array[1, 2]",
        "struct(1)",
        "{a: 1}",
        "k is true",
        "t is not false",
        "t is distinct from 1",
        "k similar to 'a'",
        "overlay(t placing 'a' from 1)",
        "position('a' in k)",
        "trim(k)",
        "trim(both 1 from t)",
        "k::text::uuid",
        "try_cast(t as nothing)",
        "k any (1)",
        "k = any(1)",
        "grouping(k)",
        "regexp_like(t, '(')",
        "regexp_like(k, 'a')",
        "t like 'a' escape 'bb'",
        "lpad(t, k)",
        "repeat(t, 'a')",
        "t collate x",
        "at at time zone 'Mars'",
        "floor(v to day)",
        "ceil(t)",
        "power(t, 2)",
        "log(b)",
        "isnan(t)",
        "atan2(v)",
        "char_length(1)",
        "starts_with(k, 'a')",
        "split_part(t, ',', 'a')",
    ];
    let engines = "Utf8 Int64 Int32 Float64 Float32 Boolean Timestamp( Decimal List( Null LogicalPlan DataType NativeType \
                   Signature coerc Coerc UDF udf ScalarValue ExprPlanner sqltorel Ident Literal( Expr DataFusion Arrow planning \
                   Internal NotImplemented Some( None span:";
    let engines: Vec<&str> = engines.split_whitespace().collect();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut wrong = Vec::new();
    for (text, place) in everywhere.into_iter().zip(["select", "where", "of"].into_iter().cycle()) {
        write(dir.path(), "d.yaml", &with_expression(place, text));
        let output = freshet(&["check", &dir.path().display().to_string()]);
        let errors = self::text(&output.stderr);
        let foreign = |line: &&str| engines.iter().any(|word| line.contains(word)) || !line.contains("]; ");
        wrong.extend(errors.lines().filter(foreign).map(|line| format!("{place} {text:?}: {line}")));
        if !output.status.success() && errors.is_empty() {
            wrong.push(format!("{place} {text:?}: refused without a word"));
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

/// What has a name that was given before is checked like everything else.
#[test]
fn faults_inside_of_what_is_defined_twice_come_at_once() {
    let text = "\
sources:
  - {name: s, stream: {log: {}}, schema: {k: int64, v: float64, at: timestamp}, event_time: at}
  - {name: s, stream: {log: {}}, schema: {k: int64, at: timestamp}, event_time: ta}
dimensions:
  - {name: d, changes: {log: {}}, schema: {k: int64}, key: [k]}
  - {name: d, changes: {log: {}}, schema: {k: int46}, key: [k]}
entities:
  - {name: e, keys: {k: int64}}
  - {name: e, keys: {k: float64}}
views:
  - {name: v, source: s, entity: e, aggregates: [{name: n, fn: count, windows: [1h]}]}
  - {name: v, source: s, entity: e, where: 'w > 0', aggregates: [{name: n, fn: sum, of: v, windows: [0s]}]}
realtime:
  - {name: r, request: {x: int64}, features: [{name: f, type: int64, sql: request.x}]}
  - {name: r, request: {x: int}, features: [{name: f, type: int64, sql: request.x}]}
services:
  - {name: t, features: [v]}
  - {name: t, features: [w]}
";
    let errors = check_refuses("d.yaml", text);
    for needle in [
        "no column `ta`",
        "unknown type `int46`",
        "a float cannot be a key",
        "0s",
        "`w`",
        "unknown type `int`",
        "unknown view `w`",
    ] {
        assert!(errors.contains(needle), "{needle} is not in {errors}");
    }
    assert_eq!(errors.matches("is defined twice").count(), 6, "{errors}");
    assert_eq!(errors.lines().count(), 13, "{errors}");
}
