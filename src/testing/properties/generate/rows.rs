//! Rows of a dimension.

use std::collections::BTreeMap;

use fastrand::Rng;
use freshet_config::definitions::{Column, Definitions};
use freshet_config::value::{Value, encode_key};

use super::domain::Domain;
use super::{line, order};

/// Rows of one dimension; some keys stand more than once.
const ROWS: usize = 12;

pub struct Rows {
    columns: Vec<Column>,
    key: Vec<usize>,
    rows: Vec<Vec<Value>>,
    /// Rows of one key, of which the last stands.
    chains: Vec<Vec<usize>>,
}

impl Rows {
    /// Keys are drawn like the columns of the sources that join the dimension.
    pub fn generate(definitions: &Definitions, dimension: usize, rng: &mut Rng) -> Rows {
        let declared = &definitions.dimensions[dimension];
        let joins = |source: &usize| definitions.sources[*source].enrich.iter().any(|e| e.dimension == dimension);
        let sources: Vec<usize> = (0..definitions.sources.len()).filter(joins).collect();
        let domain = Domain::of_sources(definitions, &sources);
        let cell = |(index, column): (usize, &Column), rng: &mut Rng| match declared.key.contains(&index) {
            true => domain.value(column.data_type, rng),
            false => domain.value_or_null(column.data_type, rng),
        };
        let row = |_| declared.schema.iter().enumerate().map(|column| cell(column, rng)).collect();
        let rows: Vec<Vec<Value>> = (0..ROWS).map(row).collect();
        let mut of_keys: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        for (number, row) in rows.iter().enumerate() {
            let mut key = Vec::new();
            // Generated keys are neither null nor long.
            let _ = encode_key(declared.key.iter().map(|column| &row[*column]), &mut key);
            of_keys.entry(key).or_default().push(number);
        }
        let chains = of_keys.into_values().collect();
        Rows { columns: declared.schema.clone(), key: declared.key.clone(), rows, chains }
    }

    /// The row of a key; none has a key with a null.
    pub fn find(&self, key: &[Value]) -> Option<&[Value]> {
        if key.iter().any(Value::is_null) {
            return None;
        }
        let same = |row: &&Vec<Value>| self.key.iter().zip(key).all(|(column, part)| row[*column] == *part);
        self.rows.iter().rev().find(same).map(Vec::as_slice)
    }

    pub fn in_order(&self) -> Vec<usize> {
        (0..self.rows.len()).collect()
    }

    /// Another order, in which the last row of each key is the same.
    pub fn another_order(&self, rng: &mut Rng) -> Vec<usize> {
        order::another(self.rows.len(), &self.chains, rng)
    }

    /// Rows as lines of JSON.
    pub fn lines(&self, order: &[usize]) -> String {
        order.iter().map(|row| line(&self.columns, &self.rows[*row], &[])).collect()
    }
}
