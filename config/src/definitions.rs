//! Resolved definitions: plain data in which every name is found, every type fits and every window is sound.
//!
//! References are indices into the vectors of [`Definitions`], so later stages never look a name up again.
//! SQL is carried as text with its place: its types are checked where expressions are compiled.

use serde::Serialize;

use crate::diagnostic::Place;
use crate::time::{EventTime, Span};
use crate::value::{DataType, FeatureType, Value};

pub use crate::function::{Fraction, Function};

/// Everything one directory of definition files declares.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Definitions {
    pub sources: Vec<Source>,
    pub dimensions: Vec<Dimension>,
    pub entities: Vec<Entity>,
    pub views: Vec<View>,
    pub realtime: Vec<Realtime>,
    pub services: Vec<Service>,
}

impl Definitions {
    pub fn source(&self, name: &str) -> Option<usize> {
        self.sources.iter().position(|s| s.name == name)
    }

    pub fn view(&self, name: &str) -> Option<usize> {
        self.views.iter().position(|v| v.name == name)
    }

    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|s| s.name == name)
    }

    /// Sources such that changes of a view come after the source of that view; those that no view leads to as listed.
    pub fn sources_in_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.sources.len()).collect();
        order.sort_by_key(|source| self.source_level(*source));
        order
    }

    /// How many views lie between the source and what is read from outside.
    fn source_level(&self, source: usize) -> usize {
        let mut at = Some(source);
        // Resolving refuses circles: there are fewer steps than sources.
        let steps = std::iter::from_fn(|| {
            let changes = self.sources.get(at?)?.changes_of.as_ref()?;
            at = self.views.get(changes.view).map(|view| view.source);
            Some(())
        });
        steps.take(self.sources.len()).count()
    }

    /// A hash of everything that changes a value or its name. Places and descriptions do not count.
    pub fn plan_id(&self) -> PlanId {
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        let hash = blake3::hash(&canonical);
        let mut id = [0; 8];
        id.copy_from_slice(&hash.as_bytes()[..8]);
        PlanId(u64::from_le_bytes(id))
    }
}

/// Identifies compiled definitions; on every row, response, log line and dataset manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanId(pub u64);

impl std::fmt::Display for PlanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Text of the user's that is compiled later, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sql {
    pub text: String,
    #[serde(skip)]
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
}

/// Events: where they come from and what they look like.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    pub name: String,
    pub stream: Option<Stream>,
    pub history: Option<Files>,
    /// Set when the events are the changes of a view; there is neither a stream nor a history then, and `schema` is
    /// [`CHANGED_AT`] and the keys of the view's entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes_of: Option<ChangesOf>,
    /// Columns as read from the stream or the files.
    pub schema: Vec<Column>,
    /// Index into `schema`; a timestamp, never null.
    pub event_time: usize,
    /// Index into `schema`. Two events with the same value are one event: the first wins.
    pub dedup_key: Option<usize>,
    /// Index into `schema`, an integer: orders events of equal event time instead of the source position.
    pub tie_breaker: Option<usize>,
    /// How much later than a view's longest window an event may come.
    pub lateness: Span,
    /// Set when records say how rows of a table change; the events are the rows as they are now.
    pub changelog: Option<Changelog>,
    /// Set when a column holds lists: every element makes an event of its own, before anything is joined or computed.
    pub explode: Option<Explode>,
    /// Joins with dimensions, applied in order; each appends its columns to the event.
    pub enrich: Vec<Enrich>,
    /// Computed columns, applied in order after `enrich`; each may use those before it.
    pub select: Vec<Computed>,
    #[serde(skip)]
    pub place: Place,
}

/// The event time of changes: the instant a key's features became what they are.
pub const CHANGED_AT: &str = "changed_at";
/// What the columns of values before a change end with.
pub const BEFORE: &str = "_before";

/// Events that say that features of a view have changed.
///
/// Behind those of the source's schema, such an event has a column per feature, of its name and type, and then one per
/// feature for the value just before, named `{feature}_before`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangesOf {
    /// Index into [`Definitions::views`].
    pub view: usize,
    /// Features that are single values and no decayed sums, in the view's order: indices into [`View::features`].
    pub features: Vec<usize>,
    /// Names of features that are not, of all parts of the user's view.
    #[serde(skip)]
    pub left_out: Vec<String>,
}

