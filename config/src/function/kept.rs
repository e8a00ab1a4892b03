//! What a formula reads: what was kept of one column over one window.

use super::{Fraction, Spread};
use crate::value::{DataType, Value};

/// A function's value, null where there is none.
pub type Outcome = Result<Value, Refusal>;

/// Why a function has no value although there is something to give it for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An integer that is not of its type.
    Overflow(DataType),
    /// A number beyond the largest of its type.
    NotFinite(DataType),
    /// More distinct values than the function counts.
    TooManyValues { limit: u32 },
    /// What was kept contradicts itself.
    Damaged,
    /// The function reads what it did not ask to be kept.
    NotKept,
}

/// What was kept of a column's values, which are not null, in one window.
///
/// A function may read what its [`Keeps`](super::Keeps) asks for. Of columns it is asked only where there is a value at all.
pub trait Kept {
    /// The column's type.
    fn data_type(&self) -> DataType;

    /// How many values there are.
    fn count(&self) -> Result<u64, Refusal> {
        Err(Refusal::NotKept)
    }

    /// The sum of integers.
    fn whole_sum(&self) -> Result<i128, Refusal> {
        Err(Refusal::NotKept)
    }

    /// The exact sum rounded once to the nearest double; infinite beyond the largest.
    fn sum(&self) -> Result<f64, Refusal> {
        Err(Refusal::NotKept)
    }

    /// The exact sum rounded once to the nearest float32; infinite beyond the largest.
    fn float32_sum(&self) -> Result<f32, Refusal> {
        Err(Refusal::NotKept)
    }

    /// The exact sum divided by the number of values, rounded once to the nearest double.
    fn mean(&self) -> Result<f64, Refusal> {
        Err(Refusal::NotKept)
    }

    /// `n * Q - S * S`, exact and rounded once, of `n` values with the sum `S` and the sum of squares `Q`.
    fn spread(&self) -> Result<Spread, Refusal> {
        Err(Refusal::NotKept)
    }

    fn min(&self) -> Outcome {
        Err(Refusal::NotKept)
    }

    fn max(&self) -> Outcome {
        Err(Refusal::NotKept)
    }

    /// The newest value.
    fn last(&self) -> Outcome {
        Err(Refusal::NotKept)
    }

    /// The first `n` of the list that is kept, ascending.
    fn list(&self, _n: u16) -> Result<Vec<Value>, Refusal> {
        Err(Refusal::NotKept)
    }

    /// How many distinct values there are, unless more than `limit`.
    fn distinct(&self, _limit: u32) -> Result<u64, Refusal> {
        Err(Refusal::NotKept)
    }

    /// Distinct values that are listed, ascending, and how often each occurs; unless there are more than `limit` in all.
    fn tally(&self, _limit: u32) -> Result<Vec<(Word, u64)>, Refusal> {
        Err(Refusal::NotKept)
    }

    /// The value of a word of a tally.
    fn value_of(&self, _word: Word) -> Outcome {
        Err(Refusal::NotKept)
    }

    /// How many distinct values there are, by HyperLogLog.
    fn estimate(&self) -> Result<i64, Refusal> {
        Err(Refusal::NotKept)
    }

    /// The value of rank `floor(percentile * n)` as a double.
    fn percentile(&self, _percentile: Fraction) -> Result<Option<f64>, Refusal> {
        Err(Refusal::NotKept)
    }

    /// The decayed sum at the reference instant; `None` of no values.
    fn decayed(&self) -> Result<Option<f64>, Refusal> {
        Err(Refusal::NotKept)
    }

    /// The value of the row that another column, or its age, chooses.
    fn chosen(&self) -> Outcome {
        Err(Refusal::NotKept)
    }
}

/// Stands for a value of the window, without being one yet: texts need not be copied to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub u64);

/// A result that left the doubles is an error, never an infinity.
#[inline]
pub(super) fn finite(value: f64) -> Outcome {
    if value.is_finite() { Ok(Value::Float64(value)) } else { Err(Refusal::NotFinite(DataType::Float64)) }
}
