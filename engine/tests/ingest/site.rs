//! A directory with definitions, data and what intakes share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use freshet_config::definitions::Definitions;
use freshet_config::settings::KafkaSettings;
use freshet_config::time::{EventTime, Span};
use freshet_connectors::events::Code;
use freshet_connectors::ledger::Ledger;
use freshet_engine::clock::Clock;
use freshet_engine::ingest::{Connections, Delivery, DimensionIntake, Intake, IntakeError, Logs, SavedPositions};
use freshet_engine::plan::Plan;
use tempfile::TempDir;

pub struct Site {
    pub dir: TempDir,
    pub plan: Plan,
    pub clock: Arc<Clock>,
    pub kafka: Option<KafkaSettings>,
    /// What a running process holds; `None` between two of them.
    open: Option<Open>,
}

struct Open {
    logs: Logs,
    ledger: Arc<Ledger>,
    positions: Arc<SavedPositions>,
}

impl Site {
    pub fn new(definitions: &str, clock: Clock) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let files = [("a.yaml".to_string(), definitions.to_string())];
        let definitions: Definitions = freshet_config::parse(&files).unwrap_or_else(|errors| panic!("{errors}"));
        let plan = Plan::compile(definitions, dir.path()).unwrap_or_else(|errors| panic!("{errors}"));
        let mut site = Site { dir, plan, clock: Arc::new(clock), kafka: None, open: None };
        site.start();
        site
    }

    pub fn start(&mut self) {
        let data = self.dir.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        self.open = Some(Open {
            logs: Logs::open(&self.plan.definitions, &data).unwrap(),
            ledger: Arc::new(Ledger::open(&data.join("ledger")).unwrap()),
            positions: Arc::new(SavedPositions::open(&data).unwrap()),
        });
    }

    /// Ends the process in good order; its intakes must be gone.
    pub fn stop(&mut self) {
        self.open.take().unwrap().positions.flush().unwrap();
    }

    fn open(&self) -> &Open {
        self.open.as_ref().unwrap()
    }

    pub fn logs(&self) -> &Logs {
        &self.open().logs
    }

    pub fn connections(&self) -> Connections<'_> {
        let open = self.open();
        Connections {
            directory: self.dir.path(),
            kafka: self.kafka.as_ref(),
            logs: &open.logs,
            positions: open.positions.clone(),
            ledger: open.ledger.clone(),
            clock: self.clock.clone(),
        }
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        let path: &Path = self.dir.path();
        path.join(name)
    }

    pub fn intake(&self) -> Intake {
        self.try_intake().unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn try_intake(&self) -> Result<Intake, IntakeError> {
        Intake::open(&self.plan, 0, &self.connections())
    }

    pub fn dimension(&self) -> DimensionIntake {
        DimensionIntake::open(&self.plan, 0, &self.connections()).unwrap()
    }

    pub fn append(&self, input: &str, records: &[String], record_time: EventTime) {
        self.logs().get(input).unwrap().append(records, record_time).unwrap();
    }

    /// The ledger's counts of one input.
    pub fn ledgered(&self, input: &str) -> Vec<(Code, u64)> {
        let counts = self.open().ledger.summary();
        counts.into_iter().filter(|count| count.source == input).map(|count| (count.code, count.count)).collect()
    }

    pub fn places(&self, input: &str) -> Vec<String> {
        let rejections = self.open().ledger.read(input, 100).unwrap();
        rejections.into_iter().rev().map(|rejection| format!("{} {}", rejection.code, rejection.place)).collect()
    }
}

/// Everything the history has.
pub fn history(intake: &mut Intake) -> Vec<Delivery> {
    std::iter::from_fn(|| intake.next_history().unwrap()).collect()
}

/// Everything the log has, in polls of `max` records.
pub fn stream(intake: &mut Intake, max: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while intake.lag() != Some(0) {
        deliveries.extend(intake.poll(max, Duration::from_secs(30)).unwrap());
    }
    deliveries
}

/// Counts add up, and the ledger has what was rejected.
pub fn assert_accounted(site: &Site, intake: &Intake) {
    let counts = intake.counts();
    assert_eq!(counts.consumed, counts.delivered + counts.rejected + counts.expired, "{counts:?}");
    let ledgered: u64 = site.ledgered(intake.name()).iter().map(|(_, count)| count).sum();
    assert_eq!(counts.rejected, ledgered);
}

pub fn micros(at: EventTime, by: i64) -> EventTime {
    at + Span::from_micros(by)
}
