//! A server whose store gives back other bytes than were written: every lookup is answered, and says ERROR where a value
//! cannot be given.

#[path = "../engine/tests/damaged_rows/corpus.rs"]
mod corpus;
#[path = "../engine/tests/running/mod.rs"]
mod running;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use corpus::{KEYS, Stored, corpus};
use freshet_config::time::EventTime;
use freshet_config::value::{Value as Key, encode_key};
use freshet_serving::{
    Catalog, Clock, KeyReads, Limits, RowSink, RowStore, Server, ServerConfig, ServingState, StoreError,
};
use running::{Random, SECOND, START};
use serde_json::{Value, json};

/// Rows by view and key.
type Rows = HashMap<(usize, Vec<u8>), Vec<u8>>;

#[derive(Clone, Default)]
struct Damaged(Arc<Mutex<Rows>>);

impl RowStore for Damaged {
    async fn get_many(&self, reads: &KeyReads, rows: &mut RowSink) -> Result<(), StoreError> {
        let stored = self.0.lock().expect("nobody panicked");
        for (index, (view, key)) in reads.iter().enumerate() {
            if let Some(row) = stored.get(&(view, key.to_vec())) {
                rows.found(index, row);
            }
        }
        Ok(())
    }
}

/// When the rows were written.
struct Then;

impl Clock for Then {
    fn now(&self) -> EventTime {
        EventTime::from_micros(START + 3 * 3_600 * SECOND + 2_000 * SECOND)
    }
}

fn key_bytes(key: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key([&Key::Int64(key)], &mut bytes).expect("an integer is a key");
    bytes
}

/// The rows with some bytes behind their heads changed, or cut, or both; in the first round as they are.
fn damaged(rows: &[Stored], round: usize, random: &mut Random) -> Rows {
    let hurt = |stored: &Stored, random: &mut Random| {
        let mut bytes = stored.bytes.clone();
        for _ in 0..random.below(4) {
            let at = 14 + random.below(bytes.len() as u64 - 14) as usize;
            let any = random.below(256) as u8;
            bytes[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff, any]);
        }
        if random.below(8) == 0 {
            bytes.truncate(random.below(bytes.len() as u64) as usize);
        }
        bytes
    };
    rows.iter()
        .map(|stored| {
            let bytes = if round == 0 { stored.bytes.clone() } else { hurt(stored, random) };
            ((stored.view, key_bytes(stored.key)), bytes)
        })
        .collect()
}

#[test]
fn every_lookup_is_answered_whatever_the_store_holds() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (plan, rows) = corpus(directory.path());
    let store = Damaged::default();
    let catalog = Catalog::new("prod", &plan.definitions, &plan.services);
    let state = Arc::new(ServingState::new(catalog, store.clone(), Arc::new(Then)));
    let config =
        ServerConfig { listen: "127.0.0.1:0".parse().expect("an address"), threads: 1, limits: Limits::default() };
    let server = Server::bind(config, state).expect("a free port");
    let url = format!("http://{}/api/v1/feature-service/get-features", server.local_addr());
    let mut random = Random(41);
    let (mut errors, mut present) = (0, 0);
    for round in 0..40 {
        *store.0.lock().expect("nobody panicked") = damaged(&rows, round, &mut random);
        for key in KEYS {
            let options = match random.below(4) {
                0 => json!({"asOf": "1700-01-01T00:00:00Z"}),
                1 => json!({"asOf": "2249-12-31T23:59:59Z"}),
                _ => json!({}),
            };
            let body = json!({"params": {
                "featureServiceName": "s",
                "joinKeyMap": {"key": key.to_string()},
                "requestOptions": options,
                "metadataOptions": {"includeNames": true, "includeServingStatus": true, "includeEffectiveTimes": true},
            }});
            let answer = ureq::post(&url).header("content-type", "application/json").send(body.to_string());
            let mut answer = answer.unwrap_or_else(|error| panic!("round {round}, key {key}: {error}"));
            assert_eq!(answer.status().as_u16(), 200);
            let text = answer.body_mut().with_config().limit(1 << 28).read_to_string().expect("text");
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            let (features, values) = (&answer["metadata"]["features"], &answer["result"]["features"]);
            let features = features.as_array().expect("a list");
            assert_eq!(features.len(), plan.services[0].features.len());
            assert_eq!(values.as_array().expect("a list").len(), features.len());
            for feature in features {
                match feature["status"].as_str() {
                    Some("ERROR") if round > 0 => errors += 1,
                    Some("PRESENT") => present += 1,
                    _ => {}
                }
            }
        }
    }
    assert!(errors > 1000 && present > 1000, "{errors} errors, {present} values");
}
