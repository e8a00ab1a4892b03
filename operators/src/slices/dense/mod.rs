//! A key with many slices: exact running cores, cursors and suffix lists, so that a row costs what changes.
//!
//! Law: the core of a window is the exact fold of the closed slices with `lower(lease) <= time < upper(core_at)`: what
//! still counts when the lease ends. A slice is added to a core once, when it is closed, and subtracted once, when a
//! renewed lease outlives it. Cursors are slice numbers: `current` is the first slice with `time >= lower(core_at)`,
//! `leaving` the first with `time >= lower(lease)`, `pending` the first with `time >= upper(core_at)`. All of it follows
//! from the slices and the two instants; nothing of it is ever stored.

mod cores;
mod extremes;
mod summaries;
mod write;

use super::layout::{FLAG_BITS, Layout, NO_SLICE, order, time_of};
use super::slab::prefetch;
use super::strings::Strings;
use cores::WideCells;
use extremes::SuffixList;
use summaries::{Slices, Summaries};
pub(super) use write::{RowScratch, WrittenRow, put_slices};

/// In this order, and on lines of its own, because adding a slice should touch one line.
#[repr(C, align(64))]
pub(super) struct Dense {
    /// Slices in canonical order up to `sorted`, as they came behind it.
    slices: Vec<u64>,
    /// Slices held, dead ones included: kept, because dividing by the stride would be most of a cursor's move.
    count: usize,
    /// Slices before this one are dead.
    head: usize,
    sorted: usize,
    /// The key's header; [`FREE`] when this place is free.
    pub slot: u32,
    unordered: bool,
    /// The lease the wheel holds an entry for.
    pub armed: Option<i64>,
    pub core_at: i64,
    /// Last instant that rows answer for.
    pub lease: i64,
    /// Length of the next lease, microseconds.
    pub lease_length: i64,
    /// Reference instants of `core_at` and of `lease`.
    now: i64,
    then: i64,
    /// Cursors and cores: one allocation, laid out by [`Layout`].
    derived: Box<[u64]>,
    /// Per extreme of the layout.
    extremes: Box<[SuffixList]>,
    wide: WideCells,
    /// What the plan's summaries need; `None` where it has none.
    summaries: Option<Box<Summaries>>,
    /// What the store's figures hold for this key.
    pub counted_bytes: usize,
}

/// The slot of a free place.
pub(super) const FREE: u32 = u32::MAX;
/// Slices a new dense key has room for.
const FIRST_SLICES: usize = 48;

impl Dense {
    pub fn new(layout: &Layout, slot: u32, core_at: i64, lease_length: i64) -> Dense {
        let lease = core_at.saturating_add(lease_length);
        let mut dense = Dense {
            slices: Vec::with_capacity(FIRST_SLICES * layout.stride),
            count: 0,
            head: 0,
            sorted: 0,
            slot,
            unordered: false,
            armed: None,
            core_at,
            lease,
            lease_length,
            now: layout.reference(core_at),
            then: layout.reference(lease),
            derived: vec![0; layout.derived_words].into(),
            extremes: vec![SuffixList::new(); layout.extremes.len()].into(),
            wide: WideCells::new(),
            summaries: None,
            counted_bytes: 0,
        };
        dense.forget_derived(layout);
        dense
    }

    /// What stands in a free place.
    pub fn free() -> Dense {
        Dense {
            slices: Vec::new(),
            count: 0,
            head: 0,
            sorted: 0,
            slot: FREE,
            unordered: false,
            armed: None,
            core_at: 0,
            lease: 0,
            lease_length: 0,
            now: 0,
            then: 0,
            derived: Box::default(),
            extremes: Box::default(),
            wide: WideCells::new(),
            summaries: None,
            counted_bytes: 0,
        }
    }

    #[inline(always)]
    pub fn live(&self) -> usize {
        self.count - self.head
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
        // `i` is below `count`: one compare, not the two of a slice of the rest.
        (self.slices[i * layout.stride] as i64) >> FLAG_BITS
    }

