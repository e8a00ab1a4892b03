//! `histogram`: how often each value occurs.

use super::parameters::{LIMIT, LIMITS_DRAWN};
use super::*;

#[derive(Clone, Copy)]
pub struct Histogram {
    /// More distinct values are an error.
    pub limit: u32,
}

impl AggregateFunction for Histogram {
    const NAME: &'static str = "histogram";
    const PARAMETERS: &'static [Parameter] = &[LIMIT];
    const TAKES: Input = Input::Keys;
    const GIVES: Output = Output::Counts;
    const PAGE: Page = Page {
        unit: "values, by value",
        value: "how often each value occurs, ascending by value",
        exactness: "exact; more than `limit` distinct values: null, `ERROR`",
        ..Page::EXACT
    };

    fn read(written: &mut Written<'_>) -> Option<Histogram> {
        // The bounds fit the type.
        written.whole(&LIMIT).map(|limit| Histogram { limit: limit as u32 })
    }

    fn samples() -> Vec<Histogram> {
        LIMITS_DRAWN.map(|limit| Histogram { limit }).to_vec()
    }

    fn keeps(self) -> Keeps {
        Keeps::Summary(SummaryKind::Tally { limit: self.limit as usize, listed: Listed::All })
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        let entry = |(word, count)| Ok((kept.value_of(word)?, Value::Int64(count as i64)));
        kept.tally(self.limit)?.into_iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
    }

    fn naive(self, plain: &Plain) -> Outcome {
        let counts = plain.counts(self.limit)?;
        Ok(Value::Map(counts.into_iter().map(|(value, count)| (value, Value::Int64(count))).collect()))
    }
}
