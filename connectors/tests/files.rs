//! Histories and tables in Parquet, CSV and NDJSON.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array, LargeStringArray,
    NullArray, RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use freshet_config::definitions::{Column, FileFormat, Files, Source};
use freshet_config::diagnostic::Place;
use freshet_config::time::Span;
use freshet_config::value::DataType;
use freshet_connectors::events::{Code, Rejection};
use freshet_connectors::files::{EventFiles, FileError, FileEvents, list, read_parquet, read_table, sniff};
use freshet_connectors::position;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

const MICROS: i64 = 1_772_366_400_000_000;

fn columns(columns: &[(&str, DataType)]) -> Vec<Column> {
    columns.iter().map(|(name, data_type)| Column { name: (*name).into(), data_type: *data_type }).collect()
}

fn event_columns() -> Vec<Column> {
    columns(&[
        ("ts", DataType::Timestamp),
        ("user", DataType::String),
        ("amount", DataType::Float64),
        ("n", DataType::Int64),
    ])
}

fn source(format: FileFormat, path: &str) -> Source {
    Source {
        name: "events".into(),
        stream: None,
        history: Some(Files { format, path: path.into() }),
        changes_of: None,
        schema: event_columns(),
        event_time: 0,
        dedup_key: None,
        tie_breaker: None,
        lateness: Span::ZERO,
        changelog: None,
        explode: None,
        enrich: Vec::new(),
        select: Vec::new(),
        place: Place::default(),
    }
}

fn events(dir: &Path, format: FileFormat, path: &str) -> Result<EventFiles, FileError> {
    EventFiles::open(&source(format, path), dir).map(|files| files.keys(vec![1]))
}

fn read(files: EventFiles) -> (Vec<FileEvents>, Vec<Rejection>) {
    let batches: Vec<FileEvents> = files.map(|batch| batch.unwrap()).collect();
    let rejections = batches.iter().flat_map(|batch| batch.rejections.clone()).collect();
    (batches, rejections)
}

