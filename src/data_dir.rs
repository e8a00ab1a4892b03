//! The data directory of one process: there, writable, and nobody else's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::exit::{Failure, Status};

/// The file whose lock is the ownership of the directory; holds the owner's process id.
const LOCK: &str = "freshet.lock";
/// Says which store outside was filled, and with which views: a line each.
const FILLED: &str = "filled";
/// The directory of the ledger.
const LEDGER: &str = "ledger";

/// A data directory owned by this process for as long as the value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    /// Creates what is missing and takes ownership.
    pub fn open(path: &Path) -> Result<DataDir, Failure> {
        fs::create_dir_all(path).map_err(|error| unwritable(path, &error))?;
        let file = path.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(|error| unwritable(path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // The id is for people; without it the message is still true.
                let _ = lock.read_to_string(&mut owner);
                let message = format!(
                    "the data directory {} is in use by process {}: stop it first, or name another directory with \
                     --data-dir",
                    path.display(),
                    owner.trim()
                );
                return Err(Failure::new(Status::Busy, message));
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(path, &error)),
        }
        let owned = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        owned.map_err(|error| unwritable(path, &error))?;
        Ok(DataDir { path: path.to_path_buf(), lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn ledger(&self) -> PathBuf {
        ledger(&self.path)
    }

    /// Whether a process of this directory has filled `store` with the rows of these views.
    pub fn has_filled(&self, store: &str, views: &[String]) -> bool {
        let Ok(noted) = fs::read_to_string(self.path.join(FILLED)) else { return false };
        let mut lines = noted.lines();
        let filled = lines.next() == Some(store);
        let known: Vec<&str> = lines.collect();
        filled && views.iter().all(|view| known.contains(&view.as_str()))
    }

    /// Notes that `store` has the rows of these views, of every key that was seen.
    pub fn note_filled(&self, store: &str, views: &[String]) -> Result<(), Failure> {
        let lines: String =
            std::iter::once(store).chain(views.iter().map(String::as_str)).map(|l| format!("{l}\n")).collect();
        fs::write(self.path.join(FILLED), lines).map_err(|error| unwritable(&self.path, &error))
    }
}

impl Drop for DataDir {
    /// Closing would do, were it not for children: one that is being started holds a copy of the file until it runs.
    fn drop(&mut self) {
        // What fails here is freed when the last copy is closed.
        let _ = self.lock.unlock();
    }
}

/// Where the ledger of a data directory is.
pub fn ledger(data_dir: &Path) -> PathBuf {
    data_dir.join(LEDGER)
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let what = match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => "it is a file".to_string(),
        ErrorKind::PermissionDenied => "writing there is not permitted".to_string(),
        ErrorKind::ReadOnlyFilesystem => "its file system is read-only".to_string(),
        _ => error.to_string(),
    };
    Failure::cannot_write(format!(
        "cannot use the data directory {}: {what}; name a directory this user may write with --data-dir",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let owned = DataDir::open(&path).unwrap();
        let refused = DataDir::open(&path).unwrap_err();
        assert_eq!(refused.status, Status::Busy);
        assert!(refused.message.contains(&format!("in use by process {}", std::process::id())), "{}", refused.message);
        drop(owned);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn what_was_filled_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let owned = DataDir::open(dir.path()).unwrap();
        let views = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        assert!(!owned.has_filled("s", &[]));
        owned.note_filled("s", &views(&["a", "b"])).unwrap();
        assert!(owned.has_filled("s", &views(&["b"])));
        assert!(!owned.has_filled("other", &views(&["b"])));
        assert!(!owned.has_filled("s", &views(&["a", "new"])), "a new view has no rows");
    }

    #[test]
    fn a_file_is_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, b"").unwrap();
        let refused = DataDir::open(&path).unwrap_err();
        assert_eq!(refused.status, Status::CannotWrite);
        assert!(refused.message.contains("it is a file"), "{}", refused.message);
    }
}