impl Source {
    /// Columns of an event before joins: those of the schema, the one that is exploded under its own name.
    pub fn event_columns(&self) -> Vec<Column> {
        let mut columns = self.schema.clone();
        if let Some(explode) = &self.explode {
            columns[explode.column].name.clone_from(&explode.name);
        }
        columns
    }
}

/// A column of lists that is taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explode {
    /// Index into the source's schema, where its type is that of the elements.
    pub column: usize,
    /// What an event calls its element.
    pub name: String,
}

/// Changes of the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changelog {
    /// Columns that name a row: indices into the source's schema, of types that can be keys.
    pub key: Vec<usize>,
    /// How records of the stream are written; files hold rows.
    pub format: ChangelogFormat,
    /// An integer or a timestamp that grows with every change of a row: index into the source's schema.
    pub version: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ChangelogFormat {
    /// A record is the row as it is from now on, or says that it is deleted.
    Upsert,
    /// Debezium's envelope: before, after, op.
    Debezium,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Stream {
    /// The embedded log that HTTP ingest appends to.
    Log,
    Kafka {
        topic: String,
        format: StreamFormat,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum StreamFormat {
    Json,
}

/// Files of one format: a file, a directory (every file in it with the format's ending, in the order of names).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Files {
    pub format: FileFormat,
    /// As written. Relative paths count from the directory of definitions.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum FileFormat {
    Parquet,
    Csv,
    Ndjson,
}

/// A column made by an SQL expression over the columns before it.
#[derive(Clone, Debug, Serialize)]
pub struct Computed {
    pub name: String,
    /// `None`: the type SQL gives the expression.
    pub data_type: Option<DataType>,
    pub sql: Sql,
}

/// A join of a source with a dimension: every event gets the columns of the dimension's row with its key, or nulls.
#[derive(Clone, Debug, Serialize)]
pub struct Enrich {
    /// Index into [`Definitions::dimensions`].
    pub dimension: usize,
    /// Per key column of the dimension, in its order, the event's column: an index into the source's schema.
    pub on: Vec<usize>,
    /// Columns taken: index into the dimension's schema, and the name the event gives it.
    pub columns: Vec<(usize, String)>,
}

/// A slowly changing table, keyed; its current rows enrich events.
#[derive(Clone, Debug, Serialize)]
pub struct Dimension {
    pub name: String,
    pub schema: Vec<Column>,
    /// Indices into `schema`.
    pub key: Vec<usize>,
    /// Rows at the start.
    pub table: Option<Files>,
    /// Upserts while running: JSON objects; one whose non-key columns are all absent or null and that carries
    /// `"__deleted": true` removes the key's row. An empty Kafka value cannot name a key and is refused.
    pub changes: Option<Stream>,
    #[serde(skip)]
    pub place: Place,
}

#[derive(Clone, Debug, Serialize)]
pub struct Entity {
    pub name: String,
    pub keys: Vec<Column>,
}

/// Features of one entity from one source.
///
/// A view of the user's whose aggregates are partly by category becomes several of these (see [`View::served_as`]), so
/// that each has at most one [`Group`].
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// Unique: what the view is stored under. The user's name, followed by `@` and the category's name for a part that is
    /// by category.
    pub name: String,
    /// The user's name for the view; features are served as `{served_as}.{feature}`.
    pub served_as: String,
    pub source: usize,
    pub entity: usize,
    /// Per key of the entity, the event's column by name (a schema, enriched or computed column).
    pub key_columns: Vec<String>,
    pub filter: Option<Sql>,
    pub mode: Mode,
    /// Whether every aggregate is computed per category, and what that makes of its features.
    pub group: Option<Group>,
    /// Whether features are attributes: columns of the newest row. All aggregates are [`Function::Latest`] then, over one
    /// window: the view's `ttl`, or [`Span::UNBOUNDED`].
    pub attributes: bool,
    pub aggregates: Vec<Aggregate>,
    /// Features in order: aggregates as written, each with its windows as written.
    pub features: Vec<Feature>,
    pub online: bool,
    pub offline: bool,
    pub serving_ttl: Option<Span>,
    /// Instants whose reference lies before it have no values at all. Always `None` for attribute views, whose
    /// `feature_start` is a [`View::lifetime_start`].
    pub feature_start: Option<EventTime>,
    /// Events before it count in no window, bounded ones included.
    pub lifetime_start: Option<EventTime>,
    #[serde(skip)]
    pub owner: Option<String>,
    #[serde(skip)]
    pub description: Option<String>,
    #[serde(skip)]
    pub tags: Vec<(String, String)>,
    #[serde(skip)]
    pub place: Place,
}

impl View {
    /// The longest reach into the past of any window and of `serving_ttl`: its offset, the delay of its mode and a step are part of it.
    /// [`Span::UNBOUNDED`] when a window is.
    pub fn longest_window(&self) -> Span {
        let windows = self.aggregates.iter().flat_map(|a| &a.windows);
        let longest = windows.map(|w| w.size.micros().saturating_sub(w.offset.micros())).max().unwrap_or_default();
        // What tells whether values have expired is a window too.
        let longest = longest.max(self.serving_ttl.unwrap_or_default().micros());
        let behind = match self.mode {
            Mode::Continuous | Mode::Interval(_) => 0,
            Mode::Batch { schedule, delay } => schedule.micros().saturating_add(delay.micros()),
            Mode::Sawtooth(step) => step.micros(),
        };
        Span::from_micros(longest.saturating_add(behind)).min(Span::UNBOUNDED)
    }

    /// The type of a feature whose aggregate's column is of type `input` (`None`: rows are counted), in a view whose
    /// category is of type `group`.
    pub fn feature_type(&self, feature: &Feature, input: Option<DataType>, group: Option<DataType>) -> FeatureType {
        let function = self.aggregates.get(feature.aggregate).map_or(Function::Count, |a| a.function);
        let plain = function.output(input);
        let grouped = match (&self.group, group) {
            (None, _) | (_, None) => plain,
            (Some(_), _) if function == Function::GroupKeys => plain,
            (Some(Group { shape: GroupShape::Map, .. }), Some(category)) => FeatureType::Map(category, Box::new(plain)),
            (Some(Group { shape: GroupShape::Aligned, .. }), _) => FeatureType::List(Box::new(plain)),
        };
        if feature.series.is_some() { FeatureType::List(Box::new(grouped)) } else { grouped }
    }

    /// The value of a feature for a key without events in its windows.
    pub fn empty_value(&self, feature: &Feature) -> Value {
        let function = self.aggregates.get(feature.aggregate).map_or(Function::Count, |a| a.function);
        let one = match &self.group {
            Some(Group { shape: GroupShape::Map, .. }) => Value::Map(Vec::new()),
            Some(Group { shape: GroupShape::Aligned, .. }) => Value::List(Vec::new()),
            None => function.empty(),
        };
        match feature.series {
            Some(windows) => Value::List(vec![one; windows]),
            None => one,
        }
    }
}

/// Which events count at an instant T (DESIGN: the laws).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Mode {
    /// `(T - W + O, T + O]`, event-exact.
    Continuous,
    /// `[T' - W + O, T' + O)` with `T' = floor(T / A) * A`, A being this span.
    Interval(Span),
    /// `[T' - W + O, T' + O)` with `T' = floor((T - delay) / schedule) * schedule`.
    Batch { schedule: Span, delay: Span },
    /// `[floor((T - W + O) / r) * r, T + O]`, r being this span.
    Sawtooth(Span),
}

