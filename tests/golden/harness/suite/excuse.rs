//! Differences that are the oracle's own: the order of events of one time, and sums in single precision.
//!
//! An excuse is counted and shown, and holds Freshet's value to the events: only the expected one may be off.

use std::path::Path;

use arrow::array::RecordBatch;
use freshet_config::time::EventTime;

use super::cells::{Cell, column, read};
use super::compare::identities;
use super::definitions::MadeFeature;
use super::spec::{Aggregation, Spec, SpecMode, SpecWindow};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// `last` of several events of the latest time: any of them may win. Lists with events of one time: in any order.
    Tie,
    /// A list in which the oracle kept nulls.
    Nulls,
    /// More than two distinct values, among which the oracle misplaces one that recurs.
    Recurring,
    /// A percentile within 2 % of the rank asked for.
    Rank,
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
                let counted = known(self.counted(feature, key, *at)?);
                Ok(tied(&counted, want, got).then_some(Excuse::Tie))
            }
            ("latest", _) => {
                let counted = self.counted(feature, key, *at)?;
                Ok(tied(&counted, want, got).then_some(Excuse::Tie))
            }
            (function @ ("first" | "last_n"), _) => {
                let (Cell::List(want), Cell::List(got), Some(n)) = (want, got, number(aggregation, "n")) else {
                    return Ok(None);
                };
                let all = self.counted(feature, key, *at)?;
                let values = known(all.clone());
                let newest = function == "last_n";
                if !is_list(&values, got, n, newest) {
                    return Ok(None);
                }
                let tied = is_list(&values, want, n, newest).then_some(Excuse::Tie);
                Ok(tied.or(is_list(&all, want, n, newest).then_some(Excuse::Nulls)))
            }
            (function @ ("first_distinct" | "last_distinct"), _) => {
                let (Cell::List(got), Some(n)) = (got, number(aggregation, "n")) else { return Ok(None) };
                let mut values = known(self.counted(feature, key, *at)?);
                values.sort_by_key(|(time, _)| *time);
                let ties = values.windows(2).any(|pair| pair[0].0 == pair[1].0);
                let right = *got == distinct(&values, n, function == "last_distinct");
                let why = if ties { Some(Excuse::Tie) } else { (n > 2).then_some(Excuse::Recurring) };
                Ok(why.filter(|_| right))
            }
            ("approx_percentile", _) => {
                let counted = known(self.counted(feature, key, *at)?);
                let percentile = aggregation.parameters.get("percentile").and_then(|p| p.as_f64());
                Ok(percentile.is_some_and(|q| ranked(&counted, q, got)).then_some(Excuse::Rank))
            }
            ("sum", "float32") => {
                let counted = known(self.counted(feature, key, *at)?);
                Ok(rounded(&counted, want, got).then_some(Excuse::Rounding))
            }
            _ => Ok(None),
        }
    }

    /// Times and values of the events that count, nulls among them, in the order of the file.
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
            {
                counted.push((*time, value));
            }
        }
        Ok(counted)
    }

    fn counts(&self, feature: &MadeFeature, time: i64, at: i64) -> bool {
        const SECOND: i64 = 1_000_000;
        let (size, offset) = match feature.aggregation.window {
            SpecWindow::Relative { size_s, offset_s } => (size_s * SECOND, offset_s * SECOND),
            SpecWindow::Lifetime => (i64::MAX / 4, 0),
            // Excuses of single windows only.
            SpecWindow::Series { .. } => return false,
        };
        let born = self.spec.lifetime_start.as_deref().and_then(|start| EventTime::parse(start).ok());
        if born.is_some_and(|start| time < start.micros()) {
            return false;
        }
        let floor = |at: i64, step: i64| at.div_euclid(step * SECOND) * step * SECOND;
        let start = match self.spec.mode {
            SpecMode::Continuous => return at - size + offset < time && time <= at + offset,
            SpecMode::Interval { tile_s } => floor(at, tile_s),
            SpecMode::Batch { schedule_s, delay_s } => floor(at - delay_s * SECOND, schedule_s),
        };
        start - size + offset <= time && time < start + offset
    }
}

