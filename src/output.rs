//! Writing to stdout: text, tables and JSON; a reader that has left ends the command quietly.

use std::io::{self, ErrorKind, Write};

use crate::exit::Failure;

/// Writes `text` to stdout at once.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::quiet(),
        _ => Failure::cannot_write(format!("cannot write to stdout: {error}")),
    })
}

/// Writes one line to stdout at once.
pub fn line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Writes JSON, indented, to stdout.
pub fn json(value: &serde_json::Value) -> Result<(), Failure> {
    // Values made of maps with text keys always serialise.
    line(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// Rows of text in columns that line up, under a header.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(header: [&str; N]) -> Table {
        Table { rows: vec![header.map(str::to_string).to_vec()] }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Whether there are rows below the header.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table as text; columns are two spaces apart and lines have no trailing spaces.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|c| self.rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut shown = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                shown.push_str(cell);
                shown.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
            }
            text.push_str(shown.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_letters() {
        let mut table = Table::new(["name", "value"]);
        assert!(table.is_empty());
        table.row(["größe".into(), "1".into()]);
        table.row(["a".into(), String::new()]);
        assert_eq!(table.text(), "name   value\ngröße  1\na\n");
    }
}
