//! What the formulas of functions read: the accumulators of a column in a window, or one summary of it.

use freshet_config::function::{Fraction, Kept, Outcome, Refusal, Spread, Word};
use freshet_config::value::{DataType, Value};

use super::fold::{Cell, value_of};
use super::summaries::Folded;

/// The accumulators of a column with a value in the window.
pub(super) struct OfColumn<'a> {
    pub cell: &'a Cell,
    pub data_type: DataType,
    pub heap: &'a [u8],
}

impl Kept for OfColumn<'_> {
    fn data_type(&self) -> DataType {
        self.data_type
    }

    fn count(&self) -> Result<u64, Refusal> {
        Ok(self.cell.count)
    }

    fn whole_sum(&self) -> Result<i128, Refusal> {
        Ok(self.cell.moments.whole)
    }

    fn sum(&self) -> Result<f64, Refusal> {
        Ok(self.cell.sum())
    }

    fn float32_sum(&self) -> Result<f32, Refusal> {
        Ok(self.cell.float32_sum())
    }

    fn mean(&self) -> Result<f64, Refusal> {
        Ok(self.cell.mean())
    }

    fn spread(&self) -> Result<Spread, Refusal> {
        Ok(self.cell.numerator(self.data_type))
    }

    fn min(&self) -> Outcome {
        Ok(value_of(self.cell.min, self.data_type, self.heap))
    }

    fn max(&self) -> Outcome {
        Ok(value_of(self.cell.max, self.data_type, self.heap))
    }

    fn last(&self) -> Outcome {
        Ok(value_of(self.cell.last, self.data_type, self.heap))
    }
}

/// A summary of a column at the reference instant `end`, microseconds.
pub(super) struct OfSummary<'a> {
    pub folded: &'a Folded,
    pub data_type: DataType,
    pub end: i64,
    pub heap: &'a [u8],
}

impl Kept for OfSummary<'_> {
    fn data_type(&self) -> DataType {
        self.data_type
    }

    fn list(&self, n: u16) -> Result<Vec<Value>, Refusal> {
        match self.folded {
            Folded::List(fold) => Ok(fold.values(usize::from(n), self.heap)),
            _ => Err(Refusal::NotKept),
        }
    }

    fn distinct(&self, limit: u32) -> Result<u64, Refusal> {
        match self.folded {
            Folded::Tally(fold) => fold.distinct(limit, self.heap),
            _ => Err(Refusal::NotKept),
        }
    }

    fn tally(&self, limit: u32) -> Result<Vec<(Word, u64)>, Refusal> {
        match self.folded {
            Folded::Tally(fold) => fold.entries(limit, self.heap),
            _ => Err(Refusal::NotKept),
        }
    }

    fn value_of(&self, Word(word): Word) -> Outcome {
        Ok(value_of(word, self.data_type, self.heap))
    }

    fn estimate(&self) -> Result<i64, Refusal> {
        match self.folded {
            Folded::Registers(fold) => Ok(fold.estimate()),
            _ => Err(Refusal::NotKept),
        }
    }

    fn percentile(&self, percentile: Fraction) -> Result<Option<f64>, Refusal> {
        match self.folded {
            Folded::Ranks(fold) => fold.percentile(percentile),
            _ => Err(Refusal::NotKept),
        }
    }

    fn decayed(&self) -> Result<Option<f64>, Refusal> {
        match self.folded {
            Folded::Decay(fold) => Ok(fold.sum(self.end)),
            _ => Err(Refusal::NotKept),
        }
    }

    fn chosen(&self) -> Outcome {
        match self.folded {
            Folded::By(fold) => Ok(fold.value(self.heap)),
            Folded::Latest(fold) => Ok(fold.value(self.heap)),
            _ => Err(Refusal::NotKept),
        }
    }
}
