//! Expressions as definitions use them: values, types, refusals, failing rows, and independence of batches.

mod bounds;
mod refusals;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat;
use arrow::datatypes::{
    Field, Float32Type, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
};
use freshet_config::definitions::{Column, arrow_schema, arrow_type};
use freshet_config::time::EventTime;
use freshet_config::value::DataType;
use freshet_operators::sql::{Expression, MAX_DEPTH, MAX_TEXT_BYTES, SqlError, SqlErrorKind, SqlFault, predicate};
use proptest::prelude::*;

fn schema() -> SchemaRef {
    let column = |(name, data_type): (&str, DataType)| Column { name: name.to_string(), data_type };
    let columns = [
        ("amount", DataType::Float64),
        ("n", DataType::Int64),
        ("small", DataType::Int32),
        ("ratio", DataType::Float32),
        ("country", DataType::String),
        ("ok", DataType::Bool),
        ("ts", DataType::Timestamp),
        ("userId", DataType::Int64),
    ];
    arrow_schema(&columns.map(column))
}

fn instant(text: &str) -> i64 {
    EventTime::parse(text).unwrap().micros()
}

fn batch() -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Float64Array::from(vec![Some(10.5), None, Some(-1.0), Some(0.0)])),
        Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(0), Some(i64::MAX)])),
        Arc::new(Int32Array::from(vec![Some(7), Some(-7), None, Some(i32::MIN)])),
        Arc::new(Float32Array::from(vec![Some(0.5), Some(0.25), None, Some(2.0)])),
        Arc::new(StringArray::from(vec![Some("de"), Some("fr"), None, Some("12")])),
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)])),
        Arc::new(TimestampMicrosecondArray::from(vec![
            Some(instant("2024-01-01T00:00:00Z")),
            Some(instant("2023-12-31T23:59:59.999999Z")),
            Some(instant("2024-01-01T00:00:00.000001Z")),
            None,
        ])),
        Arc::new(Int64Array::from(vec![5, 6, 7, 8])),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn compile(text: &str) -> Expression {
    Expression::compile(text, &schema()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> SqlError {
    match Expression::compile(text, &schema()) {
        Ok(expression) => panic!("{text} compiled to {expression:?}"),
        Err(error) => error,
    }
}

fn floats(text: &str) -> Vec<Option<f64>> {
    compile(text).evaluate(&batch()).unwrap().array.as_primitive::<Float64Type>().iter().collect()
}

fn integers(text: &str) -> Vec<Option<i64>> {
    compile(text).evaluate(&batch()).unwrap().array.as_primitive::<Int64Type>().iter().collect()
}

fn booleans(text: &str) -> Vec<Option<bool>> {
    compile(text).evaluate(&batch()).unwrap().array.as_boolean().iter().collect()
}

fn strings(text: &str) -> Vec<Option<String>> {
    let evaluated = compile(text).evaluate(&batch()).unwrap();
    evaluated.array.as_string::<i32>().iter().map(|value| value.map(str::to_string)).collect()
}

/// Alone a column is its name, whatever SQL makes of the word; in an expression it is quoted.
#[test]
fn columns_may_be_called_as_words_of_sql() {
    let words = ["user", "interval", "current_date", "exists", "trim"];
    let columns = words.map(|name| Column { name: name.to_string(), data_type: DataType::Int64 });
    let schema = arrow_schema(&columns);
    let values: Vec<ArrayRef> = (0..5).map(|n| Arc::new(Int64Array::from(vec![n])) as ArrayRef).collect();
    let batch = RecordBatch::try_new(schema.clone(), values).unwrap();
    for (number, word) in words.into_iter().enumerate() {
        for (text, wanted) in [(format!(" {word} "), number as i64), (format!("\"{word}\" * 2"), 2 * number as i64)] {
            let found = Expression::compile(&text, &schema).unwrap().evaluate(&batch).unwrap();
            assert_eq!(found.array.as_primitive::<Int64Type>().values(), &[wanted], "{text}");
        }
    }
}

#[test]
fn values_follow_sql() {
    assert_eq!(floats("amount * 2"), [Some(21.0), None, Some(-2.0), Some(0.0)]);
    assert_eq!(floats("coalesce(amount, 0.5)"), [Some(10.5), Some(0.5), Some(-1.0), Some(0.0)]);
    assert_eq!(integers("case when n > 1 then n else -1 end"), [Some(-1), Some(2), Some(-1), Some(i64::MAX)]);
    assert_eq!(booleans("country in ('de', 'at')"), [Some(true), Some(false), None, Some(false)]);
    assert_eq!(booleans("country like 'd%' or ok"), [Some(true), Some(false), None, Some(true)]);
    assert_eq!(
        strings("upper(country) || '-' || cast(n as varchar)"),
        [Some("DE-1".into()), Some("FR-2".into()), None, Some("12-9223372036854775807".into())]
    );
    assert_eq!(strings("substr(country, 1, 1)")[0], Some("d".into()));
    assert_eq!(integers("userId + 1"), [Some(6), Some(7), Some(8), Some(9)]);
    assert_eq!(floats("ABS(amount)")[2], Some(1.0));
}

#[test]
fn maps_are_asked_for_keys_of_the_event() {
    let by_country = "map([country, 'x'], [n, 7])";
    for (text, expected) in [
        (format!("{by_country}[country]"), [Some(1), Some(2), None, Some(i64::MAX)]),
        (format!("{by_country}[coalesce(country, 'none') || '']"), [Some(1), Some(2), None, Some(i64::MAX)]),
        (format!("{by_country}['x']"), [Some(7), Some(7), None, Some(7)]),
        ("map([n], [map([userId], [n])])[n][userId]".to_string(), [Some(1), Some(2), Some(0), Some(i64::MAX)]),
        ("map([n, -1], [userId, small])[small]".to_string(), [None; 4]),
    ] {
        assert_eq!(integers(&text), expected, "{text}");
    }
}

#[test]
fn digests_are_those_of_their_standards() {
    // As `printf de | md5sum` has it, and `sha256sum`.
    for (text, wanted) in [
        ("md5(country)", "5f02f0889301fd7be1ac972c11bf3e7d"),
        ("encode(sha256(country), 'hex')", "959a45d44e6fcf58361ed004681556fe50129f2109e817dec098c00c9e5d2578"),
        ("encode(country, 'base64')", "ZGU"),
        ("cast(decode('6465', 'hex') as varchar)", "de"),
    ] {
        assert_eq!(strings(text)[0].as_deref(), Some(wanted), "{text}");
    }
    assert_eq!(strings("md5(country)")[2], None);
    let error = refusal("sha256(country)");
    assert_eq!(error.message, "the expression gives binary, which no column can hold");
    assert_eq!(error.hint.unwrap(), "write `encode(..., 'hex')`, or `cast(... as varchar)` where the bytes are text");
}

#[test]
fn timestamps_compare_with_text_as_instants() {
    assert_eq!(booleans("ts > '2024-01-01T00:00:00Z'"), [Some(false), Some(false), Some(true), None]);
    assert_eq!(booleans("ts >= '2024-01-01T02:00:00+02:00'"), [Some(true), Some(false), Some(true), None]);
    assert_eq!(booleans("ts < timestamp '2024-01-01 00:00:00'"), [Some(false), Some(true), Some(false), None]);
    assert_eq!(
        booleans("ts >= timestamp '2023-12-31' + interval '1 day'"),
        [Some(true), Some(false), Some(true), None]
    );
    assert_eq!(booleans("extract(hour from ts) = 0"), [Some(true), Some(false), Some(true), None]);
    let day = compile("date_trunc('day', ts)").evaluate(&batch()).unwrap();
    let day: Vec<_> = day.array.as_primitive::<TimestampMicrosecondType>().iter().collect();
    assert_eq!(day[1], Some(instant("2023-12-31T00:00:00Z")));
}

#[test]
fn results_have_one_of_our_types() {
    for (text, expected) in [
        ("amount", DataType::Float64),
        ("n + 1", DataType::Int64),
        ("small", DataType::Int32),
        ("ratio", DataType::Float32),
        ("upper(country)", DataType::String),
        ("cast(country as varchar)", DataType::String),
        ("arrow_cast(country, 'LargeUtf8')", DataType::String),
        ("arrow_cast(country, 'Utf8View')", DataType::String),
        ("arrow_cast(small, 'Int16')", DataType::Int32),
        ("character_length(country)", DataType::Int32),
        ("n > 0", DataType::Bool),
        ("ts", DataType::Timestamp),
        ("to_timestamp(n)", DataType::Timestamp),
        ("cast(ts as date)", DataType::Timestamp),
        ("ts at time zone 'Europe/Berlin'", DataType::Timestamp),
        ("cast(amount as decimal(10, 2))", DataType::Float64),
        ("1", DataType::Int64),
        ("'x'", DataType::String),
    ] {
        let expression = compile(text);
        assert_eq!(expression.data_type(), &arrow_type(expected), "{text}");
        let evaluated = expression.evaluate(&batch()).unwrap();
        assert_eq!(evaluated.array.data_type(), &arrow_type(expected), "{text}");
        assert_eq!(evaluated.array.len(), 4, "{text}");
    }
    for text in ["interval '1 day'", "ts - ts", "null", "named_struct('a', 1)"] {
        assert_eq!(refusal(text).kind, SqlErrorKind::Type, "{text}");
    }
}

#[test]
fn declared_types_take_what_fits_without_loss() {
    for (text, target) in [
        ("small", DataType::Int64),
        ("small", DataType::Float64),
        ("ratio", DataType::Float64),
        ("1", DataType::Float64),
        ("1", DataType::Int32),
        ("-3", DataType::Float32),
        ("0.1", DataType::Float32),
        ("null", DataType::String),
        ("case when ok then 1 else 0 end", DataType::Int32),
        ("case when ok then 1 else 0 end", DataType::Float64),
        ("case when ok then 1 end", DataType::Int32),
        ("'2024-01-01T00:00:00Z'", DataType::Timestamp),
        ("cast(amount as decimal(10, 2))", DataType::Float64),
        ("n", DataType::Int64),
    ] {
        let expression = Expression::compile_typed(text, &schema(), target).unwrap_or_else(|e| panic!("{text}: {e}"));
        let evaluated = expression.evaluate(&batch()).unwrap();
        assert_eq!(evaluated.array.data_type(), &arrow_type(target), "{text}");
        assert_eq!(evaluated.failed_rows, 0, "{text}");
    }
    for (text, target) in [
        ("n", DataType::Int32),
        ("n", DataType::Float64),
        ("n + 1", DataType::Float64),
        ("amount", DataType::Int64),
        ("amount", DataType::Float32),
        ("3000000000", DataType::Int32),
        ("9007199254740993", DataType::Float64),
        ("1.5", DataType::Int64),
        ("n", DataType::String),
        ("country", DataType::Int64),
        ("'5'", DataType::Int64),
        ("'yesterday'", DataType::Timestamp),
        ("case when ok then 1 else n end", DataType::Int32),
        ("ok", DataType::Int64),
    ] {
        let error = Expression::compile_typed(text, &schema(), target).unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Type, "{text}");
        assert!(error.message.contains(target.name()), "{text}: {error}");
    }
    let error = Expression::compile_typed("n", &schema(), DataType::Int32).unwrap_err();
    assert_eq!(error.message, "the expression gives int64, not int32");
    assert_eq!(error.hint.unwrap(), "write `cast(... as int)`, or change the declared type");
    let typed = Expression::compile_typed("0.1", &schema(), DataType::Float32).unwrap();
    assert_eq!(typed.evaluate(&batch()).unwrap().array.as_primitive::<Float32Type>().value(0), 0.1f32);
}

#[test]
fn a_failing_row_is_null_and_counted_and_harms_no_other() {
    for (text, expected, why) in [
        ("10 / n", vec![Some(10), Some(5), None, Some(0)], "it divides by zero"),
        ("n + 1", vec![Some(2), Some(3), Some(1), None], "9223372036854775807 + 1 is beyond its type"),
        ("n * 2", vec![Some(2), Some(4), Some(0), None], "9223372036854775807 * 2 is beyond its type"),
        ("-2 - n", vec![Some(-3), Some(-4), Some(-2), None], "-2 - 9223372036854775807 is beyond its type"),
    ] {
        let evaluated = compile(text).evaluate(&batch()).unwrap();
        let values: Vec<_> = evaluated.array.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(values, expected, "{text}");
        assert_eq!(evaluated.failed_rows, 1, "{text}");
        assert_eq!(evaluated.first_failure.as_deref(), Some(why), "{text}");
    }
    let faults = |text: &str| -> Vec<SqlFault> {
        compile(text).evaluate(&batch()).unwrap().failed.into_iter().map(|(_, fault)| fault).collect()
    };
    assert_eq!(faults("abs(-n - 9223372036854775807)"), [SqlFault::Overflow; 3], "the least integer has no positive");
    // Of -1, and of infinity, -infinity and NaN.
    let (function, infinite) = (SqlFault::Function, SqlFault::NotFinite);
    assert_eq!(
        (faults("sqrt(amount)"), faults("sqrt(amount / 0.0)")),
        (vec![function], vec![infinite, function, infinite])
    );
    // Of 1, 2, 0 and the largest: only the last is no instant.
    assert_eq!(faults("to_timestamp_micros(n)"), [SqlFault::NoInstant]);
    assert_eq!(
        faults("to_timestamp_micros(n + 8835955200000000)"),
        [SqlFault::NoInstant, SqlFault::NoInstant, SqlFault::Overflow]
    );
    let negated = compile("-small").evaluate(&batch()).unwrap();
    assert_eq!(negated.array.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [Some(-7), Some(7), None, None]);
    assert_eq!(negated.failed_rows, 1);
    let parsed = compile("cast(country as bigint)").evaluate(&batch()).unwrap();
    assert_eq!(parsed.array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [None, None, None, Some(12)]);
    assert_eq!(parsed.failed_rows, 2);
    assert!(parsed.first_failure.unwrap().contains("'de'"));
}

/// Whatever sign the processor gives it, of arithmetic, of a function, of constants: NaN is itself, and greater than all numbers.
#[test]
fn there_is_one_nan_and_it_is_the_greatest() {
    for text in [
        "amount / amount > 1e308",
        "-(amount / amount) > 1e308",
        "amount / amount = -(amount / amount)",
        "0 - amount / amount > amount / 1e-320",
        "acos(amount + 2) > 1e308",
        "acos(amount + 2) = amount / amount",
        "round(-(amount / amount)) > 1e308",
        "cast(amount / amount as real) > 1e38",
        "0.0 / 0.0 > 1e308",
        "-(0.0 / 0.0) > 1e308",
        "acos(2.0) > 1e308",
        "greatest(-(amount / amount), 1.0) > 1e308",
        "least(-(amount / amount), 1.0) = 1.0",
        "coalesce(-(amount / amount), 1.0) > 1e308",
        "case when ok then -(amount / amount) else 1.0 end > 1e308",
        "-(amount / amount) not between -1e308 and 1e308",
        "nullif(-(amount / amount), amount / amount) is null",
        "array_has([amount / amount], -(amount / amount))",
    ] {
        let evaluated = compile(text).evaluate(&batch()).unwrap();
        assert!(evaluated.array.as_boolean().value(3), "{text}: {evaluated:?}");
    }
    // As a result it is none.
    let evaluated = compile("amount / amount").evaluate(&batch()).unwrap();
    assert!(evaluated.array.is_null(3) && evaluated.failed.iter().any(|(row, _)| *row == 3));
}

/// `in`, `case` and `nullif` compare bits.
#[test]
fn there_is_one_zero() {
    for text in [
        "-amount in (0, 1)",
        "not (-amount not in (0, 1, 2))",
        "case -amount when 0 then true else false end",
        "case round(amount - 0.3) when 0 then true else false end",
        "nullif(-amount, 0) is null",
        "array_has(make_array(0.0, 1.0), amount * -1)",
        "concat(-amount, '') = '0.0'",
        "amount in (-0.0, 1)",
        "amount in (cast('-0' as double), 1)",
    ] {
        let evaluated = compile(text).evaluate(&batch()).unwrap();
        assert!(evaluated.array.as_boolean().value(3), "{text}: {evaluated:?}");
    }
}

#[test]
fn compared_spans_have_days_of_24_hours_and_no_months() {
    for text in [
        "ts + interval '30 hours' - ts > interval '1 day'",
        "ts + interval '30 hours' - ts < interval '2 days'",
        "ts + interval '30 hours' - ts between interval '1 day' and interval '1 week'",
        "ts + interval '2 days' - ts in (interval '2 days', interval '1 hour')",
        "greatest(ts + interval '30 hours' - ts, interval '1 day') = interval '30 hours'",
        "case when ok then interval '1 day' else interval '25 hours' end < ts + interval '30 hours' - ts",
        "interval '1 day' = interval '24 hours'",
        "ts + interval '1 month' > ts + interval '27 days'",
    ] {
        let evaluated = compile(text).evaluate(&batch()).unwrap();
        assert!(evaluated.array.as_boolean().value(0), "{text}: {evaluated:?}");
    }
    for text in ["ts - ts <= interval '1 month'", "greatest(ts - ts, interval '1 year') > interval '1 hour'"] {
        let message = "a span of months or years has no length that it could be compared by";
        assert_eq!(refusal(text).message, message, "{text}");
    }
}

#[test]
fn floats_are_finite_with_one_zero() {
    let evaluated = compile("1 / amount").evaluate(&batch()).unwrap();
    let values: Vec<_> = evaluated.array.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(values, [Some(1.0 / 10.5), None, Some(-1.0), None]);
    assert_eq!(
        (evaluated.failed_rows, evaluated.first_failure.as_deref()),
        (1, Some("the result is not a finite number"))
    );
    let zero = floats("-amount")[3].unwrap();
    assert!(zero == 0.0 && zero.is_sign_positive());
    assert_eq!(compile("amount / 1e-320").evaluate(&batch()).unwrap().failed_rows, 2);
}

#[test]
fn a_filter_lets_null_and_failure_fall() {
    let filter = predicate("10 / n > 4 and country <> 'xx'", &schema()).unwrap();
    let selection = filter.evaluate(&batch()).unwrap();
    assert_eq!(selection.passes.null_count(), 0);
    assert_eq!(selection.passes.iter().map(|pass| pass.unwrap()).collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(selection.failed_rows, 1);
    assert_eq!(filter.columns(), [1, 4]);
    let null = predicate("ok", &schema()).unwrap().evaluate(&batch()).unwrap();
    assert_eq!(null.passes.iter().map(|pass| pass.unwrap()).collect::<Vec<_>>(), [true, false, false, true]);
    assert_eq!(null.failed_rows, 0);
}

#[test]
fn a_batch_of_another_shape_is_refused() {
    let expression = compile("amount + n");
    assert_eq!(expression.columns(), [0, 1]);
    assert!(expression.nullable());
    assert!(!compile("1").nullable());
    assert_eq!(compile("1").columns(), [] as [usize; 0]);
    let error = expression.evaluate(&batch().project(&[0]).unwrap()).unwrap_err();
    assert_eq!(error.message, "column `n` of the batch is missing, not int64");
    let error = expression.evaluate(&batch().project(&[0, 4]).unwrap()).unwrap_err();
    assert_eq!(error.message, "column `n` of the batch is string, not int64");
    assert_eq!(expression.evaluate(&batch().slice(0, 0)).unwrap().array.len(), 0);
    let empty = Schema::empty();
    assert_eq!(Expression::compile("n", &empty).unwrap_err().hint.unwrap(), "none is defined");
}

/// Expressions whose kernels take shortcuts that depend on the other rows of a batch.
const TRICKY: [&str; 12] = [
    "10 / n",
    "n + userId",
    "n <> 0 and 10 / n > 1",
    "n = 0 or 10 / n > 1",
    "ok and 100 / small > 3",
    "case when n <> 0 then 100 / n else small end",
    "coalesce(amount / n, 100 / small)",
    "cast(country as int) + small",
    "amount / n",
    "nullif(n, 0) % small",
    "-small * small",
    "country in ('1', '2') and cast(country as int) / small > 0",
];

proptest! {
    #[test]
    fn the_cut_of_batches_never_shows(
        rows in prop::collection::vec(
            (
                prop::option::of(prop::sample::select(vec![0.0, -0.0, 1.5, -2.0, 1e308])),
                prop::option::of(prop::sample::select(vec![0i64, 1, -3, i64::MAX, i64::MIN])),
                prop::option::of(prop::sample::select(vec![0i32, 1, -3, i32::MAX, i32::MIN])),
                prop::option::of(prop::sample::select(vec!["1", "2", "x", ""])),
                prop::option::of(any::<bool>()),
            ),
            1..24,
        ),
        text in prop::sample::select(TRICKY.to_vec()),
    ) {
        let count = rows.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Int32Array>()),
            Arc::new(Float32Array::from(vec![None; count])),
            Arc::new(rows.iter().map(|row| row.3).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| row.4).collect::<BooleanArray>()),
            Arc::new(TimestampMicrosecondArray::from(vec![0; count])),
            Arc::new(Int64Array::from(vec![1; count])),
        ];
        let batch = RecordBatch::try_new(schema(), columns).unwrap();
        let expression = compile(text);
        let whole = expression.evaluate(&batch).unwrap();
        let single: Vec<_> = (0..count).map(|row| expression.evaluate(&batch.slice(row, 1)).unwrap()).collect();
        let arrays: Vec<&dyn Array> = single.iter().map(|one| one.array.as_ref()).collect();
        prop_assert_eq!(&whole.array, &concat(&arrays).unwrap());
        prop_assert_eq!(whole.failed_rows, single.iter().map(|one| one.failed_rows).sum::<usize>());
        prop_assert_eq!(whole.first_failure, single.into_iter().find_map(|one| one.first_failure));
    }

    /// No text may do worse than be refused.
    #[test]
    fn no_text_panics(text in "[a-z0-9 ()'\",.+*/<>=\\[\\]$?:|&!;{}-]{0,60}|(n|amount|case|when|then|end|\\(|\\)|and|'x'|,|\\+| ){0,30}") {
        if let Ok(expression) = Expression::compile(&text, &schema()) {
            let evaluated = expression.evaluate(&batch()).unwrap();
            prop_assert_eq!(evaluated.array.len(), 4);
        }
    }
}

