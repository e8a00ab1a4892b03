//! YAML text -> [`Node`]: positions kept, keys that stand twice refused, size, depth and aliases capped.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, NonFiniteFloatPolicy, Options, Spanned, UserMessageFormatter};

use crate::decode::shorten;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::lines::Source;
use crate::tree::{Content, Key, Node};

/// Largest definition file, in bytes.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// Deepest nesting of lists and maps in a definition file.
pub const MAX_DEPTH: usize = 32;
/// Most values a definition file may hold, those repeated by aliases included.
pub const MAX_NODES: usize = 200_000;

/// Reads one YAML document. `Ok(None)` for a file without content. A key that stands twice is an error that hides nothing:
/// it is recorded in `errors`, and both entries are handed on, in their order.
pub fn read(file: &Arc<str>, text: &str, errors: &mut Diagnostics) -> Result<Option<Node>, Diagnostic> {
    if text.len() > MAX_FILE_BYTES {
        return Err(too_large(file, text.len() as u64));
    }
    match serde_saphyr::from_str_with_options::<Option<Parsed>>(text, options()) {
        Ok(parsed) => Ok(parsed
            .map(|p| p.located(file, &Source::new(text), errors))
            .filter(|node| !matches!(node.content, Content::Null))),
        Err(error) => Err(refusal(file, text, error.without_snippet())),
    }
}

/// The refusal of a file of `bytes` bytes; whoever reads files says it before reading.
pub fn too_large(file: &Arc<str>, bytes: u64) -> Diagnostic {
    let place = Place::new(file, 0, 0);
    let message = format!("the file holds {bytes} bytes, more than the {MAX_FILE_BYTES} a definition file may");
    Diagnostic::new(&place, "DEF-SIZE", message).hint("split it into several files")
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_NODES },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn refusal(file: &Arc<str>, text: &str, error: &Error) -> Diagnostic {
    let place = error.location().map_or_else(|| Place::new(file, 1, 1), |location| place_of(file, location));
    let too_deep = || {
        let message = format!("lists and maps are nested deeper than {MAX_DEPTH} levels");
        Diagnostic::new(&place, "DEF-SIZE", message).hint("no definition needs this many levels")
    };
    match error {
        Error::AliasError { error, .. } => refusal(file, text, error),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => too_deep(),
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayCounterOverflow { .. } => {
            let message = format!("the file, its aliases expanded, holds more than {MAX_NODES} values");
            Diagnostic::new(&place, "DEF-SIZE", message).hint("write out what the aliases stand for, or split the file")
        }
        Error::MultipleDocuments { .. } => {
            Diagnostic::new(&place, "DEF-YAML", "the file holds more than one YAML document")
                .hint("remove the `---`, or put each document into a file of its own")
        }
        other => {
            let detail = plain_sentence(&other.render_with_formatter(&UserMessageFormatter));
            // The scanner's own guard for `[[[[`; the library gives it no kind of its own.
            if detail.contains("recursion limit") {
                return too_deep();
            }
            let tab = detail.contains("tab") || line_starts_with_tab(text, place.line);
            let hint = if tab { "indent with spaces: YAML does not allow tabs" } else { what_to_do(&detail) };
            Diagnostic::new(&place, "DEF-YAML", format!("the file is not valid YAML: {detail}")).hint(hint)
        }
    }
}

const ANCHOR: &str = "give the value an anchor `&NAME` before its alias, or put a text that starts with `*` in quotes";

/// What to do about what the library says, told by its words: it has no kinds for most of them.
fn what_to_do(detail: &str) -> &'static str {
    let advice = [
        ("unclosed", "close it, or put the text in quotes if the bracket belongs to it"),
        ("ecursive reference", "write out what the alias stands for: a value cannot hold itself"),
        ("unknown value", ANCHOR),
        ("unknown anchor", ANCHOR),
        ("mapping values", "line the key up with those of its map, or put a text with `: ` in quotes"),
        ("quoted scalar", "close the quote, or indent the lines that go on with it"),
        ("null is not allowed", "write a name before the `:`, in quotes if it is `~` or `null`"),
        ("expected string scalar", "write a name before the `:`, not a list or a map"),
        ("indent", "indent the lines of one list or map by the same number of spaces"),
        ("tag", "remove the tag: definitions have none"),
        ("expected", "look for a bracket, a comma or a quote that is missing there or just before it"),
    ];
    let known = advice.into_iter().find(|(words, _)| detail.contains(words));
    known.map_or("look there and just before it, and put a text with special characters in quotes", |(_, hint)| hint)
}

