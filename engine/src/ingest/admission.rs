//! Which decoded events go on into the dataflow.
//!
//! Law: an event is late when it is older than its own record by more than the pipeline's reach, whatever time it is
//! now, so that a replay decides the same. History has no records, and is never late.

use arrow::array::{Array, AsArray, BooleanArray, PrimitiveArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use freshet_config::definitions::Source;
use freshet_config::time::{EventTime, Span};
use freshet_connectors::events::{Code, EventBatch, Rejection};
use freshet_connectors::explode::Exploder;

use super::Delivery;
use super::identity::{Identities, Verdict};

/// Judges the events of one source, in the source's order.
pub(super) struct Admission {
    time: usize,
    tie_breaker: Option<usize>,
    /// How much older than its record an event may be; `None`: nothing is late.
    reach: Option<Span>,
    identities: Option<Identities>,
}

/// What became of a batch.
#[derive(Default)]
pub(crate) struct Judged {
    /// `None` when no event is left.
    pub delivery: Option<Delivery>,
    pub rejections: Vec<Rejection>,
    /// Per rejection its row in the batch.
    pub rejected_rows: Vec<usize>,
    /// Events before the instant given, which are neither delivered nor rejected.
    pub expired: u64,
    /// Records that removed a row.
    pub removed: u64,
}

/// What rejections say of a row of the batch.
pub(crate) trait Origin {
    fn place(&self, row: usize) -> String;
    /// The start of the record; empty where it is not text.
    fn excerpt(&self, row: usize) -> String;
}

/// Records that would become too much when they are taken apart, as rejections, and per rejection its row. Where none is
/// taken apart, there are none.
pub(crate) fn oversized(
    exploder: Option<&Exploder>,
    events: &EventBatch,
    origin: &dyn Origin,
) -> (Vec<Rejection>, Vec<usize>) {
    let Some(exploder) = exploder else { return Default::default() };
    let refused = (0..events.len()).filter_map(|row| Some((exploder.refusal(&events.batch, row)?, row)));
    let rejection = |(message, row): (String, usize)| {
        let (place, payload_excerpt) = (origin.place(row), origin.excerpt(row));
        let record_time = events.record_times.get(row).copied();
        (Rejection { code: Code::Size, place, message, record_time, payload_excerpt }, row)
    };
    refused.map(rejection).unzip()
}

/// The events but for some rows, ascending.
pub(crate) fn without(events: EventBatch, rows: &[usize]) -> Result<EventBatch, ArrowError> {
    let mut keep = vec![true; events.len()];
    rows.iter().for_each(|row| keep[*row] = false);
    filtered(events, keep)
}

impl Admission {
    /// Identities of events are known for `retention`. With `judge_time` false, as in replays, events are neither late nor
    /// early.
    pub fn new(source: &Source, reach: Span, retention: Span, judge_time: bool) -> Result<Admission, ArrowError> {
        let identities = source.dedup_key.map(|key| Identities::new(source, key, retention)).transpose()?;
        Ok(Admission {
            time: source.event_time,
            tie_breaker: source.tie_breaker,
            reach: judge_time.then_some(reach),
            identities,
        })
    }

    /// Takes a batch; events before `expired_before` are left out.
    pub fn judge(
        &mut self,
        events: EventBatch,
        expired_before: Option<EventTime>,
        origin: &dyn Origin,
    ) -> Result<Judged, ArrowError> {
        let times = events.batch.column(self.time).as_primitive::<TimestampMicrosecondType>().clone();
        let identified = match &self.identities {
            Some(identities) => Some(identities.identify(&events.batch)?),
            None => None,
        };
        let (mut rejections, mut rejected_rows) = (Vec::new(), Vec::new());
        let (mut expired, mut latest) = (0, EventTime::MIN);
        let mut keep = vec![true; events.len()];
        for (row, keep) in keep.iter_mut().enumerate() {
            let at = EventTime::from_micros(times.value(row));
            let record_time = events.record_times.get(row).copied();
            let found = if expired_before.is_some_and(|horizon| at < horizon) {
                expired += 1;
                *keep = false;
                continue;
            } else if let Some(message) = lateness(self.reach, at, record_time) {
                Some((Code::Late, message))
            } else if let (Some(identities), Some(rows)) = (&mut self.identities, &identified) {
                refusal(identities.judge(rows, row, at))
            } else {
                None
            };
            match found {
                None => latest = latest.max(at),
                Some((code, message)) => {
                    *keep = false;
                    let (place, payload_excerpt) = (origin.place(row), origin.excerpt(row));
                    rejected_rows.push(row);
                    rejections.push(Rejection { code, place, message, record_time, payload_excerpt });
                }
            }
        }
        let kept = filtered(events, keep)?;
        let delivery = match kept.is_empty() {
            true => None,
            false => Some(Delivery { events: self.positioned(kept), retracted: None, latest }),
        };
        Ok(Judged { delivery, rejections, rejected_rows, expired, removed: 0 })
    }

    fn positioned(&self, mut events: EventBatch) -> EventBatch {
        positioned(self.tie_breaker, &events.batch, &mut events.positions);
        events
    }
}

/// What is said of an event that is older than its record by more than `reach`.
pub(super) fn lateness(reach: Option<Span>, at: EventTime, record_time: Option<EventTime>) -> Option<String> {
    let (reach, record_time) = (reach?, record_time?);
    (at < record_time - reach)
        .then(|| format!("the event's time {at} is more than {reach} before its record's, {record_time}"))
}

/// A tie breaker takes the place of positions.
pub(super) fn positioned(tie_breaker: Option<usize>, batch: &RecordBatch, positions: &mut Vec<u64>) {
    let Some(column) = tie_breaker else { return };
    let array = batch.column(column);
    match array.data_type() {
        DataType::Int32 => *positions = ordered(array.as_primitive::<Int32Type>()),
        DataType::Int64 => *positions = ordered(array.as_primitive::<Int64Type>()),
        // Definitions allow integers only.
        _ => {}
    }
}

/// Integers as unsigned numbers in the same order; null before all others.
fn ordered<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> Vec<u64>
where
    T::Native: Into<i64>,
{
    let word = |value: T::Native| value.into() as u64 ^ (1 << 63);
    array.iter().map(|value| value.map_or(0, word)).collect()
}

fn refusal(verdict: Verdict) -> Option<(Code, String)> {
    match verdict {
        Verdict::New => None,
        Verdict::Duplicate => Some((Code::Duplicate, "the same event was admitted before".to_string())),
        Verdict::Conflict => {
            let message = "another event with the same dedup key was admitted before; the first one stands";
            Some((Code::Conflict, message.to_string()))
        }
    }
}

/// The events to keep.
pub(crate) fn filtered(events: EventBatch, keep: Vec<bool>) -> Result<EventBatch, ArrowError> {
    if keep.iter().all(|keep| *keep) {
        return Ok(events);
    }
    fn chosen<T>(values: Vec<T>, keep: &[bool]) -> Vec<T> {
        values.into_iter().zip(keep).filter_map(|(value, keep)| keep.then_some(value)).collect()
    }
    let EventBatch { batch, positions, record_times } = events;
    let (positions, record_times) = (chosen(positions, &keep), chosen(record_times, &keep));
    let batch = filter_record_batch(&batch, &BooleanArray::from(keep))?;
    Ok(EventBatch { batch, positions, record_times })
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;

    use super::*;

    #[test]
    fn tie_breakers_keep_their_order() {
        let values = [Some(i32::MIN), None, Some(-1), Some(0), Some(5), Some(i32::MAX)];
        let words = ordered(&Int32Array::from(values.to_vec()));
        assert_eq!(words[1], 0);
        let rest: Vec<u64> = [0, 2, 3, 4, 5].map(|n| words[n]).to_vec();
        assert!(rest.windows(2).all(|pair| pair[0] < pair[1]), "{rest:?}");
        let widest = arrow::array::Int64Array::from(vec![i64::MIN, i64::MAX]);
        assert_eq!(ordered(&widest), [0, u64::MAX]);
    }
}