fn write_parquet(path: &Path, group_rows: usize, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn simple_parquet(path: &Path, from: i64, rows: i64) {
    let millis = MICROS / 1_000;
    write_parquet(
        path,
        1_000_000,
        vec![
            ("n", Arc::new(Int32Array::from_iter_values((from..from + rows).map(|n| n as i32)))),
            ("unused", Arc::new(Int64Array::from_iter_values(0..rows))),
            ("ts", Arc::new(TimestampMillisecondArray::from_iter_values((0..rows).map(|row| millis + row)))),
            ("amount", Arc::new(Float32Array::from_iter_values((0..rows).map(|row| row as f32 / 2.0)))),
            ("user", Arc::new(LargeStringArray::from_iter_values((0..rows).map(|row| format!("u{row}"))))),
        ],
    );
}

fn numbers(batches: &[FileEvents]) -> Vec<i64> {
    batches.iter().flat_map(|b| b.events.batch.column(3).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn texts(rejections: &[Rejection]) -> Vec<String> {
    rejections.iter().map(Rejection::to_string).collect()
}

#[test]
fn parquet_columns_are_selected_by_name_and_widened() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("history");
    fs::create_dir(&folder).unwrap();
    simple_parquet(&folder.join("b.parquet"), 10_000, 5);
    simple_parquet(&folder.join("a.parquet"), 0, 10_000);
    fs::write(folder.join("_SUCCESS"), "").unwrap();
    fs::write(folder.join("notes.txt"), "").unwrap();
    let files = events(dir.path(), FileFormat::Parquet, "history").unwrap();
    assert_eq!(files.files(), [folder.join("a.parquet"), folder.join("b.parquet")]);
    assert_eq!(files.ignored(), [folder.join("notes.txt")]);
    let (batches, rejections) = read(files);
    assert_eq!(rejections, []);
    assert_eq!(numbers(&batches), (0..10_005).collect::<Vec<_>>());
    let first = &batches[0].events;
    assert_eq!(first.batch.schema(), freshet_config::definitions::arrow_schema(&event_columns()));
    assert_eq!(first.batch.column(0).as_primitive::<TimestampMicrosecondType>().value(3), MICROS + 3_000);
    assert_eq!(first.batch.column(1).as_string::<i32>().value(7), "u7");
    assert_eq!(first.batch.column(2).as_primitive::<Float64Type>().value(3), 1.5);
    assert_eq!((first.positions[9], first.arrival()), (position::history(0, 9), None));
    let last = batches.last().unwrap();
    assert_eq!((last.events.positions[4], last.next), (position::history(1, 4), (1, 5)));

    // Going on behind any batch gives exactly the rest.
    for batch in &batches {
        let mut files = events(dir.path(), FileFormat::Parquet, "history").unwrap();
        files.seek(batch.next.0, batch.next.1);
        let seen = if batch.next.0 == 0 { batch.next.1 } else { 10_000 + batch.next.1 };
        assert_eq!(numbers(&read(files).0), (seen as i64..10_005).collect::<Vec<_>>());
    }
}

#[test]
fn every_exact_encoding_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let times: [ArrayRef; 4] = [
        Arc::new(TimestampSecondArray::from(vec![MICROS / 1_000_000])),
        Arc::new(TimestampMillisecondArray::from(vec![MICROS / 1_000]).with_timezone("+05:00")),
        Arc::new(TimestampNanosecondArray::from(vec![MICROS * 1_000]).with_timezone("UTC")),
        Arc::new(TimestampNanosecondArray::from(vec![MICROS * 1_000])),
    ];
    let users: [ArrayRef; 4] = [
        Arc::new(StringArray::from(vec!["u"])),
        Arc::new(StringViewArray::from(vec!["u"])),
        Arc::new(vec!["u"].into_iter().collect::<DictionaryArray<Int32Type>>()),
        Arc::new(LargeStringArray::from(vec!["u"])),
    ];
    for (time, user) in times.into_iter().zip(users) {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("ts", time),
            ("user", user),
            ("amount", Arc::new(Float64Array::from(vec![-0.0]))),
            ("n", Arc::new(Int64Array::from(vec![5]))),
        ];
        write_parquet(&dir.path().join("x.parquet"), 10, columns);
        let (batches, rejections) = read(events(dir.path(), FileFormat::Parquet, "x.parquet").unwrap());
        assert_eq!(rejections, []);
        let batch = &batches[0].events.batch;
        assert_eq!(batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0), MICROS);
        assert_eq!(batch.column(1).as_string::<i32>().value(0), "u");
        assert_eq!(batch.column(2).as_primitive::<Float64Type>().value(0).to_bits(), 0);
    }
}

#[test]
fn bad_parquet_rows_are_rejected_with_their_place_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let ns = MICROS * 1_000;
    let long = "k".repeat(2049);
    write_parquet(
        &dir.path().join("day.parquet"),
        3,
        vec![
            (
                "ts",
                Arc::new(TimestampNanosecondArray::from(vec![
                    Some(ns),
                    None,
                    Some(ns + 1),
                    Some(ns),
                    Some(ns),
                    Some(ns),
                    Some(ns),
                ])),
            ),
            (
                "user",
                Arc::new(StringArray::from(vec![
                    Some("a"),
                    Some("b"),
                    Some("c"),
                    None,
                    Some(&long),
                    Some("d"),
                    Some("e"),
                ])),
            ),
            ("amount", Arc::new(Float64Array::from(vec![Some(1.0), None, None, None, None, Some(f64::NAN), None]))),
            ("n", Arc::new(Int64Array::from_iter_values(0..7))),
        ],
    );
    let (batches, rejections) = read(events(dir.path(), FileFormat::Parquet, "day.parquet").unwrap());
    assert_eq!(numbers(&batches), [0, 6]);
    assert_eq!(batches[0].events.positions, [position::history(0, 0), position::history(0, 6)]);
    assert_eq!(
        texts(&rejections),
        [
            "day.parquet, row group 0, row 1: `ts` is missing or null: every event needs its event time [EV-TIME]",
            "day.parquet, row group 0, row 2: `ts` is 1772366400000000001 ns since 1970, which is no whole number of \
             microseconds [EV-TIME]",
            "day.parquet, row group 1, row 0: `user` is missing or null: every event needs its keys [EV-KEY]",
            "day.parquet, row group 1, row 1: `user` has 2049 bytes: a join key may have at most 2048 [EV-KEY]",
            "day.parquet, row group 1, row 2: `amount` is NaN: events hold finite numbers only [EV-RANGE]",
        ]
    );
    write_parquet(
        &dir.path().join("far.parquet"),
        10,
        vec![
            ("ts", Arc::new(TimestampSecondArray::from(vec![i64::MAX, -9_000_000_000]))),
            ("user", Arc::new(StringArray::from(vec!["a", "b"]))),
            ("amount", Arc::new(Float64Array::from(vec![1.0, 1.0]))),
            ("n", Arc::new(Int64Array::from(vec![1, 2]))),
        ],
    );
    let (_, rejections) = read(events(dir.path(), FileFormat::Parquet, "far.parquet").unwrap());
    assert_eq!(rejections.iter().map(|r| r.code).collect::<Vec<_>>(), [Code::Time, Code::Time]);
}

