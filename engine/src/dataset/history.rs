//! A source's history, read to the end: duplicates out, enriched, computed, projected; events of the keys asked for
//! stay.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use freshet_config::definitions::Source;
use freshet_config::value::encode_key;
use freshet_connectors::events::Rejection;
use freshet_connectors::files::EventFiles;
use freshet_operators::batch::{BatchShape, KeyedBatch, heap_bytes};
use freshet_operators::project::{Projection, SourceBatch, project};

use super::error::DatasetError;
use super::evaluate::Request;
use super::retained::Retained;
use super::table::{Table, value};
use super::{DatasetReport, RefusedEvents};
use crate::plan::{Node, Pipeline, Plan};

/// A batch of fewer bytes than this, in each of its projected columns, cannot outgrow the offsets of one heap.
const PROJECTED_BYTES: usize = 1 << 31;

/// Reads the events that the requests of one pipeline need, one [`Retained`] per request.
pub(super) fn read(
    plan: &Plan,
    pipeline: &Pipeline,
    requests: &[Request],
    report: &mut DatasetReport,
) -> Result<Vec<Retained>, DatasetError> {
    let source = &plan.definitions.sources[pipeline.source];
    let mut history = History::new(plan, pipeline, requests)?;
    for read in EventFiles::open(source, &plan.directory)? {
        let read = read?;
        report.events += (read.events.len() + read.rejections.len()) as u64;
        report.rejected += read.rejections.len() as u64;
        if report.first_rejection.is_none() {
            report.first_rejection = read.rejections.first().map(|rejection| rejection.to_string());
        }
        for rejection in &read.rejections {
            report.note_rejection(&source.name, rejection);
        }
        history.take(read.events.batch, read.events.positions, report)?;
    }
    Ok(history.retained)
}

struct History<'p> {
    source: &'p Source,
    pipeline: &'p Pipeline,
    requests: &'p [Request<'p>],
    tables: Vec<Table>,
    projections: Vec<Projection>,
    shapes: Vec<BatchShape>,
    /// Encoded `dedup_key`s that were seen.
    seen: HashSet<Vec<u8>>,
    retained: Vec<Retained>,
}

