//! The bytes of a segment: a magic word, then records `[length u32][crc32 u32][record time i64][payload]`, little-endian.
//!
//! The length is the payload's; the checksum covers length, record time and payload.

use std::path::{Path, PathBuf};

use freshet_config::time::EventTime;

/// Format and version; what every segment begins with.
pub(super) const MAGIC: &[u8; 8] = b"FRESLOG1";
/// Bytes in front of a payload.
pub(super) const HEAD_BYTES: usize = 16;
pub(super) const MAX_PAYLOAD_BYTES: usize = crate::events::MAX_RECORD_BYTES;

/// One file of the log, as far as it is durable.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    /// The offset of its first record.
    pub first: u64,
    pub records: u64,
    /// Length of the durable part, magic included.
    pub bytes: u64,
}

impl Segment {
    /// The offset after its last record.
    pub fn end(&self) -> u64 {
        self.first + self.records
    }
}

pub(super) fn path_of(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.log"))
}

/// The first offset that a segment's name tells, or `None` for another file.
pub(super) fn first_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (name.len() == 20).then(|| name.parse().ok()).flatten()
}

/// Appends a record's bytes. The payload is at most [`MAX_PAYLOAD_BYTES`] long.
pub(super) fn encode(payload: &[u8], record_time: EventTime, out: &mut Vec<u8>) {
    let length = (payload.len() as u32).to_le_bytes();
    let time = record_time.micros().to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(&length, &time, payload).to_le_bytes());
    out.extend_from_slice(&time);
    out.extend_from_slice(payload);
}

fn checksum(length: &[u8; 4], time: &[u8; 8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(time);
    hasher.update(payload);
    hasher.finalize()
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Whole {
        record_time: EventTime,
        payload: &'a [u8],
    },
    /// The bytes end before the record does; the record needs this many.
    Short(usize),
    Bad,
}

pub(super) fn frame(bytes: &[u8]) -> Frame<'_> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Frame::Short(HEAD_BYTES);
    };
    let [l0, l1, l2, l3, c0, c1, c2, c3, time @ ..] = head;
    let length = [*l0, *l1, *l2, *l3];
    let size = u32::from_le_bytes(length) as usize;
    if size > MAX_PAYLOAD_BYTES {
        return Frame::Bad;
    }
    let Some(payload) = rest.get(..size) else {
        return Frame::Short(HEAD_BYTES + size);
    };
    if checksum(&length, time, payload) != u32::from_le_bytes([*c0, *c1, *c2, *c3]) {
        return Frame::Bad;
    }
    Frame::Whole { record_time: EventTime::from_micros(i64::from_le_bytes(*time)), payload }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_back_and_every_flipped_bit_is_noticed() {
        let mut bytes = Vec::new();
        encode(b"payload", EventTime::from_micros(-5), &mut bytes);
        let whole = Frame::Whole { record_time: EventTime::from_micros(-5), payload: b"payload" };
        assert_eq!(frame(&bytes), whole);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(frame(&damaged), Frame::Whole { .. }), "bit {bit}");
        }
        assert_eq!(frame(&bytes[..10]), Frame::Short(HEAD_BYTES));
        assert_eq!(frame(&bytes[..20]), Frame::Short(HEAD_BYTES + 7));
        assert_eq!(frame(&[0; 64]), Frame::Bad);
    }

    #[test]
    fn names_tell_first_offsets() {
        let path = path_of(Path::new("/x"), 42);
        assert_eq!(first_of(&path), Some(42));
        assert_eq!(first_of(Path::new("/x/notes.log")), None);
        assert_eq!(first_of(Path::new("/x/00000000000000000042.tmp")), None);
    }
}
