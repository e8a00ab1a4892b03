//! Summaries as a reader folds them: read from a core, added to by single events, read by formulas (`kept`).
//!
//! Law: events come in canonical order. Those `older` than the core come before it in time, all others after; without a
//! core all events are just in order.

mod best;
mod decay;
mod list;
mod ranks;
mod registers;
mod tally;

use freshet_config::function::SummaryKind;

pub(crate) use decay::{HAS_LANES, HAS_WIDE};

use super::codec::Bytes;
use crate::summary::Addend;
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
}
