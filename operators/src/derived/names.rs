//! What the names in a derived feature's SQL mean.

use std::sync::Arc;

use arrow::datatypes::DataType as Arrow;
use freshet_config::arrays::feature_arrow_type;
use freshet_config::definitions::{Definitions, Derived, Realtime, RequestField, Sql, arrow_type};
use freshet_config::diagnostic::{Diagnostic, suggestion};
use freshet_config::resolve::{Unchecked, UncheckedView};
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
    /// Something that is refused elsewhere, or may be.
    Lost,
}

/// A view as derived features see it, whatever it is split into.
pub(super) struct KnownView<'a> {
    pub name: &'a str,
    pub features: Vec<KnownFeature<'a>>,
    /// Whether it has no other features.
    pub complete: bool,
}

/// Its type is `None` where that is not known because of another error.
pub(super) struct KnownFeature<'a> {
    pub name: &'a str,
    pub named: Named,
    pub data_type: Option<Arrow>,
}

/// Views and realtime views.
pub(super) struct Known<'a> {
    pub views: Vec<KnownView<'a>>,
    pub realtime: &'a [Realtime],
    /// Whether there are no others, and none of what services declare is refused.
    pub complete: bool,
}

impl<'a> Known<'a> {
    /// All there are. `plans`: `None` for a view whose errors are already recorded.
    pub fn of(definitions: &'a Definitions, plans: &[Option<Arc<ViewPlan>>]) -> Known<'a> {
        let mut views: Vec<KnownView> = Vec::new();
        for (view, part) in definitions.views.iter().enumerate() {
            let plan = plans.get(view).and_then(Option::as_ref);
            let feature = |(feature, of): (usize, &'a freshet_config::definitions::Feature)| KnownFeature {
                name: &of.name,
                named: Named::Feature { view, feature },
                data_type: plan
                    .and_then(|plan| plan.features.get(feature))
                    .map(|planned| feature_arrow_type(&planned.data_type)),
            };
            let features = part.features.iter().enumerate().map(feature);
            match views.iter_mut().find(|known| known.name == part.served_as) {
                Some(known) => known.features.extend(features),
                None => views.push(KnownView { name: &part.served_as, features: features.collect(), complete: true }),
            }
        }
        Known { views, realtime: &definitions.realtime, complete: true }
    }

    /// What is left of definitions that are refused.
    pub fn of_refused(unchecked: &'a Unchecked) -> Known<'a> {
        let feature = |(name, data_type): &'a (String, Option<DataType>)| KnownFeature {
            name,
            named: Named::Lost,
            data_type: data_type.map(arrow_type),
        };
        let view = |view: &'a UncheckedView| KnownView {
            name: &view.name,
            features: view.features.iter().map(feature).collect(),
            complete: view.complete,
        };
        Known { views: unchecked.views.iter().map(view).collect(), realtime: &unchecked.realtime, complete: false }
    }
}

/// What an expression may name.
pub(super) struct Scope<'a> {
    pub known: &'a Known<'a>,
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
        let meant = match qualifier {
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
        };
        match meant {
            Err(_) if self.may_be_lost(qualifier) => Ok((Named::Lost, None)),
            meant => meant,
        }
    }

    /// Whether what is not found may be refused where it is declared.
    fn may_be_lost(&self, qualifier: &str) -> bool {
        let whole = match qualifier {
            "derived" => self.own.is_none(),
            _ => self.known.views.iter().any(|view| view.name == qualifier && view.complete),
        };
        !self.known.complete && !whole
    }

    fn feature(&self, view: &str, name: &str) -> Result<(Named, Option<Arrow>), (String, String)> {
        let Known { views, realtime, .. } = self.known;
        if let Some(index) = realtime.iter().position(|realtime| realtime.name == view) {
            let features = &realtime[index].features;
            return match features.iter().position(|feature| feature.name == name) {
                Some(feature) => {
                    let data_type = arrow_type(features[feature].data_type);
                    Ok((Named::Realtime { realtime: index, feature }, Some(data_type)))
                }
                None => {
                    let hint = suggestion(name, features.iter().map(|feature| feature.name.as_str()));
                    Err((format!("unknown feature `{name}` of realtime view `{view}`"), hint))
                }
            };
        }
        match views.iter().find(|known| known.name == view) {
            Some(known) => match known.features.iter().find(|feature| feature.name == name) {
                Some(feature) => Ok((feature.named.clone(), feature.data_type.clone())),
                None => {
                    let names = known.features.iter().map(|feature| feature.name);
                    Err((format!("unknown feature `{name}` of view `{view}`"), suggestion(name, names)))
                }
            },
            None => {
                let mut names: Vec<&str> = views.iter().map(|view| view.name).collect();
                names.extend(realtime.iter().map(|realtime| realtime.name.as_str()));
                names.push("request");
                names.extend(self.own.map(|_| "derived"));
                Err((format!("unknown view `{view}` in `{view}.{name}`"), suggestion(view, names)))
            }
        }
    }

    /// How a name without qualifier was probably meant.
    fn qualified(&self, name: &str) -> String {
        if self.request.iter().any(|field| field.name == name) {
            return format!("did you mean `request.{name}`?");
        }
        if self.own.is_some_and(|own| own.iter().any(|derived| derived.name == name)) {
            return format!("did you mean `derived.{name}`?");
        }
        let has = |view: &&KnownView| view.features.iter().any(|feature| feature.name == name);
        match self.known.views.iter().find(has) {
            Some(view) => format!("did you mean `{}.{name}`?", view.name),
            None => format!("write `request.FIELD`, `VIEW.FEATURE` or `{INSTANT}`"),
        }
    }
}
