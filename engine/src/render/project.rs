//! Projection as an operator: one input, one output per entity group, and the counts of what no view takes.

use std::sync::Arc;

use freshet_operators::batch::KeyedBatch;
use freshet_operators::project::{Projection, SourceBatch, project_in_parts};
use timely::container::NoopBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::progress::Tally;

/// Splits a source's events into the keyed batches of its groups. Only what was read (`counted`) is counted and put into
/// the ledger: changes of a view are no events that came from anywhere.
pub(super) fn project<'s>(
    events: Stream<'s, u64, SourceBatch>,
    groups: Vec<Projection>,
    tallies: Arc<Vec<Tally>>,
    source: usize,
    counted: bool,
) -> Vec<Stream<'s, u64, KeyedBatch>> {
    let mut builder = OperatorBuilder::new("Project".to_string(), events.scope());
    let mut input = builder.new_input(events, Pipeline);
    let mut outputs = Vec::new();
    let mut streams = Vec::new();
    for _ in &groups {
        let (output, stream) = builder.new_output::<KeyedBatch>();
        outputs.push(OutputBuilder::<_, NoopBuilder<KeyedBatch>>::from(output));
        streams.push(stream);
    }
    builder.build(move |_capabilities| {
        move |_frontiers| {
            let mut sessions: Vec<_> = outputs.iter_mut().map(OutputBuilder::activate).collect();
            input.for_each(|time, batch| {
                let projected = project_in_parts(&groups, std::mem::take(batch), &mut |batch, keyed, found| {
                    if counted {
                        tallies[source].projected(batch, &found);
                    }
                    for (output, mut keyed) in keyed.into_iter().enumerate() {
                        if !keyed.is_empty() {
                            let capability = time.delayed(time.time(), output);
                            sessions[output].session_with_builder(&capability).give_container(&mut keyed);
                        }
                    }
                });
                // The plan compiled the expressions for exactly these columns, and one event fits into a batch.
                projected.expect("columns as planned");
            });
        }
    });
    streams
}
