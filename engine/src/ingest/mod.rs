//! From readers to deliveries: decoded, judged events on their way into the dataflow.
//!
//! Law: consumed = delivered + rejected + expired. Every rejection goes to the ledger with its reason; expired is
//! history so old that no window reaches it any more.
//!
//! The first form of the hand-over: the history is everything the files hold, then the stream is read from its
//! beginning. There is no cut between the two; where both hold the same events, the source's `dedup_key` keeps them
//! one. A restart builds the state anew from the history and from that part of the stream that can still matter.
//!
//! All of this blocks, and belongs on threads of its own.

pub(crate) mod admission;
pub(crate) mod changelog;
mod dimension;
mod error;
mod feed;
mod history;
mod identity;
pub(crate) mod intake;
mod lag;
mod logs;
mod message_key;
pub(crate) mod origin;
pub(crate) mod places;
mod positions;
mod push;
mod stream;
mod topic;
mod topic_watch;
mod trouble;

use std::path::Path;
use std::sync::Arc;

use freshet_config::definitions::View;
use freshet_config::settings::KafkaSettings;
use freshet_config::time::EventTime;
use freshet_connectors::events::{EventBatch, Reason};
use freshet_connectors::ledger::Ledger;

use crate::clock::Clock;
use crate::plan::Plan;

pub use dimension::{Change, DimensionIntake};
pub use error::{FeedError, IntakeError, PushError};
pub use feed::{FEED_BATCH, FeedReport, feed_file};
pub use intake::Intake;
pub use lag::Lag;
pub use logs::Logs;
pub use places::Places;
pub use positions::{Consumed, SavedPositions};
pub use push::{LogIngest, PushReport, Rejected};
pub use trouble::Trouble;

/// Events on their way into the dataflow; never without one that comes or goes.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Columns of the source's own schema.
    pub events: EventBatch,
    /// Events delivered before that are taken back, in the epoch of those above.
    pub retracted: Option<EventBatch>,
    /// The largest event time among those that come; [`EventTime::MIN`] without any.
    pub latest: EventTime,
}

/// What intakes share.
pub struct Connections<'a> {
    /// Relative paths of definitions count from here.
    pub directory: &'a Path,
    /// `None` when the settings have no section `[kafka]`.
    pub kafka: Option<&'a KafkaSettings>,
    /// The embedded logs, which pushed records are appended to as well.
    pub logs: &'a Logs,
    pub positions: Arc<SavedPositions>,
    pub ledger: Arc<Ledger>,
    pub clock: Arc<Clock>,
}

/// What became of the records an intake took since it was opened: `consumed == delivered + rejected + expired`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntakeCounts {
    pub consumed: u64,
    pub delivered: u64,
    /// Left out for a reason that the ledger has. Records read again after a restart are counted here again, but are
    /// not put into the ledger twice.
    pub rejected: u64,
    /// Events of the history that no window reaches any more.
    pub expired: u64,
    /// What of `rejected` was late, came twice, lay in the future; the rest could not be read.
    pub late: u64,
    pub duplicate: u64,
    pub future: u64,
    /// Events without an element, of those that are taken apart.
    pub filtered: u64,
}

impl IntakeCounts {
    pub(crate) fn reject(&mut self, reason: Reason) {
        self.rejected += 1;
        match reason {
            Reason::Late => self.late += 1,
            Reason::Duplicate => self.duplicate += 1,
            Reason::Future => self.future += 1,
            Reason::Filtered => self.filtered += 1,
            // Erasures are not an intake's affair.
            Reason::Unparsable | Reason::Erased => {}
        }
    }

    pub fn unparsable(&self) -> u64 {
        self.rejected - self.late - self.duplicate - self.future - self.filtered
    }
}

/// Columns of the source's schema that are keys in all of its views: an event without one of them feeds no view, and is
/// refused as if it could not be read. A changelog has none: a row that loses its key must leave what it was part of.
pub(crate) fn required_keys(plan: &Plan, source: usize) -> Vec<usize> {
    if plan.definitions.sources[source].changelog.is_some() {
        return Vec::new();
    }
    let views: Vec<&View> = plan.definitions.views.iter().filter(|view| view.source == source).collect();
    let schema = &plan.definitions.sources[source].schema;
    let list = plan.definitions.sources[source].explode.as_ref().map(|explode| explode.column);
    let everywhere = |name: &String| !views.is_empty() && views.iter().all(|view| view.key_columns.contains(name));
    (0..schema.len()).filter(|column| Some(*column) != list && everywhere(&schema[*column].name)).collect()
}
