//! A server over a fake store: two views, one service, a clock that stands still.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use freshet_config::definitions::{
    Aggregate, Column, Definitions, Derived, Entity, Feature, Function, Mode, PlanId, Realtime, RequestField, Service,
    ServiceFeature, Source, Sql, Stream, View, Window,
};
use freshet_config::diagnostic::{Diagnostics, Place};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::DataType;
use freshet_operators::derived::compile_services;
use freshet_operators::lookup::ServicePlan;
use freshet_operators::view::{FeaturePlan, ViewPlan};
use freshet_serving::{
    Catalog, Clock, EngineStats, Ingest, IngestError, IngestReport, KeyReads, Limits, MetricsSource, RecordRejection,
    RowSink, RowStore, Server, ServerConfig, ServingState, StatsSource, StoreError,
};
use tokio::sync::Semaphore;

use crate::client::Client;

pub const GET: &str = "/api/v1/feature-service/get-features";
pub const BATCH: &str = "/api/v1/feature-service/get-features-batch";
pub const METADATA: &str = "/api/v1/feature-service/metadata";

/// 2026-01-01T00:00:30Z.
pub const NOW: EventTime = EventTime::from_micros(1_767_225_630_000_000);

pub struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> EventTime {
        NOW
    }
}

/// Rows by view and key. Some keys make the store misbehave.
pub struct FakeStore {
    rows: HashMap<(usize, Vec<u8>), Vec<u8>>,
    /// Reads of the key 500 wait for a permit.
    pub gate: Arc<Semaphore>,
    /// How many reads came to the gate.
    pub waiting: Arc<AtomicUsize>,
    pub keys_seen: Arc<Mutex<HashSet<Vec<u8>>>>,
}

pub const PANIC_KEY: i64 = 501;
pub const DOWN_KEY: i64 = 503;
pub const GATE_KEY: i64 = 500;

impl RowStore for FakeStore {
    async fn get_many(&self, reads: &KeyReads, rows: &mut RowSink) -> Result<(), StoreError> {
        for (index, (view, key)) in reads.iter().enumerate() {
            self.keys_seen.lock().unwrap().insert(key.to_vec());
            let id = key.first_chunk::<8>().map_or(0, |bytes| i64::from_le_bytes(*bytes));
            match id {
                PANIC_KEY => panic!("the store was asked to panic"),
                DOWN_KEY => return Err(StoreError::Unavailable("no node answers".into())),
                GATE_KEY => {
                    self.waiting.fetch_add(1, Ordering::SeqCst);
                    self.gate.acquire().await.unwrap().forget();
                }
                _ => {}
            }
            if let Some(row) = self.rows.get(&(view, key.to_vec())) {
                rows.found(index, row);
            }
        }
        Ok(())
    }
}

/// Takes every record that has `"ok":true`; remembers what it took.
#[derive(Default)]
pub struct FakeLog {
    pub taken: Mutex<Vec<(String, String)>>,
}

impl Ingest for FakeLog {
    fn ingest(&self, source: &str, records: &[&str], dry_run: bool) -> Result<IngestReport, IngestError> {
        if records.iter().any(|record| record.contains("busy")) {
            return Err(IngestError::Busy { retry_after_seconds: 7 });
        }
        if records.iter().any(|record| record.contains("full")) {
            return Err(IngestError::StorageFull("0 bytes left".into()));
        }
        assert!(!records.iter().any(|record| record.contains("panic")), "the log was asked to panic");
        let mut report = IngestReport::default();
        for (index, record) in records.iter().enumerate() {
            if record.contains("\"ok\":true") {
                report.accepted += 1;
                if !dry_run {
                    self.taken.lock().unwrap().push((source.to_string(), record.to_string()));
                }
            } else {
                let message = "field `ts` is missing".to_string();
                report.rejected.push(RecordRejection { index, code: "EV-TIME".into(), message });
            }
        }
        Ok(report)
    }
}

pub struct FakeEngine;

impl StatsSource for FakeEngine {
    fn stats(&self) -> EngineStats {
        EngineStats { events_per_second: Some(1234.0), ..EngineStats::default() }
    }
}

