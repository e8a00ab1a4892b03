//! JSON records straight into Arrow columns: one object per record, its fields by the source's schema.
//!
//! Fields the schema does not name are ignored, fields it names and the object lacks are null. Numbers are read from
//! their own digits (never through a double), so an int64 keeps all its bits and a float is the nearest one.

use std::borrow::Cow;

use freshet_config::definitions::{Column, Source, Stream};
use freshet_config::time::EventTime;
use serde::Deserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::changes::{self, DELETED};
use crate::events::{Code, EventBatch, MAX_RECORD_BYTES, Rejection, TimeBounds, excerpt};
use crate::explode::MAX_ELEMENTS;
use crate::malformed::Malformed;
use crate::position;
use crate::row::{Cell, Refusal, Row, Rows, Rules, mismatch, parse_number, parse_quoted};

/// The most fields one object may have.
pub const MAX_FIELDS: usize = 4096;
/// The most levels a record may nest, the object itself being the first.
pub const MAX_DEPTH: usize = 128;

/// Reads one record after the other and gives them out as batches.
#[derive(Debug)]
pub struct JsonDecoder {
    origin: Origin,
    reader: ObjectReader,
    rows: Rows,
    positions: Vec<u64>,
    record_times: Vec<EventTime>,
    /// Rows come in Debezium's envelopes.
    enveloped: bool,
}

/// What a position means, for places in messages.
#[derive(Clone, Debug)]
enum Origin {
    Log,
    Kafka { topic: String },
}

impl Origin {
    fn place(&self, position: u64) -> String {
        match self {
            Origin::Log => format!("log/{}", position::split_log(position)),
            Origin::Kafka { topic } => {
                let (partition, offset) = position::split_kafka(position);
                format!("{topic}/{partition}/{offset}")
            }
        }
    }
}

impl JsonDecoder {
    pub fn new(source: &Source) -> JsonDecoder {
        let origin = match &source.stream {
            Some(Stream::Kafka { topic, .. }) => Origin::Kafka { topic: topic.clone() },
            Some(Stream::Log) | None => Origin::Log,
        };
        let decoder = JsonDecoder::with(origin, Rules::of_source(source));
        JsonDecoder { enveloped: changes::is_enveloped(source), ..decoder }
    }

    /// Reads plain rows (a dimension's changes) instead of events: no column is required, `record_time` bounds nothing.
    pub fn for_columns(columns: &[Column], stream: &Stream) -> JsonDecoder {
        let origin = match stream {
            Stream::Kafka { topic, .. } => Origin::Kafka { topic: topic.clone() },
            Stream::Log => Origin::Log,
        };
        JsonDecoder::with(origin, Rules::of_columns(columns))
    }

    fn with(origin: Origin, rules: Rules) -> JsonDecoder {
        JsonDecoder {
            origin,
            reader: ObjectReader::default(),
            rows: Rows::new(rules),
            positions: Vec::new(),
            record_times: Vec::new(),
            enveloped: false,
        }
    }

    /// Columns (indices into the schema) that must not be null and, where they are strings, fit a join key.
    pub fn keys(mut self, columns: Vec<usize>) -> JsonDecoder {
        self.rows.rules_mut().keys = columns;
        self
    }

    pub fn bounds(mut self, bounds: TimeBounds) -> JsonDecoder {
        self.rows.rules_mut().bounds = bounds;
        self
    }

