//! The SQL of definitions that are refused: what can still be checked of it, so that all errors come at once.

use crate::decode::{At, Spelled, shorten};
use crate::definitions::{Column, Computed, Source, Sql};
use crate::diagnostic::Diagnostics;
use crate::raw::RawView;
use crate::resolve::sources::SourceShape;
use crate::resolve::spans::read_sql;

/// A source whose columns are known, and the SQL over them, whatever else is wrong where it stands.
#[derive(Clone, Debug)]
pub struct Expressions {
    /// Columns of the schema, then joined ones.
    pub columns: Vec<Column>,
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
}

/// The SQL of a view. What is wrong with its text is found where the view is resolved.
pub(super) fn of_view(raw: &RawView) -> Vec<Written> {
    let view = shorten(&raw.name.value);
    let mut written = Vec::new();
    let mut add = |sql: &Option<At<Spelled>>, what: &str, condition: bool| {
        let sql = sql.as_ref().and_then(|sql| read_sql("", sql, &mut Diagnostics::default()));
        written.extend(sql.map(|sql| Written { sql, what: format!("{what} view `{view}`"), condition }));
    };
    add(&raw.filter, "the filter of", true);
    for aggregate in raw.aggregates.iter().flat_map(|aggregates| &aggregates.items) {
        add(&aggregate.of, "the argument of an aggregate in", false);
        add(&aggregate.order, "the order of an aggregate in", false);
        add(&aggregate.filter, "the filter of an aggregate in", true);
    }
    written
}

/// `None` when a column is not known.
pub(super) fn of_source(shape: &SourceShape, source: &Source, over: Vec<Written>) -> Option<Expressions> {
    let known = &shape.columns;
    let before = known.columns.len().checked_sub(source.select.len()).filter(|_| known.complete)?;
    let column =
        |c: &crate::resolve::tables::KnownColumn| Some(Column { name: c.name.clone(), data_type: c.data_type? });
    let columns = known.columns[..before].iter().map(column).collect::<Option<_>>()?;
    Some(Expressions { columns, select: source.select.clone(), over })
}