/// The library's first line in our form: it repeats the place, which ours already says.
fn plain_sentence(rendered: &str) -> String {
    let line = rendered.lines().next().unwrap_or_default().trim_end_matches('.');
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let line = line.find(" at line ").map_or(line, |end| &line[..end]);
    let mut characters = line.chars();
    characters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(characters).collect()
}

fn line_starts_with_tab(text: &str, line: usize) -> bool {
    let indent = |line: &str| line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    text.lines().nth(line.saturating_sub(1)).is_some_and(indent)
}

fn twice(key: &Key) -> Diagnostic {
    let message = format!("the key `{}` stands twice in one map", shorten(&key.text));
    Diagnostic::new(&key.place, "DEF-YAML", message).hint("keep one of the two")
}

fn place_of(file: &Arc<str>, location: Location) -> Place {
    Place::new(file, location.line() as usize, location.column() as usize)
}

/// A value as the YAML library hands it over; becomes a [`Node`] once the file's name is added.
struct Parsed(Spanned<ParsedContent>);

enum ParsedContent {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Parsed>),
    Map(Vec<(Spanned<String>, Parsed)>),
}

impl Parsed {
    /// Recursion is bounded by [`MAX_DEPTH`].
    fn located(self, file: &Arc<str>, source: &Source<'_>, errors: &mut Diagnostics) -> Node {
        let mut place = place_of(file, self.0.referenced);
        let content = match self.0.value {
            ParsedContent::Null => Content::Null,
            ParsedContent::Bool(value) => Content::Bool(value),
            ParsedContent::Number(text) => Content::Number(text),
            ParsedContent::Text(text) => {
                place.lines = source.line_starts(&place, &text);
                Content::Text(text)
            }
            ParsedContent::List(items) => {
                Content::List(items.into_iter().map(|item| item.located(file, source, errors)).collect())
            }
            ParsedContent::Map(entries) => {
                let mut seen = BTreeSet::new();
                let entry = |(key, value): (Spanned<String>, Parsed)| {
                    let key = Key { place: place_of(file, key.referenced), text: key.value };
                    if !seen.insert(key.text.clone()) {
                        errors.push(twice(&key));
                    }
                    (key, value.located(file, source, errors))
                };
                Content::Map(entries.into_iter().map(entry).collect())
            }
        };
        Node { place, content }
    }
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Parsed, D::Error> {
        Spanned::deserialize(deserializer).map(Parsed)
    }
}

impl<'de> Deserialize<'de> for ParsedContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ParsedContent, D::Error> {
        deserializer.deserialize_any(AnyContent)
    }
}

struct AnyContent;

impl<'de> Visitor<'de> for AnyContent {
    type Value = ParsedContent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<ParsedContent, E> {
        Ok(ParsedContent::Null)
    }

