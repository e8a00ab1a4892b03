//! Changelogs whose history is Parquet: rows from files, and what a stream in either shape then makes of them.

#[path = "changelog/orders.rs"]
mod orders;
mod running;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampMillisecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType as Arrow, Field};
use freshet_engine::dataset::Dataset;
use orders::{Change, Row, changes, check, check_dataset, debezium, plan, push, table, upsert};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use running::{START, start, try_start};

/// How a file marks the rows it removes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Marks {
    Deleted,
    Op,
    /// There are none.
    None,
}

/// A file of changes as a warehouse writes one: other widths and orders of columns than the schema's, texts by number,
/// columns nobody asked for, and small row groups. Removed rows have their key only.
fn write(path: &Path, changes: &[Change], marks: Marks) {
    fn column<T, A: FromIterator<Option<T>>>(changes: &[Change], of: impl Fn(&Row) -> T) -> A {
        changes.iter().map(|change| change.row.as_ref().map(&of)).collect()
    }
    let products: StringArray = column(changes, |row| row.product);
    let by_number = Arrow::Dictionary(Box::new(Arrow::Int32), Box::new(Arrow::Utf8));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("nobody_asked", Arc::new(column::<_, Float64Array>(changes, |row| row.amount))),
        ("ts", Arc::new(column::<_, TimestampMillisecondArray>(changes, |row| row.at / 1000).with_timezone("UTC"))),
        ("product", cast(&products, &by_number).unwrap()),
        ("version", Arc::new(changes.iter().map(|change| Some(change.version)).collect::<Int64Array>())),
        ("id", Arc::new(changes.iter().map(|change| Some(change.id as i32)).collect::<Int32Array>())),
        ("region", Arc::new(changes.iter().map(|_| Some("eu")).collect::<StringArray>())),
        ("user", Arc::new(column::<_, Int64Array>(changes, |row| row.user))),
        ("amount", Arc::new(column::<_, Float64Array>(changes, |row| row.amount))),
    ];
    let removed = |change: &Change| change.row.is_none();
    match marks {
        Marks::Deleted => columns.push((
            "__deleted",
            // Null says nothing, as false does.
            Arc::new(
                changes.iter().map(|c| (removed(c) || c.id % 2 == 0).then(|| removed(c))).collect::<BooleanArray>(),
            ),
        )),
        Marks::Op => columns.push((
            "op",
            Arc::new(changes.iter().map(|c| Some(if removed(c) { "d" } else { "u" })).collect::<StringArray>()),
        )),
        Marks::None => {}
    }
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(37)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn directory_of(changes: &[Change], files: usize, marks: Marks) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("orders")).unwrap();
    for (number, part) in changes.chunks(changes.len().div_ceil(files)).enumerate() {
        write(&directory.path().join(format!("orders/{number}.parquet")), part, marks);
    }
    directory
}

const HISTORY: &str = "history: {parquet: {path: orders/}}";

#[test]
fn files_are_followed_by_a_stream_of_either_shape_and_restarts() {
    let all = changes(31, 1200);
    let (old, new) = all.split_at(700);
    for (format, marks, files, workers) in
        [("upsert", Marks::Deleted, 3, 1), ("debezium", Marks::Op, 1, 3), ("debezium", Marks::Deleted, 2, 2)]
    {
        let directory = directory_of(old, files, marks);
        let plan = plan(directory.path(), &format!("key: [region, id], format: {format}"), HISTORY);
        let running = start(directory.path(), &plan, workers);
        running.settle();
        check(&running, &table(old));
        let write = if format == "upsert" { upsert } else { debezium };
        let records: Vec<String> = new.iter().map(write).collect();
        // Updates and removals of rows that came from files among them.
        for (part, end) in records.chunks(250).zip([950, 1200]) {
            push(&running, part, 60);
            check(&running, &table(&all[..end]));
        }
        let source = &running.engine.figures().sources[0];
        assert_eq!((source.consumed, source.duplicate), (1200, 0), "{format} {marks:?}");
        running.stop();
        let again = start(directory.path(), &plan, 4 - workers);
        again.settle();
        check(&again, &table(&all));
        again.stop();
    }
}

#[test]
fn datasets_take_the_rows_that_are_left() {
    let changes = changes(32, 900);
    for (marks, files) in [(Marks::Deleted, 1), (Marks::Op, 4)] {
        let directory = directory_of(&changes, files, marks);
        let plan = plan(directory.path(), "key: [region, id], format: debezium", HISTORY);
        let running = start(directory.path(), &plan, 2);
        running.settle();
        check(&running, &table(&changes));
        check_dataset(&plan, &table(&changes), running.now(), 900, 0);
        running.stop();
    }
}

