//! Rows on their way from the engine to a store: keys and encoded rows in one buffer.

use crate::time::Epoch;

/// Rows of one view, written in one epoch. The epoch is the version: an older one never replaces a newer one.
#[derive(Clone, Debug, Default)]
pub struct RowBatch {
    /// Index of the view in the definitions.
    pub view: usize,
    pub epoch: Epoch,
    count: usize,
    /// Per row `[key length u32][row length u32][key][row]`, little-endian.
    bytes: Vec<u8>,
}

const FRAME: usize = 8;

impl RowBatch {
    pub fn new(view: usize, epoch: Epoch) -> RowBatch {
        RowBatch { view, epoch, count: 0, bytes: Vec::new() }
    }

    /// Appends a row: `encode` writes it straight behind the key.
    pub fn push(&mut self, key: &[u8], encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(key);
        let row = self.bytes.len();
        encode(&mut self.bytes);
        let length = (self.bytes.len() - row) as u32;
        self.bytes[start + 4..start + FRAME].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of keys, rows and framing.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// `(key, row)` in the order pushed.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_first_chunk::<FRAME>()?;
            let word = u64::from_le_bytes(*head);
            let (key, tail) = tail.split_at(word as u32 as usize);
            let (row, tail) = tail.split_at((word >> 32) as usize);
            rest = tail;
            Some((key, row))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order() {
        let mut batch = RowBatch::new(3, Epoch::from_micros(9));
        batch.push(b"k1", |out| out.extend_from_slice(b"row one"));
        batch.push(b"", |_| {});
        batch.push(b"key", |out| out.push(7));
        let rows: Vec<(&[u8], &[u8])> = batch.iter().collect();
        assert_eq!(rows, [(&b"k1"[..], &b"row one"[..]), (b"", b""), (b"key", &[7])]);
        assert_eq!(batch.len(), 3);
    }
}
