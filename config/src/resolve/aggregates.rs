//! Aggregates: function, input, category, windows, and the features they are named after.
//!
//! Aggregates of one category make one part of the view; those of none make another (see `View::served_as`).

use crate::decode::{At, Parts, called};
use crate::definitions::{Aggregate, Feature, Function, Group, GroupShape, Sql};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::raw::RawAggregate;
use crate::resolve::categories::category;
use crate::resolve::functions::function;
use crate::resolve::limits::{MAX_AGGREGATES, MAX_FEATURES};
use crate::resolve::names::{Once, check_name};
use crate::resolve::spans::read_sql;
use crate::resolve::tables::Columns;
use crate::resolve::windows::{Frame, Spelling, windows};
use crate::value::{DataType, FeatureType};

/// What the aggregates of a view depend on.
pub struct Setting<'a> {
    /// ``view `card_txn` ``.
    pub owner: &'a str,
    /// The columns an aggregate may name, as far as the view's source is known.
    pub columns: Option<&'a Columns>,
    pub frame: Frame,
    /// The columns that hold the entity's join keys.
    pub keys: &'a [String],
    /// The view's secondary key; `Some(None)` when it is unsound.
    pub secondary_key: Option<Option<Group>>,
}

/// Aggregates that share a category, or that have none.
#[derive(Clone, Debug, Default)]
pub struct Part {
    pub group: Option<Group>,
    pub aggregates: Vec<Aggregate>,
    pub features: Vec<Feature>,
}

impl Part {
    /// The type of a feature's values, as far as it is known here; `None` for those that changes do not carry: lists, maps,
    /// and values that are another at every instant.
    pub fn carried(&self, feature: usize, columns: Option<&Columns>) -> Option<Option<DataType>> {
        let feature = self.features.get(feature)?;
        let aggregate = self.aggregates.get(feature.aggregate)?;
        if self.group.is_some() || feature.series.is_some() || aggregate.function.moves() {
            return None;
        }
        let output = |input| match aggregate.function.output(Some(input)) {
            FeatureType::Scalar(data_type) => Some(data_type),
            FeatureType::List(_) | FeatureType::Map(..) => None,
        };
        let (narrow, wide) = (output(DataType::Int32)?, output(DataType::Int64)?);
        let input = aggregate.of.as_ref().and_then(|of| plain_type(columns?, of.text.trim_matches('"')));
        Some(match input {
            Some(input) => output(input),
            // The same for whatever input.
            None => (narrow == wide).then_some(narrow),
        })
    }
}

/// A feature as services name it.
#[derive(Clone, Debug)]
pub struct NamedFeature {
    pub name: String,
    /// Which part of the view has it, and where.
    pub part: usize,
    pub feature: usize,
}

/// The parts and features of a view.
#[derive(Default)]
pub struct Outcome {
    /// In order of first use.
    pub parts: Vec<Part>,
    /// In the order written.
    pub features: Vec<NamedFeature>,
    /// Whether every feature that was meant is there.
    pub complete: bool,
}

impl Outcome {
    /// The part of a category, which is made when it is new.
    fn part(&mut self, group: Option<Group>) -> usize {
        let name = |group: &Option<Group>| group.as_ref().map(|g| g.name.clone());
        let known = self.parts.iter().position(|part| name(&part.group) == name(&group));
        known.unwrap_or_else(|| {
            self.parts.push(Part { group, ..Part::default() });
            self.parts.len() - 1
        })
    }

    /// Adds an aggregate's features to a part; repeated names are errors. Returns the aggregate's windows.
    fn features(
        &mut self,
        part: usize,
        name: &str,
        spellings: &[Spelling],
        once: &mut Once<'_>,
        errors: &mut Diagnostics,
    ) -> Vec<crate::definitions::Window> {
        let Part { aggregates, features, .. } = &mut self.parts[part];
        let mut windows = Vec::new();
        for spelling in spellings {
            let name = format!("{name}_{}", spelling.suffix);
            if once.insert(&name, &spelling.place, errors) {
                let series = spelling.is_series.then_some(spelling.windows.len());
                self.features.push(NamedFeature { name: name.clone(), part, feature: features.len() });
                features.push(Feature { name, aggregate: aggregates.len(), window: windows.len(), series });
            }
            windows.extend_from_slice(&spelling.windows);
        }
        windows
    }
}

