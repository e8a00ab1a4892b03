//! Rows of the online store for the server.

use std::sync::Arc;

use freshet_connectors::store::{Lookup, OnlineStore, StoreError as ConnectorError};
use freshet_serving::{KeyReads, RowSink, RowStore, StoreError};

/// The configured store. From memory a read neither waits nor allocates.
#[derive(Clone, Debug)]
pub struct StoreRows(pub Arc<OnlineStore>);

impl RowStore for StoreRows {
    async fn get_many(&self, reads: &KeyReads, rows: &mut RowSink) -> Result<(), StoreError> {
        match &*self.0 {
            OnlineStore::Memory(store) => {
                for (index, (view, key)) in reads.iter().enumerate() {
                    store.get(view, key, |row| rows.found(index, row));
                }
                Ok(())
            }
            OnlineStore::Scylla(store) => {
                let lookups: Vec<Lookup<'_>> = reads.iter().map(|(view, key)| Lookup { view, key }).collect();
                let mut found = |index: usize, row: Option<&[u8]>| {
                    if let Some(row) = row {
                        rows.found(index, row);
                    }
                };
                store.get_many(&lookups, &mut found).await.map_err(refused)
            }
        }
    }
}

fn refused(error: ConnectorError) -> StoreError {
    match error {
        ConnectorError::ReadUnavailable { .. } | ConnectorError::NoNode { .. } | ConnectorError::Closed => {
            StoreError::Unavailable(error.to_string())
        }
        _ => StoreError::Failed(error.to_string()),
    }
}
