//! A service compiled for reading: which rows to fetch for a request, which features to take from them, and what to
//! derive.

use std::sync::Arc;

use freshet_config::definitions::{Column, Definitions, PlanId, RequestField, Service};
use freshet_config::value::FeatureType;

use crate::derived::DerivedStep;
use crate::row::Reason;
use crate::view::ViewPlan;

/// Everything a request to one service needs, resolved once.
#[derive(Clone, Debug)]
pub struct ServicePlan {
    pub name: String,
    pub plan_id: PlanId,
    /// Distinct join keys of all views, in order of first use.
    pub join_keys: Vec<Column>,
    /// What a request brings besides its keys: the service's own fields, then those of its realtime views.
    pub request: Vec<Column>,
    /// Views that are served or that something is derived from.
    pub views: Vec<ViewLookup>,
    /// Features that something is derived from.
    pub inputs: Vec<ViewFeature>,
    /// In an order in which each can be computed.
    pub derived: Vec<DerivedStep>,
    pub features: Vec<ServedFeature>,
}

/// One store read.
#[derive(Clone, Debug)]
pub struct ViewLookup {
    /// Index of the view in the definitions; the store's address of it.
    pub view: usize,
    pub plan: Arc<ViewPlan>,
    /// Which join keys make the key, in the entity's order: indices into [`ServicePlan::join_keys`].
    pub key: Vec<usize>,
}

/// A feature of a view that a service reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewFeature {
    /// Index into [`ServicePlan::views`].
    pub view: usize,
    /// Index into the view plan's features.
    pub feature: usize,
}

#[derive(Clone, Debug)]
pub struct ServedFeature {
    /// `{view}.{feature}`, the view by its user's name; `derived.{feature}` for the service's own.
    pub name: String,
    pub value: ServedValue,
    pub data_type: FeatureType,
    pub description: Option<String>,
    pub tags: Vec<(String, String)>,
}

/// Where a served value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedValue {
    View(ViewFeature),
    /// Index into [`ServicePlan::derived`].
    Derived(usize),
}

impl ServicePlan {
    /// A plan that serves nothing yet.
    pub(crate) fn new(definitions: &Definitions, service: &Service) -> ServicePlan {
        ServicePlan {
            name: service.name.clone(),
            plan_id: definitions.plan_id(),
            join_keys: Vec::new(),
            request: Vec::new(),
            views: Vec::new(),
            inputs: Vec::new(),
            derived: Vec::new(),
            features: Vec::new(),
        }
    }

    /// The type of a feature of one of its views.
    pub fn feature_type(&self, feature: ViewFeature) -> Option<&FeatureType> {
        Some(&self.views.get(feature.view)?.plan.features.get(feature.feature)?.data_type)
    }

    /// The distinct features of views that are served or that something is derived from, those served first.
    pub fn reads(&self) -> Vec<ViewFeature> {
        let served = self.features.iter().filter_map(|feature| match feature.value {
            ServedValue::View(place) => Some(place),
            ServedValue::Derived(_) => None,
        });
        let mut reads = Vec::new();
        for place in served.chain(self.inputs.iter().copied()) {
            if !reads.contains(&place) {
                reads.push(place);
            }
        }
        reads
    }

    /// Why a value of the service is an error, in words.
    pub fn explain(&self, reason: Reason) -> String {
        let Reason::Input { step, input } = reason else { return reason.to_string() };
        match self.derived.get(step as usize).and_then(|step| step.input_name(input as usize)) {
            Some(name) => format!("`{name}`, which it is computed from, is an error"),
            None => reason.to_string(),
        }
    }

    /// The name of a feature that is served, or that something is derived from.
    pub fn name_of(&self, place: ViewFeature) -> Option<&str> {
        let served = self.features.iter().find(|feature| feature.value == ServedValue::View(place));
        served.map(|feature| feature.name.as_str()).or_else(|| {
            let input = self.inputs.iter().position(|known| *known == place)?;
            self.derived.iter().find_map(|step| step.feature_name(input))
        })
    }

    pub(crate) fn add_request_field(&mut self, field: &RequestField) {
        self.request.push(Column { name: field.name.clone(), data_type: field.data_type });
    }

    /// The place of a feature: its view is read from now on.
    pub(crate) fn view_feature(
        &mut self,
        definitions: &Definitions,
        view: usize,
        plan: &Arc<ViewPlan>,
        feature: usize,
    ) -> ViewFeature {
        if let Some(slot) = self.views.iter().position(|known| known.view == view) {
            return ViewFeature { view: slot, feature };
        }
        let keys = &definitions.entities[definitions.views[view].entity].keys;
        let key = keys.iter().map(|column| self.join_key(column)).collect();
        self.views.push(ViewLookup { view, plan: plan.clone(), key });
        ViewFeature { view: self.views.len() - 1, feature }
    }

    /// Serves a feature of view `view` of the definitions. `None` when the view's plan lacks it.
    pub(crate) fn serve_view(&mut self, definitions: &Definitions, view: usize, place: ViewFeature) -> Option<()> {
        let view = &definitions.views[view];
        let taken = self.views.get(place.view)?.plan.features.get(place.feature)?;
        let (name, data_type) = (format!("{}.{}", view.served_as, taken.name), taken.data_type.clone());
        self.serve(name, ServedValue::View(place), data_type, view.description.clone(), view.tags.clone());
        Some(())
    }

    pub(crate) fn serve(
        &mut self,
        name: String,
        value: ServedValue,
        data_type: FeatureType,
        description: Option<String>,
        tags: Vec<(String, String)>,
    ) {
        self.features.push(ServedFeature { name, value, data_type, description, tags });
    }

    /// The index among the inputs of a feature that something is derived from.
    pub(crate) fn input(
        &mut self,
        definitions: &Definitions,
        view: usize,
        plan: &Arc<ViewPlan>,
        feature: usize,
    ) -> usize {
        let place = self.view_feature(definitions, view, plan, feature);
        match self.inputs.iter().position(|known| *known == place) {
            Some(index) => index,
            None => {
                self.inputs.push(place);
                self.inputs.len() - 1
            }
        }
    }

    fn join_key(&mut self, column: &Column) -> usize {
        match self.join_keys.iter().position(|known| known.name == column.name) {
            Some(index) => index,
            None => {
                self.join_keys.push(column.clone());
                self.join_keys.len() - 1
            }
        }
    }
}
