//! Changes of a view: events that say that a key's features have become others. Views over a view read them.
//!
//! Law: at every instant a key has a state: its features, or nothing while no event is in any of their windows. A change
//! happens at the instants at which the state differs from the one just before, values compared bit by bit. So the
//! changes of a key are a function of the set of its events, whatever the order in which these came; they are known as far
//! into the future as windows reach, and an event that comes late takes earlier ones back.
//!
//! ```text
//! events of a key -> instants at which one enters or leaves a window -> features there -> those that differ
//! ```
//!
//! A change holds the features after it and those before. A key that falls back to nothing has the features of empty
//! windows: counts 0, all else null.
//!
//! Memory: the events of a key that some window sees at an instant at which a change may still matter. Cost per key and
//! epoch, with `n` such events and `w` windows: finding the instants of change takes `n * w` steps. Where events still
//! enter windows, each instant folds what is in them, up to `n` events. From the last entry on windows only lose events,
//! and one sweep over `n * w` events serves all instants (for functions of [`instants::sweeps`]; for the others each folds
//! anew). A new event at the end of a key's time costs one fold and one sweep.

mod batch;
mod events;
mod instants;
mod key;
mod operator;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use freshet_config::definitions::{BEFORE, CHANGED_AT, Column, arrow_type};
use freshet_config::time::{EventTime, Span};
use freshet_config::value::{DataType, FeatureType, Value};

use crate::view::ViewPlan;

pub use batch::ChangeBatch;
pub use events::KeyEvents;
pub use operator::{ChangesInput, changes};

/// What the changes of a view are, compiled.
#[derive(Clone, Debug)]
pub struct ChangesPlan {
    pub view: Arc<ViewPlan>,
    /// Features that changes hold, all of them single values: indices into the view's.
    pub features: Vec<usize>,
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
    /// Whether the features can be read from events added from the newest to the oldest.
    sweeps: bool,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Microseconds.
    pub at: i64,
    /// Features just before, and from then on; in the order of [`ChangesPlan::features`].
    pub before: Arc<[Value]>,
    pub after: Arc<[Value]>,
}

impl Change {
    /// Equal bit by bit.
    fn same(&self, other: &Change) -> bool {
        let equal = |a: &[Value], b: &[Value]| a.iter().zip(b).all(|(a, b)| instants::same_value(a, b));
        self.at == other.at && equal(&self.before, &other.before) && equal(&self.after, &other.after)
    }
}

impl ChangesPlan {
    /// `features` are single values of the view; `keys` those of its entity.
    pub fn new(view: Arc<ViewPlan>, features: Vec<usize>, keys: &[Column]) -> ChangesPlan {
        let field = |name: &str, data_type| Field::new(name, arrow_type(data_type), true);
        let mut fields = vec![field(CHANGED_AT, DataType::Timestamp)];
        fields.extend(keys.iter().map(|key| field(&key.name, key.data_type)));
        let taken: Vec<(&str, DataType)> = features
            .iter()
            .filter_map(|index| match &view.features.get(*index)?.data_type {
                FeatureType::Scalar(data_type) => Some((view.features[*index].name.as_str(), *data_type)),
                FeatureType::List(_) | FeatureType::Map(..) => None,
            })
            .collect();
        fields.extend(taken.iter().map(|(name, data_type)| field(name, *data_type)));
        fields.extend(taken.iter().map(|(name, data_type)| field(&format!("{name}{BEFORE}"), *data_type)));
        let types = taken.iter().map(|(_, data_type)| *data_type).collect();
        let windows = features.iter().fold(0, |bits, index| bits | 1 << view.features[*index].window);
        let sweeps = features.iter().all(|index| instants::sweeps(view.features[*index].function));
        ChangesPlan {
            features,
            keys: keys.iter().map(|key| key.data_type).collect(),
            types,
            schema: Arc::new(Schema::new(fields)),
            memory: Span::ZERO,
            windows,
            sweeps,
            view,
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
        self.carried().map(|w| self.view.lower(w, before)).min().unwrap_or(before)
    }

    /// Windows of the features.
    fn carried(&self) -> impl Iterator<Item = usize> {
        let bits = self.windows;
        (0..64).filter(move |w| bits >> w & 1 == 1)
    }
}
