//! Keys with few slices: a sorted list in the header or in a small block, trimmed when the key is looked at.

use super::dense::{self, Dense};
use super::keys::{HEADER_WORDS, INLINE, Keys, Meta};
use super::layout::time_of;
use super::slab::Slab;
use super::store::ViewStore;

/// Slices per class; class 0 is inline and depends on the stride.
pub(super) const CLASS_SLICES: [usize; 5] = [0, 4, 8, 16, 32];
pub(super) const LAST_CLASS: u8 = 4;
/// The class of dense keys.
pub(super) const DENSE: u8 = 255;
/// Flag: the open epoch has an event of the key.
pub(super) const TOUCHED: u8 = 1;
/// Flag: slices were dropped, so the row is not exact before its `as_of`.
pub(super) const TRIMMED: u8 = 2;

impl ViewStore {
    #[inline(always)]
    fn class_slices(&self, class: u8) -> usize {
        if class == 0 { (HEADER_WORDS - INLINE) / self.layout.stride } else { CLASS_SLICES[class as usize] }
    }

    /// The smallest class that holds so many slices.
    fn class_for(&self, slices: usize) -> Option<u8> {
        (0..=LAST_CLASS).find(|class| self.class_slices(*class) >= slices)
    }

    #[inline(always)]
    pub(super) fn add(&mut self, slot: u32, slice: &[u64]) {
        let mut meta = self.keys.meta(slot);
        if meta.class != DENSE && usize::from(meta.count) == self.class_slices(meta.class) {
            self.make_room(slot);
            meta = self.keys.meta(slot);
        }
        if meta.class == DENSE {
            self.dense[meta.block as usize].push(&self.layout, slice, &self.strings);
            return;
        }
        let stride = self.layout.stride;
        let words = words_mut(&mut self.keys, &mut self.blocks, slot, meta);
        let mut at = usize::from(meta.count) * stride;
        while at > 0 && self.layout.order(&self.strings, &words[at - stride..at], slice).is_gt() {
            words.copy_within(at - stride..at, at);
            at -= stride;
        }
        words[at..at + stride].copy_from_slice(slice);
        meta.count += 1;
        self.keys.set_meta(slot, meta);
    }

    #[inline(always)]
    pub(super) fn sparse_words(&self, slot: u32, meta: Meta) -> &[u64] {
        let words = match meta.class {
            0 => &self.keys.header(slot)[INLINE..],
            class => self.blocks[class as usize - 1].words(meta.block),
        };
        &words[..usize::from(meta.count) * self.layout.stride]
    }

    /// Takes slices of a sparse key out; gives how many it does not have.
    pub(super) fn take_back_sparse(&mut self, slot: u32, slices: &[u64]) -> usize {
        let mut meta = self.keys.meta(slot);
        let (stride, mut missing) = (self.layout.stride, 0);
        let words = words_mut(&mut self.keys, &mut self.blocks, slot, meta);
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
        self.keys.set_meta(slot, meta);
        missing
    }

    /// Drops slices that no window can reach; gives back a block that became too large.
    #[inline(always)]
    pub(super) fn trim(&mut self, slot: u32) {
        let meta = self.keys.meta(slot);
        if meta.class == DENSE || meta.count == 0 {
            return;
        }
        if time_of(self.sparse_words(slot, meta)) < self.reach {
            self.drop_oldest(slot, meta, 0);
        }
    }

    /// [`ViewStore::trim`] at a close: where only the newest row matters, those before it go too. Not earlier, because an
    /// epoch may take back what it made the newest.
    #[inline(always)]
    pub(super) fn trim_closed(&mut self, slot: u32) {
        self.trim(slot);
        if self.layout.newest_only {
            self.keep_newest(slot);
        }
    }

