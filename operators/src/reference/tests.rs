use freshet_config::definitions::{Function, PlanId};
use freshet_config::time::Span;
use freshet_config::value::DataType;

use super::*;
use crate::view::ColumnPlan;

const SECOND: i64 = 1_000_000;

fn plan(mode: Mode, data_type: DataType, windows: &[(i64, i64)], functions: &[Function]) -> ViewPlan {
    let span = |seconds: &i64| Span::from_micros(seconds * SECOND);
    let features = windows.iter().enumerate().flat_map(|(window, _)| {
        functions.iter().map(move |&function| FeaturePlan {
            name: String::new(),
            function,
            column: Some(0),
            summary: None,
            window,
            series: Vec::new(),
            data_type: function.output(Some(data_type)),
        })
    });
    ViewPlan {
        name: "view".to_string(),
        mode,
        windows: windows.iter().map(|(size, offset)| Window { size: span(size), offset: span(offset) }).collect(),
        columns: vec![ColumnPlan {
            windows: u64::MAX,
            data_type,
            sketch: None,
            stored: true,
            sum: true,
            squares: true,
            min: true,
            max: true,
            last: true,
        }],
        summaries: Vec::new(),
        features: features.collect(),
        feature_start: None,
        lifetime_start: None,
        expiry: None,
        retracts: false,
        answers_back: None,
        categories: None,
        plan_id: PlanId(0),
    }
}

fn event(micros: i64, position: u64, value: Value) -> ReferenceEvent {
    ReferenceEvent { time: EventTime::from_micros(micros), position, values: vec![value] }
}

/// All functions over values that all count.
fn over(data_type: DataType, values: Vec<Value>, functions: &[Function]) -> Vec<(Value, bool)> {
    let plan = plan(Mode::Continuous, data_type, &[(3600, 0)], functions);
    let events: Vec<_> = values.into_iter().enumerate().map(|(at, value)| event(at as i64, 0, value)).collect();
    evaluate(&plan, &events, EventTime::from_micros(events.len() as i64))
}

fn doubles(values: &[f64], function: Function) -> (Value, bool) {
    over(DataType::Float64, values.iter().map(|&value| Value::Float64(value)).collect(), &[function]).remove(0)
}

fn present(value: Value) -> (Value, bool) {
    (value, false)
}

const ERROR: (Value, bool) = (Value::Null, true);

/// How many events each window counts at `at`.
fn counts_at(mode: Mode, windows: &[(i64, i64)], times: &[i64], at: i64) -> Vec<i64> {
    let plan = plan(mode, DataType::Int64, windows, &[Function::Count]);
    let events: Vec<_> = times.iter().map(|&time| event(time, 0, Value::Int64(1))).collect();
    let values = evaluate(&plan, &events, EventTime::from_micros(at));
    values
        .into_iter()
        .map(|(value, error)| match value {
            Value::Int64(count) if !error => count,
            other => panic!("a count is {other}"),
        })
        .collect()
}

#[test]
fn continuous_windows_take_the_new_edge_and_leave_the_old() {
    let at = 100 * SECOND;
    let times = [at - 10 * SECOND, at - 10 * SECOND + 1, at, at + 1];
    assert_eq!(counts_at(Mode::Continuous, &[(10, 0)], &times, at), [2]);
    // Shifted by the offset, both edges move alike.
    let shifted = [at - 15 * SECOND, at - 15 * SECOND + 1, at - 5 * SECOND, at - 5 * SECOND + 1];
    assert_eq!(counts_at(Mode::Continuous, &[(10, -5)], &shifted, at), [2]);
}

#[test]
fn interval_windows_take_the_old_edge_and_leave_the_new() {
    let mode = Mode::Interval(Span::from_secs(60));
    let tile = 120 * SECOND;
    let times = [tile - 60 * SECOND - 1, tile - 60 * SECOND, tile - 1, tile, tile + 1];
    for at in [tile, tile + 59 * SECOND] {
        assert_eq!(counts_at(mode, &[(60, 0)], &times, at), [2], "{at}");
    }
    assert_eq!(counts_at(mode, &[(60, 0)], &times, tile - 1), [1]);
    assert_eq!(counts_at(mode, &[(60, -60)], &times, tile + 60 * SECOND), [2]);
    // Tiles align to 1970 on both sides of it.
    assert_eq!(counts_at(mode, &[(60, 0)], &[-120 * SECOND, -60 * SECOND - 1, -60 * SECOND], -1), [2]);
}

#[test]
fn extreme_instants_do_not_overflow() {
    let times = [i64::MIN, i64::MAX];
    assert_eq!(counts_at(Mode::Continuous, &[(10, -10)], &times, i64::MIN), [0]);
    assert_eq!(counts_at(Mode::Continuous, &[(10, 0)], &times, i64::MAX), [1]);
}

#[test]
fn empty_windows_have_the_empty_value_of_their_function() {
    let functions: Vec<Function> = Function::samples().concat();
    let empty: Vec<(Value, bool)> = functions.iter().map(|function| present(function.empty())).collect();
    assert_eq!(over(DataType::Float64, vec![], &functions), empty);
    assert_eq!(over(DataType::Float64, vec![Value::Null; 3], &functions), empty);
    assert_eq!(empty[0], present(Value::Int64(0)));
}

