//! Pipelines whose events are the changes of a view: where they come from, and how long events must be kept for them.

use std::sync::Arc;

use arrow::datatypes::Field;
use freshet_config::definitions::{ChangesOf, Definitions, Mode, View};
use freshet_config::time::Span;
use freshet_operators::changes::{ChangesInput, ChangesPlan};
use freshet_operators::view::ViewPlan;

use super::{Node, Pipeline};

/// The node that gives the changes, and their columns. `None`: the view or its pipeline is unsound.
pub(super) fn node(
    definitions: &Definitions,
    changes: &ChangesOf,
    plans: &[Option<Arc<ViewPlan>>],
    pipelines: &[Pipeline],
) -> Option<(Node, Vec<Field>)> {
    let view = definitions.views.get(changes.view)?;
    let plan = plans.get(changes.view)?.clone()?;
    let pipeline = pipelines.iter().position(|pipeline| pipeline.source == view.source)?;
    let member = |group: &super::Group| group.views.iter().position(|member| member.view == changes.view);
    let (group, bit) =
        pipelines[pipeline].groups.iter().enumerate().find_map(|(index, group)| Some((index, member(group)?)))?;
    let keys = &definitions.entities[view.entity].keys;
    let plan = ChangesPlan::new(&plan, &changes.features, keys);
    let fields = plan.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    let from = &pipelines[pipeline].groups[group];
    let input = ChangesInput {
        plan: Arc::new(plan),
        shape: from.projection.shape(),
        columns: from.views[bit].columns.clone(),
        bit: bit as u32,
    };
    Some((Node::Changes { pipeline, group, input: Box::new(input) }, fields))
}

/// How far back from an instant a view may look.
pub(super) fn depth(view: &View) -> Span {
    // Its windows move with the beginning of a tile.
    let tile = if let Mode::Interval(tile) = view.mode { tile } else { Span::ZERO };
    sum(view.longest_window(), tile)
}

fn sum(a: Span, b: Span) -> Span {
    Span::from_micros(a.micros().saturating_add(b.micros())).min(Span::UNBOUNDED)
}

/// Tells each pipeline how long its events matter: to the changes of its views as long as these matter to theirs.
pub(super) fn remember(definitions: &Definitions, pipelines: &mut [Pipeline]) {
    for later in (0..pipelines.len()).rev() {
        let memory = pipelines[later].memory;
        let source = &definitions.sources[pipelines[later].source];
        let Some(Node::Changes { pipeline, input, .. }) = pipelines[later].nodes.first_mut() else { continue };
        let Some(changes) = &source.changes_of else { continue };
        Arc::make_mut(&mut input.plan).memory = memory;
        let earlier = *pipeline;
        let view = depth(&definitions.views[changes.view]);
        // A change is told from the instant before it.
        let needed = sum(sum(view, memory), Span::from_micros(1));
        let known = pipelines[earlier].memory;
        pipelines[earlier].memory = known.max(needed);
    }
}
