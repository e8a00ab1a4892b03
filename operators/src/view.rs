//! A view compiled: its windows, its stored columns and the features read from them.

use freshet_config::definitions::{Aggregate, Function, Mode, PlanId, Sql, View, Window};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{DataType, FeatureType};

/// What slices, rows and readers need to know of a view. Plain data; equal layouts read each other's rows.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewPlan {
    pub name: String,
    pub mode: Mode,
    /// Distinct windows; those of one offset follow each other, the longest first.
    pub windows: Vec<Window>,
    /// Stored columns: each a distinct expression over the source's columns.
    pub columns: Vec<ColumnPlan>,
    pub features: Vec<FeaturePlan>,
    /// Instants whose reference lies before it have no values at all.
    pub feature_start: Option<EventTime>,
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
    /// Windows that some feature of this column uses: a bit per window of the plan.
    pub windows: u64,
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
    pub data_type: FeatureType,
}

/// Where a stored column's values come from: `of`, null where `filter` does not hold. Without `of` the filter is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSource {
    pub of: Option<Sql>,
    pub filter: Option<Sql>,
}

/// Most distinct windows, and most stored columns, of one view.
pub const MAX_WINDOWS: usize = 64;
pub const MAX_COLUMNS: usize = 64;

/// The distinct columns of a view, in order of first use. Counting all rows needs none.
pub fn column_sources(view: &View) -> Vec<ColumnSource> {
    let mut sources: Vec<ColumnSource> = Vec::new();
    for aggregate in &view.aggregates {
        let source = ColumnSource { of: aggregate.of.clone(), filter: aggregate.filter.clone() };
        if source.names_a_column() && !sources.iter().any(|s| s.same_text(&source)) {
            sources.push(source);
        }
    }
    sources
}

impl ColumnSource {
    fn names_a_column(&self) -> bool {
        self.of.is_some() || self.filter.is_some()
    }

    /// Whether an aggregate takes its values from this column.
    pub fn feeds(&self, aggregate: &Aggregate) -> bool {
        self.same_text(&ColumnSource { of: aggregate.of.clone(), filter: aggregate.filter.clone() })
    }

    /// Equal in text, wherever it was written.
    pub fn same_text(&self, other: &ColumnSource) -> bool {
        fn text(sql: &Option<Sql>) -> Option<&str> {
            sql.as_ref().map(|s| s.text.as_str())
        }
        text(&self.of) == text(&other.of) && text(&self.filter) == text(&other.filter)
    }
}

impl ViewPlan {
    /// Compiles a view whose columns ([`column_sources`]) have these types.
    pub fn new(view: &View, types: &[DataType], plan_id: PlanId) -> ViewPlan {
        let sources = column_sources(view);
        let mut windows: Vec<Window> = view.aggregates.iter().flat_map(|a| a.windows.iter().copied()).collect();
        windows.sort_by_key(|w| (std::cmp::Reverse(w.offset), std::cmp::Reverse(w.size)));
        windows.dedup();
        let mut plan = ViewPlan {
            name: view.name.clone(),
            mode: view.mode,
            windows,
            columns: types.iter().map(|t| ColumnPlan::unused(*t)).collect(),
            features: Vec::new(),
            feature_start: view.feature_start,
            plan_id,
        };
        for feature in &view.features {
            let aggregate = &view.aggregates[feature.aggregate];
            let source = ColumnSource { of: aggregate.of.clone(), filter: aggregate.filter.clone() };
            let column = sources.iter().position(|s| s.same_text(&source));
            let wanted = aggregate.windows[feature.window];
            let window = plan.windows.iter().position(|w| *w == wanted).unwrap_or_default();
            if let Some(column) = column {
                plan.columns[column].require(aggregate.function, window);
            }
            let input = aggregate.of.is_some().then(|| column.map(|c| types[c])).flatten();
            plan.features.push(FeaturePlan {
                name: feature.name.clone(),
                function: aggregate.function,
                column,
                window,
                data_type: view.feature_type(feature, input, None),
            });
        }
        plan
    }

