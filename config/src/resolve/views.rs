//! Views: what they read, their keys, their mode, and the features that come out.

use crate::decode::{At, Parts, called, shorten};
use crate::definitions::{GroupShape, View};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::raw::RawView;
use crate::resolve::aggregates::{Outcome, Setting, aggregates};
use crate::resolve::attributes::attributes;
use crate::resolve::categories::category;
use crate::resolve::modes::{lateness, mode};
use crate::resolve::names::{Section, refuse_reserved};
use crate::resolve::sources::SourceShape;
use crate::resolve::spans::{of, positive_span, read_sql, read_start};
use crate::resolve::tables::{Columns, list};
use crate::resolve::windows::Frame;
use crate::value::DataType;

/// A view as services see it.
pub struct ViewShape {
    pub name: String,
    /// The keys of its entity.
    pub keys: Columns,
    /// In the order written.
    pub features: Vec<FeatureShape>,
    /// False when a feature may be missing because of an error that is already recorded.
    pub complete: bool,
}

/// A feature as services see it.
pub struct FeatureShape {
    pub name: String,
    /// Index into the definitions' views, which are more than the user's where some are split.
    pub view: usize,
    pub feature: usize,
    /// `None`: changes do not carry it. Otherwise the type of its values, which is not known before SQL is compiled where
    /// an expression is aggregated.
    pub carried: Option<Option<DataType>>,
}

impl ViewShape {
    /// A view that is not resolved: nothing is known of its features.
    pub fn unknown(name: &str) -> ViewShape {
        ViewShape { name: name.to_string(), keys: Columns::default(), features: Vec::new(), complete: false }
    }
}

/// Resolves a view of the user's into one or more; its features count their views from the first of them. `None`: an
/// error was recorded.
pub fn view(
    raw: RawView,
    sources: &Section<SourceShape>,
    entities: &Section<Columns>,
    errors: &mut Diagnostics,
) -> (ViewShape, Option<Vec<View>>) {
    let owner = called("view", &raw.name);
    refuse_reserved(&owner, &raw.name, errors);
    let source = sources.find(&raw.source.value, &raw.source.place, &owner, errors);
    let entity = entities.find(&raw.entity.value, &raw.entity.place, &owner, errors);
    let (source_index, source) = source.unzip();
    let (entity_index, entity) = entity.unzip();
    let key_columns = entity.and_then(|entity| key_columns(&owner, &raw, entity, source, errors));
    let filter = raw.filter.as_ref().map(|sql| read_sql(&format!("`where` of {owner}"), sql, errors));
    let mode = mode(&owner, raw.mode.as_ref(), errors);
    if let (Some(mode), Some(written), Some(source)) = (mode, &raw.mode, source) {
        lateness(&owner, mode, source, written, errors);
    }
    let frame = Frame { mode, has_lifetime_start: raw.lifetime_start.is_some() };
    let columns = source.map(|source| &source.columns);
    let keys = key_columns.as_deref().unwrap_or_default();
    let outcome = match (&raw.aggregates, &raw.attributes) {
        (Some(written), None) => {
            no_ttl(&owner, &raw, errors);
            let key = raw.secondary_key.as_ref().map(|key| {
                let user = format!("the secondary key of {owner}");
                category(&user, key, GroupShape::Aligned, keys, columns, errors)
            });
            let setting = Setting { owner: &owner, columns, frame, keys, secondary_key: key };
            aggregates(&setting, written, errors)
        }
        (None, Some(written)) => attributes(&owner, &raw, written, entity, columns, frame, errors),
        (None, None) if raw.strange => Outcome::default(),
        (aggregates, _) => {
            let place = aggregates.as_ref().map_or(&raw.name.place, |written: &Parts<_>| &written.place);
            let message = format!("{owner} needs exactly one of `aggregates` and `attributes`");
            let hint = match aggregates {
                Some(_) => "put one of the two into a view of its own",
                None => "add `aggregates`, or `attributes` for the newest values of columns",
            };
            errors.push(Diagnostic::new(place, "DEF-ARG", message).hint(hint));
            Outcome::default()
        }
    };
    let ttl = raw
        .serving_ttl
        .as_ref()
        .map(|written| positive_span(("the serving_ttl", &of(&owner)), "DEF-ARG", written, errors));
    if let Some(written) = &raw.serving_ttl
        && outcome.parts.iter().any(|part| part.group.is_some())
    {
        let message = format!("{owner} has values by category, and serving_ttl is for views without");
        let hint = "leave serving_ttl out, or move the aggregates with `by` to a view of their own";
        errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint(hint));
    }
    let mut start = |field: &str, written: &Option<At<_>>| {
        written.as_ref().and_then(|written| read_start(&format!("the {field} of {owner}"), written, errors))
    };
    let feature_start = start("feature_start", &raw.feature_start);
    let lifetime_start = start("lifetime_start", &raw.lifetime_start);

    let features = outcome.features.into_iter().map(|f| {
        let carried = outcome.parts.get(f.part).and_then(|part| part.carried(f.feature, columns));
        FeatureShape { name: f.name, view: f.part, feature: f.feature, carried }
    });
    let shape = ViewShape {
        name: raw.name.value.clone(),
        keys: entity.cloned().unwrap_or_default(),
        features: features.collect(),
        complete: outcome.complete,
    };
    // What all parts have in common.
    let whole = || {
        Some(View {
            name: raw.name.value.clone(),
            served_as: raw.name.value,
            source: source_index?,
            entity: entity_index?,
            key_columns: key_columns?,
            filter: filter.flatten(),
            mode: mode?,
            group: None,
            attributes: raw.attributes.is_some(),
            aggregates: Vec::new(),
            features: Vec::new(),
            online: raw.online.unwrap_or(true),
            offline: raw.offline.unwrap_or(false),
            serving_ttl: ttl.flatten(),
            // For attributes it is a matter of events, not of instants.
            feature_start: feature_start.filter(|_| raw.attributes.is_none()),
            lifetime_start: if raw.attributes.is_some() { feature_start } else { lifetime_start },
            owner: raw.owner.map(|text| text.0),
            description: raw.description.map(|text| text.0),
            tags: raw.tags.into_iter().flat_map(|tags| tags.entries).map(|(k, v)| (k.value, v.0)).collect(),
            place: raw.name.place,
        })
    };
    let parts = outcome.parts;
    let views = whole().map(|whole| {
        let part = |part: crate::resolve::aggregates::Part| View {
            name: match &part.group {
                Some(group) if group.shape == GroupShape::Map => format!("{}@{}", whole.name, group.name),
                _ => whole.name.clone(),
            },
            group: part.group,
            aggregates: part.aggregates,
            features: part.features,
            ..whole.clone()
        };
        parts.into_iter().map(part).collect()
    });
    (shape, views)
}

