//! The one rounding at the end: exact integers to the nearest double or float32, ties to even.

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

/// The float32 nearest to the little-endian integer `digits * 2^exponent`, a sum of float32.
pub(super) fn nearest_float32(digits: &[u32], exponent: i32) -> f32 {
    let Some((top, exponent)) = leading(digits, exponent) else { return 0.0 };
    // A double has more than twice the bits of a float32: where its last bit says whether more followed, rounding it is
    // rounding all that there was. Sums of float32 are no subnormal doubles.
    let followed = u128::from(top << 53 != 0);
    nearest(((top >> 75) | followed) << 75, exponent) as f32
}

/// The double nearest to the little-endian integer `digits * 2^exponent`, divided by `n`.
pub(super) fn nearest_quotient(digits: &[u32], exponent: i32, n: u64) -> f64 {
    // So many digits behind the point that the quotient of anything has 64 bits.
    const BEHIND: usize = 4;
    let n = u128::from(n.max(1));
    let mut quotient = vec![0u32; digits.len() + BEHIND];
    let mut rest = 0u128;
    for (i, to) in quotient.iter_mut().enumerate().rev() {
        let digit = i.checked_sub(BEHIND).map_or(0, |i| digits[i]);
        let part = rest << 32 | u128::from(digit);
        *to = (part / n) as u32;
        rest = part % n;
    }
    // A rest only says on which side of a tie the quotient lies.
    quotient[0] |= u32::from(rest != 0);
    nearest_digits(&quotient, exponent - 32 * BEHIND as i32)
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

/// The sum in units of 2^-64, where 128 bits hold it.
fn units(moments: &Moments) -> Option<i128> {
    let fits = moments.whole == i128::from(moments.whole as i64);
    fits.then_some(moments.whole << 64 | i128::from(moments.fraction))
}

/// The sum rounded once.
pub fn sum(moments: &Moments) -> f64 {
    if let Some(units) = units(moments) {
        // An i128 rounds once, and scaling by a power of two is exact: nothing here can be subnormal.
        return units as f64 * 2f64.powi(-64);
    }
    let (negative, digits) = moments.magnitude();
    let value = nearest_words(&digits, -64);
    if negative { -value } else { value }
}

/// The sum of float32 rounded once to a float32; infinite when it leaves them.
pub fn float32_sum(moments: &Moments) -> f32 {
    if let Some(units) = units(moments) {
        // As in `sum`.
        return units as f32 * 2f32.powi(-64);
    }
    let (negative, digits) = moments.magnitude();
    let value = nearest_float32(&in_halves(&digits), -64);
    if negative { -value } else { value }
}

/// The sum divided by `n`, rounded once.
pub fn mean(moments: &Moments, n: u64) -> f64 {
    let (negative, digits) = moments.magnitude();
    let value = match units(moments).map(i128::unsigned_abs) {
        Some(0) => 0.0,
        Some(units) => {
            // With its first bit in front the quotient has 64 bits at least; a rest says that more follow.
            let (lead, n) = (units.leading_zeros(), u128::from(n.max(1)));
            let dividend = units << lead;
            let quotient = (dividend / n) | u128::from(dividend % n != 0);
            let more = quotient.leading_zeros();
            nearest(quotient << more, -64 - (lead + more) as i32)
        }
        None => nearest_quotient(&in_halves(&digits), -64, n),
    };
    if negative { -value } else { value }
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

    #[test]
    fn a_float32_is_rounded_from_all_digits() {
        let tie = (1u64 << 24) + 1;
        assert_eq!(nearest_float32(&[tie as u32], 0), 16777216.0);
        assert_eq!(nearest_float32(&[1, 0, 0, tie as u32], -96), 16777218.0);
        assert_eq!(nearest_float32(&[u32::MAX; 5], 0), f32::INFINITY);
        assert_eq!(nearest_float32(&[3], -149), f32::from_bits(3));
        let moments = |whole, fraction| Moments { whole, fraction, squares: [0; 2] };
        assert_eq!(float32_sum(&moments(i128::from(tie), 1)), 16777218.0);
        assert_eq!(float32_sum(&moments(-i128::from(tie), 0)), -16777216.0);
        assert_eq!(float32_sum(&moments((1 << 100) + (1 << 76), 1)), 2f32.powi(100) + 2f32.powi(77));
    }

    #[test]
    fn both_ways_to_divide_round_alike() {
        let mut state = 9u64;
        for i in 0..2000u32 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let whole = i128::from(state as i64 >> (i % 60));
            let (moments, n) =
                (Moments { whole, fraction: state << 7, squares: [0; 2] }, (state >> 11 >> (i % 50)).max(1));
            let (negative, digits) = moments.magnitude();
            let slowly = nearest_quotient(&in_halves(&digits), -64, n) * if negative { -1.0 } else { 1.0 };
            assert_eq!(mean(&moments, n), slowly, "{moments:?} / {n}");
        }
        let third = mean(&Moments { whole: 1, ..Moments::default() }, 3);
        assert_eq!((third, mean(&Moments::default(), 3)), (1.0 / 3.0, 0.0));
    }
}
