//! All keys of one view on one worker: find the key, add the slice, close the epoch, write its row.
//!
//! Law: the state is a function of the set of events admitted so far; the order within an epoch leaves no trace. Rows
//! are written for the keys an epoch touched, and for dense keys whose lease would end before the next epochs could
//! renew it. Decisions (becoming dense, lease lengths) are taken on the state at the close, so they do not depend on
//! how many workers share the keys.

use std::collections::VecDeque;

use freshet_config::rows::RowBatch;

use super::dense::{self, Dense};
use super::layout::{FLAG_BITS, Layout, time_of};
use super::slab::{Slab, prefetch};
use super::strings::Strings;
use crate::batch::{KeyedBatch, heap_bytes};
use crate::row::codec;

/// Policies that move cost around but never a value.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Longest lease of a dense key, microseconds.
    pub longest_lease_us: i64,
    /// Slices a dense row should carry at most: fewer means shorter leases.
    pub slice_budget: usize,
    /// Leases reach at least this many times the last advance of the clock.
    pub lead_epochs: i64,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning { longest_lease_us: 30 * 60_000_000, slice_budget: 32, lead_epochs: 2 }
    }
}

/// Counters since the start, and sizes now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewStats {
    pub events: u64,
    /// Events older than any window when they came: they can change no answer any more.
    pub expired_on_arrival: u64,
    pub rows: u64,
    pub refreshed_rows: u64,
    pub dense_rows: u64,
    /// Retractions of events that are not in the state.
    pub unmatched_retractions: u64,
    pub keys: u64,
    pub dense_keys: u64,
    pub state_bytes: u64,
}

/// The header of a key is one cache line: `[key][block | n | class | flags][inline slices: 6 words]`.
const HEADER_WORDS: usize = 8;
const INLINE_WORDS: usize = 6;
/// Slices per class; class 0 is inline and depends on the stride.
const CLASS_SLICES: [usize; 5] = [0, 4, 8, 16, 32];
const LAST_CLASS: u8 = 4;
const DENSE: u8 = 255;
const TOUCHED: u8 = 1;
/// Slices were dropped: the row is not exact before its `as_of`.
const TRIMMED: u8 = 2;

#[derive(Clone, Copy)]
struct Meta {
    block: u32,
    count: u8,
    class: u8,
    flags: u8,
}

impl Meta {
    #[inline(always)]
    fn of(header: &[u64]) -> Meta {
        let w = header[1];
        Meta { block: w as u32, count: (w >> 32) as u8, class: (w >> 40) as u8, flags: (w >> 48) as u8 }
    }

    #[inline(always)]
    fn word(self) -> u64 {
        u64::from(self.block) | u64::from(self.count) << 32 | u64::from(self.class) << 40 | u64::from(self.flags) << 48
    }
}

pub struct ViewStore {
    layout: Layout,
    tuning: Tuning,
    /// Which columns of the group's batches feed this view's columns.
    columns: Vec<usize>,
    /// This view's bit in [`KeyedBatch::passes`].
    bit: u32,
    /// Whether keys are bytes in `key_bytes` rather than one word.
    heap_keys: bool,
    /// Open addressing: `hash tag << 32 | slot + 1`, 0 when empty.
    table: Vec<u64>,
    headers: Slab,
    blocks: Vec<Slab>,
    dense: Vec<Dense>,
    free_dense: Vec<u32>,
    key_bytes: Strings,
    strings: Strings,
    free_headers: usize,
    /// Keys are dropped, and new ones may be old ones, once what was known at this instant has expired.
    first_close: Option<i64>,
    clock: i64,
    /// How far the clock moved at the last close; leases reach `lead_epochs` times as far.
    step: i64,
    touched: Vec<u32>,
    /// Events to take back at the close: their keys' slots, and their slices.
    back: Vec<u32>,
    back_slices: Vec<u64>,
    wheel: VecDeque<Vec<u32>>,
    wheel_at: i64,
    sweep_at: u32,
    sweep_credit: i64,
    stats: ViewStats,
    slice: Vec<u64>,
}

