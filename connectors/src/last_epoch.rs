//! The number that no epoch of a data directory has passed, in one small file that is either the old or the new one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use freshet_config::time::Epoch;

use crate::positions::replace_file;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LastEpochError {
    #[error("cannot {action} the last epoch at {}: check the disk's space and permissions ({error})", path.display())]
    Io { action: &'static str, path: PathBuf, error: io::Error },
    #[error(
        "the last epoch at {} is damaged (`{found}` is no number of an epoch): restore the file, or remove it if stored rows \
         may be replaced by older ones",
        path.display()
    )]
    Damaged { path: PathBuf, found: String },
}

/// Most bytes of the file that are shown when they are no number.
const SHOWN_CHARS: usize = 40;

/// Reads the file; without one there was no epoch.
pub fn load(path: &Path) -> Result<Epoch, LastEpochError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Epoch::default()),
        Err(error) => return Err(LastEpochError::Io { action: "read", path: path.to_path_buf(), error }),
    };
    let text = String::from_utf8_lossy(&bytes);
    // No clock goes further, and numbers must be able to grow.
    let number = text.trim_ascii().parse().ok().filter(|number| *number <= i64::MAX as u64);
    number.map(Epoch::from_micros).ok_or_else(|| LastEpochError::Damaged {
        path: path.to_path_buf(),
        found: text.chars().take(SHOWN_CHARS).flat_map(char::escape_default).collect(),
    })
}

/// Replaces the file. When this returns, the number survives a power cut.
pub fn save(path: &Path, epoch: Epoch) -> Result<(), LastEpochError> {
    let written = replace_file(path, format!("{epoch}\n").as_bytes());
    written.map_err(|error| LastEpochError::Io { action: "write", path: path.to_path_buf(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_replaced_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("epoch");
        assert_eq!(load(&path).unwrap(), Epoch::default());
        for number in [0, 7, i64::MAX as u64] {
            save(&path, Epoch::from_micros(number)).unwrap();
            assert_eq!(load(&path).unwrap(), Epoch::from_micros(number));
        }
        assert!(save(&dir.path().join("no/such/dir"), Epoch::default()).is_err());
    }

    #[test]
    fn damage_is_named_and_never_read_as_no_epoch() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("epoch");
        for bytes in [&b""[..], b"-1", b"9223372036854775808", b"12 13", &[0xff, 0, 7], &[b'9'; 4096]] {
            fs::write(&path, bytes).unwrap();
            let message = load(&path).unwrap_err().to_string();
            assert!(message.contains("is damaged") && message.len() < 400, "{message}");
        }
    }
}
