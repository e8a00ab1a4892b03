//! Services: lists of features, with whole views written out, request fields and derived features.

use std::collections::BTreeSet;

use crate::decode::{At, called, shorten};
use crate::definitions::{Service, ServiceFeature};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::raw::RawService;
use crate::resolve::limits::MAX_FEATURES;
use crate::resolve::names::{Either, Once, Section};
use crate::resolve::realtime::{RealtimeShape, derived_features, request_fields};
use crate::resolve::views::ViewShape;

/// Resolves a service. A feature that two entries cover (a whole view and one of its features) is served once,
/// where it is named first.
pub fn service(
    raw: RawService,
    views: &Section<ViewShape>,
    realtime: &Section<RealtimeShape>,
    errors: &mut Diagnostics,
) -> Option<Service> {
    let owner = called("service", &raw.name);
    let derives = raw.derived.as_ref().is_some_and(|derived| derived.broken || !derived.items.is_empty());
    if raw.features.items.is_empty() && !raw.features.broken && !derives && !raw.strange {
        let message = format!("{owner} has no features");
        errors.push(Diagnostic::new(&raw.features.place, "DEF-ARG", message).hint("list features, such as VIEW.*"));
    }
    let (mut once, mut seen) = (Once::of("entry", &owner), BTreeSet::new());
    let mut features = Vec::new();
    for entry in raw.features.items.iter().take(MAX_FEATURES) {
        if once.insert(&entry.value, &entry.place, errors) {
            let named = named_features(&owner, entry, views, realtime, errors);
            features.extend(named.into_iter().filter(|feature| seen.insert(*feature)));
        }
    }
    let derived = derived_features(&owner, "derived feature", raw.derived.as_ref(), errors);
    let count = features.len().max(raw.features.items.len()) + derived.len();
    if count > MAX_FEATURES {
        let message = format!("{owner} has {count} features, more than the {MAX_FEATURES} allowed");
        errors.push(Diagnostic::new(&raw.features.place, "DEF-SIZE", message).hint("split it into several services"));
    }
    Some(Service {
        name: raw.name.value,
        features,
        request: request_fields(&owner, raw.request.as_ref(), errors),
        derived,
        description: raw.description.map(|text| text.0),
        place: raw.name.place,
    })
}

/// `view`, `view.*` or `view.feature`; the view may be a realtime one.
fn named_features(
    owner: &str,
    entry: &At<String>,
    views: &Section<ViewShape>,
    realtime: &Section<RealtimeShape>,
    errors: &mut Diagnostics,
) -> Vec<ServiceFeature> {
    let (name, feature) = entry.value.split_once('.').unwrap_or((&entry.value, "*"));
    match views.find_either(realtime, name, &entry.place, owner, errors) {
        None => Vec::new(),
        Some(Either::First(view)) => {
            let names: Vec<&str> = view.features.iter().map(|feature| feature.name.as_str()).collect();
            let found = matching(feature, &names, (owner, "view", &view.name), view.complete, entry, errors);
            let served = |index: usize| {
                let place = view.features.get(index)?;
                Some(ServiceFeature::View { view: place.view, feature: place.feature })
            };
            found.into_iter().filter_map(served).collect()
        }
        Some(Either::Second(index, view)) => {
            let names: Vec<&str> = view.features.iter().map(String::as_str).collect();
            let found = matching(feature, &names, (owner, "realtime view", &view.name), view.complete, entry, errors);
            found.into_iter().map(|feature| ServiceFeature::Realtime { realtime: index, feature }).collect()
        }
    }
}

/// Indices of the names that an entry covers. `complete`: whether all names of the view are known.
fn matching(
    feature: &str,
    names: &[&str],
    (owner, what, view): (&str, &str, &str),
    complete: bool,
    entry: &At<String>,
    errors: &mut Diagnostics,
) -> Vec<usize> {
    if feature == "*" {
        return (0..names.len()).collect();
    }
    let found = names.iter().position(|name| *name == feature);
    if found.is_none() && complete {
        let message = format!("unknown feature `{}` of {what} `{view}` in {owner}", shorten(feature));
        let hint = suggestion(feature, names.iter().copied());
        errors.push(Diagnostic::new(&entry.place, "DEF-REF", message).hint(hint));
    }
    found.into_iter().collect()
}
