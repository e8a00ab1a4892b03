//! Where things stand in a slice and in a core: sizes that come from the plan, computed once.

use std::cmp::Ordering;
use std::ops::Range;

use freshet_config::definitions::{Mode, Window};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::DataType;

use super::limits::ValueLimit;
use super::parts::{Part, Parts, Written};
use super::strings::Strings;
use crate::batch::heap_bytes;
use crate::exact::Scale;
use crate::view::{SketchPlan, ViewPlan};

/// No slice has a value.
pub(super) const NO_SLICE: u64 = u64::MAX;

/// Low bits of a slice's first word that hold null flags; the time is above them.
pub(super) const FLAG_BITS: u32 = 10;

/// A slice is `stride` words: `[time << 10 | null flags][position]?[null word]?[value of each stored column]`.
///
/// Null flags are in the first word while they fit, else in a word of their own.
#[derive(Clone, Debug)]
pub struct Layout {
    pub plan: ViewPlan,
    /// [`ViewPlan::layout_tag`], kept because every row carries it.
    pub(super) tag: u32,
    pub(super) stride: usize,
    pub(super) has_position: bool,
    pub(super) null_word: Option<usize>,
    pub(super) columns: Vec<StoredColumn>,
    pub(super) has_strings: bool,
    /// A slice is a time and one double.
    pub(super) only_doubles: bool,
    /// Distinct window offsets; windows refer to them.
    pub(super) edges: Vec<Span>,
    pub(super) windows: Vec<StoredWindow>,
    /// Words that are derived for a dense key: per window `current` and `leaving`, per edge `pending`, per (last column,
    /// edge) the newest slice; then the cores.
    pub(super) derived_words: usize,
    /// The cell of a column in a window's core: `window * columns + column`. Meaningful where the column has the window.
    pub(super) cells: Vec<u32>,
    /// Windows of each edge.
    pub(super) edge_windows: Vec<Range<usize>>,
    /// What is added to the reference instant: per window for its lower bound, per edge for its upper one.
    lower_shift: Vec<i64>,
    upper_shift: Vec<i64>,
    /// Microseconds; 0 when every instant is its own reference.
    tile: i64,
    /// Subtracted from an instant before its tile is found.
    delay: i64,
    /// What lower bounds of a sawtooth view are multiples of; else 0.
    step: i64,
    pub(super) extremes: Vec<Extreme>,
    /// Columns with `last`.
    pub(super) lasts: Vec<usize>,
    /// Summaries that a dense key keeps once per edge, and those it keeps per window.
    pub(super) edge_parts: Vec<Part>,
    pub(super) window_parts: Vec<Part>,
    /// Per window the summaries of its core, in the order of the plan.
    pub(super) written: Vec<Vec<Written>>,
    /// What functions may tell apart, and the least of it: `usize::MAX` where there is no such function.
    pub(super) limits: Vec<ValueLimit>,
    pub(super) least_limit: usize,
    /// Whether equal strings are equal words.
    pub(super) interned: bool,
    /// [`ViewPlan::newest_only`].
    pub(super) newest_only: bool,
    /// Events before it are not admitted, microseconds.
    pub(super) start: i64,
}

#[derive(Clone, Debug)]
pub(super) struct StoredColumn {
    pub data_type: DataType,
    /// Which word of a slice holds the value; `None` when only nulls matter.
    pub word: Option<usize>,
    /// Set when sums are kept.
    pub scale: Option<Scale>,
    pub squares: bool,
    pub is_string: bool,
    /// Set when the word is a sketch of the value.
    pub sketch: Option<SketchPlan>,
    /// A bit per window.
    pub windows: u64,
}

#[derive(Clone, Debug)]
pub(super) struct StoredWindow {
    /// Index into [`Layout::edges`].
    pub edge: usize,
    /// Derived word that counts rows.
    pub rows: usize,
    pub cells: Vec<Cell>,
}

/// What a window's core keeps of one column: `[count][sum 3 words]?[squares 4 words]?`.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub column: usize,
    pub at: usize,
}

