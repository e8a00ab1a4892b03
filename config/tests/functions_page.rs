//! `docs/functions.md` against the code: the table of functions, which is made of their list, and every kind of window, mode
//! and shape that can be written.
//!
//! `FRESHET_UPDATE_GOLDEN=1 cargo test --workspace --test functions_page` writes the table anew; the difference belongs in
//! the review.

use std::fs;
use std::path::Path;

use freshet_config::definitions::{Definitions, Function};
use freshet_config::value::Value;

const PAGE: &str = include_str!("../../docs/functions.md");
const UPDATE: &str = "FRESHET_UPDATE_GOLDEN";

#[test]
fn the_table_of_functions_is_the_one_of_their_list() {
    let head = PAGE.find("| function |").expect("a table of functions");
    let end = PAGE[head..].find("\n\n").map_or(PAGE.len(), |end| head + end + 1);
    let table = Function::reference_table();
    if std::env::var_os(UPDATE).is_some_and(|value| value == "1") {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/functions.md");
        fs::write(page, format!("{}{table}{}", &PAGE[..head], &PAGE[end..])).expect("the page is written");
        return;
    }
    for (found, made) in PAGE[head..end].lines().zip(table.lines()) {
        assert_eq!(found, made, "{UPDATE}=1 writes the row");
    }
    assert_eq!(PAGE[head..end].lines().count(), table.lines().count(), "{UPDATE}=1 writes the table");
    assert!(self::table("function").iter().flatten().all(|cell| !cell.is_empty()));
}

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

/// A view with one count; `more` of the view, `of_count` more of the count.
fn view(mode: &str, window: &str, more: &str, of_count: &str) -> Definitions {
    let text = format!(
        "sources:\n  - {{name: s, stream: {{log: {{}}}}, schema: {{k: int64, c: string, at: timestamp}}, event_time: at}}\n\
         entities:\n  - {{name: e, keys: {{k: int64}}}}\n\
         views:\n  - name: v\n    source: s\n    entity: e\n    lifetime_start: 2024-01-01\n    mode: {mode}\n{more}\
         \x20   aggregates: [{{name: n, fn: count, windows: [{window}]{of_count}}}]\n"
    );
    freshet_config::parse(&[("a.yaml".to_string(), text.clone())])
        .unwrap_or_else(|errors| panic!("{errors} in\n{text}"))
}

/// Fields of a record of definitions, from the schema that editors use.
fn fields(record: &str) -> Vec<String> {
    let schema = freshet_config::json_schema();
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
