//! Sums and sums of squares of any finite doubles, exact: what the lanes cannot hold.

use freshet_config::function::Spread;

use super::Moments;
use super::round::{nearest_digits, nearest_float32, nearest_quotient, nearest_spread};

/// Sum in units of 2^-1088 and squares in units of 2^-2176, as 32-bit digits with delayed carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Wide {
    sum: Vec<i64>,
    squares: Vec<i64>,
    /// Additions since the digits were last carried; each adds less than 2^32 to a digit.
    pending: u32,
}

const SUM_DIGITS: usize = 72;
const SQUARE_DIGITS: usize = 144;
const SUM_UNIT: i32 = -1088;
const CARRY_EVERY: u32 = 1 << 24;

impl Default for Wide {
    fn default() -> Wide {
        Wide { sum: vec![0; SUM_DIGITS], squares: vec![0; SQUARE_DIGITS], pending: 0 }
    }
}

impl Wide {
    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        size_of::<Wide>() + 8 * (self.sum.len() + self.squares.len())
    }

    /// Adds the double with these bits.
    pub fn add(&mut self, bits: u64) {
        self.apply(bits, false);
    }

    /// Takes a double out that was added before.
    pub fn sub(&mut self, bits: u64) {
        self.apply(bits, true);
    }

    fn apply(&mut self, bits: u64, remove: bool) {
        let exponent = (bits >> 52) as u32 & 0x7ff;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, exponent) = if exponent == 0 { (fraction, 1) } else { (fraction | 1 << 52, exponent) };
        let negative = bits >> 63 == 1;
        // The unit of a double's mantissa is 2^(exponent - 1075) = 2^(exponent + 13) sum units.
        put(&mut self.sum, u128::from(mantissa), exponent + 13, negative != remove);
        put(&mut self.squares, u128::from(mantissa) * u128::from(mantissa), 2 * (exponent + 13), remove);
        self.tick();
    }

    /// Adds lanes of doubles.
    pub fn add_moments(&mut self, moments: &Moments) {
        let (negative, [fraction, low, high]) = moments.magnitude();
        put(&mut self.sum, u128::from(fraction), (-SUM_UNIT - 64) as u32, negative);
        put(&mut self.sum, u128::from(low) | u128::from(high) << 64, -SUM_UNIT as u32, negative);
        let square_shift = (-2 * SUM_UNIT - 128) as u32;
        put(&mut self.squares, moments.squares[0], square_shift, false);
        put(&mut self.squares, moments.squares[1], square_shift + 128, false);
        self.tick();
    }

    fn tick(&mut self) {
        self.pending += 1;
        if self.pending >= CARRY_EVERY {
            self.carry_all();
        }
    }

    fn carry_all(&mut self) {
        carry(&mut self.sum);
        carry(&mut self.squares);
        self.pending = 0;
    }

    /// The sum rounded once; infinite when it leaves the doubles.
    pub fn sum(&self) -> f64 {
        let (negative, digits) = magnitude(&self.sum);
        let value = nearest_digits(&digits, SUM_UNIT);
        if negative { -value } else { value }
    }

    /// The sum rounded once to a float32; infinite when it leaves them.
    pub fn float32_sum(&self) -> f32 {
        let (negative, digits) = magnitude(&self.sum);
        let value = nearest_float32(&digits, SUM_UNIT);
        if negative { -value } else { value }
    }

    /// The sum divided by the number of values, rounded once.
    pub fn mean(&self, n: u64) -> f64 {
        let (negative, digits) = magnitude(&self.sum);
        let value = nearest_quotient(&digits, SUM_UNIT, n);
        if negative { -value } else { value }
    }

    /// `n * Q - S^2`, exact, rounded once.
    pub fn variance_numerator(&self, n: u64) -> Spread {
        let (_, sum) = magnitude(&self.sum);
        let (_, squares) = magnitude(&self.squares);
        let mut digits = vec![0i128; SQUARE_DIGITS + 4];
        for (i, d) in squares.iter().enumerate() {
            digits[i] += i128::from(*d) * i128::from(n as u32);
            digits[i + 1] += i128::from(*d) * i128::from(n >> 32);
        }
        for (i, a) in sum.iter().enumerate().filter(|(_, a)| **a != 0) {
            for (j, b) in sum.iter().enumerate() {
                digits[i + j] -= i128::from(*a) * i128::from(*b);
            }
        }
        let mut carry = 0i128;
        let exact: Vec<u32> = digits
            .iter()
            .map(|d| {
                let t = d + carry;
                carry = t >> 32;
                t as u32
            })
            .collect();
        nearest_spread(&exact, 2 * SUM_UNIT)
    }

    /// The canonical bytes: equal sums give equal bytes whatever was added and taken out before.
    pub fn write(&self, out: &mut Vec<u8>) {
        for digits in [&self.sum, &self.squares] {
            let (negative, digits) = magnitude(digits);
            let first = digits.iter().position(|d| *d != 0).unwrap_or(0);
            let end = digits.iter().rposition(|d| *d != 0).map_or(first, |last| last + 1);
            out.extend_from_slice(&[u8::from(negative), first as u8, (end - first) as u8]);
            for digit in &digits[first..end] {
                out.extend_from_slice(&digit.to_le_bytes());
            }
        }
    }

    /// Reads what [`Wide::write`] wrote and returns the rest; `None` when the bytes are not that.
    pub fn read(mut bytes: &[u8]) -> Option<(Wide, &[u8])> {
        let mut wide = Wide::default();
        for digits in [&mut wide.sum, &mut wide.squares] {
            let ([negative, first, count], rest) = bytes.split_first_chunk::<3>()?;
            let (first, count) = (usize::from(*first), usize::from(*count));
            if first + count > digits.len() || rest.len() < 4 * count {
                return None;
            }
            let (words, rest) = rest.split_at(4 * count);
            for (digit, word) in digits[first..].iter_mut().zip(words.chunks_exact(4)) {
                let value = i64::from(u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
                *digit = if *negative == 1 { -value } else { value };
            }
            bytes = rest;
        }
        wide.pending = 1;
        Some((wide, bytes))
    }
}

