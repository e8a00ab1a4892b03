//! The end of an epoch: rows for what it touched, for leases that end soon, and the slow sweep of silent keys.

use super::dense::{self, FREE, WrittenRow};
use super::layout::time_of;
use super::leases::TICK;
use super::sink::{NO_SLICES, RowSink};
use super::slab::prefetch;
use super::sparse::{CLASS_SLICES, DENSE, LAST_CLASS, TOUCHED, TRIMMED};
use super::store::ViewStore;
use crate::row::codec;

/// Every key without news is looked at this often, to drop what expired.
pub(super) const SWEEP_PERIOD: i64 = 86_400_000_000;

impl ViewStore {
    /// Closes the epoch at instant `at` and hands on the rows it changed, in batches; a key has one row at most.
    ///
    /// With `emit` off (a backfill) the state advances and nothing is written; [`ViewStore::emit_all`] follows.
    pub fn close(&mut self, at: i64, emit: bool, rows: &mut RowSink) {
        // A lease that was long enough for one large step must be long enough for the next.
        let advanced = at.saturating_sub(self.clock).max(0);
        self.step = advanced.max(self.step - self.step / 8).clamp(TICK, self.tuning.longest_lease_us.max(TICK));
        self.clock = at;
        self.reach = self.layout.reach(self.layout.reference(at));
        self.first_close.get_or_insert(at);
        self.take_back();
        let mut touched = std::mem::take(&mut self.touched);
        self.encode_list(&touched, emit, rows);
        self.stats.rows += if emit { touched.len() as u64 } else { 0 };
        touched.clear();
        self.touched = touched;
        if emit {
            self.refresh(rows);
            self.watch_silent();
        }
        self.sweep(advanced);
        rows.flush();
    }

