//! What comes out, line by line.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, ListArray, RecordBatch, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::Int64Type;
use freshet_config::value::Value;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::fixture::{DEFINITIONS, Fixture, column, visit};

fn events() -> String {
    [
        visit(1, 7, "home", 3.0, 0, 12),
        visit(2, 7, "shop", 4.0, 0, 22),
        // The second `2` is no event, wherever it stands.
        visit(2, 7, "home", 100.0, 0, 23),
        visit(3, 8, "bot", 5.0, 0, 15),
        // Two of one second: the tie breaker says which is last.
        visit(5, 9, "late", 1.0, 2, 15),
        visit(4, 9, "early", 1.0, 1, 15),
    ]
    .concat()
}

#[test]
fn values_stand_beside_the_spine_as_it_was() {
    let fixture = Fixture::new(&events());
    let spine = "label,user,at_time\nyes,7,1970-01-01T00:00:22Z\n,8,1970-01-01T00:00:15Z\n007,6,1970-01-01T00:00:22Z\n\
                 x,9,1970-01-01T00:00:15\nagain,7,1970-01-01T00:00:12Z\n";
    fixture.file("spine.csv", spine);
    assert_eq!(
        fixture.run("visits_v1", "spine.csv", "out.csv").unwrap(),
        "label,user,at_time,clicks__n_10s,clicks__n_1m,clicks__page_1m,clicks__charge_1m,tiles__n_10s,tiles__cost_10s\n\
         yes,7,1970-01-01T00:00:22Z,1,2,shop,8.0,1,3.0\n\
         ,8,1970-01-01T00:00:15Z,1,1,bot,,,\n\
         007,6,1970-01-01T00:00:22Z,0,0,,,0,\n\
         x,9,1970-01-01T00:00:15Z,2,2,late,,,\n\
         again,7,1970-01-01T00:00:12Z,1,1,home,6.0,,\n"
    );
}

#[test]
fn ndjson_keeps_the_types_of_other_fields() {
    let fixture = Fixture::new(&events());
    fixture.file(
        "spine.ndjson",
        "{\"user\":7,\"time\":22000000,\"score\":0.5,\"ok\":true}\n{\"user\":null,\"time\":\"1970-01-01T00:00:01Z\"}\n",
    );
    // `time` holds numbers and text: it cannot be told to be an instant, but it can be named.
    fixture.file(
        "good.ndjson",
        "{\"user\":7,\"time\":\"1970-01-01T00:00:22Z\",\"score\":0.5,\"ok\":true}\n\
         {\"user\":null,\"time\":\"1970-01-01T00:00:01Z\"}\n",
    );
    assert_eq!(
        fixture.run("counts", "good.ndjson", "out.ndjson").unwrap(),
        "{\"ok\":true,\"score\":0.5,\"time\":\"1970-01-01T00:00:22Z\",\"user\":7,\"clicks__n_10s\":1}\n\
         {\"ok\":null,\"score\":null,\"time\":\"1970-01-01T00:00:01Z\",\"user\":null,\"clicks__n_10s\":0}\n"
    );
    assert!(
        fixture
            .refusal(fixture.run("counts", "spine.ndjson", "out.ndjson"))
            .contains("holds values of different types in `time`")
    );
}

/// int64 is a number everywhere; the keys of a map are text, in its order.
#[test]
fn ndjson_holds_lists_and_maps_and_csv_refuses_them() {
    let fixture = Fixture::new(&events());
    let seen = "  - name: seen
    source: visits
    entity: user
    aggregates:
      - {name: n, fn: count, windows: [{series: {start: -20s, end: 0s, step: 10s, size: 10s}}]}
      - {name: pages, fn: last_distinct, of: page, n: 3, windows: [1m]}
      - {name: ids, fn: top_k, of: id, k: 2, windows: [1m]}
      - {name: cost, fn: max, of: cost, by: page, windows: [{series: {start: -20s, end: 0s, step: 10s, size: 10s}}]}
services:
  - {name: seen_v1, features: [seen]}
";
    fixture.file("features.yaml", DEFINITIONS.replace("services:\n", seen));
    fixture.file("spine.csv", "user,at\n7,1970-01-01T00:00:22Z\n6,1970-01-01T00:00:22Z\n");
    assert_eq!(
        fixture.run("seen_v1", "spine.csv", "out.ndjson").unwrap(),
        "{\"user\":7,\"at\":\"1970-01-01T00:00:22Z\",\"seen__n_series_20s_0s_10s_10s\":[1,1],\
         \"seen__pages_1m\":[\"home\",\"shop\"],\"seen__ids_1m\":{\"1\":1,\"2\":1},\
         \"seen__cost_series_20s_0s_10s_10s\":[{\"home\":3.0},{\"shop\":4.0}]}\n\
         {\"user\":6,\"at\":\"1970-01-01T00:00:22Z\",\"seen__n_series_20s_0s_10s_10s\":[0,0],\
         \"seen__pages_1m\":[],\"seen__ids_1m\":{},\"seen__cost_series_20s_0s_10s_10s\":[{},{}]}\n"
    );
    let refused = fixture.refusal(fixture.run("seen_v1", "spine.csv", "out.csv"));
    assert_eq!(
        refused,
        "column `seen__n_series_20s_0s_10s_10s` is list of int64, which CSV cannot hold: write .ndjson or .parquet"
    );
}

