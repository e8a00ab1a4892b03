//! What a ScyllaDB store is told at start, checked before a connection is made.

use std::fmt;
use std::time::Duration;

use crate::store::StoreError;

/// ScyllaDB and Cassandra accept no longer time to live: 20 years.
const MAX_TTL_SECONDS: u32 = 630_720_000;
/// The limit both put on the name of a keyspace.
const MAX_KEYSPACE_BYTES: usize = 48;

/// Where the rows of a workspace are kept, and how patient the client is.
#[derive(Clone, Debug)]
pub struct ScyllaSettings {
    /// Contact points, `host` or `host:port`. One that answers is enough; the others are found through it.
    pub nodes: Vec<String>,
    /// Lower-case letters, digits and `_`.
    pub keyspace: String,
    /// How a keyspace that does not exist is created; one that exists is left as it is.
    pub replication: Replication,
    /// Part of every key: workspaces share a keyspace without meeting.
    pub workspace: String,
    pub credentials: Option<Credentials>,
    /// Whether a keyspace and a table that do not exist may be created.
    pub create: bool,
    /// Seconds after which a row that is not written again disappears; 0 keeps it for ever.
    pub ttl_seconds: u32,
    /// How long one read may take before it counts as failed.
    pub read_timeout: Duration,
    /// How long one attempt to write a row may take before it is made again.
    pub write_timeout: Duration,
    /// How long a write is tried again while the cluster does not take it, before the batch fails.
    pub write_patience: Duration,
}

impl ScyllaSettings {
    /// Settings that create what is missing with one copy, keep rows for ever, and wait for a lost cluster without an end.
    pub fn new(nodes: Vec<String>, keyspace: impl Into<String>, workspace: impl Into<String>) -> ScyllaSettings {
        ScyllaSettings {
            nodes,
            keyspace: keyspace.into(),
            replication: Replication::LocalDatacenter { copies: 1 },
            workspace: workspace.into(),
            credentials: None,
            create: true,
            ttl_seconds: 0,
            read_timeout: Duration::from_millis(250),
            write_timeout: Duration::from_secs(2),
            write_patience: Duration::MAX,
        }
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        let setting = |setting, found: String, wanted| Err(StoreError::Setting { setting, found, wanted });
        if self.nodes.is_empty() {
            return setting("nodes", "empty".into(), "name at least one node as host:port");
        }
        // The name becomes part of statements, which cannot bind it.
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let sound = self.keyspace.starts_with(|c: char| c.is_ascii_lowercase())
            && self.keyspace.len() <= MAX_KEYSPACE_BYTES
            && self.keyspace.chars().all(letters);
        if !sound {
            let wanted = "write at most 48 lower-case letters, digits and _, a letter first";
            return setting("keyspace", format!("`{}`", self.keyspace), wanted);
        }
        if self.ttl_seconds > MAX_TTL_SECONDS {
            return setting("ttl_seconds", self.ttl_seconds.to_string(), "write at most 630720000, which is 20 years");
        }
        let copies = match self.replication {
            Replication::LocalDatacenter { copies } | Replication::Simple { copies } => copies,
        };
        if copies == 0 {
            return setting("replication", "0".into(), "keep at least one copy");
        }
        Ok(())
    }
}

/// The copies a new keyspace keeps of every row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// In the data centre of the node that was reached, and in no other.
    LocalDatacenter { copies: u8 },
    /// On the next nodes of the ring, data centres unseen.
    Simple { copies: u8 },
}

#[derive(Clone)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_settings_are_named() {
        let good = || ScyllaSettings::new(vec!["localhost".into()], "freshet_1", "live");
        good().check().unwrap();
        let error = |settings: ScyllaSettings| settings.check().unwrap_err().to_string();
        for keyspace in ["", "1st", "Mixed", "a; DROP TABLE b", "a\"b", &"k".repeat(49)] {
            let message = error(ScyllaSettings { keyspace: keyspace.into(), ..good() });
            assert!(message.contains("`keyspace`") && message.contains(keyspace), "{message}");
        }
        assert!(error(ScyllaSettings { nodes: vec![], ..good() }).contains("`nodes`"));
        assert!(error(ScyllaSettings { ttl_seconds: u32::MAX, ..good() }).contains("`ttl_seconds`"));
        let none = Replication::Simple { copies: 0 };
        assert!(error(ScyllaSettings { replication: none, ..good() }).contains("`replication`"));
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = Credentials { user: "ada".into(), password: "hidden words".into() };
        let printed = format!("{credentials:?}");
        assert!(printed.contains("ada") && !printed.contains("hidden"), "{printed}");
    }
}
