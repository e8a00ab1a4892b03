//! Computed values against expected ones, joined on keys and instant.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::cells::{Cell, column, read};
use super::definitions::Made;
use super::excuse::{Excuse, Excuses};
use super::spec::Spec;

/// The spine's and the expected values' column of instants.
pub const TIME: &str = "timestamp";

#[derive(Debug, Default)]
pub struct Comparison {
    pub rows: usize,
    /// Values that agree, the excused ones included.
    pub agreeing: usize,
    /// Excused: see [`Excuse`].
    pub tied: usize,
    pub rounded: usize,
    pub ranked: usize,
    pub with_nulls: usize,
    pub recurring: usize,
    pub differences: Vec<Difference>,
}

#[derive(Clone, Debug)]
pub struct Difference {
    pub key: String,
    pub at: Cell,
    pub feature: String,
    pub want: Cell,
    pub got: Cell,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { key, at, feature, want, got } = self;
        write!(f, "{key} at {at}: {feature} is {got}, expected {want}")
    }
}

/// Compares every feature made with the column of its name in the spec's expected file.
pub fn compare(directory: &Path, spec: &Spec, made: &Made, values: &[RecordBatch]) -> Result<Comparison, String> {
    let Some(first) = values.first() else { return Err("no values were computed".to_string()) };
    let got = concat_batches(&first.schema(), values).map_err(|error| error.to_string())?;
    let want = read(&expected(directory, &spec.name)?)?;
    let rows = pairs(spec, &got, &want)?;
    let mut excuses = Excuses::new(directory, spec);
    let mut comparison = Comparison { rows: rows.len(), ..Comparison::default() };
    for feature in &made.features {
        let (got, want) = (column(&got, &feature.name)?, column(&want, &feature.name)?);
        for Pair { key, at, got: g, want: w } in &rows {
            let (got, want) = (&got[*g], &want[*w]);
            let excuse = if want.agrees(got) { None } else { excuses.find(feature, key, at, want, got)? };
            comparison.tied += usize::from(excuse == Some(Excuse::Tie));
            comparison.with_nulls += usize::from(excuse == Some(Excuse::Nulls));
            comparison.recurring += usize::from(excuse == Some(Excuse::Recurring));
            comparison.ranked += usize::from(excuse == Some(Excuse::Rank));
            comparison.rounded += usize::from(excuse == Some(Excuse::Rounding));
            if want.agrees(got) || excuse.is_some() {
                comparison.agreeing += 1;
            } else {
                comparison.differences.push(Difference {
                    key: key.clone(),
                    at: at.clone(),
                    feature: feature.name.clone(),
                    want: want.clone(),
                    got: got.clone(),
                });
            }
        }
    }
    Ok(comparison)
}

/// `expected_{name}.parquet`, or the one file whose name begins so.
fn expected(directory: &Path, name: &str) -> Result<PathBuf, String> {
    let exact = directory.join(format!("expected_{name}.parquet"));
    if exact.exists() {
        return Ok(exact);
    }
    let entries = fs::read_dir(directory).map_err(|error| format!("cannot list {}: {error}", directory.display()))?;
    let begins = format!("expected_{name}_");
    let mut found = entries.flatten().map(|entry| entry.path()).filter(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.starts_with(&begins) && file.ends_with(".parquet")
    });
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        _ => Err(format!("{} holds no file of expected values for {name}, or several", directory.display())),
    }
}

/// A computed row and the expected one of the same keys and instant.
struct Pair {
    key: String,
    at: Cell,
    got: usize,
    want: usize,
}

fn pairs(spec: &Spec, got: &RecordBatch, want: &RecordBatch) -> Result<Vec<Pair>, String> {
    let (got, want) = (identities(spec, got, TIME)?, identities(spec, want, TIME)?);
    let places: HashMap<String, usize> =
        want.iter().enumerate().map(|(row, (key, at))| (format!("{key} {at}"), row)).collect();
    if got.len() < want.len() {
        return Err(format!("{} rows were computed, {} are expected", got.len(), want.len()));
    }
    let mut pairs = Vec::new();
    for (row, (key, at)) in got.into_iter().enumerate() {
        let want =
            places.get(&format!("{key} {at}")).ok_or_else(|| format!("no value is expected of {key} at {at}"))?;
        pairs.push(Pair { key, at, got: row, want: *want });
    }
    Ok(pairs)
}

/// Keys and instant of every row.
pub fn identities(spec: &Spec, batch: &RecordBatch, time: &str) -> Result<Vec<(String, Cell)>, String> {
    let keys = spec.keys.iter().map(|(name, _)| column(batch, name)).collect::<Result<Vec<_>, _>>()?;
    let times = column(batch, time)?;
    let key = |row: usize| keys.iter().map(|key| key[row].to_string()).collect::<Vec<_>>().join(", ");
    Ok(times.into_iter().enumerate().map(|(row, at)| (key(row), at)).collect())
}
