//! The newest row's value, null included: what features of attribute views are.

use super::*;

#[derive(Clone, Copy)]
pub struct Latest;

impl AggregateFunction for Latest {
    const NAME: &'static str = "latest";
    const IS_WRITTEN: bool = false;
    const TAKES: Input = Input::Any;
    const GIVES: Output = Output::Same;
    const PAGE: Page = Page {
        title: "`attributes` of a view",
        value: "the column in the newest row",
        nulls: "count: null where the newest row has null",
        ..Page::EXACT
    };

    fn read(_: &mut Written<'_>) -> Option<Latest> {
        Some(Latest)
    }

    fn samples() -> Vec<Latest> {
        vec![Latest]
    }

    fn keeps(self) -> Keeps {
        Keeps::Summary(SummaryKind::Latest)
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        kept.chosen()
    }

    fn naive(self, plain: &Plain) -> Outcome {
        Ok(plain.events.last().map_or(Value::Null, |event| event.value.clone()))
    }
}
