//! The shape of a definition file: fields and kinds, every value with its place, nothing looked up yet.
//!
//! These structs are also the source of the JSON Schema that editors use: their doc comments are what a user reads.

mod changes;
mod spellings;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::decode::{At, Decode, Fields, Numeral, OneOrMany, Pairs, Parts, Section, Shape, Spelled, record};
use crate::diagnostic::{Place, nearest};
use crate::tree::{Content, Key, Node};

pub use changes::{RawChanges, RawEvents};
use spellings::{
    ChangelogFormat, ColumnType, Continuous, FunctionName, KeyType, Name, OffsetText, SpanText, StreamFormat, TypeName,
    WindowText,
};

/// A named thing of a file. The name is kept when the rest is unsound, so that references to it are not called unknown.
#[derive(Clone, Debug)]
pub struct Item<T> {
    pub name: Option<At<String>>,
    /// `None`: not a record at all.
    pub value: Option<T>,
}

impl<T: Decode> Decode for Item<T> {
    fn decode(node: &Node, shape: &mut Shape) -> Option<Item<T>> {
        let value = T::decode(node, shape);
        // An error in the name was recorded with the value's.
        let mut unheard = Shape::new(shape.code);
        let name = match &node.content {
            Content::Map(entries) => {
                let meant = |(key, _): &&(Key, Node)| nearest(&key.text, ["name"]).is_some();
                entries.iter().find(|(key, _)| key.text == "name").or_else(|| entries.iter().find(meant))
            }
            _ => None,
        };
        Some(Item { name: name.and_then(|(_, node)| At::decode(node, &mut unheard)), value })
    }

    fn lost(_: &Place) -> Item<T> {
        Item { name: None, value: None }
    }
}

impl<T: JsonSchema> JsonSchema for Item<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// One file of Freshet definitions. Every section may be left out, and may be spread over several files.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "Freshet definitions")]
#[expect(dead_code, reason = "the schema of a file; its sections are read one by one by `RawDefinitions::extend`")]
pub struct RawFile {
    /// Events: where they come from and what they look like.
    sources: Option<Parts<Item<RawEvents>>>,
    /// Slowly changing tables that enrich events.
    dimensions: Option<Parts<Item<RawDimension>>>,
    /// What features describe, with their join keys.
    entities: Option<Parts<Item<RawEntity>>>,
    /// Features of one entity from one source.
    views: Option<Parts<Item<RawView>>>,
    /// Features computed from requests and other features when they are asked for.
    realtime: Option<Parts<Item<RawRealtime>>>,
    /// Named lists of features that are served together.
    services: Option<Parts<Item<RawService>>>,
}

record! {
    /// Events: where they come from and what they look like. At least one of `stream` and `history` is needed.
    #[schemars(extend("anyOf" = [{ "required": ["stream"] }, { "required": ["history"] }]))]
    pub struct RawSource = "source" {
        /// Lower-case letters, digits and underscores, starting with a letter, at most 64.
        #[schemars(with = "Name")]
        name: At<String>,
        /// Where new events come from.
        stream: Option<At<RawStream>>,
        /// Where old events come from.
        history: Option<At<RawFiles>>,
        /// Columns and their types, as read from the stream or the files.
        #[schemars(with = "Pairs<ColumnType>")]
        schema: Pairs<At<String>>,
        /// The column with the instant an event happened at; a timestamp, never null.
        event_time: At<String>,
        /// A column that tells events apart: of two events with the same value the first counts.
        dedup_key: Option<At<String>>,
        /// An integer column that orders events of equal event time.
        tie_breaker: Option<At<String>>,
        /// How much later than a view's longest window an event may come, such as `1h`; `24h` unless written.
        #[schemars(with = "Option<SpanText>")]
        lateness: Option<At<Spelled>>,
        /// Records are changes of the rows of a table: a changed or deleted row counts as if it had never been otherwise.
        changelog: Option<At<RawChangelog>>,
        /// A column of type `array<T>` whose every element makes an event of its own.
        explode: Option<At<RawExplode>>,
        /// Joins with dimensions, applied in order.
        enrich: Option<Parts<RawEnrich>>,
        /// Computed columns, applied in order after `enrich`.
        select: Option<Parts<RawComputed>>,
        /// For people.
        #[allow(dead_code, reason = "read by people in the file")]
        description: Option<Spelled>,
    }
}

