//! Aggregate functions with their parameters: what each takes, gives, and gives for nothing.
//!
//! A function here is sound: its parameters lie within the bounds named beside them. What the functions mean is in
//! `docs/definitions.md`; how they are computed is not this crate's concern.

use serde::{Serialize, Serializer};

use crate::time::Span;
use crate::value::{DataType, FeatureType, Value};

/// An aggregate function with its parameters.
///
/// "Ascending" is ascending event time, ties in the canonical order of events. Nulls never count, but for `Latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Function {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    StddevSamp,
    StddevPop,
    VarSamp,
    VarPop,
    /// The newest value.
    Last,
    /// The oldest values, at most this many of [`LIST_LENGTHS`], ascending.
    FirstN(u16),
    /// The newest values, at most this many of [`LIST_LENGTHS`], ascending.
    LastN(u16),
    /// The distinct values that occur first, at most this many of [`LIST_LENGTHS`], by first occurrence, ascending.
    FirstDistinct(u16),
    /// The distinct values that occur last, at most this many of [`LIST_LENGTHS`], by last occurrence, ascending.
    LastDistinct(u16),
    /// HyperLogLog with `2^precision` registers, precision of [`DISTINCT_PRECISIONS`].
    ApproxCountDistinct {
        precision: u8,
    },
    /// The value of rank `floor(percentile * n)`, exact. `precision` (of [`PERCENTILE_PRECISIONS`]) is what other platforms
    /// need for it.
    ApproxPercentile {
        percentile: Fraction,
        precision: u16,
    },
    /// Exact; more than `limit` (of [`DISTINCT_LIMITS`]) distinct values are an error.
    CountDistinct {
        limit: u32,
    },
    /// The `k` (of [`TOP_LENGTHS`]) most frequent values with their counts: by count descending, then by value ascending.
    /// More than `limit` (of [`DISTINCT_LIMITS`]) distinct values are an error.
    TopK {
        k: u16,
        limit: u32,
    },
    /// How often each value occurs, by value ascending. More than `limit` (of [`DISTINCT_LIMITS`]) of them are an error.
    Histogram {
        limit: u32,
    },
    /// The sum of `v * 2^-((T - t) / half_life)` over the values `v` at `t` of the window; the half-life is positive.
    DecayedSum {
        half_life: Span,
    },
    /// The value in the row whose `order` is least. Rows with a null in either do not count; of equals the newest wins.
    MinBy,
    /// The value in the row whose `order` is greatest. Rows with a null in either do not count; of equals the newest wins.
    MaxBy,
    /// The newest row's value, null included. What features of attribute views are; it cannot be written.
    Latest,
    /// The categories seen, ascending. What the key lists of views with a secondary key are; it cannot be written.
    GroupKeys,
}

/// Bounds of `n` of the list functions.
pub const LIST_LENGTHS: std::ops::RangeInclusive<i64> = 1..=1000;
/// Bounds of `precision` of `approx_count_distinct`.
pub const DISTINCT_PRECISIONS: std::ops::RangeInclusive<i64> = 4..=16;
/// Bounds of `precision` of `approx_percentile`.
pub const PERCENTILE_PRECISIONS: std::ops::RangeInclusive<i64> = 20..=1000;
/// Bounds of `limit`, the most distinct values of an exact function.
pub const DISTINCT_LIMITS: std::ops::RangeInclusive<i64> = 1..=10_000;
/// Bounds of `k` of `top_k`.
pub const TOP_LENGTHS: std::ops::RangeInclusive<i64> = 1..=100;
/// `precision` of `approx_count_distinct` unless written.
pub const DEFAULT_DISTINCT_PRECISION: u8 = 8;
/// `precision` of `approx_percentile` unless written.
pub const DEFAULT_PERCENTILE_PRECISION: u16 = 100;
/// `limit` unless written.
pub const DEFAULT_DISTINCT_LIMIT: u32 = 1000;

impl Function {
    /// The functions of one column that take no parameter.
    pub const SIMPLE: [Function; 10] = [
        Function::Count,
        Function::Sum,
        Function::Mean,
        Function::Min,
        Function::Max,
        Function::StddevSamp,
        Function::StddevPop,
        Function::VarSamp,
        Function::VarPop,
        Function::Last,
    ];

