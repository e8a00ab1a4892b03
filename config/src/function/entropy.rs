//! `entropy`: how evenly a window is spread over its values, by Shannon. Zero where one value is all there is, one bit where
//! two are as frequent: a card that always pays at one merchant, or a bot that tries each equally often.

use super::parameters::{LIMIT, LIMITS_DRAWN};
use super::*;

#[derive(Clone, Copy)]
pub struct Entropy {
    /// More distinct values are an error.
    pub limit: u32,
}

impl AggregateFunction for Entropy {
    const NAME: &'static str = "entropy";
    const OTHER_WORDS: &'static [(&'static str, &'static str)] = &[("shannon_entropy", "write `entropy`")];
    const PARAMETERS: &'static [Parameter] = &[LIMIT];
    const TAKES: Input = Input::Any;
    const GIVES: Output = Output::Float64;
    const PAGE: Page = Page {
        unit: "bits",
        value: "sum of `(c / n) * log2(n / c)` over the counts `c` of the distinct values, from the rarest to the most frequent",
        exactness: "off by at most 2^-50 of itself per distinct value; more than `limit` distinct values: null, `ERROR`",
        source: "Shannon 1948; `log2(n / c)` as `ln(1 + (n - c) / c) / ln(2)`, where nothing cancels",
        ..Page::EXACT
    };

    fn read(written: &mut Written<'_>) -> Option<Entropy> {
        // The bounds fit the type.
        written.whole(&LIMIT).map(|limit| Entropy { limit: limit as u32 })
    }

    fn samples() -> Vec<Entropy> {
        LIMITS_DRAWN.map(|limit| Entropy { limit }).to_vec()
    }

    fn keeps(self) -> Keeps {
        Keeps::Summary(SummaryKind::Tally { limit: self.limit as usize, listed: Listed::All })
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        let mut counts: Vec<u64> = kept.tally(self.limit)?.into_iter().map(|(_, count)| count).collect();
        if counts.is_empty() {
            return Ok(Value::Null);
        }
        // Sums of doubles depend on their order: the counts alone decide it.
        counts.sort_unstable();
        // A damaged row may count to the end of the type.
        let n = counts.iter().fold(0u64, |n, count| n.saturating_add(*count));
        let share = |count: u64| count as f64 / n as f64 * libm::log1p((n - count) as f64 / count as f64);
        kept::finite(counts.into_iter().map(share).sum::<f64>() / std::f64::consts::LN_2)
    }

    fn naive(self, plain: &Plain) -> Outcome {
        let counts = plain.counts(self.limit)?;
        let n: i64 = counts.iter().map(|(_, count)| count).sum();
        let mut bits = 0.0;
        // From the rarest: as often as some value occurs once, twice, and so on.
        for count in 1..=n {
            for _ in counts.iter().filter(|(_, known)| *known == count) {
                let others = (n - count) as f64 / count as f64;
                bits += count as f64 / n as f64 * libm::log1p(others);
            }
        }
        if n == 0 { Ok(Value::Null) } else { plain::double(bits / std::f64::consts::LN_2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::EventTime;

    /// The entropy of values that occur so often.
    fn entropy(counts: &[usize]) -> f64 {
        let values = counts.iter().enumerate().flat_map(|(value, count)| vec![value as i32; *count]);
        let time = EventTime::from_micros(0);
        let event = |value| PlainEvent { time, value: Value::Int32(value), order: Value::Null };
        let plain = Plain { data_type: DataType::Int32, events: values.map(event).collect(), end: time };
        match (Entropy { limit: 1000 }).naive(&plain) {
            Ok(Value::Float64(bits)) => bits,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_is_what_shannon_says() {
        assert_eq!(entropy(&[7]), 0.0);
        assert_eq!(entropy(&[3, 3]), 1.0);
        assert!((entropy(&[5; 8]) - 3.0).abs() < 1e-15);
        assert!((entropy(&[1, 2, 1]) - 1.5).abs() < 1e-15);
        // One event among many shows although both shares are near their ends.
        let rare: f64 = [1.0 / 1000.0, 999.0 / 1000.0f64].iter().map(|p| -p * p.log2()).sum();
        assert!((entropy(&[999, 1]) - rare).abs() < 1e-14);
    }
}