/// A suffix list of minima or maxima of one column, for the windows of one edge.
#[derive(Clone, Debug)]
pub(super) struct Extreme {
    pub column: usize,
    pub edge: usize,
    pub is_max: bool,
}

impl Layout {
    pub fn new(plan: ViewPlan) -> Layout {
        let has_position = plan.keeps_positions();
        let mut stride = 1 + usize::from(has_position);
        let null_word = (plan.columns.len() > FLAG_BITS as usize).then_some(stride);
        stride += usize::from(null_word.is_some());
        let mut columns = Vec::new();
        for column in &plan.columns {
            let word = column.stored.then_some(stride);
            stride += usize::from(column.stored);
            columns.push(StoredColumn {
                data_type: column.data_type,
                word,
                scale: if column.sum { Scale::of(column.data_type) } else { None },
                squares: column.squares,
                windows: column.windows,
                is_string: column.stored && column.data_type == DataType::String,
                sketch: column.sketch,
            });
        }
        let mut edges: Vec<Span> = plan.windows.iter().map(|w| w.offset).collect();
        edges.dedup();
        let lasts: Vec<usize> = (0..plan.columns.len()).filter(|c| plan.columns[*c].last).collect();
        let mut derived_words = 2 * plan.windows.len() + edges.len() * (1 + lasts.len());
        let mut table = vec![0; plan.windows.len() * columns.len()];
        let mut windows = Vec::new();
        for (w, window) in plan.windows.iter().enumerate() {
            let rows = derived_words;
            derived_words += 1;
            let mut cells = Vec::new();
            for (c, column) in columns.iter().enumerate().filter(|(c, _)| plan.columns[*c].in_window(w)) {
                table[w * columns.len() + c] = derived_words as u32;
                cells.push(Cell { column: c, at: derived_words });
                derived_words += 1 + 3 * usize::from(column.scale.is_some()) + 4 * usize::from(column.squares);
            }
            let edge = edges.iter().position(|e| *e == window.offset).unwrap_or_default();
            windows.push(StoredWindow { edge, rows, cells });
        }
        let mut extremes = Vec::new();
        for (c, column) in plan.columns.iter().enumerate() {
            for edge in 0..edges.len() {
                if column.min {
                    extremes.push(Extreme { column: c, edge, is_max: false });
                }
                if column.max {
                    extremes.push(Extreme { column: c, edge, is_max: true });
                }
            }
        }
        let with_edge = |edge: usize| {
            let of_edge = |w: &&StoredWindow| w.edge == edge;
            let first = windows.iter().position(|w| w.edge == edge).unwrap_or(0);
            first..first + windows.iter().filter(of_edge).count()
        };
        let edge_windows = (0..edges.len()).map(with_edge).collect();
        let parts = Parts::of(&plan, &windows, edges.len());
        let limits = ValueLimit::of_plan(&plan, &parts);
        let least_limit = limits.iter().map(|limit| limit.most).min().unwrap_or(usize::MAX);
        let of_text = |c: usize| plan.columns[c].data_type == DataType::String;
        let interned = plan.summaries.iter().any(|s| s.kind.is_distinct() && of_text(s.column));
        let closed_above = i64::from(matches!(plan.mode, Mode::Continuous | Mode::Sawtooth(_)));
        // A sawtooth window begins at a step, and that is in it.
        let open_below = i64::from(plan.mode == Mode::Continuous);
        let lower = |w: &Window| w.offset.micros().saturating_sub(w.size.micros()).saturating_add(open_below);
        let lower_shift = plan.windows.iter().map(lower).collect();
        let upper_shift = edges.iter().map(|offset| offset.micros().saturating_add(closed_above)).collect();
        let tile = match plan.mode {
            Mode::Continuous | Mode::Sawtooth(_) => 0,
            Mode::Interval(tile) | Mode::Batch { schedule: tile, .. } => tile.micros().max(1),
        };
        let delay = if let Mode::Batch { delay, .. } = plan.mode { delay.micros() } else { 0 };
        let step = if let Mode::Sawtooth(step) = plan.mode { step.micros().max(1) } else { 0 };
        let tag = plan.layout_tag();
        let newest_only = plan.newest_only();
        let start = plan.lifetime_start.map_or(i64::MIN, EventTime::micros);
        let has_strings = columns.iter().any(|c| c.is_string);
        let is_double = |c: &StoredColumn| c.data_type == DataType::Float64 && c.word == Some(1);
        let only_doubles = stride == 2 && columns.len() == 1 && columns.iter().all(is_double);
        Layout {
            plan,
            tag,
            stride,
            has_position,
            null_word,
            columns,
            has_strings,
            only_doubles,
            edges,
            windows,
            derived_words,
            cells: table,
            edge_windows,
            lower_shift,
            upper_shift,
            tile,
            delay,
            step,
            extremes,
            lasts,
            edge_parts: parts.edges,
            window_parts: parts.windows,
            written: parts.written,
            limits,
            least_limit,
            interned,
            newest_only,
            start,
        }
    }

