//! A view compiled: its windows, its stored columns and the features read from them.

use freshet_config::definitions::{Definitions, Function, Mode, PlanId, Window};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::DataType;

/// What slices, rows and readers need to know of a view. Plain data; equal plans read each other's rows.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewPlan {
    pub name: String,
    pub mode: Mode,
    /// Distinct windows, the furthest-reaching first.
    pub windows: Vec<Window>,
    /// Stored columns: each a distinct expression over the source's columns.
    pub columns: Vec<ColumnPlan>,
    pub features: Vec<FeaturePlan>,
    pub plan_id: PlanId,
}

/// What is kept of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnPlan {
    pub data_type: DataType,
    /// Whether values are stored at all; `false` when the column is only counted.
    pub stored: bool,
    pub sum: bool,
    pub squares: bool,
    pub min: bool,
    pub max: bool,
    pub last: bool,
}

/// How one feature is read from the accumulators.
#[derive(Clone, Debug, PartialEq)]
pub struct FeaturePlan {
    pub name: String,
    pub function: Function,
    /// Index into [`ViewPlan::columns`]; `None` counts rows.
    pub column: Option<usize>,
    /// Index into [`ViewPlan::windows`].
    pub window: usize,
    pub data_type: DataType,
}

impl ViewPlan {
    /// The instant an answer for `at` speaks of: `at` itself, or the start of its tile.
    pub fn effective_time(&self, at: EventTime) -> EventTime {
        match self.mode {
            Mode::Continuous => at,
            Mode::Interval(tile) => floor(at, tile),
        }
    }
}

fn floor(at: EventTime, tile: Span) -> EventTime {
    EventTime::from_micros(at.micros().div_euclid(tile.micros()) * tile.micros())
}

/// Index of a view in [`Definitions::views`].
pub type ViewIndex = usize;
#[allow(unused)]
fn _keep(_: &Definitions) {}