/// Every row of the files is taken back by the stream, in one way or another.
#[test]
fn rows_of_files_change_and_go() {
    let row = |user, amount| Row { user, amount, product: "a", at: START };
    let inserted = |id, amount| Change { id, version: 1, row: Some(row(id % 2, amount)) };
    let removed = |id| Change { id, version: 2, row: None };
    let old: Vec<Change> = (0..6).map(|id| inserted(id, id as f64 + 0.5)).collect();
    let directory = directory_of(&old, 2, Marks::None);
    let plan = plan(directory.path(), "key: [region, id]", HISTORY);
    let running = start(directory.path(), &plan, 2);
    running.settle();
    check(&running, &table(&old));
    // Another amount, another user, gone, gone and back.
    let mut moved = inserted(1, 1.5);
    moved.row = Some(row(0, 1.5));
    let new = [inserted(0, 90.0), moved, removed(2), removed(3), inserted(3, 33.0)];
    push(&running, &new.iter().map(upsert).collect::<Vec<_>>(), 9);
    let all: Vec<Change> = old.iter().chain(&new).cloned().collect();
    check(&running, &table(&all));
    let rest: Vec<Change> = [0, 1, 3, 4, 5].map(removed).to_vec();
    push(&running, &rest.iter().map(upsert).collect::<Vec<_>>(), 9);
    check(&running, &BTreeMap::new());
    assert_eq!(running.ledgered("EV-UNKNOWN"), 0);
    push(&running, &[upsert(&removed(4)), upsert(&removed(77))], 9);
    assert_eq!(running.ledgered("EV-UNKNOWN"), 2, "they are not there");
    running.stop();
    let again = start(directory.path(), &plan, 1);
    again.settle();
    check(&again, &BTreeMap::new());
    assert_eq!(again.ledgered("EV-UNKNOWN"), 2, "what was refused is not refused twice");
    again.stop();
}

/// Removals of what is not there, rows without key or time, and changes that are older than what is known.
#[test]
fn what_files_cannot_do_is_in_the_ledger_with_its_place() {
    let row = |at| Row { user: 1, amount: 3.0, product: "b", at };
    let change = |id, version, row| Change { id, version, row };
    let changes = [
        change(1, 5, Some(row(START))),
        change(9, 1, None),
        change(1, 4, Some(row(START - 1_000_000))),
        change(2, 1, Some(row(START))),
        change(2, 2, None),
        change(2, 3, None),
    ];
    let directory = directory_of(&changes, 1, Marks::Deleted);
    let plan = plan(directory.path(), "key: [region, id], version: version", HISTORY);
    let running = start(directory.path(), &plan, 1);
    running.settle();
    let rows = table(&changes[..1]);
    check(&running, &rows);
    assert_eq!((running.ledgered("EV-UNKNOWN"), running.ledgered("EV-STALE")), (2, 1));
    let places: Vec<String> =
        running.ledger.read("orders", 10).unwrap().iter().map(|r| format!("{} {}", r.code, r.place)).collect();
    assert_eq!(places, ["EV-UNKNOWN 0.parquet, row 5", "EV-STALE 0.parquet, row 2", "EV-UNKNOWN 0.parquet, row 1"]);
    // What the stream says is judged by what the files said.
    push(&running, &[upsert(&change(1, 3, None)), upsert(&change(1, 5, Some(row(START - 2_000_000))))], 9);
    assert_eq!(running.ledgered("EV-STALE"), 3);
    // There is nothing to delete, whatever the version; the newest that was seen refuses what is older all the same.
    let gone = [change(2, 1, None), change(2, 2, None), change(2, 1, None)];
    push(&running, &gone.iter().map(upsert).collect::<Vec<_>>(), 9);
    assert_eq!((running.ledgered("EV-UNKNOWN"), running.ledgered("EV-STALE")), (5, 3));
    push(&running, &[upsert(&change(2, 3, Some(row(START))))], 9);
    assert_eq!(running.ledgered("EV-STALE"), 4);
    check(&running, &rows);
    check_dataset(&plan, &rows, running.now(), 6, 3);
    running.stop();
}

#[test]
fn files_of_another_shape_are_refused_before_anything_is_read() {
    let row = Change { id: 1, version: 1, row: Some(Row { user: 1, amount: 1.0, product: "a", at: START }) };
    let deleted: ArrayRef = Arc::new(StringArray::from(vec!["true"]));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let envelope: ArrayRef = Arc::new(StructArray::from(vec![(Arc::new(Field::new("id", Arrow::Int64, true)), id)]));
    for (columns, message) in [
        // Envelopes are a shape of streams: a table of them names no row.
        (vec![("before", envelope.clone()), ("after", envelope)], "has no column `id`"),
        (vec![("__deleted", deleted)], "has column `__deleted` as string, which does not convert to bool exactly"),
    ] {
        let directory = directory_of(std::slice::from_ref(&row), 1, Marks::None);
        let path = directory.path().join("orders/0.parquet");
        if columns.len() == 1 {
            let (_, batches) = freshet_connectors::files::read_parquet(&path).unwrap();
            let mut all: Vec<(String, ArrayRef)> = batches[0]
                .schema()
                .fields()
                .iter()
                .zip(batches[0].columns())
                .map(|(field, column)| (field.name().clone(), column.clone()))
                .collect();
            all.extend(columns.into_iter().map(|(name, column)| (name.to_string(), column)));
            put(&path, RecordBatch::try_from_iter(all).unwrap());
        } else {
            put(&path, RecordBatch::try_from_iter(columns).unwrap());
        }
        let plan = plan(directory.path(), "key: [region, id], format: debezium", HISTORY);
        let error = try_start(directory.path(), &plan, 1).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
        std::fs::write(directory.path().join("spine.csv"), "user,at\n1,2026-01-01T00:00:00Z\n").unwrap();
        let error = Dataset::build(&plan, "s", &directory.path().join("spine.csv"), None).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
}

fn put(path: &Path, batch: RecordBatch) {
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
