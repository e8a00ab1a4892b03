//! Events that neither their time nor their tie breaker tells apart: ordered by what they hold, live as in datasets, and
//! whatever the order in which they came.

mod running;

use freshet_config::arrays::feature_array;
use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_engine::dataset::Dataset;
use running::{Random, SECOND, START};

const DEFINITIONS: &str = r#"
sources:
  - name: steps
    stream: {log: {}}
    history: {ndjson: {path: steps.ndjson}}
    schema: {user: int64, text: string, n: int64, x: float64, tie: int64, at: timestamp}
    event_time: at
    tie_breaker: tie
entities:
  - {name: user, keys: {user: int64}}
views:
  - name: texts
    source: steps
    entity: user
    aggregates:
      - {name: first, fn: first, n: 60, of: text, windows: [1h]}
      - {name: last, fn: last, n: 60, of: n, windows: [1h]}
  - name: numbers
    source: steps
    entity: user
    aggregates:
      - {name: last, fn: last, n: 60, of: x, windows: [1h]}
      - {name: distinct, fn: first_distinct, n: 3, of: n, windows: [1h]}
      - {name: latest, fn: last_distinct, n: 2, of: n, windows: [1h]}
      - {name: oldest, fn: first, n: 5, of: n, windows: [1h]}
      - {name: best, fn: max_by, of: x, order: n, windows: [1h]}
services:
  - {name: s, features: [texts, numbers]}
"#;

#[test]
fn ties_are_ordered_by_what_events_hold() {
    for seed in 11..31 {
        ties_are_ordered_alike(seed);
    }
}

fn ties_are_ordered_alike(seed: u64) {
    let mut random = Random(seed);
    let record = |random: &mut Random, user: i64| {
        let text = random.pick(&["\"zz\"", "\"a\"", "\"longer than a word\"", "\"another long one\"", "null"]);
        let n = random.pick(&["1", "-7", "300", "null"]);
        let x = random.pick(&["0.5", "-2.0", "1e9", "null"]);
        let (second, tie) = (random.below(2) as i64, random.below(2));
        let at = START + second * SECOND;
        format!("{{\"user\":{user},\"text\":{text},\"n\":{n},\"x\":{x},\"tie\":{tie},\"at\":{at}}}")
    };
    // Few events of a key, and so many that it is kept in the other way.
    let keys = [(1, 12), (2, 50)];
    let records = keys.map(|(user, count)| (0..count).map(|_| record(&mut random, user)).collect::<Vec<_>>()).concat();
    let at = EventTime::from_micros(START + 60 * SECOND);
    let clock = format!("{{\"user\":9,\"text\":\"clock\",\"n\":0,\"x\":0,\"tie\":0,\"at\":{}}}", at.micros());

    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
    write("steps.ndjson", records.join("\n"));
    write("spine.csv", format!("user,time\n1,{0}\n2,{0}\n", at.micros()));
    let plan = running::plan(DEFINITIONS, directory.path());
    let dataset = Dataset::build(&plan, "s", &directory.path().join("spine.csv"), None).unwrap();

    for (workers, history, stream) in [(1, records.clone(), vec![]), (2, vec![], records.clone())] {
        write("steps.ndjson", history.join("\n"));
        let data = tempfile::tempdir().unwrap();
        let live = running::start(data.path(), &plan, workers);
        let backwards: Vec<String> = stream.into_iter().rev().chain([clock.clone()]).collect();
        live.push("steps", &backwards, 1 + random.below(12) as usize);
        live.settle();
        for (row, (user, _)) in keys.iter().enumerate() {
            for (view, of_view) in plan.views.iter().enumerate() {
                let values = live.values(view, &[Value::Int64(*user)], at);
                for (feature, value) in of_view.features.iter().zip(values) {
                    let name = format!("{}__{}", of_view.name, feature.name);
                    let trained = dataset.batches[0].column_by_name(&name).unwrap().slice(row, 1);
                    let served = feature_array(&feature.data_type, [&value]).unwrap();
                    assert_eq!(&served, &trained, "{name} of {user}, {workers} workers, seed {seed}");
                }
            }
        }
        live.stop();
    }
}
