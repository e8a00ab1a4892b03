//! A key with many slices: exact running cores, cursors and suffix lists, so that a row costs what changes.
//!
//! Law: `core[w]` is the exact fold of the closed slices with `lower(w, lease) <= time < upper(w, core_at)`: what still
//! counts when the lease ends. A slice is added to a core once, when it is closed, and subtracted once, when a renewed
//! lease outlives it. Cursors are slice numbers: `current[w]` is the first slice with `time >= lower(w, core_at)`,
//! `leaving[w]` the first with `time >= lower(w, lease)`, `pending[e]` the first with `time >= upper(e, core_at)`.

use std::cmp::Ordering;

use freshet_config::value::DataType;

use super::layout::{Extreme, Layout, order, order_word, time_of, value_word};
use super::strings::Strings;
use crate::exact::{Lane, Moments, Wide};
use crate::row::codec;

pub(super) struct Dense {
    /// Slices in canonical order up to `sorted`, as they came behind it.
    slices: Vec<u64>,
    /// Slices before this one are dead.
    head: usize,
    sorted: usize,
    unordered: bool,
    /// The key's header; `u32::MAX` when this place is free.
    pub slot: u32,
    pub core_at: i64,
    /// Last instant that rows answer for.
    pub lease: i64,
    /// Length of the next lease, microseconds.
    pub lease_length: i64,
    /// Became dense since the last close.
    pub fresh: bool,
    /// The wheel holds an entry for this key.
    pub armed: bool,
    current: Box<[usize]>,
    leaving: Box<[usize]>,
    pending: Box<[usize]>,
    /// Per window: `lower` at `core_at`; per edge: `upper` at `core_at`.
    lower_now: Box<[i64]>,
    upper_now: Box<[i64]>,
    derived: Cores,
    /// Per (last column, edge): the newest closed slice with a value.
    lasts: Box<[Option<usize>]>,
}

/// What is folded from closed slices.
struct Cores {
    /// Per window: `lower` at the lease.
    lower_lease: Box<[i64]>,
    words: Box<[u64]>,
    /// Per extreme of the layout: (time, value), each strictly better than all after it.
    extremes: Box<[Vec<(i64, u64)>]>,
    /// Doubles outside the lanes, per cell: its word, how many, their sums.
    wide: Vec<(usize, u64, Wide)>,
}

/// Bytes and slices of an encoded row.
pub(super) struct Encoded {
    pub slices: usize,
}

impl Dense {
    pub fn new(layout: &Layout, slot: u32, core_at: i64, lease_length: i64) -> Dense {
        let plan = &layout.plan;
        let (w, e) = (layout.windows.len(), layout.edges.len());
        let lease = core_at + lease_length;
        Dense {
            slices: Vec::with_capacity(48 * layout.stride),
            head: 0,
            sorted: 0,
            unordered: false,
            slot,
            core_at,
            lease,
            lease_length,
            fresh: true,
            armed: false,
            current: vec![0; w].into(),
            leaving: vec![0; w].into(),
            pending: vec![0; e].into(),
            lower_now: (0..w).map(|w| plan.lower(w, core_at)).collect(),
            upper_now: layout.edges.iter().map(|e| plan.upper(*e, core_at)).collect(),
            derived: Cores {
                lower_lease: (0..w).map(|w| plan.lower(w, lease)).collect(),
                words: vec![0; layout.core_words].into(),
                extremes: vec![Vec::new(); layout.extremes.len()].into(),
                wide: Vec::new(),
            },
            lasts: vec![None; layout.lasts.len() * e].into(),
        }
    }

    /// Slices held, dead ones included.
    fn len(&self, layout: &Layout) -> usize {
        self.slices.len() / layout.stride
    }

    pub fn live(&self, layout: &Layout) -> usize {
        self.len(layout) - self.head
    }

    pub fn live_words(&self, layout: &Layout) -> &[u64] {
        &self.slices[self.head * layout.stride..]
    }