record! {
    /// Changes of the rows of a table.
    pub struct RawChangelog = "changelog" {
        /// The column that names a row, or a list of them.
        key: OneOrMany<At<String>>,
        /// `upsert`, which is also the default: a record is the row as it is from now on, or has `"__deleted": true`.
        /// `debezium`: a record has `before`, `after` and `op`.
        #[schemars(with = "Option<ChangelogFormat>")]
        format: Option<At<String>>,
        /// A column that grows with every change of a row: changes that come too late are told by it.
        version: Option<At<String>>,
    }
}

record! {
    /// A column of lists that is taken apart.
    pub struct RawExplode = "explode step" {
        /// The column, of type `array<T>`.
        column: At<String>,
        /// What an event calls its element; as the column unless written.
        alias = "as": Option<At<String>>,
    }
}

record! {
    /// A stream of records: exactly one of `kafka` and `log`.
    #[schemars(extend("oneOf" = [{ "required": ["kafka"] }, { "required": ["log"] }]))]
    pub struct RawStream = "stream" {
        /// A Kafka topic.
        kafka: Option<RawKafka>,
        /// The embedded log that HTTP ingest appends to: `{log: {}}`.
        log: Option<RawLog>,
    }
}

record! {
    /// A Kafka topic. Brokers and credentials stand in the settings, not here.
    pub struct RawKafka = "kafka stream" {
        /// The topic's name.
        topic: At<String>,
        /// How a record is encoded: `json`, which is also the default.
        #[schemars(with = "Option<StreamFormat>")]
        format: Option<At<String>>,
    }
}

record! {
    /// The embedded log; it takes no options.
    pub struct RawLog = "log" {}
}

record! {
    /// Files of one format: exactly one of `parquet`, `csv` and `ndjson`.
    #[schemars(extend("oneOf" = [{ "required": ["parquet"] }, { "required": ["csv"] }, { "required": ["ndjson"] }]))]
    pub struct RawFiles = "set of files" {
        /// Parquet files.
        parquet: Option<RawPath>,
        /// CSV files with a header line.
        csv: Option<RawPath>,
        /// Files of one JSON object per line.
        ndjson: Option<RawPath>,
    }
}

record! {
    /// A file, or a directory of them.
    pub struct RawPath = "path" {
        /// Relative paths count from the directory of definitions.
        path: At<String>,
    }
}

record! {
    /// A join with a dimension: every event gets the columns of the dimension's row with its key, or nulls.
    pub struct RawEnrich = "join" {
        /// The dimension's name.
        dimension: At<String>,
        /// Per key column of the dimension, the event's column.
        on: Pairs<At<String>>,
        /// The dimension's columns to take: a name, or `{name: year, as: plane_year}`.
        columns: Parts<RawTaken>,
    }
}

/// A column taken from a dimension: a name, or `{name, as}`.
#[derive(Clone, Debug)]
pub struct RawTaken {
    pub name: At<String>,
    pub alias: Option<At<String>>,
}

record! {
    /// A column and the name the event gives it.
    pub struct RawRenamed = "taken column" {
        /// The dimension's column.
        name: At<String>,
        /// The event's name for it.
        alias = "as": Option<At<String>>,
    }
}

impl Decode for RawTaken {
    fn decode(node: &Node, shape: &mut Shape) -> Option<RawTaken> {
        match node.content {
            Content::Map(_) => RawRenamed::decode(node, shape).map(|r| RawTaken { name: r.name, alias: r.alias }),
            _ => At::decode(node, shape).map(|name| RawTaken { name, alias: None }),
        }
    }

    fn lost(place: &Place) -> RawTaken {
        RawTaken { name: At::lost(place), alias: None }
    }
}

record! {
    /// A column made by an SQL expression over the columns before it.
    pub struct RawComputed = "computed column" {
        /// The column's name.
        name: At<String>,
        /// The column's type; the expression's unless written.
        #[schemars(with = "Option<TypeName>")]
        data_type = "type": Option<At<String>>,
        /// An SQL expression.
        sql: At<Spelled>,
    }
}