#[test]
fn rows_are_counted_with_nulls_and_values_without() {
    let mut plan = plan(Mode::Continuous, DataType::Int64, &[(10, 0)], &[Function::Count, Function::Count]);
    plan.features[0].column = None;
    let events = [event(1, 0, Value::Null), event(2, 0, Value::Int64(5))];
    let values = evaluate(&plan, &events, EventTime::from_micros(2));
    assert_eq!(values, [present(Value::Int64(2)), present(Value::Int64(1))]);
}

#[test]
fn last_is_by_time_then_position_whatever_the_order() {
    let plan = plan(Mode::Continuous, DataType::Int64, &[(10, 0)], &[Function::Last]);
    let mut events = vec![
        event(5, 1, Value::Int64(51)),
        event(7, 3, Value::Int64(73)),
        event(7, 2, Value::Int64(72)),
        event(7, 9, Value::Null),
        event(6, 8, Value::Int64(68)),
    ];
    for _ in 0..events.len() {
        events.rotate_left(1);
        assert_eq!(evaluate(&plan, &events, EventTime::from_micros(9)), [present(Value::Int64(73))]);
    }
}

#[test]
fn extremes_are_by_value_bytes_and_false_first() {
    let both = [Function::Min, Function::Max];
    let text = |value: &str| Value::String(value.to_string());
    let strings = over(DataType::String, vec![text("b"), text("Z"), text("ä"), text("")], &both);
    assert_eq!(strings, [present(text("")), present(text("ä"))]);
    let bools = over(DataType::Bool, vec![Value::Bool(true), Value::Bool(false)], &both);
    assert_eq!(bools, [present(Value::Bool(false)), present(Value::Bool(true))]);
    let integers = over(DataType::Int32, vec![Value::Int32(-1), Value::Int32(i32::MIN), Value::Int32(3)], &both);
    assert_eq!(integers, [present(Value::Int32(i32::MIN)), present(Value::Int32(3))]);
    let times = [4, -9].map(|micros| Value::Timestamp(EventTime::from_micros(micros)));
    assert_eq!(
        over(DataType::Timestamp, times.to_vec(), &both),
        [present(times[1].clone()), present(times[0].clone())]
    );
    let (Value::Float64(zero), false) = doubles(&[-0.0], Function::Max) else { panic!("no maximum") };
    assert!(zero.is_sign_positive());
    assert_eq!(doubles(&[1.5, -2.5], Function::Min), present(Value::Float64(-2.5)));
}

#[test]
fn sums_of_doubles_are_rounded_once() {
    for (values, sum) in [
        (vec![0.1, 0.2], 0.30000000000000004),
        (vec![0.1; 10], 1.0),
        (vec![1e300, 1.0, -1e300], 1.0),
        (vec![1e300, 1e-300, -1e300], 1e-300),
        (vec![9007199254740992.0, 1.0], 9007199254740992.0),
        (vec![9007199254740992.0, 1.0, 1e-300], 9007199254740994.0),
        (vec![5e-324, 5e-324], 1e-323),
        (vec![f64::MAX, 1.0], f64::MAX),
        (vec![f64::MAX, f64::MAX, -f64::MAX], f64::MAX),
        (vec![-0.0], 0.0),
    ] {
        assert_eq!(doubles(&values, Function::Sum), present(Value::Float64(sum)), "{values:?}");
    }
    assert_eq!(doubles(&[f64::MAX, f64::MAX], Function::Sum), ERROR);
    assert_eq!(doubles(&[f64::INFINITY], Function::Sum), ERROR);
}

#[test]
fn means_are_rounded_once_and_never_beyond_their_values() {
    for (values, mean) in [
        // The sum rounded to 0.6 first would give 0.19999999999999998.
        (vec![0.1, 0.2, 0.3], 0.2),
        (vec![f64::MAX, f64::MAX], f64::MAX),
        (vec![f64::MAX, f64::MAX, -1.0], f64::MAX / 3.0 * 2.0),
        (vec![-f64::MAX, -f64::MAX, -f64::MAX], -f64::MAX),
        (vec![5e-324, 1e-323], 1e-323),
        (vec![5e-324, 5e-324, 5e-324], 5e-324),
        (vec![1.0, 0.0, 0.0], 1.0 / 3.0),
    ] {
        assert_eq!(doubles(&values, Function::Mean), present(Value::Float64(mean)), "{values:?}");
    }
}

