//! Values of a view by category: per category of a key as of a key of its own, then put together.

use std::collections::BTreeMap;

use freshet_config::value::Value;
use freshet_operators::row::{Assembly, FeatureValue};
use freshet_operators::view::{Category, CategoryPlan};

use super::columns::FeatureColumn;
use super::error::DatasetError;
use super::evaluate::Evaluator;
use super::retained::{EventPlace, Retained};
use super::spine::Spine;

/// Events of one key by category, each in order.
pub(super) type ByCategory = BTreeMap<Category, Vec<EventPlace>>;

/// Splits the events of a key, which are in order.
pub(super) fn by_category(places: &[EventPlace], events: &Retained) -> ByCategory {
    let mut split = ByCategory::new();
    for place in places {
        let Some(category) = events.category(place) else { continue };
        match split.get_mut(category) {
            Some(of_category) => of_category.push(*place),
            None => drop(split.insert(category.clone(), vec![*place])),
        }
    }
    split
}

/// One key: its events, and the rows of the spine that ask for it.
pub(super) struct KeyAsked<'a> {
    pub categories: &'a ByCategory,
    pub events: &'a Retained,
    pub rows: &'a [usize],
    pub spine: &'a Spine,
}

/// Fills in one view's features at the spine rows of one key.
pub(super) fn evaluate(
    evaluator: &mut Evaluator,
    plan: &CategoryPlan,
    key: &KeyAsked,
    columns: &mut [FeatureColumn],
) -> Result<(), DatasetError> {
    let KeyAsked { categories, events, rows, spine } = *key;
    let mut assemblies = vec![Assembly::new(plan); rows.len()];
    // Per window the categories that were known at the row's instant, from its beginning on.
    let windows = plan.member.windows.len();
    let mut known = vec![0; rows.len() * windows];
    for (category, places) in categories {
        evaluator.load(places, events)?;
        let category: Value = category.value(plan.data_type);
        for (i, row) in rows.iter().enumerate() {
            let at = spine.times[*row];
            for (w, known) in known[i * windows..][..windows].iter_mut().enumerate() {
                *known += usize::from(evaluator.holds(plan.member.lower(w, at.micros()), at.micros()));
            }
            assemblies[i].add(plan, &category, evaluator.values_at(at));
        }
    }
    let mut values: Vec<FeatureValue> = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        for (w, known) in known[i * windows..][..windows].iter().enumerate() {
            if *known > plan.most_kept {
                assemblies[i].too_many(w);
            }
        }
        values.clear();
        assemblies[i].finish(plan, &mut values);
        evaluator.set(*row, spine.times[*row], &mut values, columns);
    }
    Ok(())
}
