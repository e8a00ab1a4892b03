//! The history of a source, file after file.

use std::path::{Path, PathBuf};

use freshet_config::definitions::{FileFormat, Source};

use super::{Chunk, Chunks, FileError, open, plan};
use crate::events::{EventBatch, Rejection};
use crate::position;
use crate::row::Rules;

/// The events of a source's history, as an iterator over batches.
pub struct EventFiles {
    format: FileFormat,
    files: Vec<PathBuf>,
    ignored: Vec<PathBuf>,
    rules: Rules,
    /// Where the next batch begins.
    file: usize,
    row: u64,
    current: Option<Box<dyn Chunks>>,
    failed: bool,
}

/// Some events of one file.
#[derive(Debug)]
pub struct FileEvents {
    pub events: EventBatch,
    pub rejections: Vec<Rejection>,
    /// `(file, row)` to [`EventFiles::seek`] to in order to go on behind these.
    pub next: (usize, u64),
}

impl EventFiles {
    /// Finds the files of the source's history and checks them all. Relative paths count from `base_dir`.
    pub fn open(source: &Source, base_dir: &Path) -> Result<EventFiles, FileError> {
        let history = source.history.as_ref().ok_or_else(|| FileError::NoHistory(source.name.clone()))?;
        let rules = Rules::of_source(source);
        let found = plan(history, &rules, base_dir)?;
        Ok(EventFiles {
            format: history.format,
            files: found.files,
            ignored: found.ignored,
            rules,
            file: 0,
            row: 0,
            current: None,
            failed: false,
        })
    }

    /// Columns (indices into the schema) that must not be null and, where they are strings, fit a join key.
    pub fn keys(mut self, columns: Vec<usize>) -> EventFiles {
        self.rules.keys = columns;
        self
    }

    /// The files, in the order they are read.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Files of the folder that are not read for their ending.
    pub fn ignored(&self) -> &[PathBuf] {
        &self.ignored
    }

    /// Goes to row `row` (from 0) of file `file` (from 0).
    pub fn seek(&mut self, file: usize, row: u64) {
        (self.file, self.row, self.current, self.failed) = (file, row, None, false);
    }

    fn advance(&mut self) -> Result<Option<FileEvents>, FileError> {
        while let Some(path) = self.files.get(self.file) {
            let chunks = match &mut self.current {
                Some(chunks) => chunks,
                None => self.current.insert(open(self.format, path, self.rules.clone(), self.row)?),
            };
            if let Some(chunk) = chunks.next_chunk()? {
                self.row = chunk.next_row;
                return Ok(Some(self.events(chunk)));
            }
            (self.file, self.row, self.current) = (self.file + 1, 0, None);
        }
        Ok(None)
    }

    fn events(&self, chunk: Chunk) -> FileEvents {
        let positions = chunk.rows.iter().map(|row| position::history(self.file, *row)).collect();
        FileEvents {
            events: EventBatch { batch: chunk.batch, positions, record_times: Vec::new() },
            rejections: chunk.rejections,
            next: (self.file, self.row),
        }
    }
}

/// Ends after an error: what stands behind it is not read as if nothing were missing.
impl Iterator for EventFiles {
    type Item = Result<FileEvents, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.advance();
        self.failed = next.is_err();
        next.transpose()
    }
}
