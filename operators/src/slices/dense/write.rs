//! The row of a dense key: cores, and the slices that leave or enter some window before the lease ends.

use freshet_config::value::DataType;

use super::super::layout::{Layout, StoredColumn, time_of};
use super::super::limits::ValueLimit;
use super::super::strings::Strings;
use super::summaries::{CoreSlices, Slices};
use super::{Dense, cores, extremes};
use crate::row::codec::{self, MAX_NUMBER, RowBuffer};

/// Buffers that rows are encoded with.
#[derive(Default)]
pub(in super::super) struct RowScratch {
    pub row: RowBuffer,
    ranges: Vec<(usize, usize)>,
}

/// What is to be known of a row that was written.
pub(in super::super) struct WrittenRow {
    pub slices: usize,
    /// A window has more distinct values than some function of it may tell apart.
    pub over_limit: bool,
}

impl Dense {
    /// Writes what stands behind the head of a row: number of slices, cores, slices.
    pub fn write(&mut self, layout: &Layout, strings: &Strings, scratch: &mut RowScratch) -> WrittenRow {
        let RowScratch { row, ranges } = scratch;
        let over_limit = layout.limits.iter().any(|limit| self.exceeds(layout, limit));
        self.row_ranges(layout, ranges);
        let slices = ranges.iter().map(|(from, to)| to - from).sum();
        row.varint(slices as u64);
        for w in 0..layout.windows.len() {
            self.write_core(layout, w, strings, row);
            if self.summaries.is_some() {
                self.write_summaries(layout, w, strings, row);
            }
        }
        let mut before = None;
        for (from, to) in ranges {
            let words = &self.slices[*from * layout.stride..*to * layout.stride];
            put_slices(layout, words, self.core_at, &mut before, strings, row);
        }
        WrittenRow { slices, over_limit }
    }

    /// Whether the values of a window are more than a limit: those of its core, and those that leave before the lease ends.
    fn exceeds(&self, layout: &Layout, limit: &ValueLimit) -> bool {
        let pending = self.derived[layout.pending(layout.windows[limit.window].edge)];
        let current = self.derived[layout.current(limit.window)];
        let leaving = self.derived[layout.leaving(limit.window)].min(pending);
        let slices = Slices { layout, words: &self.slices };
        let summaries = self.summaries.as_ref();
        summaries.is_some_and(|summaries| summaries.exceeds(slices, limit, current as usize..leaving as usize))
    }

    /// Slices that leave or enter some window before the lease ends, as ascending disjoint ranges.
    #[inline(always)]
    fn row_ranges(&self, layout: &Layout, ranges: &mut Vec<(usize, usize)>) {
        ranges.clear();
        for w in 0..layout.windows.len() {
            ranges.push((self.derived[layout.current(w)] as usize, self.derived[layout.leaving(w)] as usize));
        }
        let n = self.count;
        for edge in 0..layout.edges.len() {
            let enters = layout.upper(edge, self.then);
            let pending = self.derived[layout.pending(edge)] as usize;
            let mut end = pending;
            while end < n && self.time(layout, end) < enters {
                end += 1;
            }
            ranges.push((pending, end));
        }
        if !ranges.is_sorted() {
            ranges.sort_unstable();
        }
        let mut reach = 0;
        for range in ranges.iter_mut() {
            range.0 = range.0.max(reach);
            range.1 = range.1.max(range.0);
            reach = range.1;
        }
    }

    #[inline(always)]
    fn write_core(&self, layout: &Layout, w: usize, strings: &Strings, row: &mut RowBuffer) {
        let window = &layout.windows[w];
        let rows = self.derived[window.rows];
        row.varint(rows);
        if rows == 0 {
            return;
        }
        for cell in &window.cells {
            let count = self.derived[cell.at];
            row.varint(rows - count);
            if count == 0 {
                continue;
            }
            let column = &layout.columns[cell.column];
            if column.scale.is_some() {
                self.write_sums(column, cell.at, count, row);
            }
            for (extreme, list) in layout.extremes.iter().zip(&self.extremes) {
                if extreme.column == cell.column && extreme.edge == window.edge {
                    let since = layout.lower(w, self.then);
                    // The core is not empty, so its best value is in the list.
                    let best = extremes::best_since(extreme, column.data_type, list, since).unwrap_or_default();
                    put_value(column.data_type, best, strings, row);
                }
            }
            if let Some(k) = layout.lasts.iter().position(|c| *c == cell.column) {
                // The core is not empty, so the newest slice with a value is in it.
                let newest = self.derived[layout.newest(k, window.edge)] as usize;
                let word = column.word.map_or(0, |word| self.slice(layout, newest)[word]);
                put_value(column.data_type, word, strings, row);
            }
        }
    }

