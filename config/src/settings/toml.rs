//! TOML text -> [`Node`]: every syntax error of the file, and places as lines and columns.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::tree::{Content, Key, Node};

/// Reads a document; what could be read is returned beside the errors.
pub fn read(file: &Arc<str>, text: &str, errors: &mut Diagnostics) -> Node {
    let lines = Lines::of(file, text);
    let (table, problems) = DeTable::parse_recoverable(text);
    for problem in problems {
        let message = problem.message().lines().next().unwrap_or("unreadable").trim_end_matches('.').to_string();
        let place = lines.place(problem.span().unwrap_or(0..0));
        errors.push(Diagnostic::new(&place, "CFG-TOML", format!("the file is not valid TOML: {message}")));
    }
    lines.table(table.span(), table.get_ref())
}

/// Where the lines of a text start.
struct Lines<'t> {
    file: &'t Arc<str>,
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(file: &'t Arc<str>, text: &'t str) -> Lines<'t> {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines { file, text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let line = self.starts.partition_point(|start| *start <= span.start).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        // A span that is no boundary of characters counts as the line's start.
        let column = self.text.get(start..span.start).map_or(1, |before| before.chars().count() + 1);
        Place::new(self.file, line, column)
    }

    fn table(&self, span: Range<usize>, table: &DeTable<'_>) -> Node {
        let mut entries: Vec<(&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
            (Key { place: self.place(key.span()), text: key.get_ref().to_string() }, self.value(value))
        };
        Node { place: self.place(span), content: Content::Map(entries.into_iter().map(entry).collect()) }
    }

    /// Recursion is bounded by the parser's own limit of nesting.
    fn value(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let content = match value.get_ref() {
            DeValue::Table(table) => return self.table(value.span(), table),
            DeValue::Array(items) => Content::List(items.iter().map(|item| self.value(item)).collect()),
            DeValue::String(text) => Content::Text(text.to_string()),
            DeValue::Boolean(value) => Content::Bool(*value),
            DeValue::Integer(number) => Content::Number(number.to_string()),
            DeValue::Float(number) => Content::Number(number.to_string()),
            DeValue::Datetime(instant) => Content::Text(instant.to_string()),
        };
        Node { place: self.place(value.span()), content }
    }
}