    #[inline(always)]
    fn slice(&self, layout: &Layout, i: usize) -> &[u64] {
        &self.slices[i * layout.stride..][..layout.stride]
    }

    #[inline(always)]
    fn time(&self, layout: &Layout, i: usize) -> i64 {
        (self.slices[i * layout.stride] as i64) >> super::layout::FLAG_BITS
    }

    /// Adds one slice; its place is found at the close.
    #[inline(always)]
    pub fn push(&mut self, layout: &Layout, slice: &[u64], strings: &Strings) {
        if self.slices.len() + layout.stride > self.slices.capacity() {
            self.make_room(layout);
        }
        if let Some(last) = self.slices.len().checked_sub(layout.stride) {
            self.unordered |= layout.order(strings, slice, &self.slices[last..]).is_lt();
        }
        self.slices.extend_from_slice(slice);
    }

    /// Full: first reclaim dead slices in front, else grow by a quarter.
    #[cold]
    fn make_room(&mut self, layout: &Layout) {
        if self.head > 4 && self.head * 8 >= self.len(layout) {
            self.compact(layout);
        } else {
            let more = (self.len(layout) / 4).max(16) * layout.stride;
            self.slices.reserve_exact(more);
        }
    }

    fn compact(&mut self, layout: &Layout) {
        let cut = std::mem::take(&mut self.head);
        self.slices.drain(..cut * layout.stride);
        let cursors = self.current.iter_mut().chain(self.leaving.iter_mut()).chain(self.pending.iter_mut());
        cursors.for_each(|c| *c -= cut);
        self.lasts.iter_mut().for_each(|l| *l = l.and_then(|i| i.checked_sub(cut)));
        self.sorted = self.sorted.saturating_sub(cut);
    }

    /// Takes out a slice for each of `back`, which are in canonical order; gives how many were not found.
    pub fn take_back(&mut self, layout: &Layout, back: &[u64], strings: &mut Strings) -> usize {
        self.settle(layout, strings);
        let stride = layout.stride;
        let (mut to, n) = (self.head, self.len(layout));
        let (mut back, mut missing) = (back.chunks_exact(stride).peekable(), 0);
        for from in self.head..n {
            let place = from * stride..(from + 1) * stride;
            let slice = &self.slices[place.clone()];
            while back.next_if(|b| layout.order(strings, b, slice).is_lt()).is_some() {
                missing += 1;
            }
            if back.next_if(|b| layout.order(strings, b, slice).is_eq()).is_some() {
                release(layout, slice, strings);
            } else {
                self.slices.copy_within(place, to * stride);
                to += 1;
            }
        }
        if to < n {
            self.slices.truncate(to * stride);
            self.rebuild_cores(layout);
        }
        missing + back.count()
    }

    /// Sorts what came since the last close, and merges the late part into the settled one.
    fn settle(&mut self, layout: &Layout, strings: &Strings) {
        let n = self.len(layout);
        let settled = std::mem::replace(&mut self.sorted, n);
        if std::mem::take(&mut self.unordered) {
            sort_slices(layout, &mut self.slices[settled * layout.stride..], strings);
            if settled > self.head && settled < n {
                let late = self.late_after(layout, settled, strings);
                if late > 0 {
                    self.merge_late(layout, settled, late, strings);
                }
            }
        }
        for w in 0..self.leaving.len() {
            let mut i = self.leaving[w];
            while i < n && self.time(layout, i) < self.derived.lower_lease[w] {
                i += 1;
            }
            self.leaving[w] = i;
        }
    }

    /// How many of the newly sorted slices belong before the last settled one.
    fn late_after(&self, layout: &Layout, settled: usize, strings: &Strings) -> usize {
        let last = self.slice(layout, settled - 1);
        let fresh = self.slices[settled * layout.stride..].chunks_exact(layout.stride);
        fresh.take_while(|slice| layout.order(strings, slice, last).is_lt()).count()
    }