    /// Writes one row per live key: the hand-over from a backfill to the live store.
    pub fn emit_all(&mut self, rows: &mut RowSink) {
        let slots = self.keys.live_slots();
        self.encode_list(&slots, true, rows);
        self.stats.rows += slots.len() as u64;
        rows.flush();
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
            let slot = back[group[0]];
            let meta = self.keys.meta(slot);
            let missing = match meta.class {
                DENSE => self.dense[meta.block as usize].take_back(&self.layout, &words, &mut self.strings),
                _ => self.take_back_sparse(slot, &words),
            };
            self.stats.unmatched_retractions += missing as u64;
            words.chunks_exact(stride).for_each(|slice| dense::release(&self.layout, slice, &mut self.strings));
        }
    }

    fn lead(&self) -> i64 {
        self.tuning.lead_epochs.saturating_mul(self.step)
    }

    /// Leases that end in this tick or earlier may not last until they can be renewed.
    fn last_due_tick(&self) -> i64 {
        self.clock.saturating_add(self.lead()).div_euclid(TICK)
    }

    /// Rewrites dense keys whose lease ends too soon.
    fn refresh(&mut self, rows: &mut RowSink) {
        let last = self.last_due_tick();
        let (mut due, mut later) = (Vec::new(), Vec::new());
        while let Some(places) = self.wheel.pop(last) {
            for (place, lease) in places {
                let dense = &mut self.dense[place as usize];
                // An entry of a key that is dense no more, here or at all.
                if dense.slot == FREE || dense.armed != Some(lease) {
                    continue;
                }
                dense.armed = None;
                if dense.lease.div_euclid(TICK) <= last {
                    due.push(dense.slot);
                } else {
                    later.push(place);
                }
            }
        }
        // Only now: the clock may leap further than the wheel is long, and what is armed behind it would be popped again.
        later.into_iter().for_each(|place| self.arm(place));
        self.encode_list(&due, true, rows);
        self.stats.rows += due.len() as u64;
        self.stats.refreshed_rows += due.len() as u64;
    }

    fn arm(&mut self, place: u32) {
        let dense = &mut self.dense[place as usize];
        if dense.armed.is_none() {
            dense.armed = Some(dense.lease);
            self.wheel.arm(place, dense.lease);
        }
    }

    fn encode_list(&mut self, slots: &[u32], emit: bool, rows: &mut RowSink) {
        for (i, slot) in slots.iter().enumerate() {
            self.prefetch_ahead(slots, i);
            self.encode(*slot, emit, rows);
        }
    }

    /// Asks for the memory of later keys in stages: header, then block or dense key, then what that points to.
    #[inline(always)]
    fn prefetch_ahead(&self, slots: &[u32], i: usize) {
        if let Some(slot) = slots.get(i + 24) {
            self.keys.prefetch_header(*slot);
        }
        if let Some(slot) = slots.get(i + 16) {
            let meta = self.keys.meta(*slot);
            if meta.class == DENSE {
                let place = &raw const self.dense[meta.block as usize];
                for line in 0..size_of::<dense::Dense>() / 64 {
                    prefetch(place.cast::<u8>().wrapping_add(64 * line));
                }
            } else if meta.class > 0 {
                let address = self.blocks[meta.class as usize - 1].address(meta.block);
                for word in (0..usize::from(meta.count) * self.layout.stride).step_by(8) {
                    prefetch(address.wrapping_add(word));
                }
            }
        }
        if let Some(slot) = slots.get(i + 12) {
            let meta = self.keys.meta(*slot);
            if meta.class == DENSE {
                self.dense[meta.block as usize].prefetch_derived();
            }
        }
        if let Some(slot) = slots.get(i + 6) {
            let meta = self.keys.meta(*slot);
            if meta.class == DENSE {
                self.dense[meta.block as usize].prefetch_cursors(&self.layout);
            }
        }
        if let Some(slot) = slots.get(i + 3).filter(|_| !self.layout.plan.summaries.is_empty()) {
            let meta = self.keys.meta(*slot);
            if meta.class == DENSE {
                self.dense[meta.block as usize].prefetch_values();
            }
        }
    }

    /// Asks for the first slices of a key; headers that follow each other need no asking.
    #[inline(always)]
    fn prefetch_first(&self, slot: u32) {
        let meta = self.keys.meta(slot);
        if (1..=LAST_CLASS).contains(&meta.class) {
            prefetch(self.blocks[meta.class as usize - 1].address(meta.block));
        }
    }

    #[inline(always)]
    fn encode(&mut self, slot: u32, emit: bool, rows: &mut RowSink) {
        self.keys.clear_flags(slot, TOUCHED);
        let meta = self.keys.meta(slot);
        if meta.class == DENSE && self.encode_dense(slot, meta.block, emit, rows) {
            return;
        }
        self.trim_closed(slot);
        if emit {
            self.write_sparse(slot, rows);
        }
    }

    #[inline(always)]
    fn write_sparse(&mut self, slot: u32, rows: &mut RowSink) {
        let meta = self.keys.meta(slot);
        let mut scratch = std::mem::take(&mut self.scratch);
        let row = &mut scratch.row;
        let kind = if meta.flags & TRIMMED == 0 { codec::KIND_COMPLETE } else { codec::KIND_SPARSE };
        row.head(kind, self.layout.tag, self.clock);
        row.varint(u64::from(meta.count));
        let words = self.sparse_words(slot, meta);
        dense::put_slices(&self.layout, words, self.clock, &mut None, &self.strings, row);
        let newest = newest(words, self.layout.stride);
        self.keys.with_key(slot, |key| rows.push(key, scratch.row.row(), newest));
        self.scratch = scratch;
        self.watch_sparse(slot);
    }

    /// `false` when the key became sparse instead.
    fn encode_dense(&mut self, slot: u32, place: u32, emit: bool, rows: &mut RowSink) -> bool {
        let (clock, lead, last_due) = (self.clock, self.lead(), self.last_due_tick());
        let dense = &mut self.dense[place as usize];
        dense.advance(&self.layout, clock, &mut self.strings);
        if dense.live() <= CLASS_SLICES[LAST_CLASS as usize] / 2 {
            self.demote(slot);
            return false;
        }
        if !emit {
            return true;
        }
        if dense.lease.div_euclid(TICK) <= last_due || dense.lease < clock.saturating_add(dense.lease_length / 2) {
            let (least, wanted) = (lead + TICK, dense.lease_length.max(lead + TICK));
            let lease = |length: i64| clock.saturating_add(length);
            let end = dense.affordable_lease(&self.layout, lease(least), lease(wanted), self.tuning.slice_budget);
            dense.lease_length = end - clock;
            dense.renew(&self.layout, end, &self.strings);
        }
        let bytes = dense.bytes();
        self.dense_bytes = self.dense_bytes - std::mem::replace(&mut dense.counted_bytes, bytes) + bytes;
        let scratch = &mut self.scratch;
        scratch.row.head(codec::KIND_DENSE, self.layout.tag, clock);
        scratch.row.varint((dense.lease - clock) as u64);
        let WrittenRow { slices, over_limit } = dense.write(&self.layout, &self.strings, scratch);
        let budget = self.tuning.slice_budget;
        if slices > budget + budget / 4 {
            dense.lease_length = (dense.lease_length / 2).max(lead + TICK);
        } else if slices < budget / 3 {
            dense.lease_length = (dense.lease_length * 2).min(self.longest_lease_us);
        }
        self.stats.dense_rows += 1;
        let newest = newest(self.dense[place as usize].live_words(&self.layout), self.layout.stride);
        self.keys.with_key(slot, |key| rows.push(key, self.scratch.row.row(), newest));
        self.arm(place);
        self.watch_dense(slot, over_limit);
        true
    }

    /// A slow pass over silent keys: drops expired slices, and keys that hold nothing any more.
    fn sweep(&mut self, advanced: i64) {
        let total = self.keys.slots();
        if total == 0 {
            return;
        }
        let forgetful = self.forgetful();
        let due = advanced.saturating_mul(i64::from(total)) / SWEEP_PERIOD + 1;
        for _ in 0..due.min(i64::from(total)) {
            let slot = self.sweep_at % total;
            self.sweep_at = (slot + 1) % total;
            self.prefetch_first((slot + SWEPT_AHEAD) % total);
            if self.keys.is_free(slot) {
                continue;
            }
            self.trim_closed(slot);
            let meta = self.keys.meta(slot);
            if forgetful && meta.class == 0 && meta.count == 0 {
                self.keys.forget(slot);
            }
        }
    }
}

/// How many silent keys ahead their slices are asked for.
const SWEPT_AHEAD: u32 = 8;

/// Time of the last slice.
#[inline(always)]
fn newest(words: &[u64], stride: usize) -> i64 {
    words.len().checked_sub(stride).map_or(NO_SLICES, |last| time_of(&words[last..]))
}
