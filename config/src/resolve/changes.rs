//! Sources that are the changes of a view: their columns are the view's keys and features.

use crate::decode::{called, shorten};
use crate::definitions::{BEFORE, CHANGED_AT, ChangesOf, Source};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::raw::RawChanges;
use crate::resolve::limits::MAX_COLUMNS;
use crate::resolve::names::{Once, Section};
use crate::resolve::sources::{SourceShape, computed};
use crate::resolve::spans::{bounded_span, of};
use crate::resolve::tables::{Columns, KnownColumn};
use crate::resolve::views::ViewShape;
use crate::time::Span;
use crate::value::DataType;

/// Resolves a source of changes. The view it names counts from the first part of the user's view; whoever knows where
/// that stands adds its place.
pub fn source(raw: RawChanges, views: &Section<ViewShape>, errors: &mut Diagnostics) -> (SourceShape, Option<Source>) {
    let owner = called("source", &raw.name);
    let written = &raw.changes_of;
    let view = views.find(&written.value, &written.place, &owner, errors).map(|(_, view)| view);
    let mut event = Columns { columns: Vec::new(), complete: view.is_some_and(|view| view.complete) };
    let mut once = Once::of("column", &owner);
    let view_name = shorten(&written.value);
    let mut add = |event: &mut Columns, name: &str, data_type, errors: &mut Diagnostics| {
        if event.position(name).is_some() {
            let message = format!("{owner}: the changes of view `{view_name}` would have two columns `{name}`");
            let hint = "rename the aggregate, the attribute or the key";
            errors.push(Diagnostic::new(&written.place, "DEF-DUP", message).hint(hint));
            return;
        }
        once.insert(name, &written.place, errors);
        event.columns.push(KnownColumn { name: name.to_string(), data_type });
    };
    add(&mut event, CHANGED_AT, Some(DataType::Timestamp), errors);
    for key in view.iter().flat_map(|view| &view.keys.columns) {
        add(&mut event, &key.name, key.data_type, errors);
    }
    let schema = event.clone();
    let single = || view.iter().flat_map(|view| &view.features).filter_map(|f| Some((f, f.carried?)));
    for (feature, data_type) in single() {
        add(&mut event, &feature.name, data_type, errors);
    }
    for (feature, data_type) in single() {
        add(&mut event, &format!("{}{BEFORE}", feature.name), data_type, errors);
    }
    if let Some(view) = view.filter(|view| view.complete && single().next().is_none()) {
        let message =
            format!("{owner} is the changes of view `{}`, none of whose features changes can carry", view.name);
        let hint = "changes carry single values, and no decayed sums: add an aggregate that gives one";
        errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint(hint));
    }
    if event.columns.len() > MAX_COLUMNS {
        let message = format!(
            "{owner} has {} columns, two per feature of the view, more than the {MAX_COLUMNS} allowed",
            event.columns.len()
        );
        errors.push(Diagnostic::new(&written.place, "DEF-SIZE", message).hint("split the view in two"));
    }
    let lateness = match &raw.lateness {
        Some(written) => bounded_span(("the lateness", &of(&owner)), "DEF-LATE", written, errors),
        None => Some(Span::ZERO),
    };
    let read = event.columns.len();
    let select = computed(&owner, raw.select.as_ref(), &mut event, &mut once, errors);
    let changes_of = view.map(|view| ChangesOf {
        view: single().next().map_or(0, |(feature, _)| feature.view),
        features: single().map(|(feature, _)| feature.feature).collect(),
        left_out: view.features.iter().filter(|f| f.carried.is_none()).map(|f| f.name.clone()).collect(),
    });
    let source = || {
        Some(Source {
            name: raw.name.value.clone(),
            stream: None,
            history: None,
            changes_of: Some(changes_of?),
            schema: schema.typed()?,
            event_time: 0,
            dedup_key: None,
            tie_breaker: None,
            lateness: lateness?,
            changelog: None,
            explode: None,
            enrich: Vec::new(),
            select: select.clone(),
            place: raw.name.place.clone(),
        })
    };
    let source = source();
    // Nothing is late that the engine itself derives.
    (SourceShape { name: raw.name.value, columns: event, read, select, lateness: None }, source)
}
