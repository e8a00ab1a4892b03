//! What a reader adds up: per window a row count, per (window, column) exact accumulators; and how features come of them.

use freshet_config::definitions::Function;
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value};

use super::{FeatureValue, Status};
use crate::batch::heap_bytes;
use crate::exact::{self, Lane, Moments, Scale, Wide};
use crate::slices::order_word;
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
        Fold {
            rows: vec![0; plan.windows.len()],
            cells: vec![Cell::default(); plan.windows.len() * plan.columns.len()],
            columns: plan.columns.len(),
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
    }

    pub(crate) fn set_rows(&mut self, window: usize, rows: u64) {
        self.rows[window] = rows;
    }

    pub(crate) fn cell_mut(&mut self, window: usize, column: usize) -> &mut Cell {
        &mut self.cells[window * self.columns + column]
    }

    /// Adds one event to the windows of `members` (a bit each), of which `older` lie before the window's core.
    /// Events come in canonical order, or `last` is wrong.
    #[inline(always)]
    pub fn add(&mut self, plan: &ViewPlan, members: u64, older: u64, nulls: u64, words: &[u64], heap: &[u8]) {
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
    }

    /// The features in the plan's order.
    pub fn finish(&self, plan: &ViewPlan, heap: &[u8], out: &mut Vec<FeatureValue>) {
        out.extend(plan.features.iter().map(|feature| self.feature(plan, feature, heap)));
    }

    fn feature(&self, plan: &ViewPlan, feature: &FeaturePlan, heap: &[u8]) -> FeatureValue {
        let Some(column) = feature.column else {
            return self.counted(feature, self.rows[feature.window]);
        };
        let cell = &self.cells[feature.window * self.columns + column];
        let data_type = plan.columns[column].data_type;
        if feature.function == Function::Count {
            return self.counted(feature, cell.count);
        }
        if cell.count == 0 {
            return missing();
        }
        let n = cell.count;
        match feature.function {
            Function::Count => self.counted(feature, n),
            Function::Min => present(value_of(cell.min, data_type, heap)),
            Function::Max => present(value_of(cell.max, data_type, heap)),
            Function::Last => present(value_of(cell.last, data_type, heap)),
            Function::Sum => cell.sum_value(data_type),
            Function::Mean => finite(exact::mean(cell.sum(), n)),
            Function::VarPop => finite(cell.numerator(data_type) / (n as f64 * n as f64)),
            Function::StddevPop => finite((cell.numerator(data_type) / (n as f64 * n as f64)).sqrt()),
            Function::VarSamp | Function::StddevSamp if n == 1 => missing(),
            Function::VarSamp => finite(cell.numerator(data_type) / (n as f64 * (n - 1) as f64)),
            Function::StddevSamp => finite((cell.numerator(data_type) / (n as f64 * (n - 1) as f64)).sqrt()),
            // Plans have none of these: compiling refuses them.
            _ => FeatureValue { value: Value::Null, status: Status::Error },
        }
    }

    /// A count: an empty window has one too, of data that is missing. Rows of which none counts are no empty window.
    fn counted(&self, feature: &FeaturePlan, count: u64) -> FeatureValue {
        let status = if self.rows[feature.window] == 0 { Status::MissingData } else { Status::Present };
        FeatureValue { value: Value::Int64(count as i64), status }
    }
}

impl Cell {
    fn with_lanes(&self, wide: &Wide) -> Wide {
        let mut all = wide.clone();
        all.add_moments(&self.moments);
        all
    }

    /// The exact sum rounded once.
    fn sum(&self) -> f64 {
        match &self.wide {
            None => exact::sum(&self.moments),
            Some(wide) => self.with_lanes(wide).sum(),
        }
    }

    fn sum_value(&self, data_type: DataType) -> FeatureValue {
        let value = match data_type {
            DataType::Int32 => i32::try_from(self.moments.whole).ok().map(Value::Int32),
            DataType::Int64 => i64::try_from(self.moments.whole).ok().map(Value::Int64),
            DataType::Float32 => Some(self.sum() as f32).filter(|s| s.is_finite()).map(Value::Float32),
            _ => Some(self.sum()).filter(|s| s.is_finite()).map(Value::Float64),
        };
        value.map_or(FeatureValue { value: Value::Null, status: Status::Error }, present)
    }

    fn numerator(&self, data_type: DataType) -> f64 {
        match &self.wide {
            None => {
                let scale = Scale::of(data_type).unwrap_or(Scale::Integer);
                exact::variance_numerator(&self.moments, self.count, scale)
            }
            Some(wide) => self.with_lanes(wide).variance_numerator(self.count),
        }
    }
}

fn present(value: Value) -> FeatureValue {
    FeatureValue { value, status: Status::Present }
}

fn missing() -> FeatureValue {
    FeatureValue { value: Value::Null, status: Status::MissingData }
}

/// A result that left the doubles is an error, never an infinity.
fn finite(value: f64) -> FeatureValue {
    if value.is_finite() {
        present(Value::Float64(value))
    } else {
        FeatureValue { value: Value::Null, status: Status::Error }
    }
}

#[inline(always)]
fn less(data_type: DataType, a: u64, b: u64, heap: &[u8]) -> bool {
    match data_type {
        DataType::String => heap_bytes(heap, a) < heap_bytes(heap, b),
        _ => order_word(a, data_type) < order_word(b, data_type),
    }
}

fn value_of(word: u64, data_type: DataType, heap: &[u8]) -> Value {
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
