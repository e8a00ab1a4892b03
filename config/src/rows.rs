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

/// Rows are copied in pieces of so many bytes. The C library copies 2 KiB and more with one instruction (`rep movsb`) that
/// takes several times as long on common processors where the places are not aligned to each other: on an AMD EPYC with
/// glibc 2.36 it was a third of what views by category cost.
const PIECE_BYTES: usize = 1024;

/// Appends a row.
#[inline]
pub fn append(out: &mut Vec<u8>, row: &[u8]) {
    out.reserve(row.len());
    row.chunks(PIECE_BYTES).for_each(|piece| out.extend_from_slice(piece));
}

/// Copies a row to where there is as much room.
#[inline]
pub fn copy(to: &mut [u8], row: &[u8]) {
    to.chunks_mut(PIECE_BYTES).zip(row.chunks(PIECE_BYTES)).for_each(|(to, piece)| to.copy_from_slice(piece));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_length_are_copied() {
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 5] {
            let row: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let (mut appended, mut copied) = (b"before".to_vec(), vec![0; length]);
            append(&mut appended, &row);
            copy(&mut copied, &row);
            assert_eq!((&appended[6..], &copied), (&row[..], &row), "{length}");
        }
    }

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
