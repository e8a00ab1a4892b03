//! The numerator of variances, as far beyond the doubles as squares of doubles go.
//!
//! Law: a deviation is a double wherever its values are, though their squares are not. So what is rounded to 53 bits keeps
//! an exponent of its own until the root is drawn.

/// `mantissa * 2^exponent`: the mantissa is nothing, or from 1 up to 4; not a number where what was kept contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    mantissa: f64,
    /// Even, so that its half is that of the root.
    exponent: i32,
}

impl Spread {
    pub const NONE: Spread = Spread { mantissa: 0.0, exponent: 0 };
    pub const DAMAGED: Spread = Spread { mantissa: f64::NAN, exponent: 0 };

    /// `mantissa * 2^exponent`, where `mantissa` is from 1 up to 2.
    pub fn new(mantissa: f64, exponent: i32) -> Spread {
        let odd = exponent.rem_euclid(2);
        Spread { mantissa: mantissa * f64::from(1 + odd), exponent: exponent - odd }
    }

    /// The variance, rounded; infinite beyond the doubles.
    pub fn variance(self, divisor: f64) -> f64 {
        scaled(self.mantissa / divisor, self.exponent)
    }

    /// The root of the variance, rounded.
    pub fn deviation(self, divisor: f64) -> f64 {
        scaled((self.mantissa / divisor).sqrt(), self.exponent / 2)
    }
}

/// Below this power of two times four nothing is left of a number.
const LEAST_EXPONENT: i32 = -1200;
/// A power of two that can be taken many times.
const STEP: i32 = 960;

/// `value * 2^exponent` for a value up to 4 that is no smaller than 2^-400, or nothing, rounded once.
fn scaled(mut value: f64, mut exponent: i32) -> f64 {
    if exponent < LEAST_EXPONENT {
        return value * 0.0;
    }
    if exponent < 0 {
        // The first half stays far above where doubles lose bits.
        let half = exponent / 2;
        return value * 2f64.powi(half) * 2f64.powi(exponent - half);
    }
    while exponent > 0 {
        let step = exponent.min(STEP);
        value *= 2f64.powi(step);
        exponent -= step;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_the_doubles_nothing_is_lost() {
        for number in [1.0f64, 3.0, 0.1, 20.0, 1e-300, 1e300] {
            let exponent = (number.to_bits() >> 52) as i32 - 1023;
            let spread = Spread::new(number / 2f64.powi(exponent), exponent);
            assert_eq!(spread.variance(12.0).to_bits(), (number / 12.0).to_bits(), "{number:e}");
            assert_eq!(spread.deviation(12.0).to_bits(), (number / 12.0).sqrt().to_bits(), "{number:e}");
        }
    }

    #[test]
    fn a_root_comes_back_into_the_doubles() {
        for exponent in [-2148, -2001, 1400, 2047] {
            let spread = Spread::new(1.0, exponent);
            assert_eq!(spread.variance(4.0), if exponent < 0 { 0.0 } else { f64::INFINITY });
            let root = 2f64.powi(exponent.div_euclid(2)) * if exponent % 2 == 0 { 0.5 } else { 0.5f64.sqrt() };
            assert_eq!(Spread::new(1.0, exponent).deviation(4.0), root, "{exponent}");
        }
        assert_eq!(Spread::NONE.deviation(4.0), 0.0);
        assert!(Spread::DAMAGED.deviation(4.0).is_nan() && Spread::DAMAGED.variance(4.0).is_nan());
    }
}
