//! Changelogs: what names a row of a table, and what tells an old change from a new one.

use crate::decode::{At, shorten};
use crate::definitions::{Changelog, ChangelogFormat};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::raw::RawChangelog;
use crate::resolve::limits::MAX_KEYS;
use crate::resolve::tables::Columns;
use crate::value::DataType;

/// Resolves the changelog of a source with the columns `schema`.
pub fn changelog(
    owner: &str,
    written: &At<RawChangelog>,
    schema: &Columns,
    errors: &mut Diagnostics,
) -> Option<Changelog> {
    let RawChangelog { key, format, version, .. } = &written.value;
    let format = match format {
        None => Some(ChangelogFormat::Upsert),
        Some(format) => match format.value.as_str() {
            "upsert" => Some(ChangelogFormat::Upsert),
            "debezium" => Some(ChangelogFormat::Debezium),
            other => {
                let message = format!("unknown format `{}` of the changelog of {owner}", shorten(other));
                let hint = suggestion(other, ["upsert", "debezium"]);
                errors.push(Diagnostic::new(&format.place, "DEF-ARG", message).hint(hint));
                None
            }
        },
    };
    let key = row_key(owner, written, &key.0, schema, errors);
    let version = version.as_ref().map(|name| {
        let (index, column) = schema.find(name, &format!("the version of the changelog of {owner}"), errors)?;
        let grows = |t: DataType| t.is_integer() || t == DataType::Timestamp;
        if let Some(data_type) = column.data_type.filter(|t| !grows(*t)) {
            let message = format!("the version `{}` of the changelog of {owner} is {data_type}", column.name);
            let hint = "name an integer or timestamp column that grows with every change of a row";
            errors.push(Diagnostic::new(&name.place, "DEF-TYPE", message).hint(hint));
        }
        Some(index)
    });
    let version = match version {
        None => None,
        Some(found) => Some(found?),
    };
    Some(Changelog { key: key?, format: format?, version })
}

fn row_key(
    owner: &str,
    written: &At<RawChangelog>,
    names: &[At<String>],
    schema: &Columns,
    errors: &mut Diagnostics,
) -> Option<Vec<usize>> {
    if names.is_empty() || names.len() > MAX_KEYS {
        let message =
            format!("the changelog of {owner} has {} key columns, and 1 to {MAX_KEYS} are allowed", names.len());
        errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint("name the columns that name a row"));
        return None;
    }
    let mut key = Vec::new();
    for name in names {
        let Some((index, column)) = schema.find(name, &format!("the key of the changelog of {owner}"), errors) else {
            continue;
        };
        if let Some(data_type) = column.data_type.filter(|t| !t.is_key()) {
            let message = format!(
                "the key `{}` of the changelog of {owner} is {data_type}, and a float cannot be a key",
                column.name
            );
            let hint = "use an integer, string, bool or timestamp";
            errors.push(Diagnostic::new(&name.place, "DEF-TYPE", message).hint(hint));
        }
        if key.contains(&index) {
            let message = format!("the key of the changelog of {owner} names `{}` twice", column.name);
            errors.push(Diagnostic::new(&name.place, "DEF-DUP", message).hint("name it once"));
        }
        key.push(index);
    }
    (key.len() == names.len()).then_some(key)
}
