//! Reading a row at an instant: cores, plus the slices that count then.

use std::fmt;

use freshet_config::time::EventTime;
use freshet_config::value::Value;

use super::categories::{self, CategoryReader};
use super::codec::{Bytes, KIND_COMPLETE, KIND_DENSE, KIND_SPARSE, unzigzag};
use super::fold::{Fold, Members};
use super::preamble::Preamble;
use super::{FeatureValue, Reason, RowError, Status};
use crate::exact::{Moments, Wide};
use crate::view::{FeaturePlan, ViewPlan};

/// Reads rows of one view; holds the buffers between reads. One per thread and view.
#[derive(Debug)]
pub struct Reader {
    tag: u32,
    fold: Fold,
    windows: Vec<Membership>,
    words: Vec<u64>,
    values: Vec<FeatureValue>,
    /// Of a view by category.
    categories: Option<CategoryReader>,
}

/// Which event times count in a window: at the instant asked, and in the row's core.
#[derive(Clone, Copy, Debug, Default)]
struct Membership {
    lower: i64,
    upper: i64,
    core_lower: i64,
    core_upper: i64,
}

impl Reader {
    pub fn new(plan: &ViewPlan) -> Reader {
        Reader {
            tag: plan.layout_tag(),
            fold: Fold::new(plan),
            windows: vec![Membership::default(); plan.windows.len()],
            words: vec![0; plan.columns.len()],
            values: Vec::new(),
            categories: plan.categories.as_ref().map(|categories| CategoryReader::new(plan, categories)),
        }
    }

    /// Appends the view's features at instant `at`, in the plan's order. `row` is `None` for a key without a row.
    ///
    /// A key without a row is an empty window everywhere: counts are 0, all else null, and every status is
    /// `MissingData`. A row that does not cover `at` gives nulls that are `Stale`; one that cannot be read, `Error`.
    pub fn read(&mut self, plan: &ViewPlan, row: Option<&[u8]>, at: EventTime, out: &mut Vec<FeatureValue>) {
        if plan.before_start(at) {
            let unborn = FeatureValue { value: Value::Null, status: Status::MissingData };
            out.extend(plan.features.iter().map(|_| unborn.clone()));
            return;
        }
        let read = match row {
            Some(row) => self.try_read_into(plan, row, at, out),
            None => self.read_nothing(plan, at, out),
        };
        match read {
            Ok(()) => {}
            Err(error) => {
                let status = match error {
                    RowError::NotCovered => Status::Stale,
                    error => Status::Error(Reason::Row(error)),
                };
                out.extend(plan.features.iter().map(|_| FeatureValue { value: Value::Null, status }));
            }
        }
    }

    /// As [`Reader::read`], with the reason when the row does not answer.
    pub fn try_read(&mut self, plan: &ViewPlan, row: &[u8], at: EventTime) -> Result<&[FeatureValue], RowError> {
        let mut values = std::mem::take(&mut self.values);
        values.clear();
        let read = self.try_read_into(plan, row, at, &mut values);
        self.values = values;
        read.map(|()| self.values.as_slice())
    }

    /// Appends the features of a row; nothing when it does not answer.
    pub(super) fn try_read_into(
        &mut self,
        plan: &ViewPlan,
        row: &[u8],
        at: EventTime,
        out: &mut Vec<FeatureValue>,
    ) -> Result<(), RowError> {
        if let (Some(reader), Some(categories)) = (&mut self.categories, &plan.categories) {
            return reader.read(categories, Some(row), at, out);
        }
        self.fold_row(plan, row, at.micros())?;
        self.fold.finish(plan, at, row, out);
        Ok(())
    }

    fn read_nothing(&mut self, plan: &ViewPlan, at: EventTime, out: &mut Vec<FeatureValue>) -> Result<(), RowError> {
        if let (Some(reader), Some(categories)) = (&mut self.categories, &plan.categories) {
            return reader.read(categories, None, at, out);
        }
        let expires = plan.expiry.is_some();
        out.extend(plan.features.iter().map(|feature| if expires { unknown() } else { never_seen(feature) }));
        Ok(())
    }

    fn fold_row(&mut self, plan: &ViewPlan, row: &[u8], at: i64) -> Result<(), RowError> {
        let mut bytes = Bytes::new(row);
        let head = Head::read(&mut bytes, self.tag)?;
        if !head.covers(at) {
            return Err(RowError::NotCovered);
        }
        self.fold.reset();
        for (w, m) in self.windows.iter_mut().enumerate() {
            let offset = plan.windows[w].offset;
            m.lower = plan.lower(w, at);
            m.upper = plan.upper(offset, at);
            m.core_lower = i64::MAX;
            m.core_upper = i64::MIN;
            if let Some(horizon) = head.horizon {
                m.core_lower = plan.lower(w, horizon);
                m.core_upper = plan.upper(offset, head.as_of);
            }
        }
        let damaged = RowError::Damaged;
        if head.horizon.is_some() {
            for w in 0..plan.windows.len() {
                self.core(plan, w, &mut bytes).ok_or(damaged)?;
            }
        }
        let mut time = head.as_of;
        for i in 0..head.slices {
            time = self.slice(plan, i == 0, time, row, &mut bytes).ok_or(damaged)?;
        }
        if bytes.is_empty() { Ok(()) } else { Err(damaged) }
    }

