//! Definitions that say what a spec says: one view, aggregates with as many windows as the spec gives them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use freshet_config::time::Span;
use freshet_engine::plan::Plan;

use super::spec::{Aggregation, Spec};

pub const VIEW: &str = "golden";
pub const SERVICE: &str = "golden";

/// Definitions, and how their features are called in the spec.
#[derive(Debug)]
pub struct Made {
    pub yaml: String,
    pub features: Vec<MadeFeature>,
    /// Features that the definitions do not take.
    pub unsupported: Vec<String>,
    /// Why, per feature.
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
    let mut made = Made { yaml: String::new(), features: Vec::new(), unsupported: Vec::new(), refusals: Vec::new() };
    let mut taken = Vec::new();
    for aggregation in &spec.aggregations {
        let alone = yaml(spec, events, std::slice::from_ref(aggregation));
        let parsed = freshet_config::parse(&[("features.yaml".to_string(), alone)]);
        match parsed.and_then(|definitions| Plan::compile(definitions, Path::new("."))) {
            Ok(_) => {
                let mut feature = format!("{}_{}", aggregate_name(aggregation), span(aggregation.size_s));
                if aggregation.offset_s != 0 {
                    feature.push_str(&format!("_offset_{}", span(-aggregation.offset_s)));
                }
                let name = aggregation.name.clone();
                made.features.push(MadeFeature { name, feature, aggregation: aggregation.clone() });
                taken.push(aggregation.clone());
            }
            Err(refused) => {
                made.unsupported.push(aggregation.name.clone());
                made.refusals.push(refused.to_string());
            }
        }
    }
    made.yaml = yaml(spec, events, &taken);
    made
}

fn yaml(spec: &Spec, events: &Path, aggregations: &[Aggregation]) -> String {
    let mut columns: BTreeMap<&str, &str> = spec.keys.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    columns.extend(aggregations.iter().map(|a| (a.column.as_str(), a.data_type.as_str())));
    columns.insert(&spec.timestamp, "timestamp");
    let columns: Vec<String> = columns.iter().map(|(name, data_type)| format!("{name}: {data_type}")).collect();
    let keys: Vec<String> = spec.keys.iter().map(|(name, data_type)| format!("{name}: {data_type}")).collect();
    let mode =
        if spec.continuous { "continuous".to_string() } else { format!("{{interval: {}}}", span(spec.interval_s)) };
    let mut text = format!(
        "sources:\n  - name: events\n    history: {{parquet: {{path: {path}}}}}\n    schema: {{{columns}}}\n    \
         event_time: {time}\nentities:\n  - {{name: subject, keys: {{{keys}}}}}\nviews:\n  - name: {VIEW}\n    \
         source: events\n    entity: subject\n    mode: {mode}\n",
        // A JSON string is a YAML string, whatever the path holds.
        path = serde_json::Value::from(events.to_string_lossy()),
        columns = columns.join(", "),
        keys = keys.join(", "),
        time = spec.timestamp,
    );
    if let Some(start) = &spec.feature_start {
        line(&mut text, &format!("    feature_start: {start}"));
    }
    line(&mut text, "    aggregates:");
    let mut groups: Vec<(String, Vec<&Aggregation>)> = Vec::new();
    for aggregation in aggregations {
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
    let window = |a: &&Aggregation| match a.offset_s {
        0 => span(a.size_s),
        offset => format!("{{size: {}, offset: {}}}", span(a.size_s), span(offset)),
    };
    let windows: Vec<String> = members.iter().map(window).collect();
    let parameters: String = first.parameters.iter().map(|(name, value)| format!(", {name}: {value}")).collect();
    format!(
        "      - {{name: {name}, fn: {}, of: {}{parameters}, windows: [{}]}}",
        first.function,
        column(&first.column),
        windows.join(", ")
    )
}

/// Columns called like a word of SQL are quoted, once for SQL and once for YAML.
fn column(name: &str) -> String {
    if name == "when" { format!("'\"{name}\"'") } else { name.to_string() }
}

/// `sum_v`, `last_n_s_3`, `sum_v_back_2h` for windows that end 2 h ago.
fn aggregate_name(aggregation: &Aggregation) -> String {
    let mut name = format!("{}_{}", aggregation.function, aggregation.column);
    for value in aggregation.parameters.values() {
        name.push_str(&format!("_{}", value.to_string().replace('.', "p")));
    }
    if aggregation.offset_s != 0 {
        name.push_str(&format!("_back_{}", span(-aggregation.offset_s)));
    }
    name
}

fn span(seconds: i64) -> String {
    Span::from_secs(seconds).to_string()
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}
