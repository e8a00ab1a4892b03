//! Point-in-time values from history: every feature of a service at every row of a spine, at that row's own instant.
//!
//! Law: a value is what the online reader would have given at that instant had all events of the history been there.
//! It depends on the set of events and the row's key and instant, on nothing else: not on the order of spine rows, not
//! on other rows. A key without events is an empty window: counts are 0, everything else is null.
//!
//! ```text
//! spine -> keys and instants -+
//!                             v
//! history -> enrich -> compute -> project -> events of the spine's keys, in order -> fold per (key, view, instant)
//!                                                                                    -> derived features, by rows
//! ```
//!
//! Everything needed is held in memory: the spine, the values made for it, and the events of its keys that some window
//! can reach. A dimension is its `table`, as it would be at the end of all changes if there were none.

mod categories;
mod changes;
mod columns;
mod error;
mod errors;
mod evaluate;
mod history;
mod join;
mod retained;
mod spine;
mod table;
mod write;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use freshet_config::arrays::feature_arrow_type;
use freshet_config::diagnostic::suggestion;
use freshet_operators::lookup::ServicePlan;

use crate::plan::Plan;
use columns::FeatureColumn;
pub use error::DatasetError;
use evaluate::Request;
use history::Reading;
use spine::Spine;

/// What to make a dataset of, as plain paths and names.
#[derive(Clone, Debug, Default)]
pub struct DatasetOptions {
    /// The directory of definitions.
    pub definitions: PathBuf,
    pub service: String,
    /// A `.parquet`, `.csv`, `.ndjson` or `.jsonl` file, or a directory of Parquet files.
    pub spine: PathBuf,
    /// Written whole or not at all; its ending decides the format.
    pub out: PathBuf,
    /// The spine's column of instants; `None`: see [`Dataset::build`].
    pub time_column: Option<String>,
}

/// What was done, and what was left out on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetReport {
    /// Rows of the spine, and of the dataset.
    pub rows: usize,
    pub views: usize,
    pub features: usize,
    /// Events of the histories, those below included.
    pub events: u64,
    /// Rows of the histories that are no events, by source and code, in the order they were met.
    pub refused: Vec<RefusedEvents>,
    /// Events whose `dedup_key` came before.
    pub duplicates: u64,
    /// Results of SQL that could not be computed and are null, and why the first of them could not.
    pub failed_expressions: u64,
    pub first_failure: Option<String>,
    /// Values that cannot be given and are null, by feature and reason: of the service's features in their order, then of
    /// those that something is derived from.
    pub errors: Vec<FailedValues>,
}

impl DatasetReport {
    /// Values of the dataset that cannot be given.
    pub fn failed_values(&self) -> u64 {
        self.errors.iter().filter(|errors| errors.served).map(|errors| errors.count).sum()
    }

    /// Rows of the histories that are no events.
    pub fn refused_events(&self) -> u64 {
        self.refused.iter().map(|refused| refused.count).sum()
    }

    /// Place and sentence of the first of them.
    pub fn first_refusal(&self) -> Option<&str> {
        self.refused.first().map(|refused| refused.first.as_str())
    }
}

/// Rows of one source's history that are no events, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEvents {
    pub source: String,
    /// Such as `EV-RANGE`.
    pub code: &'static str,
    pub count: u64,
    /// Place and sentence of the first.
    pub first: String,
}

/// Values of one feature that cannot be given, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedValues {
    /// As it is served.
    pub feature: String,
    /// Whether it is a column of the dataset; others are only read for what is derived from them.
    pub served: bool,
    pub reason: String,
    pub count: u64,
    /// The first row of the spine with it, counted from 1.
    pub first_row: usize,
}

/// Features of a service at every row of a spine.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The spine's columns as they were, then `{view}__{feature}` per feature of the service, derived ones included.
    pub schema: SchemaRef,
    /// Rows in the spine's order.
    pub batches: Vec<RecordBatch>,
    pub report: DatasetReport,
}

/// Loads and compiles the definitions, builds the dataset and writes it.
pub fn run(options: &DatasetOptions) -> Result<DatasetReport, DatasetError> {
    write::check(&options.out, &options.spine)?;
    let definitions = freshet_config::load(&options.definitions)?;
    let plan = Plan::compile(definitions, &options.definitions)?;
    let dataset = Dataset::build(&plan, &options.service, &options.spine, options.time_column.as_deref())?;
    dataset.write(&options.out)?;
    Ok(dataset.report)
}

