//! What is no expression over the columns is refused before any event: at its place, in the types of columns.

use super::*;

#[test]
fn unknown_names_get_a_suggestion_and_a_place() {
    let error = refusal("n > 0 and\n  amuont > 0");
    assert_eq!((error.kind, error.message.as_str()), (SqlErrorKind::UnknownColumn, "unknown column `amuont`"));
    assert_eq!(error.hint.unwrap(), "did you mean `amount`?");
    assert_eq!(error.offset, Some((2, 3)));

    let error = refusal("userid + 1");
    assert_eq!(error.hint.unwrap(), "did you mean `userId`?");
    let error = refusal("country = \"de\"");
    assert_eq!(error.hint.unwrap(), "double quotes name a column; write a string as 'de'");
    let error = refusal("t.amount");
    assert_eq!(
        (error.kind, error.hint.unwrap().as_str()),
        (SqlErrorKind::UnknownColumn, "columns are not qualified: write `amount`")
    );

    let error = refusal("1 + flor(amount)");
    assert_eq!((error.kind, error.message.as_str()), (SqlErrorKind::UnknownFunction, "unknown function `flor`"));
    assert_eq!(error.hint.unwrap(), "did you mean `floor`?");
    assert_eq!(error.offset, Some((1, 5)));
}

#[test]
fn what_is_no_expression_over_one_event_is_refused() {
    for text in ["now()", "NOW()", "random()", "uuid()", "current_date", "current_timestamp", "current_time", "today()"]
    {
        assert_eq!(refusal(text).kind, SqlErrorKind::NonDeterministic, "{text}");
        assert_eq!(refusal(&format!("ok and {text} is null")).kind, SqlErrorKind::NonDeterministic, "{text}");
    }
    for text in [
        "sum(amount)",
        "count(*)",
        "max(amount, 1)",
        "row_number() over (order by n)",
        "abs(amount) over ()",
        "(select 1)",
        "n in (select 1)",
        "exists (select 1)",
        "n = any (select 1)",
        "$1 + n",
        "n = ?",
        "repeat(country, 1000000000)",
        "lpad(country, n)",
        "lpad(country, 1000000000)",
        "version()",
    ] {
        assert_eq!(refusal(text).kind, SqlErrorKind::Unsupported, "{text}: {}", refusal(text));
    }
    assert_eq!(strings("lpad(country, 4, '.')")[0], Some("..de".into()));
}

#[test]
fn mistakes_of_type_are_found_before_any_event() {
    for text in ["country + 1 + ok", "not amount", "amount and ok", "upper(1, 2)", "ok > 5 * ts"] {
        let error = refusal(text);
        assert_eq!(error.kind, SqlErrorKind::Type, "{text}: {error}");
        assert!(!error.message.contains('\n') && !error.message.ends_with('.'), "{error}");
    }
    assert_eq!(refusal("n + 1 / 0").message, "a constant part cannot be computed: it divides by zero");
    assert_eq!(refusal("9223372036854775807 + 1 - 1 > n").kind, SqlErrorKind::Type);
    let error = predicate("amount", &schema()).unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (SqlErrorKind::Type, "a filter must be true or false, this gives float64")
    );
}

#[test]
fn broken_text_is_a_syntax_error_with_a_place() {
    for text in [
        "",
        "   ",
        "-- nothing",
        "amount >",
        "amount > 0 garbage",
        "(amount",
        "amount)",
        "'open",
        "a ; b",
        "select 1",
        "*",
    ] {
        assert!(
            matches!(refusal(text).kind, SqlErrorKind::Syntax | SqlErrorKind::UnknownColumn),
            "{text}: {:?}",
            refusal(text)
        );
    }
    let error = refusal("amount > 0\n garbage");
    assert_eq!((error.kind, error.offset), (SqlErrorKind::Syntax, Some((2, 2))));
    assert_eq!(refusal("amount + + )").offset, Some((1, 12)));
}

/// Text, message, and the column where it stands.
fn assert_refused(cases: &[(&str, &str, usize)]) {
    for (text, message, column) in cases {
        let refused = refusal(text);
        assert_eq!((refused.message.as_str(), refused.offset), (*message, Some((1, *column))), "{text}");
        assert_eq!(refused.kind, SqlErrorKind::Type, "{text}");
        assert!(refused.hint.is_some(), "{text}");
    }
}