/// The category that all aggregates of a view are computed by. Events whose category is null count in none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// A column, quoted, as an expression over the source's columns; never a float.
    pub column: Sql,
    /// The category's name: the column's.
    pub name: String,
    pub shape: GroupShape,
}

/// How the values of all categories make one feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum GroupShape {
    /// A map from category to value, ascending by category (`by:`).
    Map,
    /// A list of values, aligned with the list of the categories seen in the window, ascending (`secondary_key:`).
    Aligned,
}

#[derive(Clone, Debug, Serialize)]
pub struct Aggregate {
    pub name: String,
    pub function: Function,
    /// What is aggregated: a column's name or an SQL expression. `None` only for `count`: rows.
    pub of: Option<Sql>,
    /// What rows are compared by; for `min_by` and `max_by`, and only for them.
    pub order: Option<Sql>,
    /// Events that count for this aggregate, on top of the view's filter.
    pub filter: Option<Sql>,
    /// Those of a series follow each other, the oldest first.
    pub windows: Vec<Window>,
    #[serde(skip)]
    pub place: Place,
}

/// A window ending at the instant asked for, or before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Window {
    /// Positive; [`Span::UNBOUNDED`] for `lifetime`, and for attributes without `ttl`.
    pub size: Span,
    /// Zero or negative.
    pub offset: Span,
}

