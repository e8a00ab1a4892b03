//! Projection: from a source's Arrow batches to the keyed columns that windows take, one batch per entity.
//!
//! Law: an event is admitted when at least one view takes it. What no view takes is counted: filtered, or without a
//! key. Every expression is evaluated once per batch however many views and aggregates share its text.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use freshet_config::value::{DataType, MAX_KEY_STRING_BYTES};
use timely::container::Accountable;

use crate::batch::{BatchShape, KeyedBatch, hash_key, heap_bytes, heap_word};
use crate::sql::{Expression, Predicate, SqlError, SqlErrorKind};

/// Events of a source as they enter projection. Columns are those of the source, enriched and computed ones included.
#[derive(Clone, Debug)]
pub struct SourceBatch {
    pub events: RecordBatch,
    /// Order among equal event times.
    pub positions: Vec<u64>,
    /// +1 or -1 per event; empty: all +1.
    pub signs: Vec<i8>,
}

impl Default for SourceBatch {
    fn default() -> SourceBatch {
        let events = RecordBatch::new_empty(std::sync::Arc::new(arrow::datatypes::Schema::empty()));
        SourceBatch { events, positions: Vec::new(), signs: Vec::new() }
    }
}

impl SourceBatch {
    /// The first half of the events, and the second; `None` when there are fewer than two.
    pub fn halves(&self) -> Option<[SourceBatch; 2]> {
        let rows = self.events.num_rows();
        let part = |from: usize, to: usize| SourceBatch {
            events: self.events.slice(from, to - from),
            positions: self.positions.get(from..to).map_or_else(Vec::new, <[u64]>::to_vec),
            signs: self.signs.get(from..to).map_or_else(Vec::new, <[i8]>::to_vec),
        };
        (rows > 1).then(|| [part(0, rows / 2), part(rows / 2, rows)])
    }
}

impl Accountable for SourceBatch {
    fn record_count(&self) -> i64 {
        self.events.num_rows() as i64
    }
}

/// One (source, entity) group: what its views need of the source's columns.
#[derive(Clone, Debug)]
pub struct Projection {
    /// Index of the event time column.
    pub time: usize,
    /// Indices and types of the key columns, in the entity's order.
    pub keys: Vec<(usize, DataType)>,
    /// What follows them in the key where views are by category; an event without one passes no view.
    pub category: Option<ProjectedCategory>,
    /// Distinct columns of all views of the group.
    pub columns: Vec<ProjectedColumn>,
    /// Filters of the views, in the order of their bits.
    pub filters: Vec<Option<Predicate>>,
    pub keep_positions: bool,
}

/// The category of an event.
#[derive(Clone, Debug)]
pub struct ProjectedCategory {
    pub of: Expression,
    /// Never a float.
    pub data_type: DataType,
}

/// A value per event: `of`, null where `filter` does not hold; `true` where it holds when there is no `of`.
#[derive(Clone, Debug)]
pub struct ProjectedColumn {
    pub of: Option<Expression>,
    pub filter: Option<Predicate>,
    pub data_type: DataType,
}

/// What projection found besides values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projected {
    /// Rows of the batch that no view takes.
    pub filtered: Vec<usize>,
    /// Rows of the batch whose key is null or too long, and that no other group took.
    pub keyless: Vec<usize>,
    /// Values that could not be computed (null instead), and why the first could not.
    pub failed_values: u64,
    pub first_failure: Option<FirstFailure>,
}

/// A value that could not be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstFailure {
    /// Index into the groups that were projected.
    pub group: usize,
    pub part: FailedPart,
    /// Row of the batch.
    pub row: usize,
    pub why: String,
}

/// What of a [`Projection`] a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedPart {
    /// The filter of a view, by its bit.
    View(usize),
    Category,
    /// The argument of a column, or its filter.
    Column(usize),
}

impl Projection {
    pub fn shape(&self) -> BatchShape {
        let mut heap_columns = 0;
        for (c, column) in self.columns.iter().enumerate() {
            heap_columns |= u64::from(column.data_type == DataType::String) << c;
        }
        BatchShape { heap_key: self.heap_key(), heap_columns, columns: self.columns.len() }
    }

    /// A single fixed-width key travels as a word, everything else as bytes.
    pub fn heap_key(&self) -> bool {
        self.keys.len() != 1 || self.category.is_some() || self.keys[0].1 == DataType::String
    }
}

