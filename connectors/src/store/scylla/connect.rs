//! Reaching a cluster, however late it comes, and looking whether it is still there.
//!
//! Law: a cluster that does not answer is waited for. One that answers and is not what it has to be is an error: at the start
//! of whoever connects, later the store's [refusal](super::ScyllaStore::refusal).

use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::fault::Fault;
use super::settings::ScyllaSettings;
use super::{Cluster, schema};
use crate::store::StoreError;

/// How long one attempt to reach a node lasts, and how long whoever connects waits for the first.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Pauses between attempts, each twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pause between two looks at a cluster that was reached.
const LOOK: Duration = Duration::from_secs(1);
/// A look that takes longer has failed.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection, and what is asked through it.
pub(super) struct Link {
    pub session: Session,
    pub insert: PreparedStatement,
    pub select: PreparedStatement,
    /// As `select`, with more patience.
    look: PreparedStatement,
}

/// Begins to connect on the runtime of the caller, and waits for the first attempt.
pub(super) async fn begin(cluster: Arc<Cluster>) -> Result<(), StoreError> {
    let (first, outcome) = oneshot::channel();
    tokio::spawn(follow(cluster, first));
    match timeout(ATTEMPT, outcome).await {
        Ok(Ok(outcome)) => outcome,
        // It goes on without us.
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

/// Connects, then looks at the cluster for as long as the runtime is there. Tells how the first attempt ended.
async fn follow(cluster: Arc<Cluster>, first: oneshot::Sender<Result<(), StoreError>>) {
    let mut first = Some(first);
    // Nobody may wait any more.
    let mut tell = |outcome| first.take().map(|first| first.send(outcome).is_ok()).unwrap_or(false);
    let mut pause = FIRST_PAUSE;
    loop {
        match open(&cluster.settings).await {
            Ok(link) => {
                // Set here alone.
                let _ = cluster.link.set(link);
                cluster.health.answered();
                tell(Ok(()));
                break;
            }
            Err(StoreError::NoNode { cause, .. }) => {
                cluster.health.not_reached(cause);
                tell(Ok(()));
            }
            Err(error) => {
                cluster.health.refused(&error);
                tell(Err(error));
                return;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    let Some(link) = cluster.link.get() else { return };
    loop {
        sleep(LOOK).await;
        let nothing = (&cluster.settings.workspace, "", &[][..] as &[u8]);
        match link.session.execute_unpaged(&link.look, nothing).await {
            Ok(_) => cluster.health.answered(),
            Err(error) => cluster.health.unanswered(error.to_string()),
        }
    }
}

/// Connects, provides the schema, prepares the statements. Whatever may be over later is [`StoreError::NoNode`].
async fn open(settings: &ScyllaSettings) -> Result<Link, StoreError> {
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.nodes)
        .keyspaces_to_fetch([settings.keyspace.as_str()])
        .connection_timeout(ATTEMPT);
    if let Some(credentials) = &settings.credentials {
        builder = builder.user(&credentials.user, &credentials.password);
    }
    let session = builder.build().await;
    let session = session.map_err(|error| Fault::passing(error).error(settings, "connect"))?;
    let datacenter = schema::provide(&session, settings).await?;
    let table = schema::table(settings);
    let policy = DefaultPolicy::builder().prefer_datacenter(datacenter).token_aware(true).build();
    let prepare = async |text: String, consistency, patience| {
        let prepared = session.prepare(text).await;
        let mut prepared = prepared.map_err(|e| Fault::from(e).error(settings, "prepare a statement"))?;
        // Absolute rows: whatever was sent may be sent again.
        prepared.set_is_idempotent(true);
        prepared.set_use_cached_result_metadata(true);
        prepared.set_load_balancing_policy(Some(Arc::clone(&policy)));
        prepared.set_consistency(consistency);
        prepared.set_request_timeout(Some(patience));
        Ok::<_, StoreError>(prepared)
    };
    let insert = "(ws, fv, entity, payload) VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?";
    let insert = format!("INSERT INTO {table} {insert}");
    let insert = prepare(insert, Consistency::LocalQuorum, settings.write_timeout).await?;
    let text = format!("SELECT payload FROM {table} WHERE ws = ? AND fv = ? AND entity = ?");
    let select = prepare(text.clone(), Consistency::LocalOne, settings.read_timeout).await?;
    let look = prepare(text, Consistency::LocalOne, LOOK_TIMEOUT).await?;
    Ok(Link { session, insert, select, look })
}