    /// Reads one record. A refused one leaves no trace but its rejection; an empty one of a changelog in envelopes, which
    /// only repeats that a row is gone, leaves none at all.
    pub fn decode(&mut self, payload: &[u8], position: u64, record_time: EventTime) -> Result<(), Rejection> {
        match self.accept(payload, record_time) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.positions.push(position);
                self.record_times.push(record_time);
                Ok(())
            }
            Err(Refusal { code, message }) => Err(Rejection {
                code,
                place: self.origin.place(position),
                message,
                record_time: Some(record_time),
                payload_excerpt: excerpt(payload),
            }),
        }
    }

    /// `false` when there is nothing in the record.
    fn accept(&mut self, payload: &[u8], record_time: EventTime) -> Result<bool, Refusal> {
        let rules = self.rows.rules();
        let row = match self.enveloped && payload.len() <= MAX_RECORD_BYTES {
            false => self.reader.read(payload, rules)?,
            true => {
                let Some(unwrapped) = changes::unwrap(payload)? else { return Ok(false) };
                let row = self.reader.read(unwrapped.row.as_bytes(), rules)?;
                if let Some(changes) = &rules.changes {
                    changes.set_removed(row, unwrapped.removed);
                }
                row
            }
        };
        self.rows.accept(row, Some(record_time)).map(|()| true)
    }

    /// Events decoded since the last [`JsonDecoder::finish`].
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Takes the events decoded so far.
    pub fn finish(&mut self) -> EventBatch {
        EventBatch {
            batch: self.rows.finish(),
            positions: std::mem::take(&mut self.positions),
            record_times: std::mem::take(&mut self.record_times),
        }
    }
}

/// Reads one JSON object into cells.
#[derive(Debug, Default)]
pub(crate) struct ObjectReader {
    row: Row,
}

impl ObjectReader {
    pub fn read(&mut self, payload: &[u8], rules: &Rules) -> Result<&mut Row, Refusal> {
        if payload.len() > MAX_RECORD_BYTES {
            return Err(too_large(payload.len()));
        }
        if payload.iter().all(u8::is_ascii_whitespace) {
            return Err(Refusal::new(Code::Empty, "the record is empty: an event is one JSON object"));
        }
        let text = std::str::from_utf8(payload).map_err(|error| {
            Refusal::new(Code::Decode, format!("the record is not UTF-8: byte {} is invalid", error.valid_up_to()))
        })?;
        if nests_too_deep(payload) {
            return Err(Refusal::new(Code::Size, format!("the record nests deeper than {MAX_DEPTH} levels")));
        }
        self.row.clear(rules.columns.len());
        let mut fields = Fields { columns: &rules.columns, list: rules.list, row: &mut self.row, refusal: None };
        let mut json = serde_json::Deserializer::from_str(text);
        let parsed = json.deserialize_map(&mut fields).and_then(|()| json.end());
        match (fields.refusal, parsed) {
            (Some(refusal), _) => Err(refusal),
            (None, Err(error)) => Err(Refusal::new(Code::Decode, not_an_object(text, &error))),
            (None, Ok(())) => Ok(&mut self.row),
        }
    }
}

pub(crate) fn too_large(bytes: usize) -> Refusal {
    Refusal::new(Code::Size, format!("the record has {bytes} bytes: at most {MAX_RECORD_BYTES} are read"))
}

fn not_an_object(text: &str, error: &serde_json::Error) -> String {
    if error.is_data() && !text.trim_start().starts_with('{') {
        return "the record is JSON but not an object: an event is one JSON object".to_string();
    }
    format!("the record is not JSON: {}", Malformed::of(text.as_bytes(), error).sentence())
}

/// Whether brackets nest deeper than [`MAX_DEPTH`]. Counting them first spares nearly every record the closer look.
fn nests_too_deep(payload: &[u8]) -> bool {
    let opening = |b: &&u8| matches!(b, b'{' | b'[');
    if payload.iter().filter(opening).count() <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in payload {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Walks the fields of the object. Its own refusals travel beside serde's error, which can only carry text.
struct Fields<'a> {
    columns: &'a [Column],
    /// The column of lists.
    list: Option<usize>,
    row: &'a mut Row,
    refusal: Option<Refusal>,
}

impl<'de> Visitor<'de> for &mut Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match self.walk(&mut map)? {
            Ok(()) => Ok(()),
            Err(refusal) => {
                self.refusal = Some(refusal);
                Err(A::Error::custom("refused"))
            }
        }
    }
}