/// Projects a batch for all groups of its source. An error means that the batch does not have the columns compiled for, or
/// that its texts outgrow what one batch can hold: [`project_in_parts`] cuts it then.
pub fn project(groups: &[Projection], batch: &SourceBatch) -> Result<(Vec<KeyedBatch>, Projected), SqlError> {
    let rows = batch.events.num_rows();
    let mut found = Projected::default();
    let mut fates = Fates { admitted: vec![false; rows], keyless: vec![false; rows], all_admitted: rows == 0 };
    let mut keyed = Vec::with_capacity(groups.len());
    for (index, group) in groups.iter().enumerate() {
        let is_first = found.first_failure.is_none();
        keyed.push(group.apply(batch, &mut fates, &mut found)?);
        if let Some(failure) = found.first_failure.as_mut().filter(|_| is_first) {
            failure.group = index;
        }
    }
    if !fates.all_admitted {
        for row in 0..rows {
            match (fates.admitted[row], fates.keyless[row]) {
                (true, _) => {}
                (false, true) => found.keyless.push(row),
                (false, false) => found.filtered.push(row),
            }
        }
    }
    Ok((keyed, found))
}

/// As [`project`], in as few parts as texts need; the error is that of a single event.
pub fn project_in_parts(
    groups: &[Projection],
    batch: SourceBatch,
    take: &mut dyn FnMut(&SourceBatch, Vec<KeyedBatch>, Projected),
) -> Result<(), SqlError> {
    match project(groups, &batch) {
        Ok((keyed, found)) => take(&batch, keyed, found),
        Err(error) => {
            for half in batch.halves().ok_or(error)? {
                project_in_parts(groups, half, take)?;
            }
        }
    }
    Ok(())
}

/// Most bytes in the heap of a batch of more than one event: words name places of 32 bits, and exchanging a batch may put
/// it behind another one.
const MOST_HEAP_BYTES: usize = 1 << 31;

/// What became of each row so far.
struct Fates {
    admitted: Vec<bool>,
    keyless: Vec<bool>,
    /// Some group took every row: the rest does not matter.
    all_admitted: bool,
}

/// Rows that a group takes.
enum Taken {
    All(usize),
    Some(Vec<u32>),
}

impl Taken {
    fn len(&self) -> usize {
        match self {
            Taken::All(rows) => *rows,
            Taken::Some(rows) => rows.len(),
        }
    }

    /// One value per row taken.
    #[inline(always)]
    fn map<T>(&self, value: impl FnMut(usize) -> T) -> Vec<T> {
        match self {
            Taken::All(rows) => (0..*rows).map(value).collect(),
            Taken::Some(rows) => rows.iter().map(|row| *row as usize).map(value).collect(),
        }
    }
}

impl Projection {
    fn apply(&self, batch: &SourceBatch, fates: &mut Fates, found: &mut Projected) -> Result<KeyedBatch, SqlError> {
        let events = &batch.events;
        let rows = events.num_rows();
        let mut out = KeyedBatch::default();
        let passes = self.passes(events, found)?;
        let keys = self.keys(events, &mut out.heap, found)?;
        let taken = self.take(rows, passes.as_deref(), &keys, fates);
        if self.category.is_some() {
            out.hash = taken.map(|row| keys.category_hash(row, &out.heap));
        } else if self.heap_key() {
            out.hash = taken.map(|row| hash_key(heap_bytes(&out.heap, keys.words[row])));
        } else {
            out.hash = taken.map(|row| hash_key(&keys.words[row].to_le_bytes()));
        }
        out.key = match taken {
            Taken::All(_) => keys.words,
            Taken::Some(_) => taken.map(|row| keys.words[row]),
        };
        let times = events.column(self.time).as_primitive::<TimestampMicrosecondType>().values();
        out.time = taken.map(|row| times[row]);
        if self.keep_positions {
            out.position = taken.map(|row| batch.positions.get(row).copied().unwrap_or(0));
        }
        if let Some(passes) = passes {
            let all = u64::MAX >> (64 - self.filters.len().clamp(1, 64));
            out.passes = taken.map(|row| passes[row]);
            if out.passes.iter().all(|p| *p == all) {
                out.passes = Vec::new();
            }
        }
        if !batch.signs.is_empty() {
            out.sign = taken.map(|row| batch.signs[row]);
        }
        let mut nulls = Nulls::default();
        for (c, column) in self.columns.iter().enumerate() {
            let words = column.words(c, events, &taken, &mut nulls, &mut out.heap, found)?;
            out.columns.push(words);
            if rows > 1 && out.heap.len() > MOST_HEAP_BYTES {
                let message = format!("the texts of {rows} events are longer than {MOST_HEAP_BYTES} bytes");
                return Err(SqlError { kind: SqlErrorKind::Type, message, hint: None, offset: None, next: None });
            }
        }
        if !nulls.bits.is_empty() {
            out.nulls = taken.map(|row| nulls.bits[row]);
            if out.nulls.iter().all(|bits| *bits == 0) {
                out.nulls = Vec::new();
            }
        }
        Ok(out)
    }

