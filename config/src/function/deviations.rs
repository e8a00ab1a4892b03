//! `var_pop`, `var_samp` and their square roots: from `N = n * Q - S * S`, exact and rounded once, of `n` values with the
//! sum `S` and the sum of squares `Q`. Nothing cancels, and what is rounded has 53 bits however large or small it is: of
//! values beyond 1e154 the variance is no double any more, and the deviation is.

use super::*;

#[derive(Clone, Copy)]
pub struct VarPop;

#[derive(Clone, Copy)]
pub struct VarSamp;

#[derive(Clone, Copy)]
pub struct StddevPop;

#[derive(Clone, Copy)]
pub struct StddevSamp;

/// What all four have in common.
macro_rules! deviation {
    ($name:ident, sample: $sample:literal, root: $root:literal, $($constant:tt)*) => {
        impl AggregateFunction for $name {
            $($constant)*
            const TAKES: Input = Input::Numbers;
            const GIVES: Output = Output::Float64;

            fn read(_: &mut Written<'_>) -> Option<$name> {
                Some($name)
            }

            fn samples() -> Vec<$name> {
                vec![$name]
            }

            fn keeps(self) -> Keeps {
                Keeps::Column(Parts::SQUARES)
            }

            fn value(self, kept: &impl Kept) -> Outcome {
                let n = kept.count()?;
                let divisor = match $sample {
                    true if n == 1 => return Ok(Value::Null),
                    true => n as f64 * (n - 1) as f64,
                    false => n as f64 * n as f64,
                };
                let spread = kept.spread()?;
                kept::finite(if $root { spread.deviation(divisor) } else { spread.variance(divisor) })
            }

            fn naive(self, plain: &Plain) -> Outcome {
                let n = plain.values().len();
                if n == 0 || $sample && n == 1 {
                    return Ok(Value::Null);
                }
                let others = if $sample { n - 1 } else { n };
                let (spread, fours) = plain.sums()?.spread_rounded();
                let variance = spread / (n as f64 * others as f64);
                plain::double(match $root {
                    true => plain::times_power_of_two(variance.sqrt(), fours),
                    false => plain::times_power_of_two(variance, 2 * fours),
                })
            }
        }
    };
}

deviation! { VarPop, sample: false, root: false,
    const NAME: &'static str = "var_pop";
    const PAGE: Page = Page {
        unit: "its square",
        value: "`N` rounded, divided by `n * n`",
        exactness: "three roundings, no cancellation",
        source: "definition, Σ(x - mean)² / n",
        ..Page::EXACT
    };
}

deviation! { VarSamp, sample: true, root: false,
    const NAME: &'static str = "var_samp";
    const ALIASES: &'static [&'static str] = &["variance"];
    const PAGE: Page = Page {
        unit: "its square",
        value: "`N` rounded, divided by `n * (n - 1)`",
        empty: ", also for n = 1",
        exactness: "three roundings, no cancellation",
        source: "Bessel's correction, Σ(x - mean)² / (n - 1)",
        ..Page::EXACT
    };
}

deviation! { StddevPop, sample: false, root: true,
    const NAME: &'static str = "stddev_pop";
    const PAGE: Page =
        Page { value: "square root of `var_pop`, also where that is no double", exactness: "as `var_pop`, and one rounding", ..Page::EXACT };
}

deviation! { StddevSamp, sample: true, root: true,
    const NAME: &'static str = "stddev_samp";
    const ALIASES: &'static [&'static str] = &["stddev"];
    const OTHER_WORDS: &'static [(&'static str, &'static str)] = &[("std", "write `stddev`")];
    const PAGE: Page = Page {
        value: "square root of `var_samp`, also where that is no double",
        empty: ", also for n = 1",
        exactness: "as `var_samp`, and one rounding",
        ..Page::EXACT
    };
}