    /// The name in definitions. `last` is `last` with and without `n`.
    pub fn name(self) -> &'static str {
        match self {
            Function::Count => "count",
            Function::Sum => "sum",
            Function::Mean => "mean",
            Function::Min => "min",
            Function::Max => "max",
            Function::StddevSamp => "stddev_samp",
            Function::StddevPop => "stddev_pop",
            Function::VarSamp => "var_samp",
            Function::VarPop => "var_pop",
            Function::Last | Function::LastN(_) => "last",
            Function::FirstN(_) => "first",
            Function::FirstDistinct(_) => "first_distinct",
            Function::LastDistinct(_) => "last_distinct",
            Function::ApproxCountDistinct { .. } => "approx_count_distinct",
            Function::ApproxPercentile { .. } => "approx_percentile",
            Function::CountDistinct { .. } => "count_distinct",
            Function::TopK { .. } => "top_k",
            Function::Histogram { .. } => "histogram",
            Function::DecayedSum { .. } => "decayed_sum",
            Function::MinBy => "min_by",
            Function::MaxBy => "max_by",
            Function::Latest => "latest",
            Function::GroupKeys => "group_keys",
        }
    }

    /// Whether the function takes a column of this type.
    pub fn takes(self, input: DataType) -> bool {
        match self {
            Function::Sum
            | Function::Mean
            | Function::StddevSamp
            | Function::StddevPop
            | Function::VarSamp
            | Function::VarPop
            | Function::ApproxPercentile { .. }
            | Function::DecayedSum { .. } => input.is_number(),
            Function::ApproxCountDistinct { .. } => input.is_integer() || input == DataType::String,
            // Values become keys of a map, or of a list that others align with.
            Function::TopK { .. } | Function::Histogram { .. } | Function::GroupKeys => input.is_key(),
            Function::Count
            | Function::Min
            | Function::Max
            | Function::Last
            | Function::FirstN(_)
            | Function::LastN(_)
            | Function::FirstDistinct(_)
            | Function::LastDistinct(_)
            | Function::CountDistinct { .. }
            | Function::MinBy
            | Function::MaxBy
            | Function::Latest => true,
        }
    }

    /// What the function takes, in words that complete "needs".
    pub fn wanted_input(self) -> &'static str {
        match self {
            Function::ApproxCountDistinct { .. } => "a string or an integer",
            Function::TopK { .. } | Function::Histogram { .. } | Function::GroupKeys => "a type other than a float",
            _ => "a number",
        }
    }

    /// Whether rows are aggregated by a second column, `order`.
    pub fn takes_order(self) -> bool {
        matches!(self, Function::MinBy | Function::MaxBy)
    }

    /// The type of the result for a column of type `input` (`None`: rows are counted).
    pub fn output(self, input: Option<DataType>) -> FeatureType {
        let input = input.unwrap_or(DataType::Int64);
        match self {
            Function::Count | Function::ApproxCountDistinct { .. } | Function::CountDistinct { .. } => {
                DataType::Int64.into()
            }
            Function::Sum
            | Function::Min
            | Function::Max
            | Function::Last
            | Function::MinBy
            | Function::MaxBy
            | Function::Latest => input.into(),
            Function::Mean
            | Function::StddevSamp
            | Function::StddevPop
            | Function::VarSamp
            | Function::VarPop
            | Function::ApproxPercentile { .. }
            | Function::DecayedSum { .. } => DataType::Float64.into(),
            Function::FirstN(_)
            | Function::LastN(_)
            | Function::FirstDistinct(_)
            | Function::LastDistinct(_)
            | Function::GroupKeys => FeatureType::List(Box::new(input.into())),
            Function::TopK { .. } | Function::Histogram { .. } => {
                FeatureType::Map(input, Box::new(DataType::Int64.into()))
            }
        }
    }

    /// The result over nothing: no event, or only nulls.
    pub fn empty(self) -> Value {
        match self {
            Function::Count | Function::ApproxCountDistinct { .. } | Function::CountDistinct { .. } => Value::Int64(0),
            Function::FirstN(_)
            | Function::LastN(_)
            | Function::FirstDistinct(_)
            | Function::LastDistinct(_)
            | Function::GroupKeys => Value::List(Vec::new()),
            Function::TopK { .. } | Function::Histogram { .. } => Value::Map(Vec::new()),
            _ => Value::Null,
        }
    }
}

/// A number between 0 and 1, neither of which it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fraction(u64);

impl Fraction {
    /// `None` outside (0, 1), and for NaN.
    pub fn new(value: f64) -> Option<Fraction> {
        (value > 0.0 && value < 1.0).then_some(Fraction(value.to_bits()))
    }

    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl std::fmt::Debug for Fraction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}