    #[inline(never)]
    fn keep_newest(&mut self, slot: u32) {
        let meta = self.keys.meta(slot);
        if meta.class == DENSE || meta.count < 2 {
            return;
        }
        let closed = self.layout.upper(0, self.layout.reference(self.clock));
        let slices = self.sparse_words(slot, meta).chunks_exact(self.layout.stride);
        let before = slices.take_while(|slice| time_of(slice) < closed).count();
        if before > 1 {
            self.drop_oldest(slot, meta, before - 1);
        }
    }

    /// Drops expired slices, and at least so many.
    #[inline(never)]
    fn drop_oldest(&mut self, slot: u32, mut meta: Meta, least: usize) {
        let (stride, reach) = (self.layout.stride, self.reach);
        let words = words_mut(&mut self.keys, &mut self.blocks, slot, meta);
        let end = usize::from(meta.count) * stride;
        let dead = words[..end].chunks_exact(stride).take_while(|s| time_of(s) < reach).count().max(least);
        if self.layout.has_strings {
            for slice in words[..dead * stride].chunks_exact(stride) {
                dense::release(&self.layout, slice, &mut self.strings);
            }
        }
        words.copy_within(dead * stride..end, 0);
        meta.count -= dead as u8;
        meta.flags |= TRIMMED;
        self.keys.set_meta(slot, meta);
        if meta.class > 0
            && usize::from(meta.count) <= self.class_slices(meta.class) / 4
            && let Some(class) = self.class_for(usize::from(meta.count))
        {
            self.resize(slot, class);
        }
    }

    fn resize(&mut self, slot: u32, class: u8) {
        let old = self.keys.meta(slot);
        let mut meta = old;
        let mut held = std::mem::take(&mut self.held);
        held.clear();
        held.extend_from_slice(self.sparse_words(slot, old));
        meta.class = class;
        meta.block = if class > 0 { self.blocks[class as usize - 1].alloc() } else { 0 };
        words_mut(&mut self.keys, &mut self.blocks, slot, meta)[..held.len()].copy_from_slice(&held);
        self.held = held;
        self.keys.set_meta(slot, meta);
        if old.class > 0 {
            self.blocks[old.class as usize - 1].release(old.block);
        }
    }

    /// Full: trim, else the next class, else become dense.
    #[inline(never)]
    fn make_room(&mut self, slot: u32) {
        self.trim(slot);
        let meta = self.keys.meta(slot);
        if usize::from(meta.count) < self.class_slices(meta.class) {
            return;
        }
        match self.class_for(usize::from(meta.count) + 1) {
            Some(class) => self.resize(slot, class),
            None => self.promote(slot),
        }
    }

    fn promote(&mut self, slot: u32) {
        let mut meta = self.keys.meta(slot);
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
        self.keys.set_meta(slot, meta);
    }

    /// A dense key whose slices fit in a block again.
    pub(super) fn demote(&mut self, slot: u32) {
        let mut meta = self.keys.meta(slot);
        let place = meta.block;
        let dense = std::mem::replace(&mut self.dense[place as usize], Dense::free());
        self.free_dense.push(place);
        self.dense_bytes -= dense.counted_bytes;
        let words = dense.live_words(&self.layout);
        let count = words.len() / self.layout.stride;
        meta.class = self.class_for(count).unwrap_or(LAST_CLASS);
        meta.block = if meta.class > 0 { self.blocks[meta.class as usize - 1].alloc() } else { 0 };
        meta.count = count as u8;
        // A dense row was not exact before its `as_of`; neither is what follows it.
        meta.flags |= TRIMMED;
        words_mut(&mut self.keys, &mut self.blocks, slot, meta)[..words.len()].copy_from_slice(words);
        self.keys.set_meta(slot, meta);
    }
}

/// All words of a sparse key's place, used or not.
#[inline(always)]
fn words_mut<'a>(keys: &'a mut Keys, blocks: &'a mut [Slab], slot: u32, meta: Meta) -> &'a mut [u64] {
    match meta.class {
        0 => &mut keys.header_mut(slot)[INLINE..],
        class => blocks[class as usize - 1].words_mut(meta.block),
    }
}
