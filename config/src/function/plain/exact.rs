//! Exact sums: every value is an integer multiple of the smallest double, so sums are integers of any size.

use std::cmp::Ordering;

use crate::value::Value;
use num_bigint::{BigInt, BigUint, Sign};

/// The smallest positive double is 2^-1074; all doubles are multiples of it.
const UNIT_EXPONENT: i64 = -1074;
/// All float32 are multiples of 2^-149.
const FLOAT32_UNIT_EXPONENT: i64 = -149;

/// Sums of numbers, in units of 2^-1074, and of their squares, in units of 2^-2148.
pub(in super::super) struct Sums {
    n: usize,
    sum: BigInt,
    squares: BigInt,
}

impl Sums {
    /// `None` when a value is no finite number.
    pub(in super::super) fn of(values: &[Value]) -> Option<Sums> {
        let mut sums = Sums { n: values.len(), sum: BigInt::ZERO, squares: BigInt::ZERO };
        for value in values {
            let units = in_units(value)?;
            sums.squares += &units * &units;
            sums.sum += units;
        }
        Some(sums)
    }

    /// The sum, rounded once to the nearest double, ties to even; infinite beyond the largest.
    pub(in super::super) fn sum_rounded(&self) -> f64 {
        round(&self.sum, UNIT_EXPONENT)
    }

    /// The sum, rounded once to the nearest float32, ties to even; infinite beyond the largest.
    pub(in super::super) fn sum_as_float32(&self) -> f32 {
        // What is left of 24 bits is a float32, or beyond them.
        round_to(&self.sum, UNIT_EXPONENT, 24, FLOAT32_UNIT_EXPONENT) as f32
    }

    /// The sum divided by the number of values, rounded once to the nearest double, ties to even.
    pub(in super::super) fn mean_rounded(&self) -> f64 {
        // Beyond this many places behind the point a rest matters only as one that is there.
        const PLACES: i64 = 200;
        let (dividend, n) = (self.sum.magnitude() << PLACES.unsigned_abs(), BigUint::from(self.n));
        let halves = &dividend / &n * 2u8 + u8::from(&dividend % &n != BigUint::ZERO);
        let mean = round(&halves.into(), UNIT_EXPONENT - PLACES - 1);
        if self.sum.sign() == Sign::Minus { -mean } else { mean }
    }

    /// The sum of integers; `None` when a fraction remains.
    pub(in super::super) fn integer_sum(&self) -> Option<BigInt> {
        let shift = UNIT_EXPONENT.unsigned_abs();
        let whole: BigInt = &self.sum >> shift;
        (&whole << shift == self.sum).then_some(whole)
    }

    /// `n * Q - S^2`, rounded once to 53 bits, ties to even: a double about 1, and the power of four it is to be taken times.
    pub(in super::super) fn spread_rounded(&self) -> (f64, i64) {
        let spread = BigInt::from(self.n) * &self.squares - &self.sum * &self.sum;
        let fours = (spread.bits() as i64 + 2 * UNIT_EXPONENT).div_euclid(2);
        (round(&spread, 2 * UNIT_EXPONENT - 2 * fours), fours)
    }
}

/// `value * 2^exponent`, rounded once to the nearest double, ties to even.
pub(in super::super) fn times_power_of_two(value: f64, exponent: i64) -> f64 {
    double_in_units(value).map_or(value, |units| round(&units, UNIT_EXPONENT + exponent))
}

fn in_units(value: &Value) -> Option<BigInt> {
    let shift = UNIT_EXPONENT.unsigned_abs();
    match value {
        Value::Int32(value) => Some(BigInt::from(*value) << shift),
        Value::Int64(value) => Some(BigInt::from(*value) << shift),
        Value::Float32(value) => double_in_units(f64::from(*value)),
        Value::Float64(value) => double_in_units(*value),
        _ => None,
    }
}

/// Takes a double apart: fraction * 2^(max(exponent, 1) - 1) units, with the hidden bit where exponent > 0.
fn double_in_units(value: f64) -> Option<BigInt> {
    if !value.is_finite() {
        return None;
    }
    let bits = value.to_bits();
    let exponent = (bits >> 52) & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    let magnitude = if exponent == 0 { fraction } else { fraction | 1 << 52 };
    let units = BigInt::from(magnitude) << (exponent.max(1) - 1);
    Some(if value.is_sign_negative() { -units } else { units })
}

