//! The keyspace and the table: found, checked, or created.
//!
//! One table for all views. Workspace, view and join keys together are the partition key, so that every lookup is one
//! partition on one set of replicas. The row is one column: two writes with one timestamp are resolved column by
//! column, and one column cannot become a mixture.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;

use super::fault::Fault;
use super::options::Options;
use super::settings::{Replication, ScyllaSettings};
use crate::store::StoreError;

const TABLE: &str = "features";

/// Name, type and place of every column, as the cluster's own tables spell them, in the order [`columns`] reads them.
const COLUMNS: [(&str, &str, &str); 4] = [
    ("ws", "text", "partition_key"),
    ("fv", "text", "partition_key"),
    ("entity", "blob", "partition_key"),
    ("payload", "blob", "regular"),
];

/// The table's full name.
pub(super) fn table(settings: &ScyllaSettings) -> String {
    format!("{}.{TABLE}", settings.keyspace)
}

/// Leaves the keyspace and the table in place with the right columns, and returns the local data centre.
pub(super) async fn provide(session: &Session, settings: &ScyllaSettings) -> Result<String, StoreError> {
    let refused = |action| move |fault: Fault| fault.error(settings, action);
    let datacenter = local_datacenter(session).await.map_err(refused("name its data centre"))?;
    if !keyspace_exists(session, settings).await.map_err(refused("list its keyspaces"))? {
        let statement = create_keyspace(settings, &datacenter);
        if !settings.create {
            return Err(StoreError::NoKeyspace { keyspace: settings.keyspace.clone(), statement });
        }
        execute(session, &statement).await.map_err(refused("create the keyspace"))?;
    }
    let mut found = columns(session, settings).await.map_err(refused("list the columns"))?;
    if found.is_empty() {
        let statement = create_table(settings);
        if !settings.create {
            return Err(StoreError::NoTable { table: table(settings), statement });
        }
        execute(session, &statement).await.map_err(refused("create the table"))?;
        // Somebody else may have created another one first.
        found = columns(session, settings).await.map_err(refused("list the columns"))?;
    }
    let wanted = COLUMNS.map(|(name, of_type, kind)| format!("{name} {of_type} {kind}")).join(", ");
    let found = found.join(", ");
    if found != wanted {
        return Err(StoreError::WrongTable { table: table(settings), found, wanted });
    }
    let options = options(session, settings).await.map_err(refused("list the options of the table"))?;
    for warning in options.check(settings, &datacenter, nodes_of(session, &datacenter))? {
        tracing::warn!("{warning}");
    }
    Ok(datacenter)
}

fn create_keyspace(settings: &ScyllaSettings, datacenter: &str) -> String {
    let replication = match settings.replication {
        Replication::LocalDatacenter { copies } => {
            format!("'class': 'NetworkTopologyStrategy', '{}': {copies}", datacenter.replace('\'', "''"))
        }
        Replication::Simple { copies } => format!("'class': 'SimpleStrategy', 'replication_factor': {copies}"),
    };
    format!("CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {{{replication}}}", settings.keyspace)
}

/// Rows are overwritten far more often than added, and read by key: levels keep a row in few files. Tombstones come
/// from expired rows alone; they are kept as long as nodes keep writes for a node that is down (3 h).
fn create_table(settings: &ScyllaSettings) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (ws text, fv text, entity blob, payload blob, PRIMARY KEY ((ws, fv, entity))) \
         WITH compaction = {{'class': 'LeveledCompactionStrategy'}} AND gc_grace_seconds = 10800 \
         AND caching = {{'keys': 'ALL', 'rows_per_partition': 'ALL'}}",
        table(settings)
    )
}

async fn local_datacenter(session: &Session) -> Result<String, Fault> {
    let names: Vec<(String,)> = rows(session, "SELECT data_center FROM system.local", &[]).await?;
    names.into_iter().next().map(|(name,)| name).ok_or_else(|| Fault::lasting("system.local is empty"))
}

async fn keyspace_exists(session: &Session, settings: &ScyllaSettings) -> Result<bool, Fault> {
    let statement = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let found: Vec<(String,)> = rows(session, statement, &[&settings.keyspace]).await?;
    Ok(!found.is_empty())
}

/// `name type kind` of every column: the partition key in its order, then the others by name. Empty without a table.
async fn columns(session: &Session, settings: &ScyllaSettings) -> Result<Vec<String>, Fault> {
    let statement = "SELECT column_name, type, kind, position FROM system_schema.columns \
                     WHERE keyspace_name = ? AND table_name = ?";
    let mut found: Vec<(String, String, String, i32)> = rows(session, statement, &[&settings.keyspace, TABLE]).await?;
    found.sort_by_key(|(name, _, kind, position)| (kind != "partition_key", *position, name.clone()));
    Ok(found.into_iter().map(|(name, of_type, kind, _)| format!("{name} {of_type} {kind}")).collect())
}

async fn options(session: &Session, settings: &ScyllaSettings) -> Result<Options, Fault> {
    let statement = "SELECT default_time_to_live, compaction FROM system_schema.tables \
                     WHERE keyspace_name = ? AND table_name = ?";
    let of_table: Vec<(Option<i32>, BTreeMap<String, String>)> =
        rows(session, statement, &[&settings.keyspace, TABLE]).await?;
    let statement = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let of_keyspace: Vec<(BTreeMap<String, String>,)> = rows(session, statement, &[&settings.keyspace]).await?;
    let (ttl_seconds, compaction) = of_table.into_iter().next().unwrap_or_default();
    let (replication,) = of_keyspace.into_iter().next().unwrap_or_default();
    Ok(Options { ttl_seconds: ttl_seconds.unwrap_or(0), compaction, replication })
}

/// How many nodes a data centre has, as far as is known.
fn nodes_of(session: &Session, datacenter: &str) -> usize {
    let state = session.get_cluster_state();
    state.get_nodes_info().iter().filter(|node| node.datacenter.as_deref() == Some(datacenter)).count()
}

async fn execute(session: &Session, statement: &str) -> Result<(), Fault> {
    session.query_unpaged(statement, ()).await.map(drop).map_err(Fault::from)
}

async fn rows<R: for<'a> DeserializeRow<'a, 'a>>(
    session: &Session,
    statement: &str,
    values: &[&str],
) -> Result<Vec<R>, Fault> {
    let result = session.query_unpaged(statement, values).await.map_err(Fault::from)?;
    let result = result.into_rows_result().map_err(Fault::lasting)?;
    let rows = result.rows::<R>().map_err(Fault::lasting)?;
    rows.collect::<Result<_, _>>().map_err(Fault::lasting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyspaces_are_created_as_the_settings_say() {
        let mut settings = ScyllaSettings::new(vec!["localhost".into()], "features", "live");
        settings.replication = Replication::LocalDatacenter { copies: 3 };
        assert_eq!(
            create_keyspace(&settings, "eu'west"),
            "CREATE KEYSPACE IF NOT EXISTS features WITH replication = \
             {'class': 'NetworkTopologyStrategy', 'eu''west': 3}"
        );
        settings.replication = Replication::Simple { copies: 2 };
        assert_eq!(
            create_keyspace(&settings, "eu-west"),
            "CREATE KEYSPACE IF NOT EXISTS features WITH replication = \
             {'class': 'SimpleStrategy', 'replication_factor': 2}"
        );
    }
}
