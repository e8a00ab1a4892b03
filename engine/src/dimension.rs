//! A dimension's current rows, and the updates that follow from its changes.
//!
//! Law: the join sees at most one row per key. A change takes the old row back and adds the new one, in one epoch.

use std::collections::HashMap;
use std::time::Duration;

use freshet_config::value::Value;

use crate::ingest::{Change, DimensionIntake, IntakeError};
use crate::plan::Plan;
use crate::worker::DimensionChange;

pub(crate) struct DimensionTable {
    dimension: usize,
    intake: DimensionIntake,
    rows: HashMap<Vec<u8>, Vec<Value>>,
}

impl DimensionTable {
    pub fn open(_plan: &Plan, dimension: usize, intake: DimensionIntake) -> DimensionTable {
        DimensionTable { dimension, intake, rows: HashMap::new() }
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The table's rows.
    pub fn first(&mut self) -> Vec<DimensionChange> {
        let changes = self.intake.take_table();
        self.apply(changes)
    }

    /// What changed since, waiting a while for it.
    pub fn poll(&mut self, wait: Duration) -> Result<Vec<DimensionChange>, IntakeError> {
        let changes = self.intake.poll(wait)?;
        Ok(self.apply(changes))
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