impl<'p> History<'p> {
    fn new(plan: &'p Plan, pipeline: &'p Pipeline, requests: &'p [Request<'p>]) -> Result<Self, DatasetError> {
        let source = &plan.definitions.sources[pipeline.source];
        let table = |enrich: &freshet_config::definitions::Enrich| {
            Table::read(&plan.definitions.dimensions[enrich.dimension], &plan.directory)
        };
        let tables = source.enrich.iter().map(table).collect::<Result<_, _>>()?;
        // Positions order everything here, also where no view asks for them.
        let ordered = |request: &Request| Projection { keep_positions: true, ..request.group.projection.clone() };
        let projections: Vec<Projection> = requests.iter().map(ordered).collect();
        let shapes: Vec<BatchShape> = projections.iter().map(Projection::shape).collect();
        let retained =
            requests.iter().zip(&shapes).map(|(request, shape)| Retained::new(request.rows.len(), shape.columns));
        let retained = retained.collect();
        Ok(History { source, pipeline, requests, tables, projections, shapes, seen: HashSet::new(), retained })
    }

    fn take(&mut self, read: RecordBatch, positions: Vec<u64>, report: &mut DatasetReport) -> Result<(), DatasetError> {
        let (read, positions) = self.without_duplicates(read, positions, report)?;
        let positions = self.ordered(&read, positions);
        let events = self.computed(read, report)?;
        self.project(SourceBatch { events, positions, signs: Vec::new() }, report)
    }

    /// The first event of a `dedup_key` stays; one without a key is no duplicate.
    fn without_duplicates(
        &mut self,
        read: RecordBatch,
        positions: Vec<u64>,
        report: &mut DatasetReport,
    ) -> Result<(RecordBatch, Vec<u64>), DatasetError> {
        let Some(column) = self.source.dedup_key else { return Ok((read, positions)) };
        let keys = read.column(column);
        let mut fresh = |row: usize| {
            let mut bytes = Vec::new();
            // Only null cannot be encoded, or text that no key may hold and that is compared here all the same.
            match encode_key([&value(keys, row)], &mut bytes) {
                Ok(()) => self.seen.insert(bytes),
                Err(_) if keys.is_null(row) => true,
                Err(_) => self.seen.insert(keys.as_string::<i32>().value(row).as_bytes().to_vec()),
            }
        };
        let keep: Vec<bool> = (0..read.num_rows()).map(&mut fresh).collect();
        report.duplicates += keep.iter().filter(|keep| !**keep).count() as u64;
        let positions = positions.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(position, _)| *position).collect();
        Ok((arrow::compute::filter_record_batch(&read, &keep.into())?, positions))
    }

    /// A `tie_breaker` takes the place of the position; null comes before every number.
    fn ordered(&self, read: &RecordBatch, positions: Vec<u64>) -> Vec<u64> {
        let Some(column) = self.source.tie_breaker else { return positions };
        let array = read.column(column);
        let number = |row: usize| -> i64 {
            match array.as_primitive_opt::<Int32Type>() {
                Some(narrow) => i64::from(narrow.value(row)),
                None => array.as_primitive::<Int64Type>().value(row),
            }
        };
        let order = |row| if array.is_null(row) { 0 } else { number(row) as u64 ^ 1 << 63 };
        (0..read.num_rows()).map(order).collect()
    }

    /// Appends the columns of dimensions, then those of SQL.
    fn computed(&self, read: RecordBatch, report: &mut DatasetReport) -> Result<RecordBatch, DatasetError> {
        let mut events = read;
        for node in &self.pipeline.nodes {
            match node {
                Node::Enrich { enrich } => {
                    let joined = self.tables[*enrich].enrich(&self.source.enrich[*enrich], &events)?;
                    events = self.with_columns(&events, joined)?;
                }
                Node::Compute { columns } => {
                    for (_, expression) in columns {
                        let evaluated = expression.evaluate(&events).map_err(|error| self.failed(error))?;
                        report.note_failures(evaluated.failed_rows as u64, evaluated.first_failure);
                        events = self.with_columns(&events, vec![evaluated.array])?;
                    }
                }
                Node::Read | Node::Project | Node::Windows { .. } | Node::Commit { .. } => {}
            }
        }
        Ok(events)
    }

    fn with_columns(&self, events: &RecordBatch, more: Vec<ArrayRef>) -> Result<RecordBatch, DatasetError> {
        let columns: Vec<ArrayRef> = events.columns().iter().cloned().chain(more).collect();
        let known: Vec<usize> = (0..columns.len()).collect();
        let schema = self.pipeline.schema.project(&known)?;
        Ok(RecordBatch::try_new(schema.into(), columns)?)
    }

    fn failed(&self, error: freshet_operators::sql::SqlError) -> DatasetError {
        DatasetError::Expression { source_name: self.source.name.clone(), error }
    }

    fn project(&mut self, batch: SourceBatch, report: &mut DatasetReport) -> Result<(), DatasetError> {
        let rows = batch.events.num_rows();
        if rows > 1 && self.projected_bytes(&batch.events) >= PROJECTED_BYTES {
            let half = rows / 2;
            for (start, length) in [(0, half), (half, rows - half)] {
                let events = batch.events.slice(start, length);
                let positions = batch.positions[start..start + length].to_vec();
                self.project(SourceBatch { events, positions, signs: Vec::new() }, report)?;
            }
            return Ok(());
        }
        let (keyed, found) = project(&self.projections, &batch).map_err(|error| self.failed(error))?;
        report.note_failures(found.failed_values, found.first_failure);
        for (index, batch) in keyed.iter().enumerate() {
            self.retain(index, batch);
        }
        Ok(())
    }

    /// Bytes of the batch, were every projected column a copy of it.
    fn projected_bytes(&self, events: &RecordBatch) -> usize {
        let bytes = |array: &ArrayRef| array.to_data().get_slice_memory_size().unwrap_or(PROJECTED_BYTES);
        let most = self.shapes.iter().map(|shape| shape.columns + 1).max().unwrap_or(1);
        events.columns().iter().map(bytes).sum::<usize>().saturating_mul(most)
    }

    fn retain(&mut self, index: usize, batch: &KeyedBatch) {
        let (request, shape) = (&self.requests[index], &self.shapes[index]);
        for i in 0..batch.len() {
            let word = batch.key[i].to_le_bytes();
            let key = if shape.heap_key { heap_bytes(&batch.heap, batch.key[i]) } else { &word };
            if let Some(slot) = request.slots.get(key)
                && request.reach.contains(&batch.time[i])
            {
                self.retained[index].push(*slot, shape, batch, i);
            }
        }
    }
}

impl DatasetReport {
    fn note_rejection(&mut self, source: &str, rejection: &Rejection) {
        let code = rejection.code.name();
        match self.refused.iter_mut().find(|known| known.source == source && known.code == code) {
            Some(known) => known.count += 1,
            None => self.refused.push(RefusedEvents {
                source: source.to_string(),
                code,
                count: 1,
                first: rejection.to_string(),
            }),
        }
    }

    fn note_failures(&mut self, failed: u64, why: Option<String>) {
        self.failed_expressions += failed;
        if self.first_failure.is_none() {
            self.first_failure = why;
        }
    }
}
