//! Group commit: appenders that come while another one writes share the next write and its fsync.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use freshet_config::time::EventTime;

use super::segment::{self, MAGIC, Segment};
use super::{Log, LogError, Shared, State};
use crate::positions::sync_parent;

/// Records that are written together. The outcome is the offset of the first, or why none of them is in the log.
#[derive(Debug, Default)]
pub(super) struct Group {
    outcome: OnceLock<Result<u64, LogError>>,
}

/// The end of the newest segment.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    segment: Segment,
}

impl Writer {
    pub fn open(segment: &Segment) -> Result<Writer, LogError> {
        let file = OpenOptions::new().append(true).open(&segment.path).map_err(LogError::io("open", &segment.path))?;
        Ok(Writer { file, segment: segment.clone() })
    }

    /// Appends and makes durable.
    fn write(&mut self, bytes: &[u8], records: u64) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        self.segment.bytes += bytes.len() as u64;
        self.segment.records += records;
        Ok(())
    }

    /// Forgets whatever a failed write left behind the durable part.
    fn undo(&mut self) -> io::Result<()> {
        self.file.set_len(self.segment.bytes)?;
        self.file.sync_all()
    }
}

impl Log {
    /// Appends records that came at `record_time` and returns the offset of the first; the others follow it directly.
    ///
    /// When this returns, the records are on disk. After an error none of them is in the log. An empty list appends
    /// nothing and returns the end.
    pub fn append<P: AsRef<[u8]>>(&self, payloads: &[P], record_time: EventTime) -> Result<u64, LogError> {
        let mut bytes = Vec::new();
        for payload in payloads {
            let payload = payload.as_ref();
            if payload.len() > segment::MAX_PAYLOAD_BYTES {
                return Err(LogError::TooLarge { bytes: payload.len() });
            }
            segment::encode(payload, record_time, &mut bytes);
        }
        if payloads.is_empty() {
            return Ok(self.end_offset());
        }
        self.shared.commit(&bytes, payloads.len() as u64)
    }
}

impl Shared {
    fn commit(&self, bytes: &[u8], records: u64) -> Result<u64, LogError> {
        let mut state = self.state();
        let group = state.pending.clone();
        let before = state.pending_records;
        state.pending_bytes.extend_from_slice(bytes);
        state.pending_records += records;
        loop {
            if let Some(outcome) = group.outcome.get() {
                return outcome.clone().map(|first| first + before);
            }
            if let Some(error) = &state.failed {
                return Err(LogError::Failed { dir: self.dir.clone(), error: error.clone() });
            }
            state = match state.writer.take() {
                // Nobody writes: this thread does, for everyone who waits.
                Some(writer) => {
                    let (group, bytes, records) = state.take_pending();
                    drop(state);
                    self.write_group(writer, &group, &bytes, records);
                    self.changed.notify_all();
                    self.state()
                }
                None => self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner),
            };
        }
    }

    /// Writes a group with the state unlocked and settles its outcome.
    fn write_group(&self, mut writer: Writer, group: &Group, bytes: &[u8], records: u64) {
        let written = self.roll(&mut writer, bytes.len()).and_then(|()| writer.write(bytes, records));
        let mut state = self.state();
        let outcome = match written {
            Ok(()) => {
                let first = state.durable;
                state.settle(&writer.segment);
                state.writer = Some(writer);
                Ok(first)
            }
            Err(error) => {
                let error = Arc::new(error);
                match writer.undo() {
                    Ok(()) if error.kind() == io::ErrorKind::StorageFull => {
                        state.settle(&writer.segment);
                        state.writer = Some(writer);
                    }
                    // What the disk holds now is unknown: only reading it anew can tell.
                    _ => state.failed = Some(error.clone()),
                }
                Err(LogError::Io { action: "append to the log at", path: self.dir.clone(), error })
            }
        };
        // Only the one thread that took the writer settles this group.
        let _ = group.outcome.set(outcome);
    }

    /// Begins a new segment when the present one is full.
    fn roll(&self, writer: &mut Writer, coming: usize) -> io::Result<()> {
        let Segment { bytes, records, .. } = writer.segment;
        if records == 0 || bytes + coming as u64 <= self.options.segment_bytes {
            return Ok(());
        }
        let segment = create(&self.dir, writer.segment.end())?;
        let file = OpenOptions::new().append(true).open(&segment.path)?;
        *writer = Writer { file, segment };
        Ok(())
    }
}

/// Creates an empty segment, durable with its name. One left over from a crash or a failed write holds no records.
pub(super) fn create(dir: &std::path::Path, first: u64) -> io::Result<Segment> {
    let path = segment::path_of(dir, first);
    let mut file = File::create(&path)?;
    file.write_all(MAGIC)?;
    file.sync_all()?;
    sync_parent(&path)?;
    Ok(Segment { path, first, records: 0, bytes: MAGIC.len() as u64 })
}

impl State {
    fn take_pending(&mut self) -> (Arc<Group>, Vec<u8>, u64) {
        (
            std::mem::take(&mut self.pending),
            std::mem::take(&mut self.pending_bytes),
            std::mem::take(&mut self.pending_records),
        )
    }

    /// Lets readers see what is durable now.
    fn settle(&mut self, segment: &Segment) {
        self.durable = segment.end();
        match self.segments.last_mut() {
            Some(last) if last.first == segment.first => *last = segment.clone(),
            _ => self.segments.push(segment.clone()),
        }
    }
}
