//! Names of offline files, and the steps that make them appear, give way and be found again.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::OfflineError;

const ENDING: &str = ".parquet";
const UNFINISHED_ENDING: &str = ".parquet.tmp";
const SUPERSEDED_ENDING: &str = ".superseded";

/// `{first}-{last}.parquet`, padded so that the order of names is the order of epochs.
pub(super) fn name(first: u64, last: u64) -> String {
    format!("{first:020}-{last:020}{ENDING}")
}

pub(super) fn unfinished_name(first: u64) -> String {
    format!("{first:020}{UNFINISHED_ENDING}")
}

fn epochs(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name.strip_suffix(ENDING)?.split_once('-')?;
    // No clock goes further: a greater number is another's, and nothing could be numbered behind it.
    let number = |text: &str| text.parse().ok().filter(|number| *number <= i64::MAX as u64);
    Some((number(first)?, number(last)?))
}

/// Makes the directory, removes what a crash left unfinished, and returns the last epoch of the finished files.
pub(super) fn recover(directory: &Path) -> Result<Option<u64>, OfflineError> {
    fs::create_dir_all(directory).map_err(|e| OfflineError::file("placed in its directory", directory, e))?;
    let mut newest = None;
    for (path, name) in list(directory)? {
        if name.ends_with(UNFINISHED_ENDING) {
            fs::remove_file(&path).map_err(|e| OfflineError::file("removed", &path, e))?;
        } else if let Some((_, last)) = epochs(&name) {
            newest = newest.max(Some(last));
        }
    }
    Ok(newest)
}

/// Puts a written file in its place, so that it is there whole after a power cut too.
pub(super) fn publish(file: File, from: &Path, to: &Path) -> Result<(), OfflineError> {
    file.sync_all().map_err(|e| OfflineError::file("synced", from, e))?;
    fs::rename(from, to).map_err(|e| OfflineError::file("renamed", from, e))?;
    sync_directory(to)
}

/// Renames the files that begin after `epoch`. One that holds epochs on both sides is an error, before any is renamed.
pub(super) fn supersede_after(directory: &Path, epoch: u64) -> Result<Vec<PathBuf>, OfflineError> {
    let mut superseded = Vec::new();
    for (path, name) in list(directory)? {
        match epochs(&name) {
            Some((first, _)) if first > epoch => superseded.push(path),
            Some((_, last)) if last > epoch => return Err(OfflineError::Straddles { path, epoch }),
            _ => {}
        }
    }
    superseded.sort();
    // The newest first: a crash on the way leaves no gap between files that still count.
    for path in superseded.iter().rev() {
        let aside = unused(path);
        fs::rename(path, &aside).map_err(|e| OfflineError::file("renamed", path, e))?;
    }
    if let Some(path) = superseded.first() {
        sync_directory(path)?;
    }
    Ok(superseded)
}

/// A name for a file that gives way, and that no earlier one has taken.
fn unused(path: &Path) -> PathBuf {
    let numbered = |number: u64| {
        let mut name = OsString::from(path);
        name.push(format!("{SUPERSEDED_ENDING}{number}"));
        PathBuf::from(name)
    };
    (1..).map(numbered).find(|aside| !aside.exists()).unwrap_or_else(|| numbered(0))
}

fn list(directory: &Path) -> Result<Vec<(PathBuf, String)>, OfflineError> {
    let error = |e| OfflineError::file("listed", directory, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(error)? {
        let entry = entry.map_err(error)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((entry.path(), name));
        }
    }
    Ok(found)
}

/// A rename is durable once the directory is.
fn sync_directory(file: &Path) -> Result<(), OfflineError> {
    let directory = file.parent().unwrap_or(Path::new("."));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|e| OfflineError::file("synced with its directory", file, e))
}
