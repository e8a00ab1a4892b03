//! One source of a plan: its history, then its stream.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use freshet_config::definitions::Source;
use freshet_config::time::{EventTime, Span};
use freshet_connectors::events::{Code, EventBatch, Rejection, TimeBounds};
use freshet_connectors::explode::{Exploder, Exploding};
use freshet_connectors::files::{EventFiles, FileError};
use freshet_connectors::json::JsonDecoder;
use freshet_connectors::ledger::Ledger;
use freshet_connectors::positions::SourcePosition;

use super::admission::{Admission, Judged, Origin, oversized, without};
use super::changelog::Changelog;
use super::lag::Lag;
use super::origin::{HistoryOrigin, StreamOrigin};
use super::positions::{Consumed, history_name};
use super::stream::StreamReader;
use super::trouble::Trouble;
use super::{Connections, Delivery, IntakeCounts, IntakeError, SavedPositions, history, required_keys};
use crate::clock::Clock;
use crate::plan::Plan;

/// The reader of one pipeline's source, used by one thread.
pub struct Intake {
    name: String,
    source: Source,
    directory: PathBuf,
    /// How far back an event may matter.
    memory: Span,
    history: Option<EventFiles>,
    /// How far an earlier process read the history: `(file, row)`.
    history_before: (usize, u64),
    history_next: (usize, u64),
    history_ended: bool,
    /// Event times before this cannot matter any more; set when the first of the history is read.
    expired_before: Option<EventTime>,
    stream: Option<StreamReader>,
    decoder: JsonDecoder,
    door: Door,
    exploder: Option<Exploder>,
    /// Events that are being taken apart.
    exploding: Option<InParts>,
    /// What the ledger knows of events without an element.
    consumed: Consumed,
    ledger: Arc<Ledger>,
    positions: Arc<SavedPositions>,
    clock: Arc<Clock>,
    counts: IntakeCounts,
    ledger_trouble: Option<String>,
}

/// Deliveries that are left of a batch.
struct InParts {
    parts: Exploding,
    /// Where the input stood before the batch.
    before: Option<SourcePosition>,
}

/// What decides which records become events.
enum Door {
    Events(Admission),
    Changes(Box<Changelog>),
}

impl Door {
    fn judge(
        &mut self,
        records: EventBatch,
        expired_before: Option<EventTime>,
        origin: &dyn Origin,
    ) -> Result<Judged, ArrowError> {
        match self {
            Door::Events(admission) => admission.judge(records, expired_before, origin),
            Door::Changes(changelog) => changelog.judge(records, expired_before, origin),
        }
    }
}

impl Intake {
    /// Opens the files and the stream of the plan's pipeline number `pipeline`.
    ///
    /// Under a wall clock times are judged: events too old or too early for their records are rejected, and history
    /// that no window reaches is passed over. Under a clock of events nothing is, for there is no other now.
    pub fn open(plan: &Plan, pipeline: usize, connections: &Connections<'_>) -> Result<Intake, IntakeError> {
        let pipeline = plan.pipelines.get(pipeline).ok_or(IntakeError::NoPipeline(pipeline))?;
        let (reach, memory, index) = (pipeline.reach, pipeline.memory, pipeline.source);
        let source = plan.definitions.sources[index].clone();
        let keys = required_keys(plan, index);
        let judged = matches!(*connections.clock, Clock::Wall);
        let history = match &source.history {
            Some(_) => Some(
                EventFiles::open(&source, connections.directory)
                    .map_err(|error| history_error(&source.name, error))?
                    .keys(keys.clone()),
            ),
            None => None,
        };
        // An event may be ahead of its record, so that records a little older than what matters still do.
        let needed_from = judged.then(|| connections.clock.now() - pipeline.retention());
        let stream = match &source.stream {
            Some(stream) => Some(StreamReader::open(&source.name, stream, needed_from, connections)?),
            None => None,
        };
        let door = door(&source, reach, pipeline.retention(), judged)
            .map_err(|error| IntakeError::Columns { input: source.name.clone(), error })?;
        let history_before = match connections.positions.before(&history_name(&source.name)) {
            Some(SourcePosition::Files { file, row }) => (*file, *row),
            _ => (0, 0),
        };
        Ok(Intake {
            name: source.name.clone(),
            directory: connections.directory.to_path_buf(),
            memory,
            history,
            history_before,
            history_next: (0, 0),
            history_ended: false,
            expired_before: None,
            stream,
            decoder: JsonDecoder::new(&source).keys(keys).bounds(bounds(judged, reach)),
            door,
            exploder: Exploder::of_source(&source),
            exploding: None,
            // A tie breaker takes the place of positions: nobody can tell what was seen before.
            consumed: match source.tie_breaker {
                None => connections.positions.consumed(&source.name),
                Some(_) => Consumed::default(),
            },
            ledger: connections.ledger.clone(),
            positions: connections.positions.clone(),
            clock: connections.clock.clone(),
            counts: IntakeCounts::default(),
            ledger_trouble: None,
            source,
        })
    }

