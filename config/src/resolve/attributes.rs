//! Attributes: columns whose newest values are features, one whole row winning.

use crate::decode::{At, Parts, shorten};
use crate::definitions::{Aggregate, Feature, Function, Window};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::raw::RawView;
use crate::resolve::aggregates::{NamedFeature, Outcome, Part};
use crate::resolve::limits::MAX_AGGREGATES;
use crate::resolve::names::Once;
use crate::resolve::spans::column_sql;
use crate::resolve::tables::Columns;
use crate::resolve::windows::{Frame, bounded_window};
use crate::time::Span;

/// Resolves the attributes of a view whose entity has the keys `keys`: one `latest` per column, all over one window.
pub fn attributes(
    owner: &str,
    raw: &RawView,
    written: &Parts<At<String>>,
    keys: Option<&Columns>,
    columns: Option<&Columns>,
    frame: Frame,
    errors: &mut Diagnostics,
) -> Outcome {
    not_for_attributes(owner, raw, errors);
    let count = written.items.len();
    if count == 0 && !written.broken {
        let message = format!("{owner} has no attributes");
        errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint("name columns, such as [country, plan]"));
    }
    if count > MAX_AGGREGATES {
        let message = format!("{owner} has {count} attributes, more than the {MAX_AGGREGATES} allowed");
        errors.push(Diagnostic::new(&written.place, "DEF-SIZE", message).hint("split it into several views"));
    }
    let size = match &raw.ttl {
        Some(ttl) => bounded_window(&format!("{owner}: the ttl"), ttl, frame, errors),
        None => Some(Span::UNBOUNDED),
    };
    let window = Window { size: size.unwrap_or(Span::UNBOUNDED), offset: Span::ZERO };
    let mut once = Once::of("attribute", owner);
    let mut part = Part::default();
    let mut outcome =
        Outcome { complete: !written.broken && (1..=MAX_AGGREGATES).contains(&count), ..Outcome::default() };
    for name in written.items.iter().take(MAX_AGGREGATES) {
        if !once.insert(&name.value, &name.place, errors) {
            continue;
        }
        if keys.is_some_and(|keys| keys.position(&name.value).is_some()) {
            let message = format!("the attribute `{}` of {owner} is a join key of its entity", shorten(&name.value));
            errors.push(Diagnostic::new(&name.place, "DEF-ARG", message).hint("remove it: who asks knows the key"));
        }
        if let Some(columns) = columns {
            columns.find(name, &format!("the attributes of {owner}"), errors);
        }
        let index = part.aggregates.len();
        outcome.features.push(NamedFeature { name: name.value.clone(), part: 0, feature: index });
        part.features.push(Feature { name: name.value.clone(), aggregate: index, window: 0, series: None });
        part.aggregates.push(Aggregate {
            name: name.value.clone(),
            function: Function::Latest,
            of: Some(column_sql(name)),
            order: None,
            filter: None,
            windows: vec![window],
            place: name.place.clone(),
        });
    }
    outcome.parts.push(part);
    outcome
}

/// Fields of views with aggregates.
fn not_for_attributes(owner: &str, raw: &RawView, errors: &mut Diagnostics) {
    let secondary = raw.secondary_key.as_ref().map(|key| ("secondary_key", &key.place, "remove it"));
    let hint = "write feature_start: events before it do not count for attributes";
    let lifetime = raw.lifetime_start.as_ref().map(|start| ("lifetime_start", &start.place, hint));
    for (field, place, hint) in secondary.into_iter().chain(lifetime) {
        let message = format!("{owner} has attributes, and `{field}` is for aggregates");
        errors.push(Diagnostic::new(place, "DEF-ARG", message).hint(hint));
    }
}
