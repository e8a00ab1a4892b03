//! `mean`: the sum, rounded once, divided by the number of values.

use super::*;

#[derive(Clone, Copy)]
pub struct Mean;

impl AggregateFunction for Mean {
    const NAME: &'static str = "mean";
    const OTHER_WORDS: &'static [(&'static str, &'static str)] =
        &[("avg", "write `mean`"), ("average", "write `mean`")];
    const TAKES: Input = Input::Numbers;
    const GIVES: Output = Output::Float64;
    const PAGE: Page = Page {
        value: "`S` rounded, divided by `n`",
        exactness: "two roundings; an error where `S` is beyond a double",
        ..Page::EXACT
    };

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
        kept::finite(kept.sum()? / kept.count()? as f64)
    }

    fn naive(self, plain: &Plain) -> Outcome {
        match plain.values().len() {
            0 => Ok(Value::Null),
            n => plain::double(plain.sums()?.sum_rounded() / n as f64),
        }
    }
}
