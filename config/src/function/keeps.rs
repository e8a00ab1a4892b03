//! What must be kept of a column so that functions can be read: a closed set, which is all that the state and the row of
//! a view know of functions.

use std::fmt;

use super::Fraction;
use crate::time::Span;

/// What a function asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Keeps {
    /// Nothing: the function is read from the keys.
    Nothing,
    /// How many values there are, and parts.
    Column(Parts),
    Summary(SummaryKind),
    /// The value where the order column is least or greatest. It becomes [`SummaryKind::By`] where columns have places.
    By {
        greatest: bool,
    },
}

/// Accumulators of a column, beside the number of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Whether anything but the number of values is of interest.
    pub values: bool,
    pub sum: bool,
    pub squares: bool,
    pub min: bool,
    pub max: bool,
    pub last: bool,
}

impl Parts {
    /// The number of values alone.
    pub const COUNT: Parts = Parts { values: false, sum: false, squares: false, min: false, max: false, last: false };
    const VALUES: Parts = Parts { values: true, ..Parts::COUNT };
    pub const SUM: Parts = Parts { sum: true, ..Parts::VALUES };
    /// Squares come with their sum: no function reads them alone.
    pub const SQUARES: Parts = Parts { squares: true, ..Parts::SUM };
    pub const MIN: Parts = Parts { min: true, ..Parts::VALUES };
    pub const MAX: Parts = Parts { max: true, ..Parts::VALUES };
    pub const LAST: Parts = Parts { last: true, ..Parts::VALUES };
}

/// A way of keeping more of a column than accumulators do.
#[derive(Clone, Debug, PartialEq)]
pub enum SummaryKind {
    /// The oldest or newest values, at most `n`; with `distinct`, no value twice.
    List { n: usize, newest: bool, distinct: bool },
    /// How often each value occurs, while no more than `limit` values do.
    Tally { limit: usize, listed: Listed },
    /// HyperLogLog registers of a sketch column.
    Registers { precision: u8 },
    /// Order statistics: what these percentiles need.
    Ranks { percentiles: Vec<Fraction> },
    /// Sums of decayed values.
    Decay { half_life: Span },
    /// The value where another column is least or greatest; `order` is that column's index in the plan.
    By { order: usize, greatest: bool },
    /// The newest row's value, null included.
    Latest,
}

/// The values of a core that a row must list for those who read its tally, beside the values of single events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listed {
    /// None: how many there are is enough.
    Number,
    /// The most frequent so many, with their counts. One that is not among them cannot be at any later instant either,
    /// unless a single event has it: counts only grow.
    Top(usize),
    All,
}

impl SummaryKind {
    /// Takes over what `other` keeps, when one summary can serve both.
    pub fn absorb(&mut self, other: &SummaryKind) -> bool {
        use SummaryKind::*;
        match (self, other) {
            (List { n, newest, distinct }, List { n: more, newest: end, distinct: once })
                if (*newest, *distinct) == (*end, *once) =>
            {
                *n = (*n).max(*more);
                true
            }
            (Tally { limit, listed }, Tally { limit: more, listed: others }) => {
                *limit = (*limit).max(*more);
                *listed = (*listed).max(*others);
                true
            }
            (Ranks { percentiles }, Ranks { percentiles: more }) => {
                for percentile in more {
                    if !percentiles.contains(percentile) {
                        percentiles.push(*percentile);
                    }
                }
                true
            }
            (known, other) => known == other,
        }
    }

    /// Whether the order of events of one time shows.
    pub fn is_ordered(&self) -> bool {
        matches!(self, SummaryKind::List { .. } | SummaryKind::By { .. } | SummaryKind::Latest)
    }

    /// Whether values are told apart, so that equal strings must be equal words.
    pub fn is_distinct(&self) -> bool {
        matches!(self, SummaryKind::Tally { .. } | SummaryKind::List { distinct: true, .. })
    }
}

/// As plans show it. What the column of `By` is called is known to the plan.
impl fmt::Display for SummaryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SummaryKind::List { n, newest, distinct } => {
                let end = if *newest { "last" } else { "first" };
                write!(f, "{end} {n}{}", if *distinct { " distinct" } else { "" })
            }
            SummaryKind::Tally { limit, listed: Listed::Number } => write!(f, "number of {limit} values"),
            SummaryKind::Tally { limit, listed: Listed::Top(k) } => write!(f, "top {k} of {limit} values"),
            SummaryKind::Tally { limit, listed: Listed::All } => write!(f, "counts of {limit} values"),
            SummaryKind::Registers { precision } => write!(f, "{} registers", 1u32 << precision),
            SummaryKind::Ranks { percentiles } => {
                f.write_str("ranks")?;
                percentiles.iter().try_for_each(|percentile| write!(f, " {}", percentile.get()))
            }
            SummaryKind::Decay { half_life } => write!(f, "sum decayed by {half_life}"),
            SummaryKind::By { greatest, .. } => f.write_str(if *greatest { "at greatest" } else { "at least" }),
            SummaryKind::Latest => f.write_str("newest row"),
        }
    }
}