#[test]
fn a_call_says_what_the_function_takes_wherever_it_stands() {
    let part = "`date_part` takes (string, date), (string, span), (string, time of day) or (string, timestamp), \
                not (string, float64)";
    let trimmed = "`ltrim` takes a string, not a bool";
    assert_refused(&[
        ("date_part('day', amount) > 1", part, 1),
        ("not (date_part('day', amount) > 1)", part, 6),
        ("ok and date_part('day', amount) between 1 and 3", part, 8),
        ("not (ltrim(ok) = 'a')", trimmed, 6),
        ("case when ok then ltrim(ok) else 'b' end = 'a'", trimmed, 19),
        ("coalesce(ltrim(ok), 'x') = 'a'", trimmed, 10),
        ("'a' in (country, ltrim(ok))", trimmed, 18),
        ("not (regexp_like(n, 'a'))", "`regexp_like` takes (string, string), not (int64, string)", 6),
        ("not (substr(n, 1, 2) = 'x')", "`substr` takes (string, int64, int64), not (int64, int64, int64)", 13),
        ("not (position('a' in n) > 1)", "`position` takes (string, string), not (int64, string)", 15),
        ("length(amount, 2) > 1", "`length` takes 1 argument, and is given 2", 1),
        ("not (array_length(n) > 1)", "`array_length` takes a list, not an int64", 6),
        ("greatest(ok, ts) is null", "`greatest` does not take (bool, timestamp)", 1),
        ("nullif(ok, 'x')", "`nullif` cannot compare a bool with a string", 1),
    ]);
}

#[test]
fn strings_of_events_are_compared_with_strings_alone() {
    for (text, other, by) in [
        ("country > 5", "an int64", ">"),
        ("5 = country", "an int64", "="),
        ("upper(country) <> n", "an int64", "!="),
        ("country is distinct from amount", "a float64", "is distinct from"),
        ("country = ts", "a timestamp", "="),
        ("country in ('a', 5)", "an int64", "in"),
        ("country between 'a' and 5", "an int64", "between"),
        ("case country when 5 then true end", "an int64", "case"),
    ] {
        for text in [text.to_string(), format!("not ({text})")] {
            let refused = refusal(&text);
            assert_eq!(refused.kind, SqlErrorKind::Type, "{text}");
            let message = format!("a string cannot be compared with {other} by `{by}`");
            assert_eq!(refused.message, message, "{text}");
            assert!(refused.offset.is_some(), "{text}");
        }
    }
    for (text, by) in [
        ("coalesce(n, country) > 1", "coalesce"),
        ("nullif(country, 5) is null", "nullif"),
        ("(case when ok then country else 5 end) = '5'", "case"),
        ("(case when ok then 0 else country end) = 0", "case"),
    ] {
        let message = format!("`{by}` takes values of one type, not a string and an int64");
        assert_eq!(refusal(text).message, message, "{text}");
    }
    let condition = refusal("case when country then 1 else 2 end");
    assert_eq!(condition.message, "`when` takes true or false, not a string");
    let hint = |text| refusal(text).hint.unwrap();
    assert_eq!(hint("country > 5"), "write `cast(country as bigint)`, or the string '5'");
    assert_eq!(hint("ok and country = ts"), "write `cast(country as timestamp)`");
    assert_eq!(refusal("ok and country = 5").offset, Some((1, 8)));
    for text in ["n = 'abc'", "amount in ('1', 'abc')", "ts > 'abc'", "ts between '2024-01-01' and 'abc'"] {
        assert!(refusal(text).message.starts_with("a constant part cannot be computed: 'abc' is no "), "{text}");
    }
    for text in ["n = '5'", "amount in ('1', '2')", "country = '5'", "country = null", "ts > '2024-01-01'"] {
        compile(text);
    }
}

