//! Values of the views of one group: per key its events in order, per spine row a fold of those in the windows.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value, encode_key};
use freshet_operators::batch::heap_word;
use freshet_operators::lookup::{ServicePlan, ViewLookup};
use freshet_operators::row::{FeatureValue, Fold, Members};
use freshet_operators::slices::Layout;
use freshet_operators::view::{Category, CategoryPlan, ViewPlan, key_prefix};

use super::categories;
use super::columns::FeatureColumn;
use super::error::DatasetError;
use super::retained::{EventPlace, Retained};
use super::spine::Spine;
use crate::plan::{Group, Pipeline, Plan};

/// What a service asks of one group: views, keys and instants.
pub(super) struct Request<'p> {
    pub group: &'p Group,
    views: Vec<RequestView>,
    /// Encoded key to its number.
    pub slots: HashMap<Vec<u8>, usize>,
    /// Per key, its spine rows in the order of their instants.
    pub rows: Vec<Vec<usize>>,
    /// Event times that some window can hold at some instant of the spine, in microseconds.
    pub reach: Range<i64>,
}

struct RequestView {
    plan: Arc<ViewPlan>,
    /// Set when the view is by category.
    categories: Option<Arc<CategoryPlan>>,
    /// Which bit of an event says that it passes the view's filter.
    bit: usize,
    /// Per column of the view's plan, the column of the group.
    columns: Vec<usize>,
    /// Per feature taken: its number among [`ServicePlan::reads`], and in the view.
    features: Vec<(usize, usize)>,
    start: Option<EventTime>,
}

