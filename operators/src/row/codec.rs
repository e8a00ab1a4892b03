//! Bytes of rows: variable-length integers, trimmed lanes, typed values. Reading refuses what writing cannot produce.

use freshet_config::rows::copy;
use freshet_config::value::DataType;

use crate::batch::heap_word;
use crate::exact::Moments;

pub(crate) const VERSION: u8 = 3;
/// All slices ever: exact for every instant.
pub(crate) const KIND_COMPLETE: u8 = 0;
/// All slices still in reach: exact from `as_of` on.
pub(crate) const KIND_SPARSE: u8 = 1;
/// Cores and the slices that leave or enter before the horizon.
pub(crate) const KIND_DENSE: u8 = 2;
/// Rows of the categories of a key.
pub(crate) const KIND_CATEGORIES: u8 = 3;
/// Those of a key with more categories than are allowed.
pub(crate) const KIND_CROWDED: u8 = 4;

/// Where rows are encoded: bytes that are there before they are written, so that a write of eight bytes of which one
/// counts is a single store.
#[derive(Debug, Default)]
pub(crate) struct RowBuffer {
    bytes: Vec<u8>,
    at: usize,
}

/// Room behind what was asked for: a number is stored with more bytes than it keeps.
const SLACK: usize = 64;

impl RowBuffer {
    /// Begins anew.
    pub fn clear(&mut self) {
        self.at = 0;
    }

    pub fn row(&self) -> &[u8] {
        &self.bytes[..self.at]
    }

    /// Makes room for `more` bytes.
    #[inline(always)]
    fn reserve(&mut self, more: usize) {
        if self.bytes.len() < self.at + more + SLACK {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        self.bytes.resize((2 * self.bytes.len()).max(self.at + more + SLACK).next_multiple_of(4096), 0);
    }

    /// Writes at most `most` bytes through a cursor, which keeps its place in registers.
    #[inline(always)]
    pub fn write(&mut self, most: usize, write: impl FnOnce(&mut Cursor)) {
        self.reserve(most);
        let mut cursor = Cursor { bytes: &mut self.bytes, at: self.at };
        write(&mut cursor);
        self.at = cursor.at;
    }

    /// Begins a row.
    #[inline(always)]
    pub fn head(&mut self, kind: u8, tag: u32, as_of: i64) {
        self.at = 0;
        let mut bytes = [0; 14];
        bytes[..2].copy_from_slice(&[VERSION, kind]);
        bytes[2..6].copy_from_slice(&tag.to_le_bytes());
        bytes[6..].copy_from_slice(&as_of.to_le_bytes());
        self.write(14, |cursor| cursor.put(bytes, 14));
    }

    #[inline(always)]
    pub fn varint(&mut self, value: u64) {
        self.write(MAX_NUMBER, |cursor| cursor.varint(value));
    }

    pub fn byte(&mut self, byte: u8) {
        self.write(1, |cursor| cursor.put([byte], 1));
    }

    #[inline(always)]
    pub fn word(&mut self, data_type: DataType, word: u64) {
        self.write(MAX_NUMBER, |cursor| cursor.word(data_type, word));
    }

    pub fn text(&mut self, text: &[u8]) {
        self.varint(text.len() as u64);
        self.bytes(text);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        copy(&mut self.bytes[self.at..self.at + bytes.len()], bytes);
        self.at += bytes.len();
    }

    /// What `write` appends to a vector.
    pub fn vector(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(&mut bytes);
        self.bytes(&bytes);
    }
}

/// Where the next number goes, in room that was reserved.
pub(crate) struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    /// Stores all `N` bytes, of which the first `kept` stay.
    #[inline(always)]
    pub fn put<const N: usize>(&mut self, bytes: [u8; N], kept: usize) {
        self.bytes[self.at..self.at + N].copy_from_slice(&bytes);
        self.at += kept;
    }

    /// Little-endian behind a mark that says its length: `n` bytes begin with `n - 1` zero bits, then a one. Nine bytes
    /// begin with a zero byte.
    #[inline(always)]
    pub fn varint(&mut self, value: u64) {
        let length = varint_length(value);
        if length <= 8 {
            self.put((value << length | 1 << (length - 1)).to_le_bytes(), length as usize);
        } else {
            self.put([0], 1);
            self.put(value.to_le_bytes(), 8);
        }
    }

    /// A variable-length integer below 2^56 and a word behind it, in one store.
    #[inline(always)]
    pub fn varint_and_word(&mut self, value: u64, word: u64) {
        let length = varint_length(value);
        let number = value << length | 1 << (length - 1);
        let both = u128::from(number) | u128::from(word) << (8 * length);
        self.put(both.to_le_bytes(), length as usize + 8);
    }

    /// A value that is not a string, from its stored word.
    #[inline(always)]
    pub fn word(&mut self, data_type: DataType, word: u64) {
        match data_type {
            DataType::Float64 => self.put(word.to_le_bytes(), 8),
            DataType::Float32 => self.put((f64::from_bits(word) as f32).to_le_bytes(), 4),
            DataType::Bool => self.put([word as u8], 1),
            // Strings are written by `text`; their words mean nothing outside the state.
            DataType::Int32 | DataType::Int64 | DataType::Timestamp | DataType::String => {
                self.varint(zigzag(word as i64));
            }
        }
    }

    /// Zero bytes at both ends of a sum are dropped: `[length * 2 + negative][zero bytes below][bytes]`; 0 is one byte.
    #[inline(always)]
    pub fn sum(&mut self, moments: &Moments) {
        let (negative, [fraction, low, high]) = moments.magnitude();
        let negative = u8::from(negative);
        self.trimmed([fraction, low, high, 0], |length| length << 1 | negative);
    }

