//! The row: a value and its known future. Writing is the keyed operator's; reading is pure and anybody's.

use freshet_config::time::EventTime;
use freshet_config::value::Value;

use crate::view::ViewPlan;

/// How far a served value can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Present,
    /// A key never seen, or an empty window (an empty window still counts 0).
    MissingData,
    /// Older than `serving_ttl`.
    Expired,
    /// The row does not cover the instant asked for.
    Stale,
    /// The value cannot be given, for example an integer sum that leaves its type.
    Error,
}

/// One feature as read.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureValue {
    pub value: Value,
    pub status: Status,
}

/// Reads rows of one view; holds the buffers between reads. One per thread and view.
pub struct Reader {}

impl Reader {
    pub fn new(_plan: &ViewPlan) -> Reader {
        Reader {}
    }

    /// Appends the view's features at instant `at`, in the plan's order. `row` is `None` for a key without a row.
    pub fn read(&mut self, plan: &ViewPlan, row: Option<&[u8]>, at: EventTime, out: &mut Vec<FeatureValue>) {
        let _ = (row, at);
        out.extend(plan.features.iter().map(|_| FeatureValue { value: Value::Null, status: Status::MissingData }));
    }
}
