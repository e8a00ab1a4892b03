//! Names: what one may look like, that each is given once, and finding what it refers to.

use std::collections::BTreeMap;

use crate::decode::{At, shorten};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, suggestion};
use crate::raw::Item;
use crate::resolve::limits::{MAX_DEFINITIONS, MAX_NAME_CHARS};

/// Checks the name of a definition or a feature: `[a-z][a-z0-9_]{0,63}`.
pub fn check_name(what: &str, name: &At<String>, errors: &mut Diagnostics) {
    let text = &name.value;
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let sound = text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(letters);
    refuse_name(what, name, sound, "a lower-case letter", "lower-case letters", errors);
}

/// Checks the name of a column, which comes with the data: capitals and a leading underscore are allowed.
pub fn check_column(what: &str, name: &At<String>, errors: &mut Diagnostics) {
    let text = &name.value;
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let sound = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(letters);
    refuse_name(what, name, sound, "a letter", "letters", errors);
}

fn refuse_name(what: &str, name: &At<String>, sound: bool, first: &str, letters: &str, errors: &mut Diagnostics) {
    let shown = shorten(&name.value);
    if name.value.starts_with("__") {
        let message = format!("the name `{shown}` of {what} starts with `__`, which is reserved");
        errors.push(Diagnostic::new(&name.place, "DEF-NAME", message).hint("choose another name"));
    } else if name.value.is_empty() {
        let message = format!("the name of {what} is empty");
        errors
            .push(Diagnostic::new(&name.place, "DEF-NAME", message).hint(format!("write {first} and what follows it")));
    } else if !sound || name.value.len() > MAX_NAME_CHARS {
        let message = format!("`{shown}` cannot be the name of {what}");
        let rule =
            format!("start with {first}, go on with {letters}, digits and `_`, {MAX_NAME_CHARS} characters at most");
        errors.push(Diagnostic::new(&name.place, "DEF-NAME", message).hint(rule));
    }
}

/// Qualifiers that mean something else in SQL and in answers.
const RESERVED: [&str; 2] = ["request", "derived"];

/// A name that qualifies others must not be one of the reserved ones.
pub fn refuse_reserved(owner: &str, name: &At<String>, errors: &mut Diagnostics) {
    if RESERVED.contains(&name.value.as_str()) {
        let message = format!("{owner} has a name that is reserved: `{}.x` means something else in SQL", name.value);
        errors.push(Diagnostic::new(&name.place, "DEF-NAME", message).hint("choose another name"));
    }
}

/// The first place of each name of one kind; a second one is an error naming both.
pub struct Once<'a> {
    /// What the names are: `view`, `column`.
    what: &'a str,
    /// What they belong to, if anything: `` of source `transactions` ``.
    of: String,
    seen: BTreeMap<String, Place>,
}

