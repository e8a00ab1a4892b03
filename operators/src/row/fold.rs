//! What a reader adds up: per window a row count, per (window, column) exact accumulators; and how features come of them.

use std::cmp::Ordering;

use freshet_config::function::Spread;
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};

use super::codec::Bytes;
use super::kept::{OfColumn, OfSummary};
use super::summaries::Folded;
use super::{FeatureValue, Status};
use crate::batch::heap_bytes;
use crate::exact::{self, Lane, Moments, Scale, Wide};
use crate::slices::order_word;
use crate::summary::addend;
use crate::view::{FeaturePlan, ViewPlan};

/// Accumulators of all windows of a view. Kept between folds for its buffers.
///
/// Words of strings are places in a heap that the caller names again when finishing.
#[derive(Clone, Debug)]
pub struct Fold {
    rows: Vec<u64>,
    /// `window * columns + column`.
    cells: Vec<Cell>,
    columns: usize,
    /// Summaries in the windows that use them.
    summaries: Vec<Folded>,
    /// `summary * windows + window`: where it stands, or [`UNUSED`].
    places: Vec<u32>,
}

const UNUSED: u32 = u32::MAX;

/// Windows that count an event, a bit each, and those of them before whose core it lies.
#[derive(Clone, Copy, Debug)]
pub struct Members {
    pub members: u64,
    pub older: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub count: u64,
    pub moments: Moments,
    /// Values outside the lanes.
    pub wide: Option<Box<Wide>>,
    /// Words; meaningful when `count > 0` and the plan keeps them.
    pub min: u64,
    pub max: u64,
    pub last: u64,
    /// Set when `last` comes from a core: slices older than the core leave it alone.
    pub last_of_core: bool,
}

impl Fold {
    pub fn new(plan: &ViewPlan) -> Fold {
        let windows = plan.windows.len();
        let (mut summaries, mut places) = (Vec::new(), vec![UNUSED; plan.summaries.len() * windows]);
        for (s, summary) in plan.summaries.iter().enumerate() {
            for w in (0..windows).filter(|w| summary.windows >> w & 1 == 1) {
                places[s * windows + w] = summaries.len() as u32;
                summaries.push(Folded::new(plan, s));
            }
        }
        Fold {
            rows: vec![0; windows],
            cells: vec![Cell::default(); windows * plan.columns.len()],
            columns: plan.columns.len(),
            summaries,
            places,
        }
    }

    pub fn reset(&mut self) {
        self.rows.fill(0);
        for cell in &mut self.cells {
            cell.count = 0;
            cell.moments = Moments::default();
            cell.wide = None;
            cell.last_of_core = false;
        }
        self.summaries.iter_mut().for_each(Folded::reset);
    }

    /// Reads the core of a summary.
    pub(crate) fn read_summary(&mut self, summary: usize, window: usize, bytes: &mut Bytes) -> Option<()> {
        let place = self.places[summary * self.rows.len() + window];
        self.summaries.get_mut(place as usize)?.read(bytes)
    }

    pub(crate) fn set_rows(&mut self, window: usize, rows: u64) {
        self.rows[window] = rows;
    }

    pub(crate) fn cell_mut(&mut self, window: usize, column: usize) -> &mut Cell {
        &mut self.cells[window * self.columns + column]
    }

    /// Adds one event at `time` (microseconds) to the windows of `members` (a bit each), before whose core `older` says
    /// it lies. Events come in canonical order, or `last` and lists are wrong.
    #[inline(always)]
    pub fn add(&mut self, plan: &ViewPlan, members: Members, time: i64, nulls: u64, words: &[u64], heap: &[u8]) {
        let Members { members, older } = members;
        let mut rest = members;
        while rest != 0 {
            let rows = &mut self.rows[rest.trailing_zeros() as usize];
            *rows = rows.wrapping_add(1);
            rest &= rest - 1;
        }
        for (c, column) in plan.columns.iter().enumerate() {
            let mut rest = members & column.windows;
            if nulls >> c & 1 == 1 || rest == 0 {
                continue;
            }
            let word = words[c];
            let lane = if column.sum { Scale::of(column.data_type).and_then(|s| Lane::of(word, s)) } else { None };
            while rest != 0 {
                let window = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let cell = &mut self.cells[window * self.columns + c];
                let first = cell.count == 0;
                // A damaged row may count to the end of the type.
                cell.count = cell.count.wrapping_add(1);
                if let Some(lane) = lane {
                    cell.moments.add_lane(lane, column.squares);
                } else if column.sum {
                    cell.wide.get_or_insert_default().add(word);
                }
                if column.min && (first || less(column.data_type, word, cell.min, heap)) {
                    cell.min = word;
                }
                if column.max && (first || less(column.data_type, cell.max, word, heap)) {
                    cell.max = word;
                }
                if older >> window & 1 == 0 || !cell.last_of_core {
                    cell.last = word;
                }
            }
        }
        if !plan.summaries.is_empty() {
            self.add_to_summaries(plan, Members { members, older }, time, nulls, words, heap);
        }
    }

    #[inline(never)]
    fn add_to_summaries(
        &mut self,
        plan: &ViewPlan,
        Members { members, older }: Members,
        time: i64,
        nulls: u64,
        words: &[u64],
        heap: &[u8],
    ) {
        for (s, summary) in plan.summaries.iter().enumerate() {
            let mut rest = members & summary.windows;
            if rest == 0 {
                continue;
            }
            let Some(addend) = addend(&plan.columns, summary, time, nulls, |c| words[c]) else { continue };
            while rest != 0 {
                let window = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let place = self.places[s * self.rows.len() + window] as usize;
                self.summaries[place].add(&addend, older >> window & 1 == 1, heap);
            }
        }
    }

