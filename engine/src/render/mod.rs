//! A plan becomes a dataflow: one `match`, one function per node, the same on every worker.

mod commit;
mod compute;
mod enrich;
mod project;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use freshet_operators::batch::KeyedBatch;
use freshet_operators::changes::changes;
use freshet_operators::project::SourceBatch;
use freshet_operators::slices::{CategoryStore, Layout, Tuning, ViewState, ViewStore};
use freshet_operators::windows::{Control, GroupView, Rows, windows};
use timely::container::NoopBuilder;
use timely::dataflow::operators::{Input, Probe};
use timely::dataflow::{InputHandle, ProbeHandle, Scope, Stream};
use timely::worker::Worker;

pub use commit::Sinks;
pub use enrich::DimensionInput;

use crate::plan::{Node, Pipeline, Plan};
use crate::progress::Tally;

/// Feeds one pipeline of a worker.
pub type EventInput = InputHandle<u64, NoopBuilder<SourceBatch>>;

/// What every worker's dataflow needs besides the plan.
#[derive(Clone)]
pub struct Surroundings {
    pub sinks: Arc<Sinks>,
    /// Counts per source of the definitions.
    pub tallies: Arc<Vec<Tally>>,
    pub tuning: Tuning,
    /// The instant before the first event, microseconds.
    pub start_us: i64,
}

/// One worker's ends of the dataflow.
pub struct Rendered {
    /// One per pipeline of the plan; `None` for those of changes, which nobody feeds.
    pub events: Vec<Option<EventInput>>,
    /// By dimension: every enrichment that follows it.
    pub dimensions: BTreeMap<usize, Vec<DimensionInput>>,
    pub probe: ProbeHandle<u64>,
    pub control: Rc<RefCell<Control>>,
}

/// Builds the dataflow of all pipelines. Nothing may be fed before this returns.
pub fn render(worker: &mut Worker, plan: &Arc<Plan>, surroundings: &Surroundings) -> Rendered {
    let control = Rc::new(RefCell::new(Control::default()));
    let probe = ProbeHandle::new();
    let mut events = Vec::new();
    let mut dimensions: BTreeMap<usize, Vec<DimensionInput>> = BTreeMap::new();
    worker.dataflow::<u64, _, _>(|scope| {
        // What pipelines of changes start from, by pipeline and group.
        let mut shared: Shared<'_> = BTreeMap::new();
        for (index, pipeline) in plan.pipelines.iter().enumerate() {
            let mut builder = Builder { plan, pipeline, surroundings, control: &control, probe: &probe, scope };
            let stream = match pipeline.nodes.first() {
                Some(Node::Changes { pipeline, group, input }) => {
                    events.push(None);
                    let Some(keyed) = shared.get(&(*pipeline, *group)) else { continue };
                    changes(keyed.clone(), (**input).clone(), control.clone())
                }
                _ => {
                    let mut input = InputHandle::new_with_builder();
                    let stream = scope.input_from(&mut input);
                    events.push(Some(input));
                    stream
                }
            };
            let keyed = builder.pipeline(stream, &mut dimensions, |group| plan.feeds_changes(index, group));
            shared.extend(keyed.into_iter().map(|(group, stream)| ((index, group), stream)));
        }
    });
    Rendered { events, dimensions, probe, control }
}

type Shared<'s> = BTreeMap<(usize, usize), Stream<'s, u64, KeyedBatch>>;

struct Builder<'a, 's> {
    plan: &'a Arc<Plan>,
    pipeline: &'a Pipeline,
    surroundings: &'a Surroundings,
    control: &'a Rc<RefCell<Control>>,
    probe: &'a ProbeHandle<u64>,
    scope: Scope<'s, u64>,
}

