//! One process of Freshet: data directory, store, ledger, engine and server, started and stopped in order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use freshet_config::settings::{KafkaSettings, StoreSettings};
use freshet_config::time::Span;
use freshet_connectors::kafka::KafkaError;
use freshet_connectors::last_epoch::LastEpochError;
use freshet_connectors::ledger::{Ledger, LedgerError};
use freshet_connectors::log::LogError;
use freshet_connectors::positions::PositionsError;
use freshet_connectors::store::{MemoryStore, OnlineStore, Replication, ScyllaSettings, ScyllaStore};
use freshet_engine::clock::Clock;
use freshet_engine::plan::Plan;
use freshet_serving::{Catalog, Server, ServerConfig, ServerError, ServingState};

use crate::adapters::{EngineClock, EngineDoor, EngineFigures, StoreRows};
use crate::data_dir::DataDir;
use crate::exit::{Failure, Status};
use crate::interrupt::Interrupt;
use crate::trouble::TroubleLog;
use freshet_engine::ingest::IntakeError;
use freshet_engine::progress::Cause;
use freshet_engine::{Engine, EngineError, EngineOptions};

/// How often the state of the engine is looked at while it loads.
const LOOK: Duration = Duration::from_millis(5);
/// What `/readyz` says while nothing stands in the way.
const LOADING: &str = "reading what was there before the start";

/// What a process is told.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    pub workspace: String,
    pub workers: usize,
    /// Shortest time between two epochs.
    pub epoch: Span,
    pub kafka: Option<KafkaSettings>,
    pub offline: PathBuf,
    pub clock: Arc<Clock>,
    pub store: StoreSettings,
    pub server: ServerConfig,
}

/// A running process.
pub struct Node {
    engine: Arc<Engine>,
    state: Arc<ServingState<StoreRows>>,
    store: Arc<OnlineStore>,
    server: Server,
    /// Of a store that outlives the process.
    filled: Option<Filled>,
    // Last, so that the directory is given up after everything that writes there.
    data_dir: DataDir,
}

/// A store that a process fills, and the views whose rows it then has.
struct Filled {
    store: String,
    views: Vec<String>,
}

