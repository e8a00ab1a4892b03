//! Summaries: what features need of a column beyond counts, sums, extremes and the last value.
//!
//! Law: a summary of a window is a function of the set of events in it. State and reader take the same [`Addend`] of an
//! event, so both add the same thing. Functions that can be read from one summary share it: a view pays once. Which function
//! asks for which kind is said where functions are defined.

pub(crate) mod decay;
pub mod hyperloglog;
pub(crate) mod rank;

use freshet_config::function::SummaryKind;
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
