//! Where records came from: what their rejections say of it.

use std::path::PathBuf;

use freshet_connectors::events::excerpt;

use super::admission::Origin;
use super::places::in_files;
use super::stream::{Record, StreamReader};

/// Rows of files as rejections name them.
pub(crate) struct HistoryOrigin<'a> {
    pub files: &'a [PathBuf],
    pub positions: Vec<u64>,
}

impl Origin for HistoryOrigin<'_> {
    fn place(&self, row: usize) -> String {
        in_files(self.files, self.positions[row])
    }

    fn excerpt(&self, _: usize) -> String {
        String::new()
    }
}

/// Records of a stream as rejections name them.
pub(super) struct StreamOrigin<'a> {
    pub stream: &'a StreamReader,
    pub records: &'a [Record],
    /// Per row, the record it was decoded from.
    pub decoded: Vec<usize>,
}

impl StreamOrigin<'_> {
    pub fn position(&self, row: usize) -> u64 {
        self.records[self.decoded[row]].position
    }
}

impl Origin for StreamOrigin<'_> {
    fn place(&self, row: usize) -> String {
        self.stream.place(self.position(row))
    }

    fn excerpt(&self, row: usize) -> String {
        excerpt(&self.records[self.decoded[row]].payload)
    }
}
