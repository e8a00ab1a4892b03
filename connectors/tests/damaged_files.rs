//! Files of the data directory that are not what was written: whatever the bytes, opening and reading gives what was
//! written, or refuses with a sentence; it does not panic.

use std::fs;
use std::path::{Path, PathBuf};

use freshet_config::definitions::Column;
use freshet_config::time::{Epoch, EventTime, Span};
use freshet_config::value::{DataType, Value};
use freshet_connectors::events::{Code, Rejection};
use freshet_connectors::last_epoch;
use freshet_connectors::ledger::Ledger;
use freshet_connectors::log::{Log, LogOptions};
use freshet_connectors::offline::{OfflineView, OfflineWriter, Roll};
use freshet_connectors::positions::{self, Positions, SourcePosition};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Clone, Debug)]
enum Wound {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    /// Four bytes in the place of what is there: lengths among them.
    Number(Index, u32),
}

fn wound() -> impl Strategy<Value = Wound> {
    let number = prop_oneof![Just(u32::MAX), Just(1 << 31), Just(1 << 20), 0u32..64, any::<u32>()];
    prop_oneof![
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Wound::Set(at, byte)),
        3 => (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Wound::Flip(at, 1 << bit)),
        1 => any::<Index>().prop_map(Wound::Cut),
        1 => (any::<Index>(), vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Wound::Insert(at, bytes)),
        2 => (any::<Index>(), number).prop_map(|(at, number)| Wound::Number(at, number)),
    ]
}

fn hurt(path: &Path, wounds: &[Wound]) {
    let mut bytes = fs::read(path).unwrap();
    for wound in wounds {
        if bytes.is_empty() {
            break;
        }
        match wound {
            Wound::Set(at, byte) => *at.get_mut(&mut bytes) = *byte,
            Wound::Flip(at, bit) => *at.get_mut(&mut bytes) ^= bit,
            Wound::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Wound::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Wound::Number(at, number) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + 4);
                bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
        }
    }
    fs::write(path, bytes).unwrap();
}

/// A refusal is one sentence that names the file.
fn assert_refusal(error: &impl ToString, dir: &Path) {
    let message = error.to_string();
    assert!(message.contains(&dir.display().to_string()) && !message.contains('\n'), "{message}");
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

const RECORDS: u64 = 24;

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
    paths.sort();
    paths
}

