//! Keys with more categories than are allowed.
//!
//! Law: a window has too many while more than are allowed have a slice at or behind its beginning. So, whatever is asked of a
//! row, the windows that have few see no more categories together than are allowed: those of the longest of them.

use super::members::Members;
use crate::row::categories::put_crowded_head;
use crate::row::codec::RowBuffer;
use crate::view::CategoryPlan;

/// Who sees too many categories of a key.
pub(super) struct Crowded {
    /// Per window the last instant at which it has too many, nothing else happening.
    pub until: Vec<Option<i64>>,
    /// What the other windows see is from here on.
    since: i64,
}

impl Crowded {
    /// Of more categories than are allowed.
    pub fn of(members: &Members, plan: &CategoryPlan, clock: i64) -> Crowded {
        let mut newest: Vec<i64> = members.newest().collect();
        // With this one there is one too many.
        let (_, bound, _) = newest.select_nth_unstable_by(plan.limit, |a, b| b.cmp(a));
        let windows = 0..plan.member.windows.len();
        let until = |w| Some(plan.member.leaves(w, *bound)).filter(|leaves| *leaves > clock).map(|leaves| leaves - 1);
        let until: Vec<Option<i64>> = windows.map(until).collect();
        let few = until.iter().enumerate().filter(|(_, until)| until.is_none());
        let since = few.map(|(w, _)| plan.member.lower(w, clock)).min().unwrap_or(i64::MAX);
        Crowded { until, since }
    }

    pub fn write(&self, members: &Members, tag: u32, clock: i64, row: &mut RowBuffer) {
        let count = members.newest().filter(|newest| *newest >= self.since).count();
        put_crowded_head(row, tag, clock, &self.until, count);
        members.write_since(self.since, row);
    }
}
