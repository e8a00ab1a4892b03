//! Exponentially decayed sums whose terms depend on the event alone, so that they add exactly and can be taken back.
//!
//! Law: time is cut into blocks of [`BLOCK`] half-lives, counted from 1970. An event's term is `v * 2^((t - middle of its
//! block) / half-life)`, one double (of the next block where that is infinite). Terms of a block are summed exactly; at instant T the sum, rounded once, is scaled by
//! `2^-((T - middle) / half-life)`, and blocks are added up oldest first.
//!
//! Error: powers are split into an exact power of two and `2^x` with x in (-1, 1), good to 1 ulp. So a term is off by less
//! than 4 ulp, a block's contribution by less than 8, and the value by at most `2^-49 * sum of |v| 2^-age` (and half an
//! ulp per block of the window).

use freshet_config::time::Span;

use crate::exact::{self, Lane, Moments, Scale, Wide};

/// Half-lives per block: small enough that terms of everyday values stay within the lanes.
const BLOCK: i128 = 16;

/// `quotient` whole half-lives and a `rest` in [0, 1) of one.
fn split(micros: i128, half_life: Span) -> (i128, f64) {
    let length = i128::from(half_life.micros().max(1));
    (micros.div_euclid(length), micros.rem_euclid(length) as f64 / length as f64)
}

fn middle(block: i64, half_life: Span) -> i128 {
    (i128::from(block) * BLOCK + BLOCK / 2) * i128::from(half_life.micros().max(1))
}

/// The block of an instant, and the term of value `v` there.
pub(crate) fn term(half_life: Span, time: i64, v: f64) -> (i64, f64) {
    let length = i128::from(half_life.micros().max(1)) * BLOCK;
    // A quotient of two 64-bit numbers fits.
    let block = i128::from(time).div_euclid(length) as i64;
    let (whole, rest) = split(i128::from(time) - middle(block, half_life), half_life);
    let term = v * libm::exp2(rest) * 2f64.powi(whole as i32);
    if term.is_finite() {
        return (block, term);
    }
    // Beyond the doubles as seen from this block, not from the next.
    (block + 1, v * 0.5 * libm::exp2(rest) * 2f64.powi(whole as i32 + 1 - BLOCK as i32))
}

/// `sum` of a block, as much as is left of it at instant `end`.
pub(crate) fn decayed(half_life: Span, block: i64, sum: f64, end: i64) -> f64 {
    let (whole, rest) = split(i128::from(end) - middle(block, half_life), half_life);
    let mut left = -whole.clamp(-4096, 4096) as i32;
    let mut value = sum * libm::exp2(-rest);
    // In steps, because the power itself may leave the doubles where the product does not.
    while left != 0 {
        let step = left.clamp(-960, 960);
        value *= 2f64.powi(step);
        left -= step;
    }
    value
}

/// The exact sum of the terms of one block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub index: i64,
    /// Terms in the lanes, and outside.
    pub inside: u64,
    pub outside: u64,
    pub moments: Moments,
    pub wide: Option<Box<Wide>>,
}

impl Block {
    pub fn new(index: i64) -> Block {
        Block { index, inside: 0, outside: 0, moments: Moments::default(), wide: None }
    }

    pub fn add(&mut self, bits: u64) {
        match Lane::of(bits, Scale::Binary) {
            Some(lane) => {
                self.inside = self.inside.wrapping_add(1);
                self.moments.add_lane(lane, false);
            }
            None => {
                self.outside = self.outside.wrapping_add(1);
                self.wide.get_or_insert_default().add(bits);
            }
        }
    }

    /// Takes back a term that was added.
    pub fn sub(&mut self, bits: u64) {
        match Lane::of(bits, Scale::Binary) {
            Some(lane) => {
                self.inside -= 1;
                self.moments.sub_lane(lane, false);
            }
            None => {
                self.outside -= 1;
                if self.outside == 0 {
                    self.wide = None;
                } else if let Some(wide) = &mut self.wide {
                    wide.sub(bits);
                }
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.inside == 0 && self.outside == 0
    }

    /// Rounded once.
    pub fn sum(&self) -> f64 {
        match &self.wide {
            None => exact::sum(&self.moments),
            Some(wide) => {
                let mut all = wide.as_ref().clone();
                all.add_moments(&self.moments);
                all.sum()
            }
        }
    }

    pub fn bytes(&self) -> usize {
        size_of::<Block>() + self.wide.as_ref().map_or(0, |wide| wide.bytes())
    }
}

/// The block of this index among blocks that ascend, made when it is not there.
pub(crate) fn block_mut(blocks: &mut Vec<Block>, index: i64) -> &mut Block {
    let at = match blocks.last() {
        Some(last) if last.index == index => blocks.len() - 1,
        _ => match blocks.binary_search_by_key(&index, |block| block.index) {
            Ok(at) => at,
            Err(at) => {
                blocks.insert(at, Block::new(index));
                at
            }
        },
    };
    &mut blocks[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_halve_per_half_life_across_blocks() {
        let half_life = Span::from_secs(60);
        for t in [0, 1, -1, 959_999_999, 960_000_000, -7_777_777_777, 1_704_067_200_000_000] {
            let (block, term) = term(half_life, t, 5.0);
            for (age, want) in [(0, 5.0), (60_000_000, 2.5), (600_000_000, 5.0 / 1024.0)] {
                let got = decayed(half_life, block, term, t + age);
                assert!((got - want).abs() <= want * 2f64.powi(-50), "{t} {age}: {got}");
            }
        }
        assert_eq!(decayed(half_life, i64::MIN, 1e300, i64::MAX), 0.0);
        assert_eq!(decayed(half_life, i64::MAX, 1.0, i64::MIN), f64::INFINITY);
    }
}
