//! State of a view by category: one row per key, put together from the rows of its categories.
//!
//! Law: a category of a key is a key of its own in the [`ViewStore`] inside, which this wraps; whatever rows that writes
//! are kept here, the newest per category, and a key with a new one gets one row of all of them. A category is dropped
//! when no window can see its newest slice any more, on instants alone, so that nothing depends on when the sweep came.
//! The key's own columns are the first of the category's key, and decide alone which worker has it.

use std::sync::Arc;

use freshet_config::rows::RowBatch;
use freshet_config::value::DataType;

use hashbrown::HashMap;

use super::close::SWEEP_PERIOD;
use super::crowded::{Crowded, CrowdedKeys, Watched};
use super::members::Members;
use super::sink::{NO_SLICES, RowSink};
use super::slab::prefetch;
use super::store::{Tuning, ViewStats, ViewStore};
use crate::batch::KeyedBatch;
use crate::row::categories as rows_of_categories;
use crate::row::codec::{KIND_COMPLETE, RowBuffer};
use crate::slices::Layout;
use crate::view::{Category, CategoryPlan, ViewPlan, key_prefix};

/// All keys of one view by category on one worker.
pub struct CategoryStore {
    members: ViewStore,
    plan: Arc<CategoryPlan>,
    tag: u32,
    /// Types of the entity's key columns.
    key_types: Vec<DataType>,
    places: HashMap<Arc<[u8]>, u32>,
    keys: Vec<Option<Key>>,
    free: Vec<u32>,
    /// Keys that get a row at this close.
    changed: Vec<u32>,
    crowded: CrowdedKeys,
    sweep_at: usize,
    clock: i64,
    rows_written: u64,
    row_bytes: usize,
    /// What the last close wrote of members.
    bytes_of_members: usize,
    buffer: RowBuffer,
}

struct Key {
    bytes: Arc<[u8]>,
    members: Members,
    /// What the store's figures hold for [`Key::members`].
    member_bytes: usize,
    /// A category that could be seen before now was dropped, or may have been.
    trimmed: bool,
    changed: bool,
    /// For [`CategoryStore::crowded`].
    watched: Watched,
}

/// The new row of a category.
struct Arrival<'a> {
    /// Its key's.
    place: u32,
    /// As the key has it.
    category: &'a [u8],
    row: &'a [u8],
    newest: i64,
}

impl CategoryStore {
    /// `plan` is by category; the rest as for [`ViewStore::new`], the key being that of the entity with the category.
    pub fn new(
        plan: &ViewPlan,
        categories: Arc<CategoryPlan>,
        tuning: Tuning,
        columns: Vec<usize>,
        bit: u32,
        key_types: Vec<DataType>,
        clock: i64,
    ) -> CategoryStore {
        let layout = Layout::new(categories.member.clone());
        CategoryStore {
            members: ViewStore::new(layout, tuning, columns, bit, true, clock)
                .leasing_whole_windows()
                .of_owners(key_types.clone()),
            tag: plan.layout_tag(),
            plan: categories,
            key_types,
            places: HashMap::new(),
            keys: Vec::new(),
            free: Vec::new(),
            changed: Vec::new(),
            crowded: CrowdedKeys::default(),
            sweep_at: 0,
            clock,
            rows_written: 0,
            row_bytes: 0,
            bytes_of_members: 0,
            buffer: RowBuffer::default(),
        }
    }

    /// As [`ViewStore::of_withheld`].
    pub fn of_withheld(self) -> CategoryStore {
        CategoryStore { members: self.members.of_withheld(), ..self }
    }

    pub fn apply(&mut self, batch: &KeyedBatch) {
        self.members.apply(batch);
    }

    /// As [`ViewStore::close`].
    pub fn close(&mut self, at: i64, emit: bool, rows: &mut RowSink) {
        let advanced = at.saturating_sub(self.clock).max(0);
        self.clock = at;
        let mut batches = Vec::new();
        let mut keep = |batch| batches.push(batch);
        let mut rows_of_members = rows.of_members(&mut keep).expecting(self.bytes_of_members);
        self.members.close(at, emit, &mut rows_of_members);
        self.bytes_of_members = rows_of_members.handed_on_bytes();
        if emit {
            self.take(&batches);
            self.write(rows);
            self.look_again();
        }
        self.sweep(advanced);
        rows.flush();
    }

    /// As [`ViewStore::emit_all`].
    pub fn emit_all(&mut self, rows: &mut RowSink) {
        let mut batches = Vec::new();
        self.members.emit_all(&mut rows.of_members(&mut |batch| batches.push(batch)));
        self.take(&batches);
        self.write(rows);
        rows.flush();
    }

    /// Figures of keys; events are counted as those of any view.
    pub fn stats(&self) -> ViewStats {
        let of_members = self.members.stats();
        ViewStats {
            keys: self.places.len() as u64,
            rows: self.rows_written,
            keys_over_category_limit: self.crowded.count(),
            state_bytes: of_members.state_bytes + self.row_bytes as u64,
            ..of_members
        }
    }