#[test]
fn all_unusable_files_are_named_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    simple_parquet(&at("good.parquet"), 0, 100);
    let whole = fs::read(at("good.parquet")).unwrap();
    fs::write(at("empty.parquet"), "").unwrap();
    fs::write(at("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at("magic.parquet"), "this is no parquet file at all").unwrap();
    write_parquet(
        &at("odd.parquet"),
        10,
        vec![
            ("ts", Arc::new(Int64Array::from(vec![MICROS]))),
            ("User", Arc::new(StringArray::from(vec!["a"]))),
            ("amunt", Arc::new(Float64Array::from(vec![1.0]))),
            ("n", Arc::new(Float64Array::from(vec![1.0]))),
        ],
    );
    let Err(FileError::Unusable(problems)) = events(dir.path(), FileFormat::Parquet, ".") else { panic!("usable") };
    let found: Vec<(String, String)> = problems
        .iter()
        .map(|p| (p.file.file_name().unwrap().to_string_lossy().into_owned(), p.message.clone()))
        .collect();
    let name = |index: usize| found[index].0.as_str();
    assert_eq!((name(0), name(1), name(2)), ("cut.parquet", "empty.parquet", "magic.parquet"));
    assert!(found[0].1.starts_with("is not a whole parquet file: "), "{}", found[0].1);
    assert_eq!(found[1].1, "is empty: not even an empty table is that small in parquet");
    assert!(found[2].1.starts_with("is not a whole parquet file: "), "{}", found[2].1);
    let odd: Vec<&str> = found[3..]
        .iter()
        .map(|(file, message)| {
            assert_eq!(file, "odd.parquet");
            message.as_str()
        })
        .collect();
    assert_eq!(
        odd,
        [
            "has column `ts` as int64, which does not convert to timestamp exactly: write it as timestamp, or declare another type",
            "has `User` where `user` is expected: names are case-sensitive",
            "has no column `amount`; did you mean `amunt`?",
            "has column `n` as float64, which does not convert to int64 exactly: write it as int64, or declare another type",
        ]
    );
    let message = FileError::Unusable(problems).to_string();
    assert_eq!(message.matches(".parquet ").count(), 7, "{message}");
}

#[test]
fn a_compression_that_is_not_read_is_named_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    simple_parquet(&path, 0, 100);
    let mut bytes = fs::read(&path).unwrap();
    // Of the last row group, whose metadata come last: the path of column `n`, then its codec, from uncompressed to brotli.
    let codec = b"\x01n\x15\x00";
    let at = bytes.windows(codec.len()).rposition(|window| window == codec).unwrap();
    bytes[at + 3] = 8;
    fs::write(&path, bytes).unwrap();
    let Err(FileError::Unusable(problems)) = events(dir.path(), FileFormat::Parquet, ".") else { panic!("usable") };
    let message = "has column `n` compressed with brotli, which is not read: write it with zstd or snappy";
    assert_eq!(problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>(), [message]);
}

#[test]
fn damage_behind_a_good_footer_ends_the_reading_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    simple_parquet(&path, 0, 100);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4..400].fill(0xFF);
    fs::write(&path, bytes).unwrap();
    let mut files = events(dir.path(), FileFormat::Parquet, "x.parquet").unwrap();
    let error = files.next().unwrap().unwrap_err();
    assert!(matches!(error, FileError::Damaged { .. }), "{error}");
    assert!(files.next().is_none());
}

