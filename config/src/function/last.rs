//! `last` without `n`: the newest value.

use super::*;

#[derive(Clone, Copy)]
pub struct Last;

impl AggregateFunction for Last {
    const NAME: &'static str = "last";
    const TAKES: Input = Input::Any;
    const GIVES: Output = Output::Same;
    const PAGE: Page = Page {
        title: "`last` without `n`",
        value: "the latest value",
        nulls: "do not count: the latest that is none",
        ..Page::EXACT
    };

    fn is_meant(raw: &RawAggregate) -> bool {
        raw.n.is_none()
    }

    fn read(_: &mut Written<'_>) -> Option<Last> {
        Some(Last)
    }

    fn samples() -> Vec<Last> {
        vec![Last]
    }

    fn keeps(self) -> Keeps {
        Keeps::Column(Parts::LAST)
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        kept.last()
    }

    fn naive(self, plain: &Plain) -> Outcome {
        Ok(plain.values().pop().unwrap_or_default())
    }
}
