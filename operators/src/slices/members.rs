//! The rows of the categories of one key, side by side as the key's own row has them.
//!
//! Law: categories ascend, over all chunks and in each. A chunk holds few enough that a changed row is put into its place
//! by moving what follows, and so many that a key's row is put together from few places in memory.

use std::cmp::Ordering;

use freshet_config::value::DataType;

use super::slab::prefetch;
use crate::batch::heap_bytes;
use crate::row::codec::{Bytes, RowBuffer};
use crate::view::Category;

#[derive(Default)]
pub(super) struct Members {
    chunks: Vec<Chunk>,
    len: usize,
}

struct Chunk {
    /// Category and row of each, as [`crate::row::categories::put_member`] writes them.
    packed: Vec<u8>,
    places: Vec<Place>,
    /// No newest slice is older.
    oldest: i64,
}

#[derive(Clone, Copy)]
struct Place {
    at: usize,
    /// Time of the newest slice.
    newest: i64,
}

/// A fuller chunk is halved.
const MOST: usize = 64;

/// More cache lines of rows than this come one after the other, and are seen coming.
const LINES_ASKED_FOR: usize = 48;

impl Members {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Asks for the first chunk, ahead of its use.
    pub fn prefetch(&self) {
        prefetch(self.chunks.as_ptr());
    }

    /// Asks for what the chunks point to, once they are there.
    pub fn prefetch_rows(&self) {
        let mut lines = LINES_ASKED_FOR;
        for chunk in &self.chunks {
            for at in (0..chunk.places.len()).step_by(64 / size_of::<Place>()) {
                prefetch(chunk.places.as_ptr().wrapping_add(at));
            }
            for at in (0..chunk.packed.len()).step_by(64).take(lines) {
                prefetch(chunk.packed.as_ptr().wrapping_add(at));
            }
            lines = lines.saturating_sub(chunk.packed.len() / 64);
            if lines == 0 {
                break;
            }
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let chunks = self.chunks.iter();
        chunks
            .map(|chunk| size_of::<Chunk>() + chunk.packed.capacity() + chunk.places.capacity() * size_of::<Place>())
            .sum()
    }

    /// Puts a category in, or in the place of its old row; `packed` is what [`crate::row::categories::put_member`] wrote.
    pub fn put(&mut self, data_type: DataType, category: &Category, packed: &[u8], newest: i64) {
        if self.chunks.is_empty() {
            self.chunks.push(Chunk { packed: Vec::new(), places: Vec::new(), oldest: i64::MAX });
        }
        let c = self.chunk_of(data_type, category);
        let chunk = &mut self.chunks[c];
        match chunk.find(data_type, category) {
            Ok(i) => chunk.replace(i, packed).newest = newest,
            Err(i) => {
                let at = chunk.start(i);
                chunk.places.insert(i, Place { at, newest });
                chunk.splice(i, at..at, packed);
                self.len += 1;
            }
        }
        chunk.oldest = chunk.oldest.min(newest);
        if chunk.places.len() > MOST {
            let upper = chunk.halve();
            self.chunks.insert(c + 1, upper);
        }
    }

    pub fn remove(&mut self, data_type: DataType, category: &Category) {
        if self.chunks.is_empty() {
            return;
        }
        let c = self.chunk_of(data_type, category);
        if let Ok(i) = self.chunks[c].find(data_type, category) {
            self.chunks[c].replace(i, &[]);
            self.chunks[c].places.remove(i);
            self.len -= 1;
            if self.chunks[c].places.is_empty() {
                self.chunks.remove(c);
            }
        }
    }

    /// Drops categories whose newest slice is before `reach`; whether there were any.
    pub fn drop_expired(&mut self, reach: i64) -> bool {
        let mut dropped = 0;
        for chunk in self.chunks.iter_mut().filter(|chunk| chunk.oldest < reach) {
            dropped += chunk.drop_expired(reach);
        }
        if dropped > 0 {
            self.len -= dropped;
            self.chunks.retain(|chunk| !chunk.places.is_empty());
        }
        dropped > 0
    }

    /// Appends all of them to a row.
    pub fn write(&self, row: &mut RowBuffer) {
        self.chunks.iter().for_each(|chunk| row.bytes(&chunk.packed));
    }

    /// Appends those whose newest slice is not before `since`.
    pub fn write_since(&self, since: i64, row: &mut RowBuffer) {
        for chunk in &self.chunks {
            for (i, place) in chunk.places.iter().enumerate().filter(|(_, place)| place.newest >= since) {
                row.bytes(&chunk.packed[place.at..chunk.start(i + 1)]);
            }
        }
    }

    /// Times of the newest slices, in no order that means anything.
    pub fn newest(&self) -> impl Iterator<Item = i64> {
        self.chunks.iter().flat_map(|chunk| &chunk.places).map(|place| place.newest)
    }

    /// The chunk that holds a category, or that it belongs to.
    fn chunk_of(&self, data_type: DataType, category: &Category) -> usize {
        let begins = |chunk: &Chunk| chunk.order(data_type, 0, category).is_le();
        self.chunks.partition_point(begins).saturating_sub(1)
    }
}

impl Chunk {
    fn find(&self, data_type: DataType, category: &Category) -> Result<usize, usize> {
        let (mut from, mut to) = (0, self.places.len());
        while from < to {
            let middle = from + (to - from) / 2;
            match self.order(data_type, middle, category) {
                Ordering::Less => from = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => to = middle,
            }
        }
        Err(from)
    }

