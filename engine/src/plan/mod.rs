//! Definitions compiled: a closed set of nodes, in the order data flows, that prints itself.
//!
//! Law: everything a worker does is in the plan. Rendering is one `match` over [`Node`]; two plans that print the same
//! text do the same work.

mod changes;
mod check;
mod compile;
mod print;

pub use check::errors_of;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use freshet_config::definitions::{Definitions, PlanId};
use freshet_config::time::Span;
use freshet_connectors::events::TimeBounds;
use freshet_operators::changes::ChangesInput;
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
    /// One per source of the definitions that some view reads; nodes refer to each other inside it. One of changes of a
    /// view comes after that of the view.
    pub pipelines: Vec<Pipeline>,
}

impl Plan {
    /// Whether changes are derived from what a group projects.
    pub fn feeds_changes(&self, of_pipeline: usize, of_group: usize) -> bool {
        self.pipelines.iter().any(|later| match later.nodes.first() {
            Some(Node::Changes { pipeline, group, .. }) => (*pipeline, *group) == (of_pipeline, of_group),
            _ => false,
        })
    }
}

/// One source's way from its reader to the stores.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Index into the definitions' sources.
    pub source: usize,
    /// How far back an event may lie when it comes: the longest window of any view, and the source's lateness.
    pub reach: Span,
    /// How far back an event may lie and still matter to views over changes; at least `reach`.
    pub memory: Span,
    /// The event's columns once enriched and computed.
    pub schema: SchemaRef,
    /// In the order of the data; each takes what the one before gives, [`Node::Windows`] and [`Node::Commit`] one per
    /// entity.
    pub nodes: Vec<Node>,
    /// What each [`Node::Windows`] reads, by entity.
    pub groups: Vec<Group>,
}

impl Pipeline {
    /// Whether events are read; otherwise they are the changes of a view.
    pub fn is_read(&self) -> bool {
        matches!(self.nodes.first(), Some(Node::Read))
    }

    /// How long after an event another one with its `dedup_key` is taken for the same. As far as decoding lets an event be
    /// ahead of its record, it may be ahead of the others.
    pub fn retention(&self) -> Span {
        Span::from_micros(self.memory.micros().saturating_add(TimeBounds::DEFAULT.future.micros()))
    }
}

/// One step of a pipeline.
#[derive(Clone, Debug)]
pub enum Node {
    /// Events as the reader decodes them.
    Read,
    /// Changes of a view, derived from what one group of an earlier pipeline projects.
    Changes { pipeline: usize, group: usize, input: Box<ChangesInput> },
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
