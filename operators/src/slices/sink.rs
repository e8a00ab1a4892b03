//! Where a close puts its rows.

use freshet_config::rows::{RowBatch, append};
use freshet_config::time::Epoch;

/// Collects rows and hands them on in batches.
pub struct RowSink<'a> {
    batch: RowBatch,
    hand_on: &'a mut dyn FnMut(RowBatch),
    /// What the next batch is likely to hold, so that it is not copied while it grows.
    room_bytes: usize,
    handed_on_bytes: usize,
    /// Rows end with the time of their key's newest slice, for those who put them together.
    with_newest: bool,
}

/// The newest slice of a key that has none.
pub(super) const NO_SLICES: i64 = i64::MIN;

/// Rows are handed on in batches of about this size: many, because a store works on several at once, and few enough to be
/// in the cache still.
const BATCH_BYTES: usize = 1 << 16;
/// What a batch needs beside a key and a row, at most.
const MOST_FRAMING: usize = 64;

impl<'a> RowSink<'a> {
    pub fn new(view: usize, epoch: Epoch, hand_on: &'a mut dyn FnMut(RowBatch)) -> RowSink<'a> {
        let batch = RowBatch::new(view, epoch);
        RowSink { batch, hand_on, room_bytes: 0, handed_on_bytes: 0, with_newest: false }
    }

    /// A sink that is likely to take about as many bytes as the one before it did.
    pub fn expecting(self, bytes: usize) -> RowSink<'a> {
        RowSink { room_bytes: (bytes + bytes / 4).min(BATCH_BYTES), ..self }
    }

    /// Bytes of all batches handed on.
    pub fn handed_on_bytes(&self) -> usize {
        self.handed_on_bytes
    }

    /// A sink for rows that become parts of those of this one.
    pub(super) fn of_members<'b>(&self, hand_on: &'b mut dyn FnMut(RowBatch)) -> RowSink<'b> {
        RowSink { with_newest: true, ..RowSink::new(self.batch.view, self.batch.epoch, hand_on) }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, key: &[u8], row: &[u8], newest: i64) {
        // Before it would outgrow its room, and be copied for that.
        if self.batch.byte_len() + key.len() + row.len() + MOST_FRAMING > BATCH_BYTES {
            self.room_bytes = BATCH_BYTES;
            self.flush();
        }
        let room = if self.batch.is_empty() { self.room_bytes } else { 0 };
        self.batch.push(key, |out| {
            out.reserve(room + row.len());
            append(out, row);
            if self.with_newest {
                out.extend_from_slice(&newest.to_le_bytes());
            }
        });
    }

    pub(super) fn flush(&mut self) {
        if !self.batch.is_empty() {
            let empty = RowBatch::new(self.batch.view, self.batch.epoch);
            self.handed_on_bytes += self.batch.byte_len();
            (self.hand_on)(std::mem::replace(&mut self.batch, empty));
        }
    }
}