    /// The features at instant `at`, in the plan's order.
    pub fn finish(&self, plan: &ViewPlan, at: EventTime, heap: &[u8], out: &mut Vec<FeatureValue>) {
        if plan.expiry.is_some_and(|window| self.rows[window] == 0) {
            let expired = FeatureValue { value: Value::Null, status: Status::Expired };
            out.extend(plan.features.iter().map(|_| expired.clone()));
            return;
        }
        out.extend(plan.features.iter().map(|feature| self.feature(plan, feature, at, heap)));
    }

    fn feature(&self, plan: &ViewPlan, feature: &FeaturePlan, at: EventTime, heap: &[u8]) -> FeatureValue {
        if feature.series.is_empty() {
            return self.in_window(plan, feature, feature.window, at, heap);
        }
        let elements: Vec<FeatureValue> =
            feature.series.iter().map(|w| self.in_window(plan, feature, *w, at, heap)).collect();
        if let Some(reason) = elements.iter().find_map(|element| element.status.reason()) {
            return FeatureValue::error(reason);
        }
        let seen = elements.iter().any(|element| element.status == Status::Present);
        let status = if seen { Status::Present } else { Status::MissingData };
        FeatureValue { value: Value::List(elements.into_iter().map(|element| element.value).collect()), status }
    }

    fn in_window(
        &self,
        plan: &ViewPlan,
        feature: &FeaturePlan,
        window: usize,
        at: EventTime,
        heap: &[u8],
    ) -> FeatureValue {
        let Some(column) = feature.column else {
            return self.counted(window, self.rows[window]);
        };
        let data_type = plan.columns[column].data_type;
        let outcome = match feature.summary {
            Some(summary) => {
                let folded = &self.summaries[self.places[summary * self.rows.len() + window] as usize];
                let end = plan.effective_time(at).micros();
                feature.function.value(&OfSummary { folded, data_type, end, heap })
            }
            None => match &self.cells[window * self.columns + column] {
                cell if cell.count == 0 => Ok(feature.function.empty()),
                cell => feature.function.value(&OfColumn { cell, data_type, heap }),
            },
        };
        match outcome {
            Ok(Value::Null) => FeatureValue { value: Value::Null, status: Status::MissingData },
            Ok(value) => FeatureValue { value, status: self.status(window) },
            Err(refusal) => FeatureValue::error(refusal.into()),
        }
    }

    fn counted(&self, window: usize, count: u64) -> FeatureValue {
        FeatureValue { value: Value::Int64(count as i64), status: self.status(window) }
    }

    /// The status of a value that an empty window has too: its data is missing. Rows of which none counts are no empty
    /// window.
    fn status(&self, window: usize) -> Status {
        if self.rows[window] == 0 { Status::MissingData } else { Status::Present }
    }
}

impl Cell {
    fn with_lanes(&self, wide: &Wide) -> Wide {
        let mut all = wide.clone();
        all.add_moments(&self.moments);
        all
    }

    /// The exact sum rounded once.
    pub fn sum(&self) -> f64 {
        match &self.wide {
            None => exact::sum(&self.moments),
            Some(wide) => self.with_lanes(wide).sum(),
        }
    }

    /// The exact sum rounded once to a float32.
    pub fn float32_sum(&self) -> f32 {
        match &self.wide {
            None => exact::float32_sum(&self.moments),
            Some(wide) => self.with_lanes(wide).float32_sum(),
        }
    }

    /// The exact sum divided by the number of values, rounded once.
    pub fn mean(&self) -> f64 {
        match &self.wide {
            None => exact::mean(&self.moments, self.count),
            Some(wide) => self.with_lanes(wide).mean(self.count),
        }
    }

    /// The numerator of variances.
    pub fn numerator(&self, data_type: DataType) -> Spread {
        match &self.wide {
            None => {
                let scale = Scale::of(data_type).unwrap_or(Scale::Integer);
                exact::variance_numerator(&self.moments, self.count, scale)
            }
            Some(wide) => self.with_lanes(wide).variance_numerator(self.count),
        }
    }
}

#[inline(always)]
fn less(data_type: DataType, a: u64, b: u64, heap: &[u8]) -> bool {
    match data_type {
        DataType::String => heap_bytes(heap, a) < heap_bytes(heap, b),
        _ => order_word(a, data_type) < order_word(b, data_type),
    }
}

/// How values compare: numbers and instants by value, false before true, strings by their bytes.
pub(super) fn compare(data_type: DataType, a: u64, b: u64, heap: &[u8]) -> Ordering {
    match data_type {
        DataType::String => heap_bytes(heap, a).cmp(heap_bytes(heap, b)),
        _ => order_word(a, data_type).cmp(&order_word(b, data_type)),
    }
}

/// Whether two values are one.
pub(super) fn same(data_type: DataType, a: u64, b: u64, heap: &[u8]) -> bool {
    a == b || data_type == DataType::String && heap_bytes(heap, a) == heap_bytes(heap, b)
}

pub(super) fn value_of(word: u64, data_type: DataType, heap: &[u8]) -> Value {
    match data_type {
        DataType::Int32 => Value::Int32(word as i32),
        DataType::Int64 => Value::Int64(word as i64),
        DataType::Float32 => Value::Float32(f64::from_bits(word) as f32),
        DataType::Float64 => Value::Float64(f64::from_bits(word)),
        DataType::Bool => Value::Bool(word != 0),
        DataType::Timestamp => Value::Timestamp(EventTime::from_micros(word as i64)),
        // Strings enter as UTF-8; a damaged row shows replacement characters rather than failing the request.
        DataType::String => Value::String(String::from_utf8_lossy(heap_bytes(heap, word)).into_owned()),
    }
}
