//! Why no dataset was made: one sentence each, naming the file or the definition and what to do.

use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use freshet_config::diagnostic::Diagnostics;
use freshet_connectors::files::FileError;
use freshet_operators::sql::SqlError;

#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error("{0}")]
    Definitions(#[from] Diagnostics),
    #[error("there is no service `{name}`: {hint}")]
    UnknownService { name: String, hint: String },
    #[error("{} ends in no format that is known: use .parquet, .csv or .ndjson", .0.display())]
    UnknownFormat(PathBuf),
    #[error("{0}")]
    File(#[from] FileError),
    #[error(
        "the spine {} has no column `{key}` for the join key of that name; its columns are {columns}",
        spine.display()
    )]
    MissingKey { spine: PathBuf, key: String, columns: String },
    #[error(
        "the spine {} has no column `{field}` for the request field of that name; its columns are {columns}",
        spine.display()
    )]
    MissingField { spine: PathBuf, field: String, columns: String },
    #[error("the spine {} has no column `{column}`; its columns are {columns}", spine.display())]
    MissingTimeColumn { spine: PathBuf, column: String, columns: String },
    #[error(
        "the spine {} has no column of timestamps; its columns are {columns}; name the one with instants with --time-column",
        spine.display()
    )]
    NoTime { spine: PathBuf, columns: String },
    #[error(
        "the spine {} has several columns of timestamps ({columns}): name the one to use with --time-column",
        spine.display()
    )]
    SeveralTimes { spine: PathBuf, columns: String },
    #[error("the spine {} has column `{column}` as {found}, which is not {wanted}", spine.display())]
    ColumnType { spine: PathBuf, column: String, found: String, wanted: String },
    #[error("the spine {} has more than one column `{column}`: rename all but one", spine.display())]
    Ambiguous { spine: PathBuf, column: String },
    #[error("the spine {} has no instant in row {row} (counted from 1): `{column}` is null", spine.display())]
    NullTime { spine: PathBuf, column: String, row: usize },
    #[error(
        "the spine {} has an instant outside the years 1700 to 2249 in row {row} (counted from 1) of `{column}`",
        spine.display()
    )]
    TimeRange { spine: PathBuf, column: String, row: usize },
    #[error("the spine {} has a column `{name}`, which is the name of a feature: rename it", spine.display())]
    NameTaken { spine: PathBuf, name: String },
    #[error("the files of the spine {} have different columns: {} differs from the first", spine.display(), file.display())]
    SpineFiles { spine: PathBuf, file: PathBuf },
    #[error("source `{source_name}` has no history, and view `{view}` of service `{service}` reads it")]
    NoHistory { source_name: String, view: String, service: String },
    #[error("an expression of source `{source_name}` failed on its history: {error}")]
    Expression { source_name: String, error: SqlError },
    #[error("view `{view}` has more than 4 GiB of text for one key: aggregate shorter strings, or filter more")]
    TooMuchText { view: String },
    #[error("column `{column}` is {found}, which {format} cannot hold: write {instead}")]
    Unwritable { column: String, found: String, format: &'static str, instead: &'static str },
    #[error("the dataset would be written over its spine {}: name another file with --out", .0.display())]
    OverSpine(PathBuf),
    #[error("cannot write {}: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
    /// Arrays that do not fit together; nothing a user can cause is known.
    #[error("the dataset's columns cannot be put together: {0}")]
    Arrow(#[from] ArrowError),
}

impl DatasetError {
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> DatasetError {
        move |error| DatasetError::Write { path: path.to_path_buf(), error }
    }
}
