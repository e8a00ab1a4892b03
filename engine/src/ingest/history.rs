//! The history of a source: its files, and how late they reach.

use std::path::Path;

use arrow::array::AsArray;
use arrow::compute::max;
use arrow::datatypes::TimestampMicrosecondType;
use freshet_config::definitions::Source;
use freshet_config::time::EventTime;
use freshet_connectors::files::{EventFiles, FileError};

/// The largest event time in the files, found by reading the time column alone. Events that are refused for another
/// column's sake count here.
pub(super) fn latest(source: &Source, directory: &Path) -> Result<Option<EventTime>, FileError> {
    let mut bare = source.clone();
    bare.schema = vec![source.schema[source.event_time].clone()];
    bare.event_time = 0;
    bare.changelog = None;
    bare.explode = None;
    let mut latest = None;
    for some in EventFiles::open(&bare, directory)? {
        let events = some?.events.batch;
        latest = latest.max(max(events.column(0).as_primitive::<TimestampMicrosecondType>()));
    }
    Ok(latest.map(EventTime::from_micros))
}
