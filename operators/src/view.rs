//! A view compiled: its windows, its stored columns and the features read from them.

mod categories;

use std::sync::Arc;

use freshet_config::definitions::{Aggregate, Function, Mode, PlanId, Sql, View, Window};
use freshet_config::function::{Keeps, Parts, SummaryKind};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{DataType, FeatureType};

pub use categories::{Category, CategoryFeature, CategoryPlan, MAX_CATEGORIES, MAX_CATEGORIES_KEPT, key_prefix};

use crate::batch::heap_bytes;
use crate::summary::{SummaryPlan, hyperloglog};

/// What slices, rows and readers need to know of a view. Plain data; equal layouts read each other's rows.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewPlan {
    pub name: String,
    pub mode: Mode,
    /// Distinct windows; those of one offset follow each other, the longest first.
    pub windows: Vec<Window>,
    /// Stored columns: each a distinct expression over the source's columns.
    pub columns: Vec<ColumnPlan>,
    /// What features need beyond what columns keep.
    pub summaries: Vec<SummaryPlan>,
    pub features: Vec<FeaturePlan>,
    /// Instants whose reference lies before it have no values at all.
    pub feature_start: Option<EventTime>,
    /// Events before it count in no window.
    pub lifetime_start: Option<EventTime>,
    /// Index into `windows`: while no event is in that window, of the length of the view's `serving_ttl`, every feature is
    /// null and has expired.
    pub expiry: Option<usize>,
    /// Whether events may be taken back for good. A view of attributes keeps older rows then, because one may become the
    /// newest again; else it keeps the newest row alone.
    pub retracts: bool,
    /// Of a view over changes: how far back from now instants are answered. What lies further back may have got other
    /// changes since, of which no row tells, for they are in no window any more.
    pub answers_back: Option<Span>,
    pub plan_id: PlanId,
    /// Set when the view is by category: slices are then of [`CategoryPlan::member`], and rows hold many of its rows.
    pub categories: Option<Arc<CategoryPlan>>,
}

/// What is kept of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnPlan {
    /// The type of what is stored: of values, or of their sketch words.
    pub data_type: DataType,
    /// Set when not values are stored but what HyperLogLog needs of them.
    pub sketch: Option<SketchPlan>,
    /// Whether values are stored at all; `false` when the column is only counted.
    pub stored: bool,
    pub sum: bool,
    pub squares: bool,
    pub min: bool,
    pub max: bool,
    pub last: bool,
    /// Windows in which some feature reads the count, sums, extremes or last value: a bit per window of the plan.
    pub windows: u64,
}

/// A column of sketch words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SketchPlan {
    /// The greatest precision that some feature needs.
    pub precision: u8,
    /// The type of the values.
    pub input: DataType,
}

/// How one feature is read from the accumulators.
#[derive(Clone, Debug, PartialEq)]
pub struct FeaturePlan {
    pub name: String,
    pub function: Function,
    /// Index into [`ViewPlan::columns`]; `None` counts rows.
    pub column: Option<usize>,
    /// Index into [`ViewPlan::summaries`], for functions that are read from one.
    pub summary: Option<usize>,
    /// Index into [`ViewPlan::windows`].
    pub window: usize,
    /// The windows of a series, the oldest first; the feature is a list of their values then. Empty: no series.
    pub series: Vec<usize>,
    pub data_type: FeatureType,
}

/// Where a stored column's values come from: `of`, null where `filter` does not hold. Without `of` the filter is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSource {
    pub of: Option<Sql>,
    pub filter: Option<Sql>,
    /// Whether sketch words are stored, not values.
    pub sketch: bool,
}

/// Most distinct windows, and most stored columns, of one view.
pub const MAX_WINDOWS: usize = 64;
pub const MAX_COLUMNS: usize = 64;

/// The distinct columns of a view, in order of first use. Counting all rows needs none.
pub fn column_sources(view: &View) -> Vec<ColumnSource> {
    let mut sources: Vec<ColumnSource> = Vec::new();
    for aggregate in view.aggregates.iter().filter(|aggregate| aggregate.function.keeps() != Keeps::Nothing) {
        for source in [Some(ColumnSource::of(aggregate)), ColumnSource::order_of(aggregate)].into_iter().flatten() {
            if source.names_a_column() && !sources.iter().any(|s| s.same_text(&source)) {
                sources.push(source);
            }
        }
    }
    sources
}

