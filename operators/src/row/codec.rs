//! Bytes of rows: variable-length integers, trimmed lanes, typed values. Reading refuses what writing cannot produce.

use freshet_config::value::DataType;

use crate::batch::heap_word;
use crate::exact::Moments;

pub(crate) const VERSION: u8 = 1;
/// All slices ever: exact for every instant.
pub(crate) const KIND_COMPLETE: u8 = 0;
/// All slices still in reach: exact from `as_of` on.
pub(crate) const KIND_SPARSE: u8 = 1;
/// Cores and the slices that leave or enter before the horizon.
pub(crate) const KIND_DENSE: u8 = 2;

#[inline(always)]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    let mut bytes = [0u8; 10];
    let mut n = 0;
    while value >= 0x80 {
        bytes[n] = value as u8 | 0x80;
        value >>= 7;
        n += 1;
    }
    bytes[n] = value as u8;
    out.extend_from_slice(&bytes[..=n]);
}

#[inline(always)]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline(always)]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A value that is not a string, from its stored word.
#[inline(always)]
pub(crate) fn put_word(out: &mut Vec<u8>, data_type: DataType, word: u64) {
    match data_type {
        DataType::Float64 => out.extend_from_slice(&word.to_le_bytes()),
        DataType::Float32 => out.extend_from_slice(&(f64::from_bits(word) as f32).to_le_bytes()),
        DataType::Bool => out.push(word as u8),
        DataType::Int32 | DataType::Int64 | DataType::Timestamp => put_varint(out, zigzag(word as i64)),
        DataType::String => unreachable!("strings are written by `put_text`"),
    }
}

#[inline(always)]
pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// Zero bytes at both ends of an integer are dropped: `[length | sign][zero bytes below][bytes]`.
#[inline(always)]
pub(crate) fn put_sum(out: &mut Vec<u8>, sum: i128) {
    let magnitude = sum.unsigned_abs();
    if magnitude == 0 {
        out.push(0);
        return;
    }
    let below = magnitude.trailing_zeros() / 8;
    let kept = magnitude >> (8 * below);
    let length = 16 - kept.leading_zeros() / 8;
    out.push((length as u8) << 1 | u8::from(sum < 0));
    out.push(below as u8);
    out.extend_from_slice(&kept.to_le_bytes()[..length as usize]);
}

#[inline(always)]
pub(crate) fn put_squares(out: &mut Vec<u8>, [low, high]: [u128; 2]) {
    let mut bytes = [0u8; 32];
    bytes[..16].copy_from_slice(&low.to_le_bytes());
    bytes[16..].copy_from_slice(&high.to_le_bytes());
    let below = if low != 0 {
        low.trailing_zeros() / 8
    } else if high != 0 {
        16 + high.trailing_zeros() / 8
    } else {
        out.push(0);
        return;
    } as usize;
    let above = if high != 0 { 32 - high.leading_zeros() as usize / 8 } else { 16 - low.leading_zeros() as usize / 8 };
    out.push((above - below) as u8);
    out.push(below as u8);
    out.extend_from_slice(&bytes[below..above]);
}

/// A cursor over a row's bytes; every read says `None` past the end.
pub(crate) struct Bytes<'a> {
    row: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub fn new(row: &'a [u8]) -> Bytes<'a> {
        Bytes { row, at: 0 }
    }

    #[inline(always)]
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.row.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*bytes)
    }

    #[inline(always)]
    pub fn byte(&mut self) -> Option<u8> {
        let byte = *self.row.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline(always)]
    pub fn varint(&mut self) -> Option<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A value as a word; a string as a [`heap_word`] into the row.
    #[inline(always)]
    pub fn word(&mut self, data_type: DataType) -> Option<u64> {
        Some(match data_type {
            DataType::Float64 => u64::from_le_bytes(self.array()?),
            DataType::Float32 => f64::from(f32::from_le_bytes(self.array()?)).to_bits(),
            DataType::Bool => u64::from(self.byte()?),
            DataType::Int32 | DataType::Int64 | DataType::Timestamp => unzigzag(self.varint()?) as u64,
            DataType::String => {
                let length = self.varint()? as usize;
                let start = self.at;
                self.at = start.checked_add(length).filter(|end| *end <= self.row.len())?;
                heap_word(start, length)
            }
        })
    }

    /// `N` bytes at most, placed `below` bytes up in a buffer of `N`.
    fn trimmed<const N: usize>(&mut self, length: usize) -> Option<[u8; N]> {
        let below = usize::from(self.byte()?);
        let end = below.checked_add(length).filter(|end| *end <= N)?;
        let mut bytes = [0; N];
        bytes[below..end].copy_from_slice(self.row.get(self.at..self.at + length)?);
        self.at += length;
        Some(bytes)
    }

    #[inline(always)]
    pub fn moments(&mut self, squares: bool) -> Option<Moments> {
        let mut moments = Moments::default();
        let head = self.byte()?;
        if head != 0 {
            let magnitude = u128::from_le_bytes(self.trimmed(usize::from(head >> 1))?) as i128;
            moments.sum = if head & 1 == 1 { magnitude.wrapping_neg() } else { magnitude };
        }
        if squares {
            let length = self.byte()?;
            if length != 0 {
                let bytes = self.trimmed::<32>(usize::from(length))?;
                let half = |i: usize| u128::from_le_bytes(std::array::from_fn(|k| bytes[16 * i + k]));
                moments.squares = [half(0), half(1)];
            }
        }
        Some(moments)
    }

    pub fn rest(&self) -> &'a [u8] {
        &self.row[self.at.min(self.row.len())..]
    }

    pub fn skip_to(&mut self, rest: &[u8]) {
        self.at = self.row.len() - rest.len();
    }

    pub fn is_empty(&self) -> bool {
        self.at >= self.row.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut bytes = Bytes::new(&out);
            assert_eq!((bytes.varint(), bytes.is_empty()), (Some(value), true));
            assert_eq!(unzigzag(zigzag(value as i64)), value as i64);
        }
        let sums = [0, 1, -1, 1 << 64, -(1 << 100), i128::MAX, 255 << 56];
        let squares = [[0, 0], [1, 0], [0, 1], [u128::MAX, u128::MAX], [1 << 100, 0], [0, 1 << 120], [3 << 64, 7]];
        for sum in sums {
            for squares in squares {
                let mut out = Vec::new();
                put_sum(&mut out, sum);
                put_squares(&mut out, squares);
                let mut bytes = Bytes::new(&out);
                assert_eq!(bytes.moments(true), Some(Moments { sum, squares }));
                assert!(bytes.is_empty());
                assert_eq!(Bytes::new(&out[..out.len() - 1]).moments(true), None);
            }
        }
    }
}
