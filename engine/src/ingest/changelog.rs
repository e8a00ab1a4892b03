//! A changelog turned into events: the rows of a table as they are now, and those they replace taken back.
//!
//! Law: after any records, what was given out and not taken back is one event per row that is there, as its last change
//! in source order left it. With a version column a change no newer than what is known of its row is refused instead;
//! so is a removal older than the row, and, whatever its version, one of a row that is not there. What is known of a row is
//! forgotten when it was last changed, and its event happened, further behind the latest event time than any window reaches;
//! looked at record by record, so that how records are cut into batches leaves no trace.
//!
//! Memory: the key, the row in Arrow's row format and some 100 bytes, per row within reach; of removed rows the key and
//! the version, where there is one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType as Arrow, Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use freshet_config::arrays::value_at;
use freshet_config::definitions::{Source, arrow_schema, arrow_type};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{DataType, Value, encode_key};
use freshet_connectors::changes::removals;
use freshet_connectors::events::{Code, EventBatch, Rejection};

use super::Delivery;
use super::admission::{Judged, Origin, lateness, positioned};

/// What is known of a row is forgotten together with all else of the same part of the retention.
const PARTS: i64 = 64;

/// The rows of one source.
pub(crate) struct Changelog {
    key: Vec<(usize, DataType)>,
    version: Option<usize>,
    time: usize,
    tie_breaker: Option<usize>,
    schema: SchemaRef,
    rows: RowConverter,
    /// `None`: nothing is late.
    reach: Option<Span>,
    /// `None`: nothing is forgotten.
    retention: Option<Span>,
    latest: EventTime,
    known: HashMap<Arc<[u8]>, Known>,
    by_age: BTreeMap<i64, Vec<Arc<[u8]>>>,
}

struct Known {
    /// `None`: it was removed, or its event is older than any window.
    held: Option<Held>,
    version: Option<i64>,
    /// The part of time it is forgotten with.
    part: i64,
}

/// An event that was given out.
struct Held {
    row: Box<[u8]>,
    position: u64,
}

/// What a record makes of what is known.
enum Verdict {
    /// The row is as the record says.
    Now,
    Gone,
    Refused(Code, String),
    /// It is older than any window.
    Expired,
}

impl Changelog {
    /// `None` when the source holds events. With a reach, a row that is older than its record by more than it is late.
    pub fn of_source(
        source: &Source,
        reach: Option<Span>,
        retention: Option<Span>,
    ) -> Result<Option<Changelog>, ArrowError> {
        let Some(changelog) = &source.changelog else { return Ok(None) };
        let fields = source.schema.iter().map(|column| SortField::new(arrow_type(column.data_type)));
        Ok(Some(Changelog {
            key: changelog.key.iter().map(|column| (*column, source.schema[*column].data_type)).collect(),
            version: changelog.version,
            time: source.event_time,
            tie_breaker: source.tie_breaker,
            schema: arrow_schema(&source.schema),
            rows: RowConverter::new(fields.collect())?,
            reach,
            retention,
            latest: EventTime::MIN,
            known: HashMap::new(),
            by_age: BTreeMap::new(),
        }))
    }

