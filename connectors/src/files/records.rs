//! The records of a CSV file, and quotes in it that are never closed.
//!
//! Law: a field in quotes may go over several lines. Where its quote is not closed it takes in every line up to the next
//! quote, or up to the end of the file, and the rows that stand there would be missing without a word. So a record of
//! several lines whose quote is followed by more of the field, or left open at the end of the file, ends the file as
//! damaged.
//!
//! Lines end with LF, with or without CR before it; the parser is told of LF alone, for it counts lines by it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::ByteRecord;

use super::{FileError, FileProblem};
use crate::events::MAX_RECORD_BYTES;

/// This much is read for one record, at most.
const MAX_UNBROKEN_BYTES: usize = 8 * MAX_RECORD_BYTES;

/// A file that begins with a header.
pub(super) struct Records {
    path: PathBuf,
    reader: csv::Reader<Guarded>,
    /// Bytes read since a record was asked for.
    since_record: Arc<AtomicUsize>,
    /// Of the file, and whether a line ends there.
    bytes: u64,
    ends_with_line: bool,
    /// Whether the header's line ends with CR and LF.
    returns: bool,
}

/// Ends a read that gets no record out of [`MAX_UNBROKEN_BYTES`].
struct Guarded {
    file: File,
    since_record: Arc<AtomicUsize>,
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if self.since_record.fetch_add(read, Ordering::Relaxed) > MAX_UNBROKEN_BYTES {
            return Err(io::Error::other("no row ends within 8 MiB: a quote is probably never closed"));
        }
        Ok(read)
    }
}

impl Records {
    pub fn open(path: &Path) -> Result<Records, FileError> {
        let mut file = super::open_regular(path)?;
        let (bytes, ends_with_line) = end_of(&mut file).map_err(FileError::io(path))?;
        let since_record = Arc::new(AtomicUsize::new(0));
        let guarded = Guarded { file, since_record: since_record.clone() };
        let mut settings = csv::ReaderBuilder::new();
        settings.flexible(true).terminator(csv::Terminator::Any(b'\n')).buffer_capacity(64 << 10);
        let reader = settings.from_reader(guarded);
        let mut records =
            Records { path: path.to_path_buf(), reader, since_record, bytes, ends_with_line, returns: false };
        records.header()?;
        Ok(records)
    }

    /// The fields of the first row; none when the file is empty.
    pub fn header(&mut self) -> Result<ByteRecord, FileError> {
        let mut header = self.reader.byte_headers().map_err(|error| failed(&self.path, error))?.clone();
        self.returns = strip_return(&mut header);
        let first = header.get(0).unwrap_or_default();
        // UTF-16, with its mark or without: its names would be shown with characters in between that nobody sees.
        if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) || header.as_slice().contains(&0) {
            let message = "is not UTF-8, but probably UTF-16: save it as UTF-8".to_string();
            return Err(FileError::Unusable(vec![FileProblem { file: self.path.clone(), message }]));
        }
        Ok(header)
    }

    /// Reads the next row below the header, of however many fields, and gives the line it begins at; `None` at the end.
    pub fn read(&mut self, record: &mut ByteRecord) -> Result<Option<u64>, FileError> {
        loop {
            self.since_record.store(0, Ordering::Relaxed);
            if !self.reader.read_byte_record(record).map_err(|error| failed(&self.path, error))? {
                return Ok(None);
            }
            let terminated = u64::from(self.reader.position().byte() < self.bytes || self.ends_with_line);
            let returned = (self.returns || self.quotes(record, terminated) == 0) && strip_return(record);
            // A line of CR and LF is empty, and no row.
            if returned && record.len() == 1 && record.as_slice().is_empty() {
                continue;
            }
            // Lines that are empty stand before the row, and are none of its own.
            let end = self.reader.position().line().saturating_sub(terminated);
            let newlines = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
            let begin = end.saturating_sub(newlines);
            if end > begin && !self.is_quoted_well(record, u64::from(returned) + terminated) {
                // A quote that is open takes the last line's end into the field.
                let begin = begin.max(record.position().map_or(0, csv::Position::line));
                let message =
                    format!("the row at line {begin} goes on to line {end}: a quote is probably not closed; close it");
                return Err(FileError::Damaged { path: self.path.clone(), message });
            }
            return Ok(Some(begin));
        }
    }

    /// Bytes of the file that are in no field of a record, nor between two: quotes, and empty lines before it.
    fn quotes(&self, record: &ByteRecord, line_end: u64) -> u64 {
        let begin = record.position().map_or(0, csv::Position::byte);
        let bytes = self.reader.position().byte().saturating_sub(begin);
        let fields = record.as_slice().len() + record.len().saturating_sub(1);
        bytes.saturating_sub(fields as u64 + line_end)
    }

    /// Whether the file has the bytes for a quote at both ends of each field that goes over lines, and for each quote in
    /// it to stand there twice. Of fields like `"a"b` the parser makes `ab`. The record's last line ends with `line_end`
    /// bytes.
    fn is_quoted_well(&self, record: &ByteRecord, line_end: u64) -> bool {
        let quotes = |field: &[u8]| field.iter().filter(|byte| **byte == b'"').count() as u64;
        let needed = record.iter().filter(|field| field.contains(&b'\n')).map(|field| 2 + quotes(field)).sum::<u64>();
        self.quotes(record, line_end) >= needed
    }
}

