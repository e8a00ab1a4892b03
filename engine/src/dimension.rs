//! A dimension's current rows, and the updates that follow from its changes.
//!
//! Law: the join sees at most one row per key. A change takes the old row back and adds the new one, in one epoch.

use std::collections::HashMap;
use std::time::Duration;

use arrow::array::RecordBatch;
use freshet_config::definitions::Dimension;
use freshet_config::value::{Value, encode_key};
use freshet_connectors::positions::SourcePosition;

use crate::ingest::{Change, DimensionIntake, IntakeError, Trouble};
use crate::plan::Plan;
use crate::worker::DimensionChange;
use freshet_config::arrays::value_at;

pub(crate) struct DimensionTable {
    dimension: usize,
    intake: DimensionIntake,
    first: Vec<Change>,
    rows: HashMap<Vec<u8>, Vec<Value>>,
}

impl DimensionTable {
    /// Reads the table the dimension starts with.
    pub fn open(plan: &Plan, dimension: usize, mut intake: DimensionIntake) -> Result<DimensionTable, IntakeError> {
        let definition = &plan.definitions.dimensions[dimension];
        let first = intake.table()?.iter().flat_map(|batch| rows(definition, batch)).collect();
        Ok(DimensionTable { dimension, intake, first, rows: HashMap::new() })
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The table's rows.
    pub fn first(&mut self) -> Vec<DimensionChange> {
        let changes = std::mem::take(&mut self.first);
        self.apply(changes)
    }

    /// What changed since, waiting a while for it.
    pub fn poll(&mut self, wait: Duration) -> Result<Vec<DimensionChange>, IntakeError> {
        let changes = self.intake.poll(POLL_CHANGES, wait)?;
        Ok(self.apply(changes))
    }

    /// Offset behind the last change taken from an embedded log; 0 for other streams.
    pub fn log_offset(&self) -> u64 {
        match self.intake.position() {
            Some(SourcePosition::Log { offset }) => offset,
            _ => 0,
        }
    }

    /// Whether every change was read that was there at the start.
    pub fn caught_up(&self) -> bool {
        self.intake.caught_up()
    }

    /// The name of the dimension.
    pub fn name(&self) -> &str {
        self.intake.name()
    }

    /// What stands in the way at the moment.
    pub fn trouble(&self) -> Option<Trouble> {
        self.intake.trouble()
    }

    /// As [`crate::ingest::Intake::save_position`].
    pub fn save_position(&self) -> Result<(), IntakeError> {
        self.intake.save_position()
    }

    fn apply(&mut self, changes: Vec<Change>) -> Vec<DimensionChange> {
        let mut updates = Vec::new();
        for Change { key, row } in changes {
            let old = match &row {
                Some(row) => self.rows.insert(key.clone(), row.clone()),
                None => self.rows.remove(&key),
            };
            updates.extend(old.map(|old| (key.clone(), old, -1)));
            updates.extend(row.map(|row| (key, row, 1)));
        }
        updates
    }
}

/// Changes taken from a stream at once.
const POLL_CHANGES: usize = 4096;

/// The rows of a batch as changes. Rows whose key cannot be written were refused when the table was read.
fn rows(dimension: &Dimension, batch: &RecordBatch) -> Vec<Change> {
    let changes = (0..batch.num_rows()).filter_map(|row| {
        let columns = dimension.schema.iter().zip(batch.columns());
        let values: Vec<Value> = columns.map(|(column, array)| value_at(array, column.data_type, row)).collect();
        let mut key = Vec::new();
        encode_key(dimension.key.iter().map(|k| &values[*k]), &mut key).ok()?;
        Some(Change { key, row: Some(values) })
    });
    changes.collect()
}
