//! A golden set, spec by spec: definitions made of the spec, values computed by Freshet, compared with those expected.

pub mod cells;
pub mod compare;
pub mod definitions;
pub mod excuse;
pub mod live;
pub mod spec;
pub mod subset;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use freshet_engine::dataset::Dataset;
use freshet_engine::plan::Plan;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use compare::{Comparison, Difference};
use definitions::{Made, SERVICE, VIEW};
use spec::Spec;

/// Differences shown per spec.
const SHOWN: usize = 10;

/// How values are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From history, as `freshet dataset` does.
    Dataset,
    /// Through the running engine.
    Live,
}

/// What became of one spec.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing of the spec can be declared.
    Refused { name: String, why: String },
    Compared {
        name: String,
        agreeing: usize,
        /// Of those agreeing, how many differ by what is the oracle's own: see [`excuse`].
        tied: usize,
        rounded: usize,
        ranked: usize,
        with_nulls: usize,
        recurring: usize,
        /// Those of features that the definitions refuse are not among them.
        values: usize,
        refused_values: usize,
        /// What was said of each.
        refusals: Vec<String>,
        differences: Vec<Difference>,
    },
}

impl Outcome {
    /// Whether every value was computed, and none differs.
    pub fn agrees(&self) -> bool {
        match self {
            Outcome::Refused { .. } => false,
            Outcome::Compared { agreeing, values, refusals, .. } => agreeing == values && refusals.is_empty(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Refused { name, why } => write!(f, "{name}: refused ({why})"),
            Outcome::Compared {
                name,
                agreeing,
                tied,
                rounded,
                ranked,
                with_nulls,
                recurring,
                values,
                refused_values,
                refusals,
                differences,
            } => {
                write!(f, "{name}: {agreeing} of {values} values agree")?;
                if let Some(first) = refusals.first() {
                    let features = refusals.len();
                    write!(
                        f,
                        ", {refused_values} values of {features} features were not computed, the first: {first}"
                    )?;
                }
                if *tied > 0 {
                    write!(f, ", {tied} of them another event of the same time")?;
                }
                if *rounded > 0 {
                    write!(f, ", {rounded} of them up to the oracle's single-precision partial sums")?;
                }
                if *ranked > 0 {
                    write!(f, ", {ranked} of them another value within 2 % of the rank")?;
                }
                if *with_nulls > 0 {
                    write!(f, ", {with_nulls} of them lists in which the oracle kept nulls")?;
                }
                if *recurring > 0 {
                    write!(f, ", {recurring} of them where the oracle misplaces a recurring value")?;
                }
                for difference in differences {
                    write!(f, "\n  {difference}")?;
                }
                Ok(())
            }
        }
    }
}

/// The specs of a golden set, in the order of names.
pub fn specs(directory: &Path) -> Result<Vec<Spec>, String> {
    let entries = fs::read_dir(directory).map_err(|error| format!("cannot list {}: {error}", directory.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("cannot list {}: {error}", directory.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("spec_") && name.ends_with(".json") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(format!("{} holds no spec_*.json", directory.display()));
    }
    paths.sort();
    paths.iter().map(|path| Spec::read(path)).collect()
}

/// Computes a spec and compares. Writes `OUT/NAME/features.yaml` and `OUT/NAME.parquet`.
pub fn run(directory: &Path, spec: &Spec, way: Way, out: &Path) -> Result<Outcome, String> {
    let name = spec.name.clone();
    let events = absolute(&directory.join("events.parquet"))?;
    let spine = directory.join("spine.parquet");
    let made = definitions::make(spec, &events);
    if made.features.is_empty() {
        let why = made.refusals.first().cloned().unwrap_or_default();
        return Ok(Outcome::Refused { name, why });
    }
    let definitions = out.join(&name);
    fs::create_dir_all(&definitions).map_err(|error| format!("cannot make {}: {error}", definitions.display()))?;
    let file = definitions.join("features.yaml");
    fs::write(&file, &made.yaml).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let computed = match way {
        Way::Dataset => dataset(&definitions, &spine)?,
        Way::Live => live::run(&definitions, &spine)?,
    };
    let values = renamed(&computed, &made)?;
    write(&values, &out.join(format!("{name}.parquet")))?;
    let comparison = compare::compare(directory, spec, &made, &values)?;
    Ok(outcome(spec, made, comparison))
}

fn outcome(spec: &Spec, made: Made, comparison: Comparison) -> Outcome {
    let Comparison { rows, agreeing, tied, rounded, ranked, with_nulls, recurring, mut differences } = comparison;
    differences.truncate(SHOWN);
    Outcome::Compared {
        name: spec.name.clone(),
        agreeing,
        tied,
        rounded,
        ranked,
        with_nulls,
        recurring,
        values: rows * made.features.len(),
        refused_values: rows * made.refusals.len(),
        refusals: made.refusals,
        differences,
    }
}

fn dataset(definitions: &Path, spine: &Path) -> Result<Vec<RecordBatch>, String> {
    let loaded = freshet_config::load(definitions).map_err(|errors| errors.to_string())?;
    let plan = Plan::compile(loaded, definitions).map_err(|errors| errors.to_string())?;
    let dataset = Dataset::build(&plan, SERVICE, spine, None).map_err(|error| error.to_string())?;
    // Events without a key are no one's, in the other engine too.
    if let Some(refused) = dataset.report.refused.iter().find(|refused| refused.code != "EV-KEY") {
        return Err(format!("{} events were refused, the first because {}", refused.count, refused.first));
    }
    Ok(dataset.batches)
}

/// Features under the names the spec gives them.
fn renamed(batches: &[RecordBatch], made: &Made) -> Result<Vec<RecordBatch>, String> {
    let name = |field: &Arc<Field>| {
        let feature = made.features.iter().find(|feature| *field.name() == format!("{VIEW}__{}", feature.feature));
        match feature {
            Some(feature) => Arc::new(field.as_ref().clone().with_name(&feature.name)),
            None => field.clone(),
        }
    };
    let rename = |batch: &RecordBatch| {
        let fields: Vec<Arc<Field>> = batch.schema().fields().iter().map(name).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec()).map_err(|e| e.to_string())
    };
    batches.iter().map(rename).collect()
}

/// Writes batches of one schema as a Parquet file.
pub fn write(batches: &[RecordBatch], path: &Path) -> Result<(), String> {
    let failed = |error: &dyn fmt::Display| format!("cannot write {}: {error}", path.display());
    let Some(first) = batches.first() else { return Err(failed(&"there are no rows")) };
    let file = fs::File::create(path).map_err(|error| failed(&error))?;
    // Small tables of many columns: statistics would be most of the file.
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(19).unwrap_or_default()))
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties)).map_err(|error| failed(&error))?;
    for batch in batches {
        writer.write(batch).map_err(|error| failed(&error))?;
    }
    writer.close().map(|_| ()).map_err(|error| failed(&error))
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    fs::canonicalize(path).map_err(|error| format!("cannot find {}: {error}", path.display()))
}
