//! Views by category through the whole engine and through datasets, against counting by hand.

mod running;

use std::collections::BTreeMap;
use std::path::Path;

use freshet_config::definitions::{Aggregate, Definitions, Feature, Function, Group, GroupShape, Sql};
use freshet_config::diagnostic::Place;
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};
use freshet_engine::dataset::{Dataset, FailedValues};
use freshet_engine::plan::Plan;
use freshet_operators::row::{FeatureValue, Reason, Status};
use running::{Random, Running, SECOND, START, compile, start};

const DEFINITIONS: &str = r#"
sources:
  - name: clicks
    stream: {log: {}}
    history: {ndjson: {path: clicks.ndjson}}
    schema: {user_id: int64, vertical: string, ad_id: int64, price: int64, ts: timestamp}
    event_time: ts
entities:
  - {name: user, keys: {user_id: int64}}
views:
  - name: a_vertical
    source: clicks
    entity: user
    offline: true
    aggregates: &aggregates
      - {name: n, fn: count, windows: [10m, 1h]}
      - {name: spent, fn: sum, of: price, windows: [1h]}
  - name: b_ad
    source: clicks
    entity: user
    mode: {interval: 5m}
    aggregates: *aggregates
  - name: whole
    source: clicks
    entity: user
    aggregates: *aggregates
services:
  - {name: s, features: ["a_vertical.*", "b_ad.*", "whole.*"]}
"#;

/// The second view gets lists of its keys, as a view with a secondary key resolves to.
fn definitions() -> Definitions {
    let mut definitions = freshet_config::parse(&[("d.yaml".to_string(), DEFINITIONS.to_string())]).unwrap();
    let sql = |text: &str| Sql { text: text.to_string(), place: Place::default() };
    let group = |column: &str, name: &str, shape| Group { column: sql(column), name: name.to_string(), shape };
    definitions.views[0].group = Some(group("upper(vertical)", "vertical", GroupShape::Map));
    let view = &mut definitions.views[1];
    view.group = Some(group("ad_id", "ad_id", GroupShape::Aligned));
    view.aggregates.push(Aggregate {
        name: "ad_id_keys".to_string(),
        function: Function::GroupKeys,
        of: Some(sql("ad_id")),
        order: None,
        filter: None,
        windows: view.aggregates[0].windows.clone(),
        place: Place::default(),
    });
    let aggregate = view.aggregates.len() - 1;
    view.features.push(Feature { name: "ad_id_keys_10m".to_string(), aggregate, window: 0, series: None });
    view.features.push(Feature { name: "ad_id_keys_1h".to_string(), aggregate, window: 1, series: None });
    let service = &mut definitions.services[0];
    let keys = (3..5).map(|feature| freshet_config::definitions::ServiceFeature::View { view: 1, feature });
    service.features.extend(keys);
    definitions
}

struct Click {
    user: i64,
    vertical: Option<&'static str>,
    ad: Option<i64>,
    price: i64,
    at: i64,
}

fn clicks() -> Vec<Click> {
    let mut random = Random(11);
    let mut next = move |n| random.below(n);
    (0..2500)
        .map(|i| Click {
            user: (next(3) * next(4)) as i64,
            vertical: [Some("sport"), Some("Sport"), Some("cars"), None, Some("")][next(5) as usize],
            ad: (next(8) > 0).then(|| next(6) as i64 - 3),
            price: next(100) as i64,
            at: START + i * 5 * SECOND,
        })
        .collect()
}

