//! The offline store: per view a directory of Parquet files, the log of its rows for training and analysis.
//!
//! A file appears whole or not at all: it is written beside its place, synced, and renamed. Its name,
//! `{first}-{last}.parquet`, says which epochs it holds, both included; files of one view never overlap. What a crash
//! leaves unfinished is not a file, so whoever appends must append again what came after the last finished one.

mod columns;
mod files;

use std::fs::File;
use std::path::{Path, PathBuf};

use freshet_config::definitions::Column;
use freshet_config::time::{Epoch, EventTime, Span};
use freshet_config::value::{DataType, FeatureType, Value};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use columns::Columns;

/// Rows gathered before they are handed to the encoder.
const BATCH_ROWS: usize = 8_192;
/// Encoded bytes kept in memory before a row group goes to the file.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// The columns every file has between the keys and the features.
const VALID_FROM: &str = "valid_from";
const KNOWN_AT: &str = "known_at";

/// What the files of one view hold: the entity's keys, `valid_from`, `known_at`, the features, in this order.
#[derive(Clone, Debug)]
pub struct OfflineView {
    /// The directory's name under the root.
    pub name: String,
    /// Never null.
    pub keys: Vec<Column>,
    /// Names and types.
    pub features: Vec<(String, FeatureType)>,
}

/// When a file is large or old enough to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll {
    /// Bytes, encoded or waiting to be.
    pub bytes: usize,
    /// From the file's first epoch.
    pub span: Span,
}

/// Appends rows to the files of one view. One writer per view and directory.
pub struct OfflineWriter {
    view: String,
    directory: PathBuf,
    columns: Columns,
    roll: Roll,
    /// The first epoch the next file may hold.
    first: u64,
    open: Option<ArrowWriter<File>>,
    /// Set by the first failure to write: what was appended since the last file is gone.
    failed: bool,
}

impl OfflineWriter {
    /// Opens the directory of the view under `root` and makes it if it does not exist. Unfinished files of a former
    /// writer are removed; the next file begins behind the last finished one.
    pub fn open(root: &Path, view: OfflineView, roll: Roll) -> Result<OfflineWriter, OfflineError> {
        check_names(&view)?;
        let directory = root.join(&view.name);
        let last = files::recover(&directory)?;
        let columns = Columns::new(&view);
        let first = last.map_or(0, |last| last.saturating_add(1));
        Ok(OfflineWriter { view: view.name, directory, columns, roll, first, open: None, failed: false })
    }

    /// Opens as [`OfflineWriter::open`] does, to append again everything after `epoch`: finished files that hold only
    /// later epochs are set aside under another ending, not removed, and returned.
    pub fn resume(
        root: &Path,
        view: OfflineView,
        roll: Roll,
        epoch: Epoch,
    ) -> Result<(OfflineWriter, Vec<PathBuf>), OfflineError> {
        let mut writer = OfflineWriter::open(root, view, roll)?;
        let superseded = files::supersede_after(&writer.directory, epoch.micros())?;
        writer.first = epoch.micros().saturating_add(1);
        Ok((writer, superseded))
    }

    /// Appends one row: the key's values from `valid_from` on, as they were known at `known_at`. A row that does not
    /// fit the view's columns is refused and nothing of it is kept.
    pub fn append(
        &mut self,
        keys: &[Value],
        valid_from: EventTime,
        known_at: EventTime,
        values: &[Value],
    ) -> Result<(), OfflineError> {
        self.check_usable()?;
        let times = [Value::Timestamp(valid_from), Value::Timestamp(known_at)];
        self.columns.append([keys, &times, values]).map_err(|(column, wanted, found)| OfflineError::Row {
            view: self.view.clone(),
            column,
            wanted,
            found,
        })?;
        if self.columns.rows() >= BATCH_ROWS {
            self.poisoning(Self::write_batch)?;
        }
        Ok(())
    }

    /// The last epoch of the finished files, or the one the writer resumed at; 0 before any.
    pub fn last_epoch(&self) -> Epoch {
        Epoch::from_micros(self.first.saturating_sub(1))
    }

    /// Bytes of the file being written, encoded or not.
    pub fn bytes(&self) -> usize {
        let open = self.open.as_ref().map_or(0, |open| open.bytes_written() + open.memory_size());
        self.columns.bytes() + open
    }

    /// Whether the file should be closed now that `epoch` is complete. A file without rows is never due.
    pub fn due(&self, epoch: Epoch) -> bool {
        let age = i64::try_from(epoch.micros().saturating_sub(self.first)).unwrap_or(i64::MAX);
        let empty = self.columns.rows() == 0 && self.open.is_none();
        !empty && (self.bytes() >= self.roll.bytes || age >= self.roll.span.micros())
    }

