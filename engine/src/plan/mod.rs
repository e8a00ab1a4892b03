//! Definitions compiled: a closed set of nodes, in the order data flows, that prints itself.
//!
//! Law: everything a worker does is in the plan. Rendering is one `match` over [`Node`]; two plans that print the same
//! text do the same work.

mod compile;
mod print;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use freshet_config::definitions::{Definitions, PlanId};
use freshet_config::time::Span;
use freshet_operators::lookup::ServicePlan;
use freshet_operators::project::Projection;
use freshet_operators::sql::Expression;
use freshet_operators::view::{ColumnSource, ViewPlan};

/// What one process computes and serves.
#[derive(Clone, Debug)]
pub struct Plan {
    pub definitions: Arc<Definitions>,
    /// Relative paths of definitions count from here.
    pub directory: PathBuf,
    pub plan_id: PlanId,
    /// One per view of the definitions.
    pub views: Vec<Arc<ViewPlan>>,
    /// One per service of the definitions.
    pub services: Vec<Arc<ServicePlan>>,
    /// One per source of the definitions that some view reads; nodes refer to each other inside it.
    pub pipelines: Vec<Pipeline>,
}

/// One source's way from its reader to the stores.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Index into the definitions' sources.
    pub source: usize,
    /// How far back an event may lie when it comes: the longest window of any view, and the source's lateness.
    pub reach: Span,
    /// The event's columns once enriched and computed.
    pub schema: SchemaRef,
    /// In the order of the data; each takes what the one before gives, [`Node::Windows`] and [`Node::Commit`] one per
    /// entity.
    pub nodes: Vec<Node>,
    /// What each [`Node::Windows`] reads, by entity.
    pub groups: Vec<Group>,
}

/// One step of a pipeline.
#[derive(Clone, Debug)]
pub enum Node {
    /// Events as the reader decodes them.
    Read,
    /// Columns of a dimension's current row: index into the source's `enrich`.
    Enrich { enrich: usize },
    /// Columns computed by SQL.
    Compute { columns: Vec<(String, Expression)> },
    /// Filters, arguments of aggregates, keys: one keyed stream per group.
    Project,
    /// Exchange by key, windows of all views of a group.
    Windows { group: usize },
    /// Rows of a group to the online store, and to offline files where views ask for it.
    Commit { group: usize },
}

/// The views of one entity over one source.
#[derive(Clone, Debug)]
pub struct Group {
    /// Index into the definitions' entities.
    pub entity: usize,
    pub projection: Projection,
    /// The category's column or expression, where views are by category.
    pub category: Option<String>,
    /// Where each column of the projection comes from, as text.
    pub sources: Vec<ColumnSource>,
    pub views: Vec<GroupView>,
}

#[derive(Clone, Debug)]
pub struct GroupView {
    /// Index into the definitions' views.
    pub view: usize,
    /// For each column of the view's plan, the column of the group's batches.
    pub columns: Vec<usize>,
}
