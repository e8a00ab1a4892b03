//! `count_distinct`: how many distinct values, exactly, unless they are too many.

use super::parameters::{LIMIT, LIMITS_DRAWN};
use super::*;

#[derive(Clone, Copy)]
pub struct CountDistinct {
    /// More distinct values are an error.
    pub limit: u32,
}

impl AggregateFunction for CountDistinct {
    const NAME: &'static str = "count_distinct";
    const OTHER_WORDS: &'static [(&'static str, &'static str)] =
        &[("distinct_count", "write `count_distinct`, or `approx_count_distinct`")];
    const PARAMETERS: &'static [Parameter] = &[LIMIT];
    const TAKES: Input = Input::Any;
    const GIVES: Output = Output::Int64;
    const PAGE: Page = Page {
        unit: "distinct values",
        value: "how many distinct values",
        exactness: "exact; more than `limit`: null, `ERROR`",
        ..Page::EXACT
    };

    fn read(written: &mut Written<'_>) -> Option<CountDistinct> {
        // The bounds fit the type.
        written.whole(&LIMIT).map(|limit| CountDistinct { limit: limit as u32 })
    }

    fn samples() -> Vec<CountDistinct> {
        LIMITS_DRAWN.map(|limit| CountDistinct { limit }).to_vec()
    }

    fn keeps(self) -> Keeps {
        Keeps::Summary(SummaryKind::Tally { limit: self.limit as usize, listed: Listed::Number })
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        Ok(Value::Int64(kept.distinct(self.limit)? as i64))
    }

    fn naive(self, plain: &Plain) -> Outcome {
        Ok(Value::Int64(plain.counts(self.limit)?.len() as i64))
    }
}