impl ColumnSource {
    /// Where an aggregate takes its values from.
    fn of(aggregate: &Aggregate) -> ColumnSource {
        let sketch = matches!(aggregate.function.keeps(), Keeps::Summary(SummaryKind::Registers { .. }));
        ColumnSource { of: aggregate.of.clone(), filter: aggregate.filter.clone(), sketch }
    }

    /// Where an aggregate takes what it compares rows by from. The filter is on the values already.
    fn order_of(aggregate: &Aggregate) -> Option<ColumnSource> {
        let order = aggregate.order.clone()?;
        Some(ColumnSource { of: Some(order), filter: None, sketch: false })
    }

    fn names_a_column(&self) -> bool {
        self.of.is_some() || self.filter.is_some()
    }

    /// Whether an aggregate takes its values from this column.
    pub fn feeds(&self, aggregate: &Aggregate) -> bool {
        self.same_text(&ColumnSource::of(aggregate))
    }

    /// Equal in text, wherever it was written, and stored in the same way.
    pub fn same_text(&self, other: &ColumnSource) -> bool {
        self.sketch == other.sketch && self.same_values(other)
    }

    /// Equal in text, however it is stored.
    pub fn same_values(&self, other: &ColumnSource) -> bool {
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
        let expiry = view.serving_ttl.map(|size| Window { size, offset: Span::ZERO });
        let mut windows: Vec<Window> = view.aggregates.iter().flat_map(|a| a.windows.iter().copied()).collect();
        windows.extend(expiry);
        windows.sort_by_key(|w| (std::cmp::Reverse(w.offset), std::cmp::Reverse(w.size)));
        windows.dedup();
        let mut plan = ViewPlan {
            name: view.name.clone(),
            mode: view.mode,
            expiry: expiry.and_then(|expiry| windows.iter().position(|w| *w == expiry)),
            windows,
            columns: sources.iter().zip(types).map(|(source, t)| ColumnPlan::unused(*t, source.sketch)).collect(),
            summaries: Vec::new(),
            features: Vec::new(),
            feature_start: view.feature_start,
            lifetime_start: view.lifetime_start,
            retracts: false,
            answers_back: None,
            plan_id,
            categories: None,
        };
        for feature in &view.features {
            let aggregate = &view.aggregates[feature.aggregate];
            let place = |source: &ColumnSource| sources.iter().position(|s| s.same_text(source));
            let column = place(&ColumnSource::of(aggregate));
            let order = ColumnSource::order_of(aggregate).and_then(|order| place(&order));
            let length = feature.series.unwrap_or(1);
            let wanted = aggregate.windows.iter().skip(feature.window).take(length);
            let of_plan = |w: &Window| plan.windows.iter().position(|known| known == w).unwrap_or_default();
            let windows: Vec<usize> = wanted.map(of_plan).collect();
            let summary = column.and_then(|column| plan.require(aggregate.function, column, order, &windows));
            let input = aggregate.of.is_some().then(|| column.map(|c| types[c])).flatten();
            plan.features.push(FeaturePlan {
                name: feature.name.clone(),
                function: aggregate.function,
                column,
                summary,
                window: windows.first().copied().unwrap_or_default(),
                series: if feature.series.is_some() { windows } else { Vec::new() },
                data_type: view.feature_type(feature, input, None),
            });
        }
        plan
    }

    /// Notes what a feature needs; gives the summary it is read from.
    fn require(&mut self, function: Function, column: usize, order: Option<usize>, windows: &[usize]) -> Option<usize> {
        let bits = windows.iter().fold(0u64, |bits, w| bits | 1u64.checked_shl(*w as u32).unwrap_or(0));
        let kind = match function.keeps() {
            Keeps::Nothing => return None,
            Keeps::Column(parts) => {
                self.columns[column].require(parts, bits);
                return None;
            }
            Keeps::Summary(kind) => kind,
            Keeps::By { greatest } => SummaryKind::By { order: order?, greatest },
        };
        self.columns[column].stored = true;
        if let SummaryKind::Registers { precision } = kind
            && let Some(sketch) = &mut self.columns[column].sketch
        {
            sketch.precision = sketch.precision.max(precision);
        }
        if let SummaryKind::By { order, .. } = kind {
            self.columns[order].stored = true;
        }
        let shared = |known: &mut SummaryPlan| known.column == column && known.kind.absorb(&kind);
        let place = match self.summaries.iter_mut().position(shared) {
            Some(place) => place,
            None => {
                self.summaries.push(SummaryPlan { kind, column, windows: 0 });
                self.summaries.len() - 1
            }
        };
        self.summaries[place].windows |= bits;
        Some(place)
    }

