//! `sum`: of integers exact; of floats exact, and rounded to their type once.

use super::*;

#[derive(Clone, Copy)]
pub struct Sum;

impl AggregateFunction for Sum {
    const NAME: &'static str = "sum";
    const TAKES: Input = Input::Numbers;
    const GIVES: Output = Output::Same;
    const PAGE: Page = Page { value: "`S`", exactness: "integers exact, floats rounded once", ..Page::EXACT };

    fn read(_: &mut Written<'_>) -> Option<Sum> {
        Some(Sum)
    }

    fn samples() -> Vec<Sum> {
        vec![Sum]
    }

    fn keeps(self) -> Keeps {
        Keeps::Column(Parts::SUM)
    }

    fn value(self, kept: &impl Kept) -> Outcome {
        let data_type = kept.data_type();
        match data_type {
            DataType::Int32 => i32::try_from(kept.whole_sum()?).map(Value::Int32).or(Err(Refusal::Overflow(data_type))),
            DataType::Int64 => i64::try_from(kept.whole_sum()?).map(Value::Int64).or(Err(Refusal::Overflow(data_type))),
            DataType::Float32 => match kept.float32_sum()? {
                sum if sum.is_finite() => Ok(Value::Float32(sum)),
                _ => Err(Refusal::NotFinite(data_type)),
            },
            _ => kept::finite(kept.sum()?),
        }
    }

    fn naive(self, plain: &Plain) -> Outcome {
        let (sums, data_type) = (plain.sums()?, plain.data_type);
        if plain.values().is_empty() {
            return Ok(Value::Null);
        }
        let narrowed = match data_type {
            DataType::Int32 => sums.integer_sum().and_then(|sum| i32::try_from(sum).ok()).map(Value::Int32),
            DataType::Int64 => sums.integer_sum().and_then(|sum| i64::try_from(sum).ok()).map(Value::Int64),
            DataType::Float32 => Some(sums.sum_as_float32()).filter(|sum| sum.is_finite()).map(Value::Float32),
            _ => return plain::double(sums.sum_rounded()),
        };
        let refusal = if data_type.is_float() { Refusal::NotFinite(data_type) } else { Refusal::Overflow(data_type) };
        narrowed.ok_or(refusal)
    }
}
