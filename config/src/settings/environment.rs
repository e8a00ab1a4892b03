//! `${NAME}` in a text -> the environment variable. What comes in is not looked at again.

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::tree::{Content, Node};

/// Replaces the variables of every text of a tree. A missing one is an error that names it, never its neighbours.
pub fn interpolate(node: &mut Node, variable: &dyn Fn(&str) -> Option<String>, errors: &mut Diagnostics) {
    match &mut node.content {
        Content::List(items) => items.iter_mut().for_each(|item| interpolate(item, variable, errors)),
        Content::Map(entries) => entries.iter_mut().for_each(|(_, value)| interpolate(value, variable, errors)),
        Content::Text(text) if text.contains("${") => *text = replaced(text, &node.place, variable, errors),
        _ => {}
    }
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
            return out;
        };
        rest = behind;
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(letters) {
            let hint = "use letters, digits and `_`, starting with a letter";
            refuse(format!("`{}` cannot name an environment variable", crate::decode::shorten(name)), hint);
        } else if let Some(value) = variable(name) {
            out.push_str(&value);
        } else {
            refuse(format!("the environment variable `{name}` is not set"), "set it, or write the value here");
        }
    }
    out.push_str(rest);
    out
}
