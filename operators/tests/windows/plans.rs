//! Views as a definition would resolve to them, compiled by the code under test.

use freshet_config::definitions::{Aggregate, Feature, Function, Mode, PlanId, Sql, View, Window};
use freshet_config::diagnostic::Place;
use freshet_config::time::Span;
use freshet_config::value::DataType;
use freshet_operators::view::{ViewPlan, column_sources};

/// One aggregate: what it takes (`None`: rows), under which filter, over which windows.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub function: Function,
    pub of: Option<(String, DataType)>,
    /// What `min_by` and `max_by` choose by.
    pub order: Option<(String, DataType)>,
    pub filter: Option<String>,
    pub windows: Vec<Window>,
    /// Whether the windows are one feature.
    pub series: bool,
}

pub fn window(size_us: i64, offset_us: i64) -> Window {
    Window { size: Span::from_micros(size_us), offset: Span::from_micros(offset_us) }
}

pub fn view(mode: Mode, wanted: &[Wanted]) -> View {
    let sql = |text: &String| Sql { text: text.clone(), place: Place::default() };
    let aggregates: Vec<Aggregate> = wanted
        .iter()
        .enumerate()
        .map(|(i, w)| Aggregate {
            name: format!("a{i}"),
            function: w.function,
            of: w.of.as_ref().map(|(text, _)| sql(text)),
            order: w.order.as_ref().map(|(text, _)| sql(text)),
            filter: w.filter.as_ref().map(sql),
            windows: w.windows.clone(),
            place: Place::default(),
        })
        .collect();
    let mut features = Vec::new();
    for (aggregate, (a, w)) in aggregates.iter().zip(wanted).enumerate() {
        let named = |window, series| Feature { name: format!("a{aggregate}_{window}"), aggregate, window, series };
        if w.series {
            features.push(named(0, Some(a.windows.len())));
        } else {
            features.extend((0..a.windows.len()).map(|window| named(window, None)));
        }
    }
    View {
        name: "view".to_string(),
        served_as: "view".to_string(),
        source: 0,
        entity: 0,
        key_columns: vec!["key".to_string()],
        filter: None,
        mode,
        group: None,
        attributes: false,
        features,
        aggregates: aggregates.clone(),
        online: true,
        offline: false,
        serving_ttl: None,
        feature_start: None,
        lifetime_start: None,
        owner: None,
        description: None,
        tags: Vec::new(),
        place: Place::default(),
    }
}

/// The plan of a view with these aggregates.
#[allow(dead_code, reason = "not every test binary has views without a time to live")]
pub fn plan(mode: Mode, wanted: &[Wanted]) -> ViewPlan {
    expiring(mode, wanted, None)
}

/// As [`plan`], with a `serving_ttl`.
pub fn expiring(mode: Mode, wanted: &[Wanted], serving_ttl: Option<Span>) -> ViewPlan {
    let view = View { serving_ttl, ..view(mode, wanted) };
    let type_of = |text: &str| {
        let named = wanted.iter().flat_map(|w| [&w.of, &w.order]).flatten();
        named.into_iter().find(|of| of.0 == text).map(|of| of.1)
    };
    let types: Vec<DataType> = column_sources(&view)
        .iter()
        .map(|source| source.of.as_ref().and_then(|of| type_of(&of.text)).unwrap_or(DataType::Bool))
        .collect();
    ViewPlan::new(&view, &types, PlanId(7))
}
