//! Changes as the events of a source: Arrow columns, signs and positions.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use freshet_config::arrays::ValueBuilder;
use freshet_config::value::{FeatureType, Value, decode_key};

use super::{Change, ChangesPlan};
use crate::batch::hash_key;
use crate::project::SourceBatch;

/// Gathers changes into one batch.
pub struct ChangeBatch<'p> {
    plan: &'p ChangesPlan,
    times: Vec<i64>,
    positions: Vec<u64>,
    signs: Vec<i8>,
    keys: Vec<ValueBuilder>,
    after: Vec<ValueBuilder>,
    before: Vec<ValueBuilder>,
    bytes: usize,
}

/// Changes are handed on when there are this many,
const FULL_EVENTS: usize = 4096;
/// or so many bytes of values: the offsets of a column of texts have 31 bits.
const FULL_BYTES: usize = 64 << 20;

impl<'p> ChangeBatch<'p> {
    pub fn new(plan: &'p ChangesPlan) -> ChangeBatch<'p> {
        let builders = |types: &[freshet_config::value::DataType]| -> Vec<ValueBuilder> {
            types.iter().map(|data_type| ValueBuilder::new(&FeatureType::Scalar(*data_type))).collect()
        };
        ChangeBatch {
            plan,
            times: Vec::new(),
            positions: Vec::new(),
            signs: Vec::new(),
            keys: builders(&plan.keys),
            after: builders(&plan.types),
            before: builders(&plan.types),
            bytes: 0,
        }
    }

    pub fn is_full(&self) -> bool {
        self.times.len() >= FULL_EVENTS || self.bytes >= FULL_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds a change of a key, or (-1) takes it back. A key has one change at an instant at most, so that keys order those
    /// of one instant: by the hash of their bytes, which differ unless 64 bits collide.
    pub fn push(&mut self, key: &[u8], change: &Change, sign: i8) {
        let Some(parts) = decode_key(&self.plan.keys, key) else { return };
        self.bytes += append(&mut self.keys, &parts);
        self.bytes += append(&mut self.after, &change.after);
        self.bytes += append(&mut self.before, &change.before);
        self.times.push(change.at);
        self.positions.push(hash_key(key));
        self.signs.push(sign);
    }

    /// The batch; empty columns of its own are left out.
    pub fn finish(mut self) -> SourceBatch {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(TimestampMicrosecondArray::from(self.times))];
        for builder in self.keys.iter_mut().chain(&mut self.after).chain(&mut self.before) {
            columns.push(builder.finish().expect("single values, which have no elements to count"));
        }
        if self.signs.iter().all(|sign| *sign > 0) {
            self.signs = Vec::new();
        }
        let events = RecordBatch::try_new(self.plan.schema.clone(), columns).expect("columns as planned");
        SourceBatch { events, positions: self.positions, signs: self.signs }
    }
}

/// Gives the bytes appended.
fn append(builders: &mut [ValueBuilder], values: &[Value]) -> usize {
    builders.iter_mut().zip(values).map(|(builder, value)| builder.append(value)).sum()
}