    /// The name of the source.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The files of the history, in the order they are read.
    pub fn history_files(&self) -> &[PathBuf] {
        self.history.as_ref().map(EventFiles::files).unwrap_or_default()
    }

    /// The largest event time of the history, `None` without any. Reads the time column of all files; a clock of
    /// events is set by it before the history is read.
    pub fn history_latest(&self) -> Result<Option<EventTime>, IntakeError> {
        match &self.source.history {
            Some(_) => history::latest(&self.source, &self.directory).map_err(|error| history_error(&self.name, error)),
            None => Ok(None),
        }
    }

    /// The next events of the history; `None` at its end.
    pub fn next_history(&mut self) -> Result<Option<Delivery>, IntakeError> {
        loop {
            if let Some(part) = self.next_part()? {
                return Ok(Some(part));
            }
            let Some(files) = &mut self.history else { return Ok(None) };
            let Some(some) = files.next() else {
                self.history_ended = true;
                return Ok(None);
            };
            let some = some.map_err(|error| history_error(&self.name, error))?;
            self.history_next = some.next;
            // Files are cut into the same chunks each time: what an earlier process rejected of this one is known.
            let known = some.next <= self.history_before;
            self.counts.consumed += (some.events.len() + some.rejections.len()) as u64;
            self.reject(some.rejections, |_| known);
            if let Some(delivery) = self.admit_history(some.events, known)? {
                return Ok(Some(delivery));
            }
        }
    }

    fn admit_history(&mut self, events: EventBatch, known: bool) -> Result<Option<Delivery>, IntakeError> {
        if self.expired_before.is_none() && matches!(*self.clock, Clock::Wall) {
            self.expired_before = Some(self.clock.now() - self.memory);
        }
        let files = self.history.as_ref().map(EventFiles::files).unwrap_or_default();
        let origin = HistoryOrigin { files, positions: events.positions.clone() };
        let (refused, rows) = oversized(self.exploder.as_ref(), &events, &origin);
        let events = without(events, &rows).map_err(|error| columns(&self.name, error))?;
        let origin = HistoryOrigin { files, positions: events.positions.clone() };
        let judged =
            self.door.judge(events, self.expired_before, &origin).map_err(|error| columns(&self.name, error))?;
        self.reject(refused, |_| known);
        self.settle(judged, None, |_| known)
    }

