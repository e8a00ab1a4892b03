//! Files turned into a source's records: what `freshet ingest` sends.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use freshet_config::arrays::value_at;
use freshet_config::definitions::{FileFormat, Files, Source, column_type};
use freshet_config::value::Value;
use freshet_connectors::events::Rejection;
use freshet_connectors::files::EventFiles;

use super::error::FeedError;

/// Records given out at once.
pub const FEED_BATCH: usize = 1000;
/// Rows that are no events: so many are kept to be shown.
const SHOWN: usize = 20;

/// What became of a file's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedReport {
    /// Records given out.
    pub records: u64,
    /// Rows that are no events of the source.
    pub rejected: u64,
    /// The first of them.
    pub first_rejected: Vec<Rejection>,
}

/// Reads a file, or every file of a folder, as events of the source and gives them out as JSON records, at most
/// [`FEED_BATCH`] at once and in the order of the file. A relative path counts from the working directory.
pub fn feed_file<E: std::error::Error + 'static>(
    source: &Source,
    file: &Path,
    format: FileFormat,
    mut sink: impl FnMut(&[String]) -> Result<(), E>,
) -> Result<FeedReport, FeedError<E>> {
    let path = file.to_str().ok_or_else(|| FeedError::Name(file.to_path_buf()))?;
    let mut fed = source.clone();
    fed.history = Some(Files { format, path: path.to_string() });
    let mut report = FeedReport::default();
    for some in EventFiles::open(&fed, Path::new(""))? {
        let some = some?;
        report.rejected += some.rejections.len() as u64;
        let room = SHOWN - report.first_rejected.len();
        report.first_rejected.extend(some.rejections.into_iter().take(room));
        let batch = &some.events.batch;
        for start in (0..batch.num_rows()).step_by(FEED_BATCH) {
            let rows = start..(start + FEED_BATCH).min(batch.num_rows());
            let records: Vec<String> = rows.map(|row| record(batch, row)).collect();
            sink(&records).map_err(FeedError::Sink)?;
            report.records += records.len() as u64;
        }
    }
    Ok(report)
}

/// A row as a JSON object without its nulls. Every value reads back as itself.
fn record(batch: &RecordBatch, row: usize) -> String {
    let mut text = String::from("{");
    let schema = batch.schema();
    for (column, array) in schema.fields().iter().zip(batch.columns()) {
        let Some(value) = json(array, row) else { continue };
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(column.name().as_str()).to_string());
        text.push(':');
        text.push_str(&value);
    }
    text.push('}');
    text
}

/// One value; `None` for null.
fn json(array: &ArrayRef, row: usize) -> Option<String> {
    if let Some(lists) = array.as_list_opt::<i32>() {
        let elements = lists.is_valid(row).then(|| lists.value(row))?;
        let texts = (0..elements.len()).map(|element| json(&elements, element).unwrap_or_else(|| "null".to_string()));
        return Some(format!("[{}]", texts.collect::<Vec<_>>().join(",")));
    }
    match value_at(array, column_type(array.data_type())?, row) {
        Value::Null | Value::List(_) | Value::Map(_) => None,
        Value::String(text) => Some(serde_json::Value::from(text).to_string()),
        Value::Timestamp(at) => Some(format!("\"{at}\"")),
        // Rust prints the shortest digits that read back as the same number, of the same width.
        number => Some(number.to_string()),
    }
}