    /// The canonical order of slices: time, then position where it is kept, then values and nulls. Total: slices that
    /// compare equal are interchangeable.
    #[inline(always)]
    pub(super) fn order(&self, strings: &Strings, a: &[u64], b: &[u64]) -> Ordering {
        if self.has_strings { self.order_with_strings(strings, a, b) } else { order(a, b) }
    }

    /// Words of strings name places in memory: what follows time and position is compared as text.
    fn order_with_strings(&self, strings: &Strings, a: &[u64], b: &[u64]) -> Ordering {
        let placed = time_of(a).cmp(&time_of(b)).then_with(|| a[1].cmp(&b[1]));
        placed.then_with(|| self.nulls(a).cmp(&self.nulls(b))).then_with(|| {
            let nulls = self.nulls(a);
            let held = self.columns.iter().enumerate().filter(|(c, _)| nulls >> c & 1 == 0);
            let words = held.filter_map(|(_, column)| Some((column.word?, column.is_string)));
            let compared = words.map(|(word, is_string)| match is_string {
                true => strings.compare(a[word], b[word]),
                false => a[word].cmp(&b[word]),
            });
            compared.into_iter().find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        })
    }

    /// [`Layout::order`] of two events of one time and position, each as its null bits and a word per column of the plan,
    /// strings as places in `heap`.
    pub fn order_tied(&self, heap: &[u8], a: (u64, &[u64]), b: (u64, &[u64])) -> Ordering {
        let stored = || self.columns.iter().enumerate().filter(|(_, column)| column.word.is_some());
        if self.has_strings {
            let held = stored().filter(|(c, _)| a.0 >> c & 1 == 0);
            let compared = held.map(|(c, column)| match column.is_string {
                true => heap_bytes(heap, a.1[c]).cmp(heap_bytes(heap, b.1[c])),
                false => a.1[c].cmp(&b.1[c]),
            });
            return a.0.cmp(&b.0).then_with(|| compared.into_iter().find(|o| o.is_ne()).unwrap_or(Ordering::Equal));
        }
        let word = |(nulls, words): (u64, &[u64]), c: usize| if nulls >> c & 1 == 1 { 0 } else { words[c] };
        let words = || stored().map(|(c, _)| word(a, c)).cmp(stored().map(|(c, _)| word(b, c)));
        let nulls = a.0.cmp(&b.0);
        if self.null_word.is_some() { nulls.then_with(words) } else { words().then(nulls) }
    }

    /// T, or the start of the tile it lies in.
    #[inline(always)]
    pub(super) fn reference(&self, at: i64) -> i64 {
        if self.tile == 0 { at } else { floor(at.saturating_sub(self.delay), self.tile) }
    }

    /// [`ViewPlan::lower`] for a reference instant.
    #[inline(always)]
    pub(super) fn lower(&self, w: usize, reference: i64) -> i64 {
        let edge = reference.saturating_add(self.lower_shift[w]);
        if self.step == 0 { edge } else { floor(edge, self.step) }
    }

    /// [`ViewPlan::upper`] for a reference instant.
    #[inline(always)]
    pub(super) fn upper(&self, edge: usize, reference: i64) -> i64 {
        reference.saturating_add(self.upper_shift[edge])
    }

