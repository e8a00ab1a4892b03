//! Rows that are not what was written: whatever the bytes, a reader answers or refuses, at any instant. It does not
//! panic, gives no value of another type, and takes no memory that the row's length does not justify.

#[path = "damaged_rows/corpus.rs"]
mod corpus;
mod running;
#[path = "damaged_rows/watched.rs"]
mod watched;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use corpus::{CATEGORIES, COMPLETE, CROWDED, DENSE, SPARSE, Stored, as_of, corpus, instants};
use freshet_config::definitions::PlanId;
use freshet_config::time::EventTime;
use freshet_engine::plan::Plan;
use freshet_operators::row::{self, Reader, Reason, RowError, Status, describe};
use freshet_operators::view::ViewPlan;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

#[global_allocator]
static ALLOCATOR: watched::Watched = watched::Watched;

fn rows() -> &'static (Arc<Plan>, Vec<Stored>) {
    static ROWS: OnceLock<(Arc<Plan>, Vec<Stored>)> = OnceLock::new();
    ROWS.get_or_init(|| corpus(tempfile::tempdir().unwrap().path()))
}

/// Reads a row as a server does; any bytes.
fn read(plan: &ViewPlan, reader: &mut Reader, bytes: &[u8], at: EventTime) {
    let (largest, out) = watched::largest(|| {
        let mut out = Vec::new();
        reader.read(plan, Some(bytes), at, &mut out);
        let _ = describe(plan, bytes);
        let _ = row::as_of(plan, bytes);
        out
    });
    assert_eq!(out.len(), plan.features.len());
    for (value, feature) in out.iter().zip(&plan.features) {
        assert!(value.value.is_null() || feature.data_type.fits(&value.value), "{} is {value:?}", feature.name);
        // As a page or a message shows it.
        let _ = value.value.to_string();
    }
    let justified = 64 * bytes.len() + (1 << 20);
    assert!(largest <= justified, "{largest} bytes at once for a row of {}", bytes.len());
}

fn read_everywhere(plan: &ViewPlan, bytes: &[u8]) {
    let mut reader = Reader::new(plan);
    instants(bytes).for_each(|at| read(plan, &mut reader, bytes, at));
}

#[test]
fn the_rows_are_of_every_kind_and_hold_every_summary() {
    let (plan, rows) = rows();
    let kinds = |view: &str| -> BTreeSet<u8> {
        let view = plan.definitions.views.iter().position(|v| v.name == view).unwrap_or_else(|| panic!("{view}"));
        rows.iter().filter(|row| row.view == view).map(Stored::kind).collect()
    };
    for view in plan.definitions.views.iter().filter(|view| view.group.is_none() && !view.attributes) {
        let expected: &[u8] = if view.name.ends_with("_long") { &[COMPLETE, DENSE] } else { &[SPARSE, DENSE] };
        assert!(kinds(&view.name).is_superset(&expected.iter().copied().collect()), "{}", view.name);
    }
    assert!(kinds("per_few@few").contains(&CATEGORIES));
    assert!(kinds("aligned").is_superset(&BTreeSet::from([CATEGORIES, CROWDED])));
    let summaries: BTreeSet<String> = plan
        .views
        .iter()
        .flat_map(|view| &view.summaries)
        .map(|summary| format!("{:?}", summary.kind).chars().take_while(|c| c.is_alphanumeric()).collect())
        .collect();
    let all = ["By", "Decay", "Latest", "List", "Ranks", "Registers", "Tally"];
    assert_eq!(summaries, all.map(str::to_string).into());
    // As written, they answer at the instant they were written for.
    for stored in rows {
        let view = &plan.views[stored.view];
        let (at, mut out) = (EventTime::from_micros(as_of(&stored.bytes)), Vec::new());
        Reader::new(view).read(view, Some(&stored.bytes), at, &mut out);
        assert!(out.iter().all(|value| value.status != Status::Stale), "{} of {}: {out:?}", view.name, stored.key);
    }
}

