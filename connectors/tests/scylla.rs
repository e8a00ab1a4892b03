//! The ScyllaDB store against a real Cassandra node, which keeps the same promises about timestamps.

#[path = "../../tests/services/mod.rs"]
mod services;

use std::time::Duration;

use freshet_config::rows::RowBatch;
use freshet_config::time::Epoch;
use freshet_connectors::store::{Lookup, OnlineStore, Replication, ScyllaSettings, ScyllaStore, StoreError};
use services::Service;

const VIEWS: [&str; 2] = ["card_velocity", "merchant_risk"];

/// Patient with a node that shares two cores with a build.
fn settings(node: String, keyspace: &str, workspace: &str) -> ScyllaSettings {
    ScyllaSettings {
        read_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(10),
        ..ScyllaSettings::new(vec![node], keyspace, workspace)
    }
}

fn connect(settings: ScyllaSettings) -> Result<OnlineStore, StoreError> {
    ScyllaStore::connect(settings, &VIEWS.map(String::from)).map(OnlineStore::Scylla)
}

fn batch(view: usize, epoch: u64, rows: &[(&[u8], &[u8])]) -> RowBatch {
    let mut batch = RowBatch::new(view, Epoch::from_micros(epoch));
    for (key, row) in rows {
        batch.push(key, |out| out.extend_from_slice(row));
    }
    batch
}

/// The rows of the lookups, in their order.
async fn get_many(store: &OnlineStore, lookups: &[(usize, &[u8])]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    let lookups: Vec<Lookup<'_>> = lookups.iter().map(|&(view, key)| Lookup { view, key }).collect();
    let mut rows = vec![None; lookups.len()];
    let mut calls = vec![0; lookups.len()];
    let mut found = |index: usize, row: Option<&[u8]>| {
        rows[index] = row.map(<[u8]>::to_vec);
        calls[index] += 1;
    };
    store.get_many(&lookups, &mut found).await?;
    assert!(calls.iter().all(|calls| *calls == 1), "every lookup is answered once: {calls:?}");
    Ok(rows)
}

/// What a serving thread does: reads on a runtime of its own.
fn read(store: &OnlineStore, lookups: &[(usize, &[u8])]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(get_many(store, lookups))
}

#[test]
fn rows_are_kept_by_version_and_found_by_key() {
    let node = Service::cassandra();
    let store = connect(settings(node.address(), "versions", "live")).unwrap();

    // Epochs out of order: the greatest stays, and the same one may be written again.
    store.upsert_blocking(&batch(0, 5, &[(b"k", b"five")])).unwrap();
    store.upsert_blocking(&batch(0, 7, &[(b"k", b"seven")])).unwrap();
    store.upsert_blocking(&batch(0, 6, &[(b"k", b"six"), (b"only six", b"6")])).unwrap();
    store.upsert_blocking(&batch(0, 7, &[(b"k", b"seven")])).unwrap();
    let none: Option<Vec<u8>> = None;
    let some = |text: &[u8]| Some(text.to_vec());
    assert_eq!(read(&store, &[(0, b"k"), (0, b"only six")]).unwrap(), [some(b"seven"), some(b"6")]);

    // Views and workspaces do not meet, and empty keys' and rows' bytes are bytes.
    store.upsert_blocking(&batch(1, 1, &[(b"k", b""), (&[0, 255], &[255, 0, 1])])).unwrap();
    let lookups: [(usize, &[u8]); 4] = [(1, &[0, 255]), (1, b"absent"), (1, b"k"), (0, b"k")];
    assert_eq!(read(&store, &lookups).unwrap(), [some(&[255, 0, 1]), none.clone(), some(b""), some(b"seven")]);
    let other = connect(settings(node.address(), "versions", "other")).unwrap();
    assert_eq!(read(&other, &[(0, b"k"), (1, b"k")]).unwrap(), [none.clone(), none.clone()]);

    // More rows than may be under way at once, in one batch.
    let keys: Vec<[u8; 4]> = (0..1_000u32).map(u32::to_le_bytes).collect();
    let rows: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &key[..])).collect();
    store.upsert_blocking(&batch(1, 9, &rows)).unwrap();
    let lookups: Vec<(usize, &[u8])> = keys.iter().map(|key| (1, &key[..])).collect();
    let expected: Vec<Option<Vec<u8>>> = keys.iter().map(|key| some(key)).collect();
    assert_eq!(read(&store, &lookups).unwrap(), expected);
    assert_eq!(store.state().rows, 4 + 1 + 2 + 1_000);

    // A renumbering of views changes nothing: rows are kept by the view's name.
    let turned = [VIEWS[1], VIEWS[0]].map(String::from);
    let turned = ScyllaStore::connect(settings(node.address(), "versions", "live"), &turned).unwrap();
    assert_eq!(read(&OnlineStore::Scylla(turned), &[(1, b"k")]).unwrap(), [some(b"seven")]);

    // Rows with a time to live go; the store's default keeps them.
    let brief = ScyllaSettings { ttl_seconds: 1, ..settings(node.address(), "versions", "brief") };
    let brief = connect(brief).unwrap();
    brief.upsert_blocking(&batch(0, 1, &[(b"k", b"gone soon")])).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while read(&brief, &[(0, b"k")]).unwrap()[0].is_some() {
        assert!(std::time::Instant::now() < deadline, "a row outlived its second");
        std::thread::sleep(Duration::from_millis(200));
    }

    // Mistakes of the caller are answered, not written.
    let error = store.upsert_blocking(&batch(2, 1, &[(b"k", b"")])).unwrap_err().to_string();
    assert!(error.contains("2 views") && error.contains("view 2"), "{error}");
    let error = store.upsert_blocking(&batch(0, u64::MAX, &[(b"k", b"")])).unwrap_err().to_string();
    assert!(error.contains("18446744073709551615"), "{error}");

    schemas_are_checked(&node);
}

