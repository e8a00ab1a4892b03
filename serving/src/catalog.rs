//! What is served under one plan: services by name, with everything an answer repeats already rendered.
//!
//! A catalog never changes; a new plan brings a new catalog, swapped whole. A request keeps the one it began with.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use freshet_config::definitions::{Column, Definitions, Function, PlanId};
use freshet_config::value::FeatureType;
use freshet_operators::lookup::{ServedFeature, ServedValue, ServicePlan, ViewFeature};

use crate::error::{ApiError, quote, suggestion};
use crate::json::{wire_feature_type, write_text};
use crate::request::Selection;

/// The services of one workspace under one plan.
#[derive(Debug)]
pub struct Catalog {
    workspace: String,
    plan_id: PlanId,
    services: Vec<ServedService>,
    by_name: HashMap<String, usize>,
    /// Sources that take records over HTTP.
    ingest_sources: Vec<String>,
    views: usize,
}

impl Catalog {
    /// `services` holds one plan per service of the definitions, in their order.
    pub fn new(workspace: impl Into<String>, definitions: &Definitions, services: &[Arc<ServicePlan>]) -> Catalog {
        let services: Vec<ServedService> = services.iter().map(|plan| ServedService::new(plan.clone())).collect();
        let by_name = services.iter().enumerate().map(|(index, service)| (service.plan.name.clone(), index)).collect();
        // What the engine's door takes: events, and changes of dimensions, wherever their stream is kept.
        let sources = definitions.sources.iter().filter(|source| source.stream.is_some()).map(|source| &source.name);
        let dimensions = definitions.dimensions.iter().filter(|d| d.changes.is_some()).map(|d| &d.name);
        Catalog {
            workspace: workspace.into(),
            plan_id: definitions.plan_id(),
            services,
            by_name,
            ingest_sources: sources.chain(dimensions).cloned().collect(),
            views: definitions.views.len(),
        }
    }

    pub fn workspace(&self) -> &str {
        &self.workspace
    }

    pub fn plan_id(&self) -> PlanId {
        self.plan_id
    }

    /// Services in the order of the definitions.
    pub fn services(&self) -> &[ServedService] {
        &self.services
    }

    /// Names of the sources that take records over HTTP.
    pub fn ingest_sources(&self) -> &[String] {
        &self.ingest_sources
    }

    /// Number of views of the definitions.
    pub fn view_count(&self) -> usize {
        self.views
    }

    /// The service asked for, or why there is none.
    pub fn find(&self, workspace: Option<&str>, service: Option<&str>) -> Result<&ServedService, ApiError> {
        self.check_workspace(workspace)?;
        let Some(name) = service else {
            let message = "the request names no feature service; send featureServiceName";
            return Err(ApiError::invalid(message).at("/params/featureServiceName".to_string()));
        };
        match self.by_name.get(name) {
            Some(index) => Ok(&self.services[*index]),
            None => {
                let hint = suggestion(name, self.services.iter().map(|service| service.plan.name.as_str()));
                Err(ApiError::not_found(format!("unknown feature service `{}`; {hint}", quote(name))))
            }
        }
    }

    /// One server serves one workspace; a request that names none means it.
    pub fn check_workspace(&self, workspace: Option<&str>) -> Result<(), ApiError> {
        match workspace {
            Some(name) if name != self.workspace => {
                let message = format!("unknown workspace `{}`; this server has `{}`", quote(name), self.workspace);
                Err(ApiError::not_found(message))
            }
            _ => Ok(()),
        }
    }

    /// Whether `source` takes records over HTTP, or why not.
    pub fn check_ingest_source(&self, source: &str) -> Result<(), ApiError> {
        if self.ingest_sources.iter().any(|name| name == source) {
            return Ok(());
        }
        let hint = suggestion(source, self.ingest_sources.iter().map(String::as_str));
        Err(ApiError::not_found(format!("no source `{}` takes records over HTTP; {hint}", quote(source))))
    }
}

/// A service with its rendered metadata.
#[derive(Debug)]
pub struct ServedService {
    pub plan: Arc<ServicePlan>,
    /// The name, shared with metrics.
    pub name: Arc<str>,
    /// Per feature, the view it is of, derived features and realtime views included: what stands before its name.
    pub views: Vec<Arc<str>>,
    /// Per feature, whether it counts: the count of a key without a row is null, not 0.
    pub counts: Vec<bool>,
    /// Per feature and set of static parts (see [`static_parts`]): those parts, without braces.
    fragments: Vec<[Box<[u8]>; STATIC_SETS]>,
    /// The whole answer of `metadata`.
    pub metadata: Arc<[u8]>,
}

