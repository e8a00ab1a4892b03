//! Enrichment in the dataflow: batches become keyed updates, differential joins them, and the result becomes batches.
//!
//! An event travels through the join as its columns in Arrow's row format, which compares and hashes as bytes. The
//! first join of a pipeline retracts events once no window can see them, which bounds what the join retains.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::datatypes::{Schema, SchemaRef, TimestampMicrosecondType};
use arrow::row::{RowConverter, SortField};
use differential_dataflow::AsCollection;
use differential_dataflow::consolidation::consolidate;
use differential_dataflow::input::InputSession;
use freshet_config::definitions::{Definitions, arrow_type, column_type};
use freshet_config::value::{DataType, Value, encode_key};
use freshet_operators::closed::ClosedEpochs;
use freshet_operators::enrich::enrich;
use freshet_operators::project::SourceBatch;
use freshet_operators::windows::Control;
use timely::container::{CapacityContainerBuilder, NoopBuilder};
use timely::dataflow::channels::pact::Pipeline as Local;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::{Scope, Stream};

use crate::plan::Pipeline;
use freshet_config::arrays::{feature_array, value_at};

/// An event in a join: its columns as a row, event time in microseconds, position.
type Event = (Vec<u8>, i64, u64);
type Keyed = (Vec<u8>, Event);

/// What one enrichment joins.
#[derive(Clone)]
pub(super) struct Step {
    /// Columns before the join.
    input: SchemaRef,
    /// Columns after it.
    output: SchemaRef,
    time: usize,
    /// Input columns that make the dimension's key.
    on: Vec<usize>,
    /// Columns taken from the dimension: index and type.
    taken: Vec<(usize, DataType)>,
}

impl Step {
    /// `known` columns of the pipeline's schema exist before this enrichment.
    pub fn new(definitions: &Definitions, pipeline: &Pipeline, enrich: usize, known: usize) -> Step {
        let source = &definitions.sources[pipeline.source];
        let enrich = &source.enrich[enrich];
        let dimension = &definitions.dimensions[enrich.dimension];
        let fields = pipeline.schema.fields();
        Step {
            input: Arc::new(Schema::new(fields[..known].to_vec())),
            output: Arc::new(Schema::new(fields[..known + enrich.columns.len()].to_vec())),
            time: source.event_time,
            on: enrich.on.clone(),
            taken: enrich.columns.iter().map(|(c, _)| (*c, dimension.schema[*c].data_type)).collect(),
        }
    }

    fn taken_columns(&self) -> Vec<arrow::datatypes::DataType> {
        self.taken.iter().map(|(_, data_type)| arrow_type(*data_type)).collect()
    }
}

/// Feeds the current rows of a dimension to one enrichment.
pub struct DimensionInput {
    session: InputSession<u64, (Vec<u8>, Vec<u8>), isize>,
    converter: RowConverter,
    taken: Vec<(usize, DataType)>,
}

/// Dimension rows turned into columns at once.
const CHANGES_AT_ONCE: usize = 1024;

impl DimensionInput {
    /// Adds or takes back rows; each has the columns of the dimension's schema.
    pub fn update(&mut self, changes: &[(Vec<u8>, Vec<Value>, isize)]) {
        // A few at a time, so that no column of texts outgrows its offsets.
        changes.chunks(CHANGES_AT_ONCE).for_each(|changes| self.update_some(changes));
    }

    fn update_some(&mut self, changes: &[(Vec<u8>, Vec<Value>, isize)]) {
        let column = |(column, data_type): &(usize, DataType)| {
            let values = changes.iter().map(|(_, row, _)| &row[*column]);
            feature_array(&(*data_type).into(), values).expect("scalars, which have no elements to count")
        };
        let columns: Vec<ArrayRef> = self.taken.iter().map(column).collect();
        // The converter was made for the types of these columns.
        let rows = self.converter.convert_columns(&columns).expect("columns of the dimension's types");
        for (i, (key, _, diff)) in changes.iter().enumerate() {
            self.session.update((key.clone(), rows.row(i).as_ref().to_vec()), *diff);
        }
    }

