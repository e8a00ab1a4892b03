//! All keys of one view on one worker: find the key, add the slice; [`super::close`] does the rest.
//!
//! Law: the state is a function of the set of events admitted so far; the order within an epoch leaves no trace. Rows
//! are written for the keys an epoch touched, and for dense keys whose lease would end before the next epochs could
//! renew it. Decisions (becoming dense, lease lengths) are taken on the state at the close, so they do not depend on
//! how many workers share the keys.

use freshet_config::value::DataType;

use super::dense::{Dense, RowScratch};
use super::keys::Keys;
use super::layout::{FLAG_BITS, Layout};
use super::leases::Wheel;
use super::limits::OverLimit;
use super::slab::{Slab, prefetch};
use super::sparse::{CLASS_SLICES, DENSE, LAST_CLASS, TOUCHED, TRIMMED};
use super::strings::Strings;
use crate::batch::{KeyedBatch, heap_bytes};

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
        Tuning { longest_lease_us: 30 * 60_000_000, slice_budget: 16, lead_epochs: 2 }
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
    /// Keys of a view by category with more categories than are allowed.
    pub keys_over_category_limit: u64,
    /// Keys with a window whose distinct values are more than a function of it may tell apart, as of their last rows.
    pub keys_over_value_limit: u64,
    pub state_bytes: u64,
}

pub struct ViewStore {
    pub(super) layout: Layout,
    pub(super) tuning: Tuning,
    /// Leases grow up to this length, microseconds.
    pub(super) longest_lease_us: i64,
    /// Which columns of the group's batches feed this view's columns.
    columns: Vec<usize>,
    /// This view's bit in [`KeyedBatch::passes`].
    bit: u32,
    pub(super) keys: Keys,
    /// Slices of sparse keys, by class; class 0 is in the header.
    pub(super) blocks: Vec<Slab>,
    pub(super) dense: Vec<Dense>,
    pub(super) free_dense: Vec<u32>,
    /// Bytes of dense keys as of their last rows.
    pub(super) dense_bytes: usize,
    pub(super) strings: Strings,
    /// What is too old for every window is not told.
    withheld: bool,
    /// Keys are dropped, and new ones may be old ones, once what was known at this instant has expired.
    pub(super) first_close: Option<i64>,
    pub(super) clock: i64,
    /// [`Layout::reach`] of the clock.
    pub(super) reach: i64,
    /// How far the clock moved at the last close; leases reach `lead_epochs` times as far.
    pub(super) step: i64,
    pub(super) touched: Vec<u32>,
    /// Events to take back at the close: their keys' slots, and their slices.
    pub(super) back: Vec<u32>,
    pub(super) back_slices: Vec<u64>,
    pub(super) wheel: Wheel,
    pub(super) over: OverLimit,
    pub(super) sweep_at: u32,
    pub(super) stats: ViewStats,
    slice: Vec<u64>,
    /// Slices on their way from one block to another.
    pub(super) held: Vec<u64>,
    pub(super) scratch: RowScratch,
}

/// Events looked up together, so that their cache misses overlap.
const BLOCK: usize = 128;

impl ViewStore {
    /// `columns[c]` is the batch column of the view's column `c`; `clock` the instant before the first event.
    pub fn new(layout: Layout, tuning: Tuning, columns: Vec<usize>, bit: u32, heap_keys: bool, clock: i64) -> Self {
        let blocks = (1..=LAST_CLASS as usize).map(|c| Slab::new(CLASS_SLICES[c] * layout.stride)).collect();
        ViewStore {
            tuning,
            longest_lease_us: tuning.longest_lease_us,
            columns,
            bit,
            keys: Keys::new(heap_keys),
            blocks,
            dense: Vec::new(),
            free_dense: Vec::new(),
            dense_bytes: 0,
            strings: if layout.interned { Strings::interned() } else { Strings::default() },
            withheld: false,
            first_close: None,
            clock,
            reach: layout.reach(layout.reference(clock)),
            step: 0,
            touched: Vec::new(),
            back: Vec::new(),
            back_slices: Vec::new(),
            wheel: Wheel::default(),
            over: OverLimit::default(),
            sweep_at: 0,
            stats: ViewStats::default(),
            slice: vec![0; layout.stride],
            held: Vec::new(),
            scratch: RowScratch::default(),
            layout,
        }
    }

    /// Lets leases grow as long as the shortest window: so slow keys of long windows are seldom renewed. What comes during
    /// a lease does not leave before its end, so a row carries no more than what was there when the lease was made.
    pub fn leasing_whole_windows(mut self) -> ViewStore {
        self.longest_lease_us = self.longest_lease_us.max(self.layout.shortest_window_us());
        self
    }