    fn merge_late(&mut self, layout: &Layout, settled: usize, late: usize, strings: &Strings) {
        let stride = layout.stride;
        let arrivals = self.slices[settled * stride..(settled + late) * stride].to_vec();
        let (mut from, mut to, mut left) = (settled, settled + late, late);
        while left > 0 {
            to -= 1;
            let arrival = &arrivals[(left - 1) * stride..left * stride];
            if from > self.head && layout.order(strings, self.slice(layout, from - 1), arrival).is_gt() {
                from -= 1;
                self.slices.copy_within(from * stride..(from + 1) * stride, to * stride);
            } else {
                left -= 1;
                self.slices[to * stride..(to + 1) * stride].copy_from_slice(arrival);
            }
        }
        for arrival in arrivals.chunks_exact(stride) {
            self.count_late(layout, arrival, strings);
        }
        self.find_lasts(layout);
    }

    /// A late slice shifts the cursors behind it, and joins the cores if it is closed already.
    fn count_late(&mut self, layout: &Layout, slice: &[u64], strings: &Strings) {
        let time = time_of(slice);
        for w in 0..layout.windows.len() {
            self.current[w] += usize::from(time < self.lower_now[w]);
            self.leaving[w] += usize::from(time < self.derived.lower_lease[w]);
        }
        for edge in 0..layout.edges.len() {
            if time < self.upper_now[edge] {
                self.pending[edge] += 1;
                self.derived.add(layout, slice, edge);
                for (k, extreme) in layout.extremes.iter().enumerate().filter(|(_, x)| x.edge == edge) {
                    if let Some(value) = extreme_word(layout, extreme, slice) {
                        insert_late(layout, extreme, &mut self.derived.extremes[k], time, value, strings);
                    }
                }
            }
        }
    }

    fn find_lasts(&mut self, layout: &Layout) {
        for (k, column) in layout.lasts.iter().enumerate() {
            for (edge, pending) in self.pending.iter().enumerate() {
                let newest = (self.head..*pending).rev().find(|i| {
                    let slice = &self.slices[i * layout.stride..][..layout.stride];
                    layout.nulls(slice) >> column & 1 == 0
                });
                self.lasts[k * layout.edges.len() + edge] = newest;
            }
        }
    }

    /// Closes slices up to instant `at`, and drops what no window can reach any more.
    pub fn advance(&mut self, layout: &Layout, at: i64, strings: &mut Strings) {
        self.settle(layout, strings);
        self.core_at = at;
        let n = self.len(layout);
        for edge in 0..layout.edges.len() {
            let upper = layout.plan.upper(layout.edges[edge], at);
            self.upper_now[edge] = upper;
            let mut i = self.pending[edge];
            while i < n && self.time(layout, i) < upper {
                self.close(layout, i, edge, strings);
                i += 1;
            }
            self.pending[edge] = i;
        }
        for w in 0..layout.windows.len() {
            let lower = layout.plan.lower(w, at);
            self.lower_now[w] = lower;
            let mut i = self.current[w];
            while i < n && self.time(layout, i) < lower {
                i += 1;
            }
            self.current[w] = i;
        }
        // An overrun lease: the cores must forget slices before these go.
        if self.lease < at {
            self.renew(layout, at);
        }
        self.drop_dead(layout, strings);
    }

    #[inline(always)]
    fn close(&mut self, layout: &Layout, i: usize, edge: usize, strings: &Strings) {
        let slice = &self.slices[i * layout.stride..][..layout.stride];
        self.derived.add(layout, slice, edge);
        self.derived.push_extremes(layout, slice, edge, strings);
        for (k, column) in layout.lasts.iter().enumerate() {
            if layout.nulls(slice) >> column & 1 == 0 {
                self.lasts[k * layout.edges.len() + edge] = Some(i);
            }
        }
    }

