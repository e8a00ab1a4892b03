//! Schemas and keys, and the two definitions that are little more: dimensions and entities.

use crate::decode::{At, Pairs, called, shorten};
use crate::definitions::{Column, Dimension, Entity};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, nearest, suggestion};
use crate::raw::{RawDimension, RawEntity};
use crate::resolve::limits::{MAX_COLUMNS, MAX_KEYS};
use crate::resolve::names::{Once, check_column, proposable};
use crate::resolve::sources::{files, stream};
use crate::value::DataType;

/// The columns something has, as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    pub columns: Vec<KnownColumn>,
    /// False when a column may be missing because of an error that is already recorded.
    pub complete: bool,
}

#[derive(Clone, Debug)]
pub struct KnownColumn {
    pub name: String,
    /// `None`: not known before SQL is compiled, or unsound.
    pub data_type: Option<DataType>,
}

impl Columns {
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The column of a name; an unknown one is an error that lists what there is.
    pub fn find(&self, name: &At<String>, user: &str, errors: &mut Diagnostics) -> Option<(usize, &KnownColumn)> {
        let found = self.position(&name.value).and_then(|index| Some((index, self.columns.get(index)?)));
        if found.is_none() && self.complete {
            let names = self.columns.iter().map(|column| column.name.as_str()).filter(proposable);
            let message = format!("no column `{}` for {user}", shorten(&name.value));
            let mut hint = format!("the columns are {}", list(names.clone()));
            if let Some(near) = nearest(&name.value, names) {
                hint = format!("did you mean `{near}`? {hint}");
            }
            errors.push(Diagnostic::new(&name.place, "DEF-COL", message).hint(hint));
        }
        found
    }

    /// The columns with their types; `None` while one is unsound.
    pub fn typed(&self) -> Option<Vec<Column>> {
        let typed = |c: &KnownColumn| c.data_type.map(|data_type| Column { name: c.name.clone(), data_type });
        self.columns.iter().map(typed).collect()
    }
}

/// Names for a message, at most 24 of them.
pub fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = names.filter(proposable).collect();
    match all.len() {
        0 => "none".to_string(),
        n if n > 24 => format!("{} and {} more", all[..24].join(", "), n - 24),
        _ => all.join(", "),
    }
}

/// Reads a map of columns and types.
pub fn columns(owner: &str, written: &Pairs<At<String>>, errors: &mut Diagnostics) -> Columns {
    if written.entries.is_empty() {
        let message = format!("{owner} has no columns");
        errors.push(
            Diagnostic::new(&written.place, "DEF-COL", message)
                .hint("write columns and types, such as `card_id: int64`"),
        );
    }
    if written.entries.len() > MAX_COLUMNS {
        let message = format!("{owner} has {} columns, more than the {MAX_COLUMNS} allowed", written.entries.len());
        let hint = "leave out columns that nothing names";
        errors.push(Diagnostic::new(&written.place, "DEF-SIZE", message).hint(hint));
    }
    let mut columns = Columns { columns: Vec::new(), complete: !written.entries.is_empty() };
    for (name, data_type) in &written.entries {
        check_column(&format!("a column of {owner}"), name, errors);
        let user = format!("column `{}` of {owner}", shorten(&name.value));
        let data_type = read_type(&user, data_type, errors);
        columns.columns.push(KnownColumn { name: name.value.clone(), data_type });
    }
    columns
}

/// Reads a type's name.
pub fn read_type(user: &str, written: &At<String>, errors: &mut Diagnostics) -> Option<DataType> {
    let found = DataType::ALL.into_iter().find(|data_type| data_type.name() == written.value);
    if found.is_none() {
        let message = format!("unknown type `{}` of {user}", shorten(&written.value));
        let hint = match elsewhere(&written.value.to_ascii_lowercase()) {
            _ if written.value.starts_with("array<") => {
                "only a source's column that is exploded holds lists: add `explode: {column: NAME}`".to_string()
            }
            Some(ours) => format!("write `{ours}`"),
            None => suggestion(&written.value, DataType::ALL.map(DataType::name)),
        };
        errors.push(Diagnostic::new(&written.place, "DEF-TYPE", message).hint(hint));
    }
    found
}

