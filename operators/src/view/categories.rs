//! A view by category: what is computed for one category of a key, and how all of them make the view's features.
//!
//! Law: a category is a part of the key. Its events are kept, and its values computed, as those of a key of a view
//! without categories, the [`CategoryPlan::member`]; only then are they put together. A category counts in a window that
//! holds a row of it, whatever the values are.

use std::sync::Arc;

use freshet_config::definitions::{Feature, Function, GroupShape, PlanId, View, Window};
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, FeatureType, Value};

use super::{FeaturePlan, ViewPlan};

/// Most categories of one key that a window may see. With more, its features are errors.
pub const MAX_CATEGORIES: usize = 1000;
/// Most categories of one key from the beginning of a window on, seen by it or not: a row holds no more. With more, its
/// features are errors, too.
pub const MAX_CATEGORIES_KEPT: usize = 10_000;

/// How a view by category is computed.
#[derive(Clone, Debug, PartialEq)]
pub struct CategoryPlan {
    /// The category's type, never a float.
    pub data_type: DataType,
    pub shape: GroupShape,
    /// [`MAX_CATEGORIES`], or less.
    pub limit: usize,
    /// [`MAX_CATEGORIES_KEPT`], or less; at least the limit.
    pub most_kept: usize,
    /// The view of one category: features without lists of categories, those of a series one by one, then per window the
    /// count of its rows.
    pub member: ViewPlan,
    /// One per feature of the view.
    pub features: Vec<CategoryFeature>,
}

/// How a feature comes of the members' features.
#[derive(Clone, Debug, PartialEq)]
pub struct CategoryFeature {
    /// Index into the features of [`CategoryPlan::member`], which has one per window from there on; `None` lists the
    /// categories themselves.
    pub member: Option<usize>,
    /// The feature's window, or those of its series, the oldest first: indices into the windows of the view.
    pub windows: Vec<usize>,
    /// Whether the feature is a list of a value per window.
    pub series: bool,
}

impl CategoryPlan {
    /// The feature of a member that counts the rows of a window.
    pub fn rows_of(&self, window: usize) -> usize {
        self.member.features.len() - self.member.windows.len() + window
    }
}

impl ViewPlan {
    /// Compiles a view whose columns ([`super::column_sources`]) have these types and whose category has this one.
    pub fn by_category(view: &View, types: &[DataType], category: DataType, plan_id: PlanId) -> ViewPlan {
        let shape = view.group.as_ref().map_or(GroupShape::Map, |group| group.shape);
        let is_keys = |feature: &Feature| view.aggregates[feature.aggregate].function == Function::GroupKeys;
        let mut one = view.clone();
        one.group = None;
        one.features.retain(|feature| !is_keys(feature));
        let mut member = ViewPlan::new(&one, types, plan_id);
        let mut plan = ViewPlan { features: Vec::new(), ..member.clone() };
        let mut features = Vec::new();
        let mut of_views = std::mem::take(&mut member.features).into_iter();
        for feature in &view.features {
            let windows = &view.aggregates[feature.aggregate].windows[feature.window..][..feature.series.unwrap_or(1)];
            let place = |wanted: &Window| plan.windows.iter().position(|window| window == wanted).unwrap_or_default();
            let windows: Vec<usize> = windows.iter().map(place).collect();
            let of_member = if is_keys(feature) { None } else { of_views.next() };
            let first = of_member.as_ref().map(|_| member.features.len());
            let compiled = match of_member {
                Some(of) => {
                    let one = element(&of.data_type, feature.series);
                    // Each window by itself: one without a value says nothing of the others.
                    member.features.extend(windows.iter().map(|window| FeaturePlan {
                        window: *window,
                        series: Vec::new(),
                        data_type: one.clone(),
                        ..of.clone()
                    }));
                    FeaturePlan { data_type: together(shape, category, one, feature.series), ..of }
                }
                None => {
                    let window = windows.first().copied().unwrap_or_default();
                    let data_type = listed(Function::GroupKeys.output(Some(category)), feature.series);
                    count_of_rows(feature.name.clone(), Function::GroupKeys, window, data_type)
                }
            };
            plan.features.push(compiled);
            features.push(CategoryFeature { member: first, windows, series: feature.series.is_some() });
        }
        for window in 0..member.windows.len() {
            let name = format!("rows of window {window}");
            member.features.push(count_of_rows(name, Function::Count, window, DataType::Int64.into()));
        }
        let categories = CategoryPlan {
            data_type: category,
            shape,
            limit: MAX_CATEGORIES,
            most_kept: MAX_CATEGORIES_KEPT,
            member,
            features,
        };
        plan.categories = Some(Arc::new(categories));
        plan
    }
}

/// A feature that needs no column.
fn count_of_rows(name: String, function: Function, window: usize, data_type: FeatureType) -> FeaturePlan {
    FeaturePlan { name, function, column: None, summary: None, window, series: Vec::new(), data_type }
}

/// The type of a value in one window.
fn element(feature: &FeatureType, series: Option<usize>) -> FeatureType {
    match (series, feature) {
        (Some(_), FeatureType::List(one)) => (**one).clone(),
        _ => feature.clone(),
    }
}

/// The type of a feature whose members are of type `one` in each window.
fn together(shape: GroupShape, category: DataType, one: FeatureType, series: Option<usize>) -> FeatureType {
    let all = match shape {
        GroupShape::Map => FeatureType::Map(category, Box::new(one)),
        GroupShape::Aligned => FeatureType::List(Box::new(one)),
    };
    listed(all, series)
}

fn listed(one: FeatureType, series: Option<usize>) -> FeatureType {
    if series.is_some() { FeatureType::List(Box::new(one)) } else { one }
}

/// A category as it is ordered: numbers, instants and truth values by value, text by its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    Number(i64),
    Text(Box<[u8]>),
}

impl Category {
    /// Reads what [`freshet_config::value::encode_key`] wrote for one column; `None` when the bytes are no such thing.
    pub fn decode(data_type: DataType, bytes: &[u8]) -> Option<Category> {
        if data_type != DataType::String {
            return Some(Category::Number(i64::from_le_bytes(bytes.try_into().ok()?)));
        }
        let (length, text) = bytes.split_first_chunk::<4>()?;
        (u32::from_le_bytes(*length) as usize == text.len()).then(|| Category::Text(text.into()))
    }

    pub fn value(&self, data_type: DataType) -> Value {
        match self {
            Category::Text(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
            Category::Number(number) => match data_type {
                DataType::Int32 => Value::Int32(*number as i32),
                DataType::Bool => Value::Bool(*number != 0),
                DataType::Timestamp => Value::Timestamp(EventTime::from_micros(*number)),
                _ => Value::Int64(*number),
            },
        }
    }
}

/// How many bytes of an encoded key the first columns take, of these types; `None` when it is shorter.
pub fn key_prefix(types: &[DataType], key: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    for data_type in types {
        at += match data_type {
            DataType::String => 4 + u32::from_le_bytes(*key.get(at..)?.first_chunk()?) as usize,
            _ => 8,
        };
    }
    (at <= key.len()).then_some(at)
}