fn known(counted: Vec<(i64, Cell)>) -> Vec<(i64, Cell)> {
    counted.into_iter().filter(|(_, value)| *value != Cell::Null).collect()
}

fn number(aggregation: &Aggregation, parameter: &str) -> Option<usize> {
    usize::try_from(aggregation.parameters.get(parameter)?.as_u64()?).ok()
}

/// Whether `list` holds the first or last `n` values for some order of the events of each time.
fn is_list(counted: &[(i64, Cell)], list: &[Cell], n: usize, newest: bool) -> bool {
    if list.len() != n.min(counted.len()) {
        return false;
    }
    // From the end that counts.
    let mut rest: Vec<&Cell> = list.iter().collect();
    let mut times: Vec<i64> = counted.iter().map(|(time, _)| *time).collect();
    times.sort_unstable();
    times.dedup();
    if newest {
        times.reverse();
        rest.reverse();
    }
    for time in times {
        let mut group: Vec<&Cell> = counted.iter().filter(|(t, _)| *t == time).map(|(_, value)| value).collect();
        for value in rest.drain(..group.len().min(rest.len())) {
            match group.iter().position(|held| held.agrees(value) || **held == *value) {
                Some(place) => drop(group.swap_remove(place)),
                None => return false,
            }
        }
    }
    rest.is_empty()
}

/// The `n` distinct values that occur first or last, ascending by that occurrence. `counted` ascends.
fn distinct(counted: &[(i64, Cell)], n: usize, newest: bool) -> Vec<Cell> {
    let mut values: Vec<Cell> = counted.iter().map(|(_, value)| value.clone()).collect();
    if newest {
        values.reverse();
    }
    let mut kept: Vec<Cell> = Vec::new();
    for value in values {
        if kept.len() < n && !kept.contains(&value) {
            kept.push(value);
        }
    }
    if newest {
        kept.reverse();
    }
    kept
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

/// Whether `got` is one of the values, at a rank within 2 % of the one asked for.
fn ranked(counted: &[(i64, Cell)], q: f64, got: &Cell) -> bool {
    const TOLERANCE: f64 = 0.02;
    let Cell::Float(got) = got else { return false };
    let value = |cell: &Cell| match cell {
        Cell::Float(v) => Some(*v),
        Cell::Int(v) => Some(*v as f64),
        _ => None,
    };
    let values: Vec<f64> = counted.iter().filter_map(|(_, cell)| value(cell)).collect();
    let share = |n: usize| n as f64 / values.len() as f64;
    let below = share(values.iter().filter(|v| *v < got).count());
    let through = share(values.iter().filter(|v| *v <= got).count());
    // Of few values none may stand within the tolerance: then it must be the order statistic.
    let step = share(1);
    values.contains(got) && below <= q + TOLERANCE && through >= q - TOLERANCE.max(step)
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
    fn lists_hold_ties_in_any_order_and_nothing_else() {
        let counted = [(1, Cell::Int(5)), (2, Cell::Int(6)), (2, Cell::Int(7))];
        let list = |values: &[i64]| values.iter().map(|v| Cell::Int(*v)).collect::<Vec<_>>();
        assert!(is_list(&counted, &list(&[7, 6]), 2, true));
        assert!(is_list(&counted, &list(&[5, 7]), 2, false));
        assert!(!is_list(&counted, &list(&[5, 7]), 2, true));
        assert!(!is_list(&counted, &list(&[6, 6]), 2, true));
        assert!(!is_list(&counted, &list(&[6]), 2, true));
        let recurring: Vec<(i64, Cell)> = (0..).zip(list(&[1, 3, 4, 1])).collect();
        assert_eq!(distinct(&recurring, 3, true), list(&[3, 4, 1]));
        assert_eq!(distinct(&recurring, 2, false), list(&[1, 3]));
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
