//! Services: lists of features, with whole views written out.

use std::collections::BTreeSet;

use crate::decode::{At, shorten};
use crate::definitions::{Service, ServiceFeature};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::raw::RawService;
use crate::resolve::limits::MAX_FEATURES;
use crate::resolve::names::{Once, Section};
use crate::resolve::views::{FeatureShape, ViewShape};

/// Resolves a service. A feature that two entries cover (a whole view and one of its features) is served once,
/// where it is named first.
pub fn service(raw: RawService, views: &Section<ViewShape>, errors: &mut Diagnostics) -> Option<Service> {
    let owner = format!("service `{}`", shorten(&raw.name.value));
    if raw.features.items.is_empty() && !raw.features.broken {
        let message = format!("{owner} has no features");
        errors.push(Diagnostic::new(&raw.features.place, "DEF-ARG", message).hint("list features, such as VIEW.*"));
    }
    let (mut once, mut seen) = (Once::of("entry", &owner), BTreeSet::new());
    let mut features = Vec::new();
    for entry in raw.features.items.iter().take(MAX_FEATURES) {
        if once.insert(&entry.value, &entry.place, errors) {
            let named = named_features(&owner, entry, views, errors);
            features.extend(named.into_iter().filter(|f| seen.insert((f.view, f.feature))));
        }
    }
    let count = features.len().max(raw.features.items.len());
    if count > MAX_FEATURES {
        let message = format!("{owner} has {count} features, more than the {MAX_FEATURES} allowed");
        errors.push(Diagnostic::new(&raw.features.place, "DEF-SIZE", message).hint("split it into several services"));
    }
    let description = raw.description.map(|text| text.0);
    Some(Service { name: raw.name.value, features, description, place: raw.name.place })
}

fn served(feature: &FeatureShape) -> ServiceFeature {
    ServiceFeature { view: feature.view, feature: feature.feature }
}

/// `view`, `view.*` or `view.feature`.
fn named_features(
    owner: &str,
    entry: &At<String>,
    views: &Section<ViewShape>,
    errors: &mut Diagnostics,
) -> Vec<ServiceFeature> {
    let (view, feature) = entry.value.split_once('.').unwrap_or((&entry.value, "*"));
    let Some((_, view)) = views.find(view, &entry.place, owner, errors) else { return Vec::new() };
    if feature == "*" {
        return view.features.iter().map(served).collect();
    }
    match view.features.iter().find(|f| f.name == feature) {
        Some(feature) => vec![served(feature)],
        None => {
            if view.complete {
                let message = format!("unknown feature `{}` of view `{}` in {owner}", shorten(feature), view.name);
                let hint = suggestion(feature, view.features.iter().map(|f| f.name.as_str()));
                errors.push(Diagnostic::new(&entry.place, "DEF-REF", message).hint(hint));
            }
            Vec::new()
        }
    }
}