#[test]
fn what_fails_for_every_event_because_of_a_constant_is_refused() {
    assert_refused(&[
        ("date_part('foo', ts) = 1", "`date_part('foo', ts)` always fails: date part 'foo' not supported", 1),
        (
            "ok and not (extract(foo from ts) = 1)",
            "`extract('foo', ts)` always fails: date part 'foo' not supported",
            30,
        ),
        (
            "date_trunc('foo', ts) > ts",
            "`date_trunc('foo', ts)` always fails: unsupported date_trunc granularity: 'foo'",
            1,
        ),
        ("to_timestamp('bad') > ts", "`to_timestamp('bad')` always fails: 'bad' is no timestamp", 1),
        (
            "split_part(country, '-', 0)",
            "`split_part(country, '-', 0)` always fails: field position must not be zero",
            1,
        ),
        ("to_date('bad') > ts", "`to_date('bad')` always fails: it is no date", 1),
        ("sqrt(-1)", "`sqrt(-1)` always fails: cannot take square root of a negative number", 1),
        ("n / 0", "`n / 0` always fails: it divides by zero", 1),
        ("to_timestamp(country, '%Q')", "'%Q' of `to_timestamp` is no format of an instant", 1),
        ("to_char(ts, '%Q')", "'%Q' of `to_char` is no format of an instant", 1),
        ("ts at time zone 'Foo/Bar'", "'Foo/Bar' is no time zone", 1),
    ]);
    for text in
        ["make_date(2024, 13, 1)", "make_date(small, 2, 30)", "encode(country, 'foo')", "decode(country, 'foo')"]
    {
        assert!(refusal(&format!("{text} is null")).message.contains(" always fails: "), "{text}");
    }
    // These fail for some events, or none.
    for text in [
        "make_date(small, 2, 29)",
        "to_timestamp(country, '%d.%m.%Y %H:%M:%S %z')",
        "to_timestamp(country)",
        "to_date(country, '%d.%m.%Y')",
        "decode(country, 'hex') is null",
        "date_part('day', country)",
        "split_part(country, '-', small)",
        "ts at time zone '+01:00'",
        "100 / n",
        "n % 2",
        "n + 9223372036854775807",
        "sqrt(amount)",
        "date_bin(interval '1 hour', ts)",
        "date_bin(interval '1 day', ts, to_timestamp('2020-01-01T06:00:00Z'))",
        "date_bin(interval '1 month', ts, make_date(2020, 1, 1))",
        "arrow_cast(country, 'Decimal128(3, 3)') > 0.2",
        "upper(case when ok then cast(n as varchar) else country end)",
        "chr(n)",
    ] {
        compile(text);
    }
}

#[test]
fn all_unknown_names_of_an_expression_are_found_at_once() {
    let error = refusal("amuont > flor(nn) and amuont < 3 and ok");
    let found: Vec<_> = error.each().map(|error| (error.message, error.offset.unwrap().1)).collect();
    let expected = [("unknown column `amuont`", 1), ("unknown function `flor`", 10), ("unknown column `nn`", 15)];
    assert_eq!(found, expected.map(|(message, column)| (message.to_string(), column)));
}

#[test]
fn bytes_are_no_text() {
    for (text, message) in [
        ("country = sha256(country)", "`=` takes values of one type, not a string and a binary"),
        ("country in (sha256(country), 'x')", "`in` takes values of one type, not a string and a binary"),
        ("reverse(sha256(country))", "`reverse` takes no binary"),
        ("country || sha256(country)", "`||` takes no binary"),
        ("encode(nvl(sha256(country), sha256('x')), 'hex')", "`nvl` takes no binary"),
        ("array_to_string([sha256(country)], ',')", "`make_array` takes no binary"),
        ("sha256(country) like '%a'", "`like` takes no binary"),
    ] {
        let error = refusal(text);
        assert_eq!((error.kind, error.message.as_str()), (SqlErrorKind::Type, message), "{text}");
        assert!(error.hint.unwrap().contains("encode(..., 'hex')"), "{text}");
    }
    assert_eq!(booleans("sha256(country) = sha256('de')"), [Some(true), Some(false), None, Some(false)]);
    for text in [
        "encode(coalesce(sha256(country), sha256('x')), 'hex')",
        "encode(nullif(sha256(country), sha256('x')), 'hex')",
        "encode(greatest(sha256(country), sha256(country)), 'hex')",
        "encode(case when ok then sha256(country) else sha256(country) end, 'hex')",
    ] {
        assert_eq!(strings(text)[0], strings("encode(sha256(country), 'hex')")[0], "{text}");
    }
}

#[test]
fn how_a_function_works_is_written() {
    for (text, message, column) in [
        ("encode(country, country)", "the encoding of `encode` is no written text", 1),
        ("1 + date_part(country, ts)", "the part of `date_part` is no written text", 5),
        ("date_trunc(country, ts)", "the unit of `date_trunc` is no written text", 1),
        ("encode(digest('x', country), 'hex')", "the algorithm of `digest` is no written text", 8),
    ] {
        let error = refusal(text);
        assert_eq!(error.message, message, "{text}");
        assert_eq!(error.offset, Some((1, column)), "{text}");
    }
}
