//! Which events were admitted already: by the source's `dedup_key`, within the reach of its windows.
//!
//! Law: of the events with one key the first in source order stands, for as long as its event time lies within the
//! retention behind the latest event time. What is forgotten is older than every window. A null key is no identity.
//!
//! Memory: an identity is 32 bytes in a table that is 44 to 88 % full, and 16 bytes in a list for its removal that is
//! at least half full: 55 to 110 bytes for each event within the retention.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use freshet_config::definitions::{Column, Source, record_schema};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::DataType;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use xxhash_rust::xxh3::xxh3_64;

/// Identities are removed together with all others of the same part of the retention.
const PARTS: i64 = 64;

/// An integer key as it is, a string by 128 bits of a cryptographic hash: two keys never count as one.
type Id = u128;

/// What an event is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    /// The same event again.
    Duplicate,
    /// Another event with the same key.
    Conflict,
}

pub(super) struct Identities {
    column: usize,
    data_type: DataType,
    rows: RowConverter,
    retention: Span,
    latest: EventTime,
    seen: HashMap<Id, Seen>,
    /// Identities by the part of time their event is in.
    by_age: BTreeMap<i64, Vec<Id>>,
}

#[derive(Clone, Copy)]
struct Seen {
    at: EventTime,
    /// A hash of the whole row. It only tells a duplicate from a conflict.
    content: u64,
}

/// Identity and content of each row of a batch.
pub(super) struct Identified {
    rows: Vec<(Option<Id>, u64)>,
}

impl Identities {
    /// `column` of the source's schema is the dedup key.
    pub fn new(source: &Source, column: usize, retention: Span) -> Result<Identities, ArrowError> {
        let list = source.explode.as_ref().map(|explode| explode.column);
        Identities::of_columns(&source.schema, list, column, retention)
    }

    fn of_columns(
        columns: &[Column],
        list: Option<usize>,
        column: usize,
        retention: Span,
    ) -> Result<Identities, ArrowError> {
        let schema = record_schema(columns, list);
        let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone()));
        Ok(Identities {
            column,
            data_type: columns[column].data_type,
            rows: RowConverter::new(fields.collect())?,
            retention,
            latest: EventTime::MIN,
            seen: HashMap::new(),
            by_age: BTreeMap::new(),
        })
    }

    pub fn identify(&self, batch: &RecordBatch) -> Result<Identified, ArrowError> {
        let rows = self.rows.convert_columns(batch.columns())?;
        let ids = ids(batch.column(self.column), self.data_type);
        Ok(Identified { rows: ids.zip(rows.iter().map(|row| xxh3_64(row.as_ref()))).collect() })
    }

    /// Judges a row, and remembers it if it is the first of its key.
    pub fn judge(&mut self, rows: &Identified, row: usize, at: EventTime) -> Verdict {
        if at > self.latest {
            self.latest = at;
            self.forget();
        }
        let (Some(id), content) = rows.rows[row] else { return Verdict::New };
        let horizon = self.latest - self.retention;
        match self.seen.entry(id) {
            Entry::Occupied(known) if known.get().at >= horizon => {
                return if known.get().content == content { Verdict::Duplicate } else { Verdict::Conflict };
            }
            Entry::Occupied(mut known) => _ = known.insert(Seen { at, content }),
            Entry::Vacant(place) => _ = place.insert(Seen { at, content }),
        }
        self.by_age.entry(part(at, self.retention)).or_default().push(id);
        Verdict::New
    }

    /// Removes parts that lie behind the retention as a whole; what else lies behind it is ignored when found.
    fn forget(&mut self) {
        let oldest = part(self.latest - self.retention, self.retention);
        while let Some(first) = self.by_age.first_entry().filter(|first| *first.key() < oldest) {
            let (number, ids) = first.remove_entry();
            for id in ids {
                // A key that came again after it was forgotten is in another part's list too.
                if let Entry::Occupied(known) = self.seen.entry(id)
                    && part(known.get().at, self.retention) == number
                {
                    known.remove();
                }
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.seen.len()
    }
}

fn part(at: EventTime, retention: Span) -> i64 {
    at.micros().div_euclid((retention.micros() / PARTS).max(1))
}

fn ids(array: &ArrayRef, data_type: DataType) -> Box<dyn Iterator<Item = Option<Id>> + '_> {
    match data_type {
        DataType::String => Box::new(array.as_string::<i32>().iter().map(|text| text.map(text_id))),
        DataType::Int32 => Box::new(array.as_primitive::<Int32Type>().iter().map(|v| v.map(|v| v as u32 as Id))),
        DataType::Int64 => Box::new(array.as_primitive::<Int64Type>().iter().map(|v| v.map(|v| v as u64 as Id))),
        DataType::Timestamp => {
            Box::new(array.as_primitive::<TimestampMicrosecondType>().iter().map(|v| v.map(|v| v as u64 as Id)))
        }
        DataType::Bool => Box::new(array.as_boolean().iter().map(|v| v.map(Id::from))),
        // Definitions allow no such key.
        DataType::Float32 | DataType::Float64 => Box::new(std::iter::repeat_n(None, array.len())),
    }
}