impl<'a> Once<'a> {
    pub fn new(what: &'a str) -> Once<'a> {
        Once { what, of: String::new(), seen: BTreeMap::new() }
    }

    pub fn of(what: &'a str, owner: &str) -> Once<'a> {
        Once { what, of: format!(" of {owner}"), seen: BTreeMap::new() }
    }

    /// Whether the name is new. A repeated one is recorded as an error.
    pub fn insert(&mut self, name: &str, place: &Place, errors: &mut Diagnostics) -> bool {
        let Some(first) = self.seen.get(name) else {
            self.seen.insert(name.to_string(), place.clone());
            return true;
        };
        let (shown, what, of) = (shorten(name), self.what, &self.of);
        let message = format!("the {what} `{shown}`{of} is defined twice, first at {first} and again here");
        errors.push(Diagnostic::new(place, "DEF-DUP", message).hint("rename or remove one of the two"));
        false
    }
}

/// Whether a message may propose this name: one that is refused itself is no help, nor are its characters.
pub fn proposable(name: &&str) -> bool {
    name.len() <= MAX_NAME_CHARS && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The definitions of one kind, ordered by name. `T`: what later checks need to know of each.
pub struct Section<T> {
    what: &'static str,
    names: BTreeMap<String, Option<usize>>,
    items: Vec<T>,
    complete: bool,
}

impl<T> Section<T> {
    /// Checks names and puts the definitions in the order of names. Those without a sound one, and those whose names were given
    /// before, follow: they are checked like all others, and nothing refers to them.
    pub fn collect(what: &'static str, raw: Vec<Item<T>>, complete: bool, errors: &mut Diagnostics) -> Section<T> {
        let mut once = Once::new(what);
        let mut named = BTreeMap::new();
        let mut doubles = Vec::new();
        let mut complete = complete;
        for item in raw {
            let Some(name) = item.name else {
                complete = false;
                doubles.extend(item.value);
                continue;
            };
            check_name(&format!("{} {what}", crate::decode::article(what)), &name, errors);
            if named.len() == MAX_DEFINITIONS {
                let message = format!("more than {MAX_DEFINITIONS} definitions of the kind {what}");
                let hint = "split them into several directories";
                errors.push(Diagnostic::new(&name.place, "DEF-SIZE", message).hint(hint));
                complete = false;
                break;
            }
            match once.insert(&name.value, &name.place, errors) {
                true => _ = named.insert(name.value, item.value),
                false => doubles.extend(item.value),
            }
        }
        let mut section = Section { what, names: BTreeMap::new(), items: Vec::new(), complete };
        for (name, value) in named {
            let index = value.is_some().then_some(section.items.len());
            section.items.extend(value);
            section.names.insert(name, index);
        }
        section.items.extend(doubles);
        section
    }

    /// Resolves every definition: into what later checks need (in the same places), and into the results.
    /// The results are whole, index by index, when no error was found; otherwise nobody sees them.
    pub fn resolve<S, R>(self, mut resolve: impl FnMut(T) -> (S, Option<R>)) -> (Section<S>, Vec<R>) {
        let (items, results): (Vec<S>, Vec<Option<R>>) = self.items.into_iter().map(&mut resolve).unzip();
        let section = Section { what: self.what, names: self.names, items, complete: self.complete };
        (section, results.into_iter().flatten().collect())
    }

    /// Takes the definitions out, to be resolved in another order; `unknown` stands for each until [`Section::set`].
    pub fn open<S>(self, unknown: impl FnMut(&T) -> S) -> (Section<S>, Vec<T>) {
        let items = self.items.iter().map(unknown).collect();
        (Section { what: self.what, names: self.names, items, complete: self.complete }, self.items)
    }

    pub fn set(&mut self, index: usize, shape: T) {
        if let Some(item) = self.items.get_mut(index) {
            *item = shape;
        }
    }

    pub fn items_mut(&mut self) -> &mut [T] {
        &mut self.items
    }

    /// Something of each name, with its definition where that is sound.
    pub fn named<R>(&self, of: impl Fn(&str, Option<&T>) -> R) -> impl Iterator<Item = R> {
        self.names.iter().map(move |(name, index)| of(name, index.and_then(|index| self.items.get(index))))
    }

    /// Where the definition of a name stands; nothing is recorded for an unknown one.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied().flatten()
    }

    /// The definition a name refers to. `None`: unknown, which is recorded, or unsound, which was.
    pub fn find(&self, name: &str, place: &Place, user: &str, errors: &mut Diagnostics) -> Option<(usize, &T)> {
        match self.names.get(name) {
            Some(index) => index.and_then(|index| Some((index, self.items.get(index)?))),
            None => {
                if self.complete {
                    let message = format!("unknown {} `{}` in {user}", self.what, shorten(name));
                    let hint = suggestion(name, self.names.keys().map(String::as_str).filter(proposable));
                    errors.push(Diagnostic::new(place, "DEF-REF", message).hint(hint));
                }
                None
            }
        }
    }

    /// Whether something has the name, sound or not.
    pub fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The definition a name refers to, of this kind or of another that shares its names; as [`Section::find`].
    pub fn find_either<'s, U>(
        &'s self,
        other: &'s Section<U>,
        name: &str,
        place: &Place,
        user: &str,
        errors: &mut Diagnostics,
    ) -> Option<Either<'s, T, U>> {
        if other.knows(name) {
            return other.find(name, place, user, errors).map(|(index, found)| Either::Second(index, found));
        }
        if self.knows(name) || !self.complete || !other.complete {
            return self.find(name, place, user, errors).map(|(_, found)| Either::First(found));
        }
        let names = self.names.keys().chain(other.names.keys()).map(String::as_str).filter(proposable);
        let message = format!("unknown {} `{}` in {user}", self.what, shorten(name));
        errors.push(Diagnostic::new(place, "DEF-REF", message).hint(suggestion(name, names)));
        None
    }
}

/// A definition of one of two kinds; the second with its index.
pub enum Either<'s, T, U> {
    First(&'s T),
    Second(usize, &'s U),
}