    #[inline(never)]
    fn write_summaries(&mut self, layout: &Layout, w: usize, strings: &Strings, row: &mut RowBuffer) {
        let window = &layout.windows[w];
        if self.derived[window.rows] == 0 {
            return;
        }
        let to = self.derived[layout.pending(window.edge)];
        let core = CoreSlices {
            oldest: self.derived[layout.current(w)] as usize,
            from: self.derived[layout.leaving(w)] as usize,
            to: to as usize,
            end: self.first_since(layout, to, layout.upper(window.edge, self.then)),
        };
        let lower = layout.lower(w, self.then);
        if let Some(summaries) = &mut self.summaries {
            let slices = Slices { layout, words: &self.slices };
            summaries.write(slices, w, core, lower, strings, row);
        }
    }

    #[inline(always)]
    fn write_sums(&self, column: &StoredColumn, at: usize, count: u64, row: &mut RowBuffer) {
        let mut outside = 0;
        if column.data_type.is_float() {
            let wide = self.wide.iter().find(|(cell, ..)| *cell == at);
            outside = wide.map_or(0, |(_, count, _)| *count);
            row.varint(outside);
            if let Some((_, _, wide)) = wide {
                row.vector(|out| wide.write(out));
            }
        }
        if outside < count {
            let moments = cores::load(&self.derived[at + 1..], column.squares);
            row.write(2 * MAX_NUMBER, |cursor| {
                cursor.sum(&moments);
                if column.squares {
                    cursor.squares(moments.squares);
                }
            });
        }
    }
}

#[inline(always)]
pub(super) fn put_value(data_type: DataType, word: u64, strings: &Strings, row: &mut RowBuffer) {
    match data_type {
        DataType::String => strings.with(word, |text| row.text(text)),
        _ => row.word(data_type, word),
    }
}

/// Writes slices in order; `before` is the time of the one written last.
#[inline(always)]
pub(in super::super) fn put_slices(
    layout: &Layout,
    words: &[u64],
    as_of: i64,
    before: &mut Option<i64>,
    strings: &Strings,
    row: &mut RowBuffer,
) {
    if layout.only_doubles {
        return put_doubles(words, as_of, before, row);
    }
    for slice in words.chunks_exact(layout.stride) {
        let time = time_of(slice);
        let nulls = layout.nulls(slice);
        row.varint(step_to(time, as_of, before) << 1 | u64::from(nulls != 0));
        if nulls != 0 {
            row.varint(nulls);
        }
        for (c, column) in layout.columns.iter().enumerate() {
            if let Some(word) = column.word.filter(|_| nulls >> c & 1 == 0) {
                put_value(column.data_type, slice[word], strings, row);
            }
        }
    }
}

/// [`put_slices`] for the commonest layout, slices of a time and one double: the same bytes.
#[inline(always)]
fn put_doubles(words: &[u64], as_of: i64, before: &mut Option<i64>, row: &mut RowBuffer) {
    const STRIDE: usize = 2;
    row.write(words.len() / STRIDE * (9 + 8), |cursor| {
        for slice in words.as_chunks::<STRIDE>().0 {
            let null = slice[0] & 1;
            let head = step_to(time_of(slice), as_of, before) << 1 | null;
            if null == 0 && head < 1 << 56 {
                cursor.varint_and_word(head, slice[1]);
                continue;
            }
            cursor.varint(head);
            if null != 0 {
                cursor.varint(null);
            } else {
                cursor.put(slice[1].to_le_bytes(), 8);
            }
        }
    });
}

/// The time of a slice, counted from the slice before or, zigzag, back from `as_of`.
#[inline(always)]
fn step_to(time: i64, as_of: i64, before: &mut Option<i64>) -> u64 {
    match before.replace(time) {
        Some(before) => (time - before) as u64,
        None => codec::zigzag(as_of - time),
    }
}
