//! `docs/functions.md` against the code: every name with its parameters, types and empty value; every kind of window, mode
//! and shape that can be written.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::tests::written;
use super::*;
use crate::definitions::Definitions;
use crate::value::{FeatureType, Value};

const PAGE: &str = include_str!("../../../../docs/functions.md");

/// The cells of the table whose first column is called `first`, by row.
fn table(first: &str) -> Vec<Vec<&'static str>> {
    let head = format!("| {first} |");
    let mut lines = PAGE.lines().skip_while(|line| !line.starts_with(&head));
    let columns = cells(lines.next().unwrap_or_else(|| panic!("no table of {first}"))).len();
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    let rows: Vec<Vec<&str>> = rows.collect();
    for row in &rows {
        assert_eq!(row.len(), columns, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "a part is missing: {row:?}");
    }
    rows
}

fn cells(line: &'static str) -> Vec<&'static str> {
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn resolved(raw: &RawAggregate) -> Option<Function> {
    function("x", raw, &mut Diagnostics::default())
}

/// The functions that a row is about.
fn functions(name: &str) -> Vec<(String, Option<Function>)> {
    match name {
        "`count` without `of`" => vec![("count".to_string(), Some(Function::Count))],
        "`last` without `n`" => {
            let without = RawAggregate { n: None, ..written("last") };
            vec![("last".to_string(), resolved(&without))]
        }
        "`attributes` of a view" => vec![(String::new(), Some(Function::Latest))],
        "`{column}_keys` of a `secondary_key`" => vec![(String::new(), Some(Function::GroupKeys))],
        _ => quoted(name).iter().map(|name| (name.to_string(), resolved(&written(name)))).collect(),
    }
}

/// The parameters of a function as the page writes them.
fn parameters(name: &str) -> String {
    let range = |bounds: RangeInclusive<i64>| format!("{} to {}", bounds.start(), bounds.end());
    let (_, known) = NAMES.iter().find(|(known, _)| *known == name).expect("a name that can be written");
    let parameter = |parameter: &&str| {
        let bounds = match *parameter {
            "n" => range(LIST_LENGTHS),
            "k" => range(TOP_LENGTHS),
            "limit" => format!("{}, default {DEFAULT_DISTINCT_LIMIT}", range(DISTINCT_LIMITS)),
            "precision" if name == "approx_count_distinct" => {
                format!("{}, default {DEFAULT_DISTINCT_PRECISION}", range(DISTINCT_PRECISIONS))
            }
            "precision" => format!("{}, default {DEFAULT_PERCENTILE_PRECISION}", range(PERCENTILE_PRECISIONS)),
            "percentile" => "between 0 and 1".to_string(),
            "half_life" => "a positive span".to_string(),
            "order" => "a column or SQL expression".to_string(),
            other => panic!("no words for {other}"),
        };
        let mut without = written(name);
        for number in [&mut without.n, &mut without.k, &mut without.limit, &mut without.percentile] {
            number.take_if(|_| true);
        }
        (without.half_life, without.order) = (None, None);
        let required = resolved(&without).is_none() && !bounds.contains("default");
        format!("`{parameter}`: {bounds}{}", if required { ", required" } else { "" })
    };
    let all: Vec<String> = known.iter().map(parameter).collect();
    if all.is_empty() { "none".to_string() } else { all.join("; ") }
}

fn takes(words: &str, input: DataType) -> bool {
    match words {
        "any type" => true,
        "numbers" => input.is_number(),
        "strings, int32, int64" => input.is_integer() || input == DataType::String,
        "all but floats" => !input.is_float(),
        other => panic!("no meaning of `{other}`"),
    }
}

fn gives(words: &str, input: DataType) -> FeatureType {
    match words {
        "T" => input.into(),
        "int64" => DataType::Int64.into(),
        "float64" => DataType::Float64.into(),
        "list of T" => FeatureType::List(Box::new(input.into())),
        "map of T to int64" => FeatureType::Map(input, Box::new(DataType::Int64.into())),
        other => panic!("no meaning of `{other}`"),
    }
}

fn empty(words: &str) -> Value {
    // A clause may follow.
    match words.split(',').next().unwrap_or_default() {
        "0" => Value::Int64(0),
        "null" => Value::Null,
        "`[]`" => Value::List(Vec::new()),
        "`{}`" => Value::Map(Vec::new()),
        other => panic!("no meaning of `{other}`"),
    }
}

#[test]
fn every_function_is_on_the_page_as_it_is_in_the_code() {
    let mut seen = BTreeSet::new();
    for row in table("function") {
        let [title, said_parameters, said_input, said_output, .., said_empty, _, _] = row[..] else {
            panic!("{row:?}")
        };
        for (name, function) in functions(title) {
            let function = function.unwrap_or_else(|| panic!("{title}: there is no function `{name}`"));
            let plain = title.contains(" without ") || name.is_empty();
            let expected = if plain { "none".to_string() } else { parameters(&name) };
            assert_eq!(said_parameters, expected, "parameters of {title}");
            assert_eq!(empty(said_empty), function.empty(), "empty value of {title}");
            if title == "`count` without `of`" {
                assert_eq!((said_input, gives(said_output, DataType::Bool)), ("nothing", function.output(None)));
            } else {
                for input in DataType::ALL {
                    assert_eq!(takes(said_input, input), function.takes(input), "{title} of {input}");
                    let output = function.output(Some(input));
                    assert!(!function.takes(input) || gives(said_output, input) == output, "{title} of {input}");
                }
            }
            seen.insert(format!("{title} {name}"));
        }
    }
    let named: BTreeSet<&str> =
        seen.iter().filter_map(|seen| seen.rsplit(' ').next()).filter(|n| !n.is_empty()).collect();
    assert_eq!(named, NAMES.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), "names of functions");
    // One row each besides: `count` of nothing, `last` of one value, attributes, keys.
    assert_eq!(seen.len(), NAMES.len() + 4, "{seen:?}");
}

/// A view with one count; `more` of the view, `of_count` more of the count.
fn view(mode: &str, window: &str, more: &str, of_count: &str) -> Definitions {
    let text = format!(
        "sources:\n  - {{name: s, stream: {{log: {{}}}}, schema: {{k: int64, c: string, at: timestamp}}, event_time: at}}\n\
         entities:\n  - {{name: e, keys: {{k: int64}}}}\n\
         views:\n  - name: v\n    source: s\n    entity: e\n    lifetime_start: 2024-01-01\n    mode: {mode}\n{more}\
         \x20   aggregates: [{{name: n, fn: count, windows: [{window}]{of_count}}}]\n"
    );
    crate::parse(&[("a.yaml".to_string(), text.clone())]).unwrap_or_else(|errors| panic!("{errors} in\n{text}"))
}

/// Fields of a record of definitions, from the schema that editors use.
fn fields(record: &str) -> Vec<String> {
    let schema = crate::schema::json_schema();
    let properties = schema["$defs"][record]["properties"].as_object().unwrap_or_else(|| panic!("no {record}"));
    properties.keys().cloned().collect()
}

fn assert_named(record: &str, rows: &[Vec<&str>]) {
    for field in fields(record) {
        let named = rows.iter().any(|row| row[0].contains(&format!("{field}:")));
        assert!(named, "`{field}` of {record} is on no row of {:?}", rows.iter().map(|row| row[0]).collect::<Vec<_>>());
    }
}

#[test]
fn every_kind_of_window_is_on_the_page_as_it_is_in_the_code() {
    let rows = table("window");
    for row in &rows {
        let (window, feature, shape, said_empty) = (quoted(row[0])[0], quoted(row[2])[0], row[3], row[4]);
        let definitions = view("continuous", window, "", "");
        let view = &definitions.views[0];
        assert_eq!(view.features[0].name, feature, "{window}");
        let zeros = |count: usize| format!("`[{}]`", vec!["0"; count].join(", "));
        let (expected_shape, expected_empty) = match view.empty_value(&view.features[0]) {
            Value::List(values) => ("a list, the oldest window first", zeros(values.len())),
            value => ("one value", value.to_string()),
        };
        assert_eq!((shape, said_empty), (expected_shape, &expected_empty[..]), "{window}");
    }
    assert_named("RawShifted", &rows);
    assert_named("RawSeries", &rows);
    assert!(rows.iter().any(|row| row[0] == "`lifetime`"));
}

#[test]
fn every_mode_and_shape_is_on_the_page() {
    let rows = table("mode");
    for row in &rows {
        view(quoted(row[0])[0], "1h", "", "");
    }
    assert_eq!(rows[0][0], "`continuous`");
    assert_named("RawSteps", &rows);
    assert_named("RawBatch", &rows);
    let shapes = table("written");
    let written: Vec<&str> = shapes.iter().map(|row| row[0]).collect();
    assert_eq!(written, ["nothing more", "`by: COLUMN`", "`secondary_key: COLUMN`", "a series"]);
    for (row, (more, of_count)) in shapes[1..3].iter().zip([("", ", by: c"), ("    secondary_key: c\n", "")]) {
        let definitions = view("continuous", "1h", more, of_count);
        let view = &definitions.views[0];
        let counted = view.features.iter().find(|feature| feature.name == "n_1h").expect("the count");
        assert_eq!(empty(row[2]), view.empty_value(counted), "{row:?}");
    }
}
