//! The one rounding at the end: exact integers to the nearest double, ties to even.

use freshet_config::function::Spread;

use super::{Moments, Scale};

/// The double nearest to `top * 2^exponent`, where bit 127 of `top` is set and its lowest bit is sticky.
pub(super) fn nearest(top: u128, exponent: i32) -> f64 {
    debug_assert!(top >> 127 == 1);
    if exponent + 127 < -1022 {
        // Subnormal: round at the unit 2^-1074 instead of at 53 bits.
        let drop = -1074 - exponent;
        if drop > 128 {
            return 0.0;
        }
        let (kept, rest, half) =
            if drop == 128 { (0, top, 1 << 127) } else { (top >> drop, top & ((1 << drop) - 1), 1u128 << (drop - 1)) };
        let up = rest > half || (rest == half && kept & 1 == 1);
        return f64::from_bits(kept as u64 + u64::from(up));
    }
    // `top as f64` rounds once; scaling by powers of two is exact or overflows to infinity.
    let mut value = top as f64;
    let mut left = exponent;
    while left != 0 {
        let step = left.clamp(-960, 960);
        value *= 2f64.powi(step);
        left -= step;
    }
    value
}

/// The double nearest to the little-endian integer `digits * 2^exponent`.
pub(super) fn nearest_digits(digits: &[u32], exponent: i32) -> f64 {
    leading(digits, exponent).map_or(0.0, |(top, exponent)| nearest(top, exponent))
}

/// The little-endian integer `digits * 2^exponent`, rounded to 53 bits however far it is from the doubles.
pub(super) fn nearest_spread(digits: &[u32], exponent: i32) -> Spread {
    let Some((top, exponent)) = leading(digits, exponent) else { return Spread::NONE };
    let value = top as f64 * 2f64.powi(-127);
    // Rounding may have carried into the next power of two.
    let carried = i32::from(value >= 2.0);
    Spread::new(value / f64::from(1 + carried), exponent + 127 + carried)
}

/// The first 128 bits of an integer, the last of them sticky, and their exponent; `None` of nothing.
fn leading(digits: &[u32], exponent: i32) -> Option<(u128, i32)> {
    let last = digits.iter().rposition(|d| *d != 0)?;
    let at = |i: usize| -> u128 { if i <= last { u128::from(digits[last - i]) } else { 0 } };
    let lead = digits[last].leading_zeros();
    let mut top = at(0) << 96 | at(1) << 64 | at(2) << 32 | at(3);
    top = top << lead | (at(4) << lead) >> 32;
    let rest = (at(4) << lead) as u32 != 0 || (5..=last).any(|i| at(i) != 0);
    Some((top | u128::from(rest), exponent + 32 * (last as i32 - 3) - lead as i32))
}

/// The sum rounded once.
pub fn sum(moments: &Moments) -> f64 {
    if moments.whole == i128::from(moments.whole as i64) {
        // An i128 rounds once, and scaling by a power of two is exact: nothing here can be subnormal.
        let units = moments.whole << 64 | i128::from(moments.fraction);
        return units as f64 * 2f64.powi(-64);
    }
    let (negative, digits) = moments.magnitude();
    let value = nearest_words(&digits, -64);
    if negative { -value } else { value }
}

/// `mean = rounded sum / n`.
pub fn mean(sum: f64, n: u64) -> f64 {
    sum / n as f64
}

/// `n * Q - S^2`, exact, rounded once: the numerator of every variance. Never negative; damaged when `moments` are not
/// those of `n` values.
///
/// Formula: var_pop = (n Q - S^2) / n^2, var_samp = (n Q - S^2) / (n (n - 1)), with S and Q the sums of values and squares.
pub fn variance_numerator(moments: &Moments, n: u64, scale: Scale) -> Spread {
    let [low, high] = moments.squares;
    let squares = [low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64];
    let mut digits = [0u64; 6];
    let mut carry = 0u128;
    for (digit, square) in digits.iter_mut().zip(squares) {
        let t = u128::from(square) * u128::from(n) + carry;
        *digit = t as u64;
        carry = t >> 64;
    }
    digits[4] = carry as u64;
    let (_, [fraction, low, high]) = moments.magnitude();
    let (sum, unit) = match scale {
        Scale::Integer => ([low, high, 0], 0),
        Scale::Binary => ([fraction, low, high], -128),
    };
    let mut borrow = false;
    for (digit, sub) in digits.iter_mut().zip(square_of(sum)) {
        let (t, first) = digit.overflowing_sub(sub);
        let (t, second) = t.overflowing_sub(u64::from(borrow));
        *digit = t;
        borrow = first | second;
    }
    // By Cauchy-Schwarz the difference is never negative for sums of values; for the sums of a damaged row it may be.
    if borrow {
        return Spread::DAMAGED;
    }
    nearest_spread(&in_halves(&digits), unit)
}

fn nearest_words(words: &[u64], exponent: i32) -> f64 {
    nearest_digits(&in_halves(words), exponent)
}

fn in_halves(words: &[u64]) -> Vec<u32> {
    words.iter().flat_map(|d| [*d as u32, (*d >> 32) as u32]).collect()
}

/// A 192-bit square as six little-endian digits.
fn square_of(x: [u64; 3]) -> [u64; 6] {
    let mut square = [0u64; 6];
    for (i, a) in x.iter().enumerate() {
        let mut carry = 0u128;
        for (j, b) in x.iter().enumerate() {
            let t = u128::from(*a) * u128::from(*b) + u128::from(square[i + j]) + carry;
            square[i + j] = t as u64;
            carry = t >> 64;
        }
        square[i + 3] = carry as u64;
    }
    square
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_even_down_to_subnormals() {
        for x in [1.0, 0.1, 1e300, 5e-324, 2.5e-310, f64::MAX, f64::MIN_POSITIVE, 123456.789] {
            let bits = x.to_bits();
            let exponent = ((bits >> 52) as i32).max(1) - 1075;
            let mantissa = if bits >> 52 == 0 { bits } else { bits & ((1 << 52) - 1) | 1 << 52 };
            let lead = u128::from(mantissa).leading_zeros();
            assert_eq!(nearest(u128::from(mantissa) << lead, exponent - lead as i32), x);
        }
        // 2^53 + 1 is a tie and goes to even; a sticky bit below breaks it upwards.
        let tie = ((1u128 << 53) + 1) << 74;
        assert_eq!(nearest(tie, -74), 9007199254740992.0);
        assert_eq!(nearest(tie | 1, -74), 9007199254740994.0);
        // Half of the smallest subnormal is a tie to zero; anything more rounds up.
        assert_eq!(nearest(1 << 127, -1075 - 127), 0.0);
        assert_eq!(nearest(1 << 127 | 1, -1075 - 127), 5e-324);
        assert_eq!(nearest_digits(&[0, 0, 1], -64), 1.0);
        assert_eq!(nearest_digits(&[1, 0, 0, 0, 0, 1], -160), 1.0);
    }
}
