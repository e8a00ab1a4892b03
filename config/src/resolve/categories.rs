//! Categories: the columns that `by` and `secondary_key` tell values apart by.

use crate::decode::At;
use crate::definitions::{Group, GroupShape};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::resolve::spans::column_sql;
use crate::resolve::tables::Columns;

/// Resolves a category, which is a column: its name becomes part of other names. The view's own keys come from the columns
/// `keys`, of which it is none: it would have one value. `None`: an error was recorded, or the view's source is unsound.
pub fn category(
    user: &str,
    written: &At<String>,
    shape: GroupShape,
    keys: &[String],
    columns: Option<&Columns>,
    errors: &mut Diagnostics,
) -> Option<Group> {
    if keys.contains(&written.value) {
        let message = format!("{user} is `{}`, which is already a join key of the view's entity", written.value);
        let hint = "name a column that the entity's keys do not hold, or remove it";
        errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint(hint));
        return None;
    }
    let (_, column) = columns?.find(written, user, errors)?;
    if let Some(data_type) = column.data_type.filter(|t| !t.is_key()) {
        let message = format!("{user} is `{}`, a {data_type}, and a float cannot be a category", column.name);
        let hint = "use an integer, string, bool or timestamp column, or round it in the source's `select`";
        errors.push(Diagnostic::new(&written.place, "DEF-TYPE", message).hint(hint));
        return None;
    }
    Some(Group { column: column_sql(written), name: written.value.clone(), shape })
}
