//! Changes of a view: events that say that a key's features have become others. Views over a view read them.
//!
//! Law: at every instant a key has values: its features, or those of empty windows while no event is in any of theirs. A
//! change happens at the instants at which the values differ from those just before, compared bit by bit. So the
//! changes of a key are a function of the set of its events, whatever the order in which these came; they are known as far
//! into the future as windows reach, and an event that comes late takes earlier ones back.
//!
//! ```text
//! events of a key -> instants at which one enters or leaves a window -> features there -> those that differ
//! ```
//!
//! A change holds the features after it and those before. Events that come or go and leave all features as they were make
//! no change: a key whose windows hold nothing but nulls may look as one without events.
//!
//! Memory: the events of a key that some window sees at an instant at which a change may still matter. Cost per touched key
//! and epoch, with `n` such events and `w` windows: up to `2 * n * w` instants from the first that the epoch's events
//! affect, at each of which the features are read once with those events and once without. Functions of one column are
//! swept ([`sweep`]): every event enters and leaves each window once. For the others each instant folds what is inside, up
//! to `n` events.

mod batch;
mod events;
mod instants;
mod key;
mod operator;
mod sweep;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use freshet_config::definitions::{BEFORE, CHANGED_AT, Column, arrow_type};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{DataType, FeatureType, Value};

use crate::batch::KeyedBatch;
use crate::view::ViewPlan;

pub use batch::ChangeBatch;
pub use events::KeyEvents;
pub use operator::{ChangesInput, changes};

/// What the changes of a view are, compiled.
#[derive(Clone, Debug)]
pub struct ChangesPlan {
    /// The view, without the features that changes do not hold: what is left are single values.
    pub view: Arc<ViewPlan>,
    /// Types of the key's parts, in the entity's order.
    pub keys: Vec<DataType>,
    /// Types of the features.
    pub types: Vec<DataType>,
    /// Columns of changes as events: `changed_at`, the key, the features, the features before.
    pub schema: SchemaRef,
    /// Changes further behind than this matter to nobody.
    pub memory: Span,
    /// Windows of the features, a bit each.
    windows: u64,
    /// Whether all features can be swept.
    sweeps: bool,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Microseconds.
    pub at: i64,
    /// Features just before, and from then on; in the order of the plan's view.
    pub before: Arc<[Value]>,
    pub after: Arc<[Value]>,
}

impl Change {
    /// Equal bit by bit.
    fn same(&self, other: &Change) -> bool {
        let equal = instants::same_values;
        self.at == other.at && equal(&self.before, &other.before) && equal(&self.after, &other.after)
    }
}

impl ChangesPlan {
    /// `features` are features of the view that are single values, in its order; `keys` those of its entity.
    pub fn new(view: &ViewPlan, features: &[usize], keys: &[Column]) -> ChangesPlan {
        let mut view = view.clone();
        let (mut taken, mut types) = (Vec::new(), Vec::new());
        for feature in features.iter().filter_map(|index| view.features.get(*index)) {
            if let FeatureType::Scalar(data_type) = feature.data_type {
                taken.push(feature.clone());
                types.push(data_type);
            }
        }
        view.features = taken;
        let sweeps = view.features.iter().all(|feature| sweep::sweeps(feature.function));
        if sweeps {
            view.summaries.clear();
        }
        let field = |name: &str, data_type| Field::new(name, arrow_type(data_type), true);
        let mut fields = vec![field(CHANGED_AT, DataType::Timestamp)];
        fields.extend(keys.iter().map(|key| field(&key.name, key.data_type)));
        let named = || view.features.iter().zip(&types);
        fields.extend(named().map(|(feature, data_type)| field(&feature.name, *data_type)));
        fields.extend(named().map(|(feature, data_type)| field(&format!("{}{BEFORE}", feature.name), *data_type)));
        ChangesPlan {
            windows: view.features.iter().fold(0, |bits, feature| bits | 1 << feature.window),
            keys: keys.iter().map(|key| key.data_type).collect(),
            types,
            schema: Arc::new(Schema::new(fields)),
            memory: Span::ZERO,
            sweeps,
            view: Arc::new(view),
        }
    }

    /// The first instant at which changes still matter, in microseconds.
    pub fn matters_from(&self, now: EventTime) -> i64 {
        (now - self.memory).micros()
    }

    /// First microsecond of events that changes from `from` on depend on.
    pub fn needs(&self, from: i64) -> i64 {
        // A change is told from the state just before it.
        let before = from.saturating_sub(1);
        self.watched().map(|w| self.view.lower(w, before)).min().unwrap_or(before)
    }

    /// Whether an event exists for the view at all.
    pub fn counts(&self, batch: &KeyedBatch, i: usize, bit: u32) -> bool {
        let passes = batch.passes.get(i).is_none_or(|passes| passes >> bit & 1 == 1);
        passes && self.view.lifetime_start.is_none_or(|start| batch.time[i] >= start.micros())
    }

    /// Windows that decide what the features are: theirs, and the one that they expire with.
    fn watched(&self) -> impl Iterator<Item = usize> {
        let bits = self.windows | self.view.expiry.map_or(0, |window| 1 << window);
        (0..64).filter(move |w| bits >> w & 1 == 1)
    }
}
