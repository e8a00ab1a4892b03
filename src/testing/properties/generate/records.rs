//! Records of a source, and the events they leave: one each, one per element of a list, or one per row of a table that is
//! there when all changes are read.

use std::collections::BTreeMap;

use fastrand::Rng;
use freshet_config::definitions::{Column, Definitions, Source};
use freshet_config::value::{DataType, Value, encode_key};
use freshet_connectors::changes::DELETED;

use super::domain::{Domain, numbered};
use super::{line, order};

/// One record in this many removes its row.
const REMOVED_ONE_IN: usize = 5;
/// Changes per row of a table, about.
const CHANGES_PER_ROW: usize = 3;

/// What a source reads.
pub struct Records {
    /// Columns of the source's schema.
    columns: Vec<Column>,
    records: Vec<Record>,
    /// Whether records say how rows change.
    changes: bool,
    /// Events before joins, in the order of their records.
    pub events: Vec<Event>,
    /// Records that have to stay in their order to mean the same.
    chains: Vec<Vec<usize>>,
}

struct Record {
    cells: Vec<Value>,
    removed: bool,
}

/// An event before joins.
pub struct Event {
    record: usize,
    /// One per column of [`Source::event_columns`].
    pub cells: Vec<Value>,
    /// Orders events of equal time.
    pub position: u64,
}

impl Event {
    /// One that follows from others, and is of no record.
    pub fn derived(cells: Vec<Value>, position: u64) -> Event {
        Event { record: 0, cells, position }
    }
}

impl Records {
    /// None of a source of changes of a view: what these are follows from others.
    pub fn generate(definitions: &Definitions, source: usize, count: usize, rng: &mut Rng) -> Records {
        let declared = &definitions.sources[source];
        let domain = Domain::of_sources(definitions, &[source]);
        let count = if declared.changes_of.is_some() { 0 } else { count };
        let keys = row_keys(declared, &domain, count.div_ceil(CHANGES_PER_ROW), rng);
        let records: Vec<Record> = (0..count).map(|number| record(declared, &domain, &keys, number, rng)).collect();
        let standing = match &declared.changelog {
            Some(_) => standing(declared, &records),
            None => (0..count).collect(),
        };
        let mut events = Vec::new();
        for number in &standing {
            take_apart(declared, *number, &records[*number], &mut events);
        }
        place(declared, &records, &mut events);
        let chains = chains(declared, &records, &standing);
        Records { columns: declared.schema.clone(), records, changes: declared.changelog.is_some(), events, chains }
    }

    pub fn in_order(&self) -> Vec<usize> {
        (0..self.records.len()).collect()
    }

    /// Another order of arrival. Events of one instant keep theirs, which is part of what they mean, and so do changes of
    /// a row that no version orders.
    pub fn another_order(&self, rng: &mut Rng) -> Vec<usize> {
        order::another(self.records.len(), &self.chains, rng)
    }

    /// Every record, and all of them again.
    pub fn twice(&self) -> Vec<usize> {
        [self.in_order(), self.in_order()].concat()
    }

    /// Records as lines of JSON.
    pub fn lines(&self, order: &[usize]) -> String {
        let written = |number: &usize| {
            let Record { cells, removed } = &self.records[*number];
            let mark = self.changes.then_some((DELETED, *removed));
            line(&self.columns, cells, mark.as_slice())
        };
        order.iter().map(written).collect()
    }
}

/// Whether every record may come twice without a difference.
pub fn may_repeat(source: &Source) -> bool {
    source.dedup_key.is_some() || source.changelog.is_some()
}

fn record(source: &Source, domain: &Domain, keys: &[Vec<Value>], number: usize, rng: &mut Rng) -> Record {
    let removed = source.changelog.is_some() && rng.usize(..REMOVED_ONE_IN) == 0;
    let key = (!keys.is_empty()).then(|| &keys[rng.usize(..keys.len())]);
    let cell = |(index, column): (usize, &Column)| {
        if let (Some(changelog), Some(key)) = (&source.changelog, key) {
            if let Some(part) = changelog.key.iter().position(|known| *known == index) {
                return key[part].clone();
            }
            // Rows of one instant and one tie breaker have no order.
            if changelog.version == Some(index) && index != source.event_time || source.tie_breaker == Some(index) {
                return numbered(column.data_type, number);
            }
        }
        if index == source.event_time {
            return Value::Timestamp(domain.instant(rng));
        }
        if source.dedup_key == Some(index) {
            return numbered(column.data_type, number);
        }
        if source.explode.as_ref().is_some_and(|explode| explode.column == index) {
            return domain.list(column.data_type, rng);
        }
        domain.value_or_null(column.data_type, rng)
    };
    Record { cells: source.schema.iter().enumerate().map(cell).collect(), removed }
}

