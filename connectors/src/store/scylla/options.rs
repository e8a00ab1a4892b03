//! What a keyspace and a table that were there before do to rows, by their options.
//!
//! Law: what would lose rows is an error that says what to type. What makes them slow to read, or easy to lose, is a warning.

use std::collections::BTreeMap;

use super::schema::table;
use super::settings::{Replication, ScyllaSettings};
use crate::store::StoreError;

/// Strategies that keep a row that is overwritten again and again in few files.
const FIT_FOR_OVERWRITES: [&str; 3] =
    ["LeveledCompactionStrategy", "UnifiedCompactionStrategy", "IncrementalCompactionStrategy"];

/// As the cluster's own tables have them.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// Of rows that name none, and with some versions of those that name 0.
    pub ttl_seconds: i32,
    pub compaction: BTreeMap<String, String>,
    pub replication: BTreeMap<String, String>,
}

impl Options {
    /// Gives the warnings. `nodes` is the number of nodes of the data centre.
    pub fn check(&self, settings: &ScyllaSettings, datacenter: &str, nodes: usize) -> Result<Vec<String>, StoreError> {
        if self.ttl_seconds != 0 {
            return Err(StoreError::Expires { table: table(settings), seconds: self.ttl_seconds });
        }
        Ok(self
            .compaction_warning(settings)
            .into_iter()
            .chain(self.copies_warning(settings, datacenter, nodes))
            .collect())
    }

    fn compaction_warning(&self, settings: &ScyllaSettings) -> Option<String> {
        let class = class(&self.compaction)?;
        let table = table(settings);
        (!FIT_FOR_OVERWRITES.contains(&class)).then(|| {
            format!(
                "ScyllaDB table `{table}` is compacted by {class}, which is not made for rows that are overwritten all the \
                 time; type in cqlsh: ALTER TABLE {table} WITH compaction = {{'class': 'LeveledCompactionStrategy'}}"
            )
        })
    }

    fn copies_warning(&self, settings: &ScyllaSettings, datacenter: &str, nodes: usize) -> Option<String> {
        let keyspace = &settings.keyspace;
        let copies = self.copies(datacenter)?;
        let (Replication::LocalDatacenter { copies: wanted } | Replication::Simple { copies: wanted }) =
            settings.replication;
        let keeps = format!("ScyllaDB keyspace `{keyspace}` has replication {copies} in data centre `{datacenter}`");
        if copies < usize::from(wanted) {
            return Some(format!(
                "{keeps}, and `replication` of the settings is {wanted}: alter the keyspace and repair it, or correct the settings"
            ));
        }
        (copies == 1 && nodes > 1).then(|| {
            format!(
                "{keeps}, of {nodes} nodes: while one is away its rows are too; alter the keyspace to keep 3, and repair it"
            )
        })
    }

    /// In the data centre, where the strategy is one that is known.
    fn copies(&self, datacenter: &str) -> Option<usize> {
        let copies = match class(&self.replication)? {
            "NetworkTopologyStrategy" => match self.replication.get(datacenter) {
                Some(copies) => copies,
                None => return Some(0),
            },
            "SimpleStrategy" => self.replication.get("replication_factor")?,
            _ => return None,
        };
        // Cassandra writes `3/1` where one of three is transient.
        copies.split('/').next()?.parse().ok()
    }
}

/// The name of a strategy without its package.
fn class(options: &BTreeMap<String, String>) -> Option<&str> {
    options.get("class").map(|class| class.rsplit('.').next().unwrap_or(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn what_loses_rows_is_refused_and_what_endangers_them_is_said() {
        let mut settings = ScyllaSettings::new(vec!["n".into()], "ks", "prod");
        let good = Options {
            ttl_seconds: 0,
            compaction: map(&[("class", "org.apache.cassandra.db.compaction.LeveledCompactionStrategy")]),
            replication: map(&[("class", "org.apache.cassandra.locator.NetworkTopologyStrategy"), ("dc", "1")]),
        };
        let check = |options: &Options, settings: &ScyllaSettings, nodes| options.check(settings, "dc", nodes).unwrap();
        assert_eq!(check(&good, &settings, 1), [""; 0]);
        let one_of_three = check(&good, &settings, 3);
        assert!(
            one_of_three[0].contains("has replication 1") && one_of_three[0].contains("of 3 nodes"),
            "{one_of_three:?}"
        );

        settings.replication = Replication::LocalDatacenter { copies: 3 };
        let fewer = check(&good, &settings, 3);
        assert!(fewer[0].contains("`ks` has replication 1") && fewer[0].contains("is 3"), "{fewer:?}");
        let elsewhere =
            Options { replication: map(&[("class", "NetworkTopologyStrategy"), ("eu", "3")]), ..good.clone() };
        assert!(check(&elsewhere, &settings, 3)[0].contains("has replication 0"));
        let simple = Options {
            replication: map(&[("class", "SimpleStrategy"), ("replication_factor", "3")]),
            compaction: map(&[("class", "TimeWindowCompactionStrategy")]),
            ..good.clone()
        };
        let windows = check(&simple, &settings, 3);
        assert_eq!(windows.len(), 1);
        assert!(windows[0].contains("TimeWindowCompactionStrategy") && windows[0].contains("ALTER TABLE ks.features"));

        let expires = Options { ttl_seconds: 60, ..good }.check(&settings, "dc", 1).unwrap_err().to_string();
        assert!(expires.contains("60 s") && expires.ends_with("ALTER TABLE ks.features WITH default_time_to_live = 0"));
    }
}