impl<'s> Builder<'_, 's> {
    /// Returns the keyed events of the groups that are `wanted`.
    fn pipeline(
        &mut self,
        read: Stream<'s, u64, SourceBatch>,
        dimensions: &mut BTreeMap<usize, Vec<DimensionInput>>,
        wanted: impl Fn(usize) -> bool,
    ) -> BTreeMap<usize, Stream<'s, u64, KeyedBatch>> {
        let mut kept = BTreeMap::new();
        let mut events = Some(read);
        let mut keyed: Vec<Option<Stream<'s, u64, KeyedBatch>>> = Vec::new();
        let mut rows: BTreeMap<usize, Stream<'s, u64, Rows>> = BTreeMap::new();
        let mut enriched = 0;
        for node in &self.pipeline.nodes {
            match node {
                Node::Read | Node::Changes { .. } => {}
                Node::Enrich { enrich } => {
                    let (stream, input) = self.enrich(events.take(), *enrich, enriched);
                    enriched += 1;
                    events = stream;
                    let dimension = self.source().enrich[*enrich].dimension;
                    dimensions.entry(dimension).or_default().extend(input);
                }
                Node::Compute { columns } => {
                    events = events.take().map(|stream| compute::compute(stream, columns.clone()));
                }
                Node::Project => {
                    if let Some(stream) = events.take() {
                        keyed = self.project(stream).into_iter().map(Some).collect();
                    }
                }
                Node::Windows { group } => {
                    if let Some(stream) = keyed.get_mut(*group).and_then(Option::take) {
                        if wanted(*group) {
                            kept.insert(*group, stream.clone());
                        }
                        rows.insert(*group, self.windows(stream, *group));
                    }
                }
                Node::Commit { group } => {
                    if let Some(stream) = rows.remove(group) {
                        let sinks = self.surroundings.sinks.clone();
                        commit::commit(stream, sinks, self.control.clone()).probe_with(self.probe);
                    }
                }
            }
        }
        kept
    }

    fn source(&self) -> &freshet_config::definitions::Source {
        &self.plan.definitions.sources[self.pipeline.source]
    }

    fn enrich(
        &self,
        events: Option<Stream<'s, u64, SourceBatch>>,
        enrich: usize,
        before: usize,
    ) -> (Option<Stream<'s, u64, SourceBatch>>, Option<DimensionInput>) {
        let Some(events) = events else { return (None, None) };
        // Columns known at this step: the source's, and those of the enrichments before.
        let known =
            self.source().schema.len() + self.source().enrich[..before].iter().map(|e| e.columns.len()).sum::<usize>();
        let step = enrich::Step::new(&self.plan.definitions, self.pipeline, enrich, known);
        // The first join of a chain lets events go when no window can see them; the others follow its retractions.
        let reach_us = (before == 0).then(|| self.pipeline.memory.micros());
        let (stream, input) = enrich::render(self.scope, events, step, reach_us, self.control.clone());
        (Some(stream), Some(input))
    }

    fn project(&self, events: Stream<'s, u64, SourceBatch>) -> Vec<Stream<'s, u64, KeyedBatch>> {
        let groups: Vec<_> = self.pipeline.groups.iter().map(|g| g.projection.clone()).collect();
        let tallies = self.surroundings.tallies.clone();
        project::project(events, groups, tallies, self.pipeline.source, self.pipeline.is_read())
    }

    fn windows(&self, events: Stream<'s, u64, KeyedBatch>, group: usize) -> Stream<'s, u64, Rows> {
        let group = &self.pipeline.groups[group];
        let heap_keys = group.projection.heap_key();
        let views = group.views.iter().enumerate().map(|(bit, member)| {
            let plan = &self.plan.views[member.view];
            let Surroundings { tuning, start_us, .. } = *self.surroundings;
            let (columns, bit) = (member.columns.clone(), bit as u32);
            let store: ViewState = match &plan.categories {
                Some(categories) => {
                    let keys = group.projection.keys.iter().map(|(_, data_type)| *data_type).collect();
                    CategoryStore::new(plan, categories.clone(), tuning, columns, bit, keys, start_us).into()
                }
                None => {
                    let layout = Layout::new((**plan).clone());
                    ViewStore::new(layout, tuning, columns, bit, heap_keys, start_us).leasing_whole_windows().into()
                }
            };
            // Changes that no window can reach at the end of their epoch are not derived.
            let store = if self.pipeline.is_read() { store } else { store.of_withheld() };
            GroupView { view: member.view, store }
        });
        windows(events, group.projection.shape(), views.collect(), self.control.clone())
    }
}
