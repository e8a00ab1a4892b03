//! `min` and `max`: the least and the greatest value.

use super::*;

#[derive(Clone, Copy)]
pub struct Min;

#[derive(Clone, Copy)]
pub struct Max;

impl AggregateFunction for Min {
    const NAME: &'static str = "min";
    const TAKES: Input = Input::Any;
    const GIVES: Output = Output::Same;
    const PAGE: Page = Page { value: "the least value; strings by bytes, `false` before `true`", ..Page::EXACT };

    fn read(_: &mut Written<'_>) -> Option<Min> {
        Some(Min)
    }

    fn samples() -> Vec<Min> {
        vec![Min]
    }

    fn keeps(self) -> Keeps {
        Keeps::Column(Parts::MIN)
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        kept.min()
    }

    fn naive(self, plain: &Plain) -> Outcome {
        Ok(plain.values().into_iter().min_by(plain::compare).unwrap_or_default())
    }
}

impl AggregateFunction for Max {
    const NAME: &'static str = "max";
    const TAKES: Input = Input::Any;
    const GIVES: Output = Output::Same;
    const PAGE: Page = Page { value: "the greatest value; strings by bytes, `false` before `true`", ..Page::EXACT };

    fn read(_: &mut Written<'_>) -> Option<Max> {
        Some(Max)
    }

    fn samples() -> Vec<Max> {
        vec![Max]
    }

    fn keeps(self) -> Keeps {
        Keeps::Column(Parts::MAX)
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        kept.max()
    }

    fn naive(self, plain: &Plain) -> Outcome {
        Ok(plain.values().into_iter().max_by(plain::compare).unwrap_or_default())
    }
}
