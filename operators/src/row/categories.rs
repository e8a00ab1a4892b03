//! The row of a key of a view by category: one row per category, and how they are read together.
//!
//! Law: a row answers for the instants that all its members answer for. Categories stand in ascending order, and only
//! those that some window may still see. A window with more than are allowed has no values: whoever reads a row counts. Of
//! a key with very many, a row says until when which windows have too many, and holds those only that are seen by others
//! or later.
//!
//! ```text
//! [version u8][3][layout tag u32][as_of i64][number of categories << 1 | some were dropped, varint]
//!     per category: [category: as a value of its type][length of the row, varint][row]
//! [version u8][4][layout tag u32][as_of i64]
//!     per window: [0, or how long it certainly has too many from as_of on and 1, varint]
//!     [number of categories << 1 | 1, varint] and per category as above
//! ```

use freshet_config::definitions::GroupShape;
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};

use super::codec::{Bytes, KIND_CATEGORIES, KIND_CROWDED, RowBuffer};
use super::fold::value_of;
use super::preamble::Preamble;
use super::read::{Coverage, Reader};
use super::{FeatureValue, Reason, RowError, Status};
use crate::view::{Category, CategoryPlan, ViewPlan};

/// Reads rows of one view by category.
#[derive(Debug)]
pub(super) struct CategoryReader {
    tag: u32,
    member: Box<Reader>,
    values: Vec<FeatureValue>,
    assembly: Assembly,
}

impl CategoryReader {
    pub fn new(plan: &ViewPlan, categories: &CategoryPlan) -> CategoryReader {
        CategoryReader {
            tag: plan.layout_tag(),
            member: Box::new(Reader::new(&categories.member)),
            values: Vec::new(),
            assembly: Assembly::new(categories),
        }
    }

    /// Appends the features of a row; `None`: of a key without one.
    pub fn read(
        &mut self,
        plan: &CategoryPlan,
        row: Option<&[u8]>,
        at: EventTime,
        out: &mut Vec<FeatureValue>,
    ) -> Result<(), RowError> {
        self.assembly.clear();
        let Some(row) = row else {
            self.assembly.finish(plan, out);
            return Ok(());
        };
        let mut bytes = Bytes::new(row);
        let head = Head::read(&mut bytes, self.tag, plan)?;
        if head.trimmed && at.micros() < head.as_of {
            return Err(RowError::NotCovered);
        }
        for (window, until) in head.crowded_until.iter().enumerate() {
            if until.is_some_and(|until| at.micros() <= until) {
                self.assembly.too_many(window);
            }
        }
        for _ in 0..head.count {
            let (category, member) = next_member(plan, row, &mut bytes).ok_or(RowError::Damaged)?;
            self.values.clear();
            self.member.try_read_into(&plan.member, member, at, &mut self.values)?;
            self.assembly.add(plan, &category, &mut self.values);
        }
        if !bytes.is_empty() {
            return Err(RowError::Damaged);
        }
        self.assembly.finish(plan, out);
        Ok(())
    }
}

/// What a row covers: what all its members do.
pub(super) fn describe(plan: &ViewPlan, categories: &CategoryPlan, row: &[u8]) -> Result<Coverage, RowError> {
    let mut bytes = Bytes::new(row);
    let instant = |at: i64| EventTime::from_micros(at);
    let head = Head::read(&mut bytes, plan.layout_tag(), categories)?;
    let from = head.trimmed.then_some(head.as_of);
    let mut all = Coverage { from: from.map(instant), until: None, slices: 0 };
    for _ in 0..head.count {
        let (_, member) = next_member(categories, row, &mut bytes).ok_or(RowError::Damaged)?;
        let one = super::read::describe(&categories.member, member)?;
        all.from = all.from.max(one.from);
        all.until = match (all.until, one.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        all.slices = all.slices.saturating_add(one.slices);
    }
    Ok(all)
}

/// The instant a row was written for.
pub(super) fn as_of(plan: &ViewPlan, row: &[u8]) -> Result<EventTime, RowError> {
    let kinds = KIND_CATEGORIES..=KIND_CROWDED;
    Ok(EventTime::from_micros(Preamble::read(&mut Bytes::new(row), plan.layout_tag(), kinds)?.as_of))
}

struct Head {
    as_of: i64,
    /// Some categories that could be seen before `as_of` are not there.
    trimmed: bool,
    count: u64,
    /// Per window the last instant at which it certainly has too many categories, nothing else happening.
    crowded_until: Vec<Option<i64>>,
}

impl Head {
    fn read(bytes: &mut Bytes, tag: u32, plan: &CategoryPlan) -> Result<Head, RowError> {
        let Preamble { kind, as_of } = Preamble::read(bytes, tag, KIND_CATEGORIES..=KIND_CROWDED)?;
        Head::read_rest(bytes, kind, as_of, plan).ok_or(RowError::Damaged)
    }

    fn read_rest(bytes: &mut Bytes, kind: u8, as_of: i64, plan: &CategoryPlan) -> Option<Head> {
        let mut crowded_until = Vec::new();
        if kind == KIND_CROWDED {
            for _ in &plan.member.windows {
                crowded_until.push(match bytes.varint()?.checked_sub(1) {
                    None => None,
                    Some(long) => Some(as_of.checked_add_unsigned(long)?),
                });
            }
        }
        let number = bytes.varint()?;
        Some(Head { as_of, trimmed: number & 1 == 1, count: number >> 1, crowded_until })
    }
}

/// The next category of a row, and its row.
fn next_member<'r>(plan: &CategoryPlan, row: &'r [u8], bytes: &mut Bytes<'r>) -> Option<(Value, &'r [u8])> {
    let word = bytes.word(plan.data_type)?;
    let length = usize::try_from(bytes.varint()?).ok()?;
    let (member, rest) = bytes.rest().split_at_checked(length)?;
    bytes.skip_to(rest);
    Some((value_of(word, plan.data_type, row), member))
}