impl Node {
    /// Starts everything. Lookups are answered once [`Node::await_ready`] returns, or at once where the store has the rows
    /// of a process before.
    pub fn start(plan: Arc<Plan>, data_dir: DataDir, options: NodeOptions) -> Result<Node, Failure> {
        let filled = Filled::of(&plan, &options);
        let store = Arc::new(open_store(&plan, &options)?);
        let ledger = Ledger::open(&data_dir.ledger()).map_err(ledger_failed)?;
        let ledger = Arc::new(ledger);
        let clock = options.clock.clone();
        let engine_options = EngineOptions {
            workers: options.workers,
            epoch: Duration::from_micros(options.epoch.micros().unsigned_abs()),
            data_dir: data_dir.path().to_path_buf(),
            kafka: options.kafka,
            offline: options.offline,
            clock: clock.clone(),
        };
        let engine =
            Engine::start(plan.clone(), engine_options, store.clone(), ledger.clone()).map_err(engine_failed)?;
        let engine = Arc::new(engine);
        let figures = EngineFigures {
            engine: engine.clone(),
            store: store.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
        };
        let figures = Arc::new(figures);
        let door = EngineDoor(engine.clone());
        let catalog = Catalog::new(options.workspace, &plan.definitions, &plan.services);
        let state = ServingState::new(catalog, StoreRows(store.clone()), Arc::new(EngineClock(clock)))
            .with_ingest(Arc::new(door))
            .with_stats(figures.clone());
        state.metrics.register(figures);
        state.readiness.not_ready(LOADING);
        if !filled.as_ref().is_some_and(|filled| data_dir.has_filled(&filled.store, &filled.views)) {
            state.readiness.withhold();
        }
        let state = Arc::new(state);
        let server = match Server::bind(options.server, state.clone()) {
            Ok(server) => server,
            Err(error) => {
                drop(state);
                stop_engine(engine, &store)?;
                return Err(server_failed(&error));
            }
        };
        Ok(Node { engine, state, store, server, filled, data_dir })
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Waits until what was there before the start is read, and the store is reached, and says so to `/readyz`, or until then
    /// what is waited for. `false` when the end was asked for before.
    pub fn await_ready(&self, interrupt: &Interrupt, troubles: &mut TroubleLog) -> Result<bool, Failure> {
        // Where nothing was there no row is written: that says nothing of the store.
        while !self.engine.ready() || self.store.trouble().is_some() {
            self.check()?;
            let shared = self.engine.shared();
            troubles.look(self.with_store(shared.trouble()).as_deref(), Instant::now());
            let standstill = self.with_store(shared.standstill());
            self.state.readiness.not_ready(standstill.unwrap_or_else(|| LOADING.to_string()));
            if interrupt.wait(LOOK) {
                return Ok(false);
            }
        }
        troubles.look(None, Instant::now());
        self.state.set_complete_from(self.engine.clock().now());
        self.state.readiness.ready();
        if let Some(Filled { store, views }) = &self.filled {
            self.data_dir.note_filled(store, views)?;
        }
        Ok(true)
    }

    /// Looks at a process that was ready: `/readyz` says what keeps values from being current or from being read for longer
    /// than a moment, and turns back when it is over. Lookups are answered all the same, where they can be.
    pub fn look(&self, troubles: &mut TroubleLog) -> Result<(), Failure> {
        self.check()?;
        let (shared, now) = (self.engine.shared(), Instant::now());
        troubles.look(self.with_store(shared.trouble()).as_deref(), now);
        match self.with_store(shared.standstill()) {
            Some(reason) if troubles.lasts(now) || shared.ended().is_some() => self.state.readiness.not_ready(reason),
            Some(_) => {}
            None => self.state.readiness.ready(),
        }
        Ok(())
    }

    /// What stands in the way of inputs, and of the store.
    fn with_store(&self, inputs: Option<String>) -> Option<String> {
        let store = self.store.trouble().map(|trouble| format!("{trouble}; trying again"));
        let all: Vec<String> = inputs.into_iter().chain(store).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// Whether engine and store still work; if not, `/readyz` says so too.
    pub fn check(&self) -> Result<(), Failure> {
        if let Some(reason) = self.store.refusal() {
            self.state.readiness.not_ready(reason.clone());
            return Err(Failure::unavailable(reason));
        }
        let shared = self.engine.shared();
        let Some(reason) = shared.failure.get() else { return Ok(()) };
        self.state.readiness.not_ready(reason);
        let status = match shared.failure.cause() {
            Some(Cause::Outside) => Status::Unavailable,
            Some(Cause::Disk) => Status::CannotWrite,
            Some(Cause::Data) => Status::Data,
            _ => Status::Internal,
        };
        Err(Failure::new(status, format!("the engine stopped: {reason}")))
    }

    /// Finishes what is under way: requests first, then the engine.
    pub fn stop(self) -> Result<(), Failure> {
        self.state.readiness.not_ready("stopping");
        self.server.shutdown();
        drop(self.state);
        stop_engine(self.engine, &self.store)
    }
}

impl Filled {
    fn of(plan: &Plan, options: &NodeOptions) -> Option<Filled> {
        let StoreSettings::Scylla { keyspace, .. } = &options.store else { return None };
        let views = plan.views.iter().map(|view| view.name.clone()).collect();
        Some(Filled { store: format!("keyspace {keyspace}, workspace {}", options.workspace), views })
    }
}

fn stop_engine(engine: Arc<Engine>, store: &OnlineStore) -> Result<(), Failure> {
    // The engine would wait for it.
    if let Some(trouble) = store.trouble() {
        tracing::warn!("rows that wait for the store are not written, but by the next start: {trouble}");
        store.close();
    }
    match Arc::into_inner(engine) {
        Some(engine) => engine.stop().map_err(engine_failed),
        None => Err(Failure::internal("a request still holds the engine: it was not stopped in order")),
    }
}

fn open_store(plan: &Plan, options: &NodeOptions) -> Result<OnlineStore, Failure> {
    match &options.store {
        StoreSettings::Memory { bytes } => {
            let store = MemoryStore::new(plan.views.len());
            let store = match bytes {
                Some(bytes) => store.with_budget(*bytes as u64),
                None => store,
            };
            Ok(OnlineStore::Memory(store))
        }
        StoreSettings::Scylla { nodes, keyspace, replication } => {
            let mut settings = ScyllaSettings::new(nodes.clone(), keyspace.clone(), options.workspace.clone());
            // Settings allow 1 to 16 copies.
            settings.replication =
                Replication::LocalDatacenter { copies: u8::try_from(*replication).unwrap_or(u8::MAX) };
            let views: Vec<String> = plan.views.iter().map(|view| view.name.clone()).collect();
            let store = ScyllaStore::connect(settings, &views);
            store.map(OnlineStore::Scylla).map_err(|error| Failure::unavailable(error.to_string()))
        }
    }
}

fn ledger_failed(error: LedgerError) -> Failure {
    let status = match &error {
        LedgerError::Damaged { .. } | LedgerError::Name(_) => Status::Data,
        LedgerError::Io { .. } => Status::CannotWrite,
    };
    Failure::new(status, error.to_string())
}

/// What to end with depends on who has to do something about it.
fn engine_failed(error: EngineError) -> Failure {
    let status = match &error {
        EngineError::Intake(error) => match error.as_ref() {
            IntakeError::History { .. } | IntakeError::Table { .. } | IntakeError::TableKey { .. } => Status::Data,
            IntakeError::NameTwice(_) => Status::Data,
            IntakeError::NoKafka(_) => Status::Config,
            IntakeError::Kafka { error: KafkaError::Settings(_), .. } => Status::Config,
            IntakeError::Kafka { .. } => Status::Unavailable,
            IntakeError::Log { error, .. } if error.is_locked() => Status::Busy,
            // What is there is wrong; that it cannot be written is another matter.
            IntakeError::Log { error: LogError::Damaged { .. } | LogError::Foreign { .. }, .. }
            | IntakeError::Positions(PositionsError::Damaged { .. }) => Status::Data,
            IntakeError::Log { .. } | IntakeError::Positions(_) => Status::CannotWrite,
            _ => Status::Internal,
        },
        EngineError::LastEpoch(LastEpochError::Damaged { .. }) => Status::Data,
        EngineError::Offline(_) | EngineError::LastEpoch(_) => Status::CannotWrite,
        _ => Status::Internal,
    };
    Failure::new(status, error.to_string())
}

fn server_failed(error: &ServerError) -> Failure {
    Failure::unavailable(error.to_string())
}
