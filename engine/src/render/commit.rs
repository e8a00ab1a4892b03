//! Rows leave the dataflow: to the online store, and with their values to offline files.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use freshet_config::rows::RowBatch;
use freshet_config::time::{Epoch, EventTime};
use freshet_config::value::{Value, decode_key};
use freshet_connectors::offline::{OfflineError, OfflineView, OfflineWriter, Roll};
use freshet_connectors::store::{OnlineStore, StoreError};
use freshet_operators::row::Reader;
use freshet_operators::windows::{Control, Rows};
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use crate::plan::Plan;
use crate::progress::Failure;

/// Where rows go. Shared by all workers.
pub struct Sinks {
    plan: Arc<Plan>,
    store: Arc<OnlineStore>,
    /// By view: those that are kept offline.
    offline: BTreeMap<usize, Mutex<ViewFiles>>,
    failure: Arc<Failure>,
}

struct ViewFiles {
    writer: OfflineWriter,
    reader: Reader,
}

/// Offline files are closed at this size, or when they span this much time.
const ROLL: Roll = Roll { bytes: 64 << 20, span: freshet_config::time::Span::from_secs(600) };

impl Sinks {
    /// Opens the offline files of every view that asks for them, under `offline`.
    pub fn open(
        plan: Arc<Plan>,
        store: Arc<OnlineStore>,
        offline: &std::path::Path,
        failure: Arc<Failure>,
    ) -> Result<Sinks, OfflineError> {
        let mut files = BTreeMap::new();
        for (index, view) in plan.definitions.views.iter().enumerate().filter(|(_, v)| v.offline) {
            let features = plan.views[index].features.iter();
            let shape = OfflineView {
                name: view.name.clone(),
                keys: plan.definitions.entities[view.entity].keys.clone(),
                features: features.map(|f| (f.name.clone(), f.data_type.clone())).collect(),
            };
            let writer = OfflineWriter::open(offline, shape, ROLL)?;
            files.insert(index, Mutex::new(ViewFiles { writer, reader: Reader::new(&plan.views[index]) }));
        }
        Ok(Sinks { plan, store, offline: files, failure })
    }

    /// The last epoch that offline files of an earlier process hold.
    pub fn last_epoch(&self) -> Epoch {
        let last = |files: &Mutex<ViewFiles>| files.lock().unwrap_or_else(PoisonError::into_inner).writer.last_epoch();
        self.offline.values().map(last).max().unwrap_or_default()
    }

    /// `known_at`: the instant of the epoch, which its number is not.
    fn write(&self, rows: &RowBatch, known_at: EventTime) {
        if self.failure.is_set() {
            return;
        }
        if self.plan.definitions.views[rows.view].online {
            match self.store.upsert_blocking(rows) {
                // Whoever closes it ends the process, and the next one writes a row of every live key.
                Ok(()) | Err(StoreError::Closed) => {}
                Err(error) => self.failure.set(error.to_string()),
            }
        }
        if let Err(error) = self.write_offline(rows, known_at) {
            self.failure.of_offline(&error);
        }
    }

    fn write_offline(&self, rows: &RowBatch, known_at: EventTime) -> Result<(), OfflineError> {
        let Some(files) = self.offline.get(&rows.view) else { return Ok(()) };
        let plan = &self.plan.views[rows.view];
        let entity = self.plan.definitions.views[rows.view].entity;
        let types: Vec<_> = self.plan.definitions.entities[entity].keys.iter().map(|k| k.data_type).collect();
        let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
        let ViewFiles { writer, reader } = &mut *files;
        let mut values = Vec::new();
        for (key, row) in rows.iter() {
            let Some(keys) = decode_key(&types, key) else { continue };
            let Ok(from) = freshet_operators::row::as_of(plan, row) else { continue };
            values.clear();
            reader.read(plan, Some(row), from, &mut values);
            let values: Vec<Value> = values.iter().map(|v| v.value.clone()).collect();
            writer.append(&keys, from, known_at, &values)?;
        }
        Ok(())
    }

    /// Closes offline files that are full or old; with `all`, every one.
    pub fn flush(&self, through: Epoch, all: bool) {
        // What a failure took away is no file's end.
        if self.failure.is_set() {
            return;
        }
        for files in self.offline.values() {
            let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
            if (all || files.writer.due(through))
                && let Err(error) = files.writer.flush_through(through)
            {
                self.failure.of_offline(&error);
            }
        }
    }
}

/// Writes every batch of rows; gives an empty stream to watch for progress.
pub(super) fn commit<'s>(
    rows: Stream<'s, u64, Rows>,
    sinks: Arc<Sinks>,
    control: Rc<RefCell<Control>>,
) -> Stream<'s, u64, Rows> {
    rows.unary::<NoopBuilder<Rows>, _, _, _>(Pipeline, "Commit", move |_, _| {
        move |input, _output| {
            input.for_each(|_, rows| {
                let Rows(rows) = std::mem::take(rows);
                let instant = control.borrow().closed_instant(rows.epoch.micros());
                sinks.write(&rows, EventTime::from_micros(instant));
            });
        }
    })
}