/// Wherever the damage is, it is said in a sentence, and not in the library's insides.
#[test]
fn damage_is_said_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    simple_parquet(&path, 0, 100);
    let whole = fs::read(&path).unwrap();
    let mut said = 0;
    for at in (4..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        let end = whole.len().min(at + 8);
        bytes[at..end].fill(0xFF);
        fs::write(&path, bytes).unwrap();
        let error = match events(dir.path(), FileFormat::Parquet, "x.parquet") {
            Err(error) => error,
            Ok(files) => match files.filter_map(Result::err).next() {
                Some(error) => error,
                None => continue,
            },
        };
        said += 1;
        let error = error.to_string();
        let inside = ["{", "}", "::", "(\"", "ErrorTrace"].into_iter().find(|mark| error.contains(mark));
        assert_eq!(inside, None, "{error}");
    }
    assert!(said > 20, "{said}");
}

#[test]
fn csv_rows_follow_the_header_and_bad_ones_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let text = "\u{feff}n,user,ts,note,amount\r\n\
        1,\"a, \"\"b\"\"\nc\",2026-03-01T12:00:00Z,x,1.5\n\
        ,u,1772366400000000,x,\n\
        3,u,2026-03-01 12:00:00,,-0\n\
        4,u,,x,1\n\
        5,,2026-03-01T12:00:00Z,x,1\n\
        6,u,2026-03-01T12:00:00Z,x\n\
        7,u,2026-03-01T12:00:00Z,x,inf\n\
        8.0,u,2026-03-01T12:00:00Z,x,1\n\
        9,u,2026-03-01T12:00:00Z,x,1e999\n\
        10,u,yesterday,x,1\n\
        11,u,2026-03-01T12:00:00Z,x,1e2\n";
    fs::write(dir.path().join("day.csv"), text).unwrap();
    let (batches, rejections) = read(events(dir.path(), FileFormat::Csv, "day.csv").unwrap());
    let batch = &batches[0].events.batch;
    assert_eq!(batch.column(1).as_string::<i32>().value(0), "a, \"b\"\nc");
    assert!(batch.column(3).is_null(1) && batch.column(2).is_null(1));
    let amounts = batch.column(2).as_primitive::<Float64Type>();
    assert_eq!((amounts.value(0), amounts.value(2).to_bits(), amounts.value(3)), (1.5, 0, 100.0));
    assert!(batch.column(0).as_primitive::<TimestampMicrosecondType>().values().iter().all(|at| *at == MICROS));
    let rows: Vec<u64> = batches[0].events.positions.iter().map(|p| position::split_history(*p).1).collect();
    assert_eq!(rows, [0, 1, 2, 10]);
    assert_eq!(
        texts(&rejections),
        [
            "day.csv, line 6: `ts` is missing or null: every event needs its event time [EV-TIME]",
            "day.csv, line 7: `user` is missing or null: every event needs its keys [EV-KEY]",
            "day.csv, line 8: the row has 4 fields, the header has 5 [EV-DECODE]",
            "day.csv, line 9: `amount` is inf: events hold finite numbers only [EV-RANGE]",
            "day.csv, line 10: `n` must be an int64 number, found 8.0 [EV-TYPE]",
            "day.csv, line 11: `amount` is 1e999, which does not fit float64 [EV-RANGE]",
            "day.csv, line 12: `ts` is \"yesterday\", not an instant such as 2026-01-31T12:00:00Z [EV-TIME]",
        ]
    );
    assert_eq!(rejections[2].payload_excerpt, "6,u,2026-03-01T12:00:00Z,x");
    let mut files = events(dir.path(), FileFormat::Csv, "day.csv").unwrap();
    files.seek(0, 3);
    let (batches, rejections) = read(files);
    assert_eq!((numbers(&batches), rejections.len()), (vec![11], 7));
    assert_eq!(batches[0].next, (0, 11));
}

