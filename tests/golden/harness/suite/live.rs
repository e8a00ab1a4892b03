//! The same values through the running engine.

use std::path::Path;

use arrow::array::RecordBatch;

/// The values at every row of `spine`, read from a running engine that was fed the events of the definitions'
/// `history` through its stream: events in the order of their times, the clock advanced to each instant of the spine,
/// and a read `as_of` that instant. Columns are those of the spine, then `{view}__{feature}`; rows may be in any order.
pub fn run(definitions: &Path, spine: &Path) -> Result<Vec<RecordBatch>, String> {
    Err(format!(
        "the live way is not built yet: leave --live out to compute {} at {} from history",
        definitions.display(),
        spine.display()
    ))
}