    /// As [`RowBuffer::sum`], without a sign.
    #[inline(always)]
    pub fn squares(&mut self, [low, high]: [u128; 2]) {
        self.trimmed([low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64], |length| length);
    }

    #[inline(always)]
    fn trimmed(&mut self, words: [u64; 4], mark: impl Fn(u8) -> u8) {
        let Some(first) = words.iter().position(|w| *w != 0) else {
            return self.put([0], 1);
        };
        let last = words.iter().rposition(|w| *w != 0).unwrap_or(first);
        // Moved down by words and bits, not read back by bytes: a read across what was just stored would wait for it.
        let shift = words[first].trailing_zeros() & !7;
        let below = 8 * first + shift as usize / 8;
        let above = 8 * last + 8 - words[last].leading_zeros() as usize / 8;
        let mut padded = [0u64; 8];
        padded[..4].copy_from_slice(&words);
        let from = &padded[first..first + 5];
        let mut kept = [0u8; 34];
        kept[..2].copy_from_slice(&[mark((above - below) as u8), below as u8]);
        for (i, to) in kept[2..].as_chunks_mut::<8>().0.iter_mut().enumerate() {
            *to = (from[i] >> shift | from[i + 1] << 1 << (63 - shift)).to_le_bytes();
        }
        self.put(kept, 2 + above - below);
    }
}

/// Bytes of a variable-length integer: seven bits each.
#[inline(always)]
fn varint_length(value: u64) -> u32 {
    let bits = 64 - (value | 1).leading_zeros();
    // `bits.div_ceil(7)` for as many bits as there are, without a division.
    (bits * 37 + 222) >> 8
}

/// Most bytes that one number, value or sum takes.
pub(crate) const MAX_NUMBER: usize = 36;

#[inline(always)]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline(always)]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
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
        let rest = self.row.get(self.at..)?;
        let length = rest.first()?.trailing_zeros() as usize + 1;
        if let Some(word) = rest.first_chunk::<8>()
            && length <= 8
        {
            self.at += length;
            return Some((u64::from_le_bytes(*word) & u64::MAX >> (64 - 8 * length)) >> length);
        }
        self.varint_at_the_end(rest, length)
    }

    /// Nine bytes, or fewer than eight before the end of the row.
    #[cold]
    fn varint_at_the_end(&mut self, rest: &[u8], length: usize) -> Option<u64> {
        let bytes = rest.get(..length)?;
        self.at += length;
        if length == 9 {
            return Some(u64::from_le_bytes(*bytes.last_chunk()?));
        }
        let mut word = [0; 8];
        word[..length].copy_from_slice(bytes);
        Some(u64::from_le_bytes(word) >> length)
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
            let bytes = self.trimmed::<24>(usize::from(head >> 1))?;
            let word = |i: usize| u64::from_le_bytes(std::array::from_fn(|k| bytes[8 * i + k]));
            moments = Moments::of_magnitude(head & 1 == 1, [word(0), word(1), word(2)]);
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

    /// A number of things that take a byte each at least: no more than there are bytes left.
    pub fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.varint()?).ok()?;
        // One more, for a tally's count of values and one.
        (count <= self.row.len().saturating_sub(self.at) + 1).then_some(count)
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
    fn a_number_and_a_word_are_what_they_are_one_by_one() {
        for bits in 1..=64u32 {
            assert_eq!(varint_length(u64::MAX >> (64 - bits)), bits.div_ceil(7), "{bits} bits");
        }
        for value in (0..56).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit]) {
            let (mut together, mut apart) = (RowBuffer::default(), RowBuffer::default());
            together.write(16, |cursor| cursor.varint_and_word(value, 0x0102_0304_0506_0708));
            apart.varint(value);
            apart.bytes(&0x0102_0304_0506_0708u64.to_le_bytes());
            assert_eq!(together.row(), apart.row());
        }
    }

    #[test]
    fn numbers_round_trip() {
        let mut values = vec![0, 1, 300, u64::from(u32::MAX), u64::MAX];
        values.extend((1..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit]));
        for value in values {
            let mut out = RowBuffer::default();
            out.varint(value);
            let row = out.row().to_vec();
            // At the end of a row, and with more behind it.
            for more in [0, 20] {
                let long = [row.clone(), vec![0xff; more]].concat();
                let mut bytes = Bytes::new(&long);
                assert_eq!((bytes.varint(), bytes.rest().len()), (Some(value), more));
            }
            assert_eq!(Bytes::new(&row[..row.len() - 1]).varint(), None);
            assert_eq!(unzigzag(zigzag(value as i64)), value as i64);
        }
    }

    #[test]
    fn moments_round_trip() {
        let sums =
            [(0, 0), (1, 0), (-1, 0), (0, 1), (-1, u64::MAX), (-(1 << 100), 7), (i128::MAX, 1 << 60), (255 << 56, 0)];
        let squares = [[0, 0], [1, 0], [0, 1], [u128::MAX, u128::MAX], [1 << 100, 0], [0, 1 << 120], [3 << 64, 7]];
        for (whole, fraction) in sums {
            for squares in squares {
                let moments = Moments { whole, fraction, squares };
                let mut out = RowBuffer::default();
                out.write(2 * MAX_NUMBER, |cursor| {
                    cursor.sum(&moments);
                    cursor.squares(squares);
                });
                let mut bytes = Bytes::new(out.row());
                assert_eq!(bytes.moments(true), Some(moments));
                assert!(bytes.is_empty());
                assert_eq!(Bytes::new(&out.row()[..out.row().len() - 1]).moments(true), None);
            }
        }
    }
}