/// Keys of the rows of a table, with a value per column of the key.
fn row_keys(source: &Source, domain: &Domain, rows: usize, rng: &mut Rng) -> Vec<Vec<Value>> {
    let Some(changelog) = &source.changelog else { return Vec::new() };
    let types = || changelog.key.iter().map(|column| source.schema[*column].data_type);
    let tells_apart = types().position(|data_type| data_type != DataType::Bool);
    let part = |row: usize, (index, data_type): (usize, DataType), rng: &mut Rng| match tells_apart == Some(index) {
        true => numbered(data_type, row),
        false => domain.value(data_type, rng),
    };
    (0..rows).map(|row| types().enumerate().map(|typed| part(row, typed, rng)).collect()).collect()
}

/// The records whose rows are there in the end, ascending: of each row the last change, by version where there is one.
fn standing(source: &Source, records: &[Record]) -> Vec<usize> {
    #[derive(Default)]
    struct Known {
        held: Option<usize>,
        version: Option<i64>,
    }
    let mut rows: BTreeMap<Vec<u8>, Known> = BTreeMap::new();
    for (number, record) in records.iter().enumerate() {
        let known = rows.entry(row_key(source, record)).or_default();
        let version = version(source, record);
        let (there, newest) = (known.held.is_some(), known.version);
        // The removal of a row may have the row's own version.
        let stale = newest
            .zip(version)
            .is_some_and(|(newest, version)| version < newest || version == newest && !(record.removed && there));
        if !stale {
            known.held = (!record.removed).then_some(number);
            known.version = version.or(newest);
        }
    }
    let mut standing: Vec<usize> = rows.into_values().filter_map(|known| known.held).collect();
    standing.sort_unstable();
    standing
}

fn row_key(source: &Source, record: &Record) -> Vec<u8> {
    let mut key = Vec::new();
    let columns = source.changelog.iter().flat_map(|changelog| &changelog.key);
    // Generated keys are neither null nor long.
    let _ = encode_key(columns.map(|column| &record.cells[*column]), &mut key);
    key
}

fn version(source: &Source, record: &Record) -> Option<i64> {
    whole(&record.cells[source.changelog.as_ref()?.version?])
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int32(value) => Some(i64::from(*value)),
        Value::Int64(value) => Some(*value),
        Value::Timestamp(at) => Some(at.micros()),
        _ => None,
    }
}

fn take_apart(source: &Source, record: usize, of: &Record, events: &mut Vec<Event>) {
    let Some(explode) = &source.explode else {
        events.push(Event { record, cells: of.cells.clone(), position: 0 });
        return;
    };
    let Value::List(elements) = &of.cells[explode.column] else { return };
    for element in elements {
        let mut cells = of.cells.clone();
        cells[explode.column] = element.clone();
        events.push(Event { record, cells, position: 0 });
    }
}

/// Events of one instant are ordered by the tie breaker, null before every number, or else as they came.
fn place(source: &Source, records: &[Record], events: &mut [Event]) {
    let Some(column) = source.tie_breaker else {
        (0..).zip(events).for_each(|(position, event)| event.position = position);
        return;
    };
    let tie = |event: &Event| whole(&records[event.record].cells[column]);
    let mut ties: Vec<Option<i64>> = events.iter().map(tie).collect();
    ties.sort_unstable();
    ties.dedup();
    for event in events {
        event.position = ties.partition_point(|known| *known < tie(event)) as u64;
    }
}

fn chains(source: &Source, records: &[Record], standing: &[usize]) -> Vec<Vec<usize>> {
    let mut of_instants: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for number in standing {
        let at = whole(&records[*number].cells[source.event_time]).unwrap_or_default();
        of_instants.entry(at).or_default().push(*number);
    }
    let mut of_rows: BTreeMap<(Vec<u8>, Option<i64>), Vec<usize>> = BTreeMap::new();
    for (number, record) in records.iter().enumerate().filter(|_| source.changelog.is_some()) {
        of_rows.entry((row_key(source, record), version(source, record))).or_default().push(number);
    }
    of_instants.into_values().chain(of_rows.into_values()).collect()
}
