//! `${NAME}` in a text -> the environment variable. What comes in is not looked at again.

use std::collections::BTreeMap;

use crate::decode::shorten;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::tree::{Content, Node};

/// Texts that held variables: where they stand, and how they were written.
pub type Written = BTreeMap<Place, String>;

/// Replaces the variables of every text of a tree. A missing one is an error that names it, never its neighbours.
pub fn interpolate(
    node: &mut Node,
    variable: &dyn Fn(&str) -> Option<String>,
    written: &mut Written,
    errors: &mut Diagnostics,
) {
    match &mut node.content {
        Content::List(items) => items.iter_mut().for_each(|item| interpolate(item, variable, written, errors)),
        Content::Map(entries) => {
            entries.iter_mut().for_each(|(_, value)| interpolate(value, variable, written, errors));
        }
        Content::Text(text) if text.contains("${") => {
            written.insert(node.place.clone(), text.clone());
            *text = replaced(text, &node.place, variable, errors);
        }
        _ => {}
    }
}

/// Errors as they may be shown: a value that came from a variable may be a secret, so the text as it was written
/// stands in its place. Messages about a value show it first, between backticks.
pub fn masked(errors: Diagnostics, written: &Written) -> Diagnostics {
    let mut shown = Diagnostics::default();
    for error in errors.iter() {
        let mut error = error.clone();
        if error.code != "CFG-ENV"
            && let Some(text) = written.get(&error.place)
            && let Some((before, rest)) = error.message.split_once('`')
            && let Some((_, after)) = rest.split_once('`')
        {
            error.message = format!("{before}`{}`{after}", shorten(text));
        }
        shown.push(error);
    }
    shown
}

fn replaced(text: &str, place: &Place, variable: &dyn Fn(&str) -> Option<String>, errors: &mut Diagnostics) -> String {
    let mut refuse = |message: String, hint: &str| {
        errors.push(Diagnostic::new(place, "CFG-ENV", message).hint(hint));
    };
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            refuse("`${` has no closing `}`".to_string(), "write `${NAME}`, or `$${` for the characters themselves");
            return text.to_string();
        };
        rest = behind;
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(letters) {
            let hint = "use letters, digits and `_`, starting with a letter";
            refuse(format!("`{}` cannot name an environment variable", shorten(name)), hint);
            return text.to_string();
        } else if let Some(value) = variable(name) {
            out.push_str(&value);
        } else {
            refuse(format!("the environment variable `{name}` is not set"), "set it, or write the value here");
            out.push_str(name);
        }
    }
    out.push_str(rest);
    out
}