    /// How the category in a place stands to another.
    fn order(&self, data_type: DataType, i: usize, category: &Category) -> Ordering {
        let member = self.places.get(i).map_or(&[][..], |place| &self.packed[place.at..]);
        // What was written can be read; an empty chunk, of which there is one at the beginning, is before everything.
        let Some(word) = Bytes::new(member).word(data_type) else { return Ordering::Less };
        match category {
            Category::Text(text) => heap_bytes(member, word).cmp(text),
            Category::Number(number) => (word as i64).cmp(number),
        }
    }

    fn start(&self, i: usize) -> usize {
        self.places.get(i).map_or(self.packed.len(), |place| place.at)
    }

    /// Puts other bytes in the place of a member.
    fn replace(&mut self, i: usize, packed: &[u8]) -> &mut Place {
        self.splice(i, self.start(i)..self.start(i + 1), packed)
    }

    /// Puts bytes into the place of a range of them, which is of place `i`.
    fn splice(&mut self, i: usize, range: std::ops::Range<usize>, packed: &[u8]) -> &mut Place {
        let (end, length) = (self.packed.len(), range.len());
        if packed.len() > length {
            self.packed.resize(end + packed.len() - length, 0);
        }
        if packed.len() != length {
            self.packed.copy_within(range.end..end, range.start + packed.len());
            self.packed.truncate(end + packed.len() - length);
            for place in &mut self.places[i + 1..] {
                place.at = place.at + packed.len() - length;
            }
        }
        self.packed[range.start..range.start + packed.len()].copy_from_slice(packed);
        &mut self.places[i]
    }

    /// Takes the upper half of the places out.
    fn halve(&mut self) -> Chunk {
        let mut places = self.places.split_off(self.places.len() / 2);
        let cut = places.first().map_or(self.packed.len(), |place| place.at);
        let packed = self.packed.split_off(cut);
        places.iter_mut().for_each(|place| place.at -= cut);
        let upper = Chunk { packed, oldest: oldest(&places), places };
        self.oldest = oldest(&self.places);
        upper
    }

    /// Gives how many places were dropped.
    fn drop_expired(&mut self, reach: i64) -> usize {
        self.oldest = oldest(&self.places);
        if self.oldest >= reach {
            return 0;
        }
        let (mut packed, mut places) = (Vec::with_capacity(self.packed.len()), Vec::with_capacity(self.places.len()));
        for (i, place) in self.places.iter().enumerate().filter(|(_, place)| place.newest >= reach) {
            places.push(Place { at: packed.len(), ..*place });
            packed.extend_from_slice(&self.packed[place.at..self.start(i + 1)]);
        }
        let dropped = self.places.len() - places.len();
        *self = Chunk { oldest: oldest(&places), packed, places };
        dropped
    }
}

fn oldest(places: &[Place]) -> i64 {
    places.iter().map(|place| place.newest).min().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::row::categories::put_member;

    fn packed(data_type: DataType, category: &Category, row: &[u8]) -> Vec<u8> {
        let mut buffer = RowBuffer::default();
        put_member(&mut buffer, data_type, category, row);
        buffer.row().to_vec()
    }

    fn category(data_type: DataType, number: i64) -> Category {
        match data_type {
            DataType::String => Category::Text(format!("{number:x}").into_bytes().into()),
            _ => Category::Number(number - 100),
        }
    }

    proptest! {
        #[test]
        fn rows_stand_in_the_order_of_their_categories(
            data_type in prop::sample::select(vec![DataType::String, DataType::Int64]),
            steps in prop::collection::vec((0i64..200, 0usize..30, 0i64..1000, 0u8..20), 0..600),
        ) {
            let (mut members, mut expected) = (Members::default(), BTreeMap::new());
            for (step, (number, length, newest, what)) in steps.into_iter().enumerate() {
                let category = category(data_type, number);
                match what {
                    0 => {
                        let before = expected.len();
                        expected.retain(|_, (_, known)| *known >= newest / 3);
                        prop_assert_eq!(members.drop_expired(newest / 3), expected.len() < before);
                    }
                    1..4 => {
                        members.remove(data_type, &category);
                        expected.remove(&category);
                    }
                    _ => {
                        let member = packed(data_type, &category, &vec![step as u8; length]);
                        members.put(data_type, &category, &member, newest);
                        expected.insert(category, (member, newest));
                    }
                }
            }
            let mut row = RowBuffer::default();
            members.write(&mut row);
            let bytes: Vec<u8> = expected.values().flat_map(|(member, _)| member.clone()).collect();
            prop_assert_eq!(row.row(), bytes);
            prop_assert_eq!(members.len(), expected.len());
            row.clear();
            members.write_since(500, &mut row);
            let late = expected.values().filter(|(_, newest)| *newest >= 500);
            let bytes: Vec<u8> = late.flat_map(|(member, _)| member.clone()).collect();
            prop_assert_eq!(row.row(), bytes);
            prop_assert!(members.newest().eq(expected.values().map(|(_, newest)| *newest)));
        }
    }
}