/// Resolves the aggregates of a view.
pub fn aggregates(setting: &Setting<'_>, written: &Parts<RawAggregate>, errors: &mut Diagnostics) -> Outcome {
    let owner = setting.owner;
    let complete = !written.broken && written.items.len() <= MAX_AGGREGATES;
    let mut outcome = Outcome { complete, ..Outcome::default() };
    let count = written.items.len();
    if count == 0 && !written.broken {
        let hint = "write aggregates such as `{name: n, fn: count, windows: [1h]}`";
        errors.push(Diagnostic::new(&written.place, "DEF-ARG", format!("{owner} has no aggregates")).hint(hint));
    }
    if count > MAX_AGGREGATES {
        let message = format!("{owner} has {count} aggregates, more than the {MAX_AGGREGATES} allowed");
        errors.push(Diagnostic::new(&written.place, "DEF-SIZE", message).hint("split it into several views"));
    }
    let mut once = Once::of("feature", owner);
    let items = written.items.iter().take(MAX_AGGREGATES);
    let spelled: Vec<(&RawAggregate, String, Vec<Spelling>)> = items
        .map(|raw| {
            let user = format!("{} of {owner}", called("aggregate", &raw.name));
            check_name(&format!("an aggregate of {owner}"), &raw.name, errors);
            let windows = windows(&user, raw, setting.frame, errors);
            (raw, user, windows)
        })
        .collect();
    if let Some(Some(key)) = &setting.secondary_key {
        let all = spelled.iter().flat_map(|(_, _, windows)| windows);
        key_lists(key, all, &mut outcome, &mut once, errors);
    }
    for (raw, user, spellings) in &spelled {
        outcome.complete &= spellings.len() == raw.windows.items.len() && !raw.windows.broken;
        let group = match group(user, raw, setting, errors) {
            Ok(group) => group,
            Err(Refused) => {
                outcome.complete = false;
                None
            }
        };
        let part = outcome.part(group);
        // Without a name there are no names of features.
        let spellings = if raw.name.place.lost { &[][..] } else { spellings };
        outcome.complete &= !raw.name.place.lost;
        let windows = outcome.features(part, &raw.name.value, spellings, &mut once, errors);
        match aggregate(user, raw, windows, setting.columns, errors) {
            Some(aggregate) => outcome.parts[part].aggregates.push(aggregate),
            // Its features stay, so that services may name them: the definitions are refused anyway.
            None => outcome.complete = false,
        }
    }
    if outcome.features.len() > MAX_FEATURES {
        let message = format!("{owner} has {} features, more than the {MAX_FEATURES} allowed", outcome.features.len());
        errors.push(Diagnostic::new(&written.place, "DEF-SIZE", message).hint("split it into several views"));
    }
    outcome
}

/// The lists that all others of a view with a secondary key align with: one per window that is spelled anywhere.
fn key_lists<'a>(
    key: &Group,
    spellings: impl Iterator<Item = &'a Spelling>,
    outcome: &mut Outcome,
    once: &mut Once<'_>,
    errors: &mut Diagnostics,
) {
    let mut distinct: Vec<Spelling> = Vec::new();
    for spelling in spellings {
        if !distinct.iter().any(|known| known.suffix == spelling.suffix) {
            distinct.push(Spelling { place: key.column.place.clone(), ..spelling.clone() });
        }
    }
    let name = format!("{}_keys", key.name);
    let part = outcome.part(Some(key.clone()));
    let windows = outcome.features(part, &name, &distinct, once, errors);
    outcome.parts[part].aggregates.push(Aggregate {
        name,
        function: Function::GroupKeys,
        of: Some(key.column.clone()),
        order: None,
        filter: None,
        windows,
        place: key.column.place.clone(),
    });
}

/// An error was recorded.
struct Refused;

/// The category of an aggregate.
fn group(
    user: &str,
    raw: &RawAggregate,
    setting: &Setting<'_>,
    errors: &mut Diagnostics,
) -> Result<Option<Group>, Refused> {
    match (&raw.by, &setting.secondary_key) {
        (None, None) => Ok(None),
        (None, Some(key)) => key.clone().map(Some).ok_or(Refused),
        (Some(by), None) => {
            let user = format!("`by` of {user}");
            category(&user, by, GroupShape::Map, setting.keys, setting.columns, errors).map(Some).ok_or(Refused)
        }
        (Some(by), Some(_)) => {
            let message = format!("{user}: `by` does not go with the view's secondary key");
            let hint = "move the aggregate to a view without secondary_key";
            errors.push(Diagnostic::new(&by.place, "DEF-ARG", message).hint(hint));
            Err(Refused)
        }
    }
}

fn aggregate(
    user: &str,
    raw: &RawAggregate,
    windows: Vec<crate::definitions::Window>,
    columns: Option<&Columns>,
    errors: &mut Diagnostics,
) -> Option<Aggregate> {
    let function = function(user, raw, errors);
    let mut text = |what: &str, written: &Option<At<crate::decode::Spelled>>| {
        let written = written.as_ref()?;
        Some(read_sql(&format!("`{what}` of {user}"), written, errors))
    };
    let of = text("of", &raw.of);
    let filter = text("where", &raw.filter).flatten();
    let order = text("order", &raw.order).flatten();
    let function = function?;
    match &of {
        None if function.needs_column() && !raw.strange => {
            let message = format!("{user} has no `of`, and {} needs a column or an expression", function.name());
            errors.push(Diagnostic::new(&raw.name.place, "DEF-ARG", message).hint("add `of: COLUMN`"));
        }
        Some(Some(sql)) => input(user, function, sql, columns, errors),
        _ => {}
    }
    let (name, place) = (raw.name.value.clone(), raw.name.place.clone());
    Some(Aggregate { name, function, of: of.flatten(), order, filter, windows, place })
}

/// Checks the type of a plain column; those of expressions are known where SQL is compiled.
fn input(user: &str, function: Function, of: &Sql, columns: Option<&Columns>, errors: &mut Diagnostics) {
    let Some(input) = columns.and_then(|columns| plain_type(columns, &of.text)).filter(|t| !function.takes(*t)) else {
        return;
    };
    let (name, wanted) = (function.name(), function.wanted_input());
    let message = format!("{user}: {name} needs {wanted}, and `{}` is {input}", of.text);
    let hint = format!("for {input} there are {}", Function::names_for(input).join(", "));
    errors.push(Diagnostic::new(&of.place, "DEF-TYPE", message).hint(hint));
}

/// The type of a plain column. `None`: an expression, or a column whose type is not known yet.
fn plain_type(columns: &Columns, text: &str) -> Option<DataType> {
    columns.columns.get(columns.position(text)?)?.data_type
}