const STATIC_SETS: usize = 16;

impl ServedService {
    pub fn new(plan: Arc<ServicePlan>) -> ServedService {
        let fragments = plan.features.iter().map(|f| std::array::from_fn(|set| render_parts(f, set))).collect();
        let counts = |f: &ServedFeature| match f.value {
            ServedValue::View(ViewFeature { view, feature }) => {
                let read = plan.views.get(view).and_then(|view| view.plan.features.get(feature));
                // Lists and maps of counts have their own emptiness.
                read.is_some_and(|f| f.function == Function::Count && matches!(f.data_type, FeatureType::Scalar(_)))
            }
            ServedValue::Derived(_) => false,
        };
        let view = |f: &ServedFeature| f.name.split_once('.').map_or("", |(view, _)| view).into();
        ServedService {
            views: plan.features.iter().map(view).collect(),
            counts: plan.features.iter().map(counts).collect(),
            name: plan.name.as_str().into(),
            metadata: render_metadata(&plan).into(),
            fragments,
            plan,
        }
    }

    /// The parts of a feature's metadata that never change, as asked for; empty when none was.
    pub fn fragment(&self, feature: usize, selection: Selection) -> &[u8] {
        self.fragments.get(feature).map_or(&[], |sets| &sets[static_parts(selection)])
    }
}

/// The index of a set of static parts: names, types, descriptions, tags, one bit each.
fn static_parts(selection: Selection) -> usize {
    usize::from(selection.names)
        | usize::from(selection.data_types) << 1
        | usize::from(selection.descriptions) << 2
        | usize::from(selection.tags) << 3
}

fn render_parts(feature: &ServedFeature, set: usize) -> Box<[u8]> {
    let mut out = Vec::new();
    let begin = |out: &mut Vec<u8>, name: &str| {
        if !out.is_empty() {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
    };
    if set & 1 != 0 {
        begin(&mut out, "name");
        write_text(&mut out, &feature.name);
    }
    if set & 2 != 0 {
        begin(&mut out, "dataType");
        out.extend_from_slice(wire_feature_type(&feature.data_type).to_string().as_bytes());
    }
    if let (true, Some(description)) = (set & 4 != 0, &feature.description) {
        begin(&mut out, "description");
        write_text(&mut out, description);
    }
    if set & 8 != 0 {
        begin(&mut out, "tags");
        out.push(b'{');
        for (index, (name, value)) in feature.tags.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(&mut out, name);
            out.push(b':');
            write_text(&mut out, value);
        }
        out.push(b'}');
    }
    out.into()
}

fn render_metadata(plan: &ServicePlan) -> Vec<u8> {
    let named = |name: &str, data_type: &FeatureType| {
        let wire = wire_feature_type(data_type);
        let word = wire["type"].clone();
        serde_json::json!({ "name": name, "dataType": wire, "type": word })
    };
    let columns = |columns: &[Column]| -> Vec<serde_json::Value> {
        columns.iter().map(|column| named(&column.name, &column.data_type.into())).collect()
    };
    let features = plan.features.iter().map(|feature| {
        let mut entry = named(&feature.name, &feature.data_type);
        if let Some(description) = &feature.description {
            entry["description"] = description.as_str().into();
        }
        if !feature.tags.is_empty() {
            let tags: serde_json::Map<String, serde_json::Value> =
                feature.tags.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            entry["tags"] = tags.into();
        }
        entry
    });
    let answer = serde_json::json!({
        "featureServiceType": "DEFAULT",
        "inputJoinKeys": columns(&plan.join_keys),
        "inputRequestContextKeys": columns(&plan.request),
        "outputJoinKeys": [],
        "featureValues": features.collect::<Vec<_>>(),
    });
    answer.to_string().into_bytes()
}

/// The current catalog, shared by all threads. Threads look at a counter per request and take the lock only after a swap.
#[derive(Debug)]
pub struct CatalogCell {
    generation: AtomicU64,
    current: RwLock<Arc<Catalog>>,
}

impl CatalogCell {
    pub fn new(catalog: Catalog) -> CatalogCell {
        CatalogCell { generation: AtomicU64::new(0), current: RwLock::new(Arc::new(catalog)) }
    }

    /// Changes with every swap.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub fn get(&self) -> Arc<Catalog> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests that begin after this call see the new catalog.
    pub fn swap(&self, catalog: Catalog) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
        self.generation.fetch_add(1, Ordering::Release);
    }
}
