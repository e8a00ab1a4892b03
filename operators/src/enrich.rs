//! The join of events with a dimension, kept up to date.
//!
//! Law: the enriched value of an event is what the dimension says *now*. A change of a dimension row retracts every
//! retained event of its key with the old columns and adds it with the new ones, in the epoch of the change. So the
//! result is a function of the set of events and of the final dimension, as if the dimension had always been so:
//! arrival order, batches, epochs and workers do not show. An event whose key has no row is enriched with `None`.
//!
//! Retained is what the caller has not yet taken out: an event leaves by a -1, which also bounds the state (one
//! arrangement of the retained events). Each event must net to a count of at least zero, and each key of the dimension
//! to at most one row; a key with several rows would give its events once for each.
//!
//! ```text
//!  events ---+---------------------------------- arrange by key --- join --> (event, row or none)
//!            +-- keys, distinct --+                                  |
//!                                 +-- without a row: (key, none) -+  |
//!  dimension +-- keys, distinct --+                               +--+
//!            +------------------------- (key, some row) ----------+
//! ```
//!
//! The dimension is first made total over the keys that events have, and then joined once. The usual left join (all
//! events with nulls, minus the matching ones with nulls, plus the matches) gives three updates for each enriched
//! event where this gives one, and pays two lookups of the event; this pays one arrangement of bare keys.

use differential_dataflow::operators::ThresholdTotal;
use differential_dataflow::{ExchangeData, VecCollection};

/// Joins events with the dimension's current rows; both are keyed by `freshet_config::value::encode_key` bytes.
pub fn enrich<'scope, Event, Row>(
    events: VecCollection<'scope, u64, (Vec<u8>, Event)>,
    dimension: VecCollection<'scope, u64, (Vec<u8>, Row)>,
) -> VecCollection<'scope, u64, (Event, Option<Row>)>
where
    Event: ExchangeData,
    Row: ExchangeData,
{
    let described = distinct(dimension.clone().map(|(key, _)| key));
    let without_row = distinct(events.clone().map(|(key, _)| key)).map(|key| (key, ())).antijoin(described);
    let rows = dimension
        .map(|(key, row)| (key, Some(row)))
        .concat(without_row.map(|(key, ())| (key, None)))
        .arrange_by_key_named("Dimension");
    events.arrange_by_key_named("Events").join_core(rows, |_, event, row| Some((event.clone(), row.clone())))
}

/// Each key that is present, once. Not `distinct_total`, which in differential-dataflow 0.25 keeps a key for ever: it
/// maps the count that returned to zero to one as well.
fn distinct<'scope>(keys: VecCollection<'scope, u64, Vec<u8>>) -> VecCollection<'scope, u64, Vec<u8>> {
    keys.threshold_total(|_, count| isize::from(*count > 0))
}
