//! Resolved definitions: plain data in which every name is found, every type fits and every window is sound.
//!
//! References are indices into the vectors of [`Definitions`], so later stages never look a name up again.
//! SQL is carried as text with its place: its types are checked where expressions are compiled.

use serde::Serialize;

use crate::diagnostic::Place;
use crate::time::{EventTime, Span};
use crate::value::DataType;

/// Everything one directory of definition files declares.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Definitions {
    pub sources: Vec<Source>,
    pub dimensions: Vec<Dimension>,
    pub entities: Vec<Entity>,
    pub views: Vec<View>,
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
    /// Joins with dimensions, applied in order; each appends its columns to the event.
    pub enrich: Vec<Enrich>,
    /// Computed columns, applied in order after `enrich`; each may use those before it.
    pub select: Vec<Computed>,
    #[serde(skip)]
    pub place: Place,
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
#[derive(Clone, Debug, Serialize)]
pub struct View {
    pub name: String,
    pub source: usize,
    pub entity: usize,
    /// Per key of the entity, the event's column by name (a schema, enriched or computed column).
    pub key_columns: Vec<String>,
    pub filter: Option<Sql>,
    pub mode: Mode,
    pub aggregates: Vec<Aggregate>,
    /// Features in order: aggregates as written, each with its windows as written.
    pub features: Vec<Feature>,
    pub online: bool,
    pub offline: bool,
    pub serving_ttl: Option<Span>,
    pub feature_start: Option<EventTime>,
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
    /// The longest reach into the past of any window, its offset included.
    pub fn longest_window(&self) -> Span {
        self.aggregates
            .iter()
            .flat_map(|a| &a.windows)
            .map(|w| Span::from_micros(w.size.micros() - w.offset.micros()))
            .max()
            .unwrap_or_default()
    }
}

/// Which events count at an instant (DESIGN: the laws).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Mode {
    /// `(T - W + O, T + O]`, event-exact.
    Continuous,
    /// `[T' - W + O, T' + O)` with `T' = floor(T / A) * A`, A being this span.
    Interval(Span),
}

#[derive(Clone, Debug, Serialize)]
pub struct Aggregate {
    pub name: String,
    pub function: Function,
    /// What is aggregated: a column's name or an SQL expression. `None` only for `count`: rows.
    pub of: Option<Sql>,
    /// Events that count for this aggregate, on top of the view's filter.
    pub filter: Option<Sql>,
    pub windows: Vec<Window>,
    #[serde(skip)]
    pub place: Place,
}

/// An aggregate function with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Function {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    StddevSamp,
    StddevPop,
    VarSamp,
    VarPop,
    Last,
}

impl Function {
    pub const ALL: [Function; 10] = [
        Function::Count,
        Function::Sum,
        Function::Mean,
        Function::Min,
        Function::Max,
        Function::StddevSamp,
        Function::StddevPop,
        Function::VarSamp,
        Function::VarPop,
        Function::Last,
    ];

    /// The name in definitions.
    pub fn name(self) -> &'static str {
        match self {
            Function::Count => "count",
            Function::Sum => "sum",
            Function::Mean => "mean",
            Function::Min => "min",
            Function::Max => "max",
            Function::StddevSamp => "stddev_samp",
            Function::StddevPop => "stddev_pop",
            Function::VarSamp => "var_samp",
            Function::VarPop => "var_pop",
            Function::Last => "last",
        }
    }

    /// Reads a name; `stddev` and `variance` are the sample forms.
    pub fn parse(name: &str) -> Option<Function> {
        match name {
            "stddev" => Some(Function::StddevSamp),
            "variance" => Some(Function::VarSamp),
            _ => Function::ALL.into_iter().find(|f| f.name() == name),
        }
    }

    /// Whether the function takes a column of this type.
    pub fn takes(self, input: DataType) -> bool {
        match self {
            Function::Count | Function::Min | Function::Max | Function::Last => true,
            _ => input.is_number(),
        }
    }

    /// The type of the result for a column of type `input` (`None`: rows are counted).
    pub fn output(self, input: Option<DataType>) -> DataType {
        match self {
            Function::Count => DataType::Int64,
            Function::Sum | Function::Min | Function::Max | Function::Last => input.unwrap_or(DataType::Int64),
            _ => DataType::Float64,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Window {
    pub size: Span,
    /// Zero or negative.
    pub offset: Span,
}

/// One feature of a view: an aggregate over one of its windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// `{aggregate}_{window}`, the window as the user spelled it.
    pub name: String,
    /// Index into [`View::aggregates`].
    pub aggregate: usize,
    /// Index into the aggregate's windows.
    pub window: usize,
}

/// A named list of features served together.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    pub name: String,
    pub features: Vec<ServiceFeature>,
    #[serde(skip)]
    pub description: Option<String>,
    #[serde(skip)]
    pub place: Place,
}

/// A feature of a view inside a service; served as `{view}.{feature}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ServiceFeature {
    pub view: usize,
    pub feature: usize,
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

/// Columns as an Arrow schema; every field may be null.
pub fn arrow_schema(columns: &[Column]) -> arrow::datatypes::SchemaRef {
    let field = |c: &Column| arrow::datatypes::Field::new(&c.name, arrow_type(c.data_type), true);
    std::sync::Arc::new(arrow::datatypes::Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}