fn no_ttl(owner: &str, raw: &RawView, errors: &mut Diagnostics) {
    let Some(ttl) = &raw.ttl else { return };
    let message = format!("{owner} has aggregates, and `ttl` is for attributes");
    let hint = "remove it; windows say how long an event counts, and serving_ttl how long a value is served";
    errors.push(Diagnostic::new(&ttl.place, "DEF-ARG", message).hint(hint));
}

/// Per key of the entity, in its order, the event's column. Every pair must have one type.
fn key_columns(
    owner: &str,
    raw: &RawView,
    entity: &Columns,
    source: Option<&SourceShape>,
    errors: &mut Diagnostics,
) -> Option<Vec<String>> {
    let entity_name = shorten(&raw.entity.value);
    let written = raw.keys.as_ref().map_or(&[][..], |keys| &keys.entries);
    let unknown = |key: &At<String>| entity.complete && entity.position(&key.value).is_none();
    for (key, _) in written.iter().filter(|(key, _)| unknown(key)) {
        let names = entity.columns.iter().map(|column| column.name.as_str());
        let message =
            format!("`{}` in the keys of {owner} is not a key of entity `{entity_name}`", shorten(&key.value));
        errors.push(Diagnostic::new(&key.place, "DEF-COL", message).hint(suggestion(&key.value, names)));
    }
    let mut columns = Vec::new();
    for key in &entity.columns {
        let mapped = written.iter().find(|(name, _)| name.value == key.name).map(|(_, column)| column);
        let same = At { value: key.name.clone(), place: raw.entity.place.clone() };
        let column = mapped.unwrap_or(&same);
        columns.push(column.value.clone());
        let Some(source) = source else { continue };
        let Some(index) = source.columns.position(&column.value) else {
            if source.columns.complete {
                missing_key(owner, &key.name, column, mapped.is_some(), source, errors);
            }
            continue;
        };
        let found = source.columns.columns.get(index).and_then(|column| column.data_type);
        if let (Some(theirs), Some(ours)) = (found, key.data_type)
            && theirs != ours
        {
            let message = format!(
                "the join key `{}` of {owner} is {theirs} in source `{}`, but {ours} in entity `{entity_name}`",
                column.value, source.name
            );
            errors.push(Diagnostic::new(&column.place, "DEF-TYPE", message).hint("declare both with one type"));
        }
    }
    Some(columns)
}

fn missing_key(
    owner: &str,
    key: &str,
    column: &At<String>,
    mapped: bool,
    source: &SourceShape,
    errors: &mut Diagnostics,
) {
    let message = format!(
        "source `{}` has no column `{}` for the join key `{key}` of {owner}",
        source.name,
        shorten(&column.value)
    );
    let names = list(source.columns.columns.iter().map(|c| c.name.as_str()));
    let hint = match mapped {
        true => format!("the columns are {names}"),
        false => format!("add `keys: {{{key}: COLUMN}}` to the view; the columns are {names}"),
    };
    errors.push(Diagnostic::new(&column.place, "DEF-COL", message).hint(hint));
}