    /// Takes a batch of records in source order; rows before `expired_before` are not given out.
    pub fn judge(
        &mut self,
        records: EventBatch,
        expired_before: Option<EventTime>,
        origin: &dyn Origin,
    ) -> Result<Judged, ArrowError> {
        let columns = self.schema.fields().len();
        let removed = removals(&records.batch, columns);
        let batch = RecordBatch::try_new(self.schema.clone(), records.batch.columns()[..columns].to_vec())?;
        let mut positions = records.positions;
        positioned(self.tie_breaker, &batch, &mut positions);
        let encoded = self.rows.convert_columns(batch.columns())?;
        let times = batch.column(self.time).as_primitive::<TimestampMicrosecondType>().clone();
        let mut judged = Judged::default();
        let (mut kept, mut back): (Vec<u32>, Vec<Held>) = (Vec::new(), Vec::new());
        let mut latest = EventTime::MIN;
        for (row, removed) in removed.into_iter().enumerate() {
            let at = (!removed).then(|| EventTime::from_micros(times.value(row)));
            let record_time = records.record_times.get(row).copied();
            let key = self.row_key(&batch, row);
            let version = self.version.and_then(|column| number(batch.column(column), row));
            let verdict = match self.refusal(&key, version, removed) {
                Some((code, message)) => Verdict::Refused(code, message),
                None => {
                    let before = self.known.get_mut(&key[..]).and_then(|known| known.held.take());
                    let was_there = before.is_some();
                    back.extend(before);
                    let verdict = self.verdict(at, record_time, expired_before, was_there);
                    let held = matches!(verdict, Verdict::Now)
                        .then(|| Held { row: encoded.row(row).as_ref().into(), position: positions[row] });
                    let moved = at.filter(|_| held.is_some()).is_some_and(|at| self.move_on(at));
                    self.remember(key, version, held, at);
                    if moved {
                        self.forget();
                    }
                    verdict
                }
            };
            match verdict {
                Verdict::Now => {
                    kept.push(row as u32);
                    latest = latest.max(at.unwrap_or(EventTime::MIN));
                }
                Verdict::Gone => judged.removed += 1,
                Verdict::Expired => judged.expired += 1,
                Verdict::Refused(code, message) => {
                    let (place, payload_excerpt) = (origin.place(row), origin.excerpt(row));
                    judged.rejected_rows.push(row);
                    judged.rejections.push(Rejection { code, place, message, record_time, payload_excerpt });
                }
            }
        }
        let retracted = self.events(&back)?;
        if !kept.is_empty() || retracted.is_some() {
            let chosen = |values: &[u64]| kept.iter().map(|row| values[*row as usize]).collect();
            let record_times = match records.record_times.is_empty() {
                true => Vec::new(),
                false => kept.iter().map(|row| records.record_times[*row as usize]).collect(),
            };
            let positions = chosen(&positions);
            let batch = take_record_batch(&batch, &UInt32Array::from(kept))?;
            judged.delivery =
                Some(Delivery { events: EventBatch { batch, positions, record_times }, retracted, latest });
        }
        Ok(judged)
    }

