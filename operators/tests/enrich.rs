//! The enrichment join against a naive one, for any batching and any number of workers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use differential_dataflow::input::Input;
use freshet_operators::enrich::enrich;
use proptest::prelude::*;

type Event = (Vec<u8>, u32);
type Enriched = (u32, Option<String>);
/// Enriched events with the net count of each.
type Counts = BTreeMap<Enriched, isize>;

/// One change of an input.
#[derive(Clone, Debug)]
enum Change {
    Event(u8, u32, isize),
    Row(u8, &'static str, isize),
}
use Change::{Event as E, Row as R};

/// Runs the join; `epochs[e]` are the changes of epoch `e`, spread over the workers by their index. Gives what changed
/// in each epoch, consolidated.
fn run(workers: usize, epochs: &[Vec<Change>]) -> Vec<Counts> {
    let updates = Arc::new(Mutex::new(Vec::new()));
    let seen = updates.clone();
    let fed = epochs.to_vec();
    timely::execute(timely::Config::process(workers), move |worker| {
        let (mut events, mut dimension, probe) = worker.dataflow::<u64, _, _>(|scope| {
            let (events_in, events) = scope.new_collection::<Event, isize>();
            let (dimension_in, dimension) = scope.new_collection::<(Vec<u8>, String), isize>();
            let updates = updates.clone();
            let (probe, _) = enrich(events, dimension)
                .inspect(move |(enriched, epoch, diff)| updates.lock().unwrap().push((enriched.clone(), *epoch, *diff)))
                .probe();
            (events_in, dimension_in, probe)
        });
        for (epoch, changes) in fed.iter().enumerate() {
            for (index, change) in changes.iter().enumerate() {
                if index % worker.peers() != worker.index() {
                    continue;
                }
                match change {
                    E(key, event, diff) => events.update((vec![*key], *event), *diff),
                    R(key, row, diff) => dimension.update((vec![*key], row.to_string()), *diff),
                }
            }
            let next = epoch as u64 + 1;
            events.advance_to(next);
            dimension.advance_to(next);
            events.flush();
            dimension.flush();
            worker.step_while(|| probe.less_than(&next));
        }
    })
    .unwrap();
    let mut changed = vec![Counts::new(); epochs.len()];
    for (enriched, epoch, diff) in seen.lock().unwrap().drain(..) {
        *changed[epoch as usize].entry(enriched).or_default() += diff;
    }
    changed.iter_mut().for_each(|counts| counts.retain(|_, count| *count != 0));
    changed
}

/// The law, word by word: every event with the row its key has after all changes.
fn naive<'a>(changes: impl Iterator<Item = &'a Change>) -> Counts {
    let (mut events, mut rows) = (BTreeMap::new(), BTreeMap::new());
    for change in changes {
        match change {
            E(key, event, diff) => *events.entry((*key, *event)).or_insert(0) += diff,
            R(key, row, diff) => *rows.entry((*key, *row)).or_insert(0) += diff,
        }
    }
    let current =
        |key: u8| rows.iter().find(|((of, _), count)| *of == key && **count > 0).map(|((_, row), _)| row.to_string());
    let mut counts = Counts::new();
    for ((key, event), count) in &events {
        *counts.entry((*event, current(*key))).or_default() += count;
    }
    counts.retain(|_, count| *count != 0);
    counts
}

fn counts(list: &[(u32, Option<&str>, isize)]) -> Counts {
    list.iter().map(|(event, row, count)| ((*event, row.map(str::to_string)), *count)).collect()
}

