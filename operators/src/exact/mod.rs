//! Exact lanes: sums and sums of squares that do not depend on order, and that subtraction undoes.
//!
//! Law: a lane is a plain integer. A double below 2^48 is `m * 2^e`; at scale 2^-64 it is an integer of at most 112 bits
//! unless its lowest bits are smaller still, and its square is one of at most 224 bits at scale 2^-128. Integers add
//! exactly in any order, so a sum has the same bits however events were batched, split over workers or merged, and a
//! slice that leaves a window can be subtracted without drift. Values outside the range go to a [`Wide`] accumulator,
//! which is the same idea with more digits. Rounding happens once, when a feature is read.
//!
//! Bound: sums have 192 bits and sums of squares 256, so 2^32 events of the largest magnitude fit in one window.

mod round;
mod wide;

pub use round::{float32_sum, mean, sum, variance_numerator};
pub use wide::Wide;

use freshet_config::value::DataType;

/// How a column's values become lane integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Integers: squares at scale 1.
    Integer,
    /// Doubles: squares at scale 2^-128.
    Binary,
}

impl Scale {
    /// The scale of a numeric column; `None` for types that are not summed.
    pub fn of(data_type: DataType) -> Option<Scale> {
        match data_type {
            DataType::Int32 | DataType::Int64 => Some(Scale::Integer),
            DataType::Float32 | DataType::Float64 => Some(Scale::Binary),
            DataType::String | DataType::Bool | DataType::Timestamp => None,
        }
    }
}

/// Sum and sum of squares of some values. The sum is `whole + fraction * 2^-64`; squares are integers of the column's
/// [`Scale`].
///
/// Arithmetic wraps, so intermediate states need no care: what was added can be subtracted in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    pub whole: i128,
    pub fraction: u64,
    /// Low and high halves of the 256-bit sum of squares.
    pub squares: [u128; 2],
}

/// A value as lane integers: what one event adds.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// At scale 2^-64.
    value: i128,
    magnitude: u64,
    shift: u32,
}

const MANTISSA: u64 = (1 << 52) - 1;
/// Biased exponent of the smallest double whose last mantissa bit is worth 2^-64.
const LOW_EXPONENT: u32 = 1011;
/// Biased exponents above the low one that stay below 2^48.
const EXPONENTS: u32 = 59;

impl Lane {
    /// The lane of a stored word, or `None` for a double outside the range of the lanes.
    #[inline(always)]
    pub fn of(word: u64, scale: Scale) -> Option<Lane> {
        match scale {
            Scale::Binary => Lane::double(word),
            Scale::Integer => {
                let value = word as i64;
                Some(Lane { value: i128::from(value) << 64, magnitude: value.unsigned_abs(), shift: 0 })
            }
        }
    }

    /// One compare on the exponent decides for almost every double; zero and short mantissas take the cold way.
    #[inline(always)]
    fn double(bits: u64) -> Option<Lane> {
        let shift = ((bits >> 52) as u32 & 0x7ff).wrapping_sub(LOW_EXPONENT);
        if shift <= EXPONENTS {
            Some(Lane::signed(bits & MANTISSA | 1 << 52, shift, bits))
        } else {
            Lane::unusual_double(bits)
        }
    }

    #[cold]
    #[inline(never)]
    fn unusual_double(bits: u64) -> Option<Lane> {
        if bits << 1 == 0 {
            return Some(Lane { value: 0, magnitude: 0, shift: 0 });
        }
        let exponent = (bits >> 52) as u32 & 0x7ff;
        let below = LOW_EXPONENT.checked_sub(exponent)?;
        let mantissa = bits & MANTISSA | 1 << 52;
        if exponent > 0 && below < 53 && mantissa.trailing_zeros() >= below {
            return Some(Lane::signed(mantissa >> below, 0, bits));
        }
        None
    }

    #[inline(always)]
    fn signed(magnitude: u64, shift: u32, bits: u64) -> Lane {
        let value = (u128::from(magnitude) << shift) as i128;
        let sign = i128::from((bits as i64) >> 63);
        Lane { value: (value ^ sign).wrapping_sub(sign), magnitude, shift }
    }

    #[inline(always)]
    pub fn square(self) -> [u128; 2] {
        let product = u128::from(self.magnitude) * u128::from(self.magnitude);
        let shift = 2 * self.shift;
        if shift >= 128 { [0, product << (shift - 128)] } else { [product << shift, (product >> 1) >> (127 - shift)] }
    }
}

impl Moments {
    #[inline(always)]
    pub fn add_lane(&mut self, lane: Lane, squares: bool) {
        self.add_square(lane, if squares { lane.square() } else { [0; 2] });
    }

    /// [`Moments::add_lane`] where the square is known already, or 0 where none is kept.
    #[inline(always)]
    pub fn add_square(&mut self, lane: Lane, square: [u128; 2]) {
        let (fraction, carry) = self.fraction.overflowing_add(lane.value as u64);
        self.fraction = fraction;
        self.whole = self.whole.wrapping_add(lane.value >> 64).wrapping_add(i128::from(carry));
        add_wide(&mut self.squares, square);
    }

    #[inline(always)]
    pub fn sub_lane(&mut self, lane: Lane, squares: bool) {
        self.sub_square(lane, if squares { lane.square() } else { [0; 2] });
    }