    /// The next events of the stream: waits up to `wait` for a record, and decodes at most `max_records` of them.
    /// `None` when none came, or none of those that came is an event to go on with.
    pub fn poll(&mut self, max_records: usize, wait: Duration) -> Result<Option<Delivery>, IntakeError> {
        if let Some(part) = self.next_part()? {
            return Ok(Some(part));
        }
        let position_before = self.exploder.as_ref().and_then(|_| self.position());
        let Some(stream) = &mut self.stream else {
            std::thread::sleep(wait);
            return Ok(None);
        };
        let records = stream.poll(max_records, wait)?;
        if records.is_empty() {
            return Ok(None);
        }
        self.counts.consumed += records.len() as u64;
        let mut refused = Vec::new();
        let mut refused_at = Vec::new();
        let mut decoded = Vec::with_capacity(records.len());
        for (index, record) in records.iter().enumerate() {
            // Only brokers older than this reader's protocol send no time; theirs count as coming just now.
            let record_time = record.record_time.unwrap_or_else(|| self.clock.now());
            let before = self.decoder.len();
            match self.decoder.decode(&record.payload, record.position, record_time) {
                Ok(()) if self.decoder.len() > before => decoded.push(index),
                // It only repeats that a row is gone.
                Ok(()) => self.counts.delivered += 1,
                Err(rejection) => {
                    refused.push(rejection);
                    refused_at.push(record.position);
                }
            }
        }
        let refused_known: Vec<bool> = refused_at.iter().map(|position| stream.was_consumed(*position)).collect();
        let events = self.decoder.finish();
        let mut origin = StreamOrigin { stream, records: &records, decoded };
        let (too_large, rows) = oversized(self.exploder.as_ref(), &events, &origin);
        let too_large_known: Vec<bool> = rows.iter().map(|row| stream.was_consumed(origin.position(*row))).collect();
        let events = without(events, &rows).map_err(|error| columns(&self.name, error))?;
        for row in rows.iter().rev() {
            origin.decoded.remove(*row);
        }
        let judged = self.door.judge(events, None, &origin).map_err(|error| columns(&self.name, error))?;
        let known: Vec<bool> =
            judged.rejected_rows.iter().map(|row| stream.was_consumed(origin.position(*row))).collect();
        self.reject(refused, |index| refused_known[index]);
        self.reject(too_large, |index| too_large_known[index]);
        self.settle(judged, position_before, |index| known[index])
    }

    /// Counts a judged batch, before which the input stood at `before`; `known` says which of its rejections the ledger
    /// has.
    fn settle(
        &mut self,
        judged: Judged,
        before: Option<SourcePosition>,
        known: impl Fn(usize) -> bool,
    ) -> Result<Option<Delivery>, IntakeError> {
        self.reject(judged.rejections, known);
        self.counts.expired += judged.expired;
        self.counts.delivered += judged.removed;
        let Some(delivery) = judged.delivery else { return Ok(None) };
        let Some(exploder) = &self.exploder else {
            self.counts.delivered += delivery.events.len() as u64;
            return Ok(Some(delivery));
        };
        // What is taken apart is no changelog: nothing is taken back.
        let records = delivery.events.len() as u64;
        let parts = exploder.explode(delivery.events);
        // Each element is an event of its own; an event without one counts as filtered.
        let empty = parts.empty().len() as u64;
        self.counts.consumed += parts.elements() + empty - records;
        self.counts.filtered += empty;
        self.counts.rejected += empty;
        let news = parts.empty().iter().filter(|at| !self.consumed.contains_record(**at)).count() as u64;
        if news > 0
            && let Err(error) = self.ledger.count(&self.name, Code::Filtered, news)
        {
            tracing::warn!(source = self.name, %error, "cannot count what was left out");
            self.ledger_trouble = Some(error.to_string());
        }
        self.exploding = Some(InParts { parts, before });
        self.next_part()
    }

    /// More of a batch that is taken apart; `None` when it is all delivered.
    fn next_part(&mut self) -> Result<Option<Delivery>, IntakeError> {
        let Some(exploding) = &mut self.exploding else { return Ok(None) };
        let Some(events) = exploding.parts.next().transpose().map_err(|error| columns(&self.name, error))? else {
            self.exploding = None;
            return Ok(None);
        };
        self.counts.delivered += events.len() as u64;
        let times = events.batch.column(self.source.event_time).as_primitive::<TimestampMicrosecondType>();
        let latest = arrow::compute::max(times).map_or(EventTime::MIN, EventTime::from_micros);
        Ok(Some(Delivery { events, retracted: None, latest }))
    }

    fn reject(&mut self, rejections: Vec<Rejection>, known: impl Fn(usize) -> bool) {
        for (index, rejection) in rejections.iter().enumerate() {
            self.counts.reject(rejection.reason());
            if known(index) {
                continue;
            }
            // A full disk must not stop the events: the ledger counts all the same, and the trouble shows.
            if let Err(error) = self.ledger.record(&self.name, rejection) {
                tracing::warn!(source = self.name, %error, "cannot keep a rejection");
                self.ledger_trouble = Some(error.to_string());
            } else {
                self.ledger_trouble = None;
            }
        }
    }