    /// For keys that begin with columns of these types: figures count what has those, not each of its categories.
    pub(super) fn of_owners(mut self, types: Vec<DataType>) -> ViewStore {
        self.over = OverLimit::of_owners(types);
        self
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// For events of which those that no window can reach at a close are withheld: rows answer for no earlier instant.
    pub fn of_withheld(mut self) -> ViewStore {
        self.withheld = true;
        self
    }

    /// Whether silent keys may have been dropped: an empty key may be an old one whose early slices are gone. A rule on
    /// instants alone, because which keys the sweep has met depends on how keys are spread over workers.
    pub(super) fn forgetful(&self) -> bool {
        self.withheld || self.first_close.is_some_and(|first| self.reach > first)
    }

    /// Adds the events that pass this view's filter and are not before its `lifetime_start`.
    pub fn apply(&mut self, batch: &KeyedBatch) {
        let mut chosen = [0u32; BLOCK];
        let (mut next, start) = (0, self.layout.start);
        while next < batch.len() {
            let mut count = 0;
            while next < batch.len() && count < BLOCK {
                chosen[count] = next as u32;
                let passes = batch.passes.get(next).is_none_or(|p| p >> self.bit & 1 == 1);
                count += usize::from(passes & (batch.time[next] >= start));
                next += 1;
            }
            self.apply_block(batch, &chosen[..count]);
        }
    }

    /// Looks the block up in stages, each asking for the memory the next one reads.
    fn apply_block(&mut self, batch: &KeyedBatch, chosen: &[u32]) {
        self.keys.reserve(chosen.len());
        let mut slots = [0u32; BLOCK];
        for i in chosen {
            self.keys.prefetch_entry(batch.hash[*i as usize]);
        }
        for (slot, i) in slots.iter_mut().zip(chosen) {
            *slot = self.keys.find(batch, *i as usize, false);
            self.keys.prefetch_header(*slot);
        }
        let (mut dense, mut count) = ([0u32; BLOCK], 0);
        for (slot, i) in slots.iter_mut().zip(chosen) {
            let i = *i as usize;
            if !self.keys.matches(*slot, batch, i) {
                *slot = self.keys.find(batch, i, true);
            }
            let meta = self.keys.meta(*slot);
            if meta.class == DENSE {
                prefetch(&raw const self.dense[meta.block as usize]);
                dense[count] = meta.block;
                count += 1;
            } else if meta.class > 0 {
                let address = self.blocks[meta.class as usize - 1].address(meta.block);
                let last = usize::from(meta.count).saturating_sub(1) * self.layout.stride;
                prefetch(address.wrapping_add(last));
            }
        }
        for place in &dense[..count] {
            self.dense[*place as usize].prefetch_tail();
        }
        let flags_of_empty = TOUCHED | if self.forgetful() { TRIMMED } else { 0 };
        for (slot, i) in slots.iter().zip(chosen) {
            self.apply_event(*slot, batch, *i as usize, flags_of_empty);
        }
    }

    #[inline(always)]
    fn apply_event(&mut self, slot: u32, batch: &KeyedBatch, i: usize, flags_of_empty: u8) {
        self.stats.events += 1;
        let meta = self.keys.meta(slot);
        if meta.flags & TOUCHED == 0 {
            let empty = meta.count == 0 && meta.class != DENSE;
            self.keys.set_flags(slot, if empty { flags_of_empty } else { TOUCHED });
            self.touched.push(slot);
        }
        if batch.time[i] < self.reach {
            // Its row may have said that it holds all slices ever, and says so no more.
            self.keys.set_flags(slot, TRIMMED);
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
                    _ => match &column.sketch {
                        None => batch.columns[from][i],
                        Some(sketch) => sketch.word(batch.columns[from][i], &batch.heap),
                    },
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

    pub fn stats(&self) -> ViewStats {
        let fixed = self.keys.state_bytes() + self.strings.bytes();
        let blocks: usize = self.blocks.iter().map(Slab::bytes).sum();
        let places = self.dense.capacity() * size_of::<Dense>();
        ViewStats {
            keys: self.keys.len() as u64,
            keys_over_value_limit: self.over.keys(),
            dense_keys: (self.dense.len() - self.free_dense.len()) as u64,
            state_bytes: (fixed + blocks + self.dense_bytes + places) as u64,
            ..self.stats
        }
    }
}
