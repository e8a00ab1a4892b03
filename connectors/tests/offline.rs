//! Offline files as another program reads them: with the Parquet reader, from the directory alone.

use std::fs::{self, File};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType as Arrow, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use freshet_config::definitions::Column;
use freshet_config::time::{Epoch, EventTime, Span};
use freshet_config::value::{DataType, FeatureType, Value};
use freshet_connectors::offline::{OfflineError, OfflineView, OfflineWriter, Roll};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const NEVER: Roll = Roll { bytes: usize::MAX, span: Span::from_micros(i64::MAX) };

fn column(name: &str, data_type: DataType) -> Column {
    Column { name: name.into(), data_type }
}

fn feature(name: &str, of_type: DataType) -> (String, FeatureType) {
    (name.into(), of_type.into())
}

fn view() -> OfflineView {
    OfflineView {
        name: "spend".into(),
        keys: vec![column("user", DataType::String), column("shop", DataType::Int64)],
        features: vec![feature("total_1h", DataType::Float64), feature("count_1h", DataType::Int64)],
    }
}

/// A row that can be told apart by `n`; every third total is null.
fn append(writer: &mut OfflineWriter, n: i64, known_at: i64) -> Result<(), OfflineError> {
    let total = if n % 3 == 0 { Value::Null } else { Value::Float64(n as f64 / 4.0) };
    writer.append(
        &[Value::String(format!("user {n}")), Value::Int64(n)],
        EventTime::from_micros(known_at - 5),
        EventTime::from_micros(known_at),
        &[total, Value::Int64(n * 2)],
    )
}

/// Names of what lies in the view's directory, in order.
fn names(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("spend")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn file_name(first: u64, last: u64) -> String {
    format!("{first:020}-{last:020}.parquet")
}

fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// The `n` of every row of a file.
fn numbers(path: &Path) -> Vec<i64> {
    read(path).column(1).as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn rows_come_back_as_they_were_appended() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = OfflineWriter::open(root.path(), view(), NEVER).unwrap();
    // More rows than are gathered at once.
    let count = 20_000;
    for n in 0..count {
        append(&mut writer, n, 1_000 + n).unwrap();
    }
    assert!(names(root.path()).iter().all(|name| !name.ends_with(".parquet")), "a file appeared before it was whole");
    let path = writer.flush_through(Epoch::from_micros(50_000)).unwrap().expect("a file");
    assert_eq!(path, root.path().join("spend").join(file_name(0, 50_000)));
    assert_eq!(names(root.path()), [file_name(0, 50_000)]);

    let batch = read(&path);
    let schema = batch.schema();
    let time = Arrow::Timestamp(TimeUnit::Microsecond, None);
    let fields: Vec<_> = schema.fields().iter().map(|f| (f.name().as_str(), f.data_type(), f.is_nullable())).collect();
    let expected = [
        ("user", &Arrow::Utf8, false),
        ("shop", &Arrow::Int64, false),
        ("valid_from", &time, false),
        ("known_at", &time, false),
        ("total_1h", &Arrow::Float64, true),
        ("count_1h", &Arrow::Int64, true),
    ];
    assert_eq!(fields, expected);
    assert_eq!(batch.num_rows() as i64, count);
    for n in [0, 1, 8_191, 8_192, count - 1] {
        let row = n as usize;
        assert_eq!(batch.column(0).as_string::<i32>().value(row), format!("user {n}"));
        assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(row), n);
        assert_eq!(batch.column(2).as_primitive::<TimestampMicrosecondType>().value(row), 995 + n);
        assert_eq!(batch.column(3).as_primitive::<TimestampMicrosecondType>().value(row), 1_000 + n);
        let total = batch.column(4).as_primitive::<Float64Type>();
        let total = (!total.is_null(row)).then(|| total.value(row));
        assert_eq!(total, (n % 3 != 0).then_some(n as f64 / 4.0));
        assert_eq!(batch.column(5).as_primitive::<Int64Type>().value(row), n * 2);
    }
}

