//! Definitions that say what a spec says: one view, aggregates with as many windows as the spec gives them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::path::Path;

use freshet_config::definitions::Function;
use freshet_config::time::Span;
use freshet_engine::plan::Plan;

use super::spec::{Aggregation, Spec, SpecMode, SpecWindow};

pub const VIEW: &str = "golden";
pub const SERVICE: &str = "golden";

/// Definitions, and how their features are called in the spec.
#[derive(Debug)]
pub struct Made {
    pub yaml: String,
    pub features: Vec<MadeFeature>,
    /// Features that the definitions do not take, and why.
    pub refusals: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct MadeFeature {
    /// In the spec.
    pub name: String,
    /// In the view.
    pub feature: String,
    pub aggregation: Aggregation,
}

/// Declares every feature that the definitions take.
pub fn make(spec: &Spec, events: &Path) -> Made {
    let mut made = Made { yaml: String::new(), features: Vec::new(), refusals: Vec::new() };
    let mut taken = Vec::new();
    for aggregation in &spec.aggregations {
        let alone = yaml(spec, events, std::slice::from_ref(aggregation));
        let parsed = freshet_config::parse(&[("features.yaml".to_string(), alone)]);
        match parsed.and_then(|definitions| Plan::compile(definitions, Path::new("."))) {
            Ok(plan) => {
                // Alone, so the view has this feature and no other but the list of secondary keys, which is called alike.
                for view in &plan.definitions.views {
                    for feature in &view.features {
                        let keys = view.aggregates[feature.aggregate].function == Function::GroupKeys;
                        let name = if keys { &feature.name } else { &aggregation.name };
                        if !made.features.iter().any(|known| known.name == *name) {
                            made.features.push(MadeFeature {
                                name: name.clone(),
                                feature: feature.name.clone(),
                                aggregation: aggregation.clone(),
                            });
                        }
                    }
                }
                taken.push(aggregation.clone());
            }
            Err(refused) => {
                made.refusals.push(format!("{}: {refused}", aggregation.name));
            }
        }
    }
    made.yaml = yaml(spec, events, &taken);
    made
}

fn yaml(spec: &Spec, events: &Path, aggregations: &[Aggregation]) -> String {
    let mut columns: BTreeMap<&str, &str> = spec.keys.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    columns.extend(aggregations.iter().map(|a| (a.column.as_str(), a.data_type.as_str())));
    columns.extend(spec.secondary_key.iter().map(|(name, data_type)| (name.as_str(), data_type.as_str())));
    columns.insert(&spec.timestamp, "timestamp");
    let columns: Vec<String> = columns.iter().map(|(name, t)| format!("{}: {t}", quoted(name))).collect();
    let keys: Vec<String> = spec.keys.iter().map(|(name, t)| format!("{}: {t}", quoted(name))).collect();
    let mode = match spec.mode {
        SpecMode::Continuous => "continuous".to_string(),
        SpecMode::Interval { tile_s } => format!("{{interval: {}}}", span(tile_s)),
        SpecMode::Batch { schedule_s, delay_s } => {
            format!("{{batch: {{schedule: {}, delay: {}}}}}", span(schedule_s), span(delay_s))
        }
    };
    let mut text = format!(
        "sources:\n  - name: events\n    history: {{parquet: {{path: {path}}}}}\n    schema: {{{columns}}}\n    \
         event_time: {time}\nentities:\n  - {{name: subject, keys: {{{keys}}}}}\nviews:\n  - name: {VIEW}\n    \
         source: events\n    entity: subject\n    mode: {mode}\n",
        path = quoted(&events.to_string_lossy()),
        columns = columns.join(", "),
        keys = keys.join(", "),
        time = quoted(&spec.timestamp),
    );
    if let Some(start) = &spec.feature_start {
        line(&mut text, &format!("    feature_start: {start}"));
    }
    if let Some(start) = &spec.lifetime_start {
        line(&mut text, &format!("    lifetime_start: {start}"));
    }
    if let Some((name, _)) = &spec.secondary_key {
        line(&mut text, &format!("    secondary_key: {}", quoted(name)));
    }
    if spec.attributes {
        let names: Vec<String> = aggregations.iter().map(|a| quoted(&a.column)).collect();
        line(&mut text, &format!("    attributes: [{}]", names.join(", ")));
        if let Some(ttl_s) = spec.ttl_s {
            line(&mut text, &format!("    ttl: {}", span(ttl_s)));
        }
    } else {
        line(&mut text, "    aggregates:");
    }
    let mut groups: Vec<(String, Vec<&Aggregation>)> = Vec::new();
    for aggregation in aggregations.iter().filter(|_| !spec.attributes) {
        let name = aggregate_name(aggregation);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, members)) => members.push(aggregation),
            None => groups.push((name, vec![aggregation])),
        }
    }
    for (name, members) in &groups {
        line(&mut text, &aggregate(name, members));
    }
    line(&mut text, &format!("services:\n  - {{name: {SERVICE}, features: [{VIEW}]}}"));
    text
}

fn aggregate(name: &str, members: &[&Aggregation]) -> String {
    let first = members[0];
    let window = |a: &&Aggregation| match a.window {
        SpecWindow::Relative { size_s, offset_s: 0 } => span(size_s),
        SpecWindow::Relative { size_s, offset_s } => format!("{{size: {}, offset: {}}}", span(size_s), span(offset_s)),
        SpecWindow::Lifetime => "lifetime".to_string(),
        SpecWindow::Series { start_s, end_s, step_s, size_s } => format!(
            "{{series: {{start: {}, end: {}, step: {}, size: {}}}}}",
            span(start_s),
            // Where the last window ends: definitions must say so, specs need not.
            span(end_s - (end_s - start_s - size_s).rem_euclid(step_s.max(1))),
            span(step_s),
            span(size_s)
        ),
    };
    let windows: Vec<String> = members.iter().map(window).collect();
    let parameters: String = first.parameters.iter().map(|(name, value)| format!(", {name}: {value}")).collect();
    format!(
        "      - {{name: {name}, fn: {}, of: {}{parameters}, windows: [{}]}}",
        // The specs tell `last` with a number from the one without by name.
        if first.function == "last_n" { "last" } else { &first.function },
        column(&first.column),
        windows.join(", ")
    )
}

/// A column in SQL, quoted lest its name be one of SQL's words, and the SQL in YAML.
fn column(name: &str) -> String {
    quoted(&format!("\"{}\"", name.replace('"', "\"\"")))
}

/// A JSON string is a YAML string, whatever it holds.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `sum_v`, `last_n_s_3`; with nothing in it that names may not have. Columns that differ in that alone are told apart.
fn aggregate_name(aggregation: &Aggregation) -> String {
    let mut name = format!("{}_{}", aggregation.function, aggregation.column);
    for value in aggregation.parameters.values() {
        name.push_str(&format!("_{}", value.to_string().replace('.', "p")));
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.chars().all(allowed) && name.len() <= LONGEST_NAME {
        return name;
    }
    let plain: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).take(LONGEST_NAME - 9).collect();
    let mut hasher = std::hash::DefaultHasher::new();
    name.hash(&mut hasher);
    format!("{plain}_{:08x}", hasher.finish() as u32)
}

/// Names of aggregates have 64 characters at most.
const LONGEST_NAME: usize = 64;

fn span(seconds: i64) -> String {
    Span::from_secs(seconds).to_string()
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