#[test]
fn csv_headers_are_checked_and_an_open_quote_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.csv"), "").unwrap();
    fs::write(dir.path().join("b.csv"), "ts,user,user,Amount,n\n").unwrap();
    let Err(error) = events(dir.path(), FileFormat::Csv, ".") else { panic!("usable") };
    let message = error.to_string().replace(&format!("{}/./", dir.path().display()), "");
    assert_eq!(
        message,
        "a.csv is empty: its first row must name the columns; b.csv has more than one column `user`; \
         b.csv has `Amount` where `amount` is expected: names are case-sensitive"
    );
    let open = format!("ts,user,amount,n\n{MICROS},\"{}", "x".repeat(9 << 20));
    fs::write(dir.path().join("c.csv"), open).unwrap();
    let error = events(dir.path(), FileFormat::Csv, "c.csv").unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().ends_with("no row ends within 8 MiB: a quote is probably never closed"), "{error}");
}

#[test]
fn ndjson_lines_follow_the_rules_of_json_records() {
    let dir = tempfile::tempdir().unwrap();
    let good = |n: i64| format!("{{\"ts\":\"1999-03-01T12:00:00Z\",\"user\":\"u\",\"n\":{n}}}");
    let text =
        format!("{}\n\n{}\r\n{{\"ts\":\n{{\"user\":\"u\"}}\n{}\n{}", good(0), good(1), "x".repeat(2 << 20), good(4));
    fs::write(dir.path().join("day.jsonl"), text).unwrap();
    let (batches, rejections) = read(events(dir.path(), FileFormat::Ndjson, ".").unwrap());
    assert_eq!(numbers(&batches), [0, 1, 4]);
    let rows: Vec<u64> = batches[0].events.positions.iter().map(|p| position::split_history(*p).1).collect();
    assert_eq!(rows, [0, 1, 5]);
    assert_eq!(
        texts(&rejections),
        [
            "day.jsonl, line 4: the record is not JSON: the text breaks off; send all of it (at byte 5) [EV-DECODE]",
            "day.jsonl, line 5: `ts` is missing or null: every event needs its event time [EV-TIME]",
            "day.jsonl, line 6: the record has 2097152 bytes: at most 1048576 are read [EV-SIZE]",
        ]
    );
    let mut files = events(dir.path(), FileFormat::Ndjson, ".").unwrap();
    files.seek(0, 2);
    let (batches, rejections) = read(files);
    assert_eq!((numbers(&batches), rejections.len()), (vec![4], 3));
}

#[test]
fn paths_that_hold_nothing_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let files = |path: &str| list(&Files { format: FileFormat::Ndjson, path: path.into() }, dir.path());
    assert!(matches!(files("missing"), Err(FileError::Missing(path)) if path.ends_with("missing")));
    fs::write(dir.path().join("a.csv"), "").unwrap();
    let error = files(".").unwrap_err().to_string();
    assert!(error.ends_with("ends in .ndjson: correct the path, or the format"), "{error}");
    let mut without = source(FileFormat::Csv, "a.csv");
    without.history = None;
    assert!(matches!(EventFiles::open(&without, dir.path()), Err(FileError::NoHistory(name)) if name == "events"));
}

/// Whoever opens a pipe waits for the other end.
#[test]
fn what_is_no_regular_file_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    for (format, name) in
        [(FileFormat::Csv, "x.csv"), (FileFormat::Ndjson, "x.ndjson"), (FileFormat::Parquet, "x.parquet")]
    {
        let pipe = folder.join(name);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in ["folder", &format!("folder/{name}")] {
            let error = list(&Files { format, path: path.into() }, dir.path()).unwrap_err().to_string();
            assert!(
                error.ends_with(&format!("{name} is not a regular file: name a file, or a folder of files")),
                "{error}"
            );
        }
        let opened = match format {
            FileFormat::Parquet => read_parquet(&pipe).map(|_| ()),
            _ => sniff(&pipe, format).map(|_| ()),
        };
        assert!(matches!(opened, Err(FileError::NotRegular(_))));
    }
}

