//! What a view's own work takes while another view does its own on the same thread.
//!
//! Several pairs of views go through the same epochs in turn, epoch by epoch, so that whatever slows the machine down slows
//! all of them down. Only the first view of each pair is timed; the second fills the caches with what is its own.

use std::hint::black_box;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use freshet_config::time::Epoch;
use freshet_engine::plan::{Group, Plan};
use freshet_operators::batch::KeyedBatch;
use freshet_operators::project::project;
use freshet_operators::slices::{Layout, RowSink, Tuning, ViewState, ViewStore};

use super::START_US;
use super::graph::{EPOCH_US, source_batch};

/// The two views of an entity, and how long the first has worked.
struct Pair<'a> {
    group: &'a Group,
    views: Vec<ViewState>,
    first_view: Duration,
}

impl<'a> Pair<'a> {
    fn new(plan: &'a Plan) -> Pair<'a> {
        let group = &plan.pipelines[0].groups[0];
        let views = group.views.iter().enumerate().map(|(bit, member)| {
            let layout = Layout::new((*plan.views[member.view]).clone());
            let heap_keys = group.projection.heap_key();
            let store =
                ViewStore::new(layout, Tuning::default(), member.columns.clone(), bit as u32, heap_keys, START_US);
            store.leasing_whole_windows().into()
        });
        Pair { group, views: views.collect(), first_view: Duration::ZERO }
    }

    fn epoch(&mut self, epoch: i64, batches: &[RecordBatch]) {
        let projected = |batch: &RecordBatch| {
            let projection = std::slice::from_ref(&self.group.projection);
            let (mut keyed, _) = project(projection, &source_batch(batch.clone(), 0)).expect("columns as planned");
            keyed.remove(0)
        };
        let keyed: Vec<KeyedBatch> = batches.iter().map(projected).collect();
        let instant = START_US + (epoch + 1) * EPOCH_US;
        for (v, view) in self.views.iter_mut().enumerate() {
            let begin = Instant::now();
            keyed.iter().for_each(|batch| view.apply(batch));
            let mut hand_on = |rows| drop(black_box(rows));
            view.close(instant, true, &mut RowSink::new(v, Epoch::from_micros(instant as u64), &mut hand_on));
            if v == 0 {
                self.first_view += begin.elapsed();
            }
        }
    }
}

/// Nanoseconds of the first view's work per event, for each plan of two views of one entity.
pub fn first_view_ns(plans: &[&Plan], batches: &[(i64, RecordBatch)]) -> Vec<f64> {
    let mut pairs: Vec<Pair> = plans.iter().map(|plan| Pair::new(plan)).collect();
    let mut events = 0;
    for of_epoch in batches.chunk_by(|(a, _), (b, _)| a == b) {
        let epoch = of_epoch[0].0;
        let batches: Vec<RecordBatch> = of_epoch.iter().map(|(_, batch)| batch.clone()).collect();
        events += batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        // None is always the one that finds the caches as another left them.
        let turn = epoch as usize % pairs.len();
        pairs.rotate_left(turn);
        pairs.iter_mut().for_each(|pair| pair.epoch(epoch, &batches));
        pairs.rotate_right(turn);
    }
    pairs.iter().map(|pair| pair.first_view.as_nanos() as f64 / events as f64).collect()
}
