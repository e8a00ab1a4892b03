//! Random records of sources and rows of dimensions, as the files that a plan reads and as the naive reference sees them.

mod domain;
mod order;
mod records;
mod rows;

use freshet_config::definitions::{Column, Definitions};
use freshet_config::value::Value;

use super::super::events::json;

pub use records::{Event, Records, may_repeat};
pub use rows::Rows;

/// The source whose records the events of a source follow from: itself, unless it is the changes of a view.
pub fn root(definitions: &Definitions, source: usize) -> usize {
    let mut at = source;
    // Resolving refuses circles: there are fewer steps than sources.
    for _ in 0..definitions.sources.len() {
        match &definitions.sources[at].changes_of {
            Some(changes) => at = definitions.views[changes.view].source,
            None => break,
        }
    }
    at
}

/// A line of JSON.
fn line(columns: &[Column], cells: &[Value], marks: &[(&str, bool)]) -> String {
    let cells = columns.iter().zip(cells).map(|(column, value)| (column.name.clone(), json(value)));
    let marks = marks.iter().map(|(name, mark)| (name.to_string(), (*mark).into()));
    serde_json::Value::Object(cells.chain(marks).collect()).to_string() + "\n"
}