    /// Closes the file: every row appended so far belongs to an epoch up to `epoch`, and is on disk under its name
    /// when this returns. Returns the file, or `None` if there were no rows.
    pub fn flush_through(&mut self, epoch: Epoch) -> Result<Option<PathBuf>, OfflineError> {
        self.check_usable()?;
        if epoch.micros() < self.first {
            return Err(OfflineError::Epoch { view: self.view.clone(), epoch, first: self.first });
        }
        let file = self.poisoning(|writer| writer.finish(epoch.micros()))?;
        self.first = epoch.micros().saturating_add(1);
        Ok(file)
    }

    fn finish(&mut self, last: u64) -> Result<Option<PathBuf>, OfflineError> {
        self.write_batch()?;
        let Some(writer) = self.open.take() else { return Ok(None) };
        let unfinished = self.unfinished();
        let file = writer.into_inner().map_err(|e| encode_error(&unfinished, e))?;
        let place = self.directory.join(files::name(self.first, last));
        files::publish(file, &unfinished, &place)?;
        Ok(Some(place))
    }

    /// Moves the gathered rows to the encoder, which opens the file if there is none.
    fn write_batch(&mut self) -> Result<(), OfflineError> {
        if self.columns.rows() == 0 {
            return Ok(());
        }
        let path = self.unfinished();
        let batch = self.columns.take().map_err(|e| encode_error(&path, e.into()))?;
        let mut writer = match self.open.take() {
            Some(writer) => writer,
            None => {
                let file = File::create(&path).map_err(|e| OfflineError::file("created", &path, e))?;
                let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default()));
                ArrowWriter::try_new(file, self.columns.schema(), Some(properties.build()))
                    .map_err(|e| encode_error(&path, e))?
            }
        };
        writer.write(&batch).map_err(|e| encode_error(&path, e))?;
        if writer.in_progress_size() >= ROW_GROUP_BYTES {
            writer.flush().map_err(|e| encode_error(&path, e))?;
        }
        self.open = Some(writer);
        Ok(())
    }

    fn unfinished(&self) -> PathBuf {
        self.directory.join(files::unfinished_name(self.first))
    }

    fn check_usable(&self) -> Result<(), OfflineError> {
        if self.failed { Err(OfflineError::Failed { view: self.view.clone() }) } else { Ok(()) }
    }

    fn poisoning<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, OfflineError>) -> Result<T, OfflineError> {
        let result = step(self);
        self.failed = result.is_err();
        result
    }
}

fn encode_error(path: &Path, source: ParquetError) -> OfflineError {
    OfflineError::Encode { path: path.to_path_buf(), source }
}

/// A view's name becomes a directory's, and the names of columns must differ.
fn check_names(view: &OfflineView) -> Result<(), OfflineError> {
    if view.name.is_empty() || view.name.starts_with('.') || view.name.contains(['/', '\\', '\0']) {
        return Err(OfflineError::ViewName { view: view.name.clone() });
    }
    let mut names = vec![VALID_FROM, KNOWN_AT];
    let features = view.features.iter().map(|(name, _)| name);
    for column in view.keys.iter().map(|key| &key.name).chain(features) {
        if names.contains(&column.as_str()) {
            return Err(OfflineError::ColumnName { view: view.name.clone(), column: column.clone() });
        }
        names.push(column);
    }
    Ok(())
}

/// Why rows could not be kept offline.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error("view `{view}` cannot name a directory; write a name without slashes that does not begin with a dot")]
    ViewName { view: String },
    #[error("offline files of view `{view}` would have two columns `{column}`; rename the key or the feature")]
    ColumnName { view: String, column: String },
    #[error("a row of view `{view}` has {found} in column `{column}`, which takes {wanted}; nothing of it was kept")]
    Row { view: String, column: String, wanted: String, found: String },
    #[error("offline rows of view `{view}` are to be closed at epoch {epoch}, but the file begins at {first}")]
    Epoch { view: String, epoch: Epoch, first: u64 },
    #[error("offline file {} cannot be {action}; check the disk's space and permissions ({source})", path.display())]
    File { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("offline file {} cannot be written; check the disk's space ({source})", path.display())]
    Encode { path: PathBuf, source: ParquetError },
    #[error("offline file {} holds epochs on both sides of {epoch}; resume at an epoch at which files were closed", path.display())]
    Straddles { path: PathBuf, epoch: u64 },
    #[error(
        "offline rows of view `{view}` were lost by an earlier failure; open the writer again and append them again"
    )]
    Failed { view: String },
}

impl OfflineError {
    fn file(action: &'static str, path: &Path, source: std::io::Error) -> OfflineError {
        OfflineError::File { action, path: path.to_path_buf(), source }
    }
}

/// The two instants as columns.
fn time_columns() -> [Column; 2] {
    [VALID_FROM, KNOWN_AT].map(|name| Column { name: name.to_string(), data_type: DataType::Timestamp })
}