    /// Whether only the newest row of a key matters: all features are attributes, and no row comes back when a newer one
    /// is taken back.
    pub fn newest_only(&self) -> bool {
        let attribute = |feature: &FeaturePlan| feature.function == Function::Latest;
        !self.retracts
            && self.windows.iter().all(|window| window.offset == Span::ZERO)
            && !self.features.is_empty()
            && self.features.iter().all(attribute)
    }

    /// The instant an answer for `at` speaks of: `at` itself, or the start of its tile.
    pub fn effective_time(&self, at: EventTime) -> EventTime {
        EventTime::from_micros(self.reference(at.micros()))
    }

    /// Whether `at` lies too far behind `now` for a row to answer for it.
    pub fn is_unsettled(&self, at: EventTime, now: EventTime) -> bool {
        self.answers_back.is_some_and(|back| at < now - back)
    }

    /// Whether `at` lies before the view's `feature_start`: every feature is null then, counts included.
    pub fn before_start(&self, at: EventTime) -> bool {
        self.feature_start.is_some_and(|start| self.effective_time(at) < start)
    }

    /// Whether equal event times must be told apart by position: `last` does, and so do strings, whose words in
    /// memory have no order of their own.
    pub fn keeps_positions(&self) -> bool {
        self.columns.iter().any(|c| c.last || c.stored && c.data_type == DataType::String)
            || self.summaries.iter().any(|s| s.kind.is_ordered())
    }

    /// Identifies what rows look like: rows of another layout are not read.
    pub fn layout_tag(&self) -> u32 {
        let mut text = format!("2 {:?} {:?} {:?} {:?}", self.mode, self.windows, self.columns, self.summaries);
        if let Some(categories) = &self.categories {
            text.push_str(&format!(" by {:?}", categories.data_type));
        }
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

    /// First instant at which an event at `time` counts in a window of this offset, in microseconds.
    pub(crate) fn enters(&self, offset: Span, time: i64) -> i64 {
        let shifted = time.saturating_sub(offset.micros());
        match self.mode {
            Mode::Continuous | Mode::Sawtooth(_) => shifted,
            Mode::Interval(tile) => after(shifted, tile),
            Mode::Batch { schedule, delay } => after(shifted, schedule).saturating_add(delay.micros()),
        }
    }

    /// First instant at which it counts in window `w` no more.
    pub(crate) fn leaves(&self, w: usize, time: i64) -> i64 {
        let window = self.windows[w];
        let length = window.size.micros().saturating_sub(window.offset.micros());
        let shifted = time.saturating_add(length);
        match self.mode {
            Mode::Continuous => shifted,
            Mode::Interval(tile) => after(shifted, tile),
            Mode::Batch { schedule, delay } => after(shifted, schedule).saturating_add(delay.micros()),
            Mode::Sawtooth(step) => after(time, step).saturating_add(length),
        }
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

/// The first multiple of `step` after `time`.
pub(crate) fn after(time: i64, step: Span) -> i64 {
    let step = step.micros().max(1);
    time.div_euclid(step).saturating_mul(step).saturating_add(step)
}

impl ColumnPlan {
    fn unused(input: DataType, sketch: bool) -> ColumnPlan {
        ColumnPlan {
            data_type: if sketch { DataType::Int64 } else { input },
            sketch: sketch.then_some(SketchPlan { precision: 0, input }),
            stored: false,
            sum: false,
            squares: false,
            min: false,
            max: false,
            last: false,
            windows: 0,
        }
    }

    fn require(&mut self, parts: Parts, windows: u64) {
        self.windows |= windows;
        self.stored |= parts.values;
        self.sum |= parts.sum;
        self.squares |= parts.squares;
        self.min |= parts.min;
        self.max |= parts.max;
        self.last |= parts.last;
    }

    pub fn in_window(&self, w: usize) -> bool {
        self.windows >> w & 1 == 1
    }
}

impl SketchPlan {
    /// The sketch word of a value, given as a batch gives it: strings as places in a heap.
    pub fn word(&self, word: u64, heap: &[u8]) -> u64 {
        match self.input {
            DataType::String => self.of_text(heap_bytes(heap, word)),
            _ => hyperloglog::sketch_word(&word.to_be_bytes(), self.precision),
        }
    }

    /// The sketch word of a string.
    pub fn of_text(&self, text: &[u8]) -> u64 {
        hyperloglog::sketch_word(text, self.precision)
    }
}