#[test]
fn every_type_has_a_column() {
    let root = tempfile::tempdir().unwrap();
    let features = DataType::ALL.map(|of_type| feature(of_type.name(), of_type)).to_vec();
    let view = OfflineView { name: "spend".into(), keys: vec![column("id", DataType::Bool)], features };
    let mut writer = OfflineWriter::open(root.path(), view, NEVER).unwrap();
    let values = [
        Value::Int32(-7),
        Value::Int64(i64::MIN),
        Value::Float32(0.5),
        Value::Float64(-0.0),
        Value::String("ü".into()),
        Value::Bool(true),
        Value::Timestamp(EventTime::from_micros(-1)),
    ];
    let now = EventTime::from_micros(1);
    writer.append(&[Value::Bool(false)], now, now, &values).unwrap();
    writer.append(&[Value::Bool(false)], now, now, &[const { Value::Null }; 7]).unwrap();
    let batch = read(&writer.flush_through(Epoch::from_micros(1)).unwrap().unwrap());
    let shown = |row: usize| -> Vec<String> {
        (3..10).map(|c| arrow::util::display::array_value_to_string(batch.column(c), row).unwrap()).collect()
    };
    assert_eq!(shown(0), ["-7", "-9223372036854775808", "0.5", "-0.0", "ü", "true", "1969-12-31T23:59:59.999999"]);
    assert_eq!(shown(1), [""; 7]);
}

#[test]
fn files_follow_each_other_by_epoch() {
    let root = tempfile::tempdir().unwrap();
    let roll = Roll { bytes: 4_000, span: Span::from_micros(100) };
    let mut writer = OfflineWriter::open(root.path(), view(), roll).unwrap();
    let epoch = Epoch::from_micros;
    assert!(!writer.due(epoch(1_000)), "nothing to write");
    append(&mut writer, 1, 10).unwrap();
    assert!(!writer.due(epoch(99)));
    assert!(writer.due(epoch(100)), "old enough");
    writer.flush_through(epoch(100)).unwrap();
    assert_eq!(writer.flush_through(epoch(150)).unwrap(), None, "no rows, no file");
    for n in 0..200 {
        append(&mut writer, n, 160).unwrap();
    }
    assert!(writer.due(epoch(160)), "large enough: {}", writer.bytes());
    writer.flush_through(epoch(160)).unwrap();
    assert_eq!(names(root.path()), [file_name(0, 100), file_name(151, 160)]);
    let error = writer.flush_through(epoch(160)).unwrap_err().to_string();
    assert!(error.contains("epoch 160") && error.contains("begins at 161"), "{error}");
}

#[test]
fn a_crash_leaves_no_part_of_a_file() {
    let root = tempfile::tempdir().unwrap();
    let epoch = Epoch::from_micros;
    let mut writer = OfflineWriter::open(root.path(), view(), NEVER).unwrap();
    append(&mut writer, 1, 10).unwrap();
    writer.flush_through(epoch(10)).unwrap();
    for n in 0..10_000 {
        append(&mut writer, n, 20).unwrap();
    }
    assert_eq!(names(root.path()).len(), 2, "a file was begun");
    // A crash runs no destructor.
    std::mem::forget(writer);

    let mut writer = OfflineWriter::open(root.path(), view(), NEVER).unwrap();
    assert_eq!(names(root.path()), [file_name(0, 10)]);
    append(&mut writer, 2, 20).unwrap();
    let path = writer.flush_through(epoch(20)).unwrap().unwrap();
    assert_eq!(path, root.path().join("spend").join(file_name(11, 20)));
    assert_eq!(numbers(&path), [2]);
}

