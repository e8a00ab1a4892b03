//! Realtime views, and what services share with them: request fields and derived features.

use crate::decode::{At, Pairs, Parts, called, shorten};
use crate::definitions::{Derived, Realtime, RequestField};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::raw::{RawDerived, RawRealtime};
use crate::resolve::limits::{MAX_FEATURES, MAX_REQUEST_FIELDS};
use crate::resolve::names::{Once, Section, check_column, check_name, refuse_reserved};
use crate::resolve::spans::read_sql;
use crate::resolve::tables::read_type;
use crate::resolve::views::ViewShape;

/// A realtime view as services see it.
pub struct RealtimeShape {
    pub name: String,
    pub features: Vec<String>,
    /// False when a feature may be missing because of an error that is already recorded.
    pub complete: bool,
}

/// Resolves a realtime view.
pub fn realtime(
    raw: RawRealtime,
    views: &Section<ViewShape>,
    errors: &mut Diagnostics,
) -> (RealtimeShape, Option<Realtime>) {
    let owner = called("realtime view", &raw.name);
    refuse_reserved(&owner, &raw.name, errors);
    if views.knows(&raw.name.value) {
        let message = format!("{owner} has the name of a view");
        errors.push(Diagnostic::new(&raw.name.place, "DEF-DUP", message).hint("rename one of the two"));
    }
    if raw.features.items.is_empty() && !raw.features.broken {
        let message = format!("{owner} has no features");
        errors.push(Diagnostic::new(&raw.features.place, "DEF-ARG", message).hint("add `{name, type, sql}`"));
    }
    let names = raw.features.items.iter().map(|feature| feature.name.value.clone()).collect();
    let complete = !raw.features.broken && !raw.features.items.iter().any(|feature| feature.name.place.lost);
    let shape = RealtimeShape { name: raw.name.value.clone(), features: names, complete };
    let request = request_fields(&owner, raw.request.as_ref(), errors);
    let features = derived_features(&owner, "feature", Some(&raw.features), errors);
    let value = Realtime {
        name: raw.name.value,
        request,
        features,
        owner: raw.owner.map(|text| text.0),
        description: raw.description.map(|text| text.0),
        tags: raw.tags.into_iter().flat_map(|tags| tags.entries).map(|(k, v)| (k.value, v.0)).collect(),
        place: raw.name.place,
    };
    (shape, Some(value))
}

/// The request fields of a service or a realtime view, each with a known type.
pub fn request_fields(owner: &str, written: Option<&Pairs<At<String>>>, errors: &mut Diagnostics) -> Vec<RequestField> {
    let entries = written.map_or(&[][..], |fields| &fields.entries);
    if let (Some(fields), true) = (written, entries.len() > MAX_REQUEST_FIELDS) {
        let message =
            format!("{owner} has {} request fields, more than the {MAX_REQUEST_FIELDS} allowed", entries.len());
        let hint = "move fields, and what is derived from them, to another one";
        errors.push(Diagnostic::new(&fields.place, "DEF-SIZE", message).hint(hint));
    }
    let mut fields = Vec::new();
    for (name, data_type) in entries.iter().take(MAX_REQUEST_FIELDS) {
        check_column(&format!("a request field of {owner}"), name, errors);
        let what = format!("request field `{}` of {owner}", shorten(&name.value));
        if let Some(data_type) = read_type(&what, data_type, errors) {
            fields.push(RequestField { name: name.value.clone(), data_type, place: name.place.clone() });
        }
    }
    fields
}

/// Derived features with names of their own and known types; their SQL is compiled later.
pub fn derived_features(
    owner: &str,
    what: &str,
    written: Option<&Parts<RawDerived>>,
    errors: &mut Diagnostics,
) -> Vec<Derived> {
    let Some(written) = written else { return Vec::new() };
    if written.items.len() > MAX_FEATURES {
        let message = format!("{owner} has {} {what}s, more than the {MAX_FEATURES} allowed", written.items.len());
        errors.push(Diagnostic::new(&written.place, "DEF-SIZE", message).hint("split it in two"));
    }
    let mut once = Once::of(what, owner);
    let mut features = Vec::new();
    for raw in written.items.iter().take(MAX_FEATURES) {
        check_name(&format!("a {what} of {owner}"), &raw.name, errors);
        once.insert(&raw.name.value, &raw.name.place, errors);
        let subject = format!("{} of {owner}", called(what, &raw.name));
        let data_type = read_type(&subject, &raw.data_type, errors);
        let sql = read_sql(&format!("the sql of {subject}"), &raw.sql, errors);
        if let (Some(data_type), Some(sql)) = (data_type, sql) {
            features.push(Derived { name: raw.name.value.clone(), data_type, sql });
        }
    }
    features
}
