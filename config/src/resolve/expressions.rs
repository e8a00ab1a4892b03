//! The SQL of definitions that are refused: what can still be checked of it, so that all errors come at once.

use crate::decode::{At, Spelled, called};
use crate::definitions::{Column, Computed, Function, Realtime, Service, Sql};
use crate::diagnostic::Diagnostics;
use crate::raw::RawView;
use crate::resolve::functions::function;
use crate::resolve::sources::SourceShape;
use crate::resolve::spans::read_sql;
use crate::value::DataType;

/// Derived features of definitions that are refused, and what is known of what they may name.
#[derive(Clone, Debug, Default)]
pub struct Unchecked {
    pub views: Vec<UncheckedView>,
    pub realtime: Vec<Realtime>,
    pub services: Vec<Service>,
}

/// A view by its name.
#[derive(Clone, Debug)]
pub struct UncheckedView {
    pub name: String,
    /// Features by name, with their types where these are known and those of single values.
    pub features: Vec<(String, Option<DataType>)>,
    /// Whether it has no other features.
    pub complete: bool,
}

/// The SQL over the columns of one source, whatever else is wrong where it stands.
#[derive(Clone, Debug)]
pub struct Expressions {
    /// Columns of the schema, then joined ones.
    pub columns: Vec<Column>,
    /// Of these there are columns too, but nobody knows their types.
    pub untyped: Vec<String>,
    /// Whether there are no other columns than those.
    pub complete: bool,
    /// Computed columns, each over those before it.
    pub select: Vec<Computed>,
    pub over: Vec<Written>,
}

/// An expression over all columns of a source.
#[derive(Clone, Debug)]
pub struct Written {
    pub sql: Sql,
    /// What messages call it.
    pub what: String,
    /// Whether it is a condition.
    pub condition: bool,
    /// The aggregate whose input it is, as messages call it, and its function.
    pub input_of: Option<(String, Function)>,
}

/// The SQL of a view. What is wrong with its text is found where the view is resolved.
pub(super) fn of_view(raw: &RawView) -> Vec<Written> {
    let view = called("view", &raw.name);
    let mut written = Vec::new();
    let mut add = |sql: &Option<At<Spelled>>, what: &str, condition: bool, input_of: Option<(String, Function)>| {
        let sql = sql.as_ref().and_then(|sql| read_sql("", sql, &mut Diagnostics::default()));
        written.extend(sql.map(|sql| Written { sql, what: format!("{what} {view}"), condition, input_of }));
    };
    add(&raw.filter, "the filter of", true, None);
    for aggregate in raw.aggregates.iter().flat_map(|aggregates| &aggregates.items) {
        let user = format!("{} of {view}", called("aggregate", &aggregate.name));
        let function = function(&user, aggregate, &mut Diagnostics::default());
        let part = |part: &str| format!("the {part} of {} of", called("aggregate", &aggregate.name));
        add(&aggregate.of, &part("argument"), false, function.map(|function| (user, function)));
        add(&aggregate.order, &part("order"), false, None);
        add(&aggregate.filter, &part("filter"), true, None);
    }
    written
}

/// The SQL of a source and that over it.
pub(super) fn of_source(shape: &SourceShape, mut over: Vec<Written>) -> Expressions {
    let known = &shape.columns;
    // The type of a plain column is looked at where its view is resolved.
    let plain = |sql: &Sql| known.position(&sql.text).is_some_and(|index| known.columns[index].data_type.is_some());
    over.iter_mut().filter(|written| plain(&written.sql)).for_each(|written| written.input_of = None);
    let mut expressions = Expressions {
        columns: Vec::new(),
        untyped: Vec::new(),
        complete: known.complete,
        select: shape.select.clone(),
        over,
    };
    let (read, computed) = known.columns.split_at(shape.read.min(known.columns.len()));
    for column in read {
        let name = column.name.clone();
        match column.data_type {
            Some(data_type) => expressions.columns.push(Column { name, data_type }),
            None => expressions.untyped.push(name),
        }
    }
    // Computed columns whose expression is unsound are there all the same.
    let lost = computed.iter().filter(|column| !shape.select.iter().any(|computed| computed.name == column.name));
    expressions.untyped.extend(lost.map(|column| column.name.clone()));
    expressions
}

/// The SQL over a source of which nothing is known.
pub(super) fn over_nothing(over: Vec<Written>) -> Expressions {
    Expressions { columns: Vec::new(), untyped: Vec::new(), complete: false, select: Vec::new(), over }
}