/// The double nearest to `number * 2^exponent`, ties to the even one.
fn round(number: &BigInt, exponent: i64) -> f64 {
    // A double keeps 53 bits, and none below 2^-1074.
    round_to(number, exponent, 53, UNIT_EXPONENT)
}

/// `number * 2^exponent` to the nearest number of so many bits, none of them below `2^unit`, ties to the even one.
fn round_to(number: &BigInt, exponent: i64, bits: i64, unit: i64) -> f64 {
    let magnitude = number.magnitude();
    if magnitude.bits() == 0 {
        return 0.0;
    }
    let lowest = (exponent + magnitude.bits() as i64 - bits).max(unit);
    let kept = round_shift(magnitude, lowest - exponent);
    // Rounding up may have carried to one bit more, of which only the first is set.
    let value = scale(u64::try_from(&kept).unwrap_or(u64::MAX), lowest);
    if number.sign() == Sign::Minus { -value } else { value }
}

/// `magnitude / 2^shift` to the nearest integer, ties to even; exact for a negative `shift`.
fn round_shift(magnitude: &BigUint, shift: i64) -> BigUint {
    if shift <= 0 {
        return magnitude << shift.unsigned_abs();
    }
    let shift = shift.unsigned_abs();
    let whole = magnitude >> shift;
    let rest = magnitude - (&whole << shift);
    let half = BigUint::from(1u8) << (shift - 1);
    match rest.cmp(&half) {
        Ordering::Less => whole,
        Ordering::Equal if !whole.bit(0) => whole,
        Ordering::Equal | Ordering::Greater => whole + 1u8,
    }
}

/// `kept * 2^exponent` for at most 53 bits and an exponent of at least -1074: representable or infinite, so exact.
fn scale(kept: u64, exponent: i64) -> f64 {
    let mut value = kept as f64;
    let mut left = exponent;
    // `powi` of an exponent beyond a double's range would lose bits on the way; steps of 2^512 do not.
    while left > 512 {
        value *= 2f64.powi(512);
        left -= 512;
        if value.is_infinite() {
            return value;
        }
    }
    if left >= -1022 {
        return value * power_of_two(left);
    }
    // `kept` is an integer, so one exact step into the normal range leaves a product that is representable.
    value * power_of_two(-1022) * power_of_two(left + 1022)
}

/// 2^exponent for -1022 <= exponent <= 1023, from its bits.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(bits: u64) -> f64 {
        f64::from_bits(bits)
    }

    #[test]
    fn every_double_survives_exactly() {
        let smallest = double(1);
        for value in [
            0.0,
            1.0,
            -1.5,
            0.1,
            1e300,
            -1e-300,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            smallest,
            -smallest,
            double((1 << 52) - 1),
            double((1 << 52) + 1),
            9007199254740993.0,
        ] {
            let units = double_in_units(value).unwrap();
            assert_eq!(round(&units, UNIT_EXPONENT).to_bits(), value.to_bits(), "{value:e}");
        }
        assert_eq!(double_in_units(f64::NAN), None);
        assert_eq!(double_in_units(f64::INFINITY), None);
    }

    #[test]
    fn ties_go_to_the_even_neighbour() {
        let whole = |text: &str| round(&text.parse().unwrap(), 0);
        assert_eq!(whole("9007199254740993"), 9007199254740992.0);
        assert_eq!(whole("9007199254740995"), 9007199254740996.0);
        assert_eq!(whole("-9007199254740993"), -9007199254740992.0);
        assert_eq!(whole("18014398509481986"), 18014398509481984.0);
        assert_eq!(whole("18014398509481987"), 18014398509481988.0);
        assert_eq!(whole("18446744073709551615"), 18446744073709551616.0);
        // Half of the smallest double is a tie with zero; anything above it is not.
        assert_eq!(round(&BigInt::from(1), -1075), 0.0);
        assert_eq!(round(&BigInt::from(3), -1076), double(1));
        assert_eq!(round(&BigInt::from(3), -1075), double(2));
    }

    #[test]
    fn the_largest_double_is_left_only_past_its_half_step() {
        let largest = double_in_units(f64::MAX).unwrap();
        let half_step = BigInt::from(1) << (970 + 1074);
        let below: BigInt = &largest + &half_step - 1;
        assert_eq!(round(&below, UNIT_EXPONENT), f64::MAX);
        let beyond: BigInt = largest + half_step;
        assert_eq!(round(&beyond, UNIT_EXPONENT), f64::INFINITY);
        assert_eq!(round(&-beyond, UNIT_EXPONENT), f64::NEG_INFINITY);
    }
}
