//! The dataset's batches: the spine's columns, beside them what was read of views and what is derived from it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use freshet_operators::derived::{DerivedColumn, DerivedInputs, evaluate};
use freshet_operators::lookup::{ServedValue, ServicePlan, ViewFeature};

use super::FailedValues;
use super::columns::FeatureColumn;
use super::error::DatasetError;
use super::errors::Errors;
use super::spine::Spine;

/// Bytes of text, or elements, of one array: Arrow's offsets hold 31 bits.
const ARRAY_OFFSETS: usize = 1 << 30;

/// Puts features beside the spine's own columns; `columns` holds one per feature that the service reads.
pub(super) fn join(
    schema: &SchemaRef,
    spine: &Spine,
    service: &ServicePlan,
    columns: &[FeatureColumn],
) -> Result<(Vec<RecordBatch>, Vec<FailedValues>), DatasetError> {
    let reads = service.reads();
    let errors = Errors::of_reads(columns, spine.rows());
    let mut join = Join { schema, spine, service, reads, columns, errors, joined: Vec::new() };
    let mut start = 0;
    for (batch, own) in spine.batches.iter().enumerate() {
        join.rows(batch, 0, own.num_rows(), start)?;
        start += own.num_rows();
    }
    Ok((join.joined, join.errors.named(service, &join.reads)))
}

struct Join<'j> {
    schema: &'j SchemaRef,
    spine: &'j Spine,
    service: &'j ServicePlan,
    reads: Vec<ViewFeature>,
    columns: &'j [FeatureColumn],
    errors: Errors,
    joined: Vec<RecordBatch>,
}

impl Join<'_> {
    /// Rows `from..from + rows` of a batch of the spine, which are those from `start` of the dataset.
    fn rows(&mut self, batch: usize, from: usize, rows: usize, start: usize) -> Result<(), DatasetError> {
        if rows > 1 && self.columns.iter().any(|column| column.addressed(start, rows) > ARRAY_OFFSETS) {
            let half = rows / 2;
            self.rows(batch, from, half, start)?;
            return self.rows(batch, from + half, rows - half, start + half);
        }
        let read = self.columns.iter().map(|column| column.array(start, rows)).collect::<Result<Vec<_>, _>>()?;
        let of = |place: &ViewFeature| place_of(&self.reads, place).map(|index| read[index].clone());
        let derived = self.derive(batch, from, rows, start, of);
        self.errors.add_derived(&derived, start);
        let mut columns = self.spine.batches[batch].slice(from, rows).columns().to_vec();
        for feature in &self.service.features {
            columns.extend(match feature.value {
                ServedValue::View(place) => of(&place),
                ServedValue::Derived(step) => derived.get(step).map(|column| column.array.clone()),
            });
        }
        self.joined.push(RecordBatch::try_new(self.schema.clone(), columns)?);
        Ok(())
    }

    fn derive(
        &self,
        batch: usize,
        from: usize,
        rows: usize,
        start: usize,
        of: impl Fn(&ViewFeature) -> Option<ArrayRef>,
    ) -> Vec<DerivedColumn> {
        if self.service.derived.is_empty() {
            return Vec::new();
        }
        let instants = self.spine.times[start..start + rows].iter().map(|time| time.micros());
        let failed = |place: &ViewFeature| -> Vec<usize> {
            let column = place_of(&self.reads, place).map(|index| &self.columns[index]);
            let failed = column.into_iter().flat_map(|column| column.failed(start, rows));
            failed.map(|(row, _)| row - start).collect()
        };
        let inputs = DerivedInputs {
            request: self.spine.request.iter().map(|field| field[batch].slice(from, rows)).collect(),
            features: self.service.inputs.iter().filter_map(of).collect(),
            failed: self.service.inputs.iter().map(failed).collect(),
            // All of a history is there.
            stale: Vec::new(),
            instants: Arc::new(TimestampMicrosecondArray::from_iter_values(instants)),
        };
        evaluate(&self.service.derived, &inputs)
    }
}

fn place_of(reads: &[ViewFeature], place: &ViewFeature) -> Option<usize> {
    reads.iter().position(|known| known == place)
}
