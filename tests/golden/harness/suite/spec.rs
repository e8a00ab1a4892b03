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
    pub mode: SpecMode,
    /// RFC 3339.
    pub feature_start: Option<String>,
    pub lifetime_start: Option<String>,
    /// Features are attributes: columns of the newest row, each an aggregation called `latest`.
    pub attributes: bool,
    pub ttl_s: Option<i64>,
    /// A column whose values the aggregations are told apart by, and its type.
    pub secondary_key: Option<(String, String)>,
    pub aggregations: Vec<Aggregation>,
}

/// Which instant windows end at; seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecMode {
    Continuous,
    Interval { tile_s: i64 },
    Batch { schedule_s: i64, delay_s: i64 },
}

/// Seconds; offsets are zero or negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecWindow {
    Relative { size_s: i64, offset_s: i64 },
    Lifetime,
    Series { start_s: i64, end_s: i64, step_s: i64, size_s: i64 },
}

#[derive(Clone, Debug)]
pub struct Aggregation {
    /// The expected column.
    pub name: String,
    pub function: String,
    pub parameters: BTreeMap<String, Json>,
    pub column: String,
    pub data_type: String,
    pub window: SpecWindow,
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
        let seconds = |field: &str| json.get(field)?.as_i64();
        let attributes = json.get("attributes").and_then(Json::as_array);
        let ttl_s = seconds("ttl_s");
        let aggregations = match (attributes, json.get("aggregations")) {
            (Some(all), _) => {
                all.iter().map(|attribute| Aggregation::latest(attribute, ttl_s)).collect::<Option<_>>()?
            }
            (None, Some(all)) => all.as_array()?.iter().map(Aggregation::of_json).collect::<Option<_>>()?,
            (None, None) => Vec::new(),
        };
        let mode = match (text(json, "kind")?.as_str(), text(json, "mode")?.as_str()) {
            ("batch", _) => {
                SpecMode::Batch { schedule_s: seconds("batch_schedule_s")?, delay_s: seconds("data_delay_s")? }
            }
            (_, "continuous") => SpecMode::Continuous,
            _ => SpecMode::Interval { tile_s: seconds("aggregation_interval_s")? },
        };
        Some(Spec {
            name,
            keys: json.get("entity_keys")?.as_array()?.iter().map(column).collect::<Option<_>>()?,
            timestamp: text(json, "timestamp")?,
            mode,
            feature_start: text(json, "feature_start"),
            lifetime_start: text(json, "lifetime_start"),
            attributes: attributes.is_some(),
            ttl_s,
            secondary_key: match json.get("secondary_key").filter(|key| !key.is_null()) {
                Some(key) => Some(column(key)?),
                None => None,
            },
            aggregations,
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
            window: SpecWindow::of_json(window)?,
        })
    }

    /// An attribute, as the newest value of its column.
    fn latest(json: &Json, ttl_s: Option<i64>) -> Option<Aggregation> {
        let name = text(json, "name")?;
        Some(Aggregation {
            column: name.clone(),
            name,
            function: "latest".to_string(),
            parameters: BTreeMap::new(),
            data_type: text(json, "type")?,
            window: ttl_s.map_or(SpecWindow::Lifetime, |size_s| SpecWindow::Relative { size_s, offset_s: 0 }),
        })
    }
}

impl SpecWindow {
    fn of_json(json: &Json) -> Option<SpecWindow> {
        let seconds = |field: &str| json.get(field)?.as_i64();
        Some(match json.get("kind")?.as_str()? {
            "relative" => {
                SpecWindow::Relative { size_s: seconds("size_s")?, offset_s: seconds("offset_s").unwrap_or(0) }
            }
            "lifetime" => SpecWindow::Lifetime,
            "series" => SpecWindow::Series {
                start_s: seconds("start_s")?,
                end_s: seconds("end_s")?,
                step_s: seconds("step_s")?,
                size_s: seconds("size_s")?,
            },
            _ => return None,
        })
    }
}

fn text(json: &Json, field: &str) -> Option<String> {
    Some(json.get(field)?.as_str()?.to_string())
}
