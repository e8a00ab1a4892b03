//! `decayed_sum`: the sum of `v * 2^-((T - t) / half_life)` over the values `v` at `t`, T being the reference instant.

use super::*;

#[derive(Clone, Copy)]
pub struct DecayedSum {
    /// Positive.
    pub half_life: Span,
}

const HALF_LIFE: Parameter = Parameter { name: "half_life", bounds: Bounds::HalfLife };

impl AggregateFunction for DecayedSum {
    const NAME: &'static str = "decayed_sum";
    const PARAMETERS: &'static [Parameter] = &[HALF_LIFE];
    const TAKES: Input = Input::Numbers;
    const GIVES: Output = Output::Float64;
    const IS_EXACT: bool = false;
    const MOVES: bool = true;
    const PAGE: Page = Page {
        value: "sum of `v * 2^(-(T - t) / half_life)` over values `v` at `t`, T the reference instant",
        exactness: "off by at most 2^-49 of the sum of the absolute terms; the same bytes in any order",
        source: "exponential decay",
        ..Page::EXACT
    };

    fn read(written: &mut Written<'_>) -> Option<DecayedSum> {
        written.half_life(&HALF_LIFE).map(|half_life| DecayedSum { half_life })
    }

    fn samples() -> Vec<DecayedSum> {
        [1, 90, 3 * 3600].map(|seconds| DecayedSum { half_life: Span::from_secs(seconds) }).to_vec()
    }

    fn keeps(self) -> Keeps {
        Keeps::Summary(SummaryKind::Decay { half_life: self.half_life })
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        kept.decayed()?.map_or(Ok(Value::Null), kept::finite)
    }

    /// In doubles, term by term.
    fn naive(self, plain: &Plain) -> Outcome {
        let known = plain.events.iter().filter_map(|event| Some((event.time, plain::number(&event.value)?)));
        let terms: Vec<f64> =
            known.map(|(time, value)| self.decayed(value, plain.end.micros() - time.micros())).collect();
        if terms.is_empty() { Ok(Value::Null) } else { plain::double(terms.iter().sum()) }
    }
}

impl DecayedSum {
    fn decayed(self, value: f64, age_us: i64) -> f64 {
        let half_life_us = self.half_life.micros();
        let (whole, rest) = (age_us.div_euclid(half_life_us), age_us.rem_euclid(half_life_us));
        let part = rest as f64 / half_life_us as f64;
        // In two steps: the power alone may leave the doubles where the product does not.
        let half = (-(whole as f64) / 2.0).floor();
        value * (-part).exp2() * half.exp2() * (-(whole as f64) - half).exp2()
    }
}