/// Adds `value * 2^shift` to the digits, or subtracts it.
fn put(digits: &mut [i64], value: u128, shift: u32, negative: bool) {
    let (first, bit) = ((shift / 32) as usize, shift % 32);
    for k in 0..4 {
        let part = u64::from((value >> (32 * k)) as u32) << bit;
        if part == 0 {
            continue;
        }
        let (low, high) = (i64::from(part as u32), (part >> 32) as i64);
        let sign = if negative { -1 } else { 1 };
        digits[first + k] += sign * low;
        if high != 0 {
            digits[first + k + 1] += sign * high;
        }
    }
}

/// Leaves every digit but the last in 0..2^32; the last keeps the sign.
fn carry(digits: &mut [i64]) {
    let mut over = 0;
    let last = digits.len() - 1;
    for digit in &mut digits[..last] {
        let t = *digit + over;
        over = t >> 32;
        *digit = i64::from(t as u32);
    }
    digits[last] += over;
}

/// Sign and canonical digits.
fn magnitude(digits: &[i64]) -> (bool, Vec<u32>) {
    let run = |sign: i64| {
        let mut over = 0i64;
        let canonical: Vec<u32> = digits
            .iter()
            .map(|d| {
                let t = d * sign + over;
                over = t >> 32;
                t as u32
            })
            .collect();
        (over, canonical)
    };
    let (over, canonical) = run(1);
    if over < 0 { (true, run(-1).1) } else { (false, canonical) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_cancel_and_bytes_are_canonical() {
        let mut wide = Wide::default();
        for x in [1e300, -1e300, 5e-324, 1e-300, 3.0, -0.25] {
            wide.add(f64::to_bits(x));
        }
        wide.sub(1e-300f64.to_bits());
        wide.sub(5e-324f64.to_bits());
        assert_eq!(wide.sum(), 2.75);
        let mut same = Wide::default();
        for x in [-0.25, -1e300, 3.0, 1e300] {
            same.add(f64::to_bits(x));
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        wide.write(&mut a);
        same.write(&mut b);
        assert_eq!(a, b);
        a.push(9);
        let (read, rest) = Wide::read(&a).unwrap();
        assert_eq!((read.sum(), rest), (2.75, &[9u8][..]));
        assert!(Wide::read(&b[..b.len() - 1]).is_none());
    }

    #[test]
    fn equal_values_have_no_variance() {
        let mut wide = Wide::default();
        for _ in 0..7 {
            wide.add(1e200f64.to_bits());
        }
        assert_eq!(wide.variance_numerator(7), Spread::NONE);
        assert_eq!(wide.sum(), 7e200);
    }
}
