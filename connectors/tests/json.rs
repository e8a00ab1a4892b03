//! The JSON decoder: what is admitted, what is refused, and in which words.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use freshet_config::definitions::{Column, Source, Stream, StreamFormat};
use freshet_config::diagnostic::Place;
use freshet_config::time::{EventTime, Span};
use freshet_config::value::DataType;
use freshet_connectors::events::{Code, Rejection, TimeBounds};
use freshet_connectors::json::JsonDecoder;
use freshet_connectors::position;
use proptest::prelude::*;

fn source() -> Source {
    let schema = [
        ("ts", DataType::Timestamp),
        ("user", DataType::String),
        ("amount", DataType::Float64),
        ("ratio", DataType::Float32),
        ("id", DataType::Int64),
        ("small", DataType::Int32),
        ("ok", DataType::Bool),
    ];
    Source {
        name: "payments".into(),
        stream: Some(Stream::Kafka { topic: "payments".into(), format: StreamFormat::Json }),
        history: None,
        changes_of: None,
        schema: schema.map(|(name, data_type)| Column { name: name.into(), data_type }).to_vec(),
        event_time: 0,
        dedup_key: None,
        tie_breaker: None,
        lateness: Span::ZERO,
        changelog: None,
        explode: None,
        enrich: Vec::new(),
        select: Vec::new(),
        place: Place::default(),
    }
}

fn record_time() -> EventTime {
    EventTime::parse("2026-03-01T12:00:00Z").unwrap()
}

fn decoder() -> JsonDecoder {
    JsonDecoder::new(&source()).keys(vec![1])
}

fn refused(payload: &[u8]) -> Rejection {
    let mut decoder = decoder();
    let rejection = decoder.decode(payload, position::kafka(3, 77), record_time()).unwrap_err();
    assert_eq!(rejection.place, "payments/3/77");
    assert_eq!(rejection.record_time, Some(record_time()));
    assert!(decoder.finish().is_empty());
    rejection
}

/// A whole event with `field` (such as `"id":5`) added or left out.
fn event(field: &str) -> String {
    let comma = if field.is_empty() { "" } else { "," };
    format!(r#"{{"ts":"2026-03-01T12:00:00Z","user":"u1"{comma}{field}}}"#)
}

#[test]
fn a_full_event_fills_every_column() {
    let mut decoder = decoder();
    let payload =
        br#" {"id":"9223372036854775807","ts":"2026-03-01T11:59:59.25+01:00","user":"a\u0000\n\u00e9\ud83d\ude00",
        "amount":-0.0,"ratio":16777217.0,"small":-2147483648,"ok":true,"extra":{"deep":[1e999]},"other":null} "#;
    decoder.decode(payload, position::kafka(1, 5), record_time()).unwrap();
    decoder.decode(event("").as_bytes(), position::kafka(1, 6), record_time()).unwrap();
    let events = decoder.finish();
    assert_eq!(events.positions, [position::kafka(1, 5), position::kafka(1, 6)]);
    assert_eq!(events.record_times, [record_time(), record_time()]);
    assert_eq!(events.arrival(), Some(record_time()));
    let batch = &events.batch;
    assert_eq!(batch.schema(), freshet_config::definitions::arrow_schema(&source().schema));
    let micros = batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!(EventTime::from_micros(micros).to_string(), "2026-03-01T10:59:59.250Z");
    assert_eq!(batch.column(1).as_string::<i32>().value(0), "a\0\n\u{e9}\u{1f600}");
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().value(0).to_bits(), 0);
    assert_eq!(batch.column(3).as_primitive::<Float32Type>().value(0), 16777216.0);
    assert_eq!(batch.column(4).as_primitive::<Int64Type>().value(0), i64::MAX);
    assert_eq!(batch.column(5).as_primitive::<Int32Type>().value(0), i32::MIN);
    assert!(batch.column(6).as_boolean().value(0));
    for column in 2..7 {
        assert!(batch.column(column).is_null(1), "column {column}");
    }
    assert!(decoder.finish().is_empty());
}