    /// Per row which views it passes, a bit each; `None` when no view filters.
    fn passes(&self, events: &RecordBatch, found: &mut Projected) -> Result<Option<Vec<u64>>, SqlError> {
        if self.filters.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut passes = vec![0u64; events.num_rows()];
        for (bit, filter) in self.filters.iter().enumerate() {
            match filter {
                None => passes.iter_mut().for_each(|p| *p |= 1 << bit),
                Some(filter) => {
                    let selection = filter.evaluate(events)?;
                    note(found, FailedPart::View(bit), selection.failed_rows, selection.first_failure);
                    set_bits(&selection.passes, bit, &mut passes);
                }
            }
        }
        Ok(Some(passes))
    }

    /// Decides which rows the group takes, and notes what became of each.
    fn take(&self, rows: usize, passes: Option<&[u64]>, keys: &Keys, fates: &mut Fates) -> Taken {
        if passes.is_none() && keys.missing.is_empty() && keys.uncategorised.is_empty() {
            fates.all_admitted = true;
            return Taken::All(rows);
        }
        let mut taken = Vec::with_capacity(rows);
        for row in 0..rows {
            let categorised = !keys.uncategorised.get(row).copied().unwrap_or(false);
            let passing = categorised && passes.is_none_or(|p| p[row] != 0);
            let keyed = !keys.missing.get(row).copied().unwrap_or(false);
            fates.admitted[row] |= passing && keyed;
            fates.keyless[row] |= passing && !keyed;
            if passing && keyed {
                taken.push(row as u32);
            }
        }
        if taken.len() == rows { Taken::All(rows) } else { Taken::Some(taken) }
    }

    fn keys(&self, events: &RecordBatch, heap: &mut Vec<u8>, found: &mut Projected) -> Result<Keys, SqlError> {
        let rows = events.num_rows();
        if !self.heap_key() {
            let (column, data_type) = self.keys[0];
            return Ok(Keys::fixed(events.column(column), data_type));
        }
        let category = match &self.category {
            None => None,
            Some(category) => {
                let evaluated = category.of.evaluate(events)?;
                note(found, FailedPart::Category, evaluated.failed_rows, evaluated.first());
                Some((evaluated.array, category.data_type))
            }
        };
        let mut keys = Keys { words: Vec::with_capacity(rows), ..Keys::default() };
        for row in 0..rows {
            let start = heap.len();
            let mut parts = self.keys.iter();
            let mut whole = parts.all(|(column, t)| put_key_part(events.column(*column), *t, row, heap).is_some());
            if let Some((array, data_type)) = &category {
                keys.prefixes.push((heap.len() - start) as u32);
                if array.is_null(row) {
                    keys.uncategorised.resize(rows, false);
                    keys.uncategorised[row] = true;
                }
                whole = whole && put_key_part(array, *data_type, row, heap).is_some();
            }
            if !whole {
                heap.truncate(start);
                keys.missing.resize(rows, false);
                keys.missing[row] = true;
            }
            keys.words.push(heap_word(start, heap.len() - start));
        }
        Ok(keys)
    }
}

/// Keys of a batch.
#[derive(Default)]
struct Keys {
    /// Per row the key's word, or the place of its bytes.
    words: Vec<u64>,
    /// Per row whether a part is null or too long. Empty: none is.
    missing: Vec<bool>,
    /// Per row how many bytes of its key come before the category.
    prefixes: Vec<u32>,
    /// Per row whether it has no category. Empty: all have one.
    uncategorised: Vec<bool>,
}

impl Keys {
    /// The upper half, which decides the worker, of the entity's key; the lower half of the whole.
    fn category_hash(&self, row: usize, heap: &[u8]) -> u64 {
        let key = heap_bytes(heap, self.words[row]);
        let owner = hash_key(&key[..self.prefixes[row] as usize]);
        owner & !u64::from(u32::MAX) | hash_key(key) & u64::from(u32::MAX)
    }

    /// Keys of one fixed-width column.
    fn fixed(array: &ArrayRef, data_type: DataType) -> Keys {
        let rows = array.len();
        let words = match data_type {
            DataType::Int64 => array.as_primitive::<Int64Type>().values().iter().map(|v| *v as u64).collect(),
            _ => (0..rows).map(|row| fixed_word(array, data_type, row).unwrap_or_default()).collect(),
        };
        let missing =
            if array.null_count() == 0 { Vec::new() } else { (0..rows).map(|row| array.is_null(row)).collect() };
        Keys { words, missing, ..Keys::default() }
    }
}

/// Per row of the batch which columns are null, a bit each; empty while none is.
#[derive(Default)]
struct Nulls {
    bits: Vec<u64>,
}