impl Dataset {
    /// `spine` holds the service's join keys and request fields, and one column of instants: `time_column`, or the only
    /// column of timestamps that is no join key and no request field, or of several the one called `timestamp`, `time` or `event_time` (in CSV and
    /// NDJSON, which have no types, of any kind of column). Instants finer than a microsecond are cut. Other columns
    /// pass through.
    pub fn build(plan: &Plan, service: &str, spine: &Path, time_column: Option<&str>) -> Result<Dataset, DatasetError> {
        let service = find(plan, service)?;
        check_histories(plan, service)?;
        Dataset::at(plan, service, Spine::read(spine, &service.join_keys, &service.request, time_column)?)
    }

    /// As [`Dataset::build`], with the rows of `spine` in memory.
    pub fn build_on(
        plan: &Plan,
        service: &str,
        spine: RecordBatch,
        time_column: &str,
    ) -> Result<Dataset, DatasetError> {
        let service = find(plan, service)?;
        check_histories(plan, service)?;
        Dataset::at(plan, service, Spine::of_rows(spine, &service.join_keys, &service.request, time_column)?)
    }

    fn at(plan: &Plan, service: &ServicePlan, spine: Spine) -> Result<Dataset, DatasetError> {
        let schema = schema(&spine, service)?;
        let mut report = DatasetReport {
            rows: spine.rows(),
            views: service.views.len(),
            features: service.features.len(),
            ..DatasetReport::default()
        };
        let reads = service.reads();
        let types = reads.iter().filter_map(|place| service.feature_type(*place));
        let mut columns: Vec<FeatureColumn> = types.map(|of| FeatureColumn::new(of, spine.rows())).collect();
        let mut counted = BTreeSet::new();
        for pipeline in &plan.pipelines {
            let requests = Request::of_pipeline(plan, service, pipeline, &spine);
            if !requests.is_empty() {
                let mut reading = Reading { report: &mut report, counted };
                let retained = history::read(plan, pipeline, &requests, &mut reading)?;
                counted = reading.counted;
                for (request, events) in requests.iter().zip(retained) {
                    evaluate::evaluate(request, events, &spine, &mut columns)?;
                }
            }
        }
        columns.iter_mut().for_each(FeatureColumn::settle);
        let (batches, errors) = join::join(&schema, &spine, service, &columns)?;
        Ok(Dataset { schema, batches, report: DatasetReport { errors, ..report } })
    }

    /// Writes a `.parquet`, `.csv`, `.ndjson` or `.jsonl` file, which appears whole or not at all.
    pub fn write(&self, out: &Path) -> Result<(), DatasetError> {
        write::write(self, out)
    }
}

fn find<'p>(plan: &'p Plan, name: &str) -> Result<&'p Arc<ServicePlan>, DatasetError> {
    plan.services.iter().find(|service| service.name == name).ok_or_else(|| DatasetError::UnknownService {
        name: name.to_string(),
        hint: suggestion(name, plan.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>()),
    })
}

fn check_histories(plan: &Plan, service: &ServicePlan) -> Result<(), DatasetError> {
    for lookup in &service.views {
        let mut source = &plan.definitions.sources[plan.definitions.views[lookup.view].source];
        // Changes follow from the history of their view's source.
        while let Some(changes) = &source.changes_of {
            source = &plan.definitions.sources[plan.definitions.views[changes.view].source];
        }
        if source.history.is_none() {
            let (source_name, view) = (source.name.clone(), lookup.plan.name.clone());
            return Err(DatasetError::NoHistory { source_name, view, service: service.name.clone() });
        }
    }
    Ok(())
}

fn schema(spine: &Spine, service: &ServicePlan) -> Result<SchemaRef, DatasetError> {
    let mut fields: Vec<Arc<Field>> = spine.schema.fields().iter().cloned().collect();
    for feature in &service.features {
        let name = column_name(&feature.name);
        if spine.schema.index_of(&name).is_ok() {
            return Err(DatasetError::NameTaken { spine: spine.path.clone(), name });
        }
        fields.push(Arc::new(Field::new(name, feature_arrow_type(&feature.data_type), true)));
    }
    Ok(Arc::new(Schema::new_with_metadata(fields, spine.schema.metadata().clone())))
}

/// `{view}__{feature}` for `{view}.{feature}`, the view by its user's name.
fn column_name(served: &str) -> String {
    served.replacen('.', "__", 1)
}
