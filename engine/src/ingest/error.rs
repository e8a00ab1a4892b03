//! Why events cannot be taken in.

use std::io;
use std::path::PathBuf;

use freshet_connectors::files::FileError;
use freshet_connectors::kafka::KafkaError;
use freshet_connectors::log::LogError;
use freshet_connectors::positions::PositionsError;

/// Why an input cannot be opened or read on. Single bad records are no errors: they go to the ledger.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error("source `{source_name}`: {error}")]
    History { source_name: String, error: Box<FileError> },
    #[error("the table of dimension `{dimension}`: {error}")]
    Table { dimension: String, error: Box<FileError> },
    #[error("the table of dimension `{dimension}` has {rows} rows with a null or overlong key: remove them")]
    TableKey { dimension: String, rows: usize },
    #[error("input `{input}`: {error}")]
    Log { input: String, error: LogError },
    #[error("the log of `{0}` is not open: open the logs with the same definitions")]
    NoLog(String),
    #[error("input `{input}`: {error}")]
    Kafka { input: String, error: KafkaError },
    #[error("input `{input}`: a thread cannot be started: {error}")]
    Thread { input: String, error: io::Error },
    #[error("input `{0}` reads from kafka: add a section [kafka] with `brokers` to the settings")]
    NoKafka(String),
    #[error("a source and a dimension are both called `{0}`, and their logs and ledgers would mix: rename one of them")]
    NameTwice(String),
    #[error("the plan has no pipeline {0}")]
    NoPipeline(usize),
    #[error("the definitions have no dimension {0}")]
    NoDimension(usize),
    #[error("events of `{input}` cannot be sorted out: {error}")]
    Columns { input: String, error: arrow::error::ArrowError },
    #[error(transparent)]
    Positions(#[from] PositionsError),
}

impl IntakeError {
    /// Whether what is wrong is with a server outside.
    pub fn is_outside(&self) -> bool {
        matches!(self, IntakeError::Kafka { .. })
    }
}

/// Why none of the records pushed at once was taken (with Kafka: why some may not have been).
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("there is no source `{name}`; {suggestion}")]
    UnknownSource { name: String, suggestion: String },
    #[error("source `{0}` has no stream that records could be pushed to: give it `stream: {{log: {{}}}}`")]
    NoStream(String),
    #[error("source `{0}` is the changes of a view, which are derived: push to the source of that view")]
    Derived(String),
    #[error("the log of `{0}` is not open in this process")]
    NoLog(String),
    #[error("source `{0}` is fed through kafka: add a section [kafka] with `brokers` to the settings")]
    NoKafka(String),
    #[error("source `{name}`: {error}")]
    Log { name: String, error: LogError },
    #[error("source `{name}`: {error}")]
    Kafka { name: String, error: KafkaError },
}

impl PushError {
    /// Whether the disk has no room: the same records may be sent again later.
    pub fn is_storage_full(&self) -> bool {
        let full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        matches!(self, PushError::Log { error: LogError::Io { error, .. } | LogError::Failed { error, .. }, .. } if full(error))
    }
}

/// Why a file could not be fed to its end. `E` is what the receiver of its records says.
#[derive(Debug, thiserror::Error)]
pub enum FeedError<E: std::error::Error + 'static> {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the name of {} is not UTF-8: rename the file", .0.display())]
    Name(PathBuf),
    #[error("{0}")]
    Sink(E),
}
