//! ScyllaDB (or Cassandra) as the online store: one table, absolute rows, the epoch as the write's timestamp.
//!
//! The cluster itself keeps the law of versions: of two writes of one key the one with the greater timestamp stays,
//! whichever arrives last. Every write can therefore be repeated, and is, until it is acknowledged. Two different rows
//! of one key and one epoch must not be written: the cluster would keep the greater bytes, not the later ones.

mod schema;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use freshet_config::rows::RowBatch;
use futures::stream::{FuturesUnordered, TryStreamExt, iter};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::{Lookup, StoreError, StoreStats};
pub use settings::{Credentials, Replication, ScyllaSettings};

/// Requests under way at once, writes and reads counted apart. More only wait in the cluster instead of here.
const MAX_IN_FLIGHT: usize = 256;
/// The driver fails at once while a node is away, so a write pauses before it is made again, each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a cluster that keeps the rows of one workspace.
pub struct ScyllaStore {
    session: Session,
    insert: PreparedStatement,
    select: PreparedStatement,
    settings: ScyllaSettings,
    /// By view index: the name in the table, so that rows outlive a renumbering of views.
    views: Vec<String>,
    writing: Semaphore,
    reading: Semaphore,
    /// Whether the last attempt to write failed; a change is logged once.
    failing: AtomicBool,
    closed: AtomicBool,
    rows: AtomicU64,
    bytes: AtomicU64,
    client: Client,
}

impl ScyllaStore {
    /// Connects, and creates the keyspace and the table if they do not exist and the settings allow it. Blocks until
    /// then. `view_names` are the views in the order of the definitions.
    pub fn connect(settings: ScyllaSettings, view_names: &[String]) -> Result<ScyllaStore, StoreError> {
        settings.check()?;
        let client = Client::start()?;
        let (session, insert, select) = client.block_on(open(&settings))?;
        Ok(ScyllaStore {
            session,
            insert,
            select,
            settings,
            views: view_names.to_vec(),
            writing: Semaphore::new(MAX_IN_FLIGHT),
            reading: Semaphore::new(MAX_IN_FLIGHT),
            failing: AtomicBool::new(false),
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
            let row = row.map_err(|e| schema::refused(&self.settings, "return a row", e.to_string()))?;
            found(index, row.and_then(|(payload,)| payload));
        }
        Ok(())
    }

    /// Ends every write that waits for a lost cluster, and every later one that would, with [`StoreError::Closed`].
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
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
        let ttl = self.settings.ttl_seconds as i32;
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let values = (&self.settings.workspace, view, key, row, timestamp, ttl);
            let cause = match self.session.execute_unpaged(&self.insert, values).await {
                Ok(_) => {
                    self.count(key.len() + row.len());
                    return Ok(());
                }
                Err(error) if passes(&error) => error.to_string(),
                Err(error) => return Err(schema::refused(&self.settings, "write a row", error.to_string())),
            };
            if !self.failing.swap(true, Ordering::Relaxed) {
                tracing::warn!(view, cause, "ScyllaDB does not take writes; they are tried again");
            }
            if self.closed.load(Ordering::Relaxed) {
                return Err(StoreError::Closed);
            }
            let waited = started.elapsed();
            if waited >= self.settings.write_patience {
                return Err(StoreError::WriteUnavailable { view: view.to_string(), waited, cause });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn read(&self, index: usize, view: &str, key: &[u8]) -> Result<(usize, QueryRowsResult), StoreError> {
        let _slot = self.reading.acquire().await;
        let result = self.session.execute_unpaged(&self.select, (&self.settings.workspace, view, key)).await;
        let result = result.map_err(|error| match passes(&error) {
            true => StoreError::ReadUnavailable { view: view.to_string(), cause: error.to_string() },
            false => schema::refused(&self.settings, "read a row", error.to_string()),
        })?;
        let rows = result.into_rows_result();
        Ok((index, rows.map_err(|e| schema::refused(&self.settings, "return a row", e.to_string()))?))
    }

    fn count(&self, bytes: usize) {
        self.rows.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        // Looked at first: the line is shared by every writer.
        if self.failing.load(Ordering::Relaxed) && self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("ScyllaDB takes writes again");
        }
    }
}

impl std::fmt::Debug for ScyllaStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScyllaStore")
            .field("settings", &self.settings)
            .field("views", &self.views)
            .finish_non_exhaustive()
    }
}

/// Whether the same request may succeed later: the cluster or the way to it failed, not the request.
fn passes(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::ConnectionPoolError(_) | ExecutionError::RequestTimeout(_) | ExecutionError::EmptyPlan => true,
        ExecutionError::LastAttemptError(attempt) => match attempt {
            RequestAttemptError::BrokenConnectionError(_) | RequestAttemptError::UnableToAllocStreamId => true,
            RequestAttemptError::DbError(error, _) => matches!(
                error,
                DbError::Unavailable { .. }
                    | DbError::Overloaded
                    | DbError::IsBootstrapping
                    | DbError::ReadTimeout { .. }
                    | DbError::WriteTimeout { .. }
                    | DbError::ReadFailure { .. }
                    | DbError::WriteFailure { .. }
                    | DbError::RateLimitReached { .. }
                    | DbError::ServerError
            ),
            _ => false,
        },
        _ => false,
    }
}

/// Connects, provides the schema, prepares the two statements.
async fn open(settings: &ScyllaSettings) -> Result<(Session, PreparedStatement, PreparedStatement), StoreError> {
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.nodes)
        .keyspaces_to_fetch([settings.keyspace.as_str()])
        .connection_timeout(CONNECT_TIMEOUT);
    if let Some(credentials) = &settings.credentials {
        builder = builder.user(&credentials.user, &credentials.password);
    }
    let session = builder
        .build()
        .await
        .map_err(|e| StoreError::NoNode { nodes: settings.nodes.join(", "), cause: e.to_string() })?;
    let datacenter = schema::provide(&session, settings).await?;
    let table = schema::table(settings);
    let policy = DefaultPolicy::builder().prefer_datacenter(datacenter).token_aware(true).build();
    let prepare = async |text: String| {
        let prepared = session.prepare(text).await;
        let mut prepared = prepared.map_err(|e| schema::refused(settings, "prepare a statement", e.to_string()))?;
        // Absolute rows: whatever was sent may be sent again.
        prepared.set_is_idempotent(true);
        prepared.set_use_cached_result_metadata(true);
        prepared.set_load_balancing_policy(Some(Arc::clone(&policy)));
        Ok::<_, StoreError>(prepared)
    };
    let insert = "(ws, fv, entity, payload) VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?";
    let mut insert = prepare(format!("INSERT INTO {table} {insert}")).await?;
    insert.set_consistency(Consistency::LocalQuorum);
    insert.set_request_timeout(Some(settings.write_timeout));
    let mut select = prepare(format!("SELECT payload FROM {table} WHERE ws = ? AND fv = ? AND entity = ?")).await?;
    select.set_consistency(Consistency::LocalOne);
    select.set_request_timeout(Some(settings.read_timeout));
    Ok((session, insert, select))
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
