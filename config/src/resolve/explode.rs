//! The explode step: which column holds lists, and what an event calls its element.

use crate::decode::{At, shorten};
use crate::definitions::{Explode, FileFormat, Files};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::raw::{RawExplode, RawSource};
use crate::resolve::names::check_column;
use crate::resolve::tables::Columns;

/// The elements' type in place of `array<T>`, so that the schema can be read like any other.
pub fn unwrap_type(owner: &str, raw: &mut RawSource, errors: &mut Diagnostics) {
    let Some(explode) = &raw.explode else { return };
    if explode.value.column.place.lost {
        return lose_lists(raw);
    }
    let wanted = &explode.value.column.value;
    let Some((_, written)) = raw.schema.entries.iter_mut().find(|(name, _)| name.value == *wanted) else {
        // That name is refused later.
        return lose_lists(raw);
    };
    match written.value.strip_prefix("array<").and_then(|inner| inner.strip_suffix('>')) {
        Some(inner) if inner.trim().starts_with("array<") => {
            let message =
                format!("the exploded column `{wanted}` of {owner} is `{}`, lists of lists", shorten(&written.value));
            errors.push(
                Diagnostic::new(&written.place, "DEF-TYPE", message).hint("flatten the lists before they are sent"),
            );
            written.place.lost = true;
        }
        Some(inner) => written.value = inner.trim().to_string(),
        None => {
            let message =
                format!("the exploded column `{wanted}` of {owner} is `{}`, not a list", shorten(&written.value));
            let hint = format!("write `{wanted}: array<{}>`", shorten(&written.value));
            errors.push(Diagnostic::new(&written.place, "DEF-TYPE", message).hint(hint));
        }
    }
}

/// Which of the lists is exploded is not known.
fn lose_lists(raw: &mut RawSource) {
    let lists = raw.schema.entries.iter_mut().filter(|(_, of)| of.value.starts_with("array<"));
    lists.for_each(|(_, of)| of.place.lost = true);
}

/// Resolves the step; `event` gets the element's name in place of the column's.
pub fn explode(
    owner: &str,
    written: &At<RawExplode>,
    raw: &RawSource,
    schema: &Columns,
    event: &mut Columns,
    errors: &mut Diagnostics,
) -> Option<Explode> {
    let RawExplode { column, alias, .. } = &written.value;
    let (index, _) = schema.find(column, &format!("the explode step of {owner}"), errors)?;
    let name = alias.as_ref().unwrap_or(column);
    if alias.is_some() {
        check_column(&format!("an element of {owner}"), name, errors);
    }
    event.columns[index].name.clone_from(&name.value);
    let whole = [("event time", Some(&raw.event_time)), ("dedup key", raw.dedup_key.as_ref())];
    for (what, of) in whole.into_iter().chain([("tie breaker", raw.tie_breaker.as_ref())]) {
        if let Some(of) = of.filter(|of| of.value == column.value) {
            let message = format!("the {what} of {owner} is `{}`, which is exploded", column.value);
            errors.push(Diagnostic::new(&of.place, "DEF-ARG", message).hint("name a column that an event has once"));
        }
    }
    if let Some(changelog) = &raw.changelog {
        let message = format!("{owner} has a `changelog`, whose rows are events as they are, and an `explode` step");
        errors.push(Diagnostic::new(&changelog.place, "DEF-ARG", message).hint("remove one of the two"));
    }
    Some(Explode { column: index, name: name.value.clone() })
}

/// Text has no lists.
pub fn check_files(owner: &str, written: &At<RawExplode>, history: Option<&Files>, errors: &mut Diagnostics) {
    if history.is_some_and(|files| files.format == FileFormat::Csv) {
        let message = format!("{owner} explodes a column, and its history is CSV, which holds no lists");
        errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint("keep the history as Parquet or NDJSON"));
    }
}