#[test]
fn times_are_read_in_every_allowed_spelling() {
    for (written, at) in [
        (r#""2026-03-01T12:04:59Z""#, "2026-03-01T12:04:59Z"),
        (r#""2026-03-01T12:04:59.123456""#, "2026-03-01T12:04:59.123456Z"),
        (r#""2026-03-01 12:04:59""#, "2026-03-01T12:04:59Z"),
        ("1772366400000001", "2026-03-01T12:00:00.000001Z"),
        (r#""2016-12-31T23:59:60Z""#, "2016-12-31T23:59:59.999999Z"),
        (r#""2026-03-01T12:05:00Z""#, "2026-03-01T12:05:00Z"),
    ] {
        let mut decoder = decoder();
        let payload = format!(r#"{{"ts":{written},"user":"u"}}"#);
        decoder.decode(payload.as_bytes(), 0, record_time()).unwrap_or_else(|e| panic!("{written}: {e}"));
        let micros = decoder.finish().batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0);
        assert_eq!(EventTime::from_micros(micros).to_string(), at, "{written}");
    }
}

#[test]
fn refusals_of_event_times() {
    for (written, code, message) in [
        ("null", Code::Time, "`ts` is missing or null: every event needs its event time"),
        (
            "1772366400",
            Code::Time,
            "`ts` is 1970-01-01T00:29:32.366400Z, more than 3652d before its record (2026-03-01T12:00:00Z); it looks \
             like seconds: send microseconds since 1970 or an RFC 3339 text",
        ),
        (
            "1772366400000",
            Code::Time,
            "`ts` is 1970-01-21T12:19:26.400Z, more than 3652d before its record (2026-03-01T12:00:00Z); it looks \
             like milliseconds: send microseconds since 1970 or an RFC 3339 text",
        ),
        (
            r#""2026-03-01T12:05:00.000001Z""#,
            Code::Future,
            "`ts` is 2026-03-01T12:05:00.000001Z, more than 5m after its record (2026-03-01T12:00:00Z)",
        ),
        (
            r#""1999-01-01T00:00:00Z""#,
            Code::Time,
            "`ts` is 1999-01-01T00:00:00Z, more than 3652d before its record (2026-03-01T12:00:00Z)",
        ),
        (r#""9999-01-01T00:00:00Z""#, Code::Time, "`ts` is 9999-01-01T00:00:00Z, outside the years 1700 to 2249"),
        ("9223372036854775807", Code::Time, "`ts` is 9223372036854775807, outside the years 1700 to 2249"),
        ("92233720368547758070", Code::Time, "`ts` is 92233720368547758070, outside the years 1700 to 2249"),
        (
            "1.5",
            Code::Time,
            "`ts` is 1.5: a timestamp is a whole number of microseconds since 1970 or an RFC 3339 text",
        ),
        (r#""soon""#, Code::Time, "`ts` is \"soon\", not an instant such as 2026-01-31T12:00:00Z"),
        (r#""2026-03-01""#, Code::Time, "`ts` is \"2026-03-01\", not an instant such as 2026-01-31T12:00:00Z"),
        ("true", Code::Type, "`ts` must be a timestamp, found true"),
    ] {
        let rejection = refused(format!(r#"{{"user":"u","ts":{written}}}"#).as_bytes());
        assert_eq!((rejection.code, rejection.message.as_str()), (code, message), "{written}");
    }
    let missing = refused(br#"{"user":"u"}"#);
    assert_eq!(missing.code, Code::Time);
    assert_eq!(
        missing.to_string(),
        "payments/3/77: `ts` is missing or null: every event needs its event time [EV-TIME]"
    );
}

#[test]
fn bounds_can_be_widened_for_old_histories() {
    let mut decoder = decoder().bounds(TimeBounds::UNBOUNDED);
    decoder.decode(br#"{"ts":"1970-01-01T00:00:00Z","user":"u"}"#, 0, record_time()).unwrap();
    decoder.decode(br#"{"ts":"2249-01-01T00:00:00Z","user":"u"}"#, 1, record_time()).unwrap();
    assert_eq!(decoder.len(), 2);
}

#[test]
fn refusals_of_values() {
    for (field, code, message) in [
        (r#""amount":"12.5""#, Code::Type, "`amount` must be a float64 number, found the string \"12.5\""),
        (r#""amount":"NaN""#, Code::Range, "`amount` is NaN: events hold finite numbers only"),
        (r#""amount":1e400"#, Code::Range, "`amount` is 1e400, which does not fit float64"),
        (r#""ratio":1e39"#, Code::Range, "`ratio` is 1e39, which does not fit float32"),
        (r#""id":9223372036854775808"#, Code::Range, "`id` is 9223372036854775808, which does not fit int64"),
        (r#""id":"9223372036854775808""#, Code::Range, "`id` is 9223372036854775808, which does not fit int64"),
        (r#""id":"0x1f""#, Code::Type, "`id` must be an int64 number, found the string \"0x1f\""),
        (r#""id":2.0"#, Code::Type, "`id` must be an int64 number, found 2.0"),
        (r#""id":1e3"#, Code::Type, "`id` must be an int64 number, found 1e3"),
        (r#""small":2147483648"#, Code::Range, "`small` is 2147483648, which does not fit int32"),
        (r#""small":"5""#, Code::Type, "`small` must be an int32 number, found the string \"5\""),
        (r#""ok":1"#, Code::Type, "`ok` must be true or false, found the number 1"),
        (r#""ok":"true""#, Code::Type, "`ok` must be true or false, found the string \"true\""),
        (r#""amount":[1]"#, Code::Type, "`amount` must be a float64 number, found an array"),
        (r#""amount":{}"#, Code::Type, "`amount` must be a float64 number, found an object"),
        (r#""amount":true"#, Code::Type, "`amount` must be a float64 number, found true"),
        (r#""user":"u2""#, Code::DuplicateName, "`user` stands twice in the record"),
        (r#""u\u0073er":"u2""#, Code::DuplicateName, "`user` stands twice in the record"),
        (r#""x":1,"y":2,"x":1"#, Code::DuplicateName, "`x` stands twice in the record"),
        (r#""ok":null,"ok":null"#, Code::DuplicateName, "`ok` stands twice in the record"),
    ] {
        let rejection = refused(event(field).as_bytes());
        assert_eq!((rejection.code, rejection.message.as_str()), (code, message), "{field}");
    }
}

#[test]
fn refusals_of_keys() {
    let null = refused(br#"{"ts":"2026-03-01T12:00:00Z","user":null}"#);
    assert_eq!(
        (null.code, null.message.as_str()),
        (Code::Key, "`user` is missing or null: every event needs its keys")
    );
    let long = |bytes: usize| format!(r#"{{"ts":"2026-03-01T12:00:00Z","user":"{}"}}"#, "k".repeat(bytes));
    decoder().decode(long(2048).as_bytes(), 0, record_time()).unwrap();
    let rejection = refused(long(2049).as_bytes());
    assert_eq!(rejection.code, Code::Key);
    assert_eq!(rejection.message, "`user` has 2049 bytes: a join key may have at most 2048");
    assert_eq!(
        refused(br#"{"ts":"2026-03-01T12:00:00Z","user":7}"#).message,
        "`user` must be a string, found the number 7"
    );
}

#[test]
fn refusals_of_records() {
    for (payload, code, message) in [
        (&br#"{"a":"#[..], Code::Decode, "the record is not JSON: the text breaks off; send all of it (at byte 4)"),
        (b"", Code::Empty, "the record is empty: an event is one JSON object"),
        (b" \n", Code::Empty, "the record is empty: an event is one JSON object"),
        (b"[1]", Code::Decode, "the record is JSON but not an object: an event is one JSON object"),
        (b"null", Code::Decode, "the record is JSON but not an object: an event is one JSON object"),
        (
            b"\xef\xbb\xbf{}",
            Code::Decode,
            "the record is not JSON: a byte order mark of UTF-8 is in front; send UTF-8 without one (at byte 0)",
        ),
        (
            b"{}{}",
            Code::Decode,
            "the record is not JSON: something follows the JSON value; send one value and nothing behind it (at byte 2)",
        ),
        (b"{\"user\":\"\xff\"}", Code::Decode, "the record is not UTF-8: byte 9 is invalid"),
        (
            br#"{"amount":NaN}"#,
            Code::Decode,
            "the record is not JSON: `NaN` is no JSON, which has neither NaN nor infinities; send null, or leave the field out (at byte 10)",
        ),
        (
            br#"{"amount":01}"#,
            Code::Decode,
            "the record is not JSON: this is no number of JSON, which has no zeros in front and digits on both sides of a point (at byte 11)",
        ),
        (
            br#"{"user":"\ud800"}"#,
            Code::Decode,
            "`user` is not a valid string: an escape \\u stands for half a character; write both halves, or the character itself",
        ),
    ] {
        let rejection = refused(payload);
        assert_eq!((rejection.code, rejection.message.as_str()), (code, message));
    }
}

#[test]
fn caps_on_size_depth_and_fields() {
    let huge = vec![b'{'; (1 << 20) + 1];
    let rejection = refused(&huge);
    assert_eq!(rejection.code, Code::Size);
    assert_eq!(rejection.message, "the record has 1048577 bytes: at most 1048576 are read");
    assert!(rejection.payload_excerpt.len() < 300);

    let nested = |levels: usize| event(&format!(r#""x":{}{}"#, "[".repeat(levels), "]".repeat(levels)));
    decoder().decode(nested(127).as_bytes(), 0, record_time()).unwrap();
    for levels in [128, 100_000] {
        let rejection = refused(nested(levels).as_bytes());
        assert_eq!(
            (rejection.code, rejection.message.as_str()),
            (Code::Size, "the record nests deeper than 128 levels")
        );
    }
    // Brackets inside strings are not levels.
    decoder().decode(event(&format!(r#""x":"\"{}""#, "[".repeat(500))).as_bytes(), 0, record_time()).unwrap();

    let fields = |count: usize| event(&(0..count).map(|i| format!(r#""f{i}":0"#)).collect::<Vec<_>>().join(","));
    decoder().decode(fields(4094).as_bytes(), 0, record_time()).unwrap();
    let rejection = refused(fields(4095).as_bytes());
    assert_eq!((rejection.code, rejection.message.as_str()), (Code::Size, "the record has more than 4096 fields"));
}

#[test]
fn a_refused_record_leaves_no_trace_between_good_ones() {
    let mut decoder = decoder();
    decoder.decode(event(r#""id":1,"amount":2.5"#).as_bytes(), 1, record_time()).unwrap();
    decoder.decode(event(r#""id":2,"amount":"x""#).as_bytes(), 2, record_time()).unwrap_err();
    decoder.decode(br#"{"user":"lost","id":3}"#, 3, record_time()).unwrap_err();
    decoder.decode(event(r#""id":4"#).as_bytes(), 4, record_time()).unwrap();
    let events = decoder.finish();
    assert_eq!(events.positions, [1, 4]);
    let ids: Vec<i64> = events.batch.column(4).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(ids, [1, 4]);
    assert!(events.batch.column(2).is_null(1));
    assert_eq!(events.batch.column(1).as_string::<i32>().value(1), "u1");
}

proptest! {
    #[test]
    fn no_payload_panics(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decoder().decode(&payload, 0, record_time());
    }

    #[test]
    fn no_damaged_event_panics(at in 0usize..120, byte in any::<u8>(), cut in 0usize..120) {
        let mut payload = event(r#""id":12,"amount":1.5e3,"small":-7,"ok":false,"x":["\u00e9",{}]"#).into_bytes();
        let length = payload.len();
        payload[at % length] = byte;
        payload.truncate(length - cut % length);
        let _ = decoder().decode(&payload, 0, record_time());
    }

    #[test]
    fn numbers_keep_all_their_bits(id in any::<i64>(), amount in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
        let mut decoder = decoder();
        decoder.decode(event(&format!(r#""id":{id},"amount":{amount:?}"#)).as_bytes(), 0, record_time()).unwrap();
        let batch = decoder.finish().batch;
        prop_assert_eq!(batch.column(4).as_primitive::<Int64Type>().value(0), id);
        prop_assert_eq!(batch.column(2).as_primitive::<Float64Type>().value(0).to_bits(), (amount + 0.0).to_bits());
    }
}

#[test]
fn numbers_that_are_none_are_told_from_text() {
    for (field, shown) in [
        (r#""amount":"NaN""#, "`amount` is NaN"),
        (r#""ratio":"-Infinity""#, "`ratio` is -Infinity"),
        (r#""amount":"inf""#, "`amount` is inf"),
    ] {
        let rejection = refused(event(field).as_bytes());
        assert_eq!(rejection.code, Code::Range, "{field}");
        assert_eq!(rejection.message, format!("{shown}: events hold finite numbers only"));
    }
    assert_eq!(refused(event(r#""amount":"1.5""#).as_bytes()).code, Code::Type);
    assert_eq!(refused(event(r#""id":"NaN""#).as_bytes()).code, Code::Type);
}