/// One feature of a view: an aggregate over one of its windows, or over a series of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// `{aggregate}_{window}`, the window as the user spelled it; the column of an attribute.
    pub name: String,
    /// Index into [`View::aggregates`].
    pub aggregate: usize,
    /// Index into the aggregate's windows: the window, or the first (and oldest) of the series.
    pub window: usize,
    /// How many consecutive windows of the aggregate make the feature, which is a list of their values then, the oldest
    /// first.
    pub series: Option<usize>,
}

/// Features computed from a request and from other features when they are asked for; any service may list them.
#[derive(Clone, Debug, Serialize)]
pub struct Realtime {
    /// Unique among realtime sections and among the names views are served under.
    pub name: String,
    pub request: Vec<RequestField>,
    pub features: Vec<Derived>,
    #[serde(skip)]
    pub owner: Option<String>,
    #[serde(skip)]
    pub description: Option<String>,
    #[serde(skip)]
    pub tags: Vec<(String, String)>,
    #[serde(skip)]
    pub place: Place,
}

/// A value that comes with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestField {
    pub name: String,
    pub data_type: DataType,
    #[serde(skip)]
    pub place: Place,
}

/// A feature made by SQL when it is asked for. It may use `request.FIELD`, `VIEW.FEATURE`, `request_timestamp` and other
/// such features; whether it does soundly is checked where expressions are compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Derived {
    pub name: String,
    pub data_type: DataType,
    pub sql: Sql,
}

/// A named list of features served together.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    pub name: String,
    pub features: Vec<ServiceFeature>,
    /// Fields of the service's own, for its derived features.
    pub request: Vec<RequestField>,
    /// Served after `features`, as `derived.{name}`.
    pub derived: Vec<Derived>,
    #[serde(skip)]
    pub description: Option<String>,
    #[serde(skip)]
    pub place: Place,
}

/// A feature inside a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ServiceFeature {
    /// Served as `{served_as}.{feature}`.
    View { view: usize, feature: usize },
    /// Served as `{realtime}.{feature}`.
    Realtime { realtime: usize, feature: usize },
}

/// The Arrow type a column is decoded into. Timestamps are microseconds in UTC and carry no zone.
pub fn arrow_type(data_type: DataType) -> arrow::datatypes::DataType {
    use arrow::datatypes::{DataType as Arrow, TimeUnit};
    match data_type {
        DataType::Int32 => Arrow::Int32,
        DataType::Int64 => Arrow::Int64,
        DataType::Float32 => Arrow::Float32,
        DataType::Float64 => Arrow::Float64,
        DataType::String => Arrow::Utf8,
        DataType::Bool => Arrow::Boolean,
        DataType::Timestamp => Arrow::Timestamp(TimeUnit::Microsecond, None),
    }
}

/// The type of an Arrow column, where features know it.
pub fn column_type(arrow: &arrow::datatypes::DataType) -> Option<DataType> {
    DataType::ALL.into_iter().find(|t| &arrow_type(*t) == arrow)
}

/// Columns of which one, where given, holds lists of its type.
pub fn record_schema(columns: &[Column], list: Option<usize>) -> arrow::datatypes::SchemaRef {
    use arrow::datatypes::{DataType as Arrow, Field, Schema};
    let field = |(index, c): (usize, &Column)| {
        let plain = arrow_type(c.data_type);
        let of_list = || Arrow::List(std::sync::Arc::new(Field::new_list_field(plain.clone(), true)));
        Field::new(&c.name, if list == Some(index) { of_list() } else { plain.clone() }, true)
    };
    std::sync::Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>()))
}

/// Columns as an Arrow schema; every field may be null.
pub fn arrow_schema(columns: &[Column]) -> arrow::datatypes::SchemaRef {
    let field = |c: &Column| arrow::datatypes::Field::new(&c.name, arrow_type(c.data_type), true);
    std::sync::Arc::new(arrow::datatypes::Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}