    fn drop_dead(&mut self, layout: &Layout, strings: &mut Strings) {
        let dead = self.current.iter().copied().min().unwrap_or(self.head);
        if dead <= self.head {
            return;
        }
        let reach = self.lower_now.iter().copied().min().unwrap_or(i64::MIN);
        for list in &mut self.derived.extremes {
            let gone = list.iter().take_while(|(time, _)| *time < reach).count();
            list.drain(..gone);
        }
        if layout.has_strings {
            for i in self.head..dead {
                release(layout, &self.slices[i * layout.stride..][..layout.stride], strings);
            }
        }
        for last in &mut self.lasts {
            *last = last.filter(|i| *i >= dead);
        }
        self.head = dead;
        let capacity = self.slices.capacity() / layout.stride;
        if capacity > 64 && self.live(layout) * 4 < capacity {
            self.compact(layout);
            self.slices.shrink_to(self.slices.len() * 2);
        }
    }

    /// Moves the end of the lease: what leaves before it is subtracted from the cores.
    pub fn renew(&mut self, layout: &Layout, lease: i64) {
        if lease <= self.lease {
            return;
        }
        self.lease = lease;
        let n = self.len(layout);
        for (w, window) in layout.windows.iter().enumerate() {
            let lower = layout.plan.lower(w, lease);
            self.derived.lower_lease[w] = lower;
            let pending = self.pending[window.edge];
            let mut i = self.leaving[w];
            while i < n && self.time(layout, i) < lower {
                if i < pending {
                    let slice = &self.slices[i * layout.stride..][..layout.stride];
                    self.derived.subtract(layout, slice, w);
                }
                i += 1;
            }
            self.leaving[w] = i;
        }
    }

    /// Forgets everything derived; the next `advance` derives it again from slices that are in order.
    fn rebuild_cores(&mut self, layout: &Layout) {
        let plan = &layout.plan;
        self.slices.drain(..self.head * layout.stride);
        self.head = 0;
        self.sorted = self.len(layout);
        self.current.fill(0);
        self.leaving.fill(0);
        self.pending.fill(0);
        self.derived.words.fill(0);
        self.derived.wide.clear();
        self.lasts.fill(None);
        self.derived.extremes.iter_mut().for_each(Vec::clear);
        for w in 0..layout.windows.len() {
            self.lower_now[w] = plan.lower(w, self.core_at);
            self.derived.lower_lease[w] = plan.lower(w, self.lease);
        }
        self.upper_now.fill(i64::MIN);
    }

    /// Writes what a row of a dense key holds behind its head: number of slices, cores, slices.
    pub fn encode(&self, layout: &Layout, strings: &Strings, out: &mut Vec<u8>) -> Encoded {
        let mut ranges = [(0usize, 0usize); MAX_RANGES];
        let ranges = self.row_ranges(layout, &mut ranges);
        let slices = ranges.iter().map(|(from, to)| to - from).sum();
        codec::put_varint(out, slices as u64);
        for w in 0..layout.windows.len() {
            self.encode_core(layout, w, strings, out);
        }
        let mut before = None;
        for (from, to) in ranges {
            let words = &self.slices[from * layout.stride..to * layout.stride];
            put_slices(layout, words, self.core_at, &mut before, strings, out);
        }
        Encoded { slices }
    }