/// Our name for a type that other systems call otherwise.
fn elsewhere(name: &str) -> Option<DataType> {
    Some(match name {
        "int" | "integer" | "i32" => DataType::Int32,
        "long" | "bigint" | "i64" => DataType::Int64,
        "float" | "real" | "f32" => DataType::Float32,
        "double" | "f64" | "number" | "decimal" => DataType::Float64,
        "str" | "text" | "varchar" | "utf8" => DataType::String,
        "boolean" => DataType::Bool,
        "datetime" | "timestamptz" | "time" | "date" => DataType::Timestamp,
        _ => return None,
    })
}

/// The type, unless it cannot be a key's, which is recorded.
fn key_type(user: &str, data_type: DataType, place: &Place, errors: &mut Diagnostics) -> Option<DataType> {
    if !data_type.is_key() {
        let message = format!("{user} is {data_type}, and a float cannot be a key");
        errors.push(Diagnostic::new(place, "DEF-TYPE", message).hint("use an integer, string, bool or timestamp"));
    }
    data_type.is_key().then_some(data_type)
}

fn key_count(owner: &str, count: usize, place: &Place, errors: &mut Diagnostics) {
    if count == 0 || count > MAX_KEYS {
        let message = format!("{owner} has {count} keys, and 1 to {MAX_KEYS} are allowed");
        let hint = if count == 0 { "name one, such as `{card_id: int64}`" } else { "leave some out" };
        errors.push(Diagnostic::new(place, "DEF-ARG", message).hint(hint));
    }
}

/// Resolves an entity: its keys for later checks, and the definition.
pub fn entity(raw: RawEntity, errors: &mut Diagnostics) -> (Columns, Option<Entity>) {
    let owner = called("entity", &raw.name);
    key_count(&owner, raw.keys.entries.len(), &raw.keys.place, errors);
    let mut keys = Columns { columns: Vec::new(), complete: !raw.keys.place.lost };
    for (name, written) in raw.keys.entries.iter().take(MAX_KEYS) {
        check_column(&format!("a key of {owner}"), name, errors);
        let user = format!("key `{}` of {owner}", shorten(&name.value));
        let data_type = read_type(&user, written, errors).and_then(|t| key_type(&user, t, &written.place, errors));
        keys.columns.push(KnownColumn { name: name.value.clone(), data_type });
    }
    let entity = keys.typed().map(|keys| Entity { name: raw.name.value, keys });
    (keys, entity)
}

/// A dimension as joins see it.
pub struct DimensionShape {
    pub name: String,
    pub columns: Columns,
    /// Indices into `columns`; `None` while the key is unsound.
    pub key: Option<Vec<usize>>,
}

/// Resolves a dimension.
pub fn dimension(raw: RawDimension, errors: &mut Diagnostics) -> (DimensionShape, Option<Dimension>) {
    let owner = called("dimension", &raw.name);
    let columns = columns(&owner, &raw.schema, errors);
    let key = dimension_key(&owner, &raw, &columns, errors);
    if raw.table.is_none() && raw.changes.is_none() && !raw.strange {
        let message = format!("{owner} has neither `table` nor `changes`, so it would stay empty");
        errors.push(Diagnostic::new(&raw.name.place, "DEF-ARG", message).hint("add at least one of the two"));
    }
    let table = raw.table.as_ref().map(|written| files(&format!("the table of {owner}"), written, errors));
    let changes = raw.changes.as_ref().map(|written| stream(&format!("the changes of {owner}"), written, errors));
    let shape = DimensionShape { name: raw.name.value.clone(), columns, key };
    let dimension = || {
        Some(Dimension {
            name: raw.name.value,
            schema: shape.columns.typed()?,
            key: shape.key.clone()?,
            table: table.flatten(),
            changes: changes.flatten(),
            place: raw.name.place,
        })
    };
    let dimension = dimension();
    (shape, dimension)
}

fn dimension_key(owner: &str, raw: &RawDimension, columns: &Columns, errors: &mut Diagnostics) -> Option<Vec<usize>> {
    let written = &raw.key.0;
    let place = written.first().map_or(&raw.name.place, |first| &first.place);
    key_count(owner, written.len(), place, errors);
    let mut once = Once::of("key column", owner);
    let mut key = Vec::new();
    for name in written.iter().take(MAX_KEYS) {
        let user = format!("the key of {owner}");
        if !once.insert(&name.value, &name.place, errors) {
            continue;
        }
        if let Some((index, column)) = columns.find(name, &user, errors) {
            if let Some(data_type) = column.data_type {
                key_type(&format!("column `{}`, {user},", column.name), data_type, &name.place, errors);
            }
            key.push(index);
        }
    }
    (!key.is_empty() && key.len() == written.len()).then_some(key)
}
