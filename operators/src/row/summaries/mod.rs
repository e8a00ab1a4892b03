//! Summaries as a reader folds them: read from a core, added to by single events, asked for features.
//!
//! Law: events come in canonical order. Those `older` than the core come before it in time, all others after; without a
//! core all events are just in order.

mod best;
mod decay;
mod list;
mod ranks;
mod registers;
mod tally;

use freshet_config::definitions::Function;
use freshet_config::value::{DataType, Value};

pub(crate) use decay::{HAS_LANES, HAS_WIDE};

use super::codec::Bytes;
use super::fold::value_of;
use super::{Reason, RowError};
use crate::summary::{Addend, SummaryKind};
use crate::view::ViewPlan;

/// One summary of one window.
#[derive(Clone, Debug)]
pub(super) enum Folded {
    List(list::ListFold),
    Tally(tally::TallyFold),
    Registers(Box<registers::RegistersFold>),
    Ranks(ranks::RanksFold),
    Decay(decay::DecayFold),
    By(best::ByFold),
    Latest(best::LatestFold),
}

impl Folded {
    pub fn new(plan: &ViewPlan, summary: usize) -> Folded {
        let summary = &plan.summaries[summary];
        let data_type = plan.columns[summary.column].data_type;
        match &summary.kind {
            SummaryKind::List { n, newest, distinct } => {
                Folded::List(list::ListFold::new(*n, *newest, *distinct, data_type))
            }
            SummaryKind::Tally { limit, listed } => Folded::Tally(tally::TallyFold::new(*limit, *listed, data_type)),
            SummaryKind::Registers { precision } => {
                Folded::Registers(Box::new(registers::RegistersFold::new(*precision)))
            }
            SummaryKind::Ranks { percentiles } => Folded::Ranks(ranks::RanksFold::new(percentiles.clone())),
            SummaryKind::Decay { half_life } => Folded::Decay(decay::DecayFold::new(*half_life)),
            SummaryKind::By { order, greatest } => {
                Folded::By(best::ByFold::new(data_type, plan.columns[*order].data_type, *greatest))
            }
            SummaryKind::Latest => Folded::Latest(best::LatestFold::new(data_type)),
        }
    }

    pub fn reset(&mut self) {
        match self {
            Folded::List(fold) => fold.reset(),
            Folded::Tally(fold) => fold.reset(),
            Folded::Registers(fold) => fold.reset(),
            Folded::Ranks(fold) => fold.reset(),
            Folded::Decay(fold) => fold.reset(),
            Folded::By(fold) => fold.reset(),
            Folded::Latest(fold) => fold.reset(),
        }
    }

    /// Reads the core, which comes before any event is added.
    pub fn read(&mut self, bytes: &mut Bytes) -> Option<()> {
        match self {
            Folded::List(fold) => fold.read(bytes),
            Folded::Tally(fold) => fold.read(bytes),
            Folded::Registers(fold) => fold.read(bytes),
            Folded::Ranks(fold) => fold.read(bytes),
            Folded::Decay(fold) => fold.read(bytes),
            Folded::By(fold) => fold.read(bytes),
            Folded::Latest(fold) => fold.read(bytes),
        }
    }

    pub fn add(&mut self, addend: &Addend, older: bool, heap: &[u8]) {
        match self {
            Folded::List(fold) => fold.add(addend.word, older, heap),
            Folded::Tally(fold) => fold.add(addend.word, heap),
            Folded::Registers(fold) => fold.add(addend.word),
            Folded::Ranks(fold) => fold.add(addend.word),
            Folded::Decay(fold) => fold.add(addend.other as i64, addend.word),
            Folded::By(fold) => fold.add(addend.word, addend.other, older, heap),
            Folded::Latest(fold) => fold.add(addend.is_null, addend.word, older),
        }
    }

    /// The value of a function at the reference instant `end`.
    pub fn value(&self, function: Function, end: i64, heap: &[u8]) -> Result<Value, Reason> {
        match (self, function) {
            (Folded::List(fold), Function::FirstN(n))
            | (Folded::List(fold), Function::LastN(n))
            | (Folded::List(fold), Function::FirstDistinct(n))
            | (Folded::List(fold), Function::LastDistinct(n)) => Ok(fold.value(usize::from(n), heap)),
            (Folded::Tally(fold), Function::CountDistinct { limit }) => {
                Ok(Value::Int64(fold.distinct(limit, heap)? as i64))
            }
            (Folded::Tally(fold), Function::Histogram { limit }) => {
                Ok(map_of(fold.entries(limit, heap)?, fold.data_type(), heap))
            }
            (Folded::Tally(fold), Function::TopK { k, limit }) => {
                let mut entries = fold.entries(limit, heap)?;
                // Stable: of equal counts the smaller value stays first.
                entries.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                entries.truncate(usize::from(k));
                Ok(map_of(entries, fold.data_type(), heap))
            }
            (Folded::Registers(fold), Function::ApproxCountDistinct { .. }) => Ok(fold.value()),
            (Folded::Ranks(fold), Function::ApproxPercentile { percentile, .. }) => fold.value(percentile),
            (Folded::Decay(fold), Function::DecayedSum { .. }) => fold.value(end),
            (Folded::By(fold), Function::MinBy | Function::MaxBy) => Ok(fold.value(heap)),
            (Folded::Latest(fold), Function::Latest) => Ok(fold.value(heap)),
            _ => Err(Reason::Row(RowError::Layout)),
        }
    }
}

fn map_of(entries: Vec<(u64, u64)>, data_type: DataType, heap: &[u8]) -> Value {
    let entry = |(word, count)| (value_of(word, data_type, heap), Value::Int64(count as i64));
    Value::Map(entries.into_iter().map(entry).collect())
}
