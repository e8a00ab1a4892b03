//! Expressions as definitions use them: values, types, refusals, failing rows, and independence of batches.

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

/// Each text is one that would exhaust a stack if it reached the parser, the planner or a destructor.
#[test]
fn deep_and_long_texts_are_refused() {
    let many = 7_000;
    for text in [
        format!("{}1{}", "(".repeat(many), ")".repeat(many)),
        "(".repeat(10_000),
        format!("n{}", "+n".repeat(many)),
        format!("{}ok", "not ".repeat(3_000)),
        format!("{}n", "- ".repeat(many)),
        format!("n{}", "[1]".repeat(5_000)),
        format!("n{}", "::int".repeat(3_000)),
        format!("n{}", " is null".repeat(1_500)),
        format!("case when ok then n {} end", "+then".repeat(3_000)),
        format!("case n{} end", "+end".repeat(3_000)),
        format!("{}1", "case when ok then ".repeat(800)),
        format!("{}n{}", "abs(".repeat(3_000), ")".repeat(3_000)),
        format!("n.{}", "n.".repeat(5_000)),
        format!("{}n", "ok and ".repeat(2_000)),
        "x".repeat(MAX_TEXT_BYTES + 1),
    ] {
        let error = refusal(&text);
        assert_eq!(error.kind, SqlErrorKind::Syntax, "{error}");
    }
}

