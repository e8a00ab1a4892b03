//! What is wrong with a definition, where, and what to do: one shape for every stage that checks.

use std::fmt;
use std::sync::Arc;

/// A place in a definition file: where a value begins. Lines and columns count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
    /// Where the later lines of a text begin that is spread over several; in their order, as far as they are known.
    pub lines: Option<Arc<[LineStart]>>,
    /// Whether what stands here is refused already, so that whatever else is said of it follows from that.
    pub lost: bool,
}

/// Where a line of a text begins in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineStart {
    /// Characters of the text before this line, white space at the text's beginning not counted.
    pub offset: usize,
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// The beginning of a value.
    pub fn new(file: &Arc<str>, line: usize, column: usize) -> Place {
        Place { file: file.clone(), line, column, lines: None, lost: false }
    }

    /// The same place, of what is refused already.
    pub fn as_lost(&self) -> Place {
        Place { lost: true, ..self.clone() }
    }

    /// The place of a character of the text that begins here: its line and column in the text, both from 1, white space
    /// at the text's beginning not counted.
    pub fn inside(&self, text: &str, line: usize, column: usize) -> Place {
        let before = text.split_inclusive('\n').take(line.saturating_sub(1)).map(|line| line.chars().count());
        let offset = before.sum::<usize>() + column.saturating_sub(1);
        let starts = self.lines.as_deref().unwrap_or_default();
        let first = LineStart { offset: 0, line: self.line, column: self.column };
        let start = starts.iter().rev().find(|start| start.offset <= offset).copied().unwrap_or(first);
        let inside = Place::new(&self.file, start.line, start.column + offset - start.offset);
        Place { lost: self.lost, ..inside }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}:{}", self.file, self.line, self.column) }
    }
}

/// One error of a definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    pub place: Place,
    /// Stable, for scripts: `DEF-REF`, `DEF-TYPE`, `DEF-WINDOW`, ...
    pub code: &'static str,
    /// One lower-case sentence without a full stop: what is wrong, naming the object.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    pub fn new(place: &Place, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { place: place.clone(), code, message: message.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }
}

/// `views.yaml:12:9: unknown source `transactons` [DEF-REF]; did you mean `transactions`?`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.place, self.message, self.code)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// All errors of a set of definitions, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Records an error, unless it is said of what is refused already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !diagnostic.place.lost {
            self.0.push(diagnostic);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    /// `Ok` when nothing was found.
    pub fn into_result<T>(mut self, value: T) -> Result<T, Diagnostics> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            self.0.sort();
            self.0.dedup();
            Err(self)
        }
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Diagnostics {
        Diagnostics(vec![diagnostic])
    }
}

/// One error per line.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The candidate closest to `name`, when it is close enough to be a slip of the keyboard.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer names are no slip, and comparing costs the product of the lengths.
    if name.len() > 128 {
        return None;
    }
    let slip = (name.len() / 3).max(1);
    candidates
        .into_iter()
        // The distance in characters is at least the difference in length; most candidates end here.
        .filter(|candidate| candidate.chars().count().abs_diff(name.chars().count()) <= slip)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= slip)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Up to so many names are listed in full; of more some are shown, enough fewer that leaving them out is worth a word.
const LISTED: usize = 16;
const SHOWN: usize = 12;

/// ``did you mean `transactions`?``, or the list of what there is.
pub fn suggestion<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let in_other_case = || nearest(&name.to_lowercase(), candidates.clone());
    if let Some(near) = nearest(name, candidates.clone()).or_else(in_other_case) {
        return format!("did you mean `{near}`?");
    }
    let mut all: Vec<&str> = candidates.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    match all.len() {
        0 => "none is defined".to_string(),
        n if n > LISTED => format!("there are {n}, among them {}", all[..SHOWN].join(", ")),
        _ => format!("there is {}", all.join(", ")),
    }
}
