//! A source's history, read to the end: duplicates out, enriched, computed, projected; events of the keys asked for
//! stay. That of a source of changes is the history of its view's source, and what follows from it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use freshet_config::definitions::Source;
use freshet_config::time::EventTime;
use freshet_config::value::encode_key;
use freshet_connectors::events::{Code, EventBatch, Rejection};
use freshet_connectors::explode::Exploder;
use freshet_connectors::files::EventFiles;
use freshet_operators::batch::{BatchShape, KeyedBatch, heap_bytes};
use freshet_operators::project::{FailedPart, FirstFailure, Projection, SourceBatch, project_in_parts};

use super::error::DatasetError;
use super::evaluate::Request;
use super::retained::Retained;
use super::table::{Table, value};
use super::{DatasetReport, RefusedEvents, changes};
use crate::ingest::admission::{oversized, without};
use crate::ingest::changelog::Changelog;
use crate::ingest::origin::HistoryOrigin;
use crate::ingest::places::Places;
use crate::ingest::required_keys;
use crate::plan::{Group, GroupView, Node, Pipeline, Plan};

/// Rows of a table projected at once.
const TABLE_ROWS: usize = 8192;

/// What becomes of projected events.
pub(super) trait Taker {
    /// Takes the events of the group number `group` of those read.
    fn take(&mut self, group: usize, shape: &BatchShape, batch: &KeyedBatch);
}

/// A report, and the sources whose histories are in it: one that is read twice counts once.
pub(super) struct Reading<'r> {
    pub report: &'r mut DatasetReport,
    pub counted: BTreeSet<usize>,
}

/// Reads the events that the requests of one pipeline need, one [`Retained`] per request.
pub(super) fn read(
    plan: &Plan,
    pipeline: &Pipeline,
    requests: &[Request],
    reading: &mut Reading<'_>,
) -> Result<Vec<Retained>, DatasetError> {
    let groups: Vec<&Group> = requests.iter().map(|request| request.group).collect();
    let first = requests.iter().map(|request| request.reach.start).min().unwrap_or_default();
    let end = requests.iter().map(|request| request.reach.end).max().unwrap_or_default();
    let retained = requests.iter().zip(&groups);
    let retained =
        retained.map(|(request, group)| Retained::new(request.rows.len(), group.projection.shape().columns)).collect();
    let mut asked = Asked { requests, retained };
    read_groups(plan, pipeline, &groups, first..end, &mut asked, reading)?;
    Ok(asked.retained)
}

/// Projects all events of a pipeline for some of its groups. Only those at times in `needed`, in microseconds, have to
/// be among them.
pub(super) fn read_groups(
    plan: &Plan,
    pipeline: &Pipeline,
    groups: &[&Group],
    needed: Range<i64>,
    taker: &mut dyn Taker,
    reading: &mut Reading<'_>,
) -> Result<(), DatasetError> {
    let source = &plan.definitions.sources[pipeline.source];
    let mut history = History::new(plan, pipeline, groups, taker)?;
    if let Some(Node::Changes { pipeline, group, input }) = pipeline.nodes.first() {
        let from = &plan.pipelines[*pipeline];
        let changes = changes::derive(plan, from, &from.groups[*group], input, needed, reading)?;
        for SourceBatch { events, positions, signs } in changes {
            let events = history.computed(events, reading.report)?;
            history.project(SourceBatch { events, positions, signs }, reading.report)?;
        }
        return Ok(());
    }
    let mut aside = DatasetReport::default();
    let report = if reading.counted.insert(pipeline.source) { &mut *reading.report } else { &mut aside };
    let mut changelog = Changelog::of_source(source, None, None)?;
    let mut files = EventFiles::open(source, &plan.directory)?.keys(required_keys(plan, pipeline.source));
    history.places = Places::of_source(source, files.files());
    while let Some(read) = files.next() {
        let read = read?;
        report.events += (read.events.len() + read.rejections.len()) as u64;
        report.reject(&source.name, &read.rejections);
        match &mut changelog {
            None => {
                let origin = HistoryOrigin { files: files.files(), positions: read.events.positions.clone() };
                let (refused, rows) = oversized(history.exploder.as_ref(), &read.events, &origin);
                report.reject(&source.name, &refused);
                history.take(without(read.events, &rows)?, report)?;
            }
            Some(changelog) => {
                let origin = HistoryOrigin { files: files.files(), positions: read.events.positions.clone() };
                report.reject(&source.name, &changelog.judge(read.events, None, &origin)?.rejections);
            }
        }
    }
    // Only what is left of a table when all of its changes are read.
    if let Some(changelog) = changelog {
        for rows in changelog.into_rows(TABLE_ROWS)? {
            history.take(rows, report)?;
        }
    }
    Ok(())
}