#[test]
fn columns_of_nothing_but_nulls_and_of_half_floats_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let half =
        cast(&Float32Array::from(vec![Some(1.5), None, Some(0.1)]), &arrow::datatypes::DataType::Float16).unwrap();
    write_parquet(
        &dir.path().join("x.parquet"),
        10,
        vec![
            ("ts", Arc::new(TimestampMicrosecondArray::from(vec![MICROS; 3]))),
            ("user", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
            ("amount", half),
            ("n", Arc::new(NullArray::new(3))),
        ],
    );
    let (batches, rejections) = read(events(dir.path(), FileFormat::Parquet, "x.parquet").unwrap());
    assert_eq!(texts(&rejections), Vec::<String>::new());
    let batch = &batches[0].events.batch;
    let amounts: Vec<Option<f64>> = batch.column(2).as_primitive::<Float64Type>().iter().collect();
    // The nearest half to 0.1, and no other number.
    assert_eq!(amounts, [Some(1.5), None, Some(0.099_975_585_937_5)]);
    assert_eq!(batch.column(3).as_primitive::<Int64Type>().null_count(), 3);
    // An event without its time or its key is no event.
    write_parquet(
        &dir.path().join("x.parquet"),
        10,
        vec![
            ("ts", Arc::new(NullArray::new(1))),
            ("user", Arc::new(NullArray::new(1))),
            ("amount", Arc::new(NullArray::new(1))),
            ("n", Arc::new(NullArray::new(1))),
        ],
    );
    let (_, rejections) = read(events(dir.path(), FileFormat::Parquet, "x.parquet").unwrap());
    assert_eq!(rejections.iter().map(|r| r.code).collect::<Vec<_>>(), [Code::Time]);
}

#[test]
fn utf_16_is_said_once_and_its_names_are_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.csv");
    let text = "ts,user,amount,n\n2026-03-01T12:00:00Z,a,1,1\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [[&[0xff, 0xfe][..], &little].concat(), [&[0xfe, 0xff][..], &big].concat(), little.clone()] {
        fs::write(&path, bytes).unwrap();
        for error in [
            events(dir.path(), FileFormat::Csv, "x.csv").map(|_| ()).unwrap_err(),
            sniff(&path, FileFormat::Csv).map(|_| ()).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.ends_with("x.csv is not UTF-8, but probably UTF-16: save it as UTF-8"), "{error}");
        }
    }
}

#[test]
fn links_out_of_the_folder_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("inside");
    fs::create_dir(&folder).unwrap();
    fs::write(dir.path().join("secret.csv"), "a\n1\n").unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret.csv"), folder.join("x.csv")).unwrap();
    let error = list(&Files { format: FileFormat::Csv, path: "inside".into() }, dir.path()).unwrap_err();
    assert!(matches!(error, FileError::OutsideFolder(path) if path.ends_with("inside/x.csv")));
}

#[test]
fn tables_are_read_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("merchants.csv"), "id,city,limit\n1,Bern,\n2,,5\n").unwrap();
    let files = Files { format: FileFormat::Csv, path: "merchants.csv".into() };
    let wanted = columns(&[("city", DataType::String), ("id", DataType::Int64)]);
    let batches = read_table(&files, &wanted, dir.path()).unwrap();
    assert_eq!((batches.len(), batches[0].num_rows()), (1, 2));
    assert!(batches[0].column(0).is_null(1));
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().values().to_vec(), [1, 2]);
    let wrong = columns(&[("id", DataType::Bool)]);
    let error = read_table(&files, &wrong, dir.path()).unwrap_err().to_string();
    assert_eq!(error, "merchants.csv, line 2: `id` must be true or false, found `1` [EV-TYPE]");
    fs::write(dir.path().join("merchants.csv"), "id,city,limit\n").unwrap();
    assert!(read_table(&files, &wanted, dir.path()).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damaged_file_panics(at in 0usize..4000, byte in any::<u8>(), cut in 0usize..4000) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        simple_parquet(&path, 0, 20);
        let mut bytes = fs::read(&path).unwrap();
        let length = bytes.len();
        bytes[at % length] = byte;
        // Half of the cases keep the whole length, footer included.
        if cut % 2 == 0 {
            bytes.truncate(length - cut % length);
        }
        fs::write(&path, &bytes).unwrap();
        fs::write(dir.path().join("x.csv"), &bytes).unwrap();
        fs::write(dir.path().join("x.ndjson"), &bytes).unwrap();
        for (format, name) in [
            (FileFormat::Parquet, "x.parquet"), (FileFormat::Csv, "x.csv"), (FileFormat::Ndjson, "x.ndjson"),
        ] {
            if let Ok(files) = events(dir.path(), format, name) {
                for batch in files {
                    let _ = batch.map(|batch| batch.events.len());
                }
            }
        }
    }
}
