//! Window state against the naive evaluation: any view, any history, any cut into batches and epochs.

mod cases;
mod drive;
mod plans;

use std::collections::HashMap;

use cases::{Case, Event, case, steady_case};
use drive::{Known, Picks, Rows, check, epoch, key_bytes, over_value_limit, store};
use freshet_config::time::EventTime;
use freshet_operators::row::{Reader, describe};
use proptest::prelude::*;

/// `PROPTEST_CASES` asks for more.
fn cases_or(cases: u32) -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    ProptestConfig { cases: if asked { default.cases } else { cases }, ..default }
}

fn events_of(case: &Case) -> HashMap<u64, Event> {
    let mut known = Known::default();
    case.epochs.iter().for_each(|e| known.take(&e.changes));
    known.events
}

/// Every row, after every epoch, at many instants; the newest row of a key covers the clock.
fn follow(case: &Case) {
    let all = events_of(case);
    let (mut store, mut known, mut newest) = (store(case), Known::default(), Rows::new());
    let mut reader = Reader::new(&case.plan);
    let mut picks = Picks(case.seed);
    let (mut clock, mut reached) = (case.start, 0);
    for (i, e) in case.epochs.iter().enumerate() {
        // Leases were made for twice the last step, up to half an hour each.
        let promised = e.at <= reached;
        if promised {
            for row in newest.values() {
                let until = describe(&case.plan, row).unwrap().until;
                assert!(until.is_none_or(|until| until.micros() >= e.at), "a row of the store ran out before {}", e.at);
            }
        }
        known.take(&e.changes);
        newest.extend(epoch(&mut store, case, &all, i, &e.changes));
        reached = e.at + 2 * (e.at - clock).min(case.tuning.longest_lease_us);
        clock = e.at;
        for key in 0..5 {
            let row = newest.get(&key_bytes(key, case.heap_keys));
            check(&case.plan, &mut reader, &known, key, row.map(Vec::as_slice), clock, &mut picks);
        }
        assert_eq!(store.stats().keys_over_value_limit, over_value_limit(&case.plan, &newest, clock));
    }
}

proptest! {
    #![proptest_config(cases_or(300))]

    #[test]
    fn rows_say_what_the_events_say(case in case(12, false)) {
        follow(&case);
    }

    #[test]
    fn taken_back_events_never_were(case in case(14, true)) {
        follow(&case);
    }

    /// The order within an epoch, and how it is cut into batches, leaves no trace in any byte.
    #[test]
    fn order_within_an_epoch_leaves_no_trace(case in case(60, true), shift in 0usize..50, batch in 1usize..9) {
        let all = events_of(&case);
        let mut other = case.clone();
        other.epochs.iter_mut().for_each(|e| e.batch = batch);
        let (mut first, mut second) = (store(&case), store(&other));
        for (i, e) in case.epochs.iter().enumerate() {
            let mut turned = e.changes.clone();
            let middle = shift.min(turned.len());
            turned.rotate_left(middle);
            turned[..].reverse();
            let rows = epoch(&mut first, &case, &all, i, &e.changes);
            let again = epoch(&mut second, &other, &all, i, &turned);
            prop_assert_eq!(rows, again);
        }
    }
}

proptest! {
    #![proptest_config(cases_or(60))]

    /// Enough events per epoch that keys become dense, and silence that makes them sparse again.
    #[test]
    fn dense_rows_say_what_the_events_say(case in case(90, false)) {
        follow(&case);
    }

    #[test]
    fn taken_back_events_of_dense_keys_never_were(case in case(110, true)) {
        follow(&case);
    }

    /// Long windows, long leases, many slices that leave before they end.
    #[test]
    fn rows_of_steady_streams_say_what_the_events_say(case in steady_case()) {
        follow(&case);
    }

    /// Events of one epoch may come in any later one: at the end the rows agree.
    #[test]
    fn late_by_epochs_is_late_by_nothing(case in case(60, false), seed in any::<u64>()) {
        let mut late = case.clone();
        let mut picks = Picks(seed);
        let last = case.epochs.len();
        late.epochs.iter_mut().for_each(|e| e.changes.clear());
        for (i, e) in case.epochs.iter().enumerate() {
            for change in &e.changes {
                late.epochs[i + picks.below(last - i)].changes.push(change.clone());
            }
        }
        follow(&late);
    }

    /// Whatever the bytes, reading answers or refuses.
    #[test]
    fn damaged_rows_never_panic(
        case in case(40, false),
        wounds in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..60),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        at in prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0i64)],
    ) {
        let all = events_of(&case);
        let mut store = store(&case);
        let mut reader = Reader::new(&case.plan);
        let mut read = |row: &[u8], at: i64| {
            let mut out = Vec::new();
            reader.read(&case.plan, Some(row), EventTime::from_micros(at), &mut out);
            let _ = describe(&case.plan, row).map(|coverage| coverage.to_string());
            assert_eq!(out.len(), case.plan.features.len());
        };
        read(&noise, at);
        for (i, e) in case.epochs.iter().enumerate() {
            for row in epoch(&mut store, &case, &all, i, &e.changes).into_values() {
                read(&row, at);
                let mut behind_head = row[..6].to_vec();
                behind_head.extend_from_slice(&noise);
                read(&behind_head, at);
                for (place, byte, how) in &wounds {
                    let mut bytes = row.clone();
                    let place = place.index(bytes.len());
                    match how {
                        0 => bytes[place] = *byte,
                        1 => bytes[place] = 0xff,
                        2 => bytes.truncate(place),
                        _ => bytes.insert(place, *byte),
                    }
                    read(&bytes, e.at);
                    read(&bytes, at);
                }
            }
        }
    }
}
