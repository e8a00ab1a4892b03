//! A small golden set out of a large one: all events of a few keys, and some of the instants they are asked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;

use super::cells::{Cell, column, read};
use super::compare::TIME;
use super::{specs, write};

/// Instants kept of each key.
const INSTANTS: usize = 24;

/// Keys kept, with their instants; both as they are shown.
type Kept = BTreeMap<String, BTreeSet<String>>;

/// Writes to `out` the `keys` keys (of the spine's first key column) that are neither the busiest nor the quietest, with
/// [`INSTANTS`] evenly spread instants each: what the Parquet files of `directory` say of them, and every spec.
pub fn write_subset(directory: &Path, keys: usize, out: &Path) -> Result<(), String> {
    let specs = specs(directory)?;
    let key = specs.iter().find_map(|spec| spec.keys.first()).map(|(name, _)| name.clone());
    let key = key.ok_or_else(|| format!("no spec of {} has a key", directory.display()))?;
    let kept = choose(directory, &key, keys)?;
    fs::create_dir_all(out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
    let entries = fs::read_dir(directory).map_err(|error| format!("cannot list {}: {error}", directory.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("cannot list {}: {error}", directory.display()))?.path();
        let Some(name) = path.file_name() else { continue };
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("parquet") => filter(&path, &key, &kept, &out.join(name))?,
            Some("json") => {
                let text = fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                fs::write(out.join(name), text).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn choose(directory: &Path, key: &str, keys: usize) -> Result<Kept, String> {
    let spine = read(&directory.join("spine.parquet"))?;
    let mut all = Kept::new();
    for (key, at) in column(&spine, key)?.iter().zip(column(&spine, TIME)?) {
        all.entry(key.to_string()).or_default().insert(at.to_string());
    }
    let mut events: BTreeMap<String, usize> = all.keys().map(|key| (key.clone(), 0)).collect();
    for key in column(&read(&directory.join("events.parquet"))?, key)? {
        events.entry(key.to_string()).and_modify(|count| *count += 1);
    }
    let mut by_events: Vec<(usize, String)> = events.into_iter().map(|(key, count)| (count, key)).collect();
    by_events.sort();
    let middle = by_events.len().saturating_sub(keys) / 2;
    let thin = |(_, key): (usize, String)| {
        let instants = all.remove(&key).unwrap_or_default();
        let step = instants.len().div_ceil(INSTANTS).max(1);
        (key, instants.into_iter().step_by(step).collect())
    };
    Ok(by_events.into_iter().skip(middle).take(keys).map(thin).collect())
}

/// Rows of the kept keys; where a row has an instant asked for, of the kept instants too.
fn filter(from: &Path, key: &str, kept: &Kept, to: &Path) -> Result<(), String> {
    let batch = read(from)?;
    let keys: Vec<Cell> = column(&batch, key)?;
    let asked = match batch.schema().index_of(TIME) {
        Ok(_) => Some(column(&batch, TIME)?),
        Err(_) => None,
    };
    let keep = |(row, key): (usize, &Cell)| {
        let instants = kept.get(&key.to_string());
        Some(instants.is_some_and(|kept| asked.as_ref().is_none_or(|asked| kept.contains(&asked[row].to_string()))))
    };
    let keep: BooleanArray = keys.iter().enumerate().map(keep).collect();
    let rows = filter_record_batch(&batch, &keep).map_err(|error| error.to_string())?;
    write(&[rows], to)
}