    /// Whether everything was read, and delivered, that the stream held when it was opened.
    pub fn caught_up(&self) -> bool {
        self.exploding.is_none() && self.stream.as_ref().is_none_or(StreamReader::caught_up)
    }

    /// When those of the delivered events came that no earlier process consumed: what freshness is measured from. Of
    /// others it would say how long the process was down. Empty for history; a tie breaker hides which are which.
    pub fn first_seen(&self, events: &EventBatch) -> Vec<EventTime> {
        let Some(stream) = self.stream.as_ref().filter(|_| self.source.tie_breaker.is_none()) else {
            return events.record_times.clone();
        };
        let times = events.positions.iter().zip(&events.record_times);
        times.filter(|(position, _)| !stream.was_consumed(**position)).map(|(_, time)| *time).collect()
    }

    /// The next record of the stream, or of the history where there is no stream; the first of a batch that is not
    /// delivered as a whole. `None` while no broker was reached.
    pub fn position(&self) -> Option<SourcePosition> {
        if let Some(InParts { before: Some(before), .. }) = &self.exploding {
            return Some(before.clone());
        }
        match (&self.stream, &self.history) {
            (Some(stream), _) => stream.position(),
            (None, Some(_)) => Some(self.history_position()),
            (None, None) => None,
        }
    }

    fn history_position(&self) -> SourcePosition {
        let (file, row) = self.history_next;
        SourcePosition::Files { file, row }
    }

    /// Keeps the positions for the next start; the disk sees them at most once a second. To be called when what was
    /// delivered is in the dataflow, and followed by [`SavedPositions::flush`] when the process ends.
    pub fn save_position(&self) -> Result<(), IntakeError> {
        if self.history.is_some() {
            // As long as it is read again, what was read before stands; at its end it may be a shorter one.
            let before = if self.history_ended { (0, 0) } else { self.history_before };
            let (file, row) = self.history_next.max(before);
            self.positions.note(&history_name(&self.name), SourcePosition::Files { file, row })?;
        }
        match (&self.stream, self.position()) {
            (Some(stream), Some(position)) => self.positions.note(&self.name, stream.furthest(position)),
            _ => Ok(()),
        }
    }

    /// Records of the stream that were not read yet, where that is known.
    pub fn lag(&self) -> Option<u64> {
        self.lag_gauge()?.records()
    }

    /// For whoever asks for the lag from another thread. `None` without a stream.
    pub fn lag_gauge(&self) -> Option<Lag> {
        self.stream.as_ref().map(StreamReader::lag)
    }

    pub fn counts(&self) -> IntakeCounts {
        self.counts
    }

    /// What stands in the way at the moment.
    pub fn trouble(&self) -> Option<Trouble> {
        self.stream
            .as_ref()
            .and_then(StreamReader::trouble)
            .or_else(|| self.ledger_trouble.clone().map(Trouble::Beside))
    }
}

/// What is older than its record by more than `reach` is late; identities are known for `retention`.
fn door(source: &Source, reach: Span, retention: Span, judged: bool) -> Result<Door, ArrowError> {
    match Changelog::of_source(source, judged.then_some(reach), Some(retention))? {
        Some(changelog) => Ok(Door::Changes(Box::new(changelog))),
        None => Ok(Door::Events(Admission::new(source, reach, retention, judged)?)),
    }
}

fn columns(source: &str, error: ArrowError) -> IntakeError {
    IntakeError::Columns { input: source.to_string(), error }
}

fn history_error(source: &str, error: FileError) -> IntakeError {
    IntakeError::History { source_name: source.to_string(), error: Box::new(error) }
}

/// A record may be as much older than now as any window reaches; what the pipeline calls late is judged later.
fn bounds(judged: bool, reach: Span) -> TimeBounds {
    match judged {
        true => TimeBounds { past: TimeBounds::DEFAULT.past.max(reach), ..TimeBounds::DEFAULT },
        false => TimeBounds::UNBOUNDED,
    }
}