record! {
    /// A slowly changing table, keyed. At least one of `table` and `changes` is needed.
    #[schemars(extend("anyOf" = [{ "required": ["table"] }, { "required": ["changes"] }]))]
    pub struct RawDimension = "dimension" {
        /// Lower-case letters, digits and underscores, starting with a letter, at most 64.
        #[schemars(with = "Name")]
        name: At<String>,
        /// The key column, or a list of them.
        key: OneOrMany<At<String>>,
        /// Columns and their types.
        #[schemars(with = "Pairs<TypeName>")]
        schema: Pairs<At<String>>,
        /// Rows at the start.
        table: Option<At<RawFiles>>,
        /// Upserts while running.
        changes: Option<At<RawStream>>,
        /// For people.
        #[allow(dead_code, reason = "read by people in the file")]
        description: Option<Spelled>,
    }
}

record! {
    /// What features describe.
    pub struct RawEntity = "entity" {
        /// Lower-case letters, digits and underscores, starting with a letter, at most 64.
        #[schemars(with = "Name")]
        name: At<String>,
        /// Join keys and their types; floats are not allowed.
        #[schemars(with = "Pairs<KeyType>")]
        keys: Pairs<At<String>>,
        /// For people.
        #[allow(dead_code, reason = "read by people in the file")]
        description: Option<Spelled>,
    }
}

record! {
    /// Features of one entity from one source.
    #[schemars(extend("oneOf" = [{ "required": ["aggregates"] }, { "required": ["attributes"] }]))]
    pub struct RawView = "view" {
        /// Lower-case letters, digits and underscores, starting with a letter, at most 64.
        #[schemars(with = "Name")]
        name: At<String>,
        /// The source's name.
        source: At<String>,
        /// The entity's name.
        entity: At<String>,
        /// Per key of the entity, the event's column; needed where the names differ.
        keys: Option<Pairs<At<String>>>,
        /// An SQL condition: events that count.
        filter = "where": Option<At<Spelled>>,
        /// `continuous`, which is also the default, `{interval: 5m}`, `{batch: {schedule: 1h, delay: 10m}}` or
        /// `{sawtooth: 1h}`.
        mode: Option<At<RawMode>>,
        /// What is computed. A view has either these or `attributes`.
        aggregates: Option<Parts<RawAggregate>>,
        /// Columns whose newest values are the features, instead of `aggregates`.
        attributes: Option<Parts<At<String>>>,
        /// How long attributes are valid, such as `2d`; without end unless written.
        #[schemars(with = "Option<SpanText>")]
        ttl: Option<At<Spelled>>,
        /// A column whose values every aggregate is told apart by: features are lists, one element per value seen.
        secondary_key: Option<At<String>>,
        /// Events before this instant do not exist for the view; needed for `lifetime` windows. RFC 3339 with a zone, or a
        /// date for midnight UTC.
        lifetime_start: Option<At<Spelled>>,
        /// Whether rows are kept in the online store; true unless written.
        online: Option<bool>,
        /// Whether rows are kept in the offline store; false unless written.
        offline: Option<bool>,
        /// After how long without events a key's features expire, such as `30d`.
        #[schemars(with = "Option<SpanText>")]
        serving_ttl: Option<At<Spelled>>,
        /// Instants before this one have no values: RFC 3339 with a zone, or a date for midnight UTC.
        feature_start: Option<At<Spelled>>,
        /// Who answers for the view.
        owner: Option<Spelled>,
        /// For people.
        description: Option<Spelled>,
        /// Labels for people and tools.
        tags: Option<Pairs<Spelled>>,
    }
}

/// Which events count at an instant: `continuous`, or a record.
#[derive(Clone, Debug)]
pub enum RawMode {
    Word(String),
    Record(Box<RawSteps>),
}

record! {
    /// How windows move: exactly one of `interval`, `batch` and `sawtooth`.
    #[schemars(extend("oneOf" = [{ "required": ["interval"] }, { "required": ["batch"] }, { "required": ["sawtooth"] }]))]
    pub struct RawSteps = "mode" {
        /// Windows move in steps of this span, such as `5m`.
        #[schemars(with = "Option<SpanText>")]
        interval: Option<At<Spelled>>,
        /// Windows move with a schedule.
        batch: Option<RawBatch>,
        /// Windows end at the instant asked for and begin at a step of this span, such as `1h`.
        #[schemars(with = "Option<SpanText>")]
        sawtooth: Option<At<Spelled>>,
    }
}