/// Events looked up together, so that their cache misses overlap.
const BLOCK: usize = 128;
/// Ticks of the wheel, microseconds.
const TICK: i64 = 1_000_000;
const WHEEL_TICKS: i64 = 4096;
/// Every key without news is looked at this often, to drop what expired.
const SWEEP_PERIOD: i64 = 86_400_000_000;
/// Rows are handed on in batches of about this size.
const ROWS_BYTES: usize = 1 << 16;

impl ViewStore {
    /// `columns[c]` is the batch column of the view's column `c`; `clock` the instant before the first event.
    pub fn new(layout: Layout, tuning: Tuning, columns: Vec<usize>, bit: u32, heap_keys: bool, clock: i64) -> Self {
        let blocks = (1..=LAST_CLASS as usize).map(|c| Slab::new(CLASS_SLICES[c] * layout.stride)).collect();
        ViewStore {
            tuning,
            columns,
            bit,
            heap_keys,
            table: vec![0; 1 << 12],
            headers: Slab::new(HEADER_WORDS),
            blocks,
            dense: Vec::new(),
            free_dense: Vec::new(),
            key_bytes: Strings::default(),
            strings: Strings::default(),
            free_headers: 0,
            first_close: None,
            clock,
            step: 0,
            touched: Vec::new(),
            back: Vec::new(),
            back_slices: Vec::new(),
            wheel: VecDeque::new(),
            wheel_at: clock / TICK,
            sweep_at: 0,
            sweep_credit: 0,
            stats: ViewStats::default(),
            slice: vec![0; layout.stride],
            layout,
        }
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn keys(&self) -> usize {
        self.headers.len() as usize - self.free_headers
    }

    #[inline(always)]
    fn class_slices(&self, class: u8) -> usize {
        if class == 0 { INLINE_WORDS / self.layout.stride } else { CLASS_SLICES[class as usize] }
    }

    #[inline(always)]
    fn key_matches(&self, slot: u32, batch: &KeyedBatch, i: usize) -> bool {
        let key = self.headers.words(slot)[0];
        if self.heap_keys {
            self.key_bytes.with(key, |bytes| bytes == heap_bytes(&batch.heap, batch.key[i]))
        } else {
            key == batch.key[i]
        }
    }

    /// The first slot with the hash's tag, made when absent. With `exact`, one whose key is the event's.
    #[inline(always)]
    fn find(&mut self, batch: &KeyedBatch, i: usize, exact: bool) -> u32 {
        let tag = batch.hash[i] as u32;
        let mask = self.table.len() - 1;
        let mut at = tag as usize & mask;
        loop {
            let entry = self.table[at];
            if entry == 0 {
                let slot = self.new_key(batch, i);
                self.table[at] = u64::from(tag) << 32 | u64::from(slot + 1);
                return slot;
            }
            if (entry >> 32) as u32 == tag {
                let slot = entry as u32 - 1;
                if !exact || self.key_matches(slot, batch, i) {
                    return slot;
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn new_key(&mut self, batch: &KeyedBatch, i: usize) -> u32 {
        let key =
            if self.heap_keys { self.key_bytes.insert(heap_bytes(&batch.heap, batch.key[i])) } else { batch.key[i] };
        let before = self.headers.len();
        let slot = self.headers.alloc();
        if self.headers.len() == before {
            self.free_headers -= 1;
        }
        let header = self.headers.words_mut(slot);
        header[0] = key;
        header[1] = 0;
        slot
    }

    /// Whether silent keys may have been dropped: an empty key may be an old one whose early slices are gone. A rule on
    /// instants alone, because which keys the sweep has met depends on how keys are spread over workers.
    fn forgetful(&self) -> bool {
        self.first_close.is_some_and(|first| self.layout.plan.reach(self.clock) > first)
    }

    #[cold]
    fn grow_table(&mut self) {
        let size = self.table.len() * 2;
        for entry in std::mem::replace(&mut self.table, vec![0; size]) {
            if entry != 0 {
                self.place(entry);
            }
        }
    }

    fn place(&mut self, entry: u64) {
        let mask = self.table.len() - 1;
        let mut at = (entry >> 32) as usize & mask;
        while self.table[at] != 0 {
            at = (at + 1) & mask;
        }
        self.table[at] = entry;
    }

    /// Adds the events that pass this view's filter.
    pub fn apply(&mut self, batch: &KeyedBatch) {
        let mut chosen = [0u32; BLOCK];
        let mut next = 0;
        while next < batch.len() {
            let mut count = 0;
            while next < batch.len() && count < BLOCK {
                chosen[count] = next as u32;
                count += usize::from(batch.passes.get(next).is_none_or(|p| p >> self.bit & 1 == 1));
                next += 1;
            }
            self.apply_block(batch, &chosen[..count]);
        }
    }

    /// Looks the block up in stages, each asking for the memory the next one reads.
    fn apply_block(&mut self, batch: &KeyedBatch, chosen: &[u32]) {
        while (self.keys() + chosen.len()) * 8 > self.table.len() * 5 {
            self.grow_table();
        }
        let mut slots = [0u32; BLOCK];
        let mask = self.table.len() - 1;
        for i in chosen {
            prefetch(self.table.as_ptr().wrapping_add(batch.hash[*i as usize] as u32 as usize & mask));
        }
        for (slot, i) in slots.iter_mut().zip(chosen) {
            *slot = self.find(batch, *i as usize, false);
            prefetch(self.headers.address(*slot));
        }
        for (slot, i) in slots.iter_mut().zip(chosen) {
            let i = *i as usize;
            if !self.key_matches(*slot, batch, i) {
                *slot = self.find(batch, i, true);
            }
            let meta = Meta::of(self.headers.words(*slot));
            if meta.class == DENSE {
                prefetch(&raw const self.dense[meta.block as usize]);
            } else if meta.class > 0 {
                let address = self.blocks[meta.class as usize - 1].address(meta.block);
                let last = usize::from(meta.count).saturating_sub(1) * self.layout.stride;
                prefetch(address.wrapping_add(last));
            }
        }
        for slot in &slots[..chosen.len()] {
            let meta = Meta::of(self.headers.words(*slot));
            if meta.class == DENSE {
                prefetch(self.dense[meta.block as usize].tail_address());
            }
        }
        let reach = self.layout.plan.reach(self.clock);
        let empty_flags = u64::from(TOUCHED | if self.forgetful() { TRIMMED } else { 0 }) << 48;
        for (slot, i) in slots.iter().zip(chosen) {
            self.apply_event(*slot, batch, *i as usize, reach, empty_flags);
        }
    }

    #[inline(always)]
    fn apply_event(&mut self, slot: u32, batch: &KeyedBatch, i: usize, reach: i64, empty_flags: u64) {
        self.stats.events += 1;
        let header = self.headers.words_mut(slot);
        let meta = Meta::of(header);
        if meta.flags & TOUCHED == 0 {
            let empty = meta.count == 0 && meta.class != DENSE;
            header[1] |= if empty { empty_flags } else { u64::from(TOUCHED) << 48 };
            self.touched.push(slot);
        }
        if batch.time[i] < reach {
            // Its row may have said that it holds all slices ever, and says so no more.
            header[1] |= u64::from(TRIMMED) << 48;
            self.stats.expired_on_arrival += 1;
            return;
        }
        let mut slice = std::mem::take(&mut self.slice);
        self.build(batch, i, &mut slice);
        if batch.sign.get(i).is_some_and(|sign| *sign < 0) {
            // The event itself may come later in the same epoch.
            self.back.push(slot);
            self.back_slices.extend_from_slice(&slice);
        } else {
            self.add(slot, &slice);
        }
        self.slice = slice;
    }

    /// The slice of one event, in this view's layout.
    #[inline(always)]
    fn build(&mut self, batch: &KeyedBatch, i: usize, slice: &mut [u64]) {
        let layout = &self.layout;
        let group_nulls = batch.nulls.get(i).copied().unwrap_or(0);
        let mut nulls = 0u64;
        for (c, column) in layout.columns.iter().enumerate() {
            let from = self.columns[c];
            let null = group_nulls >> from & 1;
            nulls |= null << c;
            if let Some(word) = column.word {
                slice[word] = match (null, column.is_string) {
                    (1, _) => 0,
                    (_, true) => self.strings.insert(heap_bytes(&batch.heap, batch.columns[from][i])),
                    _ => batch.columns[from][i],
                };
            }
        }
        if layout.has_position {
            slice[1] = batch.position.get(i).copied().unwrap_or(0);
        }
        let time = (batch.time[i] << FLAG_BITS) as u64;
        match layout.null_word {
            None => slice[0] = time | nulls,
            Some(word) => {
                slice[0] = time;
                slice[word] = nulls;
            }
        }
    }

    #[inline(always)]
    fn add(&mut self, slot: u32, slice: &[u64]) {
        let mut meta = Meta::of(self.headers.words(slot));
        if meta.class != DENSE && usize::from(meta.count) == self.class_slices(meta.class) {
            self.make_room(slot);
            meta = Meta::of(self.headers.words(slot));
        }
        if meta.class == DENSE {
            self.dense[meta.block as usize].push(&self.layout, slice, &self.strings);
            return;
        }
        let stride = self.layout.stride;
        let words = sparse_words_mut(&mut self.headers, &mut self.blocks, slot, meta);
        let mut at = usize::from(meta.count) * stride;
        while at > 0 && self.layout.order(&self.strings, &words[at - stride..at], slice).is_gt() {
            words.copy_within(at - stride..at, at);
            at -= stride;
        }
        words[at..at + stride].copy_from_slice(slice);
        self.headers.words_mut(slot)[1] += 1 << 32;
    }

    fn sparse_words(&self, slot: u32, meta: Meta) -> &[u64] {
        let words = match meta.class {
            0 => &self.headers.words(slot)[2..],
            class => self.blocks[class as usize - 1].words(meta.block),
        };
        &words[..usize::from(meta.count) * self.layout.stride]
    }

    fn set_meta(&mut self, slot: u32, meta: Meta) {
        self.headers.words_mut(slot)[1] = meta.word();
    }

    /// Takes back the events that the epoch retracted, once all it added are there.
    fn take_back(&mut self) {
        if self.back.is_empty() {
            return;
        }
        let (back, slices) = (std::mem::take(&mut self.back), std::mem::take(&mut self.back_slices));
        let stride = self.layout.stride;
        let mut by_slot: Vec<usize> = (0..back.len()).collect();
        by_slot.sort_by_key(|i| back[*i]);
        for group in by_slot.chunk_by(|a, b| back[*a] == back[*b]) {
            let mut words: Vec<u64> = group.iter().flat_map(|i| &slices[i * stride..][..stride]).copied().collect();
            dense::sort_slices(&self.layout, &mut words, &self.strings);
            let missing = self.take_back_of(back[group[0]], &words);
            self.stats.unmatched_retractions += missing as u64;
            words.chunks_exact(stride).for_each(|slice| dense::release(&self.layout, slice, &mut self.strings));
        }
    }

    /// Takes slices of one key out; gives how many it does not have.
    fn take_back_of(&mut self, slot: u32, slices: &[u64]) -> usize {
        let mut meta = Meta::of(self.headers.words(slot));
        if meta.class == DENSE {
            return self.dense[meta.block as usize].take_back(&self.layout, slices, &mut self.strings);
        }
        let (stride, mut missing) = (self.layout.stride, 0);
        let words = sparse_words_mut(&mut self.headers, &mut self.blocks, slot, meta);
        for slice in slices.chunks_exact(stride) {
            let end = usize::from(meta.count) * stride;
            let same = |held: &[u64]| self.layout.order(&self.strings, held, slice).is_eq();
            match words[..end].chunks_exact(stride).position(same) {
                Some(i) => {
                    dense::release(&self.layout, &words[i * stride..][..stride], &mut self.strings);
                    words.copy_within((i + 1) * stride..end, i * stride);
                    meta.count -= 1;
                }
                None => missing += 1,
            }
        }
        self.set_meta(slot, meta);
        missing
    }

    /// Drops slices that no window can reach; gives back a block that became too large.
    fn trim(&mut self, slot: u32) {
        let mut meta = Meta::of(self.headers.words(slot));
        if meta.class == DENSE || meta.count == 0 {
            return;
        }
        let reach = self.layout.plan.reach(self.clock);
        let stride = self.layout.stride;
        let words = sparse_words_mut(&mut self.headers, &mut self.blocks, slot, meta);
        let end = usize::from(meta.count) * stride;
        let dead = words[..end].chunks_exact(stride).take_while(|s| time_of(s) < reach).count();
        if dead == 0 {
            return;
        }
        if self.layout.has_strings {
            for slice in words[..dead * stride].chunks_exact(stride) {
                dense::release(&self.layout, slice, &mut self.strings);
            }
        }
        words.copy_within(dead * stride..end, 0);
        meta.count -= dead as u8;
        meta.flags |= TRIMMED;
        self.set_meta(slot, meta);
        if meta.class > 0 && usize::from(meta.count) <= self.class_slices(meta.class) / 4 {
            let class = (0..meta.class).find(|c| self.class_slices(*c) >= usize::from(meta.count));
            if let Some(class) = class {
                self.resize(slot, class);
            }
        }
    }

    fn resize(&mut self, slot: u32, class: u8) {
        let mut meta = Meta::of(self.headers.words(slot));
        let words = self.sparse_words(slot, meta).to_vec();
        let old = meta;
        meta.class = class;
        meta.block = if class > 0 { self.blocks[class as usize - 1].alloc() } else { 0 };
        sparse_words_mut(&mut self.headers, &mut self.blocks, slot, meta)[..words.len()].copy_from_slice(&words);
        self.set_meta(slot, meta);
        if old.class > 0 {
            self.blocks[old.class as usize - 1].release(old.block);
        }
    }

    /// Full: trim, else the next class, else become dense.
    #[inline(never)]
    fn make_room(&mut self, slot: u32) {
        self.trim(slot);
        let meta = Meta::of(self.headers.words(slot));
        if usize::from(meta.count) < self.class_slices(meta.class) {
            return;
        }
        let larger = (meta.class + 1..=LAST_CLASS).find(|c| self.class_slices(*c) > usize::from(meta.count));
        match larger {
            Some(class) => self.resize(slot, class),
            None => self.promote(slot),
        }
    }

    fn promote(&mut self, slot: u32) {
        let mut meta = Meta::of(self.headers.words(slot));
        let mut dense = Dense::new(&self.layout, slot, self.clock, self.tuning.longest_lease_us);
        for slice in self.sparse_words(slot, meta).chunks_exact(self.layout.stride) {
            dense.push(&self.layout, slice, &self.strings);
        }
        if meta.class > 0 {
            self.blocks[meta.class as usize - 1].release(meta.block);
        }
        meta.block = match self.free_dense.pop() {
            Some(place) => {
                self.dense[place as usize] = dense;
                place
            }
            None => {
                self.dense.push(dense);
                self.dense.len() as u32 - 1
            }
        };
        meta.class = DENSE;
        meta.count = 0;
        self.set_meta(slot, meta);
    }

    fn demote(&mut self, slot: u32) {
        let mut meta = Meta::of(self.headers.words(slot));
        let place = meta.block;
        let empty = Dense::new(&self.layout, u32::MAX, self.clock, 0);
        let dense = std::mem::replace(&mut self.dense[place as usize], empty);
        self.free_dense.push(place);
        let words = dense.live_words(&self.layout);
        let count = words.len() / self.layout.stride;
        meta.class = (0..=LAST_CLASS).find(|c| self.class_slices(*c) >= count).unwrap_or(LAST_CLASS);
        meta.block = if meta.class > 0 { self.blocks[meta.class as usize - 1].alloc() } else { 0 };
        meta.count = count as u8;
        // A dense row was not exact before its `as_of`; neither is what follows it.
        meta.flags |= TRIMMED;
        sparse_words_mut(&mut self.headers, &mut self.blocks, slot, meta)[..words.len()].copy_from_slice(words);
        self.set_meta(slot, meta);
    }

    /// Closes the epoch at instant `at` and hands on the rows it changed, in batches.
    ///
    /// With `emit` off (a backfill) the state advances and nothing is written; [`ViewStore::emit_all`] follows.
    pub fn close(&mut self, at: i64, emit: bool, rows: &mut RowSink) {
        // A lease that was long enough for one large step must be long enough for the next.
        let advanced = at.saturating_sub(self.clock).max(0);
        self.step = advanced.max(self.step - self.step / 8).clamp(TICK, self.tuning.longest_lease_us.max(TICK));
        self.clock = at;
        self.first_close.get_or_insert(at);
        self.take_back();
        let touched = std::mem::take(&mut self.touched);
        self.encode_list(&touched, emit, rows);
        for slot in &touched {
            self.headers.words_mut(*slot)[1] &= !(u64::from(TOUCHED) << 48);
        }
        self.stats.rows += if emit { touched.len() as u64 } else { 0 };
        self.touched = touched;
        self.touched.clear();
        if emit {
            self.refresh(rows);
        }
        self.sweep(advanced);
        rows.flush();
    }

    /// Leases that end in this tick or earlier may not last until they can be renewed.
    fn last_due_tick(&self) -> i64 {
        (self.clock + self.tuning.lead_epochs * self.step) / TICK
    }

    /// Rewrites dense keys whose lease ends too soon.
    fn refresh(&mut self, rows: &mut RowSink) {
        let edge = self.last_due_tick();
        // The clock may leap over the whole wheel, so what is due is taken out before anything is armed again.
        let ticks = (edge + 1 - self.wheel_at).clamp(0, self.wheel.len() as i64) as usize;
        let places: Vec<u32> = self.wheel.drain(..ticks).flatten().collect();
        self.wheel_at = self.wheel_at.max(edge + 1);
        let mut due = Vec::new();
        for place in places {
            let dense = &mut self.dense[place as usize];
            dense.armed = false;
            if dense.slot == u32::MAX {
                continue;
            }
            if dense.lease / TICK <= edge {
                due.push(dense.slot);
            } else {
                self.arm(place);
            }
        }
        self.encode_list(&due, true, rows);
        self.stats.rows += due.len() as u64;
        self.stats.refreshed_rows += due.len() as u64;
    }

    fn encode_list(&mut self, slots: &[u32], emit: bool, rows: &mut RowSink) {
        for (i, slot) in slots.iter().enumerate() {
            self.prefetch_ahead(slots, i);
            self.encode(*slot, emit, rows);
        }
    }

    #[inline(always)]
    fn prefetch_ahead(&self, slots: &[u32], i: usize) {
        if let Some(slot) = slots.get(i + 24) {
            prefetch(self.headers.address(*slot));
        }
        if let Some(slot) = slots.get(i + 16) {
            let meta = Meta::of(self.headers.words(*slot));
            if meta.class == DENSE {
                let dense = &raw const self.dense[meta.block as usize];
                for line in 0..size_of::<Dense>().div_ceil(64) {
                    prefetch(dense.cast::<u8>().wrapping_add(64 * line));
                }
            } else if meta.class > 0 {
                let address = self.blocks[meta.class as usize - 1].address(meta.block);
                for word in (0..usize::from(meta.count) * self.layout.stride).step_by(8) {
                    prefetch(address.wrapping_add(word));
                }
            }
        }
        if let Some(slot) = slots.get(i + 12) {
            let meta = Meta::of(self.headers.words(*slot));
            if meta.class == DENSE {
                self.dense[meta.block as usize].part_addresses().into_iter().for_each(prefetch);
            }
        }
        if let Some(slot) = slots.get(i + 6) {
            let meta = Meta::of(self.headers.words(*slot));
            if meta.class == DENSE {
                self.dense[meta.block as usize].cursor_addresses(&self.layout).for_each(prefetch);
            }
        }
    }

    fn encode(&mut self, slot: u32, emit: bool, rows: &mut RowSink) {
        let meta = Meta::of(self.headers.words(slot));
        if meta.class == DENSE && self.encode_dense(slot, meta.block, emit, rows) {
            return;
        }
        self.trim(slot);
        if emit {
            self.write_sparse(slot, rows);
        }
    }

    fn write_sparse(&self, slot: u32, rows: &mut RowSink) {
        let meta = Meta::of(self.headers.words(slot));
        let words = self.sparse_words(slot, meta);
        self.with_key(slot, |key| {
            rows.push(key, |out| {
                let kind = if meta.flags & TRIMMED == 0 { codec::KIND_COMPLETE } else { codec::KIND_SPARSE };
                head(out, kind, self.layout.tag, self.clock);
                codec::put_varint(out, u64::from(meta.count));
                dense::put_slices(&self.layout, words, self.clock, &mut None, &self.strings, out);
            });
        });
    }

    /// `false` when the key became sparse instead.
    fn encode_dense(&mut self, slot: u32, place: u32, emit: bool, rows: &mut RowSink) -> bool {
        let (clock, lead, last_due) = (self.clock, self.tuning.lead_epochs * self.step, self.last_due_tick());
        let dense = &mut self.dense[place as usize];
        dense.advance(&self.layout, clock, &mut self.strings);
        // Whether a key was full for a moment within the epoch depends on the order of its events: a new dense key
        // is one only if it does not fit at the close.
        let most = CLASS_SLICES[LAST_CLASS as usize];
        let fits = if std::mem::take(&mut dense.fresh) { most } else { most / 2 };
        if dense.live(&self.layout) <= fits {
            self.demote(slot);
            return false;
        }
        if !emit {
            return true;
        }
        if dense.lease / TICK <= last_due || dense.lease < clock + dense.lease_length / 2 {
            dense.renew(&self.layout, clock + dense.lease_length.max(lead + TICK));
        }
        let dense = &self.dense[place as usize];
        let mut slices = 0;
        self.with_key(slot, |key| {
            rows.push(key, |out| {
                head(out, codec::KIND_DENSE, self.layout.tag, clock);
                codec::put_varint(out, (dense.lease - clock) as u64);
                slices = dense.encode(&self.layout, &self.strings, out).slices;
            });
        });
        let budget = self.tuning.slice_budget;
        let dense = &mut self.dense[place as usize];
        if slices > budget + budget / 4 {
            dense.lease_length = (dense.lease_length / 2).max(lead + TICK);
        } else if slices < budget / 3 {
            dense.lease_length = (dense.lease_length * 2).min(self.tuning.longest_lease_us);
        }
        self.stats.dense_rows += 1;
        self.arm(place);
        true
    }

    fn arm(&mut self, place: u32) {
        let dense = &mut self.dense[place as usize];
        if dense.armed {
            return;
        }
        dense.armed = true;
        let tick = (dense.lease / TICK - self.wheel_at).clamp(0, WHEEL_TICKS) as usize;
        while self.wheel.len() <= tick {
            self.wheel.push_back(Vec::new());
        }
        self.wheel[tick].push(place);
    }

    /// Writes one row per live key: the hand-over from a backfill to the live store.
    pub fn emit_all(&mut self, rows: &mut RowSink) {
        let slots: Vec<u32> = self.live_slots();
        self.encode_list(&slots, true, rows);
        self.stats.rows += slots.len() as u64;
        rows.flush();
    }

    fn live_slots(&self) -> Vec<u32> {
        self.table.iter().filter(|entry| **entry != 0).map(|entry| *entry as u32 - 1).collect()
    }

    /// A slow pass over silent keys: drops expired slices, and keys that hold nothing any more.
    fn sweep(&mut self, advanced: i64) {
        let total = self.headers.len();
        if total == 0 {
            return;
        }
        self.sweep_credit += advanced.saturating_mul(i64::from(total)) / SWEEP_PERIOD + 1;
        let forgetful = self.forgetful();
        let steps = self.sweep_credit.min(i64::from(total)) as u32;
        self.sweep_credit = 0;
        for _ in 0..steps {
            let slot = self.sweep_at % total;
            self.sweep_at = (slot + 1) % total;
            if self.headers.words(slot)[1] == FREE {
                continue;
            }
            self.trim(slot);
            let meta = Meta::of(self.headers.words(slot));
            if forgetful && meta.class == 0 && meta.count == 0 && meta.flags & TOUCHED == 0 {
                self.forget(slot);
            }
        }
    }

    fn forget(&mut self, slot: u32) {
        let hash = self.with_key(slot, crate::batch::hash_key);
        let mask = self.table.len() - 1;
        let wanted = (hash & 0xffff_ffff) << 32 | u64::from(slot + 1);
        let mut at = hash as u32 as usize & mask;
        while self.table[at] != wanted {
            if self.table[at] == 0 {
                return;
            }
            at = (at + 1) & mask;
        }
        // Shift back what could not stand at its own place, so that probing needs no tombstones.
        let mut hole = at;
        loop {
            at = (at + 1) & mask;
            let entry = self.table[at];
            if entry == 0 {
                break;
            }
            let home = (entry >> 32) as usize & mask;
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.table[hole] = entry;
                hole = at;
            }
        }
        self.table[hole] = 0;
        if self.heap_keys {
            let key = self.headers.words(slot)[0];
            self.key_bytes.remove(key);
        }
        self.headers.words_mut(slot)[1] = FREE;
        self.headers.release(slot);
        self.free_headers += 1;
    }

    fn with_key<R>(&self, slot: u32, read: impl FnOnce(&[u8]) -> R) -> R {
        let key = self.headers.words(slot)[0];
        if self.heap_keys { self.key_bytes.with(key, read) } else { read(&key.to_le_bytes()) }
    }

    pub fn stats(&self) -> ViewStats {
        let fixed = self.table.len() * 8 + self.headers.bytes() + self.key_bytes.bytes() + self.strings.bytes();
        let blocks: usize = self.blocks.iter().map(Slab::bytes).sum();
        let dense: usize = self.dense.iter().map(Dense::bytes).sum();
        let places = self.dense.capacity() * size_of::<Dense>();
        ViewStats {
            keys: self.keys() as u64,
            dense_keys: (self.dense.len() - self.free_dense.len()) as u64,
            state_bytes: (fixed + blocks + dense + places) as u64,
            ..self.stats
        }
    }
}

/// A header whose key was dropped.
const FREE: u64 = u64::MAX;

/// All words of a sparse key's place, used or not.
#[inline(always)]
fn sparse_words_mut<'a>(headers: &'a mut Slab, blocks: &'a mut [Slab], slot: u32, meta: Meta) -> &'a mut [u64] {
    match meta.class {
        0 => &mut headers.words_mut(slot)[2..],
        class => blocks[class as usize - 1].words_mut(meta.block),
    }
}

#[inline(always)]
fn head(out: &mut Vec<u8>, kind: u8, tag: u32, as_of: i64) {
    out.extend_from_slice(&[codec::VERSION, kind]);
    out.extend_from_slice(&tag.to_le_bytes());
    out.extend_from_slice(&as_of.to_le_bytes());
}

/// Collects rows and hands them on in batches.
pub struct RowSink<'a> {
    batch: RowBatch,
    hand_on: &'a mut dyn FnMut(RowBatch),
}

impl<'a> RowSink<'a> {
    pub fn new(view: usize, epoch: freshet_config::time::Epoch, hand_on: &'a mut dyn FnMut(RowBatch)) -> RowSink<'a> {
        RowSink { batch: RowBatch::new(view, epoch), hand_on }
    }

    #[inline(always)]
    fn push(&mut self, key: &[u8], encode: impl FnOnce(&mut Vec<u8>)) {
        self.batch.push(key, encode);
        if self.batch.byte_len() >= ROWS_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.batch.is_empty() {
            let empty = RowBatch::new(self.batch.view, self.batch.epoch);
            (self.hand_on)(std::mem::replace(&mut self.batch, empty));
        }
    }
}
