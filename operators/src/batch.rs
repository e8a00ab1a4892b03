//! Events between projection and windows: columnar, keyed and hashed, moved between workers as a few flat copies.
//!
//! Law: a key's events all go to the worker that owns its hash range, `(high half of the hash) * workers >> 32`, so
//! that state splits into contiguous ranges of hashes whatever the number of workers.

use timely::communication::Push;
use timely::container::Accountable;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};

/// Columns of events of one (source, entity) group. All per-event columns have the length of `time`, or are empty
/// where the comment says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyedBatch {
    /// [`hash_key`] of the key's bytes.
    pub hash: Vec<u64>,
    /// The key's one fixed-width column, or where its bytes stand in `heap` ([`heap_word`]).
    pub key: Vec<u64>,
    /// Event time in microseconds.
    pub time: Vec<i64>,
    /// Order among equal event times. Empty when no view of the group keeps it.
    pub position: Vec<u64>,
    /// Which views of the group the event passes, a bit each. Empty: all.
    pub passes: Vec<u64>,
    /// Which columns are null, a bit each. Empty: none is.
    pub nulls: Vec<u64>,
    /// +1 or -1 (the event is taken back). Empty: all +1.
    pub sign: Vec<i8>,
    /// Values by column: bits of doubles (float32 widened), integers as they are, strings as [`heap_word`].
    pub columns: Vec<Vec<u64>>,
    /// Bytes of strings and of keys that are not one fixed-width column.
    pub heap: Vec<u8>,
}

/// Offset and length in a heap as one word.
#[inline(always)]
pub fn heap_word(offset: usize, length: usize) -> u64 {
    (offset as u64) << 32 | length as u64
}

/// The bytes a [`heap_word`] names.
#[inline(always)]
pub fn heap_bytes(heap: &[u8], word: u64) -> &[u8] {
    &heap[(word >> 32) as usize..][..word as u32 as usize]
}

/// XXH3 of the key's bytes: part of the stored format, because it decides who owns a key.
#[inline(always)]
pub fn hash_key(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// The worker that owns a hash.
#[inline(always)]
pub fn owner(hash: u64, peers: usize) -> usize {
    (((hash >> 32) * peers as u64) >> 32) as usize
}

/// What all batches of a group look like: which columns refer to the heap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchShape {
    /// Whether keys stand in the heap.
    pub heap_key: bool,
    /// Columns whose words point into the heap, a bit each.
    pub heap_columns: u64,
    pub columns: usize,
}

impl KeyedBatch {
    pub fn len(&self) -> usize {
        self.time.len()
    }

    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    fn clear(&mut self) {
        self.hash.clear();
        self.key.clear();
        self.time.clear();
        self.position.clear();
        self.passes.clear();
        self.nulls.clear();
        self.sign.clear();
        self.columns.iter_mut().for_each(Vec::clear);
        self.heap.clear();
    }

    /// Appends the chosen events of `from`, which has the same shape, column by column.
    fn extend_from(&mut self, shape: &BatchShape, from: &KeyedBatch, chosen: &[u32]) {
        fn gather<T: Copy>(to: &mut Vec<T>, from: &[T], chosen: &[u32]) {
            if !from.is_empty() {
                to.extend(chosen.iter().map(|i| from[*i as usize]));
            }
        }
        gather(&mut self.hash, &from.hash, chosen);
        gather(&mut self.time, &from.time, chosen);
        gather(&mut self.position, &from.position, chosen);
        gather(&mut self.passes, &from.passes, chosen);
        gather(&mut self.nulls, &from.nulls, chosen);
        gather(&mut self.sign, &from.sign, chosen);
        if shape.heap_key {
            copy_texts(&mut self.key, &mut self.heap, &from.key, &from.heap, chosen, |_| false);
        } else {
            gather(&mut self.key, &from.key, chosen);
        }
        self.columns.resize_with(shape.columns, Vec::new);
        for (c, (to, words)) in self.columns.iter_mut().zip(&from.columns).enumerate() {
            if shape.heap_columns >> c & 1 == 1 {
                let is_null = |i: usize| from.nulls.get(i).is_some_and(|nulls| nulls >> c & 1 == 1);
                copy_texts(to, &mut self.heap, words, &from.heap, chosen, is_null);
            } else {
                gather(to, words, chosen);
            }
        }
    }

