//! What is wrong with a text that should be JSON, in words for whoever wrote it: the parser's own are for its users.
//!
//! Law: the place is the parser's, the reason is read from the text at that place where it says more: many programs write
//! `NaN`, `None` or a byte order mark and call it JSON.

use serde_json::error::{Category, Error};

/// A fault of a JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where, in bytes from 0.
    pub byte: usize,
    /// Where, counted from 1; columns are bytes.
    pub line: usize,
    pub column: usize,
    /// What is wrong and what to do, without the place.
    pub reason: String,
}

impl Malformed {
    /// What `error` says of `text`.
    pub fn of(text: &[u8], error: &Error) -> Malformed {
        if let Some(mark) = MARKS.iter().find(|mark| text.starts_with(mark.bytes)) {
            let reason = format!("a byte order mark of {} is in front; send UTF-8 without one", mark.encoding);
            return Malformed { byte: 0, line: 1, column: 1, reason };
        }
        // The parser counts what it has read: before the first byte of a line that is nothing.
        let (line, column) = (error.line().max(1), error.column().max(1));
        let start = text.split_inclusive(|byte| *byte == b'\n').take(line - 1).map(<[u8]>::len).sum::<usize>();
        let byte = (start + column - 1).min(text.len());
        Malformed { byte, line, column, reason: reason(text, byte, error) }
    }

    /// The reason with its place, for texts of one line.
    pub fn sentence(&self) -> String {
        format!("{} (at byte {})", self.reason, self.byte)
    }
}

/// The words of an error without the parser's place.
pub fn words(error: &Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_string()
}

struct Mark {
    bytes: &'static [u8],
    encoding: &'static str,
}

const MARKS: [Mark; 3] = [
    Mark { bytes: b"\xef\xbb\xbf", encoding: "UTF-8" },
    Mark { bytes: b"\xff\xfe", encoding: "UTF-16" },
    Mark { bytes: b"\xfe\xff", encoding: "UTF-16" },
];

fn reason(text: &[u8], byte: usize, error: &Error) -> String {
    let words = words(error);
    match error.classify() {
        Category::Data => return other_type(&words).unwrap_or(words),
        Category::Eof => return format!("the text breaks off{}; send all of it", within(&words)),
        Category::Io | Category::Syntax => {}
    }
    if let Some(reason) = foreign_word(text, byte) {
        return reason;
    }
    let said = match words.as_str() {
        "trailing characters" => "something follows the JSON value; send one value and nothing behind it",
        "trailing comma" => "a trailing comma: nothing follows it; remove it",
        "expected value" | "expected ident" => {
            "a value is expected here: an object, a list, a text in double quotes, a number, \
             true, false or null"
        }
        "key must be a string" => "a name in double quotes is expected here",
        "expected `:`" => "a colon is expected here, behind the name",
        "expected `,` or `}`" => "a comma or the end of the object is expected here",
        "expected `,` or `]`" => "a comma or the end of the list is expected here",
        "invalid number" => {
            "this is no number of JSON, which has no zeros in front and digits on both sides of a point"
        }
        "number out of range" => "the number is beyond those of 64 bits",
        "recursion limit exceeded" => "the text nests too deep; at most 128 levels are read",
        "invalid escape" => "a backslash in a text begins none of JSON's escapes; write two of them for one",
        "invalid unicode code point" => "the text is not UTF-8; send UTF-8",
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            "an escape \\u stands for half a character; \
             write both halves, or the character itself"
        }
        _ if words.starts_with("control character") => {
            "a control character stands in a text; write it as an escape such as \\n or \\u0000"
        }
        _ => return words,
    };
    said.to_string()
}

/// ` within an object`, where the parser says so.
fn within(words: &str) -> &'static str {
    match words.strip_prefix("EOF while parsing ") {
        Some("an object") => " within an object",
        Some("a list") => " within a list",
        Some("a string") => " within a text",
        _ => "",
    }
}