    pub fn advance_to(&mut self, epoch: u64) {
        self.session.advance_to(epoch);
        self.session.flush();
    }
}

/// Joins a stream of batches with a dimension.
pub(super) fn render<'s>(
    scope: Scope<'s, u64>,
    events: Stream<'s, u64, SourceBatch>,
    step: Step,
    reach_us: Option<i64>,
    control: Rc<RefCell<Control>>,
) -> (Stream<'s, u64, SourceBatch>, DimensionInput) {
    let mut session = InputSession::new();
    let dimension = session.to_collection(scope);
    let updates = keyed_updates(events, step.clone(), reach_us, control);
    let joined = enrich(updates.as_collection(), dimension).inner;
    let stream = batches(joined, step.clone());
    let converter = converter(&step.taken_columns());
    (stream, DimensionInput { session, converter, taken: step.taken })
}

fn converter(types: &[arrow::datatypes::DataType]) -> RowConverter {
    // Our seven column types all have a row format.
    RowConverter::new(types.iter().cloned().map(SortField::new).collect()).expect("scalar columns")
}

fn column_types(schema: &Schema) -> Vec<arrow::datatypes::DataType> {
    schema.fields().iter().map(|f| f.data_type().clone()).collect()
}

/// Events as updates keyed for the join. With a reach, each is taken back once it lies further behind than that.
fn keyed_updates<'s>(
    events: Stream<'s, u64, SourceBatch>,
    step: Step,
    reach_us: Option<i64>,
    control: Rc<RefCell<Control>>,
) -> Stream<'s, u64, Vec<(Keyed, u64, isize)>> {
    type Updates = CapacityContainerBuilder<Vec<(Keyed, u64, isize)>>;
    events.unary_frontier::<Updates, _, _, _>(Local, "Key", move |capability, _| {
        let mut capability = Some(capability);
        let converter = converter(&column_types(&step.input));
        let mut retained: BTreeMap<i64, Vec<Keyed>> = BTreeMap::new();
        move |(input, frontier), output| {
            input.for_each(|time, batch| {
                let mut session = output.session(&time);
                for (keyed, sign) in keyed_events(&std::mem::take(batch), &step, &converter) {
                    if reach_us.is_some() && sign > 0 {
                        retained.entry(keyed.1.1).or_default().push(keyed.clone());
                    } else if reach_us.is_some() && !let_go(&mut retained, &keyed) {
                        // It went already, because no window sees it any more.
                        continue;
                    }
                    session.give((keyed, *time.time(), sign));
                }
            });
            let Some(open) = frontier.frontier().first().copied() else {
                capability = None;
                return;
            };
            let Some(capability) = capability.as_mut().filter(|c| *c.time() < open) else { return };
            capability.downgrade(&open);
            let Some(reach_us) = reach_us else { return };
            // Leaves one epoch after no window sees it, so that no row is read without it in between.
            let Some(instant) = control.borrow().instant(open.saturating_sub(1)) else { return };
            let kept = retained.split_off(&instant.saturating_sub(reach_us));
            let gone = std::mem::replace(&mut retained, kept);
            if !gone.is_empty() {
                let mut session = output.session(&*capability);
                for keyed in gone.into_values().flatten() {
                    session.give((keyed, open, -1));
                }
            }
        }
    })
}

/// Takes an event out of those retained; `false` when it is not there.
fn let_go(retained: &mut BTreeMap<i64, Vec<Keyed>>, keyed: &Keyed) -> bool {
    let Some(events) = retained.get_mut(&keyed.1.1) else { return false };
    let Some(place) = events.iter().position(|event| event == keyed) else { return false };
    events.swap_remove(place);
    true
}

