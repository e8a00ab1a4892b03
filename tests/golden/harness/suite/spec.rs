//! A spec as it stands in its JSON file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

/// One view's worth of features.
#[derive(Clone, Debug)]
pub struct Spec {
    /// `continuous` of `spec_continuous.json`.
    pub name: String,
    /// Key columns and their types.
    pub keys: Vec<(String, String)>,
    /// The events' column of instants.
    pub timestamp: String,
    pub continuous: bool,
    pub interval_s: i64,
    /// RFC 3339.
    pub feature_start: Option<String>,
    pub aggregations: Vec<Aggregation>,
    /// Why nothing of the spec can be declared.
    pub unsupported: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Aggregation {
    /// The expected column.
    pub name: String,
    pub function: String,
    pub parameters: BTreeMap<String, Json>,
    pub column: String,
    pub data_type: String,
    pub size_s: i64,
    /// Zero or negative.
    pub offset_s: i64,
}

impl Spec {
    pub fn read(path: &Path) -> Result<Spec, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let json: Json =
            serde_json::from_str(&text).map_err(|error| format!("{} is no JSON: {error}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.strip_prefix("spec_").unwrap_or(&name).to_string();
        Spec::of_json(name, &json).ok_or_else(|| format!("{} is no spec", path.display()))
    }

    fn of_json(name: String, json: &Json) -> Option<Spec> {
        let column = |key: &Json| Some((text(key, "name")?, text(key, "type")?));
        let unsupported = unsupported(json);
        let aggregations = match (&unsupported, json.get("aggregations")) {
            (None, Some(all)) => all.as_array()?.iter().map(Aggregation::of_json).collect::<Option<_>>()?,
            _ => Vec::new(),
        };
        Some(Spec {
            name,
            keys: json.get("entity_keys")?.as_array()?.iter().map(column).collect::<Option<_>>()?,
            timestamp: text(json, "timestamp")?,
            continuous: text(json, "mode")? == "continuous",
            interval_s: json.get("aggregation_interval_s")?.as_i64()?,
            feature_start: text(json, "feature_start"),
            aggregations,
            unsupported,
        })
    }
}

impl Aggregation {
    fn of_json(json: &Json) -> Option<Aggregation> {
        let window = json.get("window")?;
        Some(Aggregation {
            name: text(json, "name")?,
            function: text(json, "function")?,
            parameters: json.get("params")?.as_object()?.clone().into_iter().collect(),
            column: text(json, "column")?,
            data_type: text(json, "type")?,
            size_s: window.get("size_s")?.as_i64()?,
            offset_s: window.get("offset_s")?.as_i64()?,
        })
    }
}

/// Kinds of views that cannot be declared yet.
fn unsupported(json: &Json) -> Option<String> {
    let has = |field: &str| json.get(field).is_some_and(|value| !value.is_null());
    let window_kind = |kind: &str| {
        let aggregations = json.get("aggregations").and_then(Json::as_array);
        aggregations.is_some_and(|all| all.iter().any(|a| kind_of(a) == Some(kind)))
    };
    let why = match () {
        () if text(json, "kind").as_deref() == Some("batch") => "batch views",
        () if has("attributes") => "attribute views",
        () if has("secondary_key") => "secondary keys",
        () if has("lifetime_start") || window_kind("lifetime") => "lifetime windows",
        () if window_kind("series") => "series of windows",
        () => return None,
    };
    Some(why.to_string())
}

fn kind_of(aggregation: &Json) -> Option<&str> {
    aggregation.get("window")?.get("kind")?.as_str()
}

fn text(json: &Json, field: &str) -> Option<String> {
    Some(json.get(field)?.as_str()?.to_string())
}
