//! NDJSON: one JSON object per line, by the same rules as a stream's records.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::lines::{Line, next_line, unmarked};
use super::{Chunk, Chunks, FileError, TextRows};
use crate::json::{ObjectReader, too_large};
use crate::row::Rules;

pub(super) struct NdjsonChunks {
    path: PathBuf,
    reader: BufReader<File>,
    objects: ObjectReader,
    rows: TextRows,
    /// The number of the line read last, from 1.
    line: u64,
    buffer: Vec<u8>,
    skip: u64,
}

impl NdjsonChunks {
    /// Blank lines are no rows.
    pub fn open(path: &Path, rules: Rules, skip: u64) -> Result<NdjsonChunks, FileError> {
        let file = super::open_regular(path)?;
        Ok(NdjsonChunks {
            path: path.to_path_buf(),
            reader: BufReader::with_capacity(256 << 10, file),
            objects: ObjectReader::default(),
            rows: TextRows::new(path, rules, skip),
            line: 0,
            buffer: Vec::new(),
            skip,
        })
    }
}

impl Chunks for NdjsonChunks {
    fn next_chunk(&mut self) -> Result<Option<Chunk>, FileError> {
        while !self.rows.is_full() {
            let line = next_line(&mut self.reader, &mut self.buffer).map_err(FileError::io(&self.path))?;
            let Some(line) = line else { break };
            self.line += 1;
            let line = match line {
                Line::Whole(text) => Line::Whole(unmarked(text, self.line)),
                long => long,
            };
            if matches!(line, Line::Whole(text) if text.iter().all(u8::is_ascii_whitespace)) {
                continue;
            }
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            let rows = &mut self.rows.rows;
            let (outcome, raw) = match line {
                Line::Whole(text) => {
                    let row = self.objects.read(text, rows.rules());
                    (row.and_then(|row| rows.accept(row, None)), text)
                }
                Line::TooLong(start, bytes) => (Err(too_large(bytes)), start),
            };
            self.rows.settle(outcome, self.line, || raw.to_vec());
        }
        Ok(self.rows.take())
    }
}