    /// The first slice from `from` on with a time of at least `bound`; cursors move few slices at a time.
    #[inline(always)]
    fn first_since(&self, layout: &Layout, from: u64, bound: i64) -> usize {
        let (mut i, n) = (from as usize, self.count);
        while i < n && self.time(layout, i) < bound {
            i += 1;
        }
        i
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
        self.count += 1;
    }

    /// Full: first reclaim dead slices in front, else grow by a quarter.
    #[cold]
    fn make_room(&mut self, layout: &Layout) {
        if self.head > 4 && self.head * 8 >= self.count {
            self.compact(layout);
        } else {
            let more = (self.count / 4).max(16) * layout.stride;
            self.slices.reserve_exact(more);
        }
    }

    fn compact(&mut self, layout: &Layout) {
        let cut = std::mem::take(&mut self.head);
        self.slices.drain(..cut * layout.stride);
        self.count -= cut;
        // Every cursor stands at a live slice or behind the last.
        for cursor in &mut self.derived[..layout.cursors()] {
            *cursor -= cut as u64;
        }
        for newest in self.newest_mut(layout) {
            if *newest != NO_SLICE {
                *newest -= cut as u64;
            }
        }
        self.sorted = self.sorted.saturating_sub(cut);
    }

    fn newest_mut(&mut self, layout: &Layout) -> &mut [u64] {
        let from = layout.cursors();
        &mut self.derived[from..from + layout.lasts.len() * layout.edges.len()]
    }