    /// Takes the rows of categories.
    fn take(&mut self, batches: &[RowBatch]) {
        for batch in batches {
            let mut arrivals = Vec::with_capacity(batch.len());
            for (member_key, row) in batch.iter() {
                // Projection made the key, and the sink appended the time.
                let Some(prefix) = key_prefix(&self.key_types, member_key) else { continue };
                let Some((row, newest)) = row.split_last_chunk::<8>() else { continue };
                let (key, category) = member_key.split_at(prefix);
                arrivals.push(Arrival { place: self.place(key), category, row, newest: i64::from_le_bytes(*newest) });
            }
            for (i, arrival) in arrivals.iter().enumerate() {
                self.prefetch_ahead(|ahead| arrivals.get(i + ahead).map(|arrival| arrival.place));
                self.take_one(arrival);
            }
        }
    }

    fn take_one(&mut self, arrival: &Arrival) {
        let Arrival { place, category, row, newest } = *arrival;
        let Some(category) = Category::decode(self.plan.data_type, category) else { return };
        let forgetful = self.members.forgetful();
        let Some(key) = &mut self.keys[place as usize] else { return };
        if !key.changed {
            key.changed = true;
            self.changed.push(place);
            // Now, before a new row hides that an old one expired: the sweep may have been here, or not.
            key.drop_expired(self.members.reach);
            // It may be an old key whose categories are gone.
            key.trimmed |= forgetful && key.members.is_empty();
        }
        if newest == NO_SLICES {
            // A row without slices that is not of all slices ever dropped some.
            key.trimmed |= row.get(1) != Some(&KIND_COMPLETE);
            key.members.remove(self.plan.data_type, &category);
        } else {
            self.buffer.clear();
            rows_of_categories::put_member(&mut self.buffer, self.plan.data_type, &category, row);
            key.members.put(self.plan.data_type, &category, self.buffer.row(), newest);
        }
    }

    /// Asks for the memory of later keys in stages, each for what the next one reads; `later` gives a key's place.
    #[inline(always)]
    fn prefetch_ahead(&self, later: impl Fn(usize) -> Option<u32>) {
        let key = |place: u32| self.keys[place as usize].as_ref();
        if let Some(place) = later(24) {
            prefetch(&raw const self.keys[place as usize]);
        }
        if let Some(key) = later(16).and_then(key) {
            key.members.prefetch();
        }
        if let Some(key) = later(8).and_then(key) {
            key.members.prefetch_rows();
        }
    }

    fn place(&mut self, bytes: &[u8]) -> u32 {
        if let Some(place) = self.places.get(bytes) {
            return *place;
        }
        let bytes: Arc<[u8]> = bytes.into();
        let key = Key {
            bytes: bytes.clone(),
            members: Members::default(),
            member_bytes: 0,
            trimmed: false,
            changed: false,
            watched: Watched::default(),
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.keys[place as usize] = Some(key);
                place
            }
            None => {
                self.keys.push(Some(key));
                self.keys.len() as u32 - 1
            }
        };
        self.places.insert(bytes, place);
        place
    }

    /// Looks at keys that may have too many categories no longer, or from now on: for the figures, the rows say so.
    fn look_again(&mut self) {
        while let Some(place) = self.crowded.take_due(self.clock) {
            let Some(key) = &mut self.keys[place as usize] else { continue };
            let crowded = Crowded::of(&key.members, &self.plan, self.clock);
            self.crowded.note(place, &mut key.watched, crowded.as_ref());
        }
    }

    fn write(&mut self, rows: &mut RowSink) {
        let changed = std::mem::take(&mut self.changed);
        for (i, place) in changed.iter().enumerate() {
            self.prefetch_ahead(|ahead| changed.get(i + ahead).copied());
            let Some(key) = &mut self.keys[*place as usize] else { continue };
            key.changed = false;
            key.drop_expired(self.members.reach);
            self.row_bytes = key.count_bytes(self.row_bytes);
            let buffer = &mut self.buffer;
            let crowded = Crowded::of(&key.members, &self.plan, self.clock);
            match crowded.as_ref().filter(|crowded| crowded.is_any()) {
                Some(crowded) => crowded.write(&key.members, self.tag, self.clock, buffer),
                None => {
                    rows_of_categories::put_head(buffer, self.tag, self.clock, key.members.len(), key.trimmed);
                    key.members.write(buffer);
                }
            }
            self.crowded.note(*place, &mut key.watched, crowded.as_ref());
            rows.push(&key.bytes, buffer.row(), NO_SLICES);
            self.rows_written += 1;
        }
    }

    /// A slow pass over silent keys, as the store inside makes one over categories.
    fn sweep(&mut self, advanced: i64) {
        let total = self.keys.len();
        if total == 0 {
            return;
        }
        let due = advanced.saturating_mul(total as i64) / SWEEP_PERIOD + 1;
        for _ in 0..due.min(total as i64) {
            let place = self.sweep_at % total;
            self.sweep_at = (place + 1) % total;
            let Some(key) = &mut self.keys[place] else { continue };
            key.drop_expired(self.members.reach);
            self.row_bytes = key.count_bytes(self.row_bytes);
            if key.members.is_empty() && self.members.forgetful() {
                self.crowded.note(place as u32, &mut key.watched, None);
                self.places.remove(&key.bytes);
                self.keys[place] = None;
                self.free.push(place as u32);
            }
        }
    }
}

impl Key {
    /// Drops categories of which no window sees anything from `reach` on.
    fn drop_expired(&mut self, reach: i64) {
        self.trimmed |= self.members.drop_expired(reach);
    }

    /// The bytes of all keys, `counted` of which this one has its old share of.
    fn count_bytes(&mut self, counted: usize) -> usize {
        let bytes = self.members.bytes();
        counted - std::mem::replace(&mut self.member_bytes, bytes) + bytes
    }
}
