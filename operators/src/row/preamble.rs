//! What every row begins with: `[version u8][kind u8][layout tag u32][as_of i64]`.

use std::ops::RangeInclusive;

use super::RowError;
use super::codec::{Bytes, VERSION};

/// The part that all kinds share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preamble {
    pub kind: u8,
    /// The instant the row was written for, microseconds.
    pub as_of: i64,
}

impl Preamble {
    /// Refuses rows of another format, of other kinds than these, and those that were written for another layout.
    pub fn read(bytes: &mut Bytes, tag: u32, kinds: RangeInclusive<u8>) -> Result<Preamble, RowError> {
        let damaged = RowError::Damaged;
        let version = bytes.byte().ok_or(damaged)?;
        if version != VERSION {
            return Err(RowError::Version(version));
        }
        let kind = bytes.byte().filter(|kind| kinds.contains(kind)).ok_or(damaged)?;
        if u32::from_le_bytes(bytes.array().ok_or(damaged)?) != tag {
            return Err(RowError::Layout);
        }
        Ok(Preamble { kind, as_of: i64::from_le_bytes(bytes.array().ok_or(damaged)?) })
    }
}