/// The bounds leave room for what people write, and what they let through runs on an ordinary stack.
#[test]
fn wide_and_fairly_deep_texts_work() {
    let listed = (0..1_000).map(|code| format!("'{code}'")).collect::<Vec<_>>().join(", ");
    assert_eq!(booleans(&format!("country in ({listed})")), [Some(false), Some(false), None, Some(true)]);
    let branches = (0..300).map(|code| format!("when n = {code} then {code} + 1 ")).collect::<String>();
    assert_eq!(integers(&format!("case {branches} else -1 end")), [Some(2), Some(3), Some(1), Some(-1)]);
    let chain = format!("userId{}", " + userId".repeat(MAX_DEPTH));
    assert_eq!(integers(&chain)[0], Some(5 * (MAX_DEPTH as i64 + 1)));
    let nested = format!("{}userId{}", "(".repeat(MAX_DEPTH - 8), ")".repeat(MAX_DEPTH - 8));
    assert_eq!(integers(&nested)[0], Some(5));
    let calls = format!("{}userId{}", "abs(".repeat(MAX_DEPTH / 2), ")".repeat(MAX_DEPTH / 2));
    assert_eq!(integers(&calls)[0], Some(5));
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
fn a_written_pattern_is_read_when_the_expression_is() {
    for (text, column) in
        [("regexp_like(country, '[')", 22), ("country ~ '['", 11), ("regexp_replace(country, '[', 'x') = 'x'", 25)]
    {
        let refused = refusal(text);
        assert!(refused.message.ends_with("is no regular expression: unclosed character class"), "{}", refused.message);
        assert_eq!(refused.offset, Some((1, column)), "{text}");
    }
    assert_eq!(booleans("regexp_like(country, '^d')")[0], Some(true));
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

#[test]
fn a_pattern_that_comes_from_an_event_is_refused() {
    for (text, maker, column) in [
        ("regexp_like(country, country)", "regexp_like", 1),
        ("n > 0 and regexp_match(country, 'a' || country)[1] = 'x'", "regexp_match", 11),
        ("regexp_replace(country, upper(country), 'x')", "regexp_replace", 1),
        ("regexp_count(country, case when ok then 'a' else 'b' end)", "regexp_count", 1),
        ("regexp_instr(country, country)", "regexp_instr", 1),
        ("regexp_like(country, 'a', country)", "regexp_like", 1),
        ("country ~ country", "~", 1),
        ("ok and country !~* country", "!~*", 8),
        ("country like country", "like", 1),
        ("country not ilike country", "ilike", 1),
        ("country similar to country", "similar to", 1),
    ] {
        let refused = refusal(text);
        assert_eq!(refused.kind, SqlErrorKind::Unsupported, "{text}: {refused}");
        let message = format!("the pattern of `{maker}` comes from the event, and may take any time to look for");
        assert_eq!((refused.message, refused.offset), (message, Some((1, column))), "{text}");
        assert!(refused.hint.unwrap().starts_with("write the pattern"), "{text}");
    }
    assert_eq!(booleans("country like 'd%' or country ~* '^F' or country similar to '1(2|3)'")[..2], [Some(true); 2]);
    assert_eq!(integers("cast(regexp_count(country, 'D', 1, 'i') as bigint)")[0], Some(1));
    assert_eq!(booleans("country ~ null"), [None; 4]);
}

#[test]
fn a_written_pattern_is_small_when_it_is_compiled() {
    for text in [
        r"country ~ '(a{1000}){1000}'",
        r"regexp_like(country, '\w{200}')",
        r"regexp_replace(country, '(\pL{3,200}){4}', '') = ''",
        r"regexp_like(country, '\w{60}', 'i')",
        &format!("country like '{}'", "%_".repeat(4000)),
    ] {
        let refused = refusal(text);
        assert!(refused.message.contains("` takes more than 1048576 bytes when it is compiled"), "{text}: {refused}");
        assert!(refused.offset.is_some() && refused.hint.is_some(), "{text}");
    }
    for text in [
        r"country ~ '^[^@\s]+@[^@\s]+\.[a-z]{2,24}$'",
        r"regexp_like(country, '^\d{1,3}(\.\d{1,3}){3}$')",
        r"country ~ '^\w{1,10}$'",
        "country like '%some%where%'",
    ] {
        compile(text);
    }
}

/// One row short, one long.
fn texts(expression: &str, long: usize) -> (Vec<bool>, Option<String>) {
    let schema = arrow_schema(&["s", "t"].map(|name| Column { name: name.into(), data_type: DataType::String }));
    let column = |other: &str| -> ArrayRef { Arc::new(StringArray::from(vec!["ab".to_string(), other.repeat(long)])) };
    let batch = RecordBatch::try_new(schema.clone(), vec![column("a"), column("b")]).unwrap();
    let evaluated = Expression::compile(expression, &schema).unwrap().evaluate(&batch).unwrap();
    (evaluated.array.iter_nulls(), evaluated.first_failure)
}

trait Nulls {
    fn iter_nulls(&self) -> Vec<bool>;
}

impl Nulls for ArrayRef {
    fn iter_nulls(&self) -> Vec<bool> {
        (0..self.len()).map(|row| self.is_null(row)).collect()
    }
}

#[test]
fn lists_whose_comparison_would_take_long_fail_their_row_alone() {
    let field = Arc::new(Field::new_list_field(arrow_type(DataType::Int64), true));
    let list = |first: i64, length: i64| {
        let values = Int64Array::from_iter_values(first..first + length);
        ListArray::new(
            field.clone(),
            OffsetBuffer::from_lengths([2, length as usize]),
            {
                let both = [&Int64Array::from(vec![1, 2]) as &dyn Array, &values];
                concat(&both).unwrap()
            },
            None,
        )
    };
    let evaluated = |expression: &str, lengths: (i64, i64)| {
        let (a, b): (ArrayRef, ArrayRef) = (Arc::new(list(0, lengths.0)), Arc::new(list(1 << 40, lengths.1)));
        let columns = [("a", a, true), ("b", b, true)];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let evaluated = Expression::compile(expression, &batch.schema()).unwrap().evaluate(&batch).unwrap();
        (evaluated.array.iter_nulls(), evaluated.first_failure)
    };
    let failed = |why: &str| (vec![false, true], Some(why.to_string()));
    for function in ["array_has_any", "array_has_all", "arrays_overlap", "list_has_all"] {
        let expression = format!("{function}(a, b)");
        assert_eq!(evaluated(&expression, (512, 512)), (vec![false; 2], None), "{function}");
        let name = if function.ends_with("all") { "array_has_all" } else { "array_has_any" };
        let why = format!("262656 pairs of elements are more than the 262144 that `{name}` compares");
        assert_eq!(evaluated(&expression, (513, 512)), failed(&why), "{function}");
    }
    let count = "cast(cardinality(array_concat(a, b)) as bigint)";
    assert_eq!(evaluated(count, (10_000, 10_000)), (vec![false; 2], None));
    let why = "60000 elements are more than the 32768 that `array_concat` makes a list of";
    assert_eq!(evaluated(count, (30_000, 30_000)), failed(why));
    // These look at every element once.
    for function in ["array_except", "array_intersect", "array_union"] {
        let expression = format!("cast(cardinality({function}(a, b)) as bigint)");
        assert_eq!(evaluated(&expression, (10_000, 10_000)), (vec![false; 2], None), "{function}");
    }
    // What is written counts as one list for all rows.
    assert_eq!(evaluated("array_has_any(a, make_array(1, 2, 3))", (60_000, 1)), (vec![false; 2], None));
    assert!(evaluated("array_has_any(a, make_array(1, 2, 3, 4, 5))", (60_000, 1)).1.is_some());
}

#[test]
fn texts_whose_comparison_would_take_long_fail_their_row_alone() {
    for (text, function, most) in [
        ("levenshtein(s, t)", "levenshtein", 1024),
        ("levenshtein(s, 'x')", "levenshtein", 1024),
        ("strpos(s, t)", "strpos", 1024),
        ("position(t in s)", "strpos", 1024),
        ("ltrim(s, t)", "ltrim", 1024),
        ("trim(both t from s)", "btrim", 1024),
        ("regexp_count(s, 'a.*b')", "regexp_count", 16384),
        ("regexp_instr(s, 'b', 1, 3)", "regexp_instr", 16384),
        ("regexp_replace(s, 'a', '', 'g')", "regexp_replace", 16384),
        ("array_length(string_to_array(s, 'a'))", "string_to_array", 4096),
    ] {
        let (nulls, failure) = texts(text, most);
        assert_eq!((nulls, failure), (vec![false; 2], None), "{text}");
        let (nulls, failure) = texts(text, most + 1);
        let message = format!("a text of {} bytes is longer than the {most} that `{function}` takes", most + 1);
        assert_eq!((nulls, failure), (vec![false, true], Some(message)), "{text}");
    }
    // What is written, or looked at once, has no bound of its own.
    for text in ["strpos(s, 'a')", "regexp_replace(s, 'a', '')", "regexp_like(s, 'a+$')", "contains(s, 'b')"] {
        assert_eq!(texts(text, 100_000), (vec![false; 2], None), "{text}");
    }
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
    for (text, by) in [("coalesce(n, country) > 1", "coalesce"), ("nullif(country, 5) is null", "nullif")] {
        let message = format!("`{by}` takes values of one type, not a string and an int64");
        assert_eq!(refusal(text).message, message, "{text}");
    }
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
        ("date_part('foo', ts) = 1", "`date_part('foo', ts)` fails for every event: date part 'foo' not supported", 1),
        (
            "ok and not (extract(foo from ts) = 1)",
            "`extract('foo', ts)` fails for every event: date part 'foo' not supported",
            30,
        ),
        (
            "date_trunc('foo', ts) > ts",
            "`date_trunc('foo', ts)` fails for every event: unsupported date_trunc granularity: 'foo'",
            1,
        ),
        ("to_timestamp('bad') > ts", "`to_timestamp('bad')` fails for every event: 'bad' is no timestamp", 1),
        (
            "split_part(country, '-', 0)",
            "`split_part(country, '-', 0)` fails for every event: field position must not be zero",
            1,
        ),
        ("to_date('bad') > ts", "`to_date('bad')` fails for every event: it is no date", 1),
        ("sqrt(-1)", "`sqrt(-1)` fails for every event: cannot take square root of a negative number", 1),
        ("n / 0", "`n / 0` fails for every event: it divides by zero", 1),
        ("to_timestamp(country, '%Q')", "'%Q' of `to_timestamp` is no format of an instant", 1),
        ("to_char(ts, '%Q')", "'%Q' of `to_char` is no format of an instant", 1),
        ("ts at time zone 'Foo/Bar'", "'Foo/Bar' is no time zone", 1),
    ]);
    for text in
        ["make_date(2024, 13, 1)", "make_date(small, 2, 30)", "encode(country, 'foo')", "decode(country, 'foo')"]
    {
        assert!(refusal(&format!("{text} is null")).message.contains(" fails for every event: "), "{text}");
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
        "upper(case when ok then n else country end)",
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
