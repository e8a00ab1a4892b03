//! What is written about functions, made of the list: the table of the reference page, and descriptions in the JSON Schema.

use std::fmt::Write;

use super::list::written;
use super::{Function, LIST, Parameter};
use crate::value::Value;

/// What a function's file says of itself on the reference page, beside its names, parameters and types.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    /// What it is called there; its names, when empty.
    pub title: &'static str,
    pub unit: &'static str,
    pub value: &'static str,
    /// What becomes of nulls.
    pub nulls: &'static str,
    /// Continues what it gives for nothing.
    pub empty: &'static str,
    /// How exact it is, or its error bound.
    pub exactness: &'static str,
    /// Where the formula comes from.
    pub source: &'static str,
}

impl Page {
    /// An exact function of the values that are not null, in their unit. What it gives is left to say.
    pub const EXACT: Page = Page {
        title: "",
        unit: "that of the values",
        value: "",
        nulls: "do not count",
        empty: "",
        exactness: "exact",
        source: "definition",
    };
}

impl Function {
    /// The table of the reference page: one row per function.
    pub fn reference_table() -> String {
        let mut table = "| function | parameters | takes | gives | unit | value | nulls | empty | exactness | source of the formula |\n\
                         |---|---|---|---|---|---|---|---|---|---|\n"
            .to_string();
        for entry in LIST {
            let page = &entry.page;
            let names = [entry.name].into_iter().chain(entry.aliases.iter().copied());
            let title = match page.title {
                "" => names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
                title => title.to_string(),
            };
            let parameters = match entry.parameters {
                [] => "none".to_string(),
                parameters => parameters.iter().map(|p| p.words()).collect::<Vec<_>>().join("; "),
            };
            let takes = entry.takes.words();
            let takes = if entry.needs_column { takes.to_string() } else { format!("{takes}, or nothing") };
            let empty = match &entry.empty {
                Value::List(_) | Value::Map(_) => format!("`{}`", entry.empty),
                value => value.to_string(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "| {title} | {parameters} | {takes} | {} | {} | {} | {} | {empty}{} | {} | {} |",
                entry.gives.words(),
                page.unit,
                page.value,
                page.nulls,
                page.empty,
                page.exactness,
                page.source,
            );
        }
        table
    }
}

/// Describes a field of aggregates in the JSON Schema: `fn`, or a parameter. `None` of others.
pub(crate) fn describe(field: &str) -> Option<String> {
    if field == "fn" {
        let mut names: Vec<String> = written().map(|entry| format!("`{}`", entry.name)).collect();
        names.dedup();
        let last = names.pop()?;
        return Some(format!("{} or {last}.", names.join(", ")));
    }
    // Functions that take it in one way share a sentence.
    let mut sentences: Vec<(String, Vec<String>)> = Vec::new();
    for entry in written() {
        for parameter in entry.parameters.iter().filter(|parameter| parameter.name == field) {
            let (described, name) = (parameter.described(), format!("`{}`", entry.name));
            match sentences.iter_mut().find(|(known, _)| *known == described) {
                Some((_, names)) => names.push(name),
                None => sentences.push((described, vec![name])),
            }
        }
    }
    let sentences = sentences.iter().map(|(what, names)| format!("{}: {what}.", names.join(", ")));
    let text = sentences.collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

/// Within what a field of aggregates lies for whichever function takes it, as keywords of the JSON Schema.
pub(crate) fn bounds(field: &str) -> Vec<(&'static str, serde_json::Value)> {
    let parameters = written().flat_map(|entry| entry.parameters).filter(|parameter| parameter.name == field);
    let Some((low, high, closed)) =
        parameters.filter_map(Parameter::range).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1), a.2 || b.2))
    else {
        return Vec::new();
    };
    match closed {
        true => vec![("type", "integer".into()), ("minimum", (low as i64).into()), ("maximum", (high as i64).into())],
        false => vec![("exclusiveMinimum", low.into()), ("exclusiveMaximum", high.into())],
    }
}
