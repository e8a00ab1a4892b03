//! A dimension: its table at the start, then the changes of its rows.
//!
//! Law: the last word on a key counts. The table is taken whole or not at all; changes are read from their beginning
//! at every start, for a row may have been changed once and long ago.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use freshet_config::arrays::value_at;
use freshet_config::definitions::{Column, Dimension, Stream};
use freshet_config::value::{DataType, Value, encode_key};
use freshet_connectors::files::read_table;
use freshet_connectors::json::JsonDecoder;
use freshet_connectors::ledger::Ledger;
use freshet_connectors::positions::SourcePosition;

use super::stream::StreamReader;
use super::trouble::Trouble;
use super::{Connections, IntakeCounts, IntakeError, SavedPositions};
use crate::clock::Clock;
use crate::plan::Plan;

/// The field that removes a row when it is `true`. Names of columns never begin like this.
const DELETED: &str = "__deleted";

/// A row of a dimension, as it is from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// As [`encode_key`] writes it.
    pub key: Vec<u8>,
    /// Values in the order of the dimension's schema, its key included; `None`: there is no such row any more.
    pub row: Option<Vec<Value>>,
}

/// The reader of one dimension, used by one thread.
pub struct DimensionIntake {
    dimension: Dimension,
    directory: PathBuf,
    changes: Option<(StreamReader, JsonDecoder)>,
    ledger: Arc<Ledger>,
    positions: Arc<SavedPositions>,
    clock: Arc<Clock>,
    counts: IntakeCounts,
    replaced: u64,
    ledger_trouble: Option<String>,
}

/// Decodes changes: the dimension's columns, and [`DELETED`] behind them.
pub(super) fn dimension_decoder(dimension: &Dimension, stream: &Stream) -> JsonDecoder {
    let mut columns = dimension.schema.clone();
    columns.push(Column { name: DELETED.to_string(), data_type: DataType::Bool });
    JsonDecoder::for_columns(&columns, stream)
}

impl DimensionIntake {
    /// Opens the changes of the definitions' dimension number `dimension`.
    pub fn open(plan: &Plan, dimension: usize, connections: &Connections<'_>) -> Result<DimensionIntake, IntakeError> {
        let dimension = plan.definitions.dimensions.get(dimension).ok_or(IntakeError::NoDimension(dimension))?.clone();
        let changes = match &dimension.changes {
            Some(stream) => {
                let reader = StreamReader::open(&dimension.name, stream, None, connections)?;
                let decoder = dimension_decoder(&dimension, stream).keys(dimension.key.clone());
                Some((reader, decoder))
            }
            None => None,
        };
        Ok(DimensionIntake {
            dimension,
            directory: connections.directory.to_path_buf(),
            changes,
            ledger: connections.ledger.clone(),
            positions: connections.positions.clone(),
            clock: connections.clock.clone(),
            counts: IntakeCounts::default(),
            replaced: 0,
            ledger_trouble: None,
        })
    }

    /// The name of the dimension.
    pub fn name(&self) -> &str {
        &self.dimension.name
    }

    /// Reads the rows the dimension starts with, one per key: of several the last one stands, and the others are
    /// counted by [`DimensionIntake::replaced`]. Nothing without a table.
    pub fn table(&mut self) -> Result<Vec<RecordBatch>, IntakeError> {
        let Some(files) = &self.dimension.table else { return Ok(Vec::new()) };
        let name = || self.dimension.name.clone();
        let batches = read_table(files, &self.dimension.schema, &self.directory)
            .map_err(|error| IntakeError::Table { dimension: name(), error: Box::new(error) })?;
        let mut last: HashMap<Vec<u8>, (usize, usize)> = HashMap::new();
        let mut rows = 0;
        let mut keyless = 0;
        for (number, batch) in batches.iter().enumerate() {
            rows += batch.num_rows();
            for row in 0..batch.num_rows() {
                match key(&self.dimension, batch, row) {
                    Some(key) => _ = last.insert(key, (number, row)),
                    None => keyless += 1,
                }
            }
        }
        if keyless > 0 {
            return Err(IntakeError::TableKey { dimension: name(), rows: keyless });
        }
        self.replaced = (rows - last.len()) as u64;
        if self.replaced == 0 {
            return Ok(batches);
        }
        let mut keep: Vec<Vec<bool>> = batches.iter().map(|batch| vec![false; batch.num_rows()]).collect();
        for (number, row) in last.into_values() {
            keep[number][row] = true;
        }
        let chosen =
            batches.iter().zip(keep).map(|(batch, keep)| filter_record_batch(batch, &BooleanArray::from(keep)));
        chosen.collect::<Result<_, _>>().map_err(|error| IntakeError::Columns { input: name(), error })
    }

