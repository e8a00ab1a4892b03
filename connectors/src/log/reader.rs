//! Reading the log from an offset on, and waiting for more. Only durable records are seen.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::segment::{self, Frame, HEAD_BYTES, MAGIC, Segment};
use super::{LogError, LogRecord, Shared};

/// How much is read from a segment at once, in bytes.
const CHUNK_BYTES: usize = 256 << 10;

/// A place in the log that moves forward. Readers do not disturb each other or appenders.
#[derive(Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
    /// The offset of the next record.
    next: u64,
    open: Option<OpenSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    segment: Segment,
    file: File,
    /// Where the next record stands in the file.
    at: u64,
    /// The bytes of the file from `at - used` on, of which `used` are done with.
    buffer: Vec<u8>,
    used: usize,
    /// The offset of the record at `at`.
    offset: u64,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>, from: u64) -> Result<LogReader, LogError> {
        let (first, end) = {
            let state = shared.state();
            (state.segments.first().map_or(0, |s| s.first), state.durable)
        };
        if from < first || from > end {
            return Err(LogError::NoSuchOffset { dir: shared.dir.clone(), offset: from, first, end });
        }
        Ok(LogReader { shared, next: from, open: None })
    }

    /// The offset of the next record [`LogReader::poll`] gives.
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// The next records, at most `max`, without waiting; none when all durable ones are read.
    pub fn poll(&mut self, max: usize) -> Result<Vec<LogRecord>, LogError> {
        let mut records = Vec::new();
        while records.len() < max {
            match self.read_one()? {
                Some(record) => records.push(record),
                None => break,
            }
        }
        Ok(records)
    }

    /// Waits until there is something to poll, at most for `timeout`. Says whether there is.
    pub fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.shared.state();
        while state.durable <= self.next {
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn read_one(&mut self) -> Result<Option<LogRecord>, LogError> {
        loop {
            if self.open.as_ref().is_none_or(|open| self.next >= open.segment.end()) && !self.refresh()? {
                return Ok(None);
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            let record = open.read_record()?;
            // Records before the wanted one are stepped over once, when the reader starts inside a segment.
            if record.offset == self.next {
                self.next += 1;
                return Ok(Some(record));
            }
        }
    }

    /// Looks up the segment of the next record and how far it is durable by now. False: there is no such record yet.
    fn refresh(&mut self) -> Result<bool, LogError> {
        let segment = {
            let state = self.shared.state();
            if self.next >= state.durable {
                return Ok(false);
            }
            let after = state.segments.partition_point(|segment| segment.first <= self.next);
            match after.checked_sub(1).and_then(|index| state.segments.get(index)) {
                Some(segment) => segment.clone(),
                None => return Ok(false),
            }
        };
        match &mut self.open {
            Some(open) if open.segment.first == segment.first => open.segment = segment,
            _ => self.open = Some(OpenSegment::open(segment)?),
        }
        Ok(true)
    }
}

impl OpenSegment {
    fn open(segment: Segment) -> Result<OpenSegment, LogError> {
        let file = File::open(&segment.path).map_err(LogError::io("open", &segment.path))?;
        let mut magic = [0; MAGIC.len()];
        let read = file.read_exact_at(&mut magic, 0);
        if read.is_err() || &magic != MAGIC {
            return Err(LogError::Foreign { path: segment.path });
        }
        let offset = segment.first;
        Ok(OpenSegment { segment, file, at: MAGIC.len() as u64, buffer: Vec::new(), used: 0, offset })
    }

    fn read_record(&mut self) -> Result<LogRecord, LogError> {
        let mut wanted = HEAD_BYTES;
        loop {
            match segment::frame(&self.buffer[self.used..]) {
                Frame::Whole { record_time, payload } => {
                    let record = LogRecord { offset: self.offset, record_time, payload: payload.to_vec() };
                    let size = HEAD_BYTES + record.payload.len();
                    self.used += size;
                    self.at += size as u64;
                    self.offset += 1;
                    return Ok(record);
                }
                Frame::Short(size) if size > self.buffer.len() - self.used => wanted = wanted.max(size),
                Frame::Short(_) | Frame::Bad => return Err(self.damaged()),
            }
            self.fill(wanted)?;
        }
    }

    /// Reads on so that at least `wanted` bytes stand at the next record.
    fn fill(&mut self, wanted: usize) -> Result<(), LogError> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let have = self.buffer.len();
        let from = self.at + have as u64;
        let left = self.segment.bytes.saturating_sub(from);
        let size = left.min(wanted.max(CHUNK_BYTES) as u64) as usize;
        if have + size < wanted {
            return Err(self.damaged());
        }
        self.buffer.resize(have + size, 0);
        if let Err(error) = self.file.read_exact_at(&mut self.buffer[have..], from) {
            self.buffer.truncate(have);
            return Err(LogError::io("read", &self.segment.path)(error));
        }
        Ok(())
    }

    fn damaged(&self) -> LogError {
        LogError::Damaged { path: self.segment.path.clone(), at: self.at, offset: self.offset }
    }
}