/// The size of a file, and whether it ends with a line.
fn end_of(file: &mut File) -> io::Result<(u64, bool)> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let mut last = [0];
    if bytes > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        file.rewind()?;
    }
    Ok((bytes, last == *b"\n"))
}

/// Takes the CR of the line's end out of the last field; whether there was one.
fn strip_return(record: &mut ByteRecord) -> bool {
    let last = record.iter().next_back().and_then(|field| field.strip_suffix(b"\r")).map(<[u8]>::to_vec);
    if let Some(field) = &last {
        record.truncate(record.len() - 1);
        record.push_field(field);
    }
    last.is_some()
}

fn failed(path: &Path, error: csv::Error) -> FileError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => FileError::Io { path: path.to_path_buf(), error },
        // The others are about lengths and UTF-8, which this reader leaves to itself.
        other => FileError::Damaged { path: path.to_path_buf(), message: format!("{other:?}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<u64>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        let shown = |error: FileError| error.to_string().replace(&format!("{}", path.display()), "a.csv");
        let mut records = Records::open(&path).map_err(shown)?;
        let (mut record, mut lines) = (ByteRecord::new(), Vec::new());
        while let Some(line) = records.read(&mut record).map_err(shown)? {
            lines.push(line);
        }
        Ok(lines)
    }

    #[test]
    fn fields_in_quotes_may_go_over_lines() {
        assert_eq!(read("a,b\n1,\"x\ny\"\n2,z\n"), Ok(vec![2, 4]));
        assert_eq!(read("a,b\n1,\"x\ny\"\n2,\"z\n\"\n"), Ok(vec![2, 4]));
        assert_eq!(read("a,b\r\n1,\"x\r\ny\"\r\n\r\n2,\"z\r\n\""), Ok(vec![2, 5]));
        // Rows of one line, with fields too few, are the row's own trouble.
        assert_eq!(read("a,b\n1\n2,z\"\n"), Ok(vec![2, 3]));
        assert_eq!(read("a,b\n1,\"x\n\"\"y\"\"\"\n2,z"), Ok(vec![2, 4]));
        assert_eq!(read("a,b\n1,\"x\n\"\"y\"\"\""), Ok(vec![2]));
        // Empty lines before a row are none of its own, and rows of the wrong width are the reader's to refuse.
        assert_eq!(read("a,b\n1,x\n\n(1 row)\n\n\n   \n"), Ok(vec![2, 4, 7]));
        assert_eq!(read("a\r\n1\r\n\r\n2\r\n"), Ok(vec![2, 4]));
        assert_eq!(read("a,b\n1,\"x\ny\",3\n2,z\n"), Ok(vec![2, 4]));
        assert_eq!(read(""), Ok(Vec::new()));
    }

    #[test]
    fn a_return_in_quotes_is_the_fields_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.csv");
        for (text, last) in [("a,b\n1,\"x\r\"\n", "x\r"), ("a,b\n1,x\r\n", "x"), ("a,b\r\n1,\"x\"\r\n", "x")] {
            std::fs::write(&path, text).unwrap();
            let (mut records, mut record) = (Records::open(&path).unwrap(), ByteRecord::new());
            assert_eq!(records.read(&mut record).unwrap(), Some(2));
            assert_eq!(record.get(1), Some(last.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_swallows_no_rows() {
        let rows = "1,x\n".repeat(50);
        for (text, wanted) in [
            // In the last field, up to the end of the file.
            (format!("a,b\n{rows}1,\"x\n{rows}"), "line 52 goes on to line 102"),
            // In another field.
            (format!("a,b\n\"1,x\n{rows}"), "line 2 goes on to line 52"),
            // Up to a later quote.
            (format!("a,b\n1,\"x\n{rows}1,\"y\"\n{rows}"), "line 2 goes on to line 53"),
            (format!("a,b\n\"1,x\n{rows}\"1\",y\n{rows}"), "line 2 goes on to line 53"),
            (format!("a,b\r\n1,\"x\r\n{}1,\"y\"\r\n", rows.replace('\n', "\r\n")), "line 2 goes on to line 53"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(wanted) && error.contains("a quote is probably not closed"), "{error}");
        }
    }
}
