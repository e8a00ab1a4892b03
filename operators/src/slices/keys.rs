//! Keys and their headers: open addressing over hash tags, one cache line of header per key.
//!
//! The table holds `tag << 32 | slot + 1` with the low half of the hash as tag, 0 where empty, and is at most five
//! eighths full. Growing it reads no keys. The high half of the hash decides which worker has the key, so that the
//! tags of one worker still differ.

use super::slab::{Slab, prefetch};
use super::strings::Strings;
use crate::batch::{KeyedBatch, hash_key, heap_bytes};

/// A header is `[key][meta][slices kept inline: 6 words]`.
pub(super) const HEADER_WORDS: usize = 8;
const META: usize = 1;
pub(super) const INLINE: usize = 2;

/// A header whose key was dropped.
const FREE: u64 = u64::MAX;

/// What a header says of its key's slices.
#[derive(Clone, Copy)]
pub(super) struct Meta {
    /// Number of the block, or of the dense key.
    pub block: u32,
    pub count: u8,
    pub class: u8,
    pub flags: u8,
}

impl Meta {
    #[inline(always)]
    pub fn of(header: &[u64]) -> Meta {
        let w = header[META];
        Meta { block: w as u32, count: (w >> 32) as u8, class: (w >> 40) as u8, flags: (w >> 48) as u8 }
    }

    #[inline(always)]
    fn word(self) -> u64 {
        u64::from(self.block) | u64::from(self.count) << 32 | u64::from(self.class) << 40 | u64::from(self.flags) << 48
    }
}

pub(super) struct Keys {
    table: Vec<u64>,
    headers: Slab,
    /// Whether keys are bytes in `bytes` rather than one word.
    on_heap: bool,
    bytes: Strings,
    free: usize,
}

impl Keys {
    pub fn new(on_heap: bool) -> Keys {
        let headers = Slab::new(HEADER_WORDS);
        Keys { table: vec![0; 1 << 12], headers, on_heap, bytes: Strings::default(), free: 0 }
    }

    pub fn len(&self) -> usize {
        self.headers.len() as usize - self.free
    }

    /// Slots ever used: their numbers are below this.
    pub fn slots(&self) -> u32 {
        self.headers.len()
    }

    pub fn state_bytes(&self) -> usize {
        self.table.len() * 8 + self.headers.bytes() + self.bytes.bytes()
    }

    #[inline(always)]
    pub fn header(&self, slot: u32) -> &[u64] {
        self.headers.words(slot)
    }

    #[inline(always)]
    pub fn header_mut(&mut self, slot: u32) -> &mut [u64] {
        self.headers.words_mut(slot)
    }

    #[inline(always)]
    pub fn meta(&self, slot: u32) -> Meta {
        Meta::of(self.headers.words(slot))
    }

    #[inline(always)]
    pub fn set_meta(&mut self, slot: u32, meta: Meta) {
        self.headers.words_mut(slot)[META] = meta.word();
    }

    #[inline(always)]
    pub fn set_flags(&mut self, slot: u32, flags: u8) {
        self.headers.words_mut(slot)[META] |= u64::from(flags) << 48;
    }

    #[inline(always)]
    pub fn clear_flags(&mut self, slot: u32, flags: u8) {
        self.headers.words_mut(slot)[META] &= !(u64::from(flags) << 48);
    }

    pub fn is_free(&self, slot: u32) -> bool {
        self.headers.words(slot)[META] == FREE
    }

    #[inline(always)]
    pub fn prefetch_entry(&self, hash: u64) {
        prefetch(self.table.as_ptr().wrapping_add(hash as u32 as usize & (self.table.len() - 1)));
    }

    #[inline(always)]
    pub fn prefetch_header(&self, slot: u32) {
        prefetch(self.headers.address(slot));
    }

