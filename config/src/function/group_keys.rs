//! The categories seen, ascending: what the key lists of views with a secondary key are.

use super::*;

#[derive(Clone, Copy)]
pub struct GroupKeys;

impl AggregateFunction for GroupKeys {
    const NAME: &'static str = "group_keys";
    const IS_WRITTEN: bool = false;
    const TAKES: Input = Input::Keys;
    const GIVES: Output = Output::List;
    const PAGE: Page = Page {
        title: "`{column}_keys` of a `secondary_key`",
        value: "the values seen, ascending",
        nulls: "do not count: such an event is in no category",
        exactness: "exact; more than 1000: null, `ERROR`",
        ..Page::EXACT
    };

    fn read(_: &mut Written<'_>) -> Option<GroupKeys> {
        Some(GroupKeys)
    }

    fn samples() -> Vec<GroupKeys> {
        vec![GroupKeys]
    }

    fn keeps(self) -> Keeps {
        Keeps::Nothing
    }

    /// Read from the keys of a row, which no column has.
    fn value(self, _: &impl Kept) -> Outcome {
        Err(Refusal::NotKept)
    }

    fn naive(self, _: &Plain) -> Outcome {
        Err(Refusal::NotKept)
    }
}