impl Nulls {
    fn set(&mut self, c: usize, rows: usize, is_null: impl Fn(usize) -> bool) {
        self.bits.resize(rows, 0);
        for (row, bits) in self.bits.iter_mut().enumerate() {
            *bits |= u64::from(is_null(row)) << c;
        }
    }

    #[inline(always)]
    fn is_null(&self, c: usize, row: usize) -> bool {
        self.bits.get(row).is_some_and(|bits| bits >> c & 1 == 1)
    }
}

/// One part of a key, encoded as `freshet_config::value::encode_key` does.
fn put_key_part(array: &ArrayRef, data_type: DataType, row: usize, heap: &mut Vec<u8>) -> Option<()> {
    if data_type != DataType::String {
        heap.extend_from_slice(&fixed_word(array, data_type, row)?.to_le_bytes());
        return Some(());
    }
    let strings = array.as_string::<i32>();
    if strings.is_null(row) || strings.value(row).len() > MAX_KEY_STRING_BYTES {
        return None;
    }
    let text = strings.value(row);
    heap.extend_from_slice(&(text.len() as u32).to_le_bytes());
    heap.extend_from_slice(text.as_bytes());
    Some(())
}

fn fixed_word(array: &ArrayRef, data_type: DataType, row: usize) -> Option<u64> {
    if array.is_null(row) {
        return None;
    }
    Some(match data_type {
        DataType::Int32 => i64::from(array.as_primitive::<Int32Type>().value(row)) as u64,
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row) as u64,
        DataType::Timestamp => array.as_primitive::<TimestampMicrosecondType>().value(row) as u64,
        DataType::Bool => u64::from(array.as_boolean().value(row)),
        DataType::String | DataType::Float32 | DataType::Float64 => return None,
    })
}

/// The group is known to who projects all of them.
fn note(found: &mut Projected, part: FailedPart, failed: usize, first: Option<(usize, String)>) {
    found.failed_values += failed as u64;
    if found.first_failure.is_none() {
        found.first_failure = first.map(|(row, why)| FirstFailure { group: 0, part, row, why });
    }
}

fn set_bits(answers: &BooleanArray, bit: usize, passes: &mut [u64]) {
    for (row, pass) in passes.iter_mut().enumerate() {
        *pass |= u64::from(answers.value(row)) << bit;
    }
}

impl ProjectedColumn {
    fn words(
        &self,
        c: usize,
        events: &RecordBatch,
        taken: &Taken,
        nulls: &mut Nulls,
        heap: &mut Vec<u8>,
        found: &mut Projected,
    ) -> Result<Vec<u64>, SqlError> {
        let rows = events.num_rows();
        if let Some(filter) = &self.filter {
            let selection = filter.evaluate(events)?;
            note(found, FailedPart::Column(c), selection.failed_rows, selection.first_failure);
            if selection.passes.true_count() < rows {
                nulls.set(c, rows, |row| !selection.passes.value(row));
            }
        }
        let Some(of) = &self.of else { return Ok(vec![1; taken.len()]) };
        let evaluated = of.evaluate(events)?;
        note(found, FailedPart::Column(c), evaluated.failed_rows, evaluated.first());
        let array = evaluated.array;
        if array.null_count() > 0 {
            nulls.set(c, rows, |row| array.is_null(row));
        }
        Ok(words_of(&array, self.data_type, taken, |row| nulls.is_null(c, row), heap))
    }
}

/// Words of the rows taken; null rows are 0.
fn words_of(
    array: &ArrayRef,
    data_type: DataType,
    taken: &Taken,
    is_null: impl Fn(usize) -> bool,
    heap: &mut Vec<u8>,
) -> Vec<u64> {
    let collect = |word: &mut dyn FnMut(usize) -> u64| taken.map(|row| if is_null(row) { 0 } else { word(row) });
    match data_type {
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().values();
            collect(&mut |row| i64::from(values[row]) as u64)
        }
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>().values();
            collect(&mut |row| values[row] as u64)
        }
        DataType::Timestamp => {
            let values = array.as_primitive::<TimestampMicrosecondType>().values();
            collect(&mut |row| values[row] as u64)
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            collect(&mut |row| f64::from(values[row]).to_bits())
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            taken.map(|row| if is_null(row) { 0 } else { values[row].to_bits() })
        }
        DataType::Bool => {
            let values = array.as_boolean();
            collect(&mut |row| u64::from(values.value(row)))
        }
        DataType::String => {
            let values = array.as_string::<i32>();
            collect(&mut |row| {
                let text = values.value(row).as_bytes();
                heap.extend_from_slice(text);
                heap_word(heap.len() - text.len(), text.len())
            })
        }
    }
}