/// Lists and maps, which only what is derived from features can see.
#[test]
fn lists_and_maps_have_their_functions() {
    use freshet_config::arrays::{feature_array, feature_arrow_type};
    use freshet_config::value::{FeatureType, Value};

    let list = FeatureType::List(Box::new(DataType::Float64.into()));
    let map = FeatureType::Map(DataType::String, Box::new(DataType::Int64.into()));
    let field = |name: &str, of: &FeatureType| arrow::datatypes::Field::new(name, feature_arrow_type(of), true);
    let schema = Arc::new(Schema::new(vec![field("card.amounts", &list), field("card.counts", &map)]));
    let lists = [Value::List(vec![Value::Float64(1.5), Value::Null, Value::Float64(4.0)]), Value::List(Vec::new())];
    let entry = |key: &str, count| (Value::String(key.into()), Value::Int64(count));
    let maps = [Value::Map(vec![entry("de", 3), entry("fr", 1)]), Value::Null];
    let columns = vec![feature_array(&list, lists.iter()).unwrap(), feature_array(&map, maps.iter()).unwrap()];
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let evaluated = |text: &str, target| {
        let evaluated = Expression::compile_qualified(text, &schema, target).unwrap().evaluate(&batch).unwrap();
        assert_eq!(evaluated.failed_rows, 0, "{text}");
        evaluated.array
    };
    let first = evaluated("card.amounts[1] * 2", DataType::Float64);
    assert_eq!(first.as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(3.0), None]);
    let lengths = evaluated("cast(array_length(card.amounts) as bigint)", DataType::Int64);
    assert_eq!(lengths.as_primitive::<Int64Type>().value(0), 3);
    let counts = evaluated("map_extract(card.counts, 'de')[1]", DataType::Int64);
    assert_eq!(counts.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(3), None]);
    for withheld in ["array_repeat(1, 1000000000)", "range(0, 1000000000)", "generate_series(1, 9)"] {
        let error = Expression::compile_qualified(withheld, &schema, DataType::Int64).unwrap_err();
        assert_eq!(error.kind, SqlErrorKind::Unsupported, "{withheld}: {error}");
    }
}

#[test]
fn a_kernel_that_panics_fails_its_row_alone() {
    let schema = Arc::new(Schema::new(vec![arrow::datatypes::Field::new("q", arrow_type(DataType::Int64), true)]));
    let column = Arc::new(arrow::array::Int64Array::from(vec![1, i64::MIN, 2]));
    let batch = RecordBatch::try_new(schema.clone(), vec![column]).unwrap();
    let text = "cast(array_position(make_array(1, 2), 2, q) as bigint)";
    let evaluated = Expression::compile_typed(text, &schema, DataType::Int64).unwrap().evaluate(&batch).unwrap();
    let found: Vec<Option<i64>> = evaluated.array.as_primitive::<arrow::datatypes::Int64Type>().iter().collect();
    assert_eq!((found[0], found[1], found[2]), (Some(2), None, Some(2)));
}