impl<'p> Request<'p> {
    /// One request per group of the pipeline that the service needs.
    pub fn of_pipeline(plan: &Plan, service: &ServicePlan, pipeline: &'p Pipeline, spine: &Spine) -> Vec<Request<'p>> {
        pipeline.groups.iter().filter_map(|group| Request::of_group(plan, service, group, spine)).collect()
    }

    fn of_group(plan: &Plan, service: &ServicePlan, group: &'p Group, spine: &Spine) -> Option<Request<'p>> {
        let mut views = Vec::new();
        let mut key: Option<&ViewLookup> = None;
        for (slot, lookup) in service.views.iter().enumerate() {
            let Some(bit) = group.views.iter().position(|view| view.view == lookup.view) else { continue };
            let reads = service.reads();
            let features = reads.iter().enumerate().filter(|(_, place)| place.view == slot);
            views.push(RequestView {
                plan: lookup.plan.clone(),
                categories: lookup.plan.categories.clone(),
                bit,
                columns: group.views[bit].columns.clone(),
                features: features.map(|(number, place)| (number, place.feature)).collect(),
                start: plan.definitions.views[lookup.view].feature_start,
            });
            // All views of a group have one entity, hence one key.
            key = Some(lookup);
        }
        let mut request =
            Request { group, views, slots: HashMap::new(), rows: Vec::new(), reach: EventTime::MAX.micros()..0 };
        request.reach = request.reach(spine);
        request.take_rows(key?, spine);
        Some(request)
    }

    /// The entity's part of an event's key, and the category that follows it where views are by category.
    pub fn split<'k>(&self, key: &'k [u8]) -> Option<(&'k [u8], Option<Category>)> {
        let Some(category) = &self.group.projection.category else { return Some((key, None)) };
        let types: Vec<DataType> = self.group.projection.keys.iter().map(|(_, data_type)| *data_type).collect();
        let (entity, rest) = key.split_at(key_prefix(&types, key)?);
        Some((entity, Some(Category::decode(category.data_type, rest)?)))
    }

    fn take_rows(&mut self, lookup: &ViewLookup, spine: &Spine) {
        for row in 0..spine.rows() {
            let key: Vec<Value> = lookup.key.iter().map(|join_key| spine.key(*join_key, row)).collect();
            let mut bytes = Vec::new();
            // No event has such a key, so all rows of it may stand together: its windows are empty.
            if encode_key(&key, &mut bytes).is_err() {
                bytes.clear();
            }
            let slot = *self.slots.entry(bytes).or_insert(self.rows.len());
            if slot == self.rows.len() {
                self.rows.push(Vec::new());
            }
            self.rows[slot].push(row);
        }
        for rows in &mut self.rows {
            rows.sort_by_key(|row| spine.times[*row]);
        }
    }

    fn reach(&self, spine: &Spine) -> Range<i64> {
        let (Some(first), Some(last)) = (spine.times.iter().min(), spine.times.iter().max()) else { return 0..0 };
        let lower = self.views.iter().map(|view| view.plan.reach(first.micros())).min();
        let upper = self
            .views
            .iter()
            .flat_map(|view| view.plan.windows.iter().map(|window| view.plan.upper(window.offset, last.micros())));
        // Categories are counted by the events known at an instant, whether a window sees them yet or not.
        let known = self.group.projection.category.as_ref().map(|_| last.micros().saturating_add(1));
        lower.unwrap_or(0)..upper.max().max(known).unwrap_or(0)
    }
}

/// Fills in the features of a request.
pub(super) fn evaluate(
    request: &Request,
    mut events: Retained,
    spine: &Spine,
    columns: &mut [FeatureColumn],
) -> Result<(), DatasetError> {
    let mut evaluators: Vec<Evaluator> = request.views.iter().map(Evaluator::new).collect();
    for (slot, rows) in request.rows.iter().enumerate() {
        let mut places = std::mem::take(&mut events.keys[slot]);
        places.sort_unstable();
        let split = categories::by_category(&places, &events);
        let key = categories::KeyAsked { categories: &split, events: &events, rows, spine };
        for evaluator in &mut evaluators {
            if let Some(plan) = &evaluator.view.categories {
                categories::evaluate(evaluator, plan, &key, columns)?;
                continue;
            }
            evaluator.load(&places, &events)?;
            for row in rows {
                evaluator.row(*row, spine.times[*row], columns);
            }
        }
    }
    Ok(())
}

/// One view over the events of one key; keeps its buffers from key to key.
pub(super) struct Evaluator<'r> {
    view: &'r RequestView,
    /// What is folded: the view's plan, or that of one category.
    plan: &'r ViewPlan,
    fold: Fold,
    layout: Layout,
    /// Events of the key that pass the view's filter, in order: times, null bits, words of the plan's columns.
    times: Vec<i64>,
    /// Order among equal times.
    positions: Vec<u64>,
    nulls: Vec<u64>,
    words: Vec<u64>,
    heap: Vec<u8>,
    /// Per window, the events in it.
    members: Vec<Range<usize>>,
    edges: Vec<usize>,
    values: Vec<FeatureValue>,
}