    fn visit_none<E>(self) -> Result<ParsedContent, E> {
        Ok(ParsedContent::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<ParsedContent, D::Error> {
        ParsedContent::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<ParsedContent, E> {
        Ok(ParsedContent::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<ParsedContent, E> {
        Ok(ParsedContent::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<ParsedContent, E> {
        Ok(ParsedContent::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<ParsedContent, E> {
        Ok(ParsedContent::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<ParsedContent, E> {
        Ok(ParsedContent::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<ParsedContent, E> {
        Ok(ParsedContent::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<ParsedContent, E> {
        Ok(ParsedContent::Text(value.to_string()))
    }

    fn visit_string<E>(self, value: String) -> Result<ParsedContent, E> {
        Ok(ParsedContent::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<ParsedContent, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(ParsedContent::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ParsedContent, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(ParsedContent::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let mut twice = Diagnostics::default();
        match read(&"f.yaml".into(), text, &mut twice) {
            Err(diagnostic) => diagnostic.to_string(),
            Ok(_) if !twice.is_empty() => twice.to_string(),
            Ok(node) => panic!("accepted: {node:?}"),
        }
    }

    #[test]
    fn values_keep_their_places_and_maps_their_order() {
        let node =
            read(&"f.yaml".into(), "b: [1, yes]\na:\n  - {c: 2.5}\n  - true\n  - ~\n", &mut Diagnostics::default())
                .unwrap()
                .unwrap();
        let mut lines = Vec::new();
        show(&node, &mut lines);
        assert_eq!(
            lines,
            [
                "1:1 a map",
                "1:1 key b",
                "1:4 a list",
                "1:5 a number 1",
                "1:8 text yes",
                "2:1 key a",
                "3:3 a list",
                "3:5 a map",
                "3:6 key c",
                "3:9 a number 2.5",
                "4:5 a truth value true",
                "5:5 nothing",
            ]
        );
    }

    fn show(node: &Node, lines: &mut Vec<String>) {
        let at = |place: &Place| format!("{}:{}", place.line, place.column);
        let spelling = node.spelling().map(|s| format!(" {s}")).unwrap_or_default();
        lines.push(format!("{} {}{spelling}", at(&node.place), node.kind()));
        match &node.content {
            Content::List(items) => items.iter().for_each(|item| show(item, lines)),
            Content::Map(entries) => {
                for (key, value) in entries {
                    lines.push(format!("{} key {}", at(&key.place), key.text));
                    show(value, lines);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn an_empty_file_is_no_document() {
        for text in ["", "\n", "# nothing yet\n", "---\n", "~\n", "\u{feff}"] {
            assert!(read(&"f.yaml".into(), text, &mut Diagnostics::default()).unwrap().is_none(), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_sound_yaml_is_refused_with_its_place() {
        for (text, expected) in [
            ("a: 1\nb: 2\na: 3\n", "3:1: the key `a` stands twice in one map [DEF-YAML]; keep one of the two"),
            (
                "a:\n\tb: 1\n",
                "2:2: the file is not valid YAML: tabs disallowed within this context (block indentation) [DEF-YAML]; \
                 indent with spaces: YAML does not allow tabs",
            ),
            (
                "a: [1, 2\n",
                "1:4: the file is not valid YAML: unclosed bracket '[' [DEF-YAML]; \
                 close it, or put the text in quotes if the bracket belongs to it",
            ),
            (
                "a: *nowhere\n",
                "1:4: the file is not valid YAML: reference to unknown value [DEF-YAML]; give the value an anchor `&NAME` \
                 before its alias, or put a text that starts with `*` in quotes",
            ),
            (
                "a: &a [*a]\n",
                "1:8: the file is not valid YAML: recursive reference not allowed here [DEF-YAML]; \
                 write out what the alias stands for: a value cannot hold itself",
            ),
            (
                "a: 1\n---\nb: 2\n",
                "3:1: the file holds more than one YAML document [DEF-YAML]; \
                 remove the `---`, or put each document into a file of its own",
            ),
            (
                "[1]: 2\n",
                "1:1: the file is not valid YAML: expected string scalar [DEF-YAML]; \
                 write a name before the `:`, not a list or a map",
            ),
            (
                "~: 2\n",
                "1:1: the file is not valid YAML: null is not allowed here [DEF-YAML]; \
                 write a name before the `:`, in quotes if it is `~` or `null`",
            ),
            (
                "a: b: c\n",
                "1:5: the file is not valid YAML: mapping values are not allowed in this context [DEF-YAML]; \
                 line the key up with those of its map, or put a text with `: ` in quotes",
            ),
            (
                "- a: \"b\nc\n",
                "2:1: the file is not valid YAML: invalid indentation in multiline quoted scalar [DEF-YAML]; \
                 close the quote, or indent the lines that go on with it",
            ),
        ] {
            assert_eq!(refused(text), format!("f.yaml:{expected}"), "{text}");
        }
    }

    /// Whatever the library says, it is said what to do.
    #[test]
    fn every_refusal_has_a_hint() {
        for text in [
            "%",
            "a: @b",
            "a: `b`",
            "}",
            "a: 'x",
            "? [",
            "&",
            "*",
            "a: >\n x\n  y\n z\n:",
            "a: !!int x",
            "- a\n b: c",
            "\"\\q\"",
            "a: {b: c]",
        ] {
            match read(&"f.yaml".into(), text, &mut Diagnostics::default()) {
                Err(diagnostic) => assert!(diagnostic.hint.is_some(), "{diagnostic}"),
                Ok(node) => panic!("accepted: {node:?}"),
            }
        }
    }

    #[test]
    fn size_depth_and_aliases_are_capped() {
        let indented: String = (0..1_000).map(|level| format!("{}-\n", " ".repeat(level))).collect();
        for deep in ["[".repeat(10_000), "{a: ".repeat(10_000), indented] {
            let line = refused(&deep);
            assert!(
                line.ends_with("nested deeper than 32 levels [DEF-SIZE]; no definition needs this many levels"),
                "{line}"
            );
        }
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
        for level in 1..12 {
            let previous = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![previous; 10].join(", "));
        }
        let line = refused(&bomb);
        assert!(line.contains("its aliases expanded, holds more than 200000 values [DEF-SIZE]"), "{line}");
        let line = refused(&"x".repeat(MAX_FILE_BYTES + 1));
        assert!(line.starts_with("f.yaml: the file holds 4194305 bytes, more than the 4194304"), "{line}");
    }
}