    /// As [`Moments::add_square`].
    #[inline(always)]
    pub fn sub_square(&mut self, lane: Lane, square: [u128; 2]) {
        let (fraction, borrow) = self.fraction.overflowing_sub(lane.value as u64);
        self.fraction = fraction;
        self.whole = self.whole.wrapping_sub(lane.value >> 64).wrapping_sub(i128::from(borrow));
        let (low, borrow) = self.squares[0].overflowing_sub(square[0]);
        self.squares = [low, self.squares[1].wrapping_sub(square[1]).wrapping_sub(u128::from(borrow))];
    }

    /// Whether the sum is negative, and its magnitude as little-endian digits.
    #[inline(always)]
    pub fn magnitude(&self) -> (bool, [u64; 3]) {
        let negative = self.whole < 0;
        let (fraction, whole) = if negative {
            // Two's complement over 192 bits: invert all, add one at the bottom.
            let (fraction, carry) = (!self.fraction).overflowing_add(1);
            (fraction, (!self.whole as u128).wrapping_add(u128::from(carry)))
        } else {
            (self.fraction, self.whole as u128)
        };
        (negative, [fraction, whole as u64, (whole >> 64) as u64])
    }

    /// The moments with this sum: the inverse of [`Moments::magnitude`].
    pub fn of_magnitude(negative: bool, [fraction, low, high]: [u64; 3]) -> Moments {
        let whole = (u128::from(low) | u128::from(high) << 64) as i128;
        let plus = Moments { whole, fraction, squares: [0; 2] };
        if !negative {
            return plus;
        }
        let (fraction, carry) = (!fraction).overflowing_add(1);
        Moments { whole: (!whole).wrapping_add(i128::from(carry)), fraction, squares: [0; 2] }
    }
}

#[inline(always)]
fn add_wide(to: &mut [u128; 2], add: [u128; 2]) {
    let (low, carry) = to[0].overflowing_add(add[0]);
    *to = [low, to[1].wrapping_add(add[1]).wrapping_add(u128::from(carry))];
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigInt;

    fn exact(bits: u64) -> Option<BigInt> {
        // value * 2^64 as an integer, when it is one
        let x = f64::from_bits(bits);
        let exponent = (bits >> 52) as i32 & 0x7ff;
        let mantissa = if exponent == 0 { bits & MANTISSA } else { bits & MANTISSA | 1 << 52 };
        let shift = exponent.max(1) - 1075 + 64;
        let m: BigInt = BigInt::from(mantissa) * if x < 0.0 { -1 } else { 1 };
        if shift >= 0 {
            Some(m << shift as usize)
        } else {
            let s = (-shift) as usize;
            let cut: BigInt = m.clone() >> s;
            ((cut.clone() << s) == m).then_some(cut)
        }
    }

    #[test]
    fn lanes_hold_what_they_accept_exactly() {
        let samples =
            [0.0, -0.0, 1.0, -1.0, 0.01, -123.45, 1e9, 2.8e14, -2.8e14, 0.000244140625, 1.0 / 3.0, 2f64.powi(-64)];
        for x in samples {
            let Some(lane) = Lane::of(x.to_bits(), Scale::Binary) else { panic!("{x} has no lane") };
            assert_eq!(Some(BigInt::from(lane.value)), exact(x.to_bits()), "{x}");
            let mut m = Moments::default();
            m.add_lane(lane, true);
            let square = (BigInt::from(m.squares[1]) << 128usize) + BigInt::from(m.squares[0]);
            assert_eq!(square, BigInt::from(lane.value) * BigInt::from(lane.value), "{x}");
            m.sub_lane(lane, true);
            assert_eq!(m, Moments::default());
        }
        for outside in [2.9e14, 4.6e18, 1e300, 5e-5, 1e-300, 1e-10, f64::MIN_POSITIVE, -1e19] {
            assert!(Lane::of(outside.to_bits(), Scale::Binary).is_none(), "{outside}");
        }
    }

    #[test]
    fn many_of_the_largest_do_not_wrap() {
        let largest = f64::from_bits(((1u64 << 48) as f64).to_bits() - 1);
        let mut m = Moments::default();
        let mut sum = BigInt::ZERO;
        for x in std::iter::repeat_n(-largest, 5000).chain([0.1, largest]) {
            m.add_lane(Lane::of(x.to_bits(), Scale::Binary).unwrap(), true);
            sum += exact(x.to_bits()).unwrap();
        }
        assert_eq!((BigInt::from(m.whole) << 64usize) + BigInt::from(m.fraction), sum);
        let (negative, magnitude) = m.magnitude();
        assert!(negative);
        let same = Moments { squares: m.squares, ..Moments::of_magnitude(negative, magnitude) };
        assert_eq!(same, m);
    }

    #[test]
    fn integer_squares_reach_the_ends() {
        let mut m = Moments::default();
        for v in [i64::MIN, i64::MAX, i64::MIN] {
            m.add_lane(Lane::of(v as u64, Scale::Integer).unwrap(), true);
        }
        let min = BigInt::from(i64::MIN);
        let max = BigInt::from(i64::MAX);
        assert_eq!(BigInt::from(m.whole), &min + &min + &max);
        let square = (BigInt::from(m.squares[1]) << 128usize) + BigInt::from(m.squares[0]);
        assert_eq!(square, &min * &min * 2 + &max * &max);
    }
}