    /// Takes out a slice for each of `back`, which are in canonical order; gives how many were not found.
    pub fn take_back(&mut self, layout: &Layout, back: &[u64], strings: &mut Strings) -> usize {
        self.settle(layout, strings);
        let stride = layout.stride;
        let (mut to, n) = (self.head, self.count);
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
            self.slices.drain(..self.head * stride);
            self.count = to - std::mem::take(&mut self.head);
            self.sorted = self.count;
            self.forget_derived(layout);
        }
        missing + back.count()
    }

    /// Forgets everything derived; the next `advance` derives it again from slices that are in order.
    fn forget_derived(&mut self, layout: &Layout) {
        self.derived.fill(0);
        self.newest_mut(layout).fill(NO_SLICE);
        self.wide.clear();
        self.extremes.iter_mut().for_each(Vec::clear);
        self.summaries = Summaries::new(layout);
    }

    /// Sorts what came since the last close, and merges the late part into the settled one.
    #[inline(always)]
    fn settle(&mut self, layout: &Layout, strings: &Strings) {
        let settled = std::mem::replace(&mut self.sorted, self.count);
        if std::mem::take(&mut self.unordered) {
            self.settle_unordered(layout, settled, strings);
        }
        for w in 0..layout.windows.len() {
            let leaving = layout.leaving(w);
            let bound = layout.lower(w, self.then);
            self.derived[leaving] = self.first_since(layout, self.derived[leaving], bound) as u64;
        }
    }

    #[inline(never)]
    fn settle_unordered(&mut self, layout: &Layout, settled: usize, strings: &Strings) {
        sort_slices(layout, &mut self.slices[settled * layout.stride..], strings);
        if settled > self.head && settled < self.sorted {
            let last = self.slice(layout, settled - 1);
            let sorted = self.slices[settled * layout.stride..].chunks_exact(layout.stride);
            let late = sorted.take_while(|slice| layout.order(strings, slice, last).is_lt()).count();
            if late > 0 {
                self.merge_late(layout, settled, late, strings);
            }
        }
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
        self.find_newest(layout);
        if let Some(summaries) = &mut self.summaries {
            let slices = Slices { layout, words: &self.slices };
            summaries.rebuild(slices, self.head, |edge| self.derived[layout.pending(edge)] as usize, strings);
        }
    }

    /// A late slice joins the cores if it is closed already. The cursors `current` and `leaving` may stand one slice too
    /// early after it: they are moved on before they are used.
    fn count_late(&mut self, layout: &Layout, slice: &[u64], strings: &Strings) {
        let time = time_of(slice);
        for edge in 0..layout.edges.len() {
            if time < layout.upper(edge, self.now) {
                self.derived[layout.pending(edge)] += 1;
                cores::add(layout, &mut self.derived, &mut self.wide, slice, edge, self.then);
                extremes::insert(layout, &mut self.extremes, slice, edge, strings);
                if let Some(summaries) = &mut self.summaries {
                    summaries.add(layout, slice, edge, self.then, true, strings);
                }
            }
        }
    }

    /// Slice numbers moved: looks the newest values up again.
    fn find_newest(&mut self, layout: &Layout) {
        for (k, column) in layout.lasts.iter().enumerate() {
            for edge in 0..layout.edges.len() {
                let pending = self.derived[layout.pending(edge)] as usize;
                let has_value = |i: &usize| layout.nulls(self.slice(layout, *i)) >> column & 1 == 0;
                let newest = (self.head..pending).rev().find(has_value);
                self.derived[layout.newest(k, edge)] = newest.map_or(NO_SLICE, |i| i as u64);
            }
        }
    }

    /// Closes slices up to instant `at`, and drops what no window can reach any more.
    #[inline(always)]
    pub fn advance(&mut self, layout: &Layout, at: i64, strings: &mut Strings) {
        self.settle(layout, strings);
        self.core_at = at;
        self.now = layout.reference(at);
        if layout.newest_only {
            self.keep_newest(layout, strings);
        }
        for edge in 0..layout.edges.len() {
            let pending = layout.pending(edge);
            let from = self.derived[pending];
            let end = self.first_since(layout, from, layout.upper(edge, self.now));
            for i in from as usize..end {
                self.close(layout, i, edge, strings);
            }
            self.derived[pending] = end as u64;
        }
        let mut dead = usize::MAX;
        for w in 0..layout.windows.len() {
            let current = layout.current(w);
            let end = self.first_since(layout, self.derived[current], layout.lower(w, self.now));
            self.derived[current] = end as u64;
            dead = dead.min(end);
        }
        // An overrun lease: the cores must forget slices before these go.
        if self.lease < at {
            self.renew(layout, at, strings);
        }
        if dead != usize::MAX && dead > self.head {
            self.drop_dead(layout, dead, strings);
        }
    }

    /// Where only the newest row matters: drops those before the newest that is closed.
    #[inline(never)]
    fn keep_newest(&mut self, layout: &Layout, strings: &mut Strings) {
        let closed = self.first_since(layout, self.head as u64, layout.upper(0, self.now));
        if closed <= self.head + 1 {
            return;
        }
        let kept = closed - 1;
        for i in self.head..kept {
            release(layout, &self.slices[i * layout.stride..][..layout.stride], strings);
        }
        self.slices.drain(..kept * layout.stride);
        self.count -= kept;
        self.sorted = self.count;
        self.head = 0;
        self.forget_derived(layout);
        // Cursors begin anew.
        self.settle(layout, strings);
    }

    #[inline(always)]
    fn close(&mut self, layout: &Layout, i: usize, edge: usize, strings: &Strings) {
        let slice = &self.slices[i * layout.stride..][..layout.stride];
        cores::add(layout, &mut self.derived, &mut self.wide, slice, edge, self.then);
        extremes::push(layout, &mut self.extremes, slice, edge, strings);
        if let Some(summaries) = &mut self.summaries {
            summaries.add(layout, slice, edge, self.then, false, strings);
        }
        for (k, column) in layout.lasts.iter().enumerate() {
            if layout.nulls(slice) >> column & 1 == 0 {
                self.derived[layout.newest(k, edge)] = i as u64;
            }
        }
    }

    fn drop_dead(&mut self, layout: &Layout, dead: usize, strings: &mut Strings) {
        extremes::forget(&mut self.extremes, layout.reach(self.now));
        if let Some(summaries) = &mut self.summaries {
            summaries.forget(layout.reach(self.now));
        }
        if layout.has_strings {
            for i in self.head..dead {
                release(layout, &self.slices[i * layout.stride..][..layout.stride], strings);
            }
        }
        for newest in self.newest_mut(layout) {
            if *newest < dead as u64 {
                *newest = NO_SLICE;
            }
        }
        self.head = dead;
        let capacity = self.slices.capacity() / layout.stride;
        if capacity > FIRST_SLICES && self.live() * 4 < capacity {
            self.compact(layout);
            self.slices.shrink_to(self.slices.len() * 2);
        }
    }

    /// The latest end of a lease between `least` and `wanted`, by halves, before which no more than `most` slices leave.
    pub fn affordable_lease(&self, layout: &Layout, least: i64, wanted: i64, most: usize) -> i64 {
        // Of each window the time of the slice that is one too many: the only one that must be looked at.
        let too_many = |lease: i64| {
            let reference = layout.reference(lease);
            (0..layout.windows.len()).any(|w| {
                let last = self.derived[layout.current(w)] as usize + most;
                last < self.count && self.time(layout, last) < layout.lower(w, reference)
            })
        };
        let mut lease = wanted;
        while lease > least && too_many(lease) {
            lease = least + (lease - least) / 2;
        }
        lease
    }

    /// Moves the end of the lease: what leaves before it is subtracted from the cores.
    pub fn renew(&mut self, layout: &Layout, lease: i64, strings: &Strings) {
        if lease <= self.lease {
            return;
        }
        self.lease = lease;
        self.then = layout.reference(lease);
        for (w, window) in layout.windows.iter().enumerate() {
            let leaving = layout.leaving(w);
            let from = self.derived[leaving] as usize;
            let end = self.first_since(layout, from as u64, layout.lower(w, self.then));
            let pending = self.derived[layout.pending(window.edge)] as usize;
            for i in from..end.min(pending) {
                let slice = &self.slices[i * layout.stride..][..layout.stride];
                cores::subtract(layout, &mut self.derived, &mut self.wide, slice, w);
                if let Some(summaries) = &mut self.summaries {
                    summaries.subtract(layout, slice, w, strings);
                }
            }
            self.derived[leaving] = end as u64;
            if let Some(summaries) = &mut self.summaries {
                summaries.leave(layout, w, layout.lower(w, self.then));
            }
        }
    }

    pub fn bytes(&self) -> usize {
        let lists: usize = self.extremes.iter().map(|l| size_of::<SuffixList>() + l.capacity() * 16).sum();
        let wide: usize = self.wide.iter().map(|(.., wide)| wide.bytes()).sum();
        let summaries = self.summaries.as_ref().map_or(0, |summaries| summaries.bytes());
        self.slices.capacity() * 8 + self.derived.len() * 8 + lists + wide + summaries
    }

    /// Asks for where the next slice goes.
    #[inline(always)]
    pub fn prefetch_tail(&self) {
        prefetch(self.slices.as_ptr().wrapping_add(self.slices.len()));
    }

    /// Asks for what is derived.
    #[inline(always)]
    pub fn prefetch_derived(&self) {
        for line in 0..self.derived.len().div_ceil(8) {
            prefetch(self.derived.as_ptr().wrapping_add(8 * line));
        }
        prefetch(self.extremes.as_ptr());
        if let Some(summaries) = &self.summaries {
            prefetch(&raw const **summaries);
        }
    }

    /// Asks for the slices that cursors stand at; after [`Dense::prefetch_derived`].
    #[inline(always)]
    pub fn prefetch_cursors(&self, layout: &Layout) {
        for cursor in &self.derived[..layout.cursors()] {
            prefetch(self.slices.as_ptr().wrapping_add(*cursor as usize * layout.stride));
        }
        for list in &self.extremes {
            prefetch(list.as_ptr());
            prefetch(list.as_ptr().wrapping_add(list.len().saturating_sub(1)));
        }
        if let Some(summaries) = &self.summaries {
            summaries.prefetch();
        }
    }

    /// Asks for what summaries look values up in; after [`Dense::prefetch_cursors`].
    #[inline(always)]
    pub fn prefetch_values(&self) {
        if let Some(summaries) = &self.summaries {
            summaries.prefetch_values();
        }
    }
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

/// Sorts slices into canonical order.
pub(super) fn sort_slices(layout: &Layout, words: &mut [u64], strings: &Strings) {
    fn sort<const N: usize>(words: &mut [u64]) {
        words.as_chunks_mut::<N>().0.sort_unstable_by(|a, b| order(a, b));
    }
    match layout.stride {
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
