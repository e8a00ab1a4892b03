//! All derived features of a service over all rows of a request, in the order of what they refer to.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::DataType as ArrowType;
use freshet_config::arrays::{feature_array, feature_arrow_type, value_at};
use freshet_config::definitions::arrow_type;
use freshet_config::time::EventTime;
use freshet_config::value::{FeatureType, Value};

use super::{DerivedColumn, DerivedInputs, DerivedStep, Input};
use crate::lookup::{ServicePlan, ViewFeature};
use crate::row::{FeatureValue, Reason, Status};
use crate::sql::SqlFault;

/// One column per step, in the order of the steps.
pub fn evaluate(steps: &[DerivedStep], inputs: &DerivedInputs) -> Vec<DerivedColumn> {
    let mut derived: Vec<DerivedColumn> = Vec::with_capacity(steps.len());
    for (number, step) in steps.iter().enumerate() {
        let mut column = step.evaluate(inputs, &derived);
        step.blame(number, inputs, &derived, &mut column);
        derived.push(column);
    }
    derived
}

impl DerivedInputs {
    /// Columns of `instants.len()` rows out of single values: `request` holds the fields of one row after the other's,
    /// `feature` gives what is read of a view in a row.
    pub fn gather<'v>(
        plan: &ServicePlan,
        instants: &[EventTime],
        request: &'v [Value],
        feature: impl Fn(usize, ViewFeature) -> Option<&'v FeatureValue>,
    ) -> DerivedInputs {
        let (rows, feature) = (instants.len(), &feature);
        let value = |row, input| feature(row, input).map_or(&Value::Null, |feature| &feature.value);
        let failed = |input| (0..rows).filter(move |row| feature(*row, input).is_some_and(|f| f.status.is_error()));
        let is_stale = |found: &FeatureValue| found.status == Status::Stale;
        let stale = |input| (0..rows).filter(move |row| feature(*row, input).is_some_and(is_stale));
        let fields = plan.request.iter().enumerate().map(|(field, column)| {
            let values = (0..rows).map(|row| request.get(row * plan.request.len() + field).unwrap_or(&Value::Null));
            array(&column.data_type.into(), rows, values)
        });
        let features = plan.inputs.iter().map(|input| match plan.feature_type(*input) {
            Some(data_type) => array(data_type, rows, (0..rows).map(|row| value(row, *input))),
            None => new_null_array(&ArrowType::Null, rows),
        });
        let micros = instants.iter().map(|at| at.micros());
        DerivedInputs {
            request: fields.collect(),
            features: features.collect(),
            failed: plan.inputs.iter().map(|input| failed(*input).collect()).collect(),
            stale: plan.inputs.iter().map(|input| stale(*input).collect()).collect(),
            instants: Arc::new(TimestampMicrosecondArray::from_iter_values(micros)),
        }
    }
}

/// Values as a column; nulls where they are too many for one array, which no request brings.
fn array<'v>(data_type: &FeatureType, rows: usize, values: impl Iterator<Item = &'v Value>) -> ArrayRef {
    feature_array(data_type, values).unwrap_or_else(|_| new_null_array(&feature_arrow_type(data_type), rows))
}

impl DerivedStep {
    fn evaluate(&self, inputs: &DerivedInputs, before: &[DerivedColumn]) -> DerivedColumn {
        let rows = inputs.instants.len();
        let found = |input: &Input| match *input {
            Input::Request(field) => inputs.request.get(field),
            Input::Feature(feature) => inputs.features.get(feature),
            Input::Instant => Some(&inputs.instants),
            Input::Derived(step) => before.get(step).map(|column| &column.array),
        };
        let columns = self.inputs.iter().filter_map(found).cloned().collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        let evaluated = batch.ok().and_then(|batch| self.expression.evaluate(&batch).ok());
        match evaluated {
            Some(evaluated) => {
                let failed = evaluated.failed.into_iter().map(|(row, fault)| (row, Reason::Expression(fault)));
                let (data_type, array, failed) = (self.data_type, evaluated.array, failed.collect());
                DerivedColumn { data_type, array, failed, stale: Vec::new() }
            }
            // Columns of other types than the plan has: nothing a request can cause, and no value either.
            None => DerivedColumn {
                data_type: self.data_type,
                array: new_null_array(&arrow_type(self.data_type), rows),
                failed: (0..rows).map(|row| (row, Reason::Expression(SqlFault::Function))).collect(),
                stale: Vec::new(),
            },
        }
    }

    /// What is made of something stale is stale. Nulls that come of errors are errors, with the first of those inputs, or
    /// with the one that it is an error for. Where its own SQL failed, that is said.
    fn blame(&self, step: usize, inputs: &DerivedInputs, before: &[DerivedColumn], column: &mut DerivedColumn) {
        let own = column.failed.len();
        for (input, from) in self.inputs.iter().enumerate() {
            let here = Reason::Input { step: step as u32, input: input as u32 };
            let is_null = |row: &usize| column.array.is_null(*row);
            match *from {
                Input::Feature(feature) => {
                    let rows = inputs.failed.get(feature).into_iter().flatten().copied();
                    column.failed.extend(rows.filter(is_null).map(|row| (row, here)));
                    column.stale.extend(inputs.stale.get(feature).into_iter().flatten());
                }
                Input::Derived(earlier) => {
                    let failed = before.get(earlier).into_iter().flat_map(|earlier| &earlier.failed);
                    let root = |reason| if matches!(reason, Reason::Input { .. }) { reason } else { here };
                    let failed = failed.filter(|(row, _)| is_null(row)).map(|(row, reason)| (*row, root(*reason)));
                    column.failed.extend(failed);
                    column.stale.extend(before.get(earlier).into_iter().flat_map(|earlier| &earlier.stale));
                }
                Input::Request(_) | Input::Instant => {}
            }
        }
        column.stale.sort_unstable();
        if column.failed.len() > own {
            column.failed.sort_by_key(|(row, _)| *row);
            column.failed.dedup_by_key(|(row, _)| *row);
        }
    }
}

impl DerivedColumn {
    /// The feature in a row.
    pub fn value(&self, row: usize) -> FeatureValue {
        if self.stale.binary_search(&row).is_ok() {
            return FeatureValue { value: Value::Null, status: Status::Stale };
        }
        let value = value_at(&self.array, self.data_type, row);
        let failed = self.failed.binary_search_by_key(&row, |(row, _)| *row);
        let status = match (failed, value.is_null()) {
            (Ok(found), _) => Status::Error(self.failed[found].1),
            (Err(_), true) => Status::MissingData,
            (Err(_), false) => Status::Present,
        };
        FeatureValue { value, status }
    }
}