#[test]
fn a_changed_row_retracts_and_adds_every_retained_event() {
    let epochs = [
        vec![R(1, "gold", 1), E(1, 10, 1), E(1, 11, 1), E(2, 20, 1)],
        vec![R(1, "gold", -1), R(1, "silver", 1)],
        // 10 has expired: it leaves with the row it had, and is not seen again.
        vec![E(1, 10, -1)],
        vec![R(1, "silver", -1), R(1, "lead", 1)],
    ];
    let changed = run(1, &epochs);
    assert_eq!(changed[0], counts(&[(10, Some("gold"), 1), (11, Some("gold"), 1), (20, None, 1)]));
    assert_eq!(
        changed[1],
        counts(&[(10, Some("gold"), -1), (11, Some("gold"), -1), (10, Some("silver"), 1), (11, Some("silver"), 1)])
    );
    assert_eq!(changed[2], counts(&[(10, Some("silver"), -1)]));
    assert_eq!(changed[3], counts(&[(11, Some("silver"), -1), (11, Some("lead"), 1)]));
}

#[test]
fn a_row_that_comes_or_goes_replaces_nulls() {
    let epochs = [
        vec![E(1, 10, 1)],
        vec![R(1, "gold", 1)],
        vec![R(1, "gold", -1)],
        vec![R(1, "gold", 1), R(1, "gold", -1)],
        vec![E(1, 10, -1)],
        vec![R(1, "gold", 1)],
        vec![E(1, 12, 1)],
    ];
    let changed = run(1, &epochs);
    assert_eq!(changed[0], counts(&[(10, None, 1)]));
    assert_eq!(changed[1], counts(&[(10, None, -1), (10, Some("gold"), 1)]));
    assert_eq!(changed[2], counts(&[(10, Some("gold"), -1), (10, None, 1)]));
    assert_eq!(changed[3], counts(&[]));
    assert_eq!(changed[4], counts(&[(10, None, -1)]));
    assert_eq!(changed[5], counts(&[]));
    assert_eq!(changed[6], counts(&[(12, Some("gold"), 1)]));
}

#[test]
fn a_late_event_gets_the_current_row() {
    let epochs = [vec![R(1, "gold", 1)], vec![R(1, "gold", -1), R(1, "silver", 1)], vec![E(1, 10, 1)]];
    let changed = run(1, &epochs);
    assert_eq!(changed[2], counts(&[(10, Some("silver"), 1)]));
}

/// Histories in which every retraction meets what it retracts, cut into epochs anywhere.
fn histories() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let step = (0..3u8, 0..5u8, 0..6u32, any::<bool>());
    prop::collection::vec(step, 0..40).prop_map(|steps| {
        let (mut rows, mut events) = (BTreeMap::<u8, &'static str>::new(), BTreeSet::new());
        let mut epochs = vec![vec![]];
        for (kind, key, number, cut) in steps {
            if cut {
                epochs.push(vec![]);
            }
            let last = epochs.len() - 1;
            let changes = &mut epochs[last];
            match kind {
                // Appears, or is retracted where it is already there.
                0 if events.insert((key, number)) => changes.push(E(key, number, 1)),
                0 => {
                    events.remove(&(key, number));
                    changes.push(E(key, number, -1));
                }
                // Set, or replaced.
                1 => {
                    let row = ["gold", "silver", "lead"][number as usize % 3];
                    if let Some(old) = rows.insert(key, row) {
                        changes.push(R(key, old, -1));
                    }
                    changes.push(R(key, row, 1));
                }
                _ => changes.extend(rows.remove(&key).map(|old| R(key, old, -1))),
            }
        }
        epochs
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn after_every_epoch_it_is_the_naive_join(epochs in histories()) {
        let one = run(1, &epochs);
        let mut total = Counts::new();
        for (epoch, changed) in one.iter().enumerate() {
            for (enriched, diff) in changed {
                *total.entry(enriched.clone()).or_default() += diff;
            }
            total.retain(|_, count| *count != 0);
            prop_assert_eq!(&total, &naive(epochs[..=epoch].iter().flatten()));
        }
        for workers in [2, 4] {
            prop_assert_eq!(&run(workers, &epochs), &one);
        }
        // All in one epoch: only the final dimension shows.
        let at_once = vec![epochs.concat()];
        prop_assert_eq!(&run(2, &at_once)[0], &total);
    }
}