impl MetricsSource for FakeEngine {
    fn render(&self, out: &mut String) {
        out.push_str("# TYPE freshet_state_bytes gauge\nfreshet_state_bytes{view=\"spend\"} 42\n");
    }
}

fn column(name: &str, data_type: DataType) -> Column {
    Column { name: name.into(), data_type }
}

fn view(name: &str, entity: usize, mode: Mode) -> View {
    let window = Window { size: Span::from_secs(3600), offset: Span::ZERO };
    let aggregate = |name: &str, function| Aggregate {
        name: name.into(),
        function,
        of: None,
        order: None,
        filter: None,
        windows: vec![window],
        place: Place::default(),
    };
    let feature = |name: &str, aggregate| Feature { name: name.into(), aggregate, window: 0, series: None };
    View {
        name: name.into(),
        served_as: name.into(),
        source: 0,
        entity,
        key_columns: Vec::new(),
        filter: None,
        mode,
        group: None,
        attributes: false,
        aggregates: vec![aggregate("sum", Function::Sum), aggregate("count", Function::Count)],
        features: vec![feature("sum_1h", 0), feature("count_1h", 1)],
        online: true,
        offline: false,
        serving_ttl: None,
        feature_start: None,
        lifetime_start: None,
        owner: None,
        description: Some("money \"spent\"".into()),
        tags: vec![("team".into(), "fraud".into())],
        place: Place::default(),
    }
}

fn source(name: &str, stream: Option<Stream>) -> Source {
    Source {
        name: name.into(),
        stream,
        history: None,
        changes_of: None,
        schema: vec![column("ts", DataType::Timestamp)],
        event_time: 0,
        dedup_key: None,
        tie_breaker: None,
        lateness: Span::ZERO,
        changelog: None,
        explode: None,
        enrich: Vec::new(),
        select: Vec::new(),
        place: Place::default(),
    }
}

fn definitions() -> Definitions {
    let feature = |view, feature| ServiceFeature::View { view, feature };
    Definitions {
        sources: vec![
            source("payments", Some(Stream::Log)),
            source("history", None),
            source("clicks", Some(Stream::Log)),
        ],
        dimensions: Vec::new(),
        entities: vec![
            Entity { name: "user".into(), keys: vec![column("user_id", DataType::Int64)] },
            Entity { name: "card".into(), keys: vec![column("card", DataType::String)] },
        ],
        views: vec![view("spend", 0, Mode::Continuous), view("cards", 1, Mode::Interval(Span::from_secs(60)))],
        realtime: Vec::new(),
        services: vec![Service {
            name: "fraud".into(),
            features: vec![feature(0, 0), feature(1, 1), feature(0, 1)],
            request: Vec::new(),
            derived: Vec::new(),
            description: None,
            place: Place::default(),
        }],
    }
}

fn plan(view: &View) -> Arc<ViewPlan> {
    let feature = |feature: &Feature| {
        let function = view.aggregates[feature.aggregate].function;
        let data_type = if function == Function::Count { DataType::Int64 } else { DataType::Float64 };
        FeaturePlan {
            name: feature.name.clone(),
            function,
            column: None,
            summary: None,
            window: 0,
            series: Vec::new(),
            data_type: data_type.into(),
        }
    };
    Arc::new(ViewPlan {
        name: view.name.clone(),
        mode: view.mode,
        windows: view.aggregates[0].windows.clone(),
        columns: Vec::new(),
        features: view.features.iter().map(feature).collect(),
        summaries: Vec::new(),
        feature_start: None,
        lifetime_start: None,
        expiry: None,
        retracts: false,
        answers_back: None,
        plan_id: PlanId(7),
        categories: None,
    })
}

pub fn catalog(workspace: &str) -> Catalog {
    catalog_of(workspace, &definitions())
}

fn catalog_of(workspace: &str, definitions: &Definitions) -> Catalog {
    let plans: Vec<Option<Arc<ViewPlan>>> = definitions.views.iter().map(|view| Some(plan(view))).collect();
    let mut errors = Diagnostics::default();
    let services: Vec<Arc<ServicePlan>> =
        compile_services(definitions, &plans, &mut errors).into_iter().map(Arc::new).collect();
    assert!(errors.is_empty(), "{errors}");
    Catalog::new(workspace, definitions, &services)
}

