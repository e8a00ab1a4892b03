//! How far each source has been read, in one small file that is either the old or the new one, never half of each.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::kafka::TopicId;

/// The next record to read of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourcePosition {
    /// The next offset of the embedded log.
    Log { offset: u64 },
    Kafka {
        /// Per partition the next offset.
        partitions: BTreeMap<i32, i64>,
        /// Of which topic of its name, where the broker told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topic_id: Option<TopicId>,
    },
    /// The next row (from 0) of a file (from 0, in planned order).
    Files { file: usize, row: u64 },
}

/// Positions by source name. History and stream of one source are two entries; the caller names them.
pub type Positions = BTreeMap<String, SourcePosition>;

#[derive(Debug, thiserror::Error)]
pub enum PositionsError {
    #[error("cannot {action} positions at {}: {error}", path.display())]
    Io { action: &'static str, path: PathBuf, error: io::Error },
    #[error("positions at {} are damaged ({error}): restore the file, or remove it to read all sources anew", path.display())]
    Damaged { path: PathBuf, error: serde_json::Error },
}

/// Reads the file. One that does not exist holds no positions.
pub fn load(path: &Path) -> Result<Positions, PositionsError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Positions::new()),
        Err(error) => return Err(PositionsError::Io { action: "read", path: path.to_path_buf(), error }),
    };
    serde_json::from_slice(&bytes).map_err(|error| PositionsError::Damaged { path: path.to_path_buf(), error })
}

/// Replaces the file. When this returns, the new positions survive a power cut.
pub fn save(path: &Path, positions: &Positions) -> Result<(), PositionsError> {
    let text = serde_json::to_vec_pretty(positions)
        .map_err(|error| PositionsError::Damaged { path: path.to_path_buf(), error })?;
    replace_file(path, &text).map_err(|error| PositionsError::Io { action: "write", path: path.to_path_buf(), error })
}

/// Writes beside the file, makes that durable, and renames it over the file.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_parent(path)
}

/// Makes names created or renamed beside `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_replaced_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions.json");
        assert_eq!(load(&path).unwrap(), Positions::new());
        let mut positions = Positions::new();
        positions.insert("a".into(), SourcePosition::Log { offset: u64::MAX });
        let topic_id = Some(TopicId::from("AAAAAAAAAAAAAAAAAAAAAQ".to_string()));
        positions.insert("b".into(), SourcePosition::Kafka { partitions: [(0, 5), (11, i64::MAX)].into(), topic_id });
        save(&path, &positions).unwrap();
        positions.insert("c".into(), SourcePosition::Files { file: 2, row: 9 });
        save(&path, &positions).unwrap();
        assert_eq!(load(&path).unwrap(), positions);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    /// As files were written before topics had ids in them.
    #[test]
    fn positions_without_an_id_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions.json");
        fs::write(&path, br#"{"a": {"kafka": {"partitions": {"0": 5}}}}"#).unwrap();
        let wanted = SourcePosition::Kafka { partitions: [(0, 5)].into(), topic_id: None };
        assert_eq!(load(&path).unwrap().get("a"), Some(&wanted));
    }

    #[test]
    fn a_crash_while_writing_leaves_the_old_positions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions.json");
        let positions = Positions::from([("a".to_string(), SourcePosition::Log { offset: 1 })]);
        save(&path, &positions).unwrap();
        fs::write(dir.path().join("positions.json.new"), b"{\"a\":").unwrap();
        assert_eq!(load(&path).unwrap(), positions);
    }

    #[test]
    fn damage_is_named_and_never_read_as_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("positions.json");
        fs::write(&path, b"").unwrap();
        let message = load(&path).unwrap_err().to_string();
        assert!(message.contains("are damaged") && message.contains("positions.json"), "{message}");
        assert!(save(&dir.path().join("no/such/dir.json"), &Positions::new()).is_err());
    }
}