record! {
    /// Windows move when a scheduled batch is complete.
    pub struct RawBatch = "batch mode" {
        /// The span from one batch to the next, such as `1d`.
        #[schemars(with = "SpanText")]
        schedule: At<Spelled>,
        /// How long after its end a batch shows, such as `1h`; zero unless written.
        #[schemars(with = "Option<SpanText>")]
        delay: Option<At<Spelled>>,
    }
}

impl Decode for RawMode {
    fn decode(node: &Node, shape: &mut Shape) -> Option<RawMode> {
        match node.content {
            Content::Map(_) => RawSteps::decode(node, shape).map(|steps| RawMode::Record(Box::new(steps))),
            _ => String::decode(node, shape).map(RawMode::Word),
        }
    }

    fn lost(_: &Place) -> RawMode {
        RawMode::Word(String::new())
    }
}

record! {
    /// A function over a column over one or more windows; one feature per window, named `{aggregate}_{window}`.
    pub struct RawAggregate = "aggregate" {
        /// Lower-case letters, digits and underscores, starting with a letter, at most 64.
        #[schemars(with = "Name")]
        name: At<String>,
        /// One of the functions. What this and the parameters below are to editors is made of their list.
        #[schemars(with = "FunctionName")]
        function = "fn": At<String>,
        /// A column or an SQL expression. Only `count` may go without: it then counts events.
        of: Option<At<Spelled>>,
        /// Windows such as `10m`, `1h` or `lifetime`.
        windows: Parts<At<RawWindow>>,
        /// An SQL condition: events that count for this aggregate, on top of the view's.
        filter = "where": Option<At<Spelled>>,
        /// A column: the feature is a map from its values to the aggregate of each.
        by: Option<At<String>>,
        /// How many values of a list.
        n: Option<At<Numeral>>,
        /// How many values of the most frequent ones.
        k: Option<At<Numeral>>,
        /// The most distinct values.
        limit: Option<At<Numeral>>,
        /// Which percentile.
        percentile: Option<At<Numeral>>,
        /// How precise an approximation is.
        precision: Option<At<Numeral>>,
        /// The age at which a value counts half.
        #[schemars(with = "Option<SpanText>")]
        half_life: Option<At<Spelled>>,
        /// What events are compared by.
        order: Option<At<Spelled>>,
    }
}

/// A window: `1h`, `lifetime`, `{size: 1h, offset: -2h}`, or `{series: {..}}`.
#[derive(Clone, Debug)]
pub struct RawWindow {
    pub size: Option<At<Spelled>>,
    pub offset: Option<At<Spelled>>,
    pub series: Option<RawSeries>,
    /// As of records.
    pub strange: bool,
}

record! {
    /// A window that does not end at the instant asked for, or a series of windows: exactly one of `size` and `series`.
    #[schemars(extend("oneOf" = [{ "required": ["size"] }, { "required": ["series"] }]))]
    pub struct RawShifted = "window" {
        /// The window's length.
        #[schemars(with = "Option<WindowText>")]
        size: Option<At<Spelled>>,
        /// How far from the instant asked for it ends; zero or negative.
        #[schemars(with = "Option<OffsetText>")]
        offset: Option<At<Spelled>>,
        /// Several windows, whose values are one list.
        series: Option<RawSeries>,
    }
}

record! {
    /// Windows of one size: the first begins at `start`, each next one `step` later, as long as they end by `end`.
    pub struct RawSeries = "series" {
        /// Where the first window begins, counted from the instant asked for, such as `-6h`.
        #[schemars(with = "OffsetText")]
        start: At<Spelled>,
        /// Where the last window has ended; zero or negative.
        #[schemars(with = "OffsetText")]
        end: At<Spelled>,
        /// From the beginning of one window to that of the next.
        #[schemars(with = "SpanText")]
        step: At<Spelled>,
        /// The length of each window.
        #[schemars(with = "SpanText")]
        size: At<Spelled>,
    }
}

impl Decode for RawWindow {
    fn decode(node: &Node, shape: &mut Shape) -> Option<RawWindow> {
        match node.content {
            Content::Map(_) => RawShifted::decode(node, shape)
                .map(|RawShifted { size, offset, series, strange }| RawWindow { size, offset, series, strange }),
            _ => At::decode(node, shape).map(RawWindow::plain),
        }
    }

    fn lost(place: &Place) -> RawWindow {
        RawWindow::plain(At::lost(place))
    }
}