    /// The instant an answer for `at` speaks of: `at` itself, or the start of its tile.
    pub fn effective_time(&self, at: EventTime) -> EventTime {
        EventTime::from_micros(self.reference(at.micros()))
    }

    /// Whether `at` lies before the view's `feature_start`: every feature is null then, counts included.
    pub fn before_start(&self, at: EventTime) -> bool {
        self.feature_start.is_some_and(|start| self.effective_time(at) < start)
    }

    /// Whether equal event times must be told apart by position: `last` does, and so do strings, whose words in
    /// memory have no order of their own.
    pub fn keeps_positions(&self) -> bool {
        self.columns.iter().any(|c| c.last || c.stored && c.data_type == DataType::String)
    }

    /// Identifies what rows look like: rows of another layout are not read.
    pub fn layout_tag(&self) -> u32 {
        let text = format!("1 {:?} {:?} {:?}", self.mode, self.windows, self.columns);
        // FNV-1a, folded: part of the stored format, so not a hasher that may change.
        let hash =
            text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        (hash ^ hash >> 32) as u32
    }

    /// T for continuous and sawtooth views, T' for tiled and batch ones, in microseconds.
    #[inline(always)]
    fn reference(&self, at: i64) -> i64 {
        match self.mode {
            Mode::Continuous | Mode::Sawtooth(_) => at,
            Mode::Interval(tile) => floor(at, tile),
            Mode::Batch { schedule, delay } => floor(at.saturating_sub(delay.micros()), schedule),
        }
    }

    /// First microsecond that counts in window `w` at instant `at` (the laws: continuous is open below, all others closed).
    ///
    /// Saturates, so that any instant may be asked for: event times stay far from the ends of the type.
    #[inline(always)]
    pub fn lower(&self, w: usize, at: i64) -> i64 {
        let window = &self.windows[w];
        let edge = self.reference(at).saturating_add(window.offset.micros()).saturating_sub(window.size.micros());
        match self.mode {
            Mode::Continuous => edge.saturating_add(1),
            Mode::Interval(_) | Mode::Batch { .. } => edge,
            Mode::Sawtooth(step) => floor(edge, step),
        }
    }

    /// First microsecond that counts no more in a window of this offset at instant `at`.
    #[inline(always)]
    pub fn upper(&self, offset: Span, at: i64) -> i64 {
        let edge = self.reference(at).saturating_add(offset.micros());
        edge.saturating_add(i64::from(matches!(self.mode, Mode::Continuous | Mode::Sawtooth(_))))
    }

    /// First microsecond that any window may still see at `at` or later.
    pub fn reach(&self, at: i64) -> i64 {
        (0..self.windows.len()).map(|w| self.lower(w, at)).min().unwrap_or(at)
    }
}

/// The last multiple of `step` at or before `at`, in microseconds.
#[inline(always)]
fn floor(at: i64, step: Span) -> i64 {
    let step = step.micros().max(1);
    at.div_euclid(step).saturating_mul(step)
}

impl ColumnPlan {
    fn unused(data_type: DataType) -> ColumnPlan {
        ColumnPlan {
            data_type,
            stored: false,
            sum: false,
            squares: false,
            min: false,
            max: false,
            last: false,
            windows: 0,
        }
    }

    fn require(&mut self, function: Function, window: usize) {
        use Function::*;
        self.windows |= 1 << window;
        self.stored |= function != Count;
        self.sum |= matches!(function, Sum | Mean | StddevSamp | StddevPop | VarSamp | VarPop);
        self.squares |= matches!(function, StddevSamp | StddevPop | VarSamp | VarPop);
        self.min |= function == Min;
        self.max |= function == Max;
        self.last |= function == Last;
    }

    pub fn in_window(&self, w: usize) -> bool {
        self.windows >> w & 1 == 1
    }
}