fn keyed_events(batch: &SourceBatch, step: &Step, converter: &RowConverter) -> Vec<(Keyed, isize)> {
    let rows = converter.convert_columns(batch.events.columns()).expect("columns as planned");
    let times = batch.events.column(step.time).as_primitive::<TimestampMicrosecondType>();
    let types: Vec<Option<DataType>> =
        step.on.iter().map(|c| column_type(batch.events.column(*c).data_type())).collect();
    let keyed = (0..batch.events.num_rows()).map(|row| {
        let values: Vec<Value> = step
            .on
            .iter()
            .zip(&types)
            .map(|(c, t)| t.map_or(Value::Null, |t| value_at(batch.events.column(*c), t, row)))
            .collect();
        let mut key = Vec::new();
        // A key with a null part matches no row: no dimension has the empty key.
        if encode_key(&values, &mut key).is_err() {
            key.clear();
        }
        let position = batch.positions.get(row).copied().unwrap_or(0);
        let event = (rows.row(row).as_ref().to_vec(), times.value(row), position);
        ((key, event), isize::from(batch.signs.get(row).copied().unwrap_or(1)))
    });
    keyed.collect()
}

type Joined = (Event, Option<Vec<u8>>);

/// Collects each closed epoch's joined updates into one batch.
fn batches<'s>(joined: Stream<'s, u64, Vec<(Joined, u64, isize)>>, step: Step) -> Stream<'s, u64, SourceBatch> {
    joined.unary_frontier::<NoopBuilder<SourceBatch>, _, _, _>(Local, "Batch", move |capability, _| {
        let mut epochs = ClosedEpochs::new(capability);
        let mut decoder = Decoder::new(&step);
        move |(input, frontier), output| {
            input.for_each(|_, updates| {
                for (joined, epoch, diff) in updates.drain(..) {
                    epochs.push(epoch, (joined, diff));
                }
            });
            let open = frontier.frontier().first().copied();
            while let Some((_, mut updates, capability)) = epochs.next(open) {
                consolidate(&mut updates);
                let mut session = output.session_with_builder(capability);
                for part in parts(&updates) {
                    session.give_container(&mut decoder.batch(part));
                }
            }
            epochs.advance(open);
        }
    })
}

/// Updates cut so that no column of a part outgrows the 31 bits of its offsets.
fn parts(updates: &[(Joined, isize)]) -> impl Iterator<Item = &[(Joined, isize)]> {
    let mut bytes = 0;
    updates.chunk_by(move |_, (((event, ..), taken), diff)| {
        let more = (event.len() + taken.as_ref().map_or(0, Vec::len)).saturating_mul(diff.unsigned_abs());
        let fits = bytes + more < PART_BYTES;
        bytes = if fits { bytes + more } else { more };
        fits
    })
}

/// Encoded rows are longer than the texts in them.
const PART_BYTES: usize = 1 << 28;

/// From rows of the join back to columns.
struct Decoder {
    events: RowConverter,
    taken: RowConverter,
    no_row: Vec<u8>,
    output: SchemaRef,
}

impl Decoder {
    fn new(step: &Step) -> Decoder {
        let taken = converter(&step.taken_columns());
        let nulls: Vec<ArrayRef> = step.taken_columns().iter().map(|t| new_null_array(t, 1)).collect();
        let no_row = taken.convert_columns(&nulls).expect("columns of the dimension's types").row(0).as_ref().to_vec();
        Decoder { events: converter(&column_types(&step.input)), taken, no_row, output: step.output.clone() }
    }

    fn batch(&mut self, updates: &[(Joined, isize)]) -> SourceBatch {
        let repeated =
            || updates.iter().flat_map(|(joined, diff)| std::iter::repeat_n((joined, *diff), diff.unsigned_abs()));
        let (events, taken) = (self.events.parser(), self.taken.parser());
        let event_rows = repeated().map(|(((row, ..), _), _)| events.parse(row));
        // Both sides were written by converters of the same types.
        let mut columns = self.events.convert_rows(event_rows).expect("rows written by the same converter");
        let taken_rows = repeated().map(|((_, row), _)| taken.parse(row.as_ref().unwrap_or(&self.no_row)));
        columns.extend(self.taken.convert_rows(taken_rows).expect("rows written by the same converter"));
        SourceBatch {
            events: RecordBatch::try_new(self.output.clone(), columns).expect("columns as planned"),
            positions: repeated().map(|(((_, _, position), _), _)| *position).collect(),
            signs: repeated().map(|(_, diff)| diff.signum() as i8).collect(),
        }
    }
}