    /// Rows of the table that a later row with the same key replaced.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// The next changes, in their order: waits up to `wait` for the first, and reads at most `max_records`.
    pub fn poll(&mut self, max_records: usize, wait: Duration) -> Result<Vec<Change>, IntakeError> {
        let Some((stream, decoder)) = &mut self.changes else {
            std::thread::sleep(wait);
            return Ok(Vec::new());
        };
        let records = stream.poll(max_records, wait)?;
        self.counts.consumed += records.len() as u64;
        for record in &records {
            let record_time = record.record_time.unwrap_or_else(|| self.clock.now());
            let Err(rejection) = decoder.decode(&record.payload, record.position, record_time) else { continue };
            self.counts.reject(rejection.reason());
            if stream.was_consumed(record.position) {
                continue;
            }
            let recorded = self.ledger.record(&self.dimension.name, &rejection);
            self.ledger_trouble = recorded.err().map(|error| {
                tracing::warn!(dimension = self.dimension.name, %error, "cannot keep a rejection");
                error.to_string()
            });
        }
        let batch = decoder.finish().batch;
        self.counts.delivered += batch.num_rows() as u64;
        Ok(changes(&self.dimension, &batch))
    }

    /// The next change to read.
    pub fn position(&self) -> Option<SourcePosition> {
        self.changes.as_ref().and_then(|(stream, _)| stream.position())
    }

    /// Whether every change was read that was there when the stream was opened.
    pub fn caught_up(&self) -> bool {
        self.changes.as_ref().is_none_or(|(stream, _)| stream.caught_up())
    }

    /// As [`super::Intake::save_position`].
    pub fn save_position(&self) -> Result<(), IntakeError> {
        let Some((stream, _)) = &self.changes else { return Ok(()) };
        match stream.position() {
            Some(position) => self.positions.note(&self.dimension.name, stream.furthest(position)),
            None => Ok(()),
        }
    }

    /// Changes that are there and were not read, where that is known. 0 before events are read means that they meet
    /// the dimension as it is.
    pub fn lag(&self) -> Option<u64> {
        self.changes.as_ref().and_then(|(stream, _)| stream.lag().records())
    }

    /// Changes consumed, delivered and rejected.
    pub fn counts(&self) -> IntakeCounts {
        self.counts
    }

    /// What stands in the way at the moment.
    pub fn trouble(&self) -> Option<Trouble> {
        let stream = self.changes.as_ref().and_then(|(stream, _)| stream.trouble());
        stream.or_else(|| self.ledger_trouble.clone().map(Trouble::Beside))
    }
}

/// The changes of a batch that has the dimension's columns and [`DELETED`] behind them.
fn changes(dimension: &Dimension, batch: &RecordBatch) -> Vec<Change> {
    let columns = dimension.schema.len();
    let deleted: Option<&BooleanArray> = batch.columns().get(columns).and_then(|column| column.as_boolean_opt());
    let one = |row: usize| {
        let deleted = deleted.is_some_and(|deleted| deleted.is_valid(row) && deleted.value(row));
        let values = (!deleted).then(|| row_values(dimension, batch.columns(), row));
        // The decoder let no record without a usable key pass.
        Some(Change { key: key(dimension, batch, row)?, row: values })
    };
    (0..batch.num_rows()).filter_map(one).collect()
}

fn row_values(dimension: &Dimension, columns: &[ArrayRef], row: usize) -> Vec<Value> {
    dimension.schema.iter().zip(columns).map(|(column, array)| value_at(array, column.data_type, row)).collect()
}

/// The key of a row; `None` when a part is null or too long.
fn key(dimension: &Dimension, batch: &RecordBatch, row: usize) -> Option<Vec<u8>> {
    let part = |index: &usize| value_at(batch.column(*index), dimension.schema[*index].data_type, row);
    let parts: Vec<Value> = dimension.key.iter().map(part).collect();
    let mut key = Vec::new();
    encode_key(&parts, &mut key).ok()?;
    Some(key)
}