    /// Slices that leave or enter some window before the lease ends, as ascending disjoint ranges.
    fn row_ranges<'a>(&self, layout: &Layout, ranges: &'a mut [(usize, usize); MAX_RANGES]) -> &'a [(usize, usize)] {
        let n = self.len(layout);
        let mut used = 0;
        for w in 0..layout.windows.len() {
            ranges[used] = (self.current[w], self.leaving[w].max(self.current[w]));
            used += 1;
        }
        for (edge, pending) in self.pending.iter().enumerate() {
            let enters = layout.plan.upper(layout.edges[edge], self.lease);
            let mut end = *pending;
            while end < n && self.time(layout, end) < enters {
                end += 1;
            }
            ranges[used] = (*pending, end);
            used += 1;
        }
        let ranges = &mut ranges[..used];
        ranges.sort_unstable();
        let mut reach = 0;
        for range in ranges.iter_mut() {
            range.0 = range.0.max(reach);
            range.1 = range.1.max(range.0);
            reach = range.1;
        }
        ranges
    }

    fn encode_core(&self, layout: &Layout, w: usize, strings: &Strings, out: &mut Vec<u8>) {
        let window = &layout.windows[w];
        let rows = self.derived.words[window.rows];
        codec::put_varint(out, rows);
        if rows == 0 {
            return;
        }
        for cell in &window.cells {
            let count = self.derived.words[cell.at];
            codec::put_varint(out, rows - count);
            if count == 0 {
                continue;
            }
            let column = &layout.plan.columns[cell.column];
            let stored = &layout.columns[cell.column];
            if column.sum {
                let mut outside = 0;
                if column.data_type.is_float() {
                    let wide = self.derived.wide.iter().find(|(at, ..)| *at == cell.at);
                    outside = wide.map_or(0, |(_, count, _)| *count);
                    codec::put_varint(out, outside);
                    if let Some((_, _, wide)) = wide {
                        wide.write(out);
                    }
                }
                if outside < count {
                    let moments = load(&self.derived.words[cell.at + 1..], stored.squares);
                    codec::put_sum(out, moments.sum);
                    if stored.squares {
                        codec::put_squares(out, moments.squares);
                    }
                }
            }
            for (k, extreme) in layout.extremes.iter().enumerate() {
                if extreme.column == cell.column && extreme.edge == window.edge {
                    let list = &self.derived.extremes[k];
                    // The core is not empty, so its best value is in the list.
                    let best = list.iter().find(|(time, _)| *time >= self.derived.lower_lease[w]);
                    let word = best.map_or(0, |(_, v)| extreme_value(column.data_type, extreme.is_max, *v));
                    put_value(column.data_type, word, strings, out);
                }
            }
            if column.last {
                let k = layout.lasts.iter().position(|c| *c == cell.column).unwrap_or_default();
                let last = self.lasts[k * layout.edges.len() + window.edge].unwrap_or(self.head);
                let word = stored.word.map_or(0, |word| self.slice(layout, last)[word]);
                put_value(column.data_type, word, strings, out);
            }
        }
    }

    pub fn bytes(&self) -> usize {
        let lists: usize = self.derived.extremes.iter().map(|l| l.capacity() * 16).sum();
        let fixed = self.derived.words.len() * 8 + (self.current.len() * 4 + self.pending.len() * 2) * 8;
        self.slices.capacity() * 8 + lists + fixed + self.derived.wide.len() * 1800
    }

    /// Where the next reads will be, for a prefetch.
    pub fn tail_address(&self) -> *const u64 {
        self.slices.as_ptr().wrapping_add(self.slices.len())
    }

    pub fn cursor_addresses(&self, layout: &Layout) -> impl Iterator<Item = *const u64> {
        let stride = layout.stride;
        let base = self.slices.as_ptr();
        let cursors = self.current.iter().chain(self.leaving.iter()).chain(self.pending.iter());
        cursors.map(move |i| base.wrapping_add(i * stride))
    }

    pub fn part_addresses(&self) -> [*const u64; 4] {
        [
            self.derived.words.as_ptr(),
            self.derived.words.as_ptr().wrapping_add(8),
            self.current.as_ptr().cast(),
            self.lower_now.as_ptr().cast(),
        ]
    }
}

impl Cores {
    /// Adds a closed slice to the cores of the windows of an edge that still count it when the lease ends.
    #[inline(always)]
    fn add(&mut self, layout: &Layout, slice: &[u64], edge: usize) {
        let time = time_of(slice);
        let nulls = layout.nulls(slice);
        for (w, window) in layout.windows.iter().enumerate() {
            if window.edge != edge || time < self.lower_lease[w] {
                continue;
            }
            self.words[window.rows] += 1;
            for cell in &window.cells {
                if nulls >> cell.column & 1 == 0 {
                    self.apply(layout, cell.column, cell.at, slice, true);
                }
            }
        }
    }