    /// Makes room for so many new keys; slots stay what they are.
    #[inline(always)]
    pub fn reserve(&mut self, more: usize) {
        while (self.len() + more) * 8 > self.table.len() * 5 {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.table.len() * 2;
        for entry in std::mem::replace(&mut self.table, vec![0; size]) {
            if entry != 0 {
                let mut at = (entry >> 32) as usize & (size - 1);
                while self.table[at] != 0 {
                    at = (at + 1) & (size - 1);
                }
                self.table[at] = entry;
            }
        }
    }

    /// Whether the slot is that of event `i`.
    #[inline(always)]
    pub fn matches(&self, slot: u32, batch: &KeyedBatch, i: usize) -> bool {
        let key = self.headers.words(slot)[0];
        if self.on_heap {
            self.bytes.with(key, |bytes| bytes == heap_bytes(&batch.heap, batch.key[i]))
        } else {
            key == batch.key[i]
        }
    }

    /// The first slot with the hash's tag, made when absent. With `exact`, one whose key is the event's.
    #[inline(always)]
    pub fn find(&mut self, batch: &KeyedBatch, i: usize, exact: bool) -> u32 {
        let tag = batch.hash[i] as u32;
        let mask = self.table.len() - 1;
        let mut at = tag as usize & mask;
        loop {
            let entry = self.table[at];
            if entry == 0 {
                let slot = self.insert(batch, i);
                self.table[at] = u64::from(tag) << 32 | u64::from(slot + 1);
                return slot;
            }
            if (entry >> 32) as u32 == tag {
                let slot = entry as u32 - 1;
                if !exact || self.matches(slot, batch, i) {
                    return slot;
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, batch: &KeyedBatch, i: usize) -> u32 {
        let key = if self.on_heap { self.bytes.insert(heap_bytes(&batch.heap, batch.key[i])) } else { batch.key[i] };
        let before = self.headers.len();
        let slot = self.headers.alloc();
        if self.headers.len() == before {
            self.free -= 1;
        }
        let header = self.headers.words_mut(slot);
        header[0] = key;
        header[META] = 0;
        slot
    }

    /// Drops a key.
    pub fn forget(&mut self, slot: u32) {
        let hash = self.with_key(slot, hash_key);
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
        if self.on_heap {
            let key = self.headers.words(slot)[0];
            self.bytes.remove(key);
        }
        self.headers.words_mut(slot)[META] = FREE;
        self.headers.release(slot);
        self.free += 1;
    }

    /// The slots of all keys.
    pub fn live_slots(&self) -> Vec<u32> {
        self.table.iter().filter(|entry| **entry != 0).map(|entry| *entry as u32 - 1).collect()
    }

    #[inline(always)]
    pub fn with_key<R>(&self, slot: u32, read: impl FnOnce(&[u8]) -> R) -> R {
        let key = self.headers.words(slot)[0];
        if self.on_heap { self.bytes.with(key, read) } else { read(&key.to_le_bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(keys: impl Iterator<Item = (u64, u64)>) -> KeyedBatch {
        let (key, hash) = keys.unzip();
        KeyedBatch { key, hash, ..KeyedBatch::default() }
    }

    fn hashed(key: u64) -> (u64, u64) {
        (key, hash_key(&key.to_le_bytes()))
    }

    /// Two keys whose hashes have one tag: the birthday of 32 bits needs some 100 000 keys.
    fn collision() -> (u64, u64) {
        let mut tags = std::collections::HashMap::new();
        (0..).find_map(|key| Some((tags.insert(hashed(key).1 as u32, key)?, key))).expect("tags are finite")
    }

    #[test]
    fn keys_of_one_tag_are_told_apart() {
        let (a, b) = collision();
        let batch = batch([a, b].into_iter().map(hashed));
        let mut keys = Keys::new(false);
        let first = keys.find(&batch, 0, true);
        assert_eq!(keys.find(&batch, 1, false), first, "the tag alone cannot tell");
        assert!(!keys.matches(first, &batch, 1));
        let second = keys.find(&batch, 1, true);
        assert_ne!(first, second);
        keys.forget(first);
        assert_eq!((keys.find(&batch, 1, true), keys.len()), (second, 1));
    }

    /// Against a map, with many keys in a small table, so that chains wrap and are cut in the middle.
    #[test]
    fn forgetting_keeps_all_others_reachable() {
        let all = batch((0..3000).map(hashed));
        let mut keys = Keys::new(false);
        let mut known = std::collections::BTreeMap::new();
        let mut state = 1u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let key = (state >> 33) as usize % 3000;
            match known.remove(&key) {
                Some(slot) => keys.forget(slot),
                None => {
                    keys.reserve(1);
                    known.insert(key, keys.find(&all, key, true));
                }
            }
            assert_eq!(keys.len(), known.len());
        }
        for (key, slot) in &known {
            assert_eq!(keys.find(&all, *key, true), *slot);
        }
        let mut slots = keys.live_slots();
        slots.sort_unstable();
        let mut expected: Vec<u32> = known.into_values().collect();
        expected.sort_unstable();
        assert_eq!(slots, expected);
    }
}
