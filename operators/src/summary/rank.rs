//! Percentiles as order statistics: `sorted[floor(q * n)]`, exact, and what of a core a reader needs for it.
//!
//! Law: a window at some instant is its core, of `n` values, and `m` of at most `most` values that are in the row one by
//! one. The wanted value has rank `floor(q * (n + m))` among all; at most `m` of those before it are not in the core, so
//! if it is of the core, its rank there lies between `floor(q * (n + m)) - m` and `floor(q * (n + m))`. For all `m` up
//! to `most` that is a band of little more than `most` ranks: with it the answer is exact.

use std::ops::Range;

/// The rank of the wanted value among `n > 0`.
pub(crate) fn rank(q: f64, n: u64) -> u64 {
    ((q * n as f64).floor() as u64).min(n.saturating_sub(1))
}

/// Ranks of a core of `n` values that a reader may need when at most `most` others count too.
///
/// One rank more than needed at both ends, for the rounding of the products.
pub(crate) fn band(q: f64, n: u64, most: u64) -> Range<u64> {
    if n == 0 {
        return 0..0;
    }
    let top = rank(q, n.saturating_add(most));
    let from = top.saturating_sub(most).saturating_sub(1).min(n - 1);
    from..top.saturating_add(2).min(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_holds_every_rank_that_may_be_asked_for() {
        for q in [1e-9, 0.01, 0.25, 0.5, 1.0 / 3.0, 0.95, 0.99, 1.0 - 1e-9] {
            for n in 1..60u64 {
                for most in 0..20u64 {
                    let band = band(q, n, most);
                    for m in 0..=most {
                        // `before` of the others come before the wanted value.
                        let wanted = rank(q, n + m);
                        for before in 0..=m.min(wanted) {
                            let of_core = wanted - before;
                            assert!(of_core >= n || band.contains(&of_core), "{q} {n} {most} {m} {before}");
                        }
                    }
                }
            }
        }
    }
}
