//! The embedded log: what was acknowledged is there, once, in order, after whatever happened.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use freshet_config::time::EventTime;
use freshet_connectors::log::{Log, LogError, LogOptions, LogReader, LogRecord};

const T: EventTime = EventTime::from_micros(1_000);

fn small(dir: &Path) -> Log {
    Log::open_with(dir, LogOptions { segment_bytes: 200 }).unwrap()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
    paths.sort();
    paths
}

fn payloads(from: u64, to: u64) -> Vec<String> {
    (from..to).map(|number| format!("record {number}")).collect()
}

fn all(reader: &mut LogReader) -> Vec<LogRecord> {
    let mut records = Vec::new();
    loop {
        let some = reader.poll(3).unwrap();
        assert!(some.len() <= 3);
        if some.is_empty() {
            return records;
        }
        records.extend(some);
    }
}

fn assert_holds(log: &Log, from: u64, to: u64) {
    let records = all(&mut log.reader(from).unwrap());
    let expected: Vec<(u64, String)> = (from..to).zip(payloads(from, to)).collect();
    let found: Vec<(u64, String)> =
        records.iter().map(|r| (r.offset, String::from_utf8(r.payload.clone()).unwrap())).collect();
    assert_eq!(found, expected);
    assert!(records.iter().all(|record| record.record_time == T));
}

#[test]
fn records_survive_reopening_and_segments_roll() {
    let dir = tempfile::tempdir().unwrap();
    let log = small(dir.path());
    assert_eq!((log.first_offset(), log.end_offset()), (0, 0));
    for number in 0..30 {
        assert_eq!(log.append(&payloads(number, number + 1), T).unwrap(), number);
    }
    assert_eq!(log.append(&payloads(30, 50), T).unwrap(), 30);
    assert!(segments(dir.path()).len() > 3);
    assert_holds(&log, 0, 50);
    drop(log);
    let log = small(dir.path());
    assert_eq!(log.torn_tail(), None);
    assert_eq!(log.end_offset(), 50);
    assert_eq!(log.append(&payloads(50, 55), T).unwrap(), 50);
    assert_eq!(log.append(&Vec::<String>::new(), T).unwrap(), 55);
    for from in [0, 1, 7, 29, 30, 49, 50, 54, 55] {
        assert_holds(&log, from, 55);
    }
}

#[test]
fn readers_start_only_where_the_log_has_been() {
    let dir = tempfile::tempdir().unwrap();
    let log = small(dir.path());
    log.append(&payloads(0, 2), T).unwrap();
    let error = log.reader(3).unwrap_err().to_string();
    assert!(error.ends_with("has no record 3: it holds records 0 to 2, the last one excluded"), "{error}");
}

#[test]
fn a_torn_end_is_cut_off_wherever_the_crash_fell() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path()).append(&payloads(0, 3), T).unwrap();
    let path = segments(dir.path()).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    let second = whole.len() - 2 * (16 + 8);
    for length in second + 1..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let log = small(dir.path());
        let kept = if length < second + 24 { 1 } else { 2 };
        match log.torn_tail() {
            Some(torn) => {
                assert_eq!((torn.offset, torn.bytes as usize), (kept, length - (second + (kept as usize - 1) * 24)))
            }
            None => assert_eq!(length, second + 24),
        }
        assert_holds(&log, 0, kept);
        assert_eq!(log.append(&payloads(kept, 4), T).unwrap(), kept);
        assert_holds(&log, 0, 4);
    }
    // A file system may leave zeros where the unfinished write should stand.
    fs::write(&path, [&whole[..], &[0; 100]].concat()).unwrap();
    let log = small(dir.path());
    assert_eq!(log.torn_tail().unwrap().bytes, 100);
    assert_holds(&log, 0, 3);
}

#[test]
fn a_segment_whose_creation_was_interrupted_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path()).append(&payloads(0, 3), T).unwrap();
    for left in [&b""[..], b"FRES"] {
        fs::write(dir.path().join("00000000000000000003.log"), left).unwrap();
        let log = small(dir.path());
        assert_holds(&log, 0, 3);
        assert_eq!(log.end_offset(), 3);
    }
    let log = small(dir.path());
    assert_eq!(log.append(&payloads(3, 4), T).unwrap(), 3);
    assert_holds(&log, 0, 4);
}

