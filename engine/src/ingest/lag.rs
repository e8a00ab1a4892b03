//! How far a stream's reader is behind its end, told at any time to anybody.
//!
//! Law: the figure is made when it is asked for. A reader that waits to hand something on says nothing meanwhile, and what
//! it said before would be wrong by then.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freshet_connectors::kafka::Bounds;
use freshet_connectors::log::Log;

/// What a reader and whoever asks share.
#[derive(Clone)]
pub enum Lag {
    Log { log: Log, next: Arc<AtomicU64> },
    Topic(TopicEnds),
}

impl Lag {
    /// Records that are there and were not read, where that is known.
    pub fn records(&self) -> Option<u64> {
        match self {
            Lag::Log { log, next } => Some(log.end_offset().saturating_sub(next.load(Ordering::Acquire))),
            Lag::Topic(ends) => ends.lag(),
        }
    }
}

/// Where a topic's partitions ended a moment ago, and how far they are read.
#[derive(Clone, Default)]
pub struct TopicEnds(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    /// `None`: no broker told lately.
    bounds: Option<Bounds>,
    next: BTreeMap<i32, i64>,
    /// Up to here nothing more comes, whatever the offsets say.
    passed: BTreeMap<i32, i64>,
}

impl TopicEnds {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the partitions begin and end now.
    pub(super) fn set_bounds(&self, bounds: Option<Bounds>) {
        self.ends().bounds = bounds;
    }

    /// By partition, the offset behind the last record read.
    pub(super) fn set_next(&self, next: &BTreeMap<i32, i64>) {
        self.ends().next.clone_from(next);
    }

    /// Has what lies before the ends count as read: markers of transactions, and records of those that were given up, take
    /// offsets and never come.
    pub(super) fn pass_to_ends(&self) {
        let mut ends = self.ends();
        if let Some(bounds) = &ends.bounds {
            ends.passed = bounds.iter().map(|(partition, (_, end))| (*partition, *end)).collect();
        }
    }

    pub(super) fn next(&self) -> BTreeMap<i32, i64> {
        self.ends().next.clone()
    }

    /// How many partitions the topic was last seen to have.
    pub(super) fn partitions(&self) -> Option<usize> {
        self.ends().bounds.as_ref().map(BTreeMap::len)
    }

    fn lag(&self) -> Option<u64> {
        let ends = self.ends();
        let behind = |(partition, (first, end)): (&i32, &(i64, i64))| {
            let offset = |of: &BTreeMap<i32, i64>| of.get(partition).copied().unwrap_or(0);
            let next = offset(&ends.next).max(offset(&ends.passed)).max(*first);
            end.saturating_sub(next).max(0).unsigned_abs()
        };
        Some(ends.bounds.as_ref()?.iter().map(behind).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_counts_what_is_there_and_was_not_read() {
        let ends = TopicEnds::default();
        assert_eq!(ends.lag(), None);
        ends.set_bounds(Some(Bounds::from([(0, (0, 10)), (1, (40, 50)), (2, (7, 7))])));
        assert_eq!(ends.lag(), Some(20), "what the broker deleted is not there");
        ends.set_next(&BTreeMap::from([(0, 4), (1, 50)]));
        assert_eq!(ends.lag(), Some(6));
        ends.set_next(&BTreeMap::from([(0, 11), (1, 50)]));
        assert_eq!(ends.lag(), Some(0), "the end is a moment old");
        ends.set_bounds(Some(Bounds::from([(0, (0, 20)), (1, (40, 50))])));
        assert_eq!(ends.lag(), Some(9));
        ends.pass_to_ends();
        assert_eq!(ends.lag(), Some(0), "nothing comes of them");
        ends.set_bounds(Some(Bounds::from([(0, (0, 23)), (1, (40, 50))])));
        assert_eq!(ends.lag(), Some(3));
        ends.set_bounds(None);
        assert_eq!((ends.lag(), ends.partitions()), (None, None));
    }
}
