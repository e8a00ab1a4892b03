//! `top_k`: the most frequent values with their counts.

use std::cmp::Reverse;

use super::parameters::{LIMIT, LIMITS_DRAWN};
use super::*;

#[derive(Clone, Copy)]
pub struct TopK {
    /// How many.
    pub k: u16,
    /// More distinct values are an error.
    pub limit: u32,
}

const K: Parameter =
    Parameter { name: "k", bounds: Bounds::Whole { what: "how many values", low: 1, high: 100, default: None } };

impl AggregateFunction for TopK {
    const NAME: &'static str = "top_k";
    const OTHER_WORDS: &'static [(&'static str, &'static str)] = &[("mode", "write `top_k` with `k: 1`")];
    const PARAMETERS: &'static [Parameter] = &[K, LIMIT];
    const TAKES: Input = Input::Keys;
    const GIVES: Output = Output::Counts;
    const PAGE: Page = Page {
        unit: "values, by value",
        value: "the `k` most frequent values with their counts, by count descending, then by value ascending",
        exactness: "exact; more than `limit` distinct values: null, `ERROR`",
        ..Page::EXACT
    };

    fn read(written: &mut Written<'_>) -> Option<TopK> {
        let (k, limit) = (written.whole(&K), written.whole(&LIMIT));
        // The bounds fit the types.
        k.zip(limit).map(|(k, limit)| TopK { k: k as u16, limit: limit as u32 })
    }

    fn samples() -> Vec<TopK> {
        (1..5).flat_map(|k| LIMITS_DRAWN.map(|limit| TopK { k, limit })).collect()
    }

    fn keeps(self) -> Keeps {
        let listed = Listed::Top(usize::from(self.k));
        Keeps::Summary(SummaryKind::Tally { limit: self.limit as usize, listed })
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        let mut entries = kept.tally(self.limit)?;
        // Stable: of equal counts the smaller value stays first.
        entries.sort_by_key(|(_, count)| Reverse(*count));
        entries.truncate(usize::from(self.k));
        let entry = |(word, count)| Ok((kept.value_of(word)?, Value::Int64(count as i64)));
        entries.into_iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
    }

    fn naive(self, plain: &Plain) -> Outcome {
        let mut counts = plain.counts(self.limit)?;
        counts.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| plain::compare(a, b)));
        counts.truncate(usize::from(self.k));
        Ok(Value::Map(counts.into_iter().map(|(value, count)| (value, Value::Int64(count))).collect()))
    }
}