#[test]
fn rows_of_another_format_are_refused_with_a_sentence() {
    let (plan, rows) = rows();
    for stored in rows {
        let view = &plan.views[stored.view];
        let mut reader = Reader::new(view);
        let at = EventTime::from_micros(as_of(&stored.bytes));
        let written = stored.bytes[0];
        for version in [0, 1, written - 1, written + 1, 0xff] {
            let mut bytes = stored.bytes.clone();
            bytes[0] = version;
            let error = reader.try_read(view, &bytes, at).unwrap_err();
            assert_eq!(error, RowError::Version(version));
            assert_eq!((describe(view, &bytes).err(), row::as_of(view, &bytes).err()), (Some(error), Some(error)));
            assert_eq!(
                error.to_string(),
                format!(
                    "the row was written in format {version}, and this build reads format {written}; start the engine of \
                     this build, which writes every live row again"
                )
            );
            let mut out = Vec::new();
            reader.read(view, Some(&bytes), at, &mut out);
            assert!(
                out.iter().all(|value| value.status == Status::Error(Reason::Row(error)) && value.value.is_null()),
                "{out:?}"
            );
        }
        for kind in (0..=u8::MAX).filter(|kind| (*kind >= CATEGORIES) != view.categories.is_some() || *kind > CROWDED) {
            let mut bytes = stored.bytes.clone();
            bytes[1] = kind;
            assert_eq!(reader.try_read(view, &bytes, at).unwrap_err(), RowError::Damaged, "kind {kind}");
        }
        let other = ViewPlan { plan_id: PlanId(!view.plan_id.0), ..(**view).clone() };
        if other.layout_tag() != view.layout_tag() {
            assert_eq!(Reader::new(&other).try_read(&other, &stored.bytes, at).unwrap_err(), RowError::Layout);
        }
    }
}

/// Every beginning of every row.
#[test]
fn rows_that_end_too_early_are_refused() {
    let (plan, rows) = rows();
    for stored in rows {
        let view = &plan.views[stored.view];
        let mut reader = Reader::new(view);
        let at = EventTime::from_micros(as_of(&stored.bytes));
        let step = 1 + stored.bytes.len() / 400;
        for end in (0..stored.bytes.len()).step_by(step) {
            let bytes = &stored.bytes[..end];
            read(view, &mut reader, bytes, at);
            assert!(reader.try_read(view, bytes, at).is_err(), "{} cut at {end}", view.name);
        }
    }
}

#[derive(Clone, Debug)]
enum Wound {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// A number in the place of what is there: lengths and counts among them.
    Number(Index, u64),
    /// A part of another row.
    Graft(Index, Index, usize),
}

fn wound() -> impl Strategy<Value = Wound> {
    let numbers = prop_oneof![
        Just(u64::MAX),
        Just(u64::MAX >> 1),
        Just(u64::from(u32::MAX)),
        Just(1 << 32),
        Just(1 << 31),
        Just((1 << 40) + 1),
        0u64..300,
        any::<u64>(),
    ];
    prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Wound::Set(at, byte)),
        3 => (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Wound::Flip(at, 1 << bit)),
        1 => any::<Index>().prop_map(Wound::Cut),
        1 => (any::<Index>(), vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Wound::Insert(at, bytes)),
        1 => (any::<Index>(), 1usize..40).prop_map(|(at, length)| Wound::Remove(at, length)),
        4 => (any::<Index>(), numbers).prop_map(|(at, number)| Wound::Number(at, number)),
        1 => (any::<Index>(), any::<Index>(), 1usize..200).prop_map(|(at, of, length)| Wound::Graft(at, of, length)),
    ]
}

