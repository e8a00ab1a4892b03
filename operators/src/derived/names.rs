//! What the names in a derived feature's SQL mean.

use std::sync::Arc;

use arrow::datatypes::DataType as Arrow;
use freshet_config::arrays::feature_arrow_type;
use freshet_config::definitions::{Definitions, Derived, RequestField, Sql, arrow_type};
use freshet_config::diagnostic::{Diagnostic, suggestion};
use freshet_config::value::DataType;

use super::INSTANT;
use crate::sql::{Reference, place_within};
use crate::view::ViewPlan;

/// A thing that SQL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A request field.
    Request(String),
    /// Indices into the definitions' views and the view's features.
    Feature {
        view: usize,
        feature: usize,
    },
    Instant,
    /// Indices into the definitions' realtime views and the view's features.
    Realtime {
        realtime: usize,
        feature: usize,
    },
    /// Index into the service's own derived features.
    Own(usize),
}

/// What an expression may name.
pub(super) struct Scope<'a> {
    pub definitions: &'a Definitions,
    /// `None` for a view whose errors are already recorded.
    pub plans: &'a [Option<Arc<ViewPlan>>],
    pub request: Vec<&'a RequestField>,
    /// Derived features of the service; `None` in a realtime view, which belongs to none.
    pub own: Option<&'a [Derived]>,
}

impl Scope<'_> {
    /// What a name means and its type, which is `None` where it is not known because of another error. `what` names the
    /// expression in messages.
    pub fn meaning(&self, reference: &Reference, sql: &Sql, what: &str) -> Result<(Named, Option<Arrow>), Diagnostic> {
        let unknown = |message: String, hint: String| {
            let place = place_within(sql, reference.offset);
            Diagnostic::new(&place, "DEF-REF", format!("{what}: {message}")).hint(hint)
        };
        let Some((qualifier, name)) = reference.parts() else {
            if reference.name == INSTANT {
                return Ok((Named::Instant, Some(arrow_type(DataType::Timestamp))));
            }
            return Err(unknown(format!("unknown name `{}`", reference.name), self.qualified(&reference.name)));
        };
        match qualifier {
            "request" => match self.request.iter().find(|field| field.name == name) {
                Some(field) => Ok((Named::Request(field.name.clone()), Some(arrow_type(field.data_type)))),
                None if self.request.is_empty() => {
                    let hint = format!("declare it with its type, such as `request: {{{name}: float64}}`");
                    Err(unknown(format!("unknown request field `{name}`"), hint))
                }
                None => {
                    let names = self.request.iter().map(|field| field.name.as_str());
                    Err(unknown(format!("unknown request field `{name}`"), suggestion(name, names)))
                }
            },
            "derived" => {
                let Some(own) = self.own else {
                    let message = "a realtime view cannot use the derived features of a service".to_string();
                    return Err(unknown(message, "make it a feature of a realtime view".to_string()));
                };
                match own.iter().position(|derived| derived.name == name) {
                    Some(index) => Ok((Named::Own(index), Some(arrow_type(own[index].data_type)))),
                    None => {
                        let names = own.iter().map(|derived| derived.name.as_str());
                        Err(unknown(format!("unknown derived feature `{name}`"), suggestion(name, names)))
                    }
                }
            }
            _ => self.feature(qualifier, name).map_err(|(message, hint)| unknown(message, hint)),
        }
    }

    fn feature(&self, view: &str, name: &str) -> Result<(Named, Option<Arrow>), (String, String)> {
        if let Some(realtime) = self.definitions.realtime.iter().position(|realtime| realtime.name == view) {
            let features = &self.definitions.realtime[realtime].features;
            return match features.iter().position(|feature| feature.name == name) {
                Some(feature) => {
                    let data_type = arrow_type(features[feature].data_type);
                    Ok((Named::Realtime { realtime, feature }, Some(data_type)))
                }
                None => {
                    let hint = suggestion(name, features.iter().map(|feature| feature.name.as_str()));
                    Err((format!("unknown feature `{name}` of realtime view `{view}`"), hint))
                }
            };
        }
        // A view of the user's may be several here.
        let parts = || self.definitions.views.iter().enumerate().filter(|(_, part)| part.served_as == view);
        for (index, part) in parts() {
            if let Some(feature) = part.features.iter().position(|feature| feature.name == name) {
                let plan = self.plans.get(index).and_then(Option::as_ref);
                let data_type = plan.and_then(|plan| plan.features.get(feature));
                let data_type = data_type.map(|feature| feature_arrow_type(&feature.data_type));
                return Ok((Named::Feature { view: index, feature }, data_type));
            }
        }
        if parts().next().is_some() {
            let names: Vec<&str> =
                parts().flat_map(|(_, part)| &part.features).map(|feature| feature.name.as_str()).collect();
            return Err((format!("unknown feature `{name}` of view `{view}`"), suggestion(name, names)));
        }
        let mut known: Vec<&str> = self.definitions.views.iter().map(|view| view.served_as.as_str()).collect();
        known.extend(self.definitions.realtime.iter().map(|realtime| realtime.name.as_str()));
        known.push("request");
        known.extend(self.own.map(|_| "derived"));
        Err((format!("unknown view `{view}` in `{view}.{name}`"), suggestion(view, known)))
    }

    /// How a name without qualifier was probably meant.
    fn qualified(&self, name: &str) -> String {
        if self.request.iter().any(|field| field.name == name) {
            return format!("did you mean `request.{name}`?");
        }
        if self.own.is_some_and(|own| own.iter().any(|derived| derived.name == name)) {
            return format!("did you mean `derived.{name}`?");
        }
        let has = |view: &&freshet_config::definitions::View| view.features.iter().any(|f| f.name == name);
        match self.definitions.views.iter().find(has) {
            Some(view) => format!("did you mean `{}.{name}`?", view.served_as),
            None => format!("write `request.FIELD`, `VIEW.FEATURE` or `{INSTANT}`"),
        }
    }
}
