//! `mean`: the exact sum divided by the number of values, rounded once. Never beyond the values, hence always finite.

use super::*;

#[derive(Clone, Copy)]
pub struct Mean;

impl AggregateFunction for Mean {
    const NAME: &'static str = "mean";
    const OTHER_WORDS: &'static [(&'static str, &'static str)] =
        &[("avg", "write `mean`"), ("average", "write `mean`")];
    const TAKES: Input = Input::Numbers;
    const GIVES: Output = Output::Float64;
    const PAGE: Page =
        Page { value: "`S / n`", exactness: "rounded once, also where `S` is beyond a double", ..Page::EXACT };

    fn read(_: &mut Written<'_>) -> Option<Mean> {
        Some(Mean)
    }

    fn samples() -> Vec<Mean> {
        vec![Mean]
    }

    fn keeps(self) -> Keeps {
        Keeps::Column(Parts::SUM)
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        kept::finite(kept.mean()?)
    }

    fn naive(self, plain: &Plain) -> Outcome {
        match plain.values().len() {
            0 => Ok(Value::Null),
            _ => plain::double(plain.sums()?.mean_rounded()),
        }
    }
}