/// A Parquet spine of any shape: narrow keys, milliseconds or nanoseconds, lists as luggage.
#[test]
fn parquet_passes_every_type_through() {
    let fixture = Fixture::new(&events());
    let luggage: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]));
    let users: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), Some(7), None]));
    // One nanosecond before the event of second 22 it does not count yet.
    let times: ArrayRef =
        Arc::new(TimestampNanosecondArray::from(vec![21_999_999_999, 22_000_000_000, 1]).with_timezone("+02:00"));
    let batch =
        RecordBatch::try_from_iter_with_nullable([("tags", luggage, true), ("user", users, true), ("ts", times, true)])
            .unwrap();
    let spine = fixture.path("spine.parquet");
    let mut writer = ArrowWriter::try_new(File::create(&spine).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();

    let dataset = fixture.build("visits_v1", &spine).unwrap();
    assert_eq!(column(&dataset, "clicks__n_1m"), [Value::Int64(1), Value::Int64(2), Value::Int64(0)]);
    let out = fixture.path("out.parquet");
    dataset.write(&out).unwrap();
    let mut read = ParquetRecordBatchReaderBuilder::try_new(File::open(&out).unwrap()).unwrap().build().unwrap();
    let read = read.next().unwrap().unwrap();
    assert_eq!(read.columns(), dataset.batches[0].columns());
    for (index, name) in ["tags", "user", "ts"].into_iter().enumerate() {
        assert_eq!(read.column_by_name(name).unwrap(), batch.column(index), "{name}");
    }
    assert_eq!(
        fixture.refusal(dataset.write(&fixture.path("out.csv"))),
        "column `tags` is list of int64, which CSV cannot hold: write .ndjson or .parquet"
    );
    assert!(!fixture.path("out.csv").exists() && !fixture.path("out.csv.tmp").exists());
}

#[test]
fn a_directory_of_parquet_is_one_spine() {
    let fixture = Fixture::new(&events());
    std::fs::create_dir(fixture.path("spine")).unwrap();
    for (name, user) in [("b.parquet", 7), ("a.parquet", 8)] {
        let users: ArrayRef = Arc::new(Int64Array::from(vec![user]));
        let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![15_000]));
        let event_times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0]));
        let batch = RecordBatch::try_from_iter([("user", users), ("seen", event_times), ("timestamp", times)]).unwrap();
        let file = File::create(fixture.path("spine").join(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
    let dataset = fixture.build("visits_v1", &fixture.path("spine")).unwrap();
    assert_eq!(column(&dataset, "user"), [Value::Int64(8), Value::Int64(7)]);
    assert_eq!(
        column(&dataset, "clicks__page_1m"),
        [Value::String("bot".to_string()), Value::String("home".to_string())]
    );
}

#[test]
fn the_report_says_what_was_left_out() {
    let fixture = Fixture::new(&(events() + "{\"id\": 9}\n"));
    let spine = fixture.file("spine.csv", "user,time\n7,1970-01-01T00:00:22Z\n");
    let report = fixture.build("visits_v1", &spine).unwrap().report;
    assert_eq!((report.rows, report.views, report.features), (1, 2, 6));
    assert_eq!((report.events, report.refused_events(), report.duplicates), (7, 1, 1));
    assert!(report.first_refusal().unwrap().contains("`at` is missing or null"));
    assert_eq!((report.failed_expressions, report.failed_values()), (0, 0));
}

/// As in a running engine, which has forgotten the first event by then.
#[test]
fn a_dedup_key_counts_again_once_it_is_forgotten() {
    // The longest window, the lateness of a day, and five minutes.
    let kept = 60 + 86_400 + 300;
    let events: Vec<String> = [0, kept, kept + 1, 2 * kept + 1].map(|at| visit(1, 7, "home", 1.0, 0, at)).into();
    let fixture = Fixture::new(&events.concat());
    let spine = fixture.file("spine.csv", "user,time\n7,1970-01-01T00:00:22Z\n");
    let report = fixture.build("visits_v1", &spine).unwrap().report;
    assert_eq!((report.events, report.refused_events(), report.duplicates), (4, 0, 2));
}

/// Numbers are instants in the column that is called so.
#[test]
fn instants_may_be_bare_microseconds() {
    let fixture = Fixture::new(&events());
    fixture.file("spine.csv", "user,n,time\n7,1,22000000\n7,2,21999999\n");
    assert_eq!(
        fixture.run("counts", "spine.csv", "out.csv").unwrap(),
        "user,n,time,clicks__n_10s\n7,1,1970-01-01T00:00:22Z,1\n7,2,1970-01-01T00:00:21.999999Z,1\n"
    );
}

/// An empty spine is a dataset of no rows, with all its columns.
#[test]
fn no_rows_are_no_rows() {
    let fixture = Fixture::new(&events());
    let spine = fixture.file("spine.csv", "user,time\n");
    let dataset = fixture.build("counts", &spine).unwrap();
    assert_eq!((dataset.report.rows, dataset.schema.fields().len()), (0, 3));
    let out = fixture.path("out.csv");
    dataset.write(&out).unwrap();
    assert_eq!(std::fs::read_to_string(out).unwrap(), "user,time,clicks__n_10s\n");
}
