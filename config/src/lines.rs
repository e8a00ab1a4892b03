//! Texts that a file spreads over several lines: where each of their lines stands.

use std::sync::Arc;

use crate::diagnostic::{LineStart, Place};

/// The text of a file, and where its lines begin.
pub struct Source<'t> {
    text: &'t str,
    /// Bytes before each line.
    lines: Vec<usize>,
}

impl<'t> Source<'t> {
    pub fn new(text: &'t str) -> Source<'t> {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Source { text, lines: std::iter::once(0).chain(ends).collect() }
    }

    /// Where the lines of a text begin that is written from `place` on, but for the first.
    ///
    /// File and text are read side by side, white space of any kind and length being equal, so that all of YAML's ways to
    /// spread a text are one. Where they part (an escape, an alias) what is known until there stands.
    pub fn line_starts(&self, place: &Place, text: &str) -> Option<Arc<[LineStart]>> {
        let mut written = self.characters(place)?;
        let mut text = text.trim_start().chars().enumerate().peekable();
        let quote = written.here().filter(|c| matches!(c, '"' | '\'') && Some(c) != text.peek().map(|(_, c)| c));
        if quote.is_some() {
            written.advance();
        }
        let mut starts = Vec::new();
        while let Some((_, character)) = text.next() {
            if character.is_whitespace() {
                while text.next_if(|(_, c)| c.is_whitespace()).is_some() {}
                let line = written.line;
                while written.here().is_some_and(char::is_whitespace) {
                    written.advance();
                }
                if let Some((offset, _)) = text.peek().filter(|_| written.line > line) {
                    starts.push(LineStart { offset: *offset, line: written.line, column: written.column });
                }
                continue;
            }
            if written.here() != Some(character) {
                break;
            }
            written.advance();
            // A single quote within single quotes is written twice.
            if (quote, character) == (Some('\''), '\'') {
                written.advance();
            }
        }
        (!starts.is_empty()).then(|| starts.into())
    }

    /// The file's characters from a place on. `None` far to the right, where nobody spreads texts over lines and finding
    /// the column of every value would take the square of the line's length.
    fn characters(&self, place: &Place) -> Option<Characters<'t>> {
        const FAR_RIGHT: usize = 1_000;
        let start = *self.lines.get(place.line.checked_sub(1)?)?;
        let mut characters = Characters { rest: self.text.get(start..)?.chars(), line: place.line, column: 1 };
        while characters.column < place.column.min(FAR_RIGHT) {
            characters.advance();
        }
        (characters.column == place.column).then_some(characters)
    }
}

/// A place in the text of a file that moves forward.
struct Characters<'t> {
    rest: std::str::Chars<'t>,
    line: usize,
    column: usize,
}

impl Characters<'_> {
    fn here(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn advance(&mut self) {
        if self.rest.next() == Some('\n') {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Diagnostics;
    use crate::tree::Content;
    use crate::yaml;

    #[test]
    fn a_text_over_several_lines_knows_where_each_begins() {
        let file = "a: |\n    x +\n      1\nb: >-\n\n  x\n  + y\n\n  + z\nc: \"x\n  + y\"\nd: 'it''s\n   + y'\ne: x\n  +\r\n  y\nf: \"x\\ty\n  z\"\n";
        let node = yaml::read(&"f.yaml".into(), file, &mut Diagnostics::default()).unwrap().unwrap();
        let Content::Map(entries) = node.content else { panic!("no map") };
        let place = |entry: usize, line, column| {
            let (_, node) = &entries[entry];
            let text = node.spelling().unwrap();
            let place = node.place.inside(text.trim(), line, column);
            (place.line, place.column)
        };
        // Literal: `1` is on the text's second line.
        assert_eq!([place(0, 1, 1), place(0, 1, 3), place(0, 2, 3)], [(2, 5), (2, 7), (3, 7)]);
        // Folded: one line of text, or two with the paragraph's break.
        assert_eq!([place(1, 1, 3), place(1, 1, 5), place(1, 2, 3)], [(7, 3), (7, 5), (9, 5)]);
        // Quoted and plain.
        assert_eq!([place(2, 1, 3), place(3, 1, 6), place(4, 1, 5)], [(11, 3), (13, 4), (16, 3)]);
        // Behind an escape nothing is known but the beginning.
        assert_eq!(place(5, 1, 5), (17, 8));
    }
}