    #[inline(always)]
    fn apply(&mut self, layout: &Layout, column: usize, at: usize, slice: &[u64], add: bool) {
        let stored = &layout.columns[column];
        let count = &mut self.words[at];
        *count = if add { *count + 1 } else { *count - 1 };
        let (Some(scale), Some(word)) = (stored.scale, stored.word) else { return };
        match Lane::of(slice[word], scale) {
            Some(lane) => {
                let mut moments = load(&self.words[at + 1..], stored.squares);
                if add {
                    moments.add_lane(lane, stored.squares);
                } else {
                    moments.sub_lane(lane, stored.squares);
                }
                store(&mut self.words[at + 1..], &moments, stored.squares);
            }
            None => self.apply_wide(at, slice[word], add),
        }
    }

    #[cold]
    fn apply_wide(&mut self, at: usize, word: u64, add: bool) {
        let i = match self.wide.iter().position(|(cell, ..)| *cell == at) {
            Some(i) => i,
            None => {
                self.wide.push((at, 0, Wide::default()));
                self.wide.len() - 1
            }
        };
        let (_, count, wide) = &mut self.wide[i];
        if add {
            *count += 1;
            wide.add(word);
        } else {
            *count -= 1;
            wide.sub(word);
            if *count == 0 {
                self.wide.swap_remove(i);
            }
        }
    }

    /// Takes a slice out of the core of one window.
    #[inline(always)]
    fn subtract(&mut self, layout: &Layout, slice: &[u64], w: usize) {
        let nulls = layout.nulls(slice);
        let window = &layout.windows[w];
        self.words[window.rows] -= 1;
        for cell in &window.cells {
            if nulls >> cell.column & 1 == 0 {
                self.apply(layout, cell.column, cell.at, slice, false);
            }
        }
    }

    /// Remembers the extremes of a slice that closes now, newer than all before it.
    #[inline(always)]
    fn push_extremes(&mut self, layout: &Layout, slice: &[u64], edge: usize, strings: &Strings) {
        for (k, extreme) in layout.extremes.iter().enumerate() {
            if extreme.edge == edge
                && let Some(value) = extreme_word(layout, extreme, slice)
            {
                let list = &mut self.extremes[k];
                while list.last().is_some_and(|(_, v)| !beats(layout, extreme, *v, value, strings)) {
                    list.pop();
                }
                list.push((time_of(slice), value));
            }
        }
    }
}

/// One range per window and one per edge.
const MAX_RANGES: usize = 2 * crate::view::MAX_WINDOWS;

#[inline(always)]
fn load(words: &[u64], squares: bool) -> Moments {
    let pair = |i: usize| u128::from(words[i]) | u128::from(words[i + 1]) << 64;
    let sum = pair(0) as i128;
    if squares { Moments { sum, squares: [pair(2), pair(4)] } } else { Moments { sum, squares: [0; 2] } }
}

#[inline(always)]
fn store(words: &mut [u64], moments: &Moments, squares: bool) {
    let mut put = |i: usize, value: u128| {
        words[i] = value as u64;
        words[i + 1] = (value >> 64) as u64;
    };
    put(0, moments.sum as u128);
    if squares {
        put(2, moments.squares[0]);
        put(4, moments.squares[1]);
    }
}

/// The word a suffix list keeps: for numbers one that grows with how good the value is, for strings the value's.
#[inline(always)]
fn extreme_word(layout: &Layout, extreme: &Extreme, slice: &[u64]) -> Option<u64> {
    if layout.nulls(slice) >> extreme.column & 1 == 1 {
        return None;
    }
    let column = &layout.columns[extreme.column];
    let word = slice[column.word?];
    Some(match (column.data_type, extreme.is_max) {
        (DataType::String, _) => word,
        (data_type, true) => order_word(word, data_type),
        (data_type, false) => !order_word(word, data_type),
    })
}

