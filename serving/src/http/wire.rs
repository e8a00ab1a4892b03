//! The bytes of a connection as they pass by: what hyper neither tells nor says is heard and said here.
//!
//! hyper follows `Transfer-Encoding` where a request has a `Content-Length` too, and drops the latter before anybody sees
//! it; such a request is refused here, for a proxy in front may have followed the other. So the last bytes read are kept,
//! which costs a short copy, and are looked at only when a request has a `Transfer-Encoding`. And hyper answers a head that
//! it cannot read without a body; such an answer is replaced on its way out by one in JSON.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::error::{ApiError, ErrorKind};
use crate::limits::Limits;
use crate::metrics::ThreadMetrics;

/// What a connection's handler may ask about its bytes.
#[derive(Debug)]
pub struct Heard {
    /// Longest head of a request.
    head_bytes: usize,
    /// Most header fields of a request.
    fields: usize,
    recent: RefCell<Recent>,
    /// A request began since the last read.
    begun: Cell<bool>,
    /// hyper refused to read a head, which ends the connection.
    refused: Cell<bool>,
    metrics: Arc<ThreadMetrics>,
}

/// The last bytes read, as two pieces: together at least the head of the last request, and of what was begun behind it.
#[derive(Debug, Default)]
struct Recent {
    before: Vec<u8>,
    now: Vec<u8>,
}

/// Room that an idle connection keeps for the next request.
const KEPT_ROOM: usize = 4096;

impl Heard {
    pub fn new(limits: &Limits, metrics: Arc<ThreadMetrics>) -> Heard {
        Heard {
            head_bytes: limits.header_bytes,
            fields: limits.headers,
            recent: RefCell::default(),
            begun: Cell::new(false),
            refused: Cell::new(false),
            metrics,
        }
    }

    /// A request's head was read.
    pub fn begin_request(&self) {
        self.begun.set(true);
    }

    fn hear(&self, bytes: &[u8]) {
        let recent = &mut *self.recent.borrow_mut();
        if self.begun.replace(false) || recent.now.len() > self.head_bytes {
            std::mem::swap(&mut recent.before, &mut recent.now);
            recent.now.clear();
            recent.now.shrink_to(KEPT_ROOM);
        }
        recent.now.extend_from_slice(bytes);
    }

    /// Whether a head among the last bytes has both headers that say how long a body is. Asked on behalf of a request with
    /// one of them: that another head is meant is possible only on a connection that is not to be trusted either.
    pub fn has_two_lengths(&self) -> bool {
        let recent = self.recent.borrow();
        let bytes = [recent.before.as_slice(), &recent.now].concat();
        let (mut encoding, mut length) = (false, false);
        for line in bytes.split(|byte| *byte == b'\n') {
            if line.strip_suffix(b"\r").unwrap_or(line).is_empty() {
                (encoding, length) = (false, false);
            }
            encoding |= is_field(line, b"transfer-encoding");
            length |= is_field(line, b"content-length");
            if encoding && length {
                return true;
            }
        }
        false
    }

    /// Whether a head among the last bytes announces a body of more bytes than can be counted.
    fn has_endless_length(&self) -> bool {
        let recent = self.recent.borrow();
        let bytes = [recent.before.as_slice(), &recent.now].concat();
        let value = |line: &[u8]| {
            let value = is_field(line, b"content-length").then(|| line.get(b"content-length:".len()..)).flatten()?;
            let digits = std::str::from_utf8(value).ok()?.trim();
            (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse::<u64>())
        };
        bytes.split(|byte| *byte == b'\n').filter_map(value).any(|length| length.map_or(true, |bytes| bytes > LONGEST))
    }

    /// The whole answer to a head that cannot be read.
    fn refusal(&self, kind: ErrorKind) -> Vec<u8> {
        let (reason, message) = match kind {
            ErrorKind::TooLarge => {
                let message = "the request body is said to have more bytes than anybody can send; say how many it has";
                ("Payload Too Large", message.to_string())
            }
            ErrorKind::HeadTooLarge => {
                let (bytes, fields) = (self.head_bytes, self.fields);
                let message = format!(
                    "the request's head has more than {bytes} bytes or {fields} header fields; send fewer or shorter ones"
                );
                ("Request Header Fields Too Large", message)
            }
            _ => {
                let message = "the request's head cannot be read, or contradicts itself about the length of the body; \
                               send HTTP/1.1";
                ("Bad Request", message.to_string())
            }
        };
        let body = ApiError::new(kind, message).body();
        let head = format!(
            "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            kind.status(),
            body.len()
        );
        [head.into_bytes(), body].concat()
    }
}

/// The longest body that hyper reads of: above stand its marks of a body without a length.
const LONGEST: u64 = u64::MAX - 2;

fn is_field(line: &[u8], name: &[u8]) -> bool {
    let (field, rest) = line.split_at_checked(name.len()).unwrap_or((line, b""));
    field.eq_ignore_ascii_case(name) && rest.first() == Some(&b':')
}

/// The kind of refusal that bytes are which hyper writes on its own account: a head of few statuses and of no body, where
/// all answers of the handlers have one.
fn own_refusal(bytes: &[u8]) -> Option<ErrorKind> {
    if !bytes.starts_with(b"HTTP/1.") || bytes.get(8..10) != Some(b" 4") {
        return None;
    }
    let kind = match bytes.get(9..12)? {
        b"400" => ErrorKind::Invalid,
        b"431" => ErrorKind::HeadTooLarge,
        _ => return None,
    };
    let has_line = |wanted: &[u8]| bytes.split(|byte| *byte == b'\n').any(|line| line.eq_ignore_ascii_case(wanted));
    (has_line(b"content-length: 0\r") && bytes.ends_with(b"\r\n\r\n")).then_some(kind)
}

