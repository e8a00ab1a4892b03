//! Opening a directory: which segments there are, and where the last one ends.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::segment::{self, Frame, HEAD_BYTES, MAGIC, Segment};
use super::{LogError, TornTail, append};

/// The segments of `dir`, at least one. Bytes behind the last whole record are cut off if no crash-proof record can
/// stand among them, that is: if nothing behind the damage reads as a record.
pub(super) fn recover(dir: &Path) -> Result<(Vec<Segment>, Option<TornTail>), LogError> {
    let found = list(dir)?;
    let Some((newest, older)) = found.split_last() else {
        let segment = append::create(dir, 0).map_err(LogError::io("create a segment in", dir))?;
        return Ok((vec![segment], None));
    };
    let mut segments = Vec::with_capacity(found.len());
    for ((first, path), (next, _)) in older.iter().zip(&found[1..]) {
        let bytes = fs::metadata(path).map_err(LogError::io("read", path))?.len();
        segments.push(Segment { path: path.clone(), first: *first, records: next - first, bytes });
    }
    let (last, torn) = scan(newest.0, &newest.1)?;
    segments.push(last);
    Ok((segments, torn))
}

/// `(first offset, path)` of every segment, in order.
fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(LogError::io("list", dir))? {
        let path = entry.map_err(LogError::io("list", dir))?.path();
        if path.extension().is_some_and(|ending| ending == "log") {
            let first = segment::first_of(&path).ok_or_else(|| LogError::Foreign { path: path.clone() })?;
            found.push((first, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn scan(first: u64, path: &Path) -> Result<(Segment, Option<TornTail>), LogError> {
    let bytes = fs::read(path).map_err(LogError::io("read", path))?;
    if !bytes.starts_with(MAGIC) {
        return match MAGIC.starts_with(&bytes) {
            true => restart(first, path, bytes.len() as u64),
            false => Err(LogError::Foreign { path: path.to_path_buf() }),
        };
    }
    let (mut at, mut records) = (MAGIC.len(), 0);
    while let Frame::Whole { payload, .. } = segment::frame(&bytes[at..]) {
        at += HEAD_BYTES + payload.len();
        records += 1;
    }
    let segment = Segment { path: path.to_path_buf(), first, records, bytes: at as u64 };
    if at == bytes.len() {
        return Ok((segment, None));
    }
    if (at + 1..bytes.len()).any(|start| matches!(segment::frame(&bytes[start..]), Frame::Whole { .. })) {
        return Err(LogError::Damaged { path: path.to_path_buf(), at: at as u64, offset: segment.end() });
    }
    cut(path, at as u64).map_err(LogError::io("cut the torn end off", path))?;
    let torn = TornTail { segment: path.to_path_buf(), offset: segment.end(), bytes: (bytes.len() - at) as u64 };
    Ok((segment, Some(torn)))
}

/// A segment whose creation a crash interrupted.
fn restart(first: u64, path: &Path, bytes: u64) -> Result<(Segment, Option<TornTail>), LogError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let segment = append::create(dir, first).map_err(LogError::io("create", path))?;
    Ok((segment, Some(TornTail { segment: path.to_path_buf(), offset: first, bytes })))
}

fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file: File = OpenOptions::new().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}
