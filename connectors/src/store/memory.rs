//! The embedded store: every row in this process's memory, read and overwritten in place under a short lock.
//!
//! Nothing is kept on disk: the engine fills the store again at start. A reader sees a whole row of one epoch or of
//! another, never a mixture, since rows are read and written under the lock of their shard. A batch is written shard by
//! shard: what it finds in memory is asked for row after row before the first is written, for waiting on memory is most of
//! the work.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use freshet_config::rows::{RowBatch, append};
use freshet_config::time::Epoch;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Lookup, StoreError, StoreStats};

/// What a user sets to bound the store.
pub const BUDGET_SETTING: &str = "store.memory";

/// Enough that a reader hardly ever waits for a writer, and so few that a batch has many rows for each: what they need is
/// asked for at once. A power of two.
const SHARDS: usize = 16;
/// Cache lines of a stored row that are asked for before it is overwritten.
const LINES_ASKED_FOR: usize = 4;
/// The table of a shard takes its bucket from the lowest bits of a hash and its tag from the highest seven, so the
/// shard is chosen by bits of neither.
const SHARD_SHIFT: u32 = 40;

/// Rows in memory, by view and key.
pub struct MemoryStore {
    shards: Box<[Shard]>,
    hasher: DefaultHashBuilder,
    views: usize,
    budget_bytes: u64,
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// On cache lines of its own: a lock's word is written even by readers.
#[repr(align(128))]
#[derive(Default)]
struct Shard(RwLock<HashTable<Entry>>);

/// Half a cache line, with its hash, so that a table that grows reads no keys.
struct Entry {
    hash: u64,
    /// `[epoch 8][view 4][key length 4][key][row]`, little-endian.
    bytes: Vec<u8>,
}

/// What stands before the key.
const HEAD: usize = 16;

impl Entry {
    fn new(hash: u64, view: u32, key: &[u8], epoch: Epoch, row: &[u8]) -> Entry {
        let mut bytes = Vec::with_capacity(HEAD + key.len() + row.len());
        bytes.extend_from_slice(&epoch.micros().to_le_bytes());
        bytes.extend_from_slice(&owner(view, key).to_le_bytes());
        bytes.extend_from_slice(key);
        append(&mut bytes, row);
        Entry { hash, bytes }
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    #[inline]
    fn is(&self, hash: u64, view: u32, key: &[u8]) -> bool {
        self.hash == hash && self.word(8) == owner(view, key) && self.bytes[HEAD..HEAD + key.len()] == *key
    }

    fn epoch(&self) -> Epoch {
        Epoch::from_micros(self.word(0))
    }

    /// Where the row begins.
    #[inline]
    fn row_at(&self) -> usize {
        HEAD + (self.word(8) >> 32) as usize
    }

    #[inline]
    fn row(&self) -> &[u8] {
        &self.bytes[self.row_at()..]
    }
}

/// The view and the length of a key. A batch frames a key's length in 32 bits, so it fits.
#[inline]
fn owner(view: u32, key: &[u8]) -> u64 {
    u64::from(view) | (key.len() as u64) << 32
}

impl MemoryStore {
    /// A store for views `0..views`, without a bound.
    pub fn new(views: usize) -> MemoryStore {
        MemoryStore {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            views,
            budget_bytes: u64::MAX,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Bounds keys, rows and tables to `bytes`: a row that needs more is refused. Writers on several threads may exceed
    /// the bound by one row each.
    pub fn with_budget(self, bytes: u64) -> MemoryStore {
        MemoryStore { budget_bytes: bytes, ..self }
    }

    /// Writes a batch. A row of an older epoch than the stored one is passed over, one of the same epoch replaces it.
    /// After an error some of the other rows are written.
    pub fn upsert(&self, batch: &RowBatch) -> Result<(), StoreError> {
        let view = self.checked_view(batch.view)?;
        let rows = ByShard::new(batch.iter().map(|(key, row)| Row { hash: self.hash(view, key), key, row }));
        let mut busy = Vec::new();
        for (shard, rows) in rows.groups() {
            match self.shards[shard].0.try_write() {
                Ok(mut table) => self.put_all(&mut table, view, batch.epoch, rows)?,
                Err(_) => busy.push((shard, rows)),
            }
        }
        for (shard, rows) in busy {
            self.put_all(&mut self.write(shard), view, batch.epoch, rows)?;
        }
        Ok(())
    }

    /// Calls `read` with the row, under its lock: `read` must be short and must not write to the store.
    #[inline]
    pub fn get<R>(&self, view: usize, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let view = u32::try_from(view).ok()?;
        let hash = self.hash(view, key);
        let shard = self.read(shard_of(hash));
        shard.find(hash, |entry| entry.is(hash, view, key)).map(|entry| read(entry.row()))
    }

    /// Calls `found` for every lookup in order, under the row's lock. Allocates nothing.
    #[inline]
    pub fn get_many(&self, lookups: &[Lookup<'_>], found: &mut impl FnMut(usize, Option<&[u8]>)) {
        for (index, lookup) in lookups.iter().enumerate() {
            if self.get(lookup.view, lookup.key, |row| found(index, Some(row))).is_none() {
                found(index, None);
            }
        }
    }

    /// What the store holds. Bytes count keys, rows (with room to grow) and tables.
    pub fn state(&self) -> StoreStats {
        StoreStats { rows: self.rows.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    fn checked_view(&self, view: usize) -> Result<u32, StoreError> {
        let known = u32::try_from(view).ok().filter(|_| view < self.views);
        known.ok_or(StoreError::NoView { view, views: self.views })
    }

    /// Writes rows of one shard.
    fn put_all(
        &self,
        table: &mut HashTable<Entry>,
        view: u32,
        epoch: Epoch,
        rows: &[Row<'_>],
    ) -> Result<(), StoreError> {
        if rows.len() > 1 {
            ask_for(table, rows);
        }
        let mut grown = Grown::default();
        let written = rows.iter().try_for_each(|Row { hash, key, row }| {
            match table.find_mut(*hash, |entry| entry.is(*hash, view, key)) {
                Some(entry) => self.replace(entry, view, epoch, row, &mut grown),
                None => self.insert(table, *hash, view, key, epoch, row, &mut grown),
            }
        });
        if grown.bytes > 0 {
            self.bytes.fetch_add(grown.bytes, Ordering::Relaxed);
            self.rows.fetch_add(grown.rows, Ordering::Relaxed);
        }
        written
    }

    fn replace(
        &self,
        entry: &mut Entry,
        view: u32,
        epoch: Epoch,
        row: &[u8],
        grown: &mut Grown,
    ) -> Result<(), StoreError> {
        if epoch < entry.epoch() {
            return Ok(());
        }
        let row_at = entry.row_at();
        let needed = row_at + row.len();
        let before = entry.bytes.capacity();
        if needed > before {
            let capacity = roomy(needed);
            self.check_budget(view, grown, (capacity - before) as u64)?;
            entry.bytes.reserve_exact(capacity - entry.bytes.len());
            grown.bytes += (entry.bytes.capacity() - before) as u64;
        }
        entry.bytes.truncate(row_at);
        append(&mut entry.bytes, row);
        entry.bytes[..8].copy_from_slice(&epoch.micros().to_le_bytes());
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "a row, and what it is written to")]
    fn insert(
        &self,
        table: &mut HashTable<Entry>,
        hash: u64,
        view: u32,
        key: &[u8],
        epoch: Epoch,
        row: &[u8],
        grown: &mut Grown,
    ) -> Result<(), StoreError> {
        let length = HEAD + key.len() + row.len();
        let before = table.allocation_size();
        // A full table doubles; the first one has room for four entries and their tags.
        let growth = if table.len() == table.capacity() { before.max(size_of::<Entry>() * 4 + 64) } else { 0 };
        self.check_budget(view, grown, (length + growth) as u64)?;
        let entry = Entry::new(hash, view, key, epoch, row);
        let added = entry.bytes.capacity();
        table.insert_unique(hash, entry, |entry| entry.hash);
        grown.bytes += (added + table.allocation_size() - before) as u64;
        grown.rows += 1;
        Ok(())
    }

    fn check_budget(&self, view: u32, grown: &Grown, needed: u64) -> Result<(), StoreError> {
        let used = self.bytes.load(Ordering::Relaxed) + grown.bytes;
        if used.saturating_add(needed) > self.budget_bytes {
            return Err(StoreError::Full { view: view as usize, used, needed, budget: self.budget_bytes });
        }
        Ok(())
    }

    #[inline]
    fn hash(&self, view: u32, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        view.hash(&mut hasher);
        hasher.write(key);
        hasher.finish()
    }

    // A lock is poisoned by a panic while writing; nothing between two steps of a write can panic but an allocation,
    // and that aborts. Every row is therefore whole.
    #[inline]
    fn read(&self, shard: usize) -> RwLockReadGuard<'_, HashTable<Entry>> {
        self.shards[shard].0.read().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, HashTable<Entry>> {
        self.shards[shard].0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What rows of one shard added, until all threads are told: their counters share a cache line.
#[derive(Default)]
struct Grown {
    rows: u64,
    bytes: u64,
}

/// Asks for what rows of a shard will overwrite, in stages that wait for nothing: entries, then what these point to.
fn ask_for(table: &HashTable<Entry>, rows: &[Row<'_>]) {
    // Whatever seems to be the entry: it is looked at properly later, and is in the cache then.
    let likely = |row: &Row| table.find(row.hash, |_| true);
    rows.iter().filter_map(likely).for_each(|entry| prefetch(entry));
    for entry in rows.iter().filter_map(likely) {
        for line in entry.bytes.chunks(64).take(LINES_ASKED_FOR) {
            prefetch(line.as_ptr());
        }
    }
}

/// Asks for a cache line ahead of its use.
#[inline(always)]
fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // Sound: a prefetch never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch(address.cast(), std::arch::x86_64::_MM_HINT_T0)
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// A row of a batch.
#[derive(Clone, Copy)]
struct Row<'a> {
    hash: u64,
    key: &'a [u8],
    row: &'a [u8],
}

/// The rows of a batch by shard, those of one shard in the batch's order.
struct ByShard<'a> {
    rows: Vec<Row<'a>>,
    /// Where the rows of a shard end.
    ends: [u32; SHARDS],
}

impl<'a> ByShard<'a> {
    fn new(rows: impl Iterator<Item = Row<'a>>) -> ByShard<'a> {
        let rows: Vec<Row<'a>> = rows.collect();
        let mut ends = [0u32; SHARDS];
        rows.iter().for_each(|row| ends[shard_of(row.hash)] += 1);
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let mut sorted = rows.clone();
        for row in rows {
            let end = &mut ends[shard_of(row.hash)];
            sorted[*end as usize] = row;
            *end += 1;
        }
        ByShard { rows: sorted, ends }
    }

    /// Shards that have rows, with these.
    fn groups(&self) -> impl Iterator<Item = (usize, &[Row<'a>])> {
        let mut from = 0;
        let groups = self.ends.iter().map(move |end| std::mem::replace(&mut from, *end as usize)..*end as usize);
        groups.enumerate().filter(|(_, range)| !range.is_empty()).map(|(shard, range)| (shard, &self.rows[range]))
    }
}

#[inline]
fn shard_of(hash: u64) -> usize {
    (hash >> SHARD_SHIFT) as usize % SHARDS
}

/// The room given to a row that outgrew its own: rows that grow once tend to grow again.
fn roomy(needed: usize) -> usize {
    needed + needed / 8
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("views", &self.views).field("state", &self.state()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::AtomicBool;

    use proptest::prelude::*;

    use super::*;

    fn batch(view: usize, epoch: u64, rows: &[(&[u8], &[u8])]) -> RowBatch {
        let mut batch = RowBatch::new(view, Epoch::from_micros(epoch));
        for (key, row) in rows {
            batch.push(key, |out| out.extend_from_slice(row));
        }
        batch
    }

    fn row(store: &MemoryStore, view: usize, key: &[u8]) -> Option<Vec<u8>> {
        store.get(view, key, <[u8]>::to_vec)
    }

    #[test]
    fn older_epochs_never_replace_newer_ones() {
        let store = MemoryStore::new(2);
        store.upsert(&batch(0, 5, &[(b"k", b"five")])).unwrap();
        store.upsert(&batch(0, 4, &[(b"k", b"four"), (b"other", b"4")])).unwrap();
        assert_eq!(row(&store, 0, b"k").unwrap(), b"five");
        assert_eq!(row(&store, 0, b"other").unwrap(), b"4");
        store.upsert(&batch(0, 5, &[(b"k", b"five again, and longer")])).unwrap();
        assert_eq!(row(&store, 0, b"k").unwrap(), b"five again, and longer");
        store.upsert(&batch(0, 6, &[(b"k", b"")])).unwrap();
        assert_eq!(row(&store, 0, b"k").unwrap(), b"");
        // The same key of another view is another row.
        assert_eq!(row(&store, 1, b"k"), None);
        assert_eq!(store.state().rows, 2);
    }

    #[test]
    fn lookups_are_answered_by_index() {
        let store = MemoryStore::new(3);
        store.upsert(&batch(0, 1, &[(b"a", b"0a")])).unwrap();
        store.upsert(&batch(2, 1, &[(b"a", b"2a"), (b"", b"empty key")])).unwrap();
        let lookups =
            [(2, &b"a"[..]), (1, b"a"), (0, b"a"), (2, b""), (9, b"a")].map(|(view, key)| Lookup { view, key });
        let mut answers = vec![None; lookups.len()];
        store.get_many(&lookups, &mut |index, row| answers[index] = Some(row.map(<[u8]>::to_vec)));
        let text = |bytes: &[u8]| Some(Some(bytes.to_vec()));
        assert_eq!(answers, [text(b"2a"), Some(None), text(b"0a"), text(b"empty key"), Some(None)]);
    }

    #[test]
    fn an_unknown_view_is_refused() {
        let error = MemoryStore::new(2).upsert(&batch(2, 1, &[(b"k", b"v")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the store was opened for 2 views and was asked for view 2; open it with the current definitions"
        );
    }

    #[test]
    fn a_budget_refuses_growth_and_keeps_what_is_there() {
        let budget = 100_000;
        let store = MemoryStore::new(1).with_budget(budget);
        let refused = (0..10_000u32).find_map(|i| {
            store.upsert(&batch(0, 1, &[(&i.to_le_bytes(), &[7; 64])])).err().map(|error| (i, error.to_string()))
        });
        let (first_refused, message) = refused.expect("640 kB do not fit 100 kB");
        assert!(message.contains("`store.memory`"), "{message}");
        let state = store.state();
        assert!(state.bytes <= budget, "{state:?}");
        assert_eq!(state.rows, u64::from(first_refused));
        assert_eq!(row(&store, 0, &first_refused.to_le_bytes()), None);
        // Rows that are there stay, and can be overwritten in place though nothing more fits.
        store.upsert(&batch(0, 2, &[(&0u32.to_le_bytes(), &[8; 64])])).unwrap();
        assert_eq!(row(&store, 0, &0u32.to_le_bytes()).unwrap(), [8; 64]);
        assert!(store.upsert(&batch(0, 3, &[(&0u32.to_le_bytes(), &[9; 99_999])])).is_err());
        assert_eq!(row(&store, 0, &0u32.to_le_bytes()).unwrap(), [8; 64]);
    }

    proptest! {
        /// Whatever the order, the store holds per key the row of the greatest epoch, the later of equals.
        #[test]
        fn the_newest_row_remains(writes in prop::collection::vec((0usize..3, 0u8..6, 0u64..5, 0usize..40), 0..60)) {
            let store = MemoryStore::new(3);
            let mut newest: HashMap<(usize, u8), (u64, Vec<u8>)> = HashMap::new();
            for (sequence, (view, key, epoch, length)) in writes.into_iter().enumerate() {
                let bytes = vec![sequence as u8; length];
                store.upsert(&batch(view, epoch, &[(&[key], &bytes)])).unwrap();
                let slot = newest.entry((view, key)).or_insert((epoch, Vec::new()));
                if epoch >= slot.0 {
                    *slot = (epoch, bytes);
                }
            }
            prop_assert_eq!(store.state().rows, newest.len() as u64);
            for ((view, key), (_, bytes)) in newest {
                prop_assert_eq!(row(&store, view, &[key]), Some(bytes));
            }
        }
    }

    /// A row of `length` bytes that ends in the checksum of the rest.
    fn sealed(seed: u64, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            (0..length).map(|i| (seed as usize).wrapping_mul(31).wrapping_add(i * 7) as u8).collect();
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let sum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The seed of a row, if the row is whole.
    fn unsealed(bytes: &[u8]) -> Option<u64> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        let seed = u64::from_le_bytes(*body.first_chunk()?);
        (crc32fast::hash(body).to_le_bytes() == *sum).then_some(seed)
    }

    #[test]
    fn readers_never_see_a_torn_or_an_older_row() {
        const KEYS: u64 = 8;
        const EPOCHS: u64 = 3_000;
        let store = MemoryStore::new(1);
        let written = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|writer| {
                    let store = &store;
                    scope.spawn(move || {
                        for epoch in (1 + writer..=EPOCHS).step_by(2) {
                            for key in 0..KEYS {
                                let length = 16 + (epoch * 37 + key * 11) as usize % 300;
                                let row = sealed(epoch, length);
                                store.upsert(&batch(0, epoch, &[(&key.to_le_bytes(), &row)])).unwrap();
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut newest = [0; KEYS as usize];
                    while !written.load(Ordering::Relaxed) {
                        for key in 0..KEYS {
                            let read = store.get(0, &key.to_le_bytes(), |row| unsealed(row).expect("a whole row"));
                            let epoch = read.unwrap_or(0);
                            assert!(epoch >= newest[key as usize], "key {key} went back to {epoch}");
                            newest[key as usize] = epoch;
                        }
                    }
                });
            }
            // Joined before it is looked at: a writer that fails must not leave the readers running.
            let ends: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
            written.store(true, Ordering::Relaxed);
            assert!(ends.iter().all(Result::is_ok));
        });
        for key in 0..KEYS {
            assert_eq!(store.get(0, &key.to_le_bytes(), unsealed), Some(Some(EPOCHS)));
        }
    }
}
