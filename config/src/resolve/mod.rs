//! Raw form -> [`Definitions`]: names are looked up, types and windows checked, all errors collected.
//!
//! A thing with an error of shape is checked like all others in what is sound of it (see `decode`), and its name stays
//! known, so that one mistake is one error.
//! Sections are ordered by name: which file a definition stands in changes neither indices nor the plan id.

mod aggregates;
mod attributes;
mod categories;
mod chains;
mod changelogs;
mod changes;
mod explode;
mod expressions;
pub(crate) mod functions;
mod limits;
mod modes;
mod names;
mod realtime;
mod secrets;
mod services;
mod sources;
mod spans;
mod tables;
mod views;
mod windows;

use std::sync::Arc;

use crate::decode::Shape;
use crate::definitions::Definitions;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::raw::RawDefinitions;
use crate::resolve::names::Section;
use crate::resolve::views::ViewShape;
use crate::yaml;

pub use expressions::{Expressions, Unchecked, UncheckedView, Written};
pub use limits::*;
pub(crate) use spans::read_span;

/// Why definitions are refused, and the SQL in them that nobody has looked at yet.
#[derive(Debug)]
pub struct Refused {
    pub errors: Diagnostics,
    pub expressions: Vec<Expressions>,
    pub derived: Unchecked,
}

/// Reads definitions from `(file name, text)` pairs. Pure; the names are used for places only.
pub fn parse(files: &[(String, String)]) -> Result<Definitions, Diagnostics> {
    inspect(files, Diagnostics::default()).map_err(|refused| refused.errors)
}

/// As [`parse`]; what is refused comes with the SQL that can still be checked. `unread`: the errors of files that could not
/// be read.
pub(crate) fn inspect(files: &[(String, String)], unread: Diagnostics) -> Result<Definitions, Refused> {
    let mut shape = Shape::new("DEF-YAML");
    let mut raw = RawDefinitions::default();
    let mut complete = unread.is_empty();
    for (name, text) in files {
        let name: Arc<str> = name.as_str().into();
        match yaml::read(&name, text, &mut shape.errors) {
            Ok(None) => {}
            Ok(Some(node)) => {
                secrets::scan(&node, &mut shape.errors);
                complete &= raw.extend(&node, &mut shape);
            }
            Err(diagnostic) => {
                complete = false;
                shape.errors.push(diagnostic);
            }
        }
    }
    let mut errors = shape.errors;
    errors.extend(unread);
    let (definitions, expressions, views) = resolve(raw, complete, &mut errors);
    if errors.is_empty() && is_empty(&definitions) {
        let place = Place::new(&files.first().map_or("", |(name, _)| name).into(), 0, 0);
        let message = "the files define nothing";
        errors.push(Diagnostic::new(&place, "DEF-YAML", message).hint("add a section, such as `sources:` or `views:`"));
    }
    match errors.into_result(()) {
        Ok(()) => Ok(definitions),
        Err(errors) => {
            let derived = Unchecked { views, realtime: definitions.realtime, services: definitions.services };
            Err(Refused { errors, expressions, derived })
        }
    }
}

/// `complete`: whether every name of every file was read; otherwise an unknown name may be in the part that was not.
fn resolve(
    raw: RawDefinitions,
    complete: bool,
    errors: &mut Diagnostics,
) -> (Definitions, Vec<Expressions>, Vec<UncheckedView>) {
    let dimensions = Section::collect("dimension", raw.dimensions, complete, errors);
    let sources = Section::collect("source", raw.sources, complete, errors);
    let entities = Section::collect("entity", raw.entities, complete, errors);
    let views = Section::collect("view", raw.views, complete, errors);
    let realtime = Section::collect("realtime view", raw.realtime, complete, errors);
    let services = Section::collect("service", raw.services, complete, errors);

    let (dimensions, dimension_values) = dimensions.resolve(|raw| tables::dimension(raw, errors));
    let (entities, entity_values) = entities.resolve(|raw| tables::entity(raw, errors));
    let chains::Chains { view_shapes: views, sources: source_values, views: view_values, expressions } =
        chains::resolve(sources, views, &dimensions, &entities, errors);
    let (realtime, realtime_values) = realtime.resolve(|raw| realtime::realtime(raw, &views, errors));
    let (_, service_values) = services.resolve(|raw| ((), services::service(raw, &views, &realtime, errors)));
    let definitions = Definitions {
        sources: source_values,
        dimensions: dimension_values,
        entities: entity_values,
        views: view_values,
        realtime: realtime_values,
        services: service_values,
    };
    (definitions, expressions, views.named(unchecked).collect())
}

fn unchecked(name: &str, view: Option<&ViewShape>) -> UncheckedView {
    let features = view.map_or(&[][..], |view| &view.features).iter();
    UncheckedView {
        name: name.to_string(),
        features: features.map(|feature| (feature.name.clone(), feature.carried.flatten())).collect(),
        complete: view.is_some_and(|view| view.complete),
    }
}

fn is_empty(definitions: &Definitions) -> bool {
    let Definitions { sources, dimensions, entities, views, realtime, services } = definitions;
    let computed = views.is_empty() && realtime.is_empty();
    sources.is_empty() && dimensions.is_empty() && entities.is_empty() && computed && services.is_empty()
}