impl<'r> Evaluator<'r> {
    fn new(view: &'r RequestView) -> Evaluator<'r> {
        let plan = view.categories.as_ref().map_or(&*view.plan, |categories| &categories.member);
        Evaluator {
            view,
            plan,
            fold: Fold::new(plan),
            layout: Layout::new(plan.clone()),
            times: Vec::new(),
            positions: Vec::new(),
            nulls: Vec::new(),
            words: Vec::new(),
            heap: Vec::new(),
            members: Vec::new(),
            edges: Vec::new(),
            values: Vec::new(),
        }
    }

    pub fn load(&mut self, places: &[EventPlace], events: &Retained) -> Result<(), DatasetError> {
        let plan = self.plan;
        let start = plan.lifetime_start.map_or(i64::MIN, EventTime::micros);
        self.times.clear();
        self.positions.clear();
        self.nulls.clear();
        self.words.clear();
        self.heap.clear();
        for place in places {
            let event = events.event(place);
            if event.passes >> self.view.bit & 1 == 0 || place.time < start {
                continue;
            }
            let mut nulls = 0;
            for (c, (column, from)) in plan.columns.iter().zip(&self.view.columns).enumerate() {
                let is_null = event.nulls >> *from & 1 == 1;
                nulls |= u64::from(is_null) << c;
                let mut word = event.words[*from];
                if let Some(sketch) = column.sketch.filter(|_| !is_null) {
                    word = match sketch.input {
                        DataType::String => sketch.of_text(events.text(word)),
                        _ => sketch.word(word, &[]),
                    };
                } else if column.data_type == DataType::String && !is_null {
                    let text = events.text(word);
                    word = heap_word(self.heap.len(), text.len());
                    self.heap.extend_from_slice(text);
                }
                self.words.push(word);
            }
            self.times.push(place.time);
            self.positions.push(place.position);
            self.nulls.push(nulls);
        }
        self.order_ties();
        // Places in a heap are 32 bits wide.
        if self.heap.len() > u32::MAX as usize {
            return Err(DatasetError::TooMuchText { view: plan.name.clone() });
        }
        Ok(())
    }

    /// Events that a tie breaker does not tell apart are ordered by what they hold, as in the state of a view.
    fn order_ties(&mut self) {
        let at = |i: usize| (self.times[i], self.positions[i]);
        if (1..self.times.len()).all(|i| at(i - 1) != at(i)) {
            return;
        }
        let stride = self.plan.columns.len();
        let held = |i: usize| (self.nulls[i], &self.words[i * stride..][..stride]);
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by(|a, b| at(*a).cmp(&at(*b)).then_with(|| self.layout.order_tied(&self.heap, held(*a), held(*b))));
        // Times and positions are in order already.
        let nulls = order.iter().map(|i| self.nulls[*i]).collect();
        let words = order.iter().flat_map(|i| held(*i).1).copied().collect();
        (self.nulls, self.words) = (nulls, words);
    }

    fn row(&mut self, row: usize, at: EventTime, columns: &mut [FeatureColumn]) {
        let mut values = std::mem::take(self.values_at(at));
        self.set(row, at, &mut values, columns);
        self.values = values;
    }

    /// Whether an event lies at `from`, at `to` or between.
    pub fn holds(&self, from: i64, to: i64) -> bool {
        let next = self.times.partition_point(|time| *time < from);
        self.times.get(next).is_some_and(|time| *time <= to)
    }

    /// The features of the events loaded, in the plan's order; they may be taken.
    pub fn values_at(&mut self, at: EventTime) -> &mut Vec<FeatureValue> {
        self.fold_at(at.micros());
        self.values.clear();
        self.fold.finish(self.plan, at, &self.heap, &mut self.values);
        &mut self.values
    }

    /// Puts the view's features into the columns of those that the service takes.
    pub fn set(&self, row: usize, at: EventTime, values: &mut [FeatureValue], columns: &mut [FeatureColumn]) {
        // Before its first instant a view has no values, counts included.
        if self.view.start.is_some_and(|start| self.plan.effective_time(at) < start) {
            return;
        }
        for (number, feature) in &self.view.features {
            let FeatureValue { value, status } = &mut values[*feature];
            if let Some(reason) = status.reason() {
                columns[*number].fail(row, reason);
            }
            // Each feature is read once: the value may go.
            columns[*number].set(row, value);
        }
    }

    /// Between two neighbouring edges of windows all events are in the same windows.
    fn fold_at(&mut self, at: i64) {
        let plan = self.plan;
        let first_at = |edge: i64| self.times.partition_point(|time| *time < edge);
        self.members.clear();
        self.edges.clear();
        for (w, window) in plan.windows.iter().enumerate() {
            let lower = first_at(plan.lower(w, at));
            let upper = first_at(plan.upper(window.offset, at)).max(lower);
            self.members.push(lower..upper);
            self.edges.extend([lower, upper]);
        }
        self.edges.sort_unstable();
        self.edges.dedup();
        self.fold.reset();
        let stride = plan.columns.len();
        for stretch in self.edges.windows(2) {
            let inside = |members: &Range<usize>| members.start <= stretch[0] && stretch[1] <= members.end;
            let bits = self.members.iter().enumerate().filter(|(_, members)| inside(members));
            let bits = bits.fold(0u64, |bits, (w, _)| bits | 1 << w);
            if bits == 0 {
                continue;
            }
            for event in stretch[0]..stretch[1] {
                let words = &self.words[event * stride..][..stride];
                let members = Members { members: bits, older: 0 };
                self.fold.add(plan, members, self.times[event], self.nulls[event], words, &self.heap);
            }
        }
    }
}
