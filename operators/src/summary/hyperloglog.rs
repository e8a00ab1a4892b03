//! HyperLogLog, bit for bit as Tecton computes it: one word per value, so that what is kept can be counted and undone.
//!
//! Law: h = the first 64 bits, big-endian, of SHA-256 of the value (a string's UTF-8, anything else its word as 8 bytes
//! big-endian). With precision p, the register is the top p bits of h, and the rank 1 + the leading zeros of the other
//! 64 - p. A register's value is the greatest rank it has seen; m = 2^p registers.
//!
//! ```text
//! E = a m^2 / sum of 2^-register     a = .673, .697, .709 for m = 16, 32, 64, else .7213 / (1 + 1.079 / m)
//! E <= 2.5 m and V > 0 registers are empty: m ln(m / V)
//! ```
//! rounded to the nearest integer. No correction for large numbers. Standard error 1.04 / sqrt(m): 6.5 % at precision 8.

use sha2::{Digest, Sha256};

/// Bits of a sketch word that hold the rank.
const RANK_BITS: u32 = 6;

/// Greatest rank that a register of any precision may hold.
pub(crate) const MOST_RANK: u8 = 61;

/// `register << 6 | rank` of a value's bytes.
pub fn sketch_word(bytes: &[u8], precision: u8) -> u64 {
    let digest = Sha256::digest(bytes);
    let hash = digest.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
    let precision = u32::from(precision);
    let rank = 1 + (hash << precision).leading_zeros().min(64 - precision);
    hash >> (64 - precision) << RANK_BITS | u64::from(rank)
}

/// Register and rank of a sketch word.
#[inline]
pub(crate) fn parts(word: u64) -> (usize, u8) {
    ((word >> RANK_BITS) as usize, (word & ((1 << RANK_BITS) - 1)) as u8)
}

/// The sketch word of the same value at a lower precision.
#[inline]
pub(crate) fn coarser(word: u64, kept: u8, wanted: u8) -> u64 {
    let dropped = u32::from(kept.saturating_sub(wanted));
    if dropped == 0 {
        return word;
    }
    let (register, rank) = (word >> RANK_BITS, word & ((1 << RANK_BITS) - 1));
    let low = register & ((1 << dropped) - 1);
    let rank = match low {
        0 => u64::from(dropped) + rank,
        low => u64::from(dropped - low.ilog2()),
    };
    register >> dropped << RANK_BITS | rank
}

/// How many registers have which value; of the empty ones nothing is kept.
#[derive(Clone, Debug)]
pub(crate) struct Filled {
    registers: [u32; MOST_RANK as usize + 1],
    /// Values that some register has, a bit each: they are few.
    occurring: u64,
}

impl Default for Filled {
    fn default() -> Filled {
        Filled { registers: [0; MOST_RANK as usize + 1], occurring: 0 }
    }
}

impl Filled {
    /// The value of a register goes from one to the other; 0 is an empty one's.
    pub fn change(&mut self, before: u8, after: u8) {
        if before == after {
            return;
        }
        // A damaged row may tell of a register that it did not count.
        if before > 0 {
            let registers = self.registers[usize::from(before)].saturating_sub(1);
            self.set(before, registers);
        }
        if after > 0 {
            let registers = self.registers[usize::from(after)].saturating_add(1);
            self.set(after, registers);
        }
    }

    /// Adds registers of one value, `false` when there is no such value or number.
    #[must_use]
    pub fn add(&mut self, rank: u8, registers: u64) -> bool {
        let held = self.registers.get(usize::from(rank)).filter(|_| rank > 0);
        let sum = held.and_then(|held| u32::try_from(registers).ok()?.checked_add(*held));
        sum.map(|sum| self.set(rank, sum)).is_some()
    }

    fn set(&mut self, rank: u8, registers: u32) {
        self.registers[usize::from(rank)] = registers;
        self.occurring = self.occurring & !(1 << rank) | u64::from(registers > 0) << rank;
    }

    /// How many values occur.
    pub fn values(&self) -> u32 {
        self.occurring.count_ones()
    }

    /// Values that occur, ascending, with how many registers have them.
    pub fn ranks(&self) -> impl Iterator<Item = (u8, u32)> {
        let mut rest = self.occurring;
        std::iter::from_fn(move || {
            let rank = u8::try_from(rest.trailing_zeros()).ok().filter(|_| rest != 0)?;
            rest &= rest - 1;
            Some((rank, self.registers[usize::from(rank)]))
        })
    }

    /// Registers that are not empty.
    pub fn registers(&self) -> u64 {
        self.ranks().map(|(_, registers)| u64::from(registers)).sum()
    }

    /// The number of distinct values, from `m` registers.
    ///
    /// Summed by value and not by register, which is the same: unless a register holds more than 37, the sum of up to
    /// 2^16 powers of two is exact.
    pub fn estimate(&self, m: usize) -> i64 {
        let bias = match m {
            16 => 0.673,
            32 => 0.697,
            64 => 0.709,
            _ => 0.7213 / (1.0 + 1.079 / m as f64),
        };
        let empty = (m as u64).saturating_sub(self.registers()) as f64;
        let m = m as f64;
        let sum = self.ranks().map(|(rank, registers)| f64::from(registers) * 2f64.powi(-i32::from(rank))).sum::<f64>();
        let raw = bias * m * m / (sum + empty);
        let estimate = if raw <= 2.5 * m && empty > 0.0 { m * libm::log(m / empty) } else { raw };
        estimate.round() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_precision_follows_from_a_higher_one() {
        for i in 0..2000u64 {
            let bytes = i.to_be_bytes();
            for kept in 4..=16 {
                let word = sketch_word(&bytes, kept);
                for wanted in 4..=kept {
                    assert_eq!(coarser(word, kept, wanted), sketch_word(&bytes, wanted), "{i} {kept} {wanted}");
                }
            }
        }
        assert_eq!(coarser(61, 16, 4), 61 + 12);
    }

    #[test]
    fn small_numbers_are_counted_almost_exactly() {
        let (mut registers, mut filled) = (vec![0u8; 256], Filled::default());
        assert_eq!(filled.estimate(256), 0);
        for i in 0..10u64 {
            let (register, rank) = parts(sketch_word(&i.to_be_bytes(), 8));
            if rank > registers[register] {
                filled.change(std::mem::replace(&mut registers[register], rank), rank);
            }
        }
        assert!((9..=11).contains(&filled.estimate(256)), "{}", filled.estimate(256));
    }

    #[test]
    fn the_hash_is_the_first_eight_bytes_of_sha_256() {
        // SHA-256 of "abc" begins ba7816bf 8f01cfea: register 0xba, then 0111 1000...
        assert_eq!(parts(sketch_word(b"abc", 8)), (0xba, 2));
    }
}