/// Writes the head of a row of `count` categories; `trimmed` when some that could be seen before `as_of` are not there.
pub(crate) fn put_head(row: &mut RowBuffer, tag: u32, as_of: i64, count: usize, trimmed: bool) {
    row.head(KIND_CATEGORIES, tag, as_of);
    row.varint((count as u64) << 1 | u64::from(trimmed));
}

pub(crate) fn put_member(row: &mut RowBuffer, data_type: DataType, category: &Category, member: &[u8]) {
    match category {
        Category::Text(text) => row.text(text),
        Category::Number(number) => row.word(data_type, *number as u64),
    }
    row.text(member);
}

/// Writes the head of a row of a key with too many categories, for windows that have them until when; `count` follow.
pub(crate) fn put_crowded_head(row: &mut RowBuffer, tag: u32, as_of: i64, until: &[Option<i64>], count: usize) {
    row.head(KIND_CROWDED, tag, as_of);
    for until in until {
        row.varint(until.map_or(0, |until| until.saturating_sub(as_of).max(0) as u64 + 1));
    }
    row.varint((count as u64) << 1 | 1);
}

/// Puts the values of the categories of one key together.
#[derive(Clone, Debug)]
pub struct Assembly {
    features: Vec<Assembled>,
    /// Per window of the view, whether it has too many categories, added or not.
    crowded: Vec<bool>,
}

/// One feature: per window of it the categories that count, each with its value.
#[derive(Clone, Debug)]
struct Assembled {
    windows: Vec<Vec<(Value, Value)>>,
    /// Why the first of the categories without a value has none.
    failed: Option<Reason>,
}

impl Assembly {
    pub fn new(plan: &CategoryPlan) -> Assembly {
        let empty = |windows: usize| Assembled { windows: vec![Vec::new(); windows], failed: None };
        Assembly {
            features: plan.features.iter().map(|feature| empty(feature.windows.len())).collect(),
            crowded: vec![false; plan.member.windows.len()],
        }
    }

    fn clear(&mut self) {
        for feature in &mut self.features {
            feature.windows.iter_mut().for_each(Vec::clear);
            feature.failed = None;
        }
        self.crowded.fill(false);
    }

    /// Says that a window of the view has too many categories, however many are added.
    pub fn too_many(&mut self, window: usize) {
        self.crowded[window] = true;
    }

    /// Adds a category with the features of its member, whose values may be taken. Categories come in ascending order.
    pub fn add(&mut self, plan: &CategoryPlan, category: &Value, values: &mut [FeatureValue]) {
        for (assembled, feature) in self.features.iter_mut().zip(&plan.features) {
            for (i, (window, to)) in feature.windows.iter().zip(&mut assembled.windows).enumerate() {
                let counts = values.get(plan.rows_of(*window)).is_some_and(|rows| rows.value != Value::Int64(0));
                if !counts {
                    continue;
                }
                let value = match feature.member.and_then(|first| values.get_mut(first + i)) {
                    None => Value::Null,
                    Some(FeatureValue { value, status }) => {
                        assembled.failed = assembled.failed.or(status.reason());
                        std::mem::take(value)
                    }
                };
                to.push((category.clone(), value));
            }
        }
    }

    /// Appends the view's features. A value that cannot be given is null in its place, and the feature an error.
    pub fn finish(&mut self, plan: &CategoryPlan, out: &mut Vec<FeatureValue>) {
        for (assembled, feature) in self.features.iter_mut().zip(&plan.features) {
            let is_crowded = |(window, seen): (&usize, &Vec<_>)| self.crowded[*window] || seen.len() > plan.limit;
            if feature.windows.iter().zip(&assembled.windows).any(is_crowded) {
                let CategoryPlan { limit, most_kept, .. } = *plan;
                out.push(FeatureValue::error(Reason::TooManyCategories { limit, most_kept }));
                continue;
            }
            let empty = assembled.windows.iter().all(Vec::is_empty);
            let status = match (assembled.failed, empty) {
                (Some(reason), _) => Status::Error(reason),
                (None, true) => Status::MissingData,
                (None, false) => Status::Present,
            };
            let mut windows = assembled.windows.iter_mut().map(|entries| {
                let entries = std::mem::take(entries).into_iter();
                match (feature.member, plan.shape) {
                    (None, _) => Value::List(entries.map(|(category, _)| category).collect()),
                    (_, GroupShape::Map) => Value::Map(entries.collect()),
                    (_, GroupShape::Aligned) => Value::List(entries.map(|(_, value)| value).collect()),
                }
            });
            let value = match feature.series {
                true => Value::List(windows.collect()),
                false => windows.next().unwrap_or_default(),
            };
            out.push(FeatureValue { value, status });
        }
    }
}