    /// The optional columns a batch has: batches with different ones are not mixed in one buffer.
    fn optional(&self) -> [bool; 4] {
        [!self.position.is_empty(), !self.passes.is_empty(), !self.nulls.is_empty(), !self.sign.is_empty()]
    }
}

/// Copies what words name from one heap to another.
fn copy_texts(
    to: &mut Vec<u64>,
    to_heap: &mut Vec<u8>,
    words: &[u64],
    heap: &[u8],
    chosen: &[u32],
    is_null: impl Fn(usize) -> bool,
) {
    for i in chosen.iter().map(|i| *i as usize) {
        if is_null(i) {
            to.push(0);
            continue;
        }
        let text = heap_bytes(heap, words[i]);
        to.push(heap_word(to_heap.len(), text.len()));
        to_heap.extend_from_slice(text);
    }
}

impl Accountable for KeyedBatch {
    fn record_count(&self) -> i64 {
        self.len() as i64
    }
}

/// Splits batches by the owner of each key.
pub struct Scatter {
    shape: BatchShape,
    buffers: Vec<KeyedBatch>,
    /// Events of the batch at hand, by owner.
    chosen: Vec<Vec<u32>>,
    capacity: usize,
}

impl Scatter {
    /// Buffers are sent on when they hold `capacity` events.
    pub fn new(shape: BatchShape, peers: usize, capacity: usize) -> Scatter {
        Scatter { shape, buffers: vec![KeyedBatch::default(); peers], chosen: vec![Vec::new(); peers], capacity }
    }
}

/// A heap is cut before its offsets outgrow 32 bits: one batch more still fits.
const HEAP_LIMIT: usize = 1 << 28;

impl Distributor<KeyedBatch> for Scatter {
    fn partition<T: Clone, P: Push<Message<T, KeyedBatch>>>(
        &mut self,
        batch: &mut KeyedBatch,
        time: &T,
        pushers: &mut [P],
    ) {
        if let ([buffer], [pusher]) = (self.buffers.as_slice(), &mut *pushers)
            && buffer.is_empty()
        {
            // One worker: nothing to split.
            Message::push_at(batch, time.clone(), pusher);
            batch.clear();
            return;
        }
        let peers = self.buffers.len();
        for (i, hash) in batch.hash.iter().enumerate() {
            self.chosen[owner(*hash, peers)].push(i as u32);
        }
        let optional = batch.optional();
        for ((buffer, chosen), pusher) in self.buffers.iter_mut().zip(&mut self.chosen).zip(pushers) {
            if chosen.is_empty() {
                continue;
            }
            if !buffer.is_empty() && buffer.optional() != optional {
                Message::push_at(buffer, time.clone(), pusher);
                buffer.clear();
            }
            buffer.extend_from(&self.shape, batch, chosen);
            chosen.clear();
            if buffer.len() >= self.capacity || buffer.heap.len() >= HEAP_LIMIT {
                Message::push_at(buffer, time.clone(), pusher);
                buffer.clear();
            }
        }
        batch.clear();
    }

    fn flush<T: Clone, P: Push<Message<T, KeyedBatch>>>(&mut self, time: &T, pushers: &mut [P]) {
        for (buffer, pusher) in self.buffers.iter_mut().zip(pushers) {
            if !buffer.is_empty() {
                Message::push_at(buffer, time.clone(), pusher);
                buffer.clear();
            }
        }
    }
}

/// For workers in other processes: lengths, then the columns as they lie in memory (little-endian machines only).
impl ContainerBytes for KeyedBatch {
    fn from_bytes(bytes: timely_bytes::arc::Bytes) -> Self {
        let mut reader = WordReader { bytes: &bytes };
        let columns = reader.word() as usize;
        let mut batch = KeyedBatch {
            hash: reader.words(),
            key: reader.words(),
            time: reader.words().into_iter().map(|w| w as i64).collect(),
            position: reader.words(),
            passes: reader.words(),
            nulls: reader.words(),
            sign: reader.words().into_iter().map(|w| w as i8).collect(),
            columns: Vec::new(),
            heap: Vec::new(),
        };
        batch.columns = (0..columns).map(|_| reader.words()).collect();
        let heap = reader.word() as usize;
        batch.heap = reader.bytes[..heap].to_vec();
        batch
    }

