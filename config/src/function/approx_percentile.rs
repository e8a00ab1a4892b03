//! `approx_percentile`: the value of rank `floor(percentile * n)`, which is exact here.

use super::*;

#[derive(Clone, Copy)]
pub struct ApproxPercentile {
    pub percentile: Fraction,
    /// What other platforms need for it.
    pub precision: u16,
}

const PERCENTILE: Parameter = Parameter { name: "percentile", bounds: Bounds::Fraction };
const PRECISION: Parameter =
    Parameter { name: "precision", bounds: Bounds::Whole { what: "", low: 20, high: 1000, default: Some(100) } };

impl AggregateFunction for ApproxPercentile {
    const NAME: &'static str = "approx_percentile";
    const OTHER_WORDS: &'static [(&'static str, &'static str)] =
        &[("median", "write `approx_percentile` with `percentile: 0.5`"), ("percentile", "write `approx_percentile`")];
    const PARAMETERS: &'static [Parameter] = &[PERCENTILE, PRECISION];
    const TAKES: Input = Input::Numbers;
    const GIVES: Output = Output::Float64;
    const PAGE: Page = Page {
        value: "`sorted[floor(percentile * n)]`, values compared as doubles",
        exactness: "exact, whatever `precision` says: it is checked and kept for definitions of other platforms",
        source: "order statistic",
        ..Page::EXACT
    };

    fn read(written: &mut Written<'_>) -> Option<ApproxPercentile> {
        let (percentile, precision) = (written.fraction(&PERCENTILE), written.whole(&PRECISION));
        // The bounds fit the type.
        percentile.zip(precision).map(|(percentile, p)| ApproxPercentile { percentile, precision: p as u16 })
    }

    fn samples() -> Vec<ApproxPercentile> {
        let percentiles = [0.001, 0.1, 0.5, 0.75, 0.95, 0.999].into_iter().filter_map(Fraction::new);
        percentiles.map(|percentile| ApproxPercentile { percentile, precision: 100 }).collect()
    }

    fn keeps(self) -> Keeps {
        Keeps::Summary(SummaryKind::Ranks { percentiles: vec![self.percentile] })
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        kept.percentile(self.percentile)?.map_or(Ok(Value::Null), kept::finite)
    }

    fn naive(self, plain: &Plain) -> Outcome {
        let mut numbers: Vec<f64> = plain.values().iter().filter_map(plain::number).collect();
        numbers.sort_by(f64::total_cmp);
        let rank = (self.percentile.get() * numbers.len() as f64).floor() as usize;
        let value = numbers.get(rank.min(numbers.len().saturating_sub(1)));
        Ok(value.map_or(Value::Null, |value| Value::Float64(*value)))
    }
}