#[test]
fn float32_sums_are_rounded_once() {
    let values = |values: &[f32]| values.iter().map(|&value| Value::Float32(value)).collect::<Vec<_>>();
    let sum = |floats: &[f32]| over(DataType::Float32, values(floats), &[Function::Sum]).remove(0);
    assert_eq!(sum(&[0.1, 0.2]), present(Value::Float32(0.3)));
    assert_eq!(sum(&[16777216.0, 1.0]), present(Value::Float32(16777216.0)));
    // A double would be the tie 2^24 + 1, and its even neighbour 2^24.
    assert_eq!(sum(&[16777216.0, 1.0, 2f32.powi(-30)]), present(Value::Float32(16777218.0)));
    assert_eq!(sum(&[-16777216.0, -1.0, -2f32.powi(-100)]), present(Value::Float32(-16777218.0)));
    assert_eq!(sum(&[f32::MAX, f32::MAX]), ERROR);
    assert_eq!(sum(&[f32::MAX, 1.0]), present(Value::Float32(f32::MAX)));
    assert_eq!(sum(&[f32::from_bits(1), f32::from_bits(2)]), present(Value::Float32(f32::from_bits(3))));
    let mean = over(DataType::Float32, values(&[0.1, 0.2]), &[Function::Mean]).remove(0);
    assert_eq!(mean, present(Value::Float64((f64::from(0.1f32) + f64::from(0.2f32)) / 2.0)));
}

#[test]
fn integer_sums_are_exact_or_an_error() {
    let long = |values: &[i64]| values.iter().map(|&value| Value::Int64(value)).collect::<Vec<_>>();
    let both = [Function::Sum, Function::Mean];
    let max = i64::MAX;
    assert_eq!(over(DataType::Int64, long(&[max, 1, -1]), &both)[0], present(Value::Int64(max)));
    // The sum does not fit, the mean does.
    assert_eq!(over(DataType::Int64, long(&[max, 1]), &both), [ERROR, present(Value::Float64(4611686018427387904.0))]);
    assert_eq!(over(DataType::Int64, long(&[i64::MIN, -1]), &both)[0], ERROR);
    assert_eq!(over(DataType::Int64, long(&[9007199254740993, 0]), &both)[0], present(Value::Int64(9007199254740993)));
    let short = vec![Value::Int32(i32::MAX), Value::Int32(1)];
    assert_eq!(over(DataType::Int32, short, &both), [ERROR, present(Value::Float64(1073741824.0))]);
}

#[test]
fn spread_of_equal_cents_is_exactly_zero() {
    for function in [Function::VarPop, Function::VarSamp, Function::StddevPop, Function::StddevSamp] {
        assert_eq!(doubles(&[19.99; 1000], function), present(Value::Float64(0.0)), "{function:?}");
        assert_eq!(doubles(&[1e300; 3], function), present(Value::Float64(0.0)), "{function:?}");
    }
}

#[test]
fn spread_by_hand() {
    // n = 4, S = 10, Q = 30: numerator 4 * 30 - 100 = 20.
    let values = [1.0, 2.0, 3.0, 4.0];
    for (function, expected) in [
        (Function::VarPop, 20.0 / 16.0),
        (Function::VarSamp, 20.0 / 12.0),
        (Function::StddevPop, 1.25f64.sqrt()),
        (Function::StddevSamp, (20.0f64 / 12.0).sqrt()),
    ] {
        assert_eq!(doubles(&values, function), present(Value::Float64(expected)), "{function:?}");
        // Far from zero the spread is the same: nothing cancels.
        let far = values.map(|value| value + 1e15);
        assert_eq!(doubles(&far, function), present(Value::Float64(expected)), "{function:?}");
        let integers = (1..=4).map(|value| Value::Int64(i64::MAX - value)).collect();
        let integers = over(DataType::Int64, integers, &[function]).remove(0);
        assert_eq!(integers, present(Value::Float64(expected)), "{function:?}");
    }
    // Two values d apart: numerator d^2, population variance d^2 / 4.
    assert_eq!(doubles(&[1.0, 1.0 + f64::EPSILON], Function::StddevPop), present(Value::Float64(f64::EPSILON / 2.0)));
    // (1e200)^2 is beyond a double, (1e-200)^2 below the smallest; their roots are not.
    assert_eq!(doubles(&[0.0, 1e200], Function::VarPop), ERROR);
    assert_eq!(doubles(&[0.0, 1e200], Function::StddevPop), present(Value::Float64(5e199)));
    assert_eq!(doubles(&[f64::MIN, f64::MAX], Function::StddevPop), present(Value::Float64(f64::MAX)));
    assert_eq!(doubles(&[f64::MIN, f64::MAX], Function::StddevSamp), ERROR);
    assert_eq!(doubles(&[0.0, 1e-200], Function::VarPop), present(Value::Float64(0.0)));
    assert_eq!(doubles(&[0.0, 1e-200], Function::StddevPop), present(Value::Float64(5e-201)));
    assert_eq!(doubles(&[0.0, 5e-324, 5e-324], Function::StddevSamp), present(Value::Float64(5e-324)));
}

#[test]
fn one_value_has_a_population_spread_and_no_sample_spread() {
    assert_eq!(doubles(&[3.5], Function::VarPop), present(Value::Float64(0.0)));
    assert_eq!(doubles(&[3.5], Function::StddevPop), present(Value::Float64(0.0)));
    assert_eq!(doubles(&[3.5], Function::VarSamp), present(Value::Null));
    assert_eq!(doubles(&[3.5], Function::StddevSamp), present(Value::Null));
}
