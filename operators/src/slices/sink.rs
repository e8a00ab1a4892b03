//! Where a close puts its rows.

use freshet_config::rows::RowBatch;
use freshet_config::time::Epoch;

/// Collects rows and hands them on in batches.
pub struct RowSink<'a> {
    batch: RowBatch,
    hand_on: &'a mut dyn FnMut(RowBatch),
    /// A batch was full: the next one is likely to be.
    many: bool,
}

/// Rows are handed on in batches of about this size.
const BATCH_BYTES: usize = 1 << 16;

impl<'a> RowSink<'a> {
    pub fn new(view: usize, epoch: Epoch, hand_on: &'a mut dyn FnMut(RowBatch)) -> RowSink<'a> {
        RowSink { batch: RowBatch::new(view, epoch), hand_on, many: false }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, key: &[u8], row: &[u8]) {
        let room = if self.many && self.batch.is_empty() { BATCH_BYTES } else { 0 };
        self.batch.push(key, |out| {
            out.reserve(room + row.len());
            out.extend_from_slice(row);
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
