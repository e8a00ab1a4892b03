//! ScyllaDB (or Cassandra) as the online store: one table, absolute rows, the epoch as the write's timestamp.
//!
//! The cluster itself keeps the law of versions: of two writes of one key the one with the greater timestamp stays,
//! whichever arrives last. Every write can therefore be repeated, and is, until it is acknowledged. Two different rows
//! of one key and one epoch must not be written: the cluster would keep the greater bytes, not the later ones. A cluster
//! that is not there yet is waited for as one that went away is.

mod connect;
mod fault;
mod health;
mod options;
mod schema;
mod settings;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use freshet_config::rows::RowBatch;
use futures::stream::{FuturesUnordered, TryStreamExt, iter};
use scylla::response::query_result::QueryRowsResult;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::{Lookup, StoreError, StoreStats};
use connect::Link;
use fault::Fault;
use health::Health;
pub use settings::{Credentials, Replication, ScyllaSettings};

/// Requests under way at once, writes and reads counted apart. More only wait in the cluster instead of here.
const MAX_IN_FLIGHT: usize = 256;
/// The driver fails at once while a node is away, so a write pauses before it is made again, each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A connection to a cluster that keeps the rows of one workspace.
pub struct ScyllaStore {
    cluster: Arc<Cluster>,
    /// By view index: the name in the table, so that rows outlive a renumbering of views.
    views: Vec<String>,
    writing: Semaphore,
    reading: Semaphore,
    closed: AtomicBool,
    rows: AtomicU64,
    bytes: AtomicU64,
    client: Client,
}

/// What requests and the task that connects and looks after the cluster share.
struct Cluster {
    settings: ScyllaSettings,
    /// Empty until a node was reached.
    link: OnceLock<Link>,
    health: Health,
}

impl ScyllaStore {
    /// Connects, and creates the keyspace and the table if they do not exist and the settings allow it. Blocks for one
    /// attempt; where no node answers, others follow without an end ([`ScyllaStore::trouble`]). `view_names` are the views
    /// in the order of the definitions.
    pub fn connect(settings: ScyllaSettings, view_names: &[String]) -> Result<ScyllaStore, StoreError> {
        settings.check()?;
        let client = Client::start()?;
        let cluster = Arc::new(Cluster { settings, link: OnceLock::new(), health: Health::default() });
        client.block_on(connect::begin(cluster.clone()))?;
        Ok(ScyllaStore {
            cluster,
            views: view_names.to_vec(),
            writing: Semaphore::new(MAX_IN_FLIGHT),
            reading: Semaphore::new(MAX_IN_FLIGHT),
            closed: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            client,
        })
    }

    /// Writes a batch and returns when every row is acknowledged. While the cluster does not take writes they are made
    /// again, for as long as the settings say. After an error any part of the batch may be written.
    pub fn upsert_blocking(&self, batch: &RowBatch) -> Result<(), StoreError> {
        let view = self.view(batch.view)?;
        let epoch = batch.epoch.micros();
        let timestamp = i64::try_from(epoch).map_err(|_| StoreError::Epoch { epoch })?;
        let rows = iter(batch.iter().map(Ok));
        self.client
            .block_on(rows.try_for_each_concurrent(MAX_IN_FLIGHT, |(key, row)| self.write(view, key, row, timestamp)))
    }