/// A keyspace that may not be created, a table that may not be, and a table of somebody else's.
fn schemas_are_checked(node: &Service) {
    let strict = |keyspace| ScyllaSettings { create: false, ..settings(node.address(), keyspace, "live") };
    let error = connect(strict("absent")).unwrap_err().to_string();
    assert!(error.contains("`absent` does not exist"), "{error}");
    assert!(error.contains("'class': 'NetworkTopologyStrategy', 'datacenter1': 1"), "{error}");
    connect(strict("versions")).expect("what exists needs no permission");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let session = scylla::client::session_builder::SessionBuilder::new().known_node(node.address());
        let session = session.build().await.unwrap();
        let simple = "WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}";
        for statement in [
            format!("CREATE KEYSPACE bare {simple}"),
            format!("CREATE KEYSPACE taken {simple}"),
            "CREATE TABLE taken.features (ws text, fv text, entity text, payload blob, PRIMARY KEY (ws, fv))".into(),
        ] {
            session.query_unpaged(statement, ()).await.unwrap();
        }
        // Also from inside a runtime nothing panics: the client brings its own.
        let error = connect(strict("bare")).unwrap_err().to_string();
        assert!(error.contains("`bare.features` does not exist") && error.contains("CREATE TABLE"), "{error}");
        let error = connect(settings(node.address(), "taken", "live")).unwrap_err().to_string();
        assert!(error.contains("`taken.features`") && error.contains("fv text clustering"), "{error}");
        // The statement in the message is what mends it.
        session.query_unpaged("ALTER TABLE versions.features WITH default_time_to_live = 60", ()).await.unwrap();
        let error = connect(strict("versions")).unwrap_err().to_string();
        assert!(error.contains("a default time to live of 60 s"), "{error}");
        let (_, statement) = error.split_once("type in cqlsh: ").expect("a statement");
        session.query_unpaged(statement, ()).await.unwrap();
        connect(strict("versions")).unwrap();
        let simple = ScyllaSettings {
            replication: Replication::Simple { copies: 1 },
            ..settings(node.address(), "ring", "live")
        };
        let ring = connect(simple).unwrap();
        ring.upsert_blocking(&batch(0, 1, &[(b"k", b"v")])).unwrap();
        assert_eq!(get_many(&ring, &[(0, b"k")]).await.unwrap(), [Some(b"v".to_vec())]);
    });
}

#[test]
fn writes_wait_for_a_node_that_crashed() {
    let mut node = Service::cassandra();
    let store = connect(settings(node.address(), "crashes", "live")).unwrap();
    store.upsert_blocking(&batch(0, 1, &[(b"before", b"1")])).unwrap();
    node.kill();

    let error = read(&store, &[(0, b"before")]).unwrap_err();
    assert!(matches!(error, StoreError::ReadUnavailable { .. }), "{error}");
    std::thread::scope(|scope| {
        let write = scope.spawn(|| store.upsert_blocking(&batch(0, 2, &[(b"during", b"2"), (b"before", b"2")])));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!write.is_finished(), "a write was answered by a node that is down");
        node.start();
        write.join().expect("the writer").expect("the write is taken after the restart");
    });
    // The pool may be half built again: the read is repeated as a client would.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let rows = loop {
        match read(&store, &[(0, b"before"), (0, b"during")]) {
            Ok(rows) => break rows,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(rows, [Some(b"2".to_vec()), Some(b"2".to_vec())]);

    // Patience ends, and so does a store that is closed.
    let hasty = ScyllaSettings { write_patience: Duration::ZERO, ..settings(node.address(), "crashes", "live") };
    let hasty = connect(hasty).unwrap();
    node.kill();
    let error = hasty.upsert_blocking(&batch(1, 3, &[(b"k", b"3")])).unwrap_err().to_string();
    assert!(error.contains("`merchant_risk`") && error.contains("did not take a row"), "{error}");
    let OnlineStore::Scylla(client) = &store else { unreachable!("connected to a cluster above") };
    client.close();
    let error = store.upsert_blocking(&batch(0, 3, &[(b"k", b"3")])).unwrap_err();
    assert!(matches!(error, StoreError::Closed), "{error}");
}

#[test]
fn nodes_that_do_not_answer_are_named_and_waited_for() {
    let address = format!("127.0.0.1:{}", services::closed_port());
    let store = connect(settings(address.clone(), "ks", "live")).unwrap();
    let trouble = store.trouble().unwrap();
    assert!(trouble.contains(&format!("no ScyllaDB node of {address} can be reached")), "{trouble}");
    assert_eq!(store.refusal(), None);
    let error = read(&store, &[(0, b"k")]).unwrap_err();
    assert!(matches!(error, StoreError::NoNode { .. }) && error.to_string().contains(&address), "{error}");
    std::thread::scope(|scope| {
        let write = scope.spawn(|| store.upsert_blocking(&batch(0, 1, &[(b"k", b"v")])));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!write.is_finished(), "a write ended without a node");
        store.close();
        let error = write.join().expect("the writer").unwrap_err();
        assert!(matches!(error, StoreError::Closed), "{error}");
    });
}
