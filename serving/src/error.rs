//! What a caller is told when a request cannot be answered: an HTTP status, a gRPC code and one sentence.
//!
//! Every error body is JSON, because clients read `message` from it. What a caller wrote is quoted in clipped form,
//! so that an answer stays small whatever was asked.

use std::borrow::Cow;

use freshet_config::diagnostic;
use freshet_connectors::malformed::Malformed;

/// The kinds of refusal; each fixes its HTTP status, its gRPC code and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is malformed or asks for something that cannot be.
    Invalid,
    /// No such route, workspace, service or source.
    NotFound,
    /// The route exists, the method does not.
    Method,
    /// The body did not arrive in time.
    SlowBody,
    /// The object is in a state that forbids this.
    Conflict,
    /// The body is larger than the route takes.
    TooLarge,
    /// The request's line and headers are larger, or more, than are read.
    HeadTooLarge,
    /// The body is not JSON by its own account.
    MediaType,
    /// More work than the server takes at once, or a part that is down; the same request may succeed later.
    Unavailable,
    /// The deadline passed before the rows were read.
    Deadline,
    /// There is no room for more records.
    StorageFull,
    /// The body is coded in a way on its way that is not decoded here.
    Coding,
    /// A defect of the server.
    Internal,
}

impl ErrorKind {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            ErrorKind::Invalid => 400,
            ErrorKind::NotFound => 404,
            ErrorKind::Method => 405,
            ErrorKind::SlowBody => 408,
            ErrorKind::Conflict => 409,
            ErrorKind::TooLarge => 413,
            ErrorKind::MediaType => 415,
            ErrorKind::HeadTooLarge => 431,
            ErrorKind::Internal => 500,
            ErrorKind::Coding => 501,
            ErrorKind::Unavailable => 503,
            ErrorKind::Deadline => 504,
            ErrorKind::StorageFull => 507,
        }
    }

    /// The gRPC status number, sent as `code`.
    pub fn grpc_code(self) -> u8 {
        match self {
            ErrorKind::Invalid | ErrorKind::MediaType => 3,
            ErrorKind::SlowBody | ErrorKind::Deadline => 4,
            ErrorKind::NotFound => 5,
            ErrorKind::TooLarge | ErrorKind::HeadTooLarge | ErrorKind::StorageFull => 8,
            ErrorKind::Conflict => 9,
            ErrorKind::Method | ErrorKind::Coding => 12,
            ErrorKind::Internal => 13,
            ErrorKind::Unavailable => 14,
        }
    }

    /// The gRPC status name, sent as `error`.
    pub fn name(self) -> &'static str {
        match self.grpc_code() {
            3 => "INVALID_ARGUMENT",
            4 => "DEADLINE_EXCEEDED",
            5 => "NOT_FOUND",
            8 => "RESOURCE_EXHAUSTED",
            9 => "FAILED_PRECONDITION",
            12 => "UNIMPLEMENTED",
            14 => "UNAVAILABLE",
            _ => "INTERNAL",
        }
    }
}

/// One refusal, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub kind: ErrorKind,
    /// What is wrong, where, and what to do.
    pub message: String,
    /// JSON pointer of the offending field, when there is one.
    pub pointer: Option<String>,
    /// Line and column of the body, counting from 1, when the text itself is wrong.
    pub position: Option<(usize, usize)>,
    /// Methods the route takes, for [`ErrorKind::Method`].
    pub allow: Option<&'static str>,
    /// Seconds after which asking again makes sense.
    pub retry_after_seconds: Option<u32>,
    /// Whether the connection ends with this answer: what follows on it cannot be trusted or is not worth reading.
    pub close: bool,
}

impl ApiError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> ApiError {
        let retry_after_seconds = (kind == ErrorKind::Unavailable).then_some(1);
        let close = matches!(kind, ErrorKind::TooLarge | ErrorKind::SlowBody);
        ApiError {
            kind,
            message: message.into(),
            pointer: None,
            position: None,
            allow: None,
            retry_after_seconds,
            close,
        }
    }

    pub fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorKind::Invalid, message)
    }

    pub fn not_found(message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorKind::NotFound, message)
    }

    /// A body that is not the JSON it should be: what is wrong with it, and the place.
    pub fn malformed(body: &[u8], error: &serde_json::Error) -> ApiError {
        let Malformed { byte, line, column, reason } = Malformed::of(body, error);
        let reason = clip(&reason, 512);
        let mut invalid =
            ApiError::invalid(format!("the request body is wrong at {line}:{column}, byte {byte}: {reason}"));
        invalid.position = Some((line, column));
        invalid
    }

    /// Adds the field's JSON pointer to the error and to its message.
    pub fn at(mut self, pointer: String) -> ApiError {
        self.message.push_str(&format!(" (at {pointer})"));
        self.pointer = Some(pointer);
        self
    }

    /// The answer's body. `error` and `code` are gRPC's name and number; `pointer`, `line` and `column` say where.
    pub fn body(&self) -> Vec<u8> {
        let mut body = serde_json::Map::new();
        body.insert("error".into(), self.kind.name().into());
        body.insert("code".into(), self.kind.grpc_code().into());
        body.insert("message".into(), self.message.as_str().into());
        if let Some(pointer) = &self.pointer {
            body.insert("pointer".into(), pointer.as_str().into());
        }
        if let Some((line, column)) = self.position {
            body.insert("line".into(), line.into());
            body.insert("column".into(), column.into());
        }
        serde_json::Value::Object(body).to_string().into_bytes()
    }
}

/// Longest name of a caller's that is quoted or compared with known names, in bytes.
const QUOTED_BYTES: usize = 120;

/// A caller's text as it may stand in a message: whole when short, else its beginning.
pub fn quote(text: &str) -> Cow<'_, str> {
    clip(text, QUOTED_BYTES)
}

fn clip(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    let mut end = bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned(format!("{}… ({} bytes)", &text[..end], text.len()))
}

/// ``did you mean `x`?`` or what there is. A name too long to be a slip of the keyboard is not compared: the distance
/// costs the product of both lengths, and the caller chose one of them.
pub fn suggestion<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let name = if name.len() <= QUOTED_BYTES { name } else { "" };
    diagnostic::suggestion(name, candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_error_names_its_place_once() {
        let text = "{\n \"a\": 1,\n}";
        let parse: Result<serde_json::Value, _> = serde_json::from_str(text);
        let error = ApiError::malformed(text.as_bytes(), &parse.unwrap_err());
        assert_eq!(error.position, Some((3, 1)));
        let expected = "the request body is wrong at 3:1, byte 11: a trailing comma: nothing follows it; remove it";
        assert_eq!(error.message, expected);
        let body: serde_json::Value = serde_json::from_slice(&error.body()).unwrap();
        assert_eq!(body["code"], 3);
        assert_eq!(body["error"], "INVALID_ARGUMENT");
        assert_eq!(body["line"], 3);
    }

    #[test]
    fn places_count_from_one() {
        let parse: Result<std::collections::BTreeMap<String, u8>, _> = serde_json::from_str("[1]");
        assert_eq!(ApiError::malformed(b"[1]", &parse.unwrap_err()).position, Some((1, 1)));
    }

    #[test]
    fn long_names_are_clipped_on_a_character() {
        let long = "é".repeat(4000);
        assert!(quote(&long).len() < 200);
        assert!(quote(&long).ends_with("(8000 bytes)"));
        assert!(suggestion(&long, ["fraud"]).contains("fraud"));
    }
}
