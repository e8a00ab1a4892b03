//! A service compiled for reading: which rows to fetch for a request, and which features to take from them.

use std::sync::Arc;

use freshet_config::definitions::{Column, Definitions, PlanId, Service};
use freshet_config::value::FeatureType;

use crate::view::ViewPlan;

/// Everything a request to one service needs, resolved once.
#[derive(Clone, Debug)]
pub struct ServicePlan {
    pub name: String,
    pub plan_id: PlanId,
    /// Distinct join keys of all views, in order of first use.
    pub join_keys: Vec<Column>,
    pub views: Vec<ViewLookup>,
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

#[derive(Clone, Debug)]
pub struct ServedFeature {
    /// `{view}.{feature}`, the view by its user's name.
    pub name: String,
    /// Index into [`ServicePlan::views`].
    pub view: usize,
    /// Index into the view plan's features.
    pub feature: usize,
    pub data_type: FeatureType,
    pub description: Option<String>,
    pub tags: Vec<(String, String)>,
}

impl ServicePlan {
    /// `plans` holds one plan per view of the definitions, in their order.
    pub fn compile(definitions: &Definitions, plans: &[Arc<ViewPlan>], service: &Service) -> ServicePlan {
        let mut compiled = ServicePlan {
            name: service.name.clone(),
            plan_id: definitions.plan_id(),
            join_keys: Vec::new(),
            views: Vec::new(),
            features: Vec::new(),
        };
        for feature in &service.features {
            let view = &definitions.views[feature.view];
            let plan = &plans[feature.view];
            let slot = match compiled.views.iter().position(|v| v.view == feature.view) {
                Some(slot) => slot,
                None => {
                    let keys = &definitions.entities[view.entity].keys;
                    let key = keys.iter().map(|column| compiled.join_key(column)).collect();
                    compiled.views.push(ViewLookup { view: feature.view, plan: plan.clone(), key });
                    compiled.views.len() - 1
                }
            };
            let taken = &plan.features[feature.feature];
            compiled.features.push(ServedFeature {
                name: format!("{}.{}", view.served_as, taken.name),
                view: slot,
                feature: feature.feature,
                data_type: taken.data_type.clone(),
                description: view.description.clone(),
                tags: view.tags.clone(),
            });
        }
        compiled
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
