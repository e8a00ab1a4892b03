//! Summaries: what features need of a column beyond counts, sums, extremes and the last value.
//!
//! Law: a summary of a window is a function of the set of events in it. State and reader take the same [`Addend`] of an
//! event, so both add the same thing. Functions that can be read from one summary share it: a view pays once.

pub(crate) mod decay;
pub mod hyperloglog;
pub(crate) mod rank;

use freshet_config::definitions::{Fraction, Function};
use freshet_config::time::Span;
use freshet_config::value::DataType;

use crate::slices::order_word;
use crate::view::ColumnPlan;

/// One summary of one column, kept in some windows.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryPlan {
    pub kind: SummaryKind,
    /// Index into the plan's columns.
    pub column: usize,
    /// Windows that some feature reads it in: a bit per window of the plan.
    pub windows: u64,
}

/// What is kept.
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
    /// The value where another column is least or greatest.
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
    /// What a function reads; `None` for functions of the accumulators. `order` is the column of `min_by` and `max_by`.
    pub(crate) fn of(function: Function, order: Option<usize>) -> Option<SummaryKind> {
        let list = |n: u16, newest, distinct| SummaryKind::List { n: usize::from(n), newest, distinct };
        let tally = |limit: u32, listed| SummaryKind::Tally { limit: limit as usize, listed };
        Some(match function {
            Function::FirstN(n) => list(n, false, false),
            Function::LastN(n) => list(n, true, false),
            Function::FirstDistinct(n) => list(n, false, true),
            Function::LastDistinct(n) => list(n, true, true),
            Function::CountDistinct { limit } => tally(limit, Listed::Number),
            Function::TopK { k, limit } => tally(limit, Listed::Top(usize::from(k))),
            Function::Histogram { limit } => tally(limit, Listed::All),
            Function::ApproxCountDistinct { precision } => SummaryKind::Registers { precision },
            Function::ApproxPercentile { percentile, .. } => SummaryKind::Ranks { percentiles: vec![percentile] },
            Function::DecayedSum { half_life } => SummaryKind::Decay { half_life },
            Function::MinBy => SummaryKind::By { order: order?, greatest: false },
            Function::MaxBy => SummaryKind::By { order: order?, greatest: true },
            Function::Latest => SummaryKind::Latest,
            _ => return None,
        })
    }

    /// Takes over what `other` keeps, when one summary can serve both.
    pub(crate) fn absorb(&mut self, other: &SummaryKind) -> bool {
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
    pub(crate) fn is_ordered(&self) -> bool {
        matches!(self, SummaryKind::List { .. } | SummaryKind::By { .. } | SummaryKind::Latest)
    }

    /// Whether values are told apart, so that equal strings must be equal words.
    pub(crate) fn is_distinct(&self) -> bool {
        matches!(self, SummaryKind::Tally { .. } | SummaryKind::List { distinct: true, .. })
    }
}

/// What one event adds to a summary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addend {
    /// The value's word; of registers `index << 6 | rank`, of ranks a word that orders as the double does, of a decayed
    /// sum the bits of the term.
    pub word: u64,
    /// The word of the order column, or the block of the term.
    pub other: u64,
    pub is_null: bool,
}

/// The addend of an event, `None` when it adds nothing. `word` gives the stored word of a column that is not null.
#[inline]
pub(crate) fn addend(
    columns: &[ColumnPlan],
    summary: &SummaryPlan,
    time: i64,
    nulls: u64,
    word: impl Fn(usize) -> u64,
) -> Option<Addend> {
    let column = summary.column;
    if nulls >> column & 1 == 1 {
        let kept = summary.kind == SummaryKind::Latest;
        return kept.then_some(Addend { word: 0, other: 0, is_null: true });
    }
    let plain = |word| Some(Addend { word, other: 0, is_null: false });
    let value = word(column);
    let plan = &columns[column];
    match &summary.kind {
        SummaryKind::List { .. } | SummaryKind::Tally { .. } | SummaryKind::Latest => plain(value),
        SummaryKind::Registers { precision } => {
            let kept = plan.sketch.map_or(*precision, |sketch| sketch.precision);
            plain(hyperloglog::coarser(value, kept, *precision))
        }
        SummaryKind::Ranks { .. } => plain(order_word(double(plan.data_type, value).to_bits(), DataType::Float64)),
        SummaryKind::Decay { half_life } => {
            let (block, term) = decay::term(*half_life, time, double(plan.data_type, value));
            Some(Addend { word: term.to_bits(), other: block as u64, is_null: false })
        }
        SummaryKind::By { order, .. } => {
            let known = nulls >> order & 1 == 0;
            known.then(|| Addend { word: value, other: word(*order), is_null: false })
        }
    }
}

/// A number as the nearest double.
fn double(data_type: DataType, word: u64) -> f64 {
    if data_type.is_float() { f64::from_bits(word) } else { word as i64 as f64 }
}