    /// Calls `found` once per lookup as answers arrive. Nothing is tried again here but on another replica.
    pub async fn get_many(
        &self,
        lookups: &[Lookup<'_>],
        found: &mut impl FnMut(usize, Option<&[u8]>),
    ) -> Result<(), StoreError> {
        let mut answers = FuturesUnordered::new();
        for (index, lookup) in lookups.iter().enumerate() {
            answers.push(self.read(index, self.view(lookup.view)?, lookup.key));
        }
        while let Some((index, result)) = answers.try_next().await? {
            let row = result.maybe_first_row::<(Option<&[u8]>,)>();
            let row = row.map_err(|e| Fault::lasting(e).error(&self.cluster.settings, "return a row"))?;
            found(index, row.and_then(|(payload,)| payload));
        }
        Ok(())
    }

    /// Ends every write that waits for a lost cluster, and every later one that would, with [`StoreError::Closed`].
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Why the cluster cannot be read or written at the moment; what failed is tried again.
    pub fn trouble(&self) -> Option<String> {
        self.cluster.health.trouble(&self.cluster.settings)
    }

    /// Why it never can be as it is, found out after [`ScyllaStore::connect`]: nothing is tried again.
    pub fn refusal(&self) -> Option<String> {
        self.cluster.health.refusal()
    }

    /// What was acknowledged since the connection was made; the cluster does not count its rows.
    pub fn state(&self) -> StoreStats {
        StoreStats { rows: self.rows.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    fn view(&self, view: usize) -> Result<&str, StoreError> {
        let known = self.views.get(view).map(String::as_str);
        known.ok_or(StoreError::NoView { view, views: self.views.len() })
    }

    async fn write(&self, view: &str, key: &[u8], row: &[u8], timestamp: i64) -> Result<(), StoreError> {
        // The semaphore is never closed; without it the cluster would only be pressed harder.
        let _slot = self.writing.acquire().await;
        let settings = &self.cluster.settings;
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        // The cluster is in trouble for as long as some write is made again.
        let mut repeated = None;
        loop {
            let fault = match self.attempt(view, key, row, timestamp).await {
                Ok(()) => {
                    self.count(key.len() + row.len());
                    return Ok(());
                }
                Err(fault) if fault.passes => fault,
                Err(fault) => return Err(fault.error(settings, "write a row")),
            };
            if self.closed.load(Ordering::Relaxed) || self.refusal().is_some() {
                return Err(StoreError::Closed);
            }
            let waited = started.elapsed();
            if waited >= settings.write_patience {
                return Err(StoreError::WriteUnavailable { view: view.to_string(), waited, cause: fault.cause });
            }
            repeated.get_or_insert_with(|| self.cluster.health.repeat()).note(fault.cause);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self, view: &str, key: &[u8], row: &[u8], timestamp: i64) -> Result<(), Fault> {
        let Cluster { settings, link, health } = &*self.cluster;
        let Some(link) = link.get() else { return Err(health.unconnected()) };
        let values = (&settings.workspace, view, key, row, timestamp, settings.ttl_seconds as i32);
        link.session.execute_unpaged(&link.insert, values).await.map_err(Fault::from).map(drop)
    }

    async fn read(&self, index: usize, view: &str, key: &[u8]) -> Result<(usize, QueryRowsResult), StoreError> {
        let Cluster { settings, link, health } = &*self.cluster;
        let Some(link) = link.get() else { return Err(health.unconnected().error(settings, "read a row")) };
        let _slot = self.reading.acquire().await;
        let result = link.session.execute_unpaged(&link.select, (&settings.workspace, view, key)).await;
        let result = result.map_err(|error| match Fault::from(error) {
            Fault { passes: true, cause } => StoreError::ReadUnavailable { view: view.to_string(), cause },
            fault => fault.error(settings, "read a row"),
        })?;
        let rows = result.into_rows_result();
        Ok((index, rows.map_err(|e| Fault::lasting(e).error(settings, "return a row"))?))
    }

    fn count(&self, bytes: usize) {
        self.rows.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for ScyllaStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScyllaStore")
            .field("settings", &self.cluster.settings)
            .field("views", &self.views)
            .finish_non_exhaustive()
    }
}

/// The runtime on which the driver keeps its connections, apart from those of the callers: they come and go.
struct Client(Option<Runtime>);

impl Client {
    fn start() -> Result<Client, StoreError> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("freshet-scylla").enable_all().build();
        runtime.map(|runtime| Client(Some(runtime))).map_err(StoreError::Thread)
    }

    /// Runs `future` on the calling thread, with the timers of this runtime. Unlike the runtime's own way of blocking
    /// this cannot fail where another runtime is at work; there the future must not be held to the budget of the task
    /// that blocks, which would never be filled up again.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _timers = self.0.as_ref().map(Runtime::enter);
        futures::executor::block_on(tokio::task::unconstrained(future))
    }
}

/// Without waiting: waiting is forbidden where a store is dropped by asynchronous code.
impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
