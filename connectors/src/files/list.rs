//! Which files a path stands for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use freshet_config::definitions::{FileFormat, Files};

use super::FileError;
use crate::position::MAX_FILES;

/// The files of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileList {
    /// In the order of names, which is the order they are read in.
    pub files: Vec<PathBuf>,
    /// Files of the folder that do not end as the format does. Hidden files (`.x`, `_x`) are not mentioned.
    pub ignored: Vec<PathBuf>,
}

/// Finds the files. A folder stands for every file directly in it with the format's ending.
pub fn list(files: &Files, base_dir: &Path) -> Result<FileList, FileError> {
    let path = base_dir.join(&files.path);
    let about = fs::metadata(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing(path.clone()),
        _ => FileError::Io { path: path.clone(), error },
    })?;
    if !about.is_dir() {
        if !about.is_file() {
            return Err(FileError::NotRegular(path));
        }
        return Ok(FileList { files: vec![path], ignored: Vec::new() });
    }
    let mut found = FileList::default();
    let root = fs::canonicalize(&path).map_err(FileError::io(&path))?;
    for entry in fs::read_dir(&path).map_err(FileError::io(&path))? {
        let file = entry.map_err(FileError::io(&path))?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(['.', '_']) || file.is_dir() {
            continue;
        }
        if !endings(files.format).iter().any(|ending| name.ends_with(ending)) {
            found.ignored.push(file);
            continue;
        }
        if !fs::canonicalize(&file).map_err(FileError::io(&file))?.starts_with(&root) {
            return Err(FileError::OutsideFolder(file));
        }
        if !fs::metadata(&file).map_err(FileError::io(&file))?.is_file() {
            return Err(FileError::NotRegular(file));
        }
        found.files.push(file);
    }
    found.files.sort_unstable();
    found.ignored.sort_unstable();
    match found.files.len() {
        0 => Err(FileError::NothingMatches { folder: path, ending: endings(files.format)[0] }),
        files if files > MAX_FILES => Err(FileError::TooMany { folder: path, files }),
        _ => Ok(found),
    }
}

fn endings(format: FileFormat) -> &'static [&'static str] {
    match format {
        FileFormat::Parquet => &[".parquet"],
        FileFormat::Csv => &[".csv"],
        FileFormat::Ndjson => &[".ndjson", ".jsonl"],
    }
}
