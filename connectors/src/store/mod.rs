//! The online store: the newest row of every (view, key), written by the engine and read by the serving side.
//!
//! The law every store keeps: a row of an older epoch never replaces one of a newer epoch, whatever the order of
//! arrival, and writing the same batch again changes nothing. Rows are opaque here.

pub mod memory;
pub mod scylla;

use std::time::Duration;

use freshet_config::rows::RowBatch;

pub use memory::MemoryStore;
pub use scylla::{Credentials, Replication, ScyllaSettings, ScyllaStore};

/// A row that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup<'a> {
    /// Index of the view in the definitions.
    pub view: usize,
    /// The join keys, encoded as [`freshet_config::value::encode_key`] does.
    pub key: &'a [u8],
}

/// One of the stores Freshet can serve from. Share it with an `Arc`; every method takes `&self`.
#[derive(Debug)]
pub enum OnlineStore {
    Memory(MemoryStore),
    Scylla(ScyllaStore),
}

impl OnlineStore {
    /// Writes a batch, and returns when the store has acknowledged every row of it.
    ///
    /// Blocks the calling thread, which must not be driving a tokio runtime. After an error any part of the batch may
    /// be written: write the whole batch again.
    pub fn upsert_blocking(&self, batch: &RowBatch) -> Result<(), StoreError> {
        match self {
            OnlineStore::Memory(store) => store.upsert(batch),
            OnlineStore::Scylla(store) => store.upsert_blocking(batch),
        }
    }

    /// Calls `found` once per lookup, in any order, with the lookup's index and its row or `None`.
    ///
    /// From memory this neither waits nor allocates, and `found` runs while the row is locked: it must be short and must
    /// not write to the store. A remote store needs a tokio runtime with timers; it answers within the read timeout,
    /// and after an error `found` has been called for some lookups only.
    pub async fn get_many(
        &self,
        lookups: &[Lookup<'_>],
        found: &mut impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), StoreError> {
        match self {
            OnlineStore::Memory(store) => {
                store.get_many(lookups, found);
                Ok(())
            }
            OnlineStore::Scylla(store) => store.get_many(lookups, found).await,
        }
    }

    /// Why the store cannot be read or written at the moment, though it may be later by itself.
    pub fn trouble(&self) -> Option<String> {
        match self {
            OnlineStore::Memory(_) => None,
            OnlineStore::Scylla(store) => store.trouble(),
        }
    }

    /// Why the store can never be used as it is.
    pub fn refusal(&self) -> Option<String> {
        match self {
            OnlineStore::Memory(_) => None,
            OnlineStore::Scylla(store) => store.refusal(),
        }
    }

    /// Ends what waits for a store that is away, with [`StoreError::Closed`].
    pub fn close(&self) {
        match self {
            OnlineStore::Memory(_) => {}
            OnlineStore::Scylla(store) => store.close(),
        }
    }

    /// How much the store holds, as far as this process knows.
    pub fn state(&self) -> StoreStats {
        match self {
            OnlineStore::Memory(store) => store.state(),
            OnlineStore::Scylla(store) => store.state(),
        }
    }
}

/// The size of a store. In memory: what it holds now. In ScyllaDB: what this process has written, overwrites included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    pub rows: u64,
    /// Keys, rows and their bookkeeping.
    pub bytes: u64,
}

/// Why a store could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the memory store is full: {used} of {budget} bytes are used and the next row of view {view} needs {needed}; \
         raise `{BUDGET_SETTING}` or serve from ScyllaDB",
        BUDGET_SETTING = memory::BUDGET_SETTING
    )]
    Full { view: usize, used: u64, needed: u64, budget: u64 },
    #[error(
        "the store was opened for {views} views and was asked for view {view}; open it with the current definitions"
    )]
    NoView { view: usize, views: usize },
    #[error("the store setting `{setting}` is {found}; {wanted}")]
    Setting { setting: &'static str, found: String, wanted: &'static str },
    #[error("no ScyllaDB node of {nodes} can be reached; check the addresses and that a node is up ({cause})")]
    NoNode { nodes: String, cause: String },
    #[error("ScyllaDB keyspace `{keyspace}` does not exist and may not be created here; type in cqlsh: {statement}")]
    NoKeyspace { keyspace: String, statement: String },
    #[error("ScyllaDB table `{table}` does not exist and may not be created here; type in cqlsh: {statement}")]
    NoTable { table: String, statement: String },
    #[error(
        "ScyllaDB table `{table}` has the columns ({found}) but Freshet needs ({wanted}); name another keyspace or drop \
         the table"
    )]
    WrongTable { table: String, found: String, wanted: String },
    #[error(
        "ScyllaDB table `{table}` has a default time to live of {seconds} s, and rows that go by themselves are missing \
         values; type in cqlsh: ALTER TABLE {table} WITH default_time_to_live = 0"
    )]
    Expires { table: String, seconds: i32 },
    #[error("ScyllaDB refused to {action} in keyspace `{keyspace}`: {cause}")]
    Refused { action: &'static str, keyspace: String, cause: String },
    #[error(
        "ScyllaDB did not take a row of view `{view}` for {} s; check that enough nodes are up ({cause})",
        waited.as_secs()
    )]
    WriteUnavailable { view: String, waited: Duration, cause: String },
    #[error("ScyllaDB cannot be read for view `{view}`; check that a node is up ({cause})")]
    ReadUnavailable { view: String, cause: String },
    #[error("epoch {epoch} is beyond what ScyllaDB can order rows by; check the clock of the engine's machine")]
    Epoch { epoch: u64 },
    #[error("the store was closed while rows waited to be written; write them again after the start")]
    Closed,
    #[error("no thread can be started for the ScyllaDB client: {0}")]
    Thread(#[source] std::io::Error),
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use freshet_config::time::Epoch;

    use super::*;

    /// A read that another thread may take over, as a server's tasks are.
    fn movable<F: Future + Send>(future: F) -> F {
        future
    }

    #[test]
    fn memory_answers_without_waiting() {
        let store = OnlineStore::Memory(MemoryStore::new(1));
        let mut batch = RowBatch::new(0, Epoch::from_micros(1));
        batch.push(b"k", |out| out.extend_from_slice(b"row"));
        store.upsert_blocking(&batch).unwrap();
        let lookups = [Lookup { view: 0, key: b"absent" }, Lookup { view: 0, key: b"k" }];
        let mut answers = Vec::new();
        let mut found = |index: usize, row: Option<&[u8]>| answers.push((index, row.map(<[u8]>::to_vec)));
        let answered = {
            let mut read = pin!(movable(store.get_many(&lookups, &mut found)));
            read.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        assert!(matches!(answered, Poll::Ready(Ok(()))));
        assert_eq!(answers, [(0, None), (1, Some(b"row".to_vec()))]);
        assert_eq!(store.state().rows, 1);
    }
}