/// A number as rows hold it: a mark of its length, then the number, the least byte first.
fn number(value: u64) -> Vec<u8> {
    let length = (64 - (value | 1).leading_zeros()).div_ceil(7) as usize;
    match length {
        1..=8 => (value << length | 1 << (length - 1)).to_le_bytes()[..length].to_vec(),
        _ => [&[0][..], &value.to_le_bytes()].concat(),
    }
}

fn hurt(bytes: &mut Vec<u8>, wound: &Wound, other: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    match wound {
        Wound::Set(at, byte) => *at.get_mut(bytes) = *byte,
        Wound::Flip(at, bit) => *at.get_mut(bytes) ^= bit,
        Wound::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Wound::Insert(at, more) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, more.iter().copied());
        }
        Wound::Remove(at, length) => {
            let at = at.index(bytes.len());
            bytes.drain(at..bytes.len().min(at + length));
        }
        Wound::Number(at, value) => {
            let at = at.index(bytes.len());
            // The number that stands there, if one does, has as many bytes as its first says.
            let old = (bytes[at].trailing_zeros() as usize + 1).min(bytes.len() - at);
            bytes.splice(at..at + old, number(*value));
        }
        Wound::Graft(at, of, length) => {
            let (at, of) = (at.index(bytes.len()), of.index(other.len()));
            bytes.splice(at.., other[of..other.len().min(of + length)].iter().copied());
        }
    }
}

/// `PROPTEST_CASES` asks for more.
fn cases_or(cases: u32) -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    ProptestConfig { cases: if asked { default.cases } else { cases }, ..default }
}

proptest! {
    #![proptest_config(cases_or(4000))]

    #[test]
    fn damaged_rows_are_read_or_refused(
        chosen in any::<Index>(),
        other in any::<Index>(),
        wounds in vec((wound(), prop::bool::weighted(0.8)), 1..5),
    ) {
        let (plan, rows) = rows();
        let stored = chosen.get(rows);
        let mut bytes = stored.bytes.clone();
        for (wound, keep_head) in &wounds {
            // Mostly behind the head, or nothing but it is ever looked at.
            let head = if *keep_head { bytes.len().min(14) } else { 0 };
            let mut rest = bytes.split_off(head);
            hurt(&mut rest, wound, &other.get(rows).bytes);
            bytes.extend(rest);
        }
        read_everywhere(&plan.views[stored.view], &bytes);
    }

    /// Nothing but a head is right.
    #[test]
    fn noise_behind_a_head_is_read_or_refused(
        chosen in any::<Index>(),
        kind in 0u8..6,
        when in prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), Just(running::START), any::<i64>()],
        noise in prop_oneof![vec(any::<u8>(), 0..300), vec(prop_oneof![3 => 0u8..4, 1 => any::<u8>()], 0..300)],
        with_head in prop::bool::weighted(0.9),
    ) {
        let (plan, rows) = rows();
        let stored = chosen.get(rows);
        let mut bytes = noise;
        if with_head {
            let head = [&[stored.bytes[0], kind][..], &stored.bytes[2..6], &when.to_le_bytes()].concat();
            bytes.splice(0..0, head);
        }
        read_everywhere(&plan.views[stored.view], &bytes);
    }
}

#[test]
fn lengths_of_four_gigabytes_take_no_memory() {
    let (plan, rows) = rows();
    let mut places = 0;
    for stored in rows {
        let view = &plan.views[stored.view];
        let mut reader = Reader::new(view);
        let at = EventTime::from_micros(as_of(&stored.bytes));
        for place in (14..stored.bytes.len()).step_by(1 + stored.bytes.len() / 150) {
            for value in [1 << 32, u64::from(u32::MAX), u64::MAX] {
                let mut bytes = stored.bytes[..place].to_vec();
                bytes.extend(number(value));
                bytes.extend(&stored.bytes[place + 1..]);
                read(view, &mut reader, &bytes, at);
                places += 1;
            }
        }
    }
    assert!(places > 10_000, "{places}");
}