/// A word at the place that other languages have for a value.
fn foreign_word(text: &[u8], byte: usize) -> Option<String> {
    let part = |at: &usize| {
        text.get(*at).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_'))
    };
    let start = (0..byte).rev().take_while(part).last().unwrap_or(byte);
    let end = (byte..text.len()).take_while(part).last().map_or(byte, |last| last + 1);
    let word = std::str::from_utf8(text.get(start..end)?).ok()?;
    let plain = word.trim_start_matches(['+', '-']).to_ascii_lowercase();
    match plain.as_str() {
        "nan" | "inf" | "infinity" => Some(format!(
            "`{word}` is no JSON, which has neither NaN nor infinities; send null, or leave the field out"
        )),
        "none" | "undefined" | "nil" | "null" => Some(format!("`{word}` is no JSON; write null")),
        "true" | "false" => Some(format!("`{word}` is no JSON; write {plain}")),
        _ => None,
    }
}

/// `invalid type: sequence, expected an object`, in words of JSON.
fn other_type(words: &str) -> Option<String> {
    let (found, expected) = words
        .strip_prefix("invalid type: ")
        .or_else(|| words.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "))?;
    let found = match found {
        "sequence" => "a list".to_string(),
        "map" => "an object".to_string(),
        "unit value" | "Option value" => "null".to_string(),
        _ => match found.split_once(' ') {
            Some(("string", text)) => format!("the text {text}"),
            Some(("floating", rest)) => rest.replacen("point", "the number", 1),
            Some(("integer", number)) => format!("the number {number}"),
            Some(("boolean", value)) => value.to_string(),
            _ => found.to_string(),
        },
    };
    Some(format!("{expected} is expected here, not {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &[u8]) -> (usize, String) {
        let error = serde_json::from_slice::<std::collections::BTreeMap<String, serde_json::Value>>(text).unwrap_err();
        let fault = Malformed::of(text, &error);
        (fault.byte, fault.reason)
    }

    #[test]
    fn what_other_programs_call_json_is_named() {
        for (text, byte, needle) in [
            (&b"\xef\xbb\xbf{}"[..], 0, "a byte order mark of UTF-8 is in front"),
            (b"\xff\xfe{\0}\0", 0, "a byte order mark of UTF-16 is in front"),
            (b"{}{}", 2, "something follows the JSON value"),
            (b"{\"a\": NaN}", 6, "`NaN` is no JSON, which has neither NaN nor infinities; send null"),
            (b"{\"a\": nan}", 7, "`nan` is no JSON, which has neither"),
            (b"{\"a\": -Infinity}", 7, "`-Infinity` is no JSON, which has neither"),
            (b"{\"a\": None}", 6, "`None` is no JSON; write null"),
            (b"{\"a\": True}", 6, "`True` is no JSON; write true"),
            (b"{\n\"a\": 1,}", 9, "a trailing comma"),
            (b"{'a': 1}", 1, "a name in double quotes is expected"),
            (b"{\"a\": 'x'}", 6, "a value is expected here"),
            (b"{\"a\" 1}", 5, "a colon is expected"),
            (b"{\"a\": 01}", 7, "no number of JSON"),
            (b"{\"a\": [1", 7, "the text breaks off within a list; send all of it"),
            (b"{\"a\": \"\\ud800\"}", 13, "half a character"),
            (b"{\"a\": \"\t\"}", 8, "a control character"),
            (b"[1]", 0, "a map is expected here, not a list"),
            (b"1.5", 2, "a map is expected here, not the number `1.5`"),
            (b"", 0, "the text breaks off; send all of it"),
        ] {
            let (found, reason) = fault(text);
            let shown = String::from_utf8_lossy(text);
            assert!(reason.contains(needle), "{shown}: {reason}");
            assert!(found.abs_diff(byte) <= 1, "{shown}: {found}, {reason}");
            assert!(!reason.contains(" column "), "{reason}");
        }
    }
}
