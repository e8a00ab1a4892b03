//! Lines of a file, none of them larger in memory than a record may be.

use std::io::{self, BufRead};

use crate::events::MAX_RECORD_BYTES;

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    /// The start of a line that is too long, and its whole length in bytes.
    TooLong(&'a [u8], usize),
}

/// Reads the next line into `buffer`; `None` at the end of the file.
pub(super) fn next_line<'a>(reader: &mut impl BufRead, buffer: &'a mut Vec<u8>) -> io::Result<Option<Line<'a>>> {
    buffer.clear();
    let mut length = 0;
    loop {
        let available = reader.fill_buf()?;
        if available.is_empty() && length == 0 {
            return Ok(None);
        }
        let newline = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..newline.unwrap_or(available.len())];
        let room = MAX_RECORD_BYTES.saturating_sub(buffer.len());
        buffer.extend_from_slice(&part[..part.len().min(room)]);
        let (ended, used) = (newline.is_some() || available.is_empty(), part.len() + usize::from(newline.is_some()));
        length += used;
        reader.consume(used);
        if ended {
            let length = length - usize::from(newline.is_some());
            return Ok(Some(if length > buffer.len() {
                Line::TooLong(buffer, length)
            } else {
                Line::Whole(buffer.strip_suffix(b"\r").unwrap_or(buffer))
            }));
        }
    }
}

/// The text of a line, numbered from 1, without the mark some editors put in front of a file.
pub(super) fn unmarked(text: &[u8], line: u64) -> &[u8] {
    match line {
        1 => text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_every_way_and_long_ones_are_measured() {
        let long = "x".repeat(MAX_RECORD_BYTES + 5);
        let text = format!("a\r\n\n{long}\nlast");
        let mut reader = io::BufReader::with_capacity(7, text.as_bytes());
        let mut buffer = Vec::new();
        assert_eq!(next_line(&mut reader, &mut buffer).unwrap(), Some(Line::Whole(b"a")));
        assert_eq!(next_line(&mut reader, &mut buffer).unwrap(), Some(Line::Whole(b"")));
        let Some(Line::TooLong(start, length)) = next_line(&mut reader, &mut buffer).unwrap() else {
            panic!("not long")
        };
        assert_eq!((start.len(), length), (MAX_RECORD_BYTES, MAX_RECORD_BYTES + 5));
        assert_eq!(next_line(&mut reader, &mut buffer).unwrap(), Some(Line::Whole(b"last")));
        assert_eq!(next_line(&mut reader, &mut buffer).unwrap(), None);
    }
}