fn extreme_value(data_type: DataType, is_max: bool, word: u64) -> u64 {
    match data_type {
        DataType::String => word,
        _ => value_word(if is_max { word } else { !word }, data_type),
    }
}

/// Whether `a` is strictly better than `b`.
#[inline(always)]
fn beats(layout: &Layout, extreme: &Extreme, a: u64, b: u64, strings: &Strings) -> bool {
    if layout.columns[extreme.column].is_string {
        let order = strings.compare(a, b);
        return if extreme.is_max { order == Ordering::Greater } else { order == Ordering::Less };
    }
    a > b
}

/// Inserts a late value into a suffix list: it removes the older values that it beats, and is not needed itself when a
/// newer one is at least as good.
#[cold]
fn insert_late(layout: &Layout, extreme: &Extreme, list: &mut Vec<(i64, u64)>, time: i64, value: u64, s: &Strings) {
    let i = list.iter().position(|(t, _)| *t >= time).unwrap_or(list.len());
    if list.get(i).is_some_and(|(_, newer)| !beats(layout, extreme, value, *newer, s)) {
        return;
    }
    let mut from = i;
    while from > 0 && !beats(layout, extreme, list[from - 1].1, value, s) {
        from -= 1;
    }
    let mut to = i;
    while list.get(to).is_some_and(|(t, _)| *t == time) {
        to += 1;
    }
    list.splice(from..to, [(time, value)]);
}

/// Gives the strings of a slice back.
pub(super) fn release(layout: &Layout, slice: &[u64], strings: &mut Strings) {
    let nulls = layout.nulls(slice);
    for (c, column) in layout.columns.iter().enumerate() {
        if let Some(word) = column.word.filter(|_| column.is_string && nulls >> c & 1 == 0) {
            strings.remove(slice[word]);
        }
    }
}

fn put_value(data_type: DataType, word: u64, strings: &Strings, out: &mut Vec<u8>) {
    match data_type {
        DataType::String => strings.with(word, |text| codec::put_text(out, text)),
        _ => codec::put_word(out, data_type, word),
    }
}

/// Writes slices in order; `before` is the time of the one written last.
#[inline(always)]
pub(super) fn put_slices(
    layout: &Layout,
    words: &[u64],
    as_of: i64,
    before: &mut Option<i64>,
    strings: &Strings,
    out: &mut Vec<u8>,
) {
    for slice in words.chunks_exact(layout.stride) {
        let time = time_of(slice);
        let nulls = layout.nulls(slice);
        let step = match *before {
            Some(before) => (time - before) as u64,
            None => codec::zigzag(as_of - time),
        };
        *before = Some(time);
        codec::put_varint(out, step << 1 | u64::from(nulls != 0));
        if nulls != 0 {
            codec::put_varint(out, nulls);
        }
        for (c, column) in layout.columns.iter().enumerate() {
            if let Some(word) = column.word.filter(|_| nulls >> c & 1 == 0) {
                put_value(column.data_type, slice[word], strings, out);
            }
        }
    }
}

/// Sorts slices into canonical order.
pub(super) fn sort_slices(layout: &Layout, words: &mut [u64], strings: &Strings) {
    fn sort<const N: usize>(words: &mut [u64]) {
        words.as_chunks_mut::<N>().0.sort_unstable_by(|a, b| order(a, b));
    }
    let stride = layout.stride;
    match stride {
        _ if layout.has_strings => sort_any(layout, words, strings),
        1 => sort::<1>(words),
        2 => sort::<2>(words),
        3 => sort::<3>(words),
        4 => sort::<4>(words),
        _ => sort_any(layout, words, strings),
    }
}

fn sort_any(layout: &Layout, words: &mut [u64], strings: &Strings) {
    let mut slices: Vec<Box<[u64]>> = words.chunks_exact(layout.stride).map(Box::from).collect();
    slices.sort_unstable_by(|a, b| layout.order(strings, a, b));
    for (to, from) in words.chunks_exact_mut(layout.stride).zip(slices) {
        to.copy_from_slice(&from);
    }
}