impl Fields<'_> {
    fn walk<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<Result<(), Refusal>, A::Error> {
        let mut extra: Vec<Cow<'de, str>> = Vec::new();
        // Senders write fields in the same order again and again: the next one is nearly always behind the last.
        let mut next = 0;
        let mut count = 0;
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            count += 1;
            if count > MAX_FIELDS {
                return Ok(Err(Refusal::new(Code::Size, format!("the record has more than {MAX_FIELDS} fields"))));
            }
            let raw = map.next_value::<&'de RawValue>()?.get();
            let Some(index) = self.find(&name, next) else {
                extra.push(name);
                continue;
            };
            next = index + 1;
            if self.row.cells[index] != Cell::Absent {
                return Ok(Err(duplicate(&name)));
            }
            let cell = if self.list == Some(index) { self.items(index, raw) } else { self.cell(index, raw) };
            match cell {
                Ok(cell) => self.row.cells[index] = cell,
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        extra.sort_unstable();
        let twice = extra.windows(2).find(|pair| pair[0] == pair[1]);
        Ok(twice.map_or(Ok(()), |pair| Err(duplicate(&pair[0]))))
    }

    fn find(&self, name: &str, next: usize) -> Option<usize> {
        match self.columns.get(next) {
            Some(column) if column.name == name => Some(next),
            _ => self.columns.iter().position(|column| column.name == name),
        }
    }

    /// The elements of a list, or null.
    fn items(&mut self, index: usize, raw: &str) -> Result<Cell, Refusal> {
        let Column { name, data_type } = &self.columns[index];
        if raw == "null" {
            return Ok(Cell::Null);
        }
        let items: Vec<&RawValue> = serde_json::from_str(raw)
            .map_err(|_| Refusal::new(Code::Type, format!("`{name}` must be an array of {data_type} values")))?;
        if items.len() > MAX_ELEMENTS {
            let message = format!("`{name}` has {} elements, more than the {MAX_ELEMENTS} allowed", items.len());
            return Err(Refusal::new(Code::Size, message));
        }
        let start = self.row.items.len();
        for item in items {
            let cell = self.cell(index, item.get())?;
            self.row.items.push(cell);
        }
        Ok(Cell::List { start, end: self.row.items.len() })
    }

    /// `raw` is valid JSON, without space around it.
    fn cell(&mut self, index: usize, raw: &str) -> Result<Cell, Refusal> {
        let column = &self.columns[index];
        match raw.as_bytes().first() {
            Some(b'"') => {
                let text = unquote(raw).map_err(|error| {
                    let reason = Malformed::of(raw.as_bytes(), &error).reason;
                    Refusal::new(Code::Decode, format!("`{}` is not a valid string: {reason}", column.name))
                })?;
                // Connectors that flatten Debezium's envelopes write it as text.
                if column.name == DELETED && matches!(&*text, "true" | "false") {
                    return Ok(Cell::Bool(text == "true"));
                }
                parse_quoted(column, &text, self.row)
            }
            Some(b'n') => Ok(Cell::Null),
            Some(b't' | b'f') if column.data_type == freshet_config::value::DataType::Bool => {
                Ok(Cell::Bool(raw == "true"))
            }
            Some(b't' | b'f') => Err(mismatch(column, raw)),
            Some(b'{') => Err(mismatch(column, "an object")),
            Some(b'[') => Err(mismatch(column, "an array")),
            _ => parse_number(column, raw),
        }
    }
}

fn duplicate(name: &str) -> Refusal {
    Refusal::new(Code::DuplicateName, format!("`{}` stands twice in the record", excerpt(name.as_bytes())))
}

fn unquote(raw: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    if !raw.contains('\\') {
        // Quotes at both ends, as any JSON string has.
        return Ok(Cow::Borrowed(&raw[1..raw.len() - 1]));
    }
    serde_json::from_str::<String>(raw).map(Cow::Owned)
}

/// The name of a field, borrowed where it holds no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_string())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}