#[test]
fn resuming_sets_later_files_aside() {
    let root = tempfile::tempdir().unwrap();
    let epoch = Epoch::from_micros;
    let mut writer = OfflineWriter::open(root.path(), view(), NEVER).unwrap();
    for n in 1..=3 {
        append(&mut writer, n, n * 10).unwrap();
        writer.flush_through(epoch(n as u64 * 10)).unwrap();
    }
    drop(writer);
    let error = OfflineWriter::resume(root.path(), view(), NEVER, epoch(15)).err().expect("15 is inside a file");
    assert!(matches!(error, OfflineError::Straddles { .. }), "{error}");
    assert_eq!(names(root.path()).len(), 3);

    for round in 1..=2 {
        let (mut writer, superseded) = OfflineWriter::resume(root.path(), view(), NEVER, epoch(20)).unwrap();
        assert_eq!(superseded, [root.path().join("spend").join(file_name(21, 30))]);
        append(&mut writer, 30 + round, 30).unwrap();
        let path = writer.flush_through(epoch(30)).unwrap().unwrap();
        assert_eq!(numbers(&path), [30 + round]);
    }
    let aside = |number: usize| format!("{}.superseded{number}", file_name(21, 30));
    let expected = [file_name(0, 10), file_name(11, 20), file_name(21, 30), aside(1), aside(2)];
    assert_eq!(names(root.path()), expected);
    assert_eq!(numbers(&root.path().join("spend").join(aside(1))), [3], "nothing is lost");
}

#[test]
fn rows_that_do_not_fit_are_refused_whole() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = OfflineWriter::open(root.path(), view(), NEVER).unwrap();
    let now = EventTime::from_micros(1);
    let keys = [Value::String("a".into()), Value::Int64(1)];
    let values = [Value::Float64(1.0), Value::Int64(1)];
    let mut refusal = |keys: &[Value], values: &[Value]| writer.append(keys, now, now, values).unwrap_err().to_string();
    let wrong_type = refusal(&keys, &[Value::Float64(1.0), Value::String("1".into())]);
    assert_eq!(
        wrong_type,
        "a row of view `spend` has string in column `count_1h`, which takes int64; nothing of it was kept"
    );
    assert!(refusal(&[Value::String("a".into()), Value::Null], &values).contains("null in column `shop`"));
    assert!(refusal(&keys, &values[..1]).contains("1 values"));
    assert!(refusal(&keys[..1], &values).contains("takes 2 values"));
    append(&mut writer, 7, 1).unwrap();
    let path = writer.flush_through(Epoch::from_micros(1)).unwrap().unwrap();
    assert_eq!(numbers(&path), [7]);

    for name in ["", "..", "a/b", ".hidden"] {
        let error = OfflineWriter::open(root.path(), OfflineView { name: name.into(), ..view() }, NEVER).err();
        assert!(matches!(error, Some(OfflineError::ViewName { .. })), "{name}");
    }
    let twice = OfflineView { features: vec![feature("known_at", DataType::Int64)], ..view() };
    let error = OfflineWriter::open(root.path(), twice, NEVER).err().expect("a name taken").to_string();
    assert!(error.contains("two columns `known_at`"), "{error}");
}

#[test]
fn after_a_failure_to_write_nothing_is_taken() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = OfflineWriter::open(root.path(), view(), NEVER).unwrap();
    append(&mut writer, 1, 1).unwrap();
    fs::remove_dir_all(root.path().join("spend")).unwrap();
    let error = writer.flush_through(Epoch::from_micros(1)).unwrap_err();
    assert!(matches!(error, OfflineError::File { .. }), "{error}");
    let error = append(&mut writer, 2, 2).unwrap_err();
    assert!(matches!(error, OfflineError::Failed { .. }), "{error}");
    let mut writer = OfflineWriter::open(root.path(), view(), NEVER).unwrap();
    append(&mut writer, 1, 1).unwrap();
    assert!(writer.flush_through(Epoch::from_micros(1)).unwrap().is_some());
}