/// Keeps the events of the keys asked for.
struct Asked<'p> {
    requests: &'p [Request<'p>],
    retained: Vec<Retained>,
}

impl Taker for Asked<'_> {
    fn take(&mut self, group: usize, shape: &BatchShape, batch: &KeyedBatch) {
        let request = &self.requests[group];
        for i in 0..batch.len() {
            let word = batch.key[i].to_le_bytes();
            let whole = if shape.heap_key { heap_bytes(&batch.heap, batch.key[i]) } else { &word };
            let Some((key, category)) = request.split(whole) else { continue };
            if let Some(slot) = request.slots.get(key)
                && request.reach.contains(&batch.time[i])
            {
                self.retained[group].push(*slot, category, shape, batch, i);
            }
        }
    }
}

struct History<'p> {
    plan: &'p Plan,
    groups: Vec<&'p Group>,
    source: &'p Source,
    pipeline: &'p Pipeline,
    tables: Vec<Table>,
    projections: Vec<Projection>,
    shapes: Vec<BatchShape>,
    exploder: Option<Exploder>,
    places: Places,
    /// Encoded `dedup_key`s, and when the event that stands for each happened.
    seen: HashMap<Vec<u8>, EventTime>,
    taker: &'p mut dyn Taker,
}

impl<'p> History<'p> {
    fn new(
        plan: &'p Plan,
        pipeline: &'p Pipeline,
        groups: &[&'p Group],
        taker: &'p mut dyn Taker,
    ) -> Result<Self, DatasetError> {
        let source = &plan.definitions.sources[pipeline.source];
        let table = |enrich: &freshet_config::definitions::Enrich| {
            Table::read(&plan.definitions.dimensions[enrich.dimension], &plan.directory)
        };
        let tables = source.enrich.iter().map(table).collect::<Result<_, _>>()?;
        // Positions order everything here, also where no view asks for them.
        let ordered = |group: &&Group| Projection { keep_positions: true, ..group.projection.clone() };
        let projections: Vec<Projection> = groups.iter().map(ordered).collect();
        let shapes: Vec<BatchShape> = projections.iter().map(Projection::shape).collect();
        let (exploder, seen) = (Exploder::of_source(source), HashMap::new());
        let groups = groups.to_vec();
        let places = Places::of_source(source, &[]);
        Ok(History { plan, groups, source, pipeline, tables, projections, shapes, exploder, places, seen, taker })
    }

    fn take(&mut self, read: EventBatch, report: &mut DatasetReport) -> Result<(), DatasetError> {
        let (batch, positions) = self.without_duplicates(read.batch, read.positions, report)?;
        let positions = self.ordered(&batch, positions);
        let read = EventBatch { batch, positions, record_times: Vec::new() };
        let Some(exploder) = &self.exploder else { return self.take_events(read, report) };
        for part in exploder.explode(read) {
            self.take_events(part?, report)?;
        }
        Ok(())
    }

    fn take_events(&mut self, read: EventBatch, report: &mut DatasetReport) -> Result<(), DatasetError> {
        let events = self.computed(read.batch, report)?;
        self.project(SourceBatch { events, positions: read.positions, signs: Vec::new() }, report)
    }

    /// The first event of a `dedup_key` stays; one without a key is no duplicate, nor is one so much later that a
    /// running engine has forgotten the first.
    fn without_duplicates(
        &mut self,
        read: RecordBatch,
        positions: Vec<u64>,
        report: &mut DatasetReport,
    ) -> Result<(RecordBatch, Vec<u64>), DatasetError> {
        let Some(column) = self.source.dedup_key else { return Ok((read, positions)) };
        let (keys, retention) = (read.column(column), self.pipeline.retention());
        let times = read.column(self.source.event_time).as_primitive::<TimestampMicrosecondType>();
        let mut fresh = |row: usize| {
            let mut bytes = Vec::new();
            // Only null cannot be encoded, or text that no key may hold and that is compared here all the same.
            match encode_key([&value(keys, row)], &mut bytes) {
                Ok(()) => {}
                Err(_) if keys.is_null(row) => return true,
                Err(_) => bytes = keys.as_string::<i32>().value(row).as_bytes().to_vec(),
            }
            let at = EventTime::from_micros(times.value(row));
            match self.seen.entry(bytes) {
                Entry::Occupied(known) if at <= *known.get() + retention => return false,
                Entry::Occupied(mut known) => _ = known.insert(at),
                Entry::Vacant(place) => _ = place.insert(at),
            }
            true
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
                    for (column, expression) in columns {
                        let evaluated = expression.evaluate(&events).map_err(|error| self.failed(error))?;
                        report.note_failures(evaluated.failed_rows as u64, || {
                            let (row, why) = evaluated.first()?;
                            let what = format!("column `{column}` of source `{}`", self.source.name);
                            Some(format!("{what}{}: {why}", of_event(self.source, &events, row)))
                        });
                        events = self.with_columns(&events, vec![evaluated.array])?;
                    }
                }
                Node::Read | Node::Changes { .. } | Node::Project | Node::Windows { .. } | Node::Commit { .. } => {}
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
        let History { plan, groups, source, projections, shapes, places, taker, .. } = self;
        let projected = project_in_parts(projections, batch, &mut |part, keyed, found| {
            report.note_failures(found.failed_values, || {
                let FirstFailure { group, part: failed, row, why } = found.first_failure.as_ref()?;
                let what = described(plan, groups[*group], *failed);
                Some(format!("{what}{}: {why}", of_event(source, &part.events, *row)))
            });
            for row in &found.keyless {
                report.reject(&source.name, &[keyless(places.place(part.positions[*row]))]);
            }
            for (index, batch) in keyed.iter().enumerate() {
                taker.take(index, &shapes[index], batch);
            }
        });
        projected.map_err(|error| self.failed(error))
    }
}

/// What of a group's views could not be computed.
fn described(plan: &Plan, group: &Group, failed: FailedPart) -> String {
    let view = |found: Option<&GroupView>| {
        found.map_or(String::new(), |found| format!(" of view `{}`", plan.definitions.views[found.view].served_as))
    };
    match failed {
        FailedPart::View(bit) => format!("`where`{}", view(group.views.get(bit))),
        FailedPart::Category => format!("the category{}", view(group.views.first())),
        FailedPart::Column(column) => {
            let source = &group.sources[column];
            let sql = source.of.as_ref().or(source.filter.as_ref()).map_or("", |sql| sql.text.as_str());
            format!("`{sql}`{}", view(group.views.iter().find(|view| view.columns.contains(&column))))
        }
    }
}

/// Which event of a batch, by its time.
fn of_event(source: &Source, events: &RecordBatch, row: usize) -> String {
    let times = events.column(source.event_time).as_primitive_opt::<TimestampMicrosecondType>();
    match times.filter(|times| times.is_valid(row)) {
        Some(times) => format!(" for the event at {}", EventTime::from_micros(times.value(row))),
        None => String::new(),
    }
}

/// Of an event that no view can take.
fn keyless(place: String) -> Rejection {
    Rejection {
        code: Code::Key,
        place,
        message: "a join key of every view that would take the event is null or too long".to_string(),
        record_time: None,
        payload_excerpt: String::new(),
    }
}

impl DatasetReport {
    fn reject(&mut self, source: &str, rejections: &[Rejection]) {
        for rejection in rejections {
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
    }

    fn note_failures(&mut self, failed: u64, why: impl FnOnce() -> Option<String>) {
        self.failed_expressions += failed;
        if self.first_failure.is_none() {
            self.first_failure = why();
        }
    }
}
