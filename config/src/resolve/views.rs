//! Views: what they read, their keys, their mode, and the features that come out.

use crate::decode::{At, shorten};
use crate::definitions::{Feature, Mode, View};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::raw::{RawMode, RawView};
use crate::resolve::aggregates::{ViewColumns, aggregates};
use crate::resolve::names::Section;
use crate::resolve::sources::SourceShape;
use crate::resolve::spans::{of, positive_span, read_instant, read_sql};
use crate::resolve::tables::{Columns, list};
use crate::time::Span;

/// A view as services see it.
pub struct ViewShape {
    pub name: String,
    pub features: Vec<Feature>,
    /// False when a feature may be missing because of an error that is already recorded.
    pub complete: bool,
}

/// Resolves a view.
pub fn view(
    raw: RawView,
    sources: &Section<SourceShape>,
    entities: &Section<Columns>,
    errors: &mut Diagnostics,
) -> (ViewShape, Option<View>) {
    let owner = format!("view `{}`", shorten(&raw.name.value));
    let source = sources.find(&raw.source.value, &raw.source.place, &owner, errors);
    let entity = entities.find(&raw.entity.value, &raw.entity.place, &owner, errors);
    let (source_index, source) = source.unzip();
    let (entity_index, entity) = entity.unzip();
    let key_columns = entity.and_then(|entity| key_columns(&owner, &raw, entity, source, errors));
    let filter = raw.filter.as_ref().map(|sql| read_sql(&format!("`where` of {owner}"), sql, errors));
    let mode = mode(&owner, raw.mode.as_ref(), errors);
    if let (Some(Mode::Interval(step)), Some(written), Some(source)) = (mode, &raw.mode, source) {
        lateness(&owner, step, source, written, errors);
    }
    let columns = ViewColumns { source: source.map(|source| &source.columns) };
    let outcome = aggregates(&owner, &raw.aggregates, mode, &columns, errors);
    let ttl = raw
        .serving_ttl
        .as_ref()
        .map(|written| positive_span(("the serving_ttl", &of(&owner)), "DEF-ARG", written, errors));
    let start = raw
        .feature_start
        .as_ref()
        .map(|written| read_instant(&format!("the feature_start of {owner}"), written, errors));

    let shape =
        ViewShape { name: raw.name.value.clone(), features: outcome.features.clone(), complete: outcome.complete };
    let view = || {
        Some(View {
            served_as: raw.name.value.clone(),
            name: raw.name.value,
            source: source_index?,
            entity: entity_index?,
            key_columns: key_columns?,
            filter: filter.flatten(),
            mode: mode?,
            group: None,
            attributes: false,
            aggregates: outcome.aggregates,
            features: outcome.features,
            online: raw.online.unwrap_or(true),
            offline: raw.offline.unwrap_or(false),
            serving_ttl: ttl.flatten(),
            feature_start: start.flatten(),
            lifetime_start: None,
            owner: raw.owner.map(|text| text.0),
            description: raw.description.map(|text| text.0),
            tags: raw.tags.into_iter().flat_map(|tags| tags.entries).map(|(k, v)| (k.value, v.0)).collect(),
            place: raw.name.place,
        })
    };
    (shape, view())
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
    for (key, _) in written.iter().filter(|(key, _)| entity.position(&key.value).is_none()) {
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

fn mode(owner: &str, written: Option<&At<RawMode>>, errors: &mut Diagnostics) -> Option<Mode> {
    let Some(written) = written else { return Some(Mode::Continuous) };
    let word = match &written.value {
        RawMode::Interval(step) => {
            return positive_span(("the interval", &of(owner)), "DEF-WINDOW", step, errors).map(Mode::Interval);
        }
        RawMode::Word(word) if word == "continuous" => return Some(Mode::Continuous),
        RawMode::Word(word) => word,
    };
    let verdict = if matches!(word.as_str(), "batch" | "sawtooth") { "is not supported yet" } else { "is unknown" };
    let message = format!("the mode `{}` of {owner} {verdict}", shorten(word));
    errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint("write `continuous` or `{interval: 5m}`"));
    None
}

/// An event is late once its slice may be closed: a lateness shorter than a step would drop events at random.
fn lateness(owner: &str, step: Span, source: &SourceShape, written: &At<RawMode>, errors: &mut Diagnostics) {
    let Some(lateness) = source.lateness.filter(|lateness| *lateness < step) else { return };
    let message =
        format!("the interval {step} of {owner} is longer than the lateness {lateness} of source `{}`", source.name);
    let hint = format!("raise the source's lateness to at least {step}, or write a shorter interval");
    errors.push(Diagnostic::new(&written.place, "DEF-LATE", message).hint(hint));
}