fn line(click: &Click) -> String {
    let text = |vertical: Option<&str>| vertical.map_or("null".to_string(), |v| format!("\"{v}\""));
    let ad = click.ad.map_or("null".to_string(), |ad| ad.to_string());
    let Click { user, price, at, .. } = click;
    let vertical = text(click.vertical);
    format!(r#"{{"user_id":{user},"vertical":{vertical},"ad_id":{ad},"price":{price},"ts":{at}}}"#)
}

/// Per category the number of clicks in the last 10 minutes and hour, and what was spent in the hour.
fn counted(clicks: &[Click], user: i64, at: i64, vertical: bool) -> [Vec<(Value, Value)>; 3] {
    let tile = 300 * SECOND;
    // Continuous: (at - size, at]. Tiles: [t - size, t).
    let inside = |click: &&Click, size: i64| match vertical {
        true => click.at > at - size && click.at <= at,
        false => click.at >= at.div_euclid(tile) * tile - size && click.at < at.div_euclid(tile) * tile,
    };
    let category = |click: &Click| match vertical {
        true => click.vertical.map(|v| (0, v.to_uppercase())),
        false => click.ad.map(|ad| (ad, String::new())),
    };
    let value = |(number, text): (i64, String)| if vertical { Value::String(text) } else { Value::Int64(number) };
    let table = |size: i64, of: fn(&Click) -> i64| {
        let mut table: BTreeMap<(i64, String), i64> = BTreeMap::new();
        for click in clicks.iter().filter(|c| c.user == user).filter(|c| inside(c, size)) {
            if let Some(category) = category(click) {
                *table.entry(category).or_default() += of(click);
            }
        }
        table.into_iter().map(|(category, sum)| (value(category), Value::Int64(sum))).collect()
    };
    [table(600 * SECOND, |_| 1), table(3600 * SECOND, |_| 1), table(3600 * SECOND, |c| c.price)]
}

fn expected(clicks: &[Click], user: i64, at: i64) -> (Vec<Value>, Vec<Value>) {
    let maps = counted(clicks, user, at, true).into_iter().map(Value::Map).collect();
    let lists = counted(clicks, user, at, false);
    let keys = |entries: &Vec<(Value, Value)>| Value::List(entries.iter().map(|(k, _)| k.clone()).collect());
    let values = |entries: &Vec<(Value, Value)>| Value::List(entries.iter().map(|(_, v)| v.clone()).collect());
    let aligned = vec![values(&lists[0]), values(&lists[1]), values(&lists[2]), keys(&lists[0]), keys(&lists[1])];
    (maps, aligned)
}

fn read(running: &Running, view: usize, user: i64, at: i64) -> Vec<FeatureValue> {
    running.read(view, &[Value::Int64(user)], EventTime::from_micros(at))
}

#[test]
fn categories_are_served_as_they_are_counted_whatever_the_workers_and_a_restart() {
    let clicks = clicks();
    for workers in [1, 3] {
        let directory = tempfile::tempdir().unwrap();
        // Half of it is history.
        let (old, new) = clicks.split_at(clicks.len() / 2);
        let lines: Vec<String> = old.iter().map(line).collect();
        std::fs::write(directory.path().join("clicks.ndjson"), lines.join("\n")).unwrap();
        let plan = compile(definitions(), directory.path());
        let running = start(directory.path(), &plan, workers);
        running.push("clicks", &new.iter().map(line).collect::<Vec<_>>(), 113);
        running.settle();
        let now = running.now().micros();
        let check = |running: &Running| {
            for user in 0..8 {
                for at in [now, now + 250 * SECOND, now + 3000 * SECOND] {
                    let (maps, lists) = expected(&clicks, user, at);
                    for (view, expected) in [(0, maps), (1, lists)] {
                        let read = read(running, view, user, at);
                        // Rows of busy categories end some time; they cover their own instant.
                        if at == now || read.iter().all(|v| v.status != Status::Stale) {
                            let read: Vec<Value> = read.into_iter().map(|v| v.value).collect();
                            assert_eq!(read, expected, "view {view}, user {user} at {at}");
                        }
                    }
                }
            }
            let unknown = read(running, 0, 99, now);
            assert!(unknown.iter().all(|v| v.status == Status::MissingData && v.value == Value::Map(Vec::new())));
            let unknown = read(running, 1, 99, now);
            assert!(unknown.iter().all(|v| v.status == Status::MissingData && v.value == Value::List(Vec::new())));
        };
        check(&running);
        // A category that is null is no category, and the view of all clicks has them all.
        assert_eq!(running.engine.figures().sources[0].admitted, clicks.len() as u64);
        running.stop();
        let again = start(directory.path(), &plan, 4 - workers);
        again.settle();
        check(&again);
        again.stop();
    }
}

#[test]
fn datasets_give_what_is_served() {
    let clicks = clicks();
    let directory = tempfile::tempdir().unwrap();
    let lines: Vec<String> = clicks.iter().rev().map(line).collect();
    std::fs::write(directory.path().join("clicks.ndjson"), lines.join("\n")).unwrap();
    let mut spine = "user_id,ts\n".to_string();
    let asked: Vec<(i64, i64)> = (0..60).map(|i| (i % 8, clicks[(i * 41) as usize].at + (i % 3 - 1))).collect();
    for (user, at) in &asked {
        spine.push_str(&format!("{user},{}\n", EventTime::from_micros(*at)));
    }
    let path = directory.path().join("spine.csv");
    std::fs::write(&path, spine).unwrap();
    let plan = Plan::compile(definitions(), directory.path()).unwrap();
    let dataset = Dataset::build(&plan, "s", &path, None).unwrap();
    let mut row = 0;
    for batch in &dataset.batches {
        for inside in 0..batch.num_rows() {
            let (user, at) = asked[row];
            let (maps, lists) = expected(&clicks, user, at);
            for (column, wanted) in [
                ("a_vertical__n_10m", &maps[0]),
                ("a_vertical__n_1h", &maps[1]),
                ("a_vertical__spent_1h", &maps[2]),
                ("b_ad__n_10m", &lists[0]),
                ("b_ad__spent_1h", &lists[2]),
                ("b_ad__ad_id_keys_10m", &lists[3]),
                ("b_ad__ad_id_keys_1h", &lists[4]),
            ] {
                let array = batch.column_by_name(column).unwrap();
                let feature = plan.services[0].features.iter().find(|f| f.name.replace('.', "__") == column).unwrap();
                let same = freshet_config::arrays::feature_array(&feature.data_type, [wanted]).unwrap();
                assert_eq!(&array.slice(inside, 1), &same, "{column} in row {row}");
            }
            row += 1;
        }
    }
    assert_eq!(row, asked.len());
}

/// Too many categories in the hour, and its features are errors in both worlds; those of ten minutes are not.
#[test]
fn too_many_categories_are_errors_until_they_are_fewer() {
    let directory = tempfile::tempdir().unwrap();
    // 1201 ads within an hour, one every 1.1 s; the tile that ended last holds the first 1091.
    let click = |i: i64| Click { user: 1, vertical: None, ad: Some(i), price: 1, at: START + i * 1_100_000 };
    let lines: Vec<String> = (0..=1200).map(|i| line(&click(i))).collect();
    std::fs::write(directory.path().join("clicks.ndjson"), lines.join("\n")).unwrap();
    let running = start(directory.path(), &compile(definitions(), directory.path()), 1);
    running.settle();
    let now = running.now().micros();
    let [minutes, hour, spent, keys_of_minutes, keys_of_hour] = &read(&running, 1, 1, now)[..] else { panic!() };
    let too_many = Status::Error(Reason::TooManyCategories { limit: 1000, most_kept: 10_000 });
    for crowded in [hour, spent, keys_of_hour] {
        assert!(crowded.status == too_many && crowded.value.is_null(), "{:?}", crowded.status);
    }
    // Those of the last two tiles.
    assert_eq!((minutes.status, keys_of_minutes.status), (Status::Present, Status::Present));
    assert_eq!(minutes.value, Value::List(vec![Value::Int64(1); 545]));
    assert_eq!(keys_of_minutes.value, Value::List((546..=1090).map(Value::Int64).collect()));
    // The figures say so as soon as the rows do.
    let over = |view: &str| {
        let figures = running.engine.figures();
        let named: Vec<u64> =
            figures.views.iter().filter(|v| v.name == view).map(|v| v.keys_over_category_limit).collect();
        named
    };
    assert_eq!(over("b_ad"), [1]);
    // Nothing else of the key is touched, nor is another key.
    let whole: Vec<Value> = [546, 1201, 1201].map(Value::Int64).to_vec();
    assert_eq!(running.values(2, &[Value::Int64(1)], EventTime::from_micros(now)), whole);
    let verticals = running.read(0, &[Value::Int64(1)], EventTime::from_micros(now));
    assert!(verticals.iter().all(|v| v.value == Value::Map(Vec::new()) && !v.status.is_error()), "{verticals:?}");
    running.push("clicks", &[line(&Click { user: 2, ..click(1000) })], 1);
    running.settle();
    let tile = START + 1200 * SECOND + 300 * SECOND;
    assert!(read(&running, 1, 2, tile).iter().all(|v| v.status == Status::Present));
    assert_eq!((over("b_ad"), over("whole"), over("a_vertical")), (vec![1], vec![0], vec![0]));
    // An event when the first tiles have left: they are few enough.
    let at = START + 4200 * SECOND;
    running.push("clicks", &[line(&Click { user: 2, at, ..click(0) })], 1);
    running.settle();
    assert_eq!(over("b_ad"), [0]);
    let fewer = read(&running, 1, 1, at);
    assert!(fewer.iter().all(|v| !v.status.is_error()), "{fewer:?}");
    running.stop();
    let spine = format!(
        "user_id,ts\n1,{}\n1,{}\n",
        EventTime::from_micros(now),
        // The first tile of the hour is gone.
        EventTime::from_micros(START + 3900 * SECOND)
    );
    std::fs::write(directory.path().join("spine.csv"), spine).unwrap();
    let plan = Plan::compile(definitions(), directory.path()).unwrap();
    let dataset = Dataset::build(&plan, "s", &directory.path().join("spine.csv"), None).unwrap();
    let keys = dataset.batches[0].column_by_name("b_ad__ad_id_keys_1h").unwrap().clone();
    assert!(keys.is_null(0));
    assert_eq!(dataset.report.failed_values(), 3);
    let too_many = |failed: &FailedValues| {
        failed.reason == "more than 1000 categories in the window, or 10000 from its beginning on" && failed.count == 1
    };
    assert!(dataset.report.errors.iter().all(too_many), "{:?}", dataset.report.errors);
    let list = arrow::array::AsArray::as_list::<i32>(&keys).value(1);
    assert_eq!(list.len(), 1201 - 273);
}

#[test]
fn a_category_must_have_exact_values() {
    let mut definitions = definitions();
    definitions.views[0].group.as_mut().unwrap().column.text = "price * 0.5".to_string();
    let errors = Plan::compile(definitions, Path::new(".")).unwrap_err().to_string();
    assert!(errors.contains("DEF-TYPE") && errors.contains("category"), "{errors}");
    assert!(DataType::Float64.is_float());
}
