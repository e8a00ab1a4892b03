//! Rows into feature values: the one place where stored bytes are read.

use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_operators::lookup::ServicePlan;
use freshet_operators::row::{FeatureValue, Reader, Status};
use freshet_operators::view::ViewPlan;

use crate::answer::RowValues;
use crate::store::RowSink;

/// One thread's readers, by view. They hold buffers, and belong to one catalog.
pub struct Readers {
    by_view: Vec<Option<Reader>>,
}

/// The instant a request is about, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub at: EventTime,
    pub now: EventTime,
    /// That of [`ServingState`](crate::state::ServingState::complete_from).
    pub complete_from: EventTime,
}

impl Asked {
    /// Whether neither a row nor that there is none says what the view had at the instant.
    fn is_unanswered(self, view: &ViewPlan, found: bool) -> bool {
        (!found && self.at < self.complete_from) || view.is_unsettled(self.at, self.now)
    }
}

impl Readers {
    /// For a catalog of `views` views.
    pub fn new(views: usize) -> Readers {
        Readers { by_view: std::iter::repeat_with(|| None).take(views).collect() }
    }

    /// Reads all views of one request row into `out`. `slots` holds the row's read per view, `None` for a null key, which has
    /// no row.
    pub fn read(
        &mut self,
        service: &ServicePlan,
        slots: &[Option<usize>],
        rows: &RowSink,
        asked: Asked,
        out: &mut RowValues,
    ) {
        out.clear();
        for (position, view) in service.views.iter().enumerate() {
            let slot = slots.get(position).copied().flatten();
            let row = slot.and_then(|read| rows.get(read));
            out.views.push((out.values.len(), row.is_some()));
            let at = asked.at;
            if slot.is_some() && asked.is_unanswered(&view.plan, row.is_some()) && !view.plan.before_start(at) {
                let unknown = FeatureValue { value: Value::Null, status: Status::Stale };
                out.values.extend(view.plan.features.iter().map(|_| unknown.clone()));
                continue;
            }
            // Views are indices into the definitions the catalog was made of; a foreign one reads with a fresh reader.
            match self.by_view.get_mut(view.view) {
                Some(reader) => {
                    let reader = reader.get_or_insert_with(|| Reader::new(&view.plan));
                    reader.read(&view.plan, row, at, &mut out.values);
                }
                None => Reader::new(&view.plan).read(&view.plan, row, at, &mut out.values),
            }
        }
    }
}
