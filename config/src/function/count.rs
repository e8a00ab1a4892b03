//! `count`: how many values, or how many events.

use super::*;

#[derive(Clone, Copy)]
pub struct Count;

impl AggregateFunction for Count {
    const NAME: &'static str = "count";
    const TAKES: Input = Input::Any;
    const GIVES: Output = Output::Int64;
    const NEEDS_COLUMN: bool = false;
    const PAGE: Page = Page {
        unit: "values, or events",
        value: "`n`; without `of` events, those of `where` if there is one",
        source: "definition",
        ..Page::EXACT
    };

    fn read(_: &mut Written<'_>) -> Option<Count> {
        Some(Count)
    }

    fn samples() -> Vec<Count> {
        vec![Count]
    }

    fn keeps(self) -> Keeps {
        Keeps::Column(Parts::COUNT)
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        Ok(Value::Int64(kept.count()? as i64))
    }

    fn naive(self, plain: &Plain) -> Outcome {
        Ok(Value::Int64(plain.values().len() as i64))
    }
}