fn text_id(text: &str) -> Id {
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    Id::from_le_bytes(id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use freshet_config::definitions::arrow_schema;

    use super::*;

    fn columns() -> Vec<Column> {
        let column = |name: &str, data_type| Column { name: name.to_string(), data_type };
        vec![column("id", DataType::String), column("v", DataType::Int64)]
    }

    fn batch(rows: &[(Option<&str>, i64)]) -> RecordBatch {
        let ids: StringArray = rows.iter().map(|row| row.0).collect();
        let values: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
        RecordBatch::try_new(arrow_schema(&columns()), vec![Arc::new(ids), Arc::new(values)]).unwrap()
    }

    fn judge(identities: &mut Identities, id: Option<&str>, value: i64, at: i64) -> Verdict {
        let rows = identities.identify(&batch(&[(id, value)])).unwrap();
        identities.judge(&rows, 0, EventTime::from_micros(at))
    }

    #[test]
    fn the_first_of_a_key_stands() {
        let mut identities = Identities::of_columns(&columns(), None, 0, Span::from_micros(1_000)).unwrap();
        assert_eq!(judge(&mut identities, Some("a"), 1, 10), Verdict::New);
        assert_eq!(judge(&mut identities, Some("a"), 1, 10), Verdict::Duplicate);
        assert_eq!(judge(&mut identities, Some("a"), 2, 10), Verdict::Conflict);
        assert_eq!(judge(&mut identities, Some("a"), 1, 10), Verdict::Duplicate, "the first one stands");
        assert_eq!(judge(&mut identities, Some("b"), 1, 10), Verdict::New);
        assert_eq!(judge(&mut identities, None, 1, 10), Verdict::New);
        assert_eq!(judge(&mut identities, None, 1, 10), Verdict::New, "null is no identity");
    }

    #[test]
    fn identities_are_kept_for_exactly_the_retention_and_memory_follows() {
        let mut identities = Identities::of_columns(&columns(), None, 0, Span::from_micros(1_000)).unwrap();
        assert_eq!(judge(&mut identities, Some("a"), 1, 7), Verdict::New);
        assert_eq!(judge(&mut identities, Some("x"), 1, 1_007), Verdict::New);
        assert_eq!(judge(&mut identities, Some("a"), 1, 7), Verdict::Duplicate, "on the edge");
        assert_eq!(judge(&mut identities, Some("y"), 1, 1_008), Verdict::New);
        assert_eq!(judge(&mut identities, Some("a"), 2, 1_008), Verdict::New, "forgotten");
        assert_eq!(judge(&mut identities, Some("a"), 2, 1_500), Verdict::Duplicate);
        for n in 0..10_000 {
            assert_eq!(judge(&mut identities, Some(&n.to_string()), 1, 2_000 + n * 10), Verdict::New);
        }
        // 100 events within the retention, and a part of it that is removed as a whole.
        assert!((100..=104).contains(&identities.len()), "{}", identities.len());
        assert!(identities.by_age.values().map(Vec::len).sum::<usize>() <= 104);
    }
}
