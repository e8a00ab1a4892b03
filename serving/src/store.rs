//! What serving needs of an online store: many rows by key in one call, into buffers that live on.
//!
//! The store copies each row it finds into a [`RowSink`]; nothing of the store stays borrowed while an answer is written.
//! Both buffers are reused from request to request, so that a store in memory answers without allocating.

use std::future::Future;
use std::ops::Range;

/// An online store as read by the server. Implemented by the binary for whichever store is configured.
pub trait RowStore: Send + Sync + 'static {
    /// Calls `rows.found(index, row)` once for each read of `reads` that has a row; the others stay missing.
    ///
    /// The future runs on one serving thread, is polled by that thread alone and is dropped when the caller leaves or the
    /// deadline passes.
    fn get_many(&self, reads: &KeyReads, rows: &mut RowSink) -> impl Future<Output = Result<(), StoreError>>;
}

/// Why rows could not be read. An absent row is no error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or is overloaded; asking again may succeed.
    #[error("the online store is unavailable: {0}")]
    Unavailable(String),
    /// The store answered with something that should not be.
    #[error("the online store failed: {0}")]
    Failed(String),
}

/// The reads of one request: views and encoded keys, in one buffer.
#[derive(Debug, Default)]
pub struct KeyReads {
    bytes: Vec<u8>,
    reads: Vec<(usize, Range<usize>)>,
}

impl KeyReads {
    /// Appends a read of `view` whose key `encode` writes; gives its index. Nothing is appended when `encode` fails.
    pub fn push<E>(&mut self, view: usize, encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<usize, E> {
        let start = self.bytes.len();
        if let Err(error) = encode(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        self.reads.push((view, start..self.bytes.len()));
        Ok(self.reads.len() - 1)
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.reads.clear();
    }

    pub fn len(&self) -> usize {
        self.reads.len()
    }

    pub fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }

    /// `(view, key)` in the order pushed; the view is its index in the definitions.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.reads.iter().map(|(view, key)| (*view, &self.bytes[key.clone()]))
    }
}

/// The rows found for a [`KeyReads`], copied into one buffer.
#[derive(Debug, Default)]
pub struct RowSink {
    bytes: Vec<u8>,
    rows: Vec<Option<Range<usize>>>,
}

impl RowSink {
    /// Empties the sink and makes room for `reads` answers, all missing.
    pub fn reset(&mut self, reads: usize) {
        self.bytes.clear();
        self.rows.clear();
        self.rows.resize(reads, None);
    }

    /// Stores the row of read `index`. An index that was never asked for is ignored.
    pub fn found(&mut self, index: usize, row: &[u8]) {
        if let Some(slot) = self.rows.get_mut(index) {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(row);
            *slot = Some(start..self.bytes.len());
        }
    }

    /// The row of read `index`, or `None` when the key has no row.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.rows.get(index)?.clone().map(|range| &self.bytes[range])
    }

    /// Bytes of all rows found.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// How many reads found a row.
    pub fn found_count(&self) -> usize {
        self.rows.iter().filter(|row| row.is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_key_leaves_no_trace() {
        let mut reads = KeyReads::default();
        let write = |text: &'static [u8]| {
            move |out: &mut Vec<u8>| -> Result<(), ()> {
                out.extend(text);
                Ok(())
            }
        };
        assert_eq!(reads.push(2, write(b"ab")), Ok(0));
        assert_eq!(
            reads.push(3, |out| {
                out.push(9);
                Err(())
            }),
            Err(())
        );
        assert_eq!(reads.push(4, write(b"c")), Ok(1));
        assert_eq!(reads.iter().collect::<Vec<_>>(), [(2, &b"ab"[..]), (4, b"c")]);
    }

    #[test]
    fn rows_are_kept_by_index() {
        let mut rows = RowSink::default();
        rows.reset(3);
        rows.found(2, b"two");
        rows.found(0, b"");
        rows.found(7, b"nobody asked");
        assert_eq!(
            (rows.get(0), rows.get(1), rows.get(2), rows.get(7)),
            (Some(&b""[..]), None, Some(&b"two"[..]), None)
        );
        assert_eq!((rows.found_count(), rows.byte_len()), (2, 3));
        rows.reset(1);
        assert_eq!(rows.get(0), None);
    }
}
