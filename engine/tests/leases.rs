//! Rows of keys that fell silent while others go on: they answer at every instant, whatever the clock did meanwhile.

mod running;

use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_operators::row::Status;
use running::{Running, SECOND, START, plan, start};

const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// The key that goes on; all others fall silent.
const BUSY: i64 = 1;
/// Keys and how many events they have, of which more than 32 make a key dense.
const SILENT: [(i64, i64); 9] = [(3, 100), (4, 31), (5, 32), (6, 33), (7, 34), (8, 65), (9, 16), (10, 17), (11, 400)];

fn definitions(mode: &str, windows: &str) -> String {
    format!(
        "
sources:
  - {{name: txn, stream: {{log: {{}}}}, schema: {{id: int64, ts: timestamp}}, event_time: ts}}
entities:
  - {{name: card, keys: {{id: int64}}}}
views:
  - name: card_txn
    source: txn
    entity: card
    mode: {mode}
    aggregates: [{{name: n, fn: count, windows: {windows}}}]
services:
  - {{name: s, features: [card_txn]}}
"
    )
}

/// A window as the test counts it: size and offset.
type Span = (i64, i64);

struct Case {
    mode: &'static str,
    /// The tile of the mode; 0: none.
    tile: i64,
    written: &'static str,
    windows: &'static [Span],
}

const CASES: [Case; 5] = [
    Case { mode: "continuous", tile: 0, written: "[1h]", windows: &[(HOUR, 0)] },
    Case {
        mode: "continuous",
        tile: 0,
        written: "[10m, 1h, 3h]",
        windows: &[(10 * MINUTE, 0), (HOUR, 0), (3 * HOUR, 0)],
    },
    Case {
        mode: "continuous",
        tile: 0,
        written: "[1h, {size: 30m, offset: -1h}]",
        windows: &[(HOUR, 0), (30 * MINUTE, -HOUR)],
    },
    Case { mode: "{interval: 5m}", tile: 5 * MINUTE, written: "[1h]", windows: &[(HOUR, 0)] },
    Case { mode: "{interval: 5m}", tile: 5 * MINUTE, written: "[5m, 3h]", windows: &[(5 * MINUTE, 0), (3 * HOUR, 0)] },
];

struct Feed<'c> {
    case: &'c Case,
    running: Running,
    sent: Vec<(i64, i64)>,
}

impl Feed<'_> {
    /// Sends events in one epoch and checks every key at its instant, and between it and the next.
    fn send(&mut self, events: &[(i64, i64)]) {
        let line = |(key, at): &(i64, i64)| format!(r#"{{"id":{key},"ts":{at}}}"#);
        self.running.push("txn", &events.iter().map(line).collect::<Vec<_>>(), 1000);
        self.sent.extend(events);
        self.running.settle();
        let now = self.running.now().micros();
        self.check(now);
    }

    fn check(&self, at: i64) {
        for key in SILENT.iter().map(|(key, _)| *key).chain([BUSY]) {
            let read = self.running.read(0, &[Value::Int64(key)], EventTime::from_micros(at));
            let expected: Vec<i64> = self.case.windows.iter().map(|window| self.counted(key, *window, at)).collect();
            let found: Vec<Value> = read.iter().map(|feature| feature.value.clone()).collect();
            let said: Vec<Status> = read.iter().map(|feature| feature.status).collect();
            let hours = (at - START) as f64 / HOUR as f64;
            let Case { mode, written, .. } = self.case;
            assert_eq!(
                found,
                expected.iter().map(|n| Value::Int64(*n)).collect::<Vec<_>>(),
                "key {key} after {hours} h, {mode} {written}: {said:?}"
            );
            for (n, status) in expected.iter().zip(said) {
                let right = if *n > 0 { status == Status::Present } else { status == Status::MissingData };
                assert!(right, "key {key} after {hours} h, {mode} {written}: {n} is {status:?}");
            }
        }
    }

    fn counted(&self, key: i64, (size, offset): Span, at: i64) -> i64 {
        let tile = self.case.tile;
        let inside = |time: i64| match tile {
            0 => time > at - size + offset && time <= at + offset,
            _ => {
                let reference = at.div_euclid(tile) * tile;
                time >= reference - size + offset && time < reference + offset
            }
        };
        self.sent.iter().filter(|(of, time)| *of == key && inside(*time)).count() as i64
    }
}

/// One event, another, sixty a second apart; bursts of other keys; then only the first key, once a minute, until all others are forgotten.
fn follow(case: &Case, leap: i64, workers: usize) {
    let directory = tempfile::tempdir().unwrap();
    let plan = plan(&definitions(case.mode, case.written), directory.path());
    let mut feed = Feed { case, running: start(directory.path(), &plan, workers), sent: Vec::new() };
    feed.send(&[(BUSY, START)]);
    feed.send(&[(BUSY, START + 10 * SECOND)]);
    for i in 0..60 {
        feed.send(&[(BUSY, START + (11 + i) * SECOND)]);
    }
    let bursts = START + 71 * SECOND;
    for part in 0..4 {
        let mut events: Vec<(i64, i64)> = Vec::new();
        for (key, count) in SILENT {
            let of_part = (part * count / 4)..((part + 1) * count / 4);
            events.extend(of_part.map(|i| (key, bursts + i * 100 * SECOND / count)));
        }
        events.sort_by_key(|(_, at)| *at);
        feed.send(&events);
    }
    let from = bursts + 100 * SECOND + leap;
    // Until nothing of the bursts is left in any window.
    let reach = case.windows.iter().map(|(size, offset)| size - offset).max().unwrap_or(0);
    for minute in 0..reach / MINUTE + 10 {
        // Rows hold until the next close, if the clock goes on as it did.
        if minute > 2 {
            for part in 1..4 {
                feed.check(feed.running.now().micros() + part * MINUTE / 4);
            }
        }
        feed.send(&[(BUSY, from + minute * MINUTE)]);
    }
    feed.running.stop();
}

#[test]
fn silent_keys_are_counted_down_to_nothing() {
    for (i, case) in CASES.iter().enumerate() {
        follow(case, 0, 1 + i % 2);
    }
}

#[test]
fn silent_keys_are_right_after_the_clock_leapt() {
    for (i, leap) in [10 * MINUTE, 40 * MINUTE, 2 * HOUR, 72 * HOUR].into_iter().enumerate() {
        for case in &CASES {
            follow(case, leap, 1 + i % 2);
        }
    }
}

/// The clock leaps again and again, and keys become dense in between.
#[test]
fn leaps_that_follow_each_other_leave_no_key_behind() {
    for case in &CASES {
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(&definitions(case.mode, case.written), directory.path());
        let mut feed = Feed { case, running: start(directory.path(), &plan, 2), sent: Vec::new() };
        let mut at = START;
        for (round, leap) in [SECOND, 72 * HOUR, 10 * MINUTE, 2 * HOUR, 3 * SECOND, 40 * MINUTE].into_iter().enumerate()
        {
            at += leap;
            feed.running.engine.clock().advance(EventTime::from_micros(at));
            feed.running.settle();
            feed.check(at);
            let (key, count) = SILENT[round];
            let burst: Vec<(i64, i64)> = (0..count).map(|i| (key, at + i * SECOND / 2)).collect();
            at += count * SECOND / 2;
            feed.send(&burst);
            for _ in 0..30 {
                at += 90 * SECOND;
                feed.send(&[(BUSY, at)]);
            }
        }
        feed.running.stop();
    }
}