#[test]
fn damage_among_acknowledged_records_is_an_error_not_a_cut() {
    let dir = tempfile::tempdir().unwrap();
    Log::open(dir.path()).unwrap().append(&payloads(0, 5), T).unwrap();
    let path = segments(dir.path()).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    // Every byte of the second record: length, checksum, time and payload.
    for at in 32..56 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        let error = Log::open(dir.path()).unwrap_err();
        assert!(matches!(error, LogError::Damaged { at: 32, offset: 1, .. }), "byte {at}: {error}");
        assert_eq!(fs::read(&path).unwrap(), damaged, "nothing is cut");
    }
    fs::write(&path, b"something else").unwrap();
    assert!(matches!(Log::open(dir.path()), Err(LogError::Foreign { .. })));
}

#[test]
fn damage_in_an_older_segment_is_found_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = small(dir.path());
    for number in 0..20 {
        log.append(&payloads(number, number + 1), T).unwrap();
    }
    drop(log);
    let first = &segments(dir.path())[0];
    OpenOptions::new().write(true).open(first).unwrap().write_at(b"X", 60).unwrap();
    let log = small(dir.path());
    let mut reader = log.reader(0).unwrap();
    assert_eq!(reader.poll(2).unwrap().len(), 2);
    let error = reader.poll(2).unwrap_err();
    assert!(matches!(error, LogError::Damaged { offset: 2, .. }), "{error}");
    assert!(error.to_string().ends_with("where record 2 should stand: restore the segment from a copy"), "{error}");
}

#[test]
fn one_process_owns_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    let error = Log::open(dir.path()).unwrap_err();
    assert!(error.is_locked());
    assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())), "{error}");
    drop(log);
    Log::open(dir.path()).unwrap();
}

#[test]
fn a_record_too_large_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path()).unwrap();
    let error = log.append(&[vec![1; 3], vec![2; (1 << 20) + 1]], T).unwrap_err();
    assert_eq!(error.to_string(), "a record of 1048577 bytes is too large for the log: at most 1048576 fit");
    assert_eq!(log.end_offset(), 0);
    log.append(&[vec![2; 1 << 20]], T).unwrap();
    assert_eq!(log.reader(0).unwrap().poll(9).unwrap()[0].payload.len(), 1 << 20);
}

#[test]
fn after_a_failed_write_nothing_more_is_taken_and_what_was_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (inside, aside) = (dir.path().join("log"), dir.path().join("aside"));
    let log = small(&inside);
    log.append(&payloads(0, 8), T).unwrap();
    fs::rename(&inside, &aside).unwrap();
    // This one needs a new segment, whose folder is gone.
    let error = log.append(&payloads(8, 9), T).unwrap_err();
    assert!(matches!(error, LogError::Io { .. }), "{error}");
    let error = log.append(&payloads(8, 9), T).unwrap_err();
    assert!(error.to_string().contains("took no more records after a failed write"), "{error}");
    assert_eq!(log.end_offset(), 8);
    drop(log);
    let log = small(&aside);
    assert_holds(&log, 0, 8);
    assert_eq!(log.append(&payloads(8, 9), T).unwrap(), 8);
}

#[test]
fn concurrent_appends_keep_their_order_and_a_tailing_reader_sees_each_once() {
    const THREADS: u64 = 8;
    const EACH: u64 = 40;
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open_with(dir.path(), LogOptions { segment_bytes: 2_000 }).unwrap();
    let mut reader = log.reader(0).unwrap();
    let (offsets, seen) = std::thread::scope(|scope| {
        let tail = scope.spawn(move || {
            let mut seen = Vec::new();
            while (seen.len() as u64) < THREADS * EACH * 2 {
                assert!(reader.wait(Duration::from_secs(60)), "no records came");
                seen.extend(reader.poll(7).unwrap());
            }
            assert!(!reader.wait(Duration::ZERO));
            seen
        });
        let appenders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let log = log.clone();
                scope.spawn(move || {
                    (0..EACH)
                        .map(|n| {
                            (log.append(&[format!("{thread}/{n}/a"), format!("{thread}/{n}/b")], T).unwrap(), thread, n)
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let offsets: Vec<_> = appenders.into_iter().flat_map(|a| a.join().unwrap()).collect();
        (offsets, tail.join().unwrap())
    });
    assert!(seen.iter().enumerate().all(|(index, record)| record.offset == index as u64));
    for (offset, thread, n) in offsets {
        assert_eq!(seen[offset as usize].payload, format!("{thread}/{n}/a").into_bytes());
        assert_eq!(seen[offset as usize + 1].payload, format!("{thread}/{n}/b").into_bytes());
    }
    drop(log);
    assert_eq!(all(&mut Log::open(dir.path()).unwrap().reader(0).unwrap()), seen);
}