/// What is read at most behind a refused head, and how long: a caller who is still sending would lose the answer if the
/// connection were closed under him.
const LINGER_BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(2);

/// A stream that is listened to.
pub struct Wire {
    stream: TcpStream,
    heard: Rc<Heard>,
    /// What replaces an answer of hyper's, as far as it is not written.
    instead: Vec<u8>,
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Wire {
    pub fn new(stream: TcpStream, heard: Rc<Heard>) -> Wire {
        Wire { stream, heard, instead: Vec::new(), lingering: None }
    }

    /// Writes what is left of a replaced answer.
    fn write_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes bytes that are a refusal of hyper's, and remembers what to write in their place.
    fn replace(&mut self, bytes: &[u8]) -> bool {
        let Some(kind) = own_refusal(bytes) else { return false };
        let kind = if self.heard.has_endless_length() { ErrorKind::TooLarge } else { kind };
        self.heard.refused.set(true);
        self.heard.metrics.unread(kind.status(), Instant::now());
        self.instead = self.heard.refusal(kind);
        true
    }

    /// Reads on behind a refusal, for a while.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (until, seen) = self.lingering.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER)), 0));
        let mut buffer = [0; 4096];
        while until.as_mut().poll(cx).is_pending() && *seen < LINGER_BYTES {
            let mut read = ReadBuf::new(&mut buffer);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read)) {
                Ok(()) if !read.filled().is_empty() => *seen += read.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.heard.hear(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.write_instead(cx))?;
        if self.replace(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.write_instead(cx))?;
        if let Some(first) = slices.first()
            && self.replace(first)
        {
            return Poll::Ready(Ok(first.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_instead(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_instead(cx))?;
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if self.heard.refused.get() {
            ready!(self.linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(reads: &[&[&str]]) -> Heard {
        let heard = Heard::new(&Limits { header_bytes: 64, ..Limits::default() }, Arc::default());
        // Each list is read up to where a request begins.
        for request in reads {
            request.iter().for_each(|bytes| heard.hear(bytes.as_bytes()));
            heard.begin_request();
        }
        heard
    }

    #[test]
    fn two_lengths_are_found_however_they_come() {
        for reads in [
            &[&["POST / HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"][..]][..],
            &[&["POST / HTTP/1.1\nTransfer-Encoding:chunked\nCONTENT-LENGTH:4\n\n4\r\n{}  \r\n0\r\n\r\n"]],
            &[&["POST / HTTP/1.1\r\ncontent-len", "gth: 4\r\nTransfer-", "encoding: chunked\r\n\r\n"]],
            // Behind another request, with its head in the same read and in the next.
            &[&["GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 4\r\n"], &["transfer-encoding: x\r\n\r\n"]],
            // Behind a long body.
            &[
                &["POST / HTTP/1.1\r\ncontent-length: 200\r\n\r\n"],
                &[
                    &" ".repeat(150),
                    &" ".repeat(49),
                    "}POST / HTTP/1.1\r\ncontent-length: 4\r\n",
                    "transfer-encoding: x\r\n\r\n",
                ],
            ],
        ] {
            assert!(heard(reads).has_two_lengths(), "{reads:?}");
        }
    }

    #[test]
    fn one_length_each_is_no_contradiction() {
        for reads in [
            &[&["POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"][..]][..],
            &[
                &["POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}"],
                &["POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"],
            ],
            &[&["POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"]],
            &[&["POST / HTTP/1.1\r\nx-content-length: 2\r\ncontent-lengths: 3\r\ntransfer-encoding: chunked\r\n\r\n"]],
        ] {
            assert!(!heard(reads).has_two_lengths(), "{reads:?}");
        }
    }

    #[test]
    fn a_length_beyond_counting_is_found() {
        let found = |length: &str| {
            heard(&[&[&format!("POST / HTTP/1.1\r\nContent-Length:{length}\r\n\r\n")]]).has_endless_length()
        };
        for endless in [" 18446744073709551615", "18446744073709551614 ", " 99999999999999999999999"] {
            assert!(found(endless), "{endless}");
        }
        for other in [" 18446744073709551613", " 5", " -1", " x", ""] {
            assert!(!found(other), "{other}");
        }
    }

    #[test]
    fn only_what_hyper_says_by_itself_is_replaced() {
        let head = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\n{more}date: x\r\n\r\n");
        assert_eq!(own_refusal(head("400 Bad Request", "content-length: 0\r\n").as_bytes()), Some(ErrorKind::Invalid));
        let large = head("431 Request Header Fields Too Large", "connection: close\r\ncontent-length: 0\r\n");
        assert_eq!(own_refusal(large.as_bytes()), Some(ErrorKind::HeadTooLarge));
        for other in [
            head("200 OK", "content-length: 0\r\n"),
            head("400 Bad Request", "content-length: 30\r\n"),
            head("404 Not Found", "content-length: 0\r\n"),
            "HTTP/1.1 400".to_string(),
            "{}".to_string(),
            String::new(),
        ] {
            assert_eq!(own_refusal(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn little_is_kept() {
        let heard = heard(&[&[&"x".repeat(100_000)], &["y"], &["z"]]);
        let recent = heard.recent.borrow();
        assert!(recent.before.capacity() + recent.now.capacity() <= 2 * KEPT_ROOM);
    }
}
