//! Aggregate functions: one file each, which says everything about it, and the list of them.
//!
//! A function says what it is called and takes, what must be kept for it, and its value twice: as a formula of what was
//! kept, and naively, of the events themselves. Formulas stand here, beside the definitions, so that one function is one
//! file; what keeps, stores and reads is `operators`' concern and knows no function by name.

mod fraction;
mod keeps;
mod kept;
mod list;
mod page;
mod parameters;
mod plain;
mod spread;
mod types;

mod approx_count_distinct;
mod approx_percentile;
mod count;
mod count_distinct;
mod decayed_sum;
mod deviations;
mod entropy;
mod extremes;
mod group_keys;
mod histogram;
mod last;
mod latest;
mod lists;
mod mean;
mod min_max_by;
mod sum;
mod top_k;

use serde::Serialize;

use crate::raw::RawAggregate;
use crate::resolve::functions::Written;
use crate::time::Span;
use crate::value::{DataType, FeatureType, Value};

pub use fraction::Fraction;
pub use keeps::{Keeps, Listed, Parts, SummaryKind};
pub use kept::{Kept, Outcome, Refusal, Word};
use list::functions;
pub(crate) use list::{Entry, written};
use page::Page;
pub(crate) use page::{bounds, describe};
pub(crate) use parameters::{Bounds, Parameter};
pub use plain::{Plain, PlainEvent};
pub use spread::Spread;
pub use types::{Input, Output};

// Every function. A line makes a variant of `Function`, of the shape of the function's own type.
functions! {
    count::Count,
    sum::Sum,
    mean::Mean,
    extremes::Min,
    extremes::Max,
    deviations::StddevSamp,
    deviations::StddevPop,
    deviations::VarSamp,
    deviations::VarPop,
    lists::FirstN(n: u16),
    last::Last,
    lists::LastN(n: u16),
    lists::FirstDistinct(n: u16),
    lists::LastDistinct(n: u16),
    count_distinct::CountDistinct { limit: u32 },
    approx_count_distinct::ApproxCountDistinct { precision: u8 },
    approx_percentile::ApproxPercentile { percentile: Fraction, precision: u16 },
    top_k::TopK { k: u16, limit: u32 },
    histogram::Histogram { limit: u32 },
    entropy::Entropy { limit: u32 },
    decayed_sum::DecayedSum { half_life: Span },
    min_max_by::MinBy,
    min_max_by::MaxBy,
    latest::Latest,
    group_keys::GroupKeys,
}

/// One aggregate function. Its type holds its parameters.
trait AggregateFunction: Copy + Into<Function> {
    /// The name in definitions.
    const NAME: &'static str;
    /// Other names it may be written by.
    const ALIASES: &'static [&'static str] = &[];
    /// Names that other systems have for it, and what to write instead.
    const OTHER_WORDS: &'static [(&'static str, &'static str)] = &[];
    /// Whether it can be written. Others are made by other parts of a view.
    const IS_WRITTEN: bool = true;
    /// In the order of messages.
    const PARAMETERS: &'static [Parameter] = &[];
    const TAKES: Input;
    const GIVES: Output;
    /// The value over nothing: no event, or only nulls.
    const EMPTY: Value = Self::GIVES.of_nothing();
    /// Whether it must have a column; others count events without.
    const NEEDS_COLUMN: bool = true;
    /// Whether formula and naive form agree to the last bit.
    const IS_EXACT: bool = true;
    /// Whether its value is another at every instant, though no event enters or leaves.
    const MOVES: bool = false;
    const PAGE: Page;

    /// Whether this one is meant, of those that have one name.
    fn is_meant(_: &RawAggregate) -> bool {
        true
    }

    /// Reads the parameters. `None`: an error was recorded.
    fn read(written: &mut Written<'_>) -> Option<Self>;

    /// With parameters that tests draw: all that matter, and small ones.
    fn samples() -> Vec<Self>;

    fn keeps(self) -> Keeps;

    /// See [`Function::value`].
    fn value(self, kept: &impl Kept) -> Outcome;

    /// See [`Function::naive`].
    fn naive(self, plain: &Plain) -> Outcome;
}

impl Function {
    /// The name in definitions. `last` is `last` with and without `n`.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Whether the function takes a column of this type.
    pub fn takes(self, input: DataType) -> bool {
        self.entry().takes.takes(input)
    }

    /// What the function takes, in words that complete "needs".
    pub fn wanted_input(self) -> &'static str {
        self.entry().takes.wanted()
    }

    /// Whether the function is of a column, and does not count events without.
    pub fn needs_column(self) -> bool {
        self.entry().needs_column
    }

    /// Whether rows are aggregated by a second column, `order`.
    pub fn takes_order(self) -> bool {
        matches!(self.keeps(), Keeps::By { .. })
    }

    /// Whether the value is the same to the last bit however it is computed. Others have an error bound.
    pub fn is_exact(self) -> bool {
        self.entry().is_exact
    }

    /// Whether the value is another at every instant, though no event enters or leaves.
    pub fn moves(self) -> bool {
        self.entry().moves
    }

    /// The type of the result for a column of type `input` (`None`: rows are counted).
    pub fn output(self, input: Option<DataType>) -> FeatureType {
        self.entry().gives.of(input.unwrap_or(DataType::Int64))
    }

    /// The result over nothing: no event, or only nulls.
    pub fn empty(self) -> Value {
        self.entry().empty.clone()
    }

    /// Every function that can be written, each with parameters that tests draw.
    pub fn samples() -> Vec<Vec<Function>> {
        written().map(|entry| (entry.samples)()).collect()
    }

    /// The names of the functions that take a column of a type, without those that are other words for one.
    pub fn names_for(input: DataType) -> Vec<&'static str> {
        let mut names: Vec<&str> = written().filter(|entry| entry.takes.takes(input)).map(|entry| entry.name).collect();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests;
