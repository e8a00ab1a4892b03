//! The two files of one source: the one being written and the one before it, each up to half the cap.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Counts, LedgerError};
use crate::events::{Code, Rejection};

pub(super) const ENDING: &str = "ndjson";

/// Most records of one code: a number that no ledger reaches and that sums of do not overflow.
const MOST_RECORDS: u64 = 1 << 53;

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// All counts up to here; what the first line of every file says.
    Counts(Counts),
    /// One more of its code.
    Rejected(Rejection),
    /// So many more.
    Counted { code: Code, records: u64 },
}

#[derive(Debug)]
pub(super) struct SourceFile {
    path: PathBuf,
    previous: PathBuf,
    file: File,
    bytes: u64,
    most_bytes: u64,
    counts: Counts,
    /// A write failed: the file's lines add up to less than the counts.
    behind: bool,
}

impl SourceFile {
    pub fn open(dir: &Path, name: &str, bytes: u64) -> Result<SourceFile, LedgerError> {
        let path = dir.join(format!("{name}.{ENDING}"));
        let previous = dir.join(format!("{name}.{ENDING}.previous"));
        let mut counts = Counts::new();
        let whole = match File::open(&path) {
            Ok(file) => read_lines(&path, file, |line| add(&mut counts, &line))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(LedgerError::io("open", &path)(error)),
        };
        let failed = |action| LedgerError::io(action, &path);
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(failed("open"))?;
        // A line that a crash cut short counts as never written.
        file.set_len(whole).map_err(failed("cut the unfinished line off"))?;
        let mut source =
            SourceFile { path, previous, file, bytes: whole, most_bytes: bytes / 2, counts, behind: false };
        if whole == 0 {
            source.begin()?;
        }
        Ok(source)
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn record(&mut self, rejection: &Rejection) -> Result<(), LedgerError> {
        self.write(Line::Rejected(rejection.clone()))
    }

    pub fn count(&mut self, code: Code, records: u64) -> Result<(), LedgerError> {
        self.write(Line::Counted { code, records })
    }

    pub fn restore(&mut self, counts: Counts) -> Result<(), LedgerError> {
        self.write(Line::Counts(counts))
    }

    /// The newest rejections, newest first.
    pub fn newest(&self, limit: usize) -> Result<Vec<Rejection>, LedgerError> {
        let mut rejections = std::collections::VecDeque::new();
        for path in [&self.previous, &self.path] {
            let file = match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(LedgerError::io("open", path)(error)),
            };
            read_lines(path, file, |line| {
                if let Line::Rejected(rejection) = line {
                    rejections.push_front(rejection);
                    rejections.truncate(limit);
                }
            })?;
        }
        Ok(rejections.into())
    }

    /// The count stands whatever the disk says; a file that is full is put aside before its successor's first line
    /// states the counts so far.
    fn write(&mut self, line: Line) -> Result<(), LedgerError> {
        let rolled = if self.bytes >= self.most_bytes { self.roll() } else { Ok(()) };
        add(&mut self.counts, &line);
        let written = rolled.and_then(|()| if self.behind { self.begin() } else { self.put(&line) });
        self.behind = written.is_err();
        written
    }

    fn roll(&mut self) -> Result<(), LedgerError> {
        fs::rename(&self.path, &self.previous).map_err(LedgerError::io("put aside", &self.path))?;
        self.file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)
            .map_err(LedgerError::io("create", &self.path))?;
        self.bytes = 0;
        self.begin()
    }

    fn begin(&mut self) -> Result<(), LedgerError> {
        self.put(&Line::Counts(self.counts.clone()))
    }

    fn put(&mut self, line: &Line) -> Result<(), LedgerError> {
        let mut bytes = serde_json::to_vec(line).map_err(|error| LedgerError::io("write", &self.path)(error.into()))?;
        bytes.push(b'\n');
        if let Err(error) = self.file.write_all(&bytes) {
            // Half a line would spoil the next one; if this fails too, opening finds and names it.
            let _ = self.file.set_len(self.bytes);
            return Err(LedgerError::io("write", &self.path)(error));
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn add(counts: &mut Counts, line: &Line) {
    match line {
        Line::Counts(all) => *counts = all.clone(),
        Line::Rejected(rejection) => count(counts, rejection.code, 1),
        Line::Counted { code, records } => count(counts, *code, *records),
    }
}

fn count(counts: &mut Counts, code: Code, records: u64) {
    let counted = counts.entry(code).or_default();
    *counted = counted.saturating_add(records).min(MOST_RECORDS);
}

/// The line, unless it counts more than there can be.
fn read_line(bytes: &[u8]) -> Result<Line, serde_json::Error> {
    let line = serde_json::from_slice(bytes)?;
    let most = match &line {
        Line::Counts(counts) => counts.values().copied().max().unwrap_or(0),
        Line::Rejected(_) => 1,
        Line::Counted { records, .. } => *records,
    };
    let message = || format!("it counts {most} records, more than there can be");
    if most <= MOST_RECORDS { Ok(line) } else { Err(serde::de::Error::custom(message())) }
}

/// Gives out every finished line; returns how many bytes they are.
fn read_lines(path: &Path, file: File, mut each: impl FnMut(Line)) -> Result<u64, LedgerError> {
    let mut reader = BufReader::new(file);
    let (mut whole, mut number, mut bytes) = (0, 0, Vec::new());
    loop {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes).map_err(LedgerError::io("read", path))?;
        if bytes.last() != Some(&b'\n') {
            return Ok(whole);
        }
        number += 1;
        let line = read_line(&bytes).map_err(|error| LedgerError::Damaged {
            path: path.to_path_buf(),
            line: number,
            error,
        })?;
        each(line);
        whole += read as u64;
    }
}
