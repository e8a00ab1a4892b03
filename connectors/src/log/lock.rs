//! One process per directory: an advisory lock on a file that names its holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use super::LogError;

/// The lock, for as long as this lives. The operating system frees it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    pub fn take(dir: &Path) -> Result<Lock, LogError> {
        let path = dir.join("lock");
        let failed = |action| LogError::io(action, &path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open the lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LogError::Locked { dir: dir.to_path_buf(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed("write the lock file"))?;
        writeln!(file, "{}", std::process::id()).map_err(failed("write the lock file"))?;
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    /// Closing would do, were it not for children: one that is being started holds a copy of the file until it runs.
    fn drop(&mut self) {
        // What fails here is freed when the last copy is closed.
        let _ = self.file.unlock();
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(32).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_string(),
        _ => "unknown".to_string(),
    }
}