    fn length_in_bytes(&self) -> usize {
        let words = self.hash.len() + self.key.len() + self.time.len() + self.position.len();
        let optional = self.passes.len() + self.nulls.len() + self.sign.len();
        let columns: usize = self.columns.iter().map(|c| 1 + c.len()).sum();
        8 * (1 + 7 + words + optional + columns + 1) + self.heap.len().next_multiple_of(8)
    }

    fn into_bytes<W: std::io::Write>(&self, writer: &mut W) {
        let mut put = |words: &mut dyn Iterator<Item = u64>| {
            for word in words {
                // The writer is a buffer of `length_in_bytes`: it cannot be full.
                writer.write_all(&word.to_le_bytes()).expect("a buffer of the announced length");
            }
        };
        put(&mut std::iter::once(self.columns.len() as u64));
        let mut column = |len: usize, words: &mut dyn Iterator<Item = u64>| {
            put(&mut std::iter::once(len as u64));
            put(words);
        };
        column(self.hash.len(), &mut self.hash.iter().copied());
        column(self.key.len(), &mut self.key.iter().copied());
        column(self.time.len(), &mut self.time.iter().map(|t| *t as u64));
        column(self.position.len(), &mut self.position.iter().copied());
        column(self.passes.len(), &mut self.passes.iter().copied());
        column(self.nulls.len(), &mut self.nulls.iter().copied());
        column(self.sign.len(), &mut self.sign.iter().map(|s| *s as u64));
        for words in &self.columns {
            column(words.len(), &mut words.iter().copied());
        }
        put(&mut std::iter::once(self.heap.len() as u64));
        let padding = [0u8; 8];
        let pad = self.heap.len().next_multiple_of(8) - self.heap.len();
        writer
            .write_all(&self.heap)
            .and_then(|()| writer.write_all(&padding[..pad]))
            .expect("a buffer of the announced length");
    }
}

struct WordReader<'a> {
    bytes: &'a [u8],
}

impl WordReader<'_> {
    fn word(&mut self) -> u64 {
        let (word, rest) = self.bytes.split_first_chunk::<8>().expect("written by the same build of the same program");
        self.bytes = rest;
        u64::from_le_bytes(*word)
    }

    fn words(&mut self) -> Vec<u64> {
        let count = self.word() as usize;
        (0..count).map(|_| self.word()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> KeyedBatch {
        KeyedBatch {
            hash: vec![1, 2],
            key: vec![heap_word(0, 2), heap_word(2, 1)],
            time: vec![-5, 7],
            nulls: vec![0, 2],
            columns: vec![vec![9, 10], vec![heap_word(3, 4), 0]],
            heap: b"abcdefg".to_vec(),
            ..KeyedBatch::default()
        }
    }

    #[test]
    fn bytes_round_trip() {
        let batch = sample();
        let mut bytes = Vec::new();
        batch.into_bytes(&mut bytes);
        assert_eq!(bytes.len(), batch.length_in_bytes());
        let mut slab = timely_bytes::arc::BytesMut::from(bytes);
        let len = slab.len();
        assert_eq!(KeyedBatch::from_bytes(slab.extract_to(len)), batch);
    }

    #[test]
    fn copies_keep_strings() {
        let shape = BatchShape { heap_key: true, heap_columns: 2, columns: 2 };
        let from = sample();
        let mut to = KeyedBatch::default();
        to.extend_from(&shape, &from, &[1, 0]);
        assert_eq!(heap_bytes(&to.heap, to.key[0]), b"c");
        assert_eq!(heap_bytes(&to.heap, to.key[1]), b"ab");
        assert_eq!(heap_bytes(&to.heap, to.columns[1][1]), b"defg");
        assert_eq!(to.nulls, [2, 0]);
    }

    #[test]
    fn owners_are_contiguous_ranges() {
        for peers in [1, 2, 3, 7] {
            let mut last = 0;
            for h in (0..=255u64).map(|b| b << 56) {
                let o = owner(h, peers);
                assert!(o >= last && o < peers);
                last = o;
            }
            assert_eq!(last, peers - 1);
        }
    }
}