    fn core(&mut self, plan: &ViewPlan, w: usize, bytes: &mut Bytes) -> Option<()> {
        let rows = bytes.varint()?;
        self.fold.set_rows(w, rows);
        if rows == 0 {
            return Some(());
        }
        for (c, column) in plan.columns.iter().enumerate().filter(|(_, column)| column.in_window(w)) {
            let count = rows.checked_sub(bytes.varint()?)?;
            if count == 0 {
                continue;
            }
            let cell = self.fold.cell_mut(w, c);
            cell.count = count;
            if column.sum {
                let outside = if column.data_type.is_float() { bytes.varint()? } else { 0 };
                if outside > 0 {
                    let (wide, rest) = Wide::read(bytes.rest())?;
                    bytes.skip_to(rest);
                    cell.wide = Some(Box::new(wide));
                }
                cell.moments = if outside < count { bytes.moments(column.squares)? } else { Moments::default() };
            }
            if column.min {
                cell.min = bytes.word(column.data_type)?;
            }
            if column.max {
                cell.max = bytes.word(column.data_type)?;
            }
            if column.last {
                cell.last = bytes.word(column.data_type)?;
                cell.last_of_core = true;
            }
        }
        for s in (0..plan.summaries.len()).filter(|s| plan.summaries[*s].windows >> w & 1 == 1) {
            self.fold.read_summary(s, w, bytes)?;
        }
        Some(())
    }

    #[inline(always)]
    fn slice(&mut self, plan: &ViewPlan, first: bool, before: i64, row: &[u8], bytes: &mut Bytes) -> Option<i64> {
        let step = bytes.varint()?;
        let time =
            if first { before.checked_sub(unzigzag(step >> 1))? } else { before.checked_add_unsigned(step >> 1)? };
        let nulls = if step & 1 == 1 { bytes.varint()? } else { 0 };
        for (c, column) in plan.columns.iter().enumerate() {
            if column.stored && nulls >> c & 1 == 0 {
                self.words[c] = bytes.word(column.data_type)?;
            }
        }
        let (mut members, mut older) = (0u64, 0u64);
        for (w, m) in self.windows.iter().enumerate() {
            let inside = time >= m.lower && time < m.upper && !(time >= m.core_lower && time < m.core_upper);
            members |= u64::from(inside) << w;
            older |= u64::from(time < m.core_lower) << w;
        }
        if members != 0 {
            self.fold.add(plan, Members { members, older }, time, nulls, &self.words, row);
        }
        Some(time)
    }
}

/// What views whose values expire say of a key without events: they cannot tell it from one whose row is gone.
fn unknown() -> FeatureValue {
    FeatureValue { value: Value::Null, status: Status::MissingData }
}

fn never_seen(feature: &FeaturePlan) -> FeatureValue {
    let one = feature.function.empty();
    let value = if feature.series.is_empty() { one } else { Value::List(vec![one; feature.series.len()]) };
    FeatureValue { value, status: Status::MissingData }
}

struct Head {
    kind: u8,
    as_of: i64,
    /// Last instant answered for; `None` when all slices are in the row.
    horizon: Option<i64>,
    slices: u64,
}

impl Head {
    fn read(bytes: &mut Bytes, tag: u32) -> Result<Head, RowError> {
        let Preamble { kind, as_of } = Preamble::read(bytes, tag, KIND_COMPLETE..=KIND_DENSE)?;
        let damaged = RowError::Damaged;
        let horizon = match kind {
            KIND_DENSE => Some(as_of.checked_add_unsigned(bytes.varint().ok_or(damaged)?).ok_or(damaged)?),
            _ => None,
        };
        Ok(Head { kind, as_of, horizon, slices: bytes.varint().ok_or(damaged)? })
    }

    fn covers(&self, at: i64) -> bool {
        match self.kind {
            KIND_COMPLETE => true,
            KIND_SPARSE => at >= self.as_of,
            _ => at >= self.as_of && self.horizon.is_none_or(|horizon| at <= horizon),
        }
    }
}

/// The span a row answers for, for people and for the reader's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// First instant; `None`: any.
    pub from: Option<EventTime>,
    /// Last instant; `None`: any.
    pub until: Option<EventTime>,
    pub slices: u64,
}

/// What a row covers, without reading its values.
pub fn describe(plan: &ViewPlan, row: &[u8]) -> Result<Coverage, RowError> {
    if let Some(of_view) = &plan.categories {
        return categories::describe(plan, of_view, row);
    }
    let head = Head::read(&mut Bytes::new(row), plan.layout_tag())?;
    Ok(Coverage {
        from: (head.kind != KIND_COMPLETE).then(|| EventTime::from_micros(head.as_of)),
        until: head.horizon.map(EventTime::from_micros),
        slices: head.slices,
    })
}

/// The instant a row was written for: its values are exact there.
pub fn as_of(plan: &ViewPlan, row: &[u8]) -> Result<EventTime, RowError> {
    if plan.categories.is_some() {
        return categories::as_of(plan, row);
    }
    let head = Head::read(&mut Bytes::new(row), plan.layout_tag())?;
    Ok(EventTime::from_micros(head.as_of))
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Some(from) => write!(f, "from {from} ")?,
            None => f.write_str("from ever ")?,
        }
        match self.until {
            Some(until) => write!(f, "to {until}"),
            None => f.write_str("for ever"),
        }
    }
}
