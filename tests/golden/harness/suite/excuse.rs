//! Differences that are the oracle's own: the order of events of one time, and sums in single precision.
//!
//! An excuse is counted and shown, and holds Freshet's value to the events: only the expected one may be off.

use std::path::Path;

use arrow::array::RecordBatch;

use super::cells::{Cell, column, read};
use super::compare::identities;
use super::definitions::MadeFeature;
use super::spec::Spec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// `last` of several events of the latest time: any of them may win.
    Tie,
    /// A sum of float32 whose partial sums the oracle rounded to single precision.
    Rounding,
}

/// The events, read when the first excuse is looked for.
pub struct Excuses<'a> {
    directory: &'a Path,
    spec: &'a Spec,
    events: Option<Events>,
}

struct Events {
    batch: RecordBatch,
    identities: Vec<(String, Cell)>,
}

impl<'a> Excuses<'a> {
    pub fn new(directory: &'a Path, spec: &'a Spec) -> Excuses<'a> {
        Excuses { directory, spec, events: None }
    }

    /// Why `got` is right although `want` was expected of a feature of `key` at `at`.
    pub fn find(
        &mut self,
        feature: &MadeFeature,
        key: &str,
        at: &Cell,
        want: &Cell,
        got: &Cell,
    ) -> Result<Option<Excuse>, String> {
        let Cell::Time(at) = at else { return Ok(None) };
        let aggregation = &feature.aggregation;
        match (aggregation.function.as_str(), aggregation.data_type.as_str()) {
            ("last", _) => {
                let counted = self.counted(feature, key, *at)?;
                Ok(tied(&counted, want, got).then_some(Excuse::Tie))
            }
            ("sum", "float32") => {
                let counted = self.counted(feature, key, *at)?;
                Ok(rounded(&counted, want, got).then_some(Excuse::Rounding))
            }
            _ => Ok(None),
        }
    }

    /// Times and values of the events that count, nulls left out.
    fn counted(&mut self, feature: &MadeFeature, key: &str, at: i64) -> Result<Vec<(i64, Cell)>, String> {
        if self.events.is_none() {
            let batch = read(&self.directory.join("events.parquet"))?;
            let identities = identities(self.spec, &batch, &self.spec.timestamp)?;
            self.events = Some(Events { batch, identities });
        }
        let Some(events) = &self.events else { return Ok(Vec::new()) };
        let values = column(&events.batch, &feature.aggregation.column)?;
        let counts = |time: i64| self.counts(feature, time, at);
        let mut counted = Vec::new();
        for ((event_key, time), value) in events.identities.iter().zip(values) {
            if let Cell::Time(time) = time
                && event_key == key
                && counts(*time)
                && value != Cell::Null
            {
                counted.push((*time, value));
            }
        }
        Ok(counted)
    }

    fn counts(&self, feature: &MadeFeature, time: i64, at: i64) -> bool {
        const SECOND: i64 = 1_000_000;
        let size = feature.aggregation.size_s * SECOND;
        let offset = feature.aggregation.offset_s * SECOND;
        if self.spec.continuous {
            return at - size + offset < time && time <= at + offset;
        }
        let tile = self.spec.interval_s * SECOND;
        let start = at.div_euclid(tile) * tile;
        start - size + offset <= time && time < start + offset
    }
}

/// Whether both values stand at the latest time.
fn tied(counted: &[(i64, Cell)], want: &Cell, got: &Cell) -> bool {
    let last = counted.iter().map(|(time, _)| *time).max();
    let stands = |cell: &Cell| counted.iter().any(|(time, value)| Some(*time) == last && value.agrees(cell));
    stands(want) && stands(got)
}

/// Whether `got` is the sum in double precision, and `want` off by no more than one rounding to single precision for
/// each event.
fn rounded(counted: &[(i64, Cell)], want: &Cell, got: &Cell) -> bool {
    const SINGLE: f64 = f32::EPSILON as f64;
    let (Cell::Float(want), Cell::Float(got)) = (want, got) else { return false };
    let values = || counted.iter().filter_map(|(_, value)| if let Cell::Float(v) = value { Some(*v) } else { None });
    let sum: f64 = values().sum();
    let size: f64 = values().map(f64::abs).sum();
    (got - sum).abs() <= SINGLE * got.abs() && (want - sum).abs() <= SINGLE * size * counted.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_of_the_latest_time_are_tied() {
        let counted = [(1, Cell::Int(5)), (2, Cell::Int(6)), (2, Cell::Int(7))];
        assert!(tied(&counted, &Cell::Int(6), &Cell::Int(7)));
        assert!(!tied(&counted, &Cell::Int(5), &Cell::Int(7)));
        assert!(!tied(&counted, &Cell::Int(6), &Cell::Int(5)));
        assert!(!tied(&[], &Cell::Null, &Cell::Int(5)));
    }

    #[test]
    fn rounding_excuses_the_expected_sum_alone() {
        let counted: Vec<(i64, Cell)> = (0..100).map(|i| (i, Cell::Float(f64::from(0.1f32)))).collect();
        let exact = f64::from((f64::from(0.1f32) * 100.0) as f32);
        let off = f64::from((0..100).fold(0f32, |sum, _| sum + 0.1));
        assert_ne!(exact, off);
        assert!(rounded(&counted, &Cell::Float(off), &Cell::Float(exact)));
        assert!(!rounded(&counted, &Cell::Float(exact), &Cell::Float(off)));
        assert!(!rounded(&counted, &Cell::Float(10.1), &Cell::Float(exact)));
    }
}
