//! Where a close puts its rows.

use freshet_config::rows::RowBatch;
use freshet_config::time::Epoch;

/// Collects rows and hands them on in batches.
pub struct RowSink<'a> {
    batch: RowBatch,
    hand_on: &'a mut dyn FnMut(RowBatch),
    /// A batch was full: the next one is likely to be.
    many: bool,
    /// Rows end with the time of their key's newest slice, for those who put them together.
    with_newest: bool,
}

/// The newest slice of a key that has none.
pub(super) const NO_SLICES: i64 = i64::MIN;

/// Rows are handed on in batches of about this size: many, because a store works on several at once, and few enough to be
/// in the cache still.
const BATCH_BYTES: usize = 1 << 16;

impl<'a> RowSink<'a> {
    pub fn new(view: usize, epoch: Epoch, hand_on: &'a mut dyn FnMut(RowBatch)) -> RowSink<'a> {
        RowSink { batch: RowBatch::new(view, epoch), hand_on, many: false, with_newest: false }
    }

    /// A sink for rows that become parts of those of this one.
    pub(super) fn of_members<'b>(&self, hand_on: &'b mut dyn FnMut(RowBatch)) -> RowSink<'b> {
        RowSink { with_newest: true, ..RowSink::new(self.batch.view, self.batch.epoch, hand_on) }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, key: &[u8], row: &[u8], newest: i64) {
        let room = if self.many && self.batch.is_empty() { BATCH_BYTES } else { 0 };
        self.batch.push(key, |out| {
            out.reserve(room + row.len());
            out.extend_from_slice(row);
            if self.with_newest {
                out.extend_from_slice(&newest.to_le_bytes());
            }
        });
        if self.batch.byte_len() >= BATCH_BYTES {
            self.many = true;
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        if !self.batch.is_empty() {
            let empty = RowBatch::new(self.batch.view, self.batch.epoch);
            (self.hand_on)(std::mem::replace(&mut self.batch, empty));
        }
    }
}