/// The catalog with one more service, `scored`, that derives features from a request and from counts it does not list.
fn scored_catalog() -> Catalog {
    let field =
        |(name, data_type): (&str, DataType)| RequestField { name: name.into(), data_type, place: Place::default() };
    let derived = |(name, data_type, text): (&str, DataType, &str)| Derived {
        name: name.into(),
        data_type,
        sql: Sql { text: text.into(), place: Place::default() },
    };
    let mut definitions = definitions();
    definitions.realtime.push(Realtime {
        name: "ratios".into(),
        request: [("amount", DataType::Float64), ("n", DataType::Int64)].map(field).to_vec(),
        features: [("share", DataType::Float64, "request.amount / request.n")].map(derived).to_vec(),
        owner: None,
        description: Some("parts of wholes".into()),
        tags: vec![("team".into(), "risk".into())],
        place: Place::default(),
    });
    let request = [("amount", DataType::Float64), ("label", DataType::String), ("at", DataType::Timestamp)];
    let features = [
        ("next", DataType::Float64, "derived.doubled + 1"),
        ("doubled", DataType::Float64, "request.amount * 2"),
        ("whole", DataType::Int64, "10 / request.n"),
        ("seen", DataType::Int64, "spend.count_1h + 1"),
        ("shout", DataType::String, "upper(request.label)"),
        ("late", DataType::Bool, "request_timestamp > request.at"),
        ("half", DataType::Float64, "ratios.share / 2"),
    ];
    definitions.services.push(Service {
        name: "scored".into(),
        features: vec![
            ServiceFeature::View { view: 0, feature: 0 },
            ServiceFeature::Realtime { realtime: 0, feature: 0 },
        ],
        request: request.map(field).to_vec(),
        derived: features.map(derived).to_vec(),
        description: None,
        place: Place::default(),
    });
    catalog_of("prod", &definitions)
}

/// A running server and the parts behind it.
pub struct Fixture {
    pub server: Server,
    pub state: Arc<ServingState<FakeStore>>,
    pub log: Arc<FakeLog>,
    pub gate: Arc<Semaphore>,
    pub waiting: Arc<AtomicUsize>,
    pub keys_seen: Arc<Mutex<HashSet<Vec<u8>>>>,
}

impl Fixture {
    pub fn new() -> Fixture {
        Fixture::with(Limits::default())
    }

    /// With the service `scored`, which takes `amount`, `label`, `at` and `n`.
    pub fn scored() -> Fixture {
        Fixture::serving(scored_catalog(), Limits::default())
    }

    pub fn with(limits: Limits) -> Fixture {
        Fixture::serving(catalog("prod"), limits)
    }

    fn serving(catalog: Catalog, limits: Limits) -> Fixture {
        let (log, gate) = (Arc::new(FakeLog::default()), Arc::new(Semaphore::new(0)));
        let (waiting, keys_seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::default()));
        let rows = HashMap::from([((0, 1i64.to_le_bytes().to_vec()), b"row".to_vec())]);
        let store = FakeStore { rows, gate: gate.clone(), waiting: waiting.clone(), keys_seen: keys_seen.clone() };
        let state = ServingState::new(catalog, store, Arc::new(FixedClock))
            .with_ingest(log.clone())
            .with_stats(Arc::new(FakeEngine));
        state.metrics.register(Arc::new(FakeEngine));
        let state = Arc::new(state);
        let config = ServerConfig { listen: "127.0.0.1:0".parse().unwrap(), threads: 2, limits };
        let server = Server::bind(config, state.clone()).unwrap();
        Fixture { server, state, log, gate, waiting, keys_seen }
    }

    pub fn client(&self) -> Client {
        Client::new(self.server.local_addr())
    }

    /// Returns once `count` reads wait at the gate.
    pub fn await_waiting(&self, count: usize) {
        while self.waiting.load(Ordering::SeqCst) < count {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A lookup of one row; `more` are further parameters, each beginning with a comma.
pub fn lookup(user: &str, more: &str) -> String {
    format!(
        "{{\"params\":{{\"workspaceName\":\"prod\",\"featureServiceName\":\"fraud\",\
         \"joinKeyMap\":{{\"user_id\":{user},\"card\":\"c1\"}}{more}}}}}"
    )
}