proptest! {
    #![proptest_config(cases(300))]

    /// No record is given out that was not written at its offset.
    #[test]
    fn a_damaged_log_gives_what_was_written_or_refuses(
        chosen in any::<Index>(),
        wounds in vec(wound(), 1..4),
        from in 0..RECORDS,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let payload = |offset: u64| format!("record {offset} of a log");
        let written: Vec<String> = (0..RECORDS).map(payload).collect();
        let log = Log::open_with(dir.path(), LogOptions { segment_bytes: 300 }).unwrap();
        for part in written.chunks(5) {
            log.append(part, EventTime::from_micros(7)).unwrap();
        }
        drop(log);
        let segments = segments(dir.path());
        hurt(&segments[chosen.index(segments.len())], &wounds);
        let log = match Log::open_with(dir.path(), LogOptions { segment_bytes: 300 }) {
            Ok(log) => log,
            Err(error) => {
 assert_refusal(&error, dir.path());
 return Ok(());
 }
        };
        prop_assert!(log.end_offset() <= RECORDS);
        let mut reader = match log.reader(from) {
            Ok(reader) => reader,
            Err(error) => {
 assert_refusal(&error, dir.path());
 return Ok(());
 }
        };
        loop {
            match reader.poll(3) {
                Ok(records) if records.is_empty() => break,
                Ok(records) => {
                    for record in records {
                        prop_assert_eq!(String::from_utf8(record.payload).unwrap(), payload(record.offset));
                    }
                }
                Err(error) => {
 assert_refusal(&error, dir.path());
 return Ok(());
 }
            }
        }
        // What was cut off is written anew.
        let next = log.append(&["more".to_string()], EventTime::from_micros(8)).unwrap();
        prop_assert_eq!(next + 1, log.end_offset());
    }

    #[test]
    fn a_damaged_ledger_counts_or_refuses(wounds in vec(wound(), 0..3), records in any::<u64>(), more in any::<u64>()) {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let rejection = Rejection {
            code: Code::Late,
            place: "offset 7".into(),
            message: "the event is late".into(),
            record_time: Some(EventTime::from_micros(3)),
            payload_excerpt: "{}".into(),
        };
        for number in [records, more, u64::MAX] {
            ledger.record("orders", &rejection).unwrap();
            ledger.count("orders", Code::Filtered, number).unwrap();
        }
        drop(ledger);
        hurt(&dir.path().join("orders.ndjson"), &wounds);
        match Ledger::open(dir.path()) {
            Ok(ledger) => {
                let _ = ledger.summary();
                if let Err(error) = ledger.read("orders", 5) {
                    assert_refusal(&error, dir.path());
                }
            }
            Err(error) => assert_refusal(&error, dir.path()),
        }
    }

    #[test]
    fn damaged_positions_and_epochs_are_read_or_refused(wounds in vec(wound(), 1..4), noise in vec(any::<u8>(), 0..80)) {
        let dir = tempfile::tempdir().unwrap();
        let (positions, epoch) = (dir.path().join("positions.json"), dir.path().join("epoch"));
        let written = Positions::from([
            ("a".to_string(), SourcePosition::Log { offset: u64::MAX }),
            ("b".to_string(), SourcePosition::Kafka { partitions: [(0, 5), (11, i64::MAX)].into(), topic_id: None }),
            ("b.history".to_string(), SourcePosition::Files { file: 3, row: 9 }),
        ]);
        positions::save(&positions, &written).unwrap();
        last_epoch::save(&epoch, Epoch::from_micros(1_767_225_600_000_000)).unwrap();
        for path in [&positions, &epoch] {
            hurt(path, &wounds);
        }
        for _ in 0..2 {
            if let Err(error) = positions::load(&positions) {
                prop_assert!(error.to_string().contains("positions.json"));
            }
            match last_epoch::load(&epoch) {
                Ok(epoch) => prop_assert!(epoch.micros() <= i64::MAX as u64),
                Err(error) => assert_refusal(&error, dir.path()),
            }
            for path in [&positions, &epoch] {
                fs::write(path, &noise).unwrap();
            }
        }
    }

    /// Names that others gave are no files of the writer's.
    #[test]
    fn offline_files_are_told_by_their_names(
        names in vec("[0-9]{0,21}-?[0-9]{0,21}(\\.parquet|\\.parquet\\.tmp|\\.superseded[0-9])?", 0..6),
    ) {
        let root = tempfile::tempdir().unwrap();
        let view = || OfflineView {
            name: "spend".to_string(),
            keys: vec![Column { name: "user".to_string(), data_type: DataType::Int64 }],
            features: vec![("n".to_string(), DataType::Int64.into())],
        };
        let roll = Roll { bytes: 1 << 20, span: Span::from_secs(600) };
        fs::create_dir(root.path().join("spend")).unwrap();
        for name in names.iter().filter(|name| !name.is_empty()) {
            fs::write(root.path().join("spend").join(name), b"not parquet").unwrap();
        }
        let mut writer = OfflineWriter::open(root.path(), view(), roll).unwrap();
        let last = writer.last_epoch();
        prop_assert!(last.micros() <= i64::MAX as u64);
        let now = EventTime::from_micros(1);
        writer.append(&[Value::Int64(1)], now, now, &[Value::Int64(2)]).unwrap();
        let next = Epoch::from_micros(last.micros() + 1);
        prop_assert!(writer.flush_through(next).unwrap().unwrap().exists());
        drop(writer);
        match OfflineWriter::resume(root.path(), view(), roll, Epoch::from_micros(last.micros() / 2)) {
            Ok((writer, _)) => prop_assert_eq!(writer.last_epoch().micros(), last.micros() / 2),
            Err(error) => assert_refusal(&error, root.path()),
        }
    }
}