impl RawWindow {
    fn plain(size: At<Spelled>) -> RawWindow {
        RawWindow { size: Some(size), offset: None, series: None, strange: false }
    }
}

record! {
    /// Features computed from requests and other features when they are asked for; any service may list them.
    pub struct RawRealtime = "realtime view" {
        /// Lower-case letters, digits and underscores, starting with a letter, at most 64. No view has the same name.
        #[schemars(with = "Name")]
        name: At<String>,
        /// Values that come with a request, and their types; SQL calls them `request.FIELD`.
        #[schemars(with = "Option<Pairs<TypeName>>")]
        request: Option<Pairs<At<String>>>,
        /// What is computed.
        features: Parts<RawDerived>,
        /// Who answers for the features.
        owner: Option<Spelled>,
        /// For people.
        description: Option<Spelled>,
        /// Labels for people and tools.
        tags: Option<Pairs<Spelled>>,
    }
}

record! {
    /// A feature computed by SQL when it is asked for.
    pub struct RawDerived = "derived feature" {
        /// Lower-case letters, digits and underscores, starting with a letter, at most 64.
        #[schemars(with = "Name")]
        name: At<String>,
        /// The feature's type, such as `float64`.
        #[schemars(with = "TypeName")]
        data_type = "type": At<String>,
        /// An SQL expression over `request.FIELD`, `VIEW.FEATURE`, `request_timestamp` and other such features.
        sql: At<Spelled>,
    }
}

record! {
    /// A named list of features that are served together.
    pub struct RawService = "service" {
        /// Lower-case letters, digits and underscores, starting with a letter, at most 64.
        #[schemars(with = "Name")]
        name: At<String>,
        /// For people.
        description: Option<Spelled>,
        /// `view.feature`, or a whole view: `view.*` or `view`. Realtime views are listed in the same way.
        features: Parts<At<String>>,
        /// Values that come with a request, and their types; SQL calls them `request.FIELD`.
        #[schemars(with = "Option<Pairs<TypeName>>")]
        request: Option<Pairs<At<String>>>,
        /// Features of this service alone, computed when they are asked for; served as `derived.NAME`.
        derived: Option<Parts<RawDerived>>,
    }
}

/// Text, or a record: the schema of the fields that take either.
macro_rules! text_or {
    ($type:ty, $text:ty, $record:ty) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let (text, record) = (generator.subschema_for::<$text>(), generator.subschema_for::<$record>());
                schemars::json_schema!({ "anyOf": [text, record] })
            }
        }
    };
}
text_or!(RawTaken, String, RawRenamed);
text_or!(RawMode, Continuous, RawSteps);
text_or!(RawWindow, WindowText, RawShifted);

/// The sections of all files, in the order of files.
#[derive(Clone, Debug, Default)]
pub struct RawDefinitions {
    pub sources: Vec<Item<RawEvents>>,
    pub dimensions: Vec<Item<RawDimension>>,
    pub entities: Vec<Item<RawEntity>>,
    pub views: Vec<Item<RawView>>,
    pub realtime: Vec<Item<RawRealtime>>,
    pub services: Vec<Item<RawService>>,
}

impl RawDefinitions {
    /// Adds a file's sections. False when one could not be read, so that names may be missing.
    pub fn extend(&mut self, file: &Node, shape: &mut Shape) -> bool {
        const SECTIONS: &[&str] = &["sources", "dimensions", "entities", "views", "realtime", "services"];
        let Some(mut fields) = Fields::open(file, "file of definitions", SECTIONS, shape) else { return false };
        let read = [
            add(&mut self.sources, fields.take_each("sources", shape)),
            add(&mut self.dimensions, fields.take_each("dimensions", shape)),
            add(&mut self.entities, fields.take_each("entities", shape)),
            add(&mut self.views, fields.take_each("views", shape)),
            add(&mut self.realtime, fields.take_each("realtime", shape)),
            add(&mut self.services, fields.take_each("services", shape)),
        ];
        !fields.strange() && read.iter().all(|read| *read)
    }
}

/// Adds what is written under one name, which may be more than once; false when something of it is lost.
fn add<T>(all: &mut Vec<Item<T>>, sections: Vec<Section<Item<T>>>) -> bool {
    let complete = sections.iter().all(|section| section.0.is_some());
    all.extend(sections.into_iter().filter_map(|section| section.0).flatten());
    complete
}