    /// The length of the shortest window, at most a year.
    pub(super) fn shortest_window_us(&self) -> i64 {
        let sizes = self.plan.windows.iter().map(|window| window.size.micros());
        sizes.min().unwrap_or(0).min(366 * 86_400_000_000)
    }

    /// [`ViewPlan::reach`] for a reference instant.
    #[inline(always)]
    pub(super) fn reach(&self, reference: i64) -> i64 {
        (0..self.windows.len()).map(|w| self.lower(w, reference)).min().unwrap_or(reference)
    }

    /// Derived word: first slice that the window still counts.
    #[inline(always)]
    pub(super) fn current(&self, w: usize) -> usize {
        w
    }

    /// Derived word: first slice that the window still counts when the lease ends.
    #[inline(always)]
    pub(super) fn leaving(&self, w: usize) -> usize {
        self.windows.len() + w
    }

    /// Derived word: first slice that the edge's windows do not count yet.
    #[inline(always)]
    pub(super) fn pending(&self, edge: usize) -> usize {
        2 * self.windows.len() + edge
    }

    /// Derived word: the newest closed slice with a value of the `k`th column of `lasts`, [`NO_SLICE`] if none.
    #[inline(always)]
    pub(super) fn newest(&self, k: usize, edge: usize) -> usize {
        2 * self.windows.len() + self.edges.len() * (1 + k) + edge
    }

    /// How many derived words are slice numbers.
    pub(super) fn cursors(&self) -> usize {
        2 * self.windows.len() + self.edges.len()
    }

    /// The null bits of a slice, one per column.
    #[inline(always)]
    pub(super) fn nulls(&self, slice: &[u64]) -> u64 {
        match self.null_word {
            None => slice[0] & ((1 << FLAG_BITS) - 1),
            Some(word) => slice[word],
        }
    }
}

/// The last multiple of `step` at or before `at`.
#[inline(always)]
fn floor(at: i64, step: i64) -> i64 {
    at.div_euclid(step).saturating_mul(step)
}

#[inline(always)]
pub(super) fn time_of(slice: &[u64]) -> i64 {
    (slice[0] as i64) >> FLAG_BITS
}

/// [`Layout::order`] of slices without strings: all words after the first compare as they are.
#[inline(always)]
pub(super) fn order(a: &[u64], b: &[u64]) -> Ordering {
    time_of(a).cmp(&time_of(b)).then_with(|| a[1..].cmp(&b[1..])).then_with(|| a[0].cmp(&b[0]))
}

/// A word that compares as the value does, as an unsigned integer. Not for strings.
#[inline(always)]
pub(crate) fn order_word(word: u64, data_type: DataType) -> u64 {
    match data_type {
        DataType::Float32 | DataType::Float64 => word ^ (((word as i64 >> 63) as u64) | 1 << 63),
        _ => word ^ 1 << 63,
    }
}

/// The word an [`order_word`] came from.
#[inline(always)]
pub(crate) fn value_word(order: u64, data_type: DataType) -> u64 {
    match data_type {
        DataType::Float32 | DataType::Float64 => order ^ (((!order as i64 >> 63) as u64) | 1 << 63),
        _ => order ^ 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_words_compare_as_values() {
        let doubles = [-1e300, -2.0, -1.0, -1e-310, 0.0, 1e-310, 0.5, 1.0, 1e300];
        for pair in doubles.windows(2) {
            let word = |x: f64| order_word(x.to_bits(), DataType::Float64);
            assert!(word(pair[0]) < word(pair[1]), "{pair:?}");
            assert_eq!(value_word(word(pair[0]), DataType::Float64), pair[0].to_bits());
        }
        for pair in [i64::MIN, -7, -1, 0, 1, i64::MAX].windows(2) {
            let word = |x: i64| order_word(x as u64, DataType::Int64);
            assert!(word(pair[0]) < word(pair[1]));
            assert_eq!(value_word(word(pair[0]), DataType::Int64), pair[0] as u64);
        }
    }
}