    /// Every row that is there, in batches of about `size`; those of one position by their content, for they have no order
    /// else.
    pub fn into_rows(mut self, size: usize) -> Result<Vec<EventBatch>, ArrowError> {
        let mut held: Vec<Held> = self.known.drain().filter_map(|(_, known)| known.held).collect();
        held.sort_unstable_by(|a, b| (a.position, &a.row).cmp(&(b.position, &b.row)));
        let batches = held.chunks(size.max(1)).map(|part| self.events(part));
        Ok(batches.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn row_key(&self, batch: &RecordBatch, row: usize) -> Vec<u8> {
        let values: Vec<Value> =
            self.key.iter().map(|(column, data_type)| value_at(batch.column(*column), *data_type, row)).collect();
        let mut key = Vec::new();
        // Readers refuse records whose key cannot be one.
        if encode_key(&values, &mut key).is_err() {
            key.clear();
        }
        key
    }

    /// Whether there is nothing to remove, or a newer change is known.
    fn refusal(&mut self, key: &[u8], version: Option<i64>, removed: bool) -> Option<(Code, String)> {
        let known = self.known.get(key);
        let newest = known.and_then(|known| known.version);
        if removed && known.is_none_or(|known| known.held.is_none()) {
            // Whatever its version, it does not change what is there; a newer one refuses what is older.
            if version.is_some() && version > newest {
                self.remember(key.to_vec(), version, None, None);
            }
            let message = "the record removes a row that is not there, or is older than any window";
            return Some((Code::Unknown, message.to_string()));
        }
        if let (Some(newest), Some(version)) = (newest, version) {
            // A removal may carry the version of the row it removes.
            if version < newest || version == newest && !removed {
                let message = format!("the change has version {version}, and version {newest} of its row came before");
                return Some((Code::Stale, message));
            }
        }
        None
    }

    fn verdict(
        &self,
        at: Option<EventTime>,
        record_time: Option<EventTime>,
        expired_before: Option<EventTime>,
        was_there: bool,
    ) -> Verdict {
        let Some(at) = at else { return Verdict::Gone };
        if expired_before.is_some_and(|horizon| at < horizon) {
            return if was_there { Verdict::Gone } else { Verdict::Expired };
        }
        match lateness(self.reach, at, record_time) {
            Some(message) => Verdict::Refused(Code::Late, message),
            None => Verdict::Now,
        }
    }

    /// Keeps what is known of a row from now on.
    fn remember(&mut self, key: Vec<u8>, version: Option<i64>, held: Option<Held>, at: Option<EventTime>) {
        let part = self.part(at.filter(|_| held.is_some()).unwrap_or(EventTime::MIN).max(self.latest));
        let known = self.known.get_mut(&key[..]);
        if held.is_none() && version.or(known.as_ref().and_then(|known| known.version)).is_none() {
            self.known.remove(&key[..]);
            return;
        }
        match known {
            Some(known) => {
                known.held = held;
                known.version = version.or(known.version);
                if part > known.part {
                    known.part = part;
                    if let (true, Some((name, _))) = (self.retention.is_some(), self.known.get_key_value(&key[..])) {
                        self.by_age.entry(part).or_default().push(name.clone());
                    }
                }
            }
            None => {
                let key: Arc<[u8]> = key.into();
                if self.retention.is_some() {
                    self.by_age.entry(part).or_default().push(key.clone());
                }
                self.known.insert(key, Known { held, version, part });
            }
        }
    }

    fn part(&self, at: EventTime) -> i64 {
        let retention = self.retention.map_or(i64::MAX, Span::micros);
        at.micros().div_euclid((retention / PARTS).max(1))
    }

    /// A row of this time is held now: whether it is later than all before.
    fn move_on(&mut self, at: EventTime) -> bool {
        if at <= self.latest {
            return false;
        }
        if std::mem::replace(&mut self.latest, at) > EventTime::MIN {
            return true;
        }
        // What was removed before any row had a time is as old as the first one.
        let part = self.part(at);
        for key in std::mem::take(&mut self.by_age).into_values().flatten() {
            if let Some(known) = self.known.get_mut(&key) {
                known.part = part;
                self.by_age.entry(part).or_default().push(key);
            }
        }
        true
    }

    fn forget(&mut self) {
        let Some(retention) = self.retention else { return };
        let oldest = self.part(self.latest - retention);
        while let Some(first) = self.by_age.first_entry().filter(|first| *first.key() < oldest) {
            let (part, keys) = first.remove_entry();
            for key in keys {
                // One that changed since is in a later part as well.
                if self.known.get(&key).is_some_and(|known| known.part == part) {
                    self.known.remove(&key);
                }
            }
        }
    }

    /// Events as they were given out; `None` for none.
    fn events(&self, held: &[Held]) -> Result<Option<EventBatch>, ArrowError> {
        if held.is_empty() {
            return Ok(None);
        }
        let parser = self.rows.parser();
        let columns = self.rows.convert_rows(held.iter().map(|held| parser.parse(&held.row)))?;
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        let positions = held.iter().map(|held| held.position).collect();
        Ok(Some(EventBatch { batch, positions, record_times: Vec::new() }))
    }
}

/// The number in a row of an integer or timestamp column.
fn number(array: &ArrayRef, row: usize) -> Option<i64> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        Arrow::Int32 => i64::from(array.as_primitive::<Int32Type>().value(row)),
        Arrow::Int64 => array.as_primitive::<Int64Type>().value(row),
        Arrow::Timestamp(..) => array.as_primitive::<TimestampMicrosecondType>().value(row),
        // Definitions allow no other version.
        _ => return None,
    })
}
