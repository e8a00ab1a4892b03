//! How many values are errors, by feature and reason.

use freshet_operators::derived::DerivedColumn;
use freshet_operators::lookup::{ServedValue, ServicePlan, ViewFeature};
use freshet_operators::row::Reason;

use super::FailedValues;
use super::columns::FeatureColumn;

/// Counts by place of the feature: what is read of views first, then what is derived.
#[derive(Default)]
pub(super) struct Errors {
    counts: Vec<Count>,
    reads: usize,
}

struct Count {
    place: usize,
    reason: Reason,
    number: u64,
    /// The first row of the spine with it.
    first_row: usize,
}

impl Errors {
    /// With those of what was read of views; `columns` are as [`ServicePlan::reads`] has them.
    pub fn of_reads(columns: &[FeatureColumn], rows: usize) -> Errors {
        let mut errors = Errors { counts: Vec::new(), reads: columns.len() };
        for (place, column) in columns.iter().enumerate() {
            column.failed(0, rows).iter().for_each(|(row, reason)| errors.count(place, *reason, *row));
        }
        errors
    }

    /// Those of derived features of some rows, which begin at `start` and come in the order of the spine.
    pub fn add_derived(&mut self, derived: &[DerivedColumn], start: usize) {
        for (step, column) in derived.iter().enumerate() {
            column.failed.iter().for_each(|(row, reason)| self.count(self.reads + step, *reason, start + row));
        }
    }

    /// Reasons are few: most often one per feature.
    fn count(&mut self, place: usize, reason: Reason, row: usize) {
        match self.counts.iter_mut().find(|known| (known.place, known.reason) == (place, reason)) {
            Some(known) => known.number += 1,
            None => self.counts.push(Count { place, reason, number: 1, first_row: row }),
        }
    }

    /// With names and sentences, those of the service's features in its order first.
    pub fn named(self, service: &ServicePlan, reads: &[ViewFeature]) -> Vec<FailedValues> {
        let mut named: Vec<(usize, FailedValues)> = Vec::new();
        for Count { place, reason, number, first_row } in self.counts {
            let value = match place.checked_sub(self.reads) {
                None => ServedValue::View(reads[place]),
                Some(step) => ServedValue::Derived(step),
            };
            let feature = match value {
                ServedValue::View(place) => service.name_of(place),
                ServedValue::Derived(step) => service.derived.get(step).map(|step| step.name.as_str()),
            };
            let served = service.features.iter().position(|feature| feature.value == value);
            let failed = FailedValues {
                feature: feature.unwrap_or_default().to_string(),
                served: served.is_some(),
                reason: service.explain(reason),
                count: number,
                first_row: first_row + 1,
            };
            named.push((served.unwrap_or(service.features.len() + place), failed));
        }
        named.sort_by_key(|(order, _)| *order);
        named.into_iter().map(|(_, failed)| failed).collect()
    }
}
