//! The JSON Schema of definition files, for editors.

use serde_json::Value;

use crate::function::{bounds, describe};
use crate::raw::RawFile;

/// The schema of one file, draft 2020-12. It knows shapes only; references and types are the resolver's.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(RawFile).to_value();
    let records = schema.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten();
    for (name, record) in records {
        let fields = record.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten();
        for (field, schema) in fields {
            refuse_null(schema);
            let Some(schema) = schema.as_object_mut().filter(|_| name == "RawAggregate") else { continue };
            if let Some(text) = describe(field) {
                schema.insert("description".to_string(), Value::from(text));
            }
            schema.extend(bounds(field).into_iter().map(|(keyword, value)| (keyword.to_string(), value)));
        }
    }
    schema
}

/// A field that may be left out is not written as null: the generator takes the two for one.
fn refuse_null(field: &mut Value) {
    let is_null = |kind: &Value| kind == "null" || kind.get("type").is_some_and(|kind| kind == "null");
    for keyword in ["type", "anyOf"] {
        let Some(kinds) = field.get_mut(keyword).and_then(Value::as_array_mut) else { continue };
        kinds.retain(|kind| !is_null(kind));
        if let (1, "type") = (kinds.len(), keyword) {
            field[keyword] = kinds[0].take();
        }
    }
    if let Some(words) = field.get_mut("enum").and_then(Value::as_array_mut) {
        words.retain(|word| !word.is_null());
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use regex::Regex;

    use super::*;

    /// The schema behind a `$ref`.
    fn followed<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
        while let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            schema = root.pointer(target.trim_start_matches('#')).unwrap();
        }
        schema
    }

    /// Whether a value has the schema's shape, as far as the keywords used here go.
    fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
        let schema = followed(root, schema);
        let choices = |keyword: &str| schema.get(keyword).and_then(Value::as_array);
        let fitting = |choices: &Vec<Value>| choices.iter().filter(|choice| fits(root, choice, value)).count();
        let chosen = choices("anyOf").is_none_or(|choices| fitting(choices) > 0)
            && choices("oneOf").is_none_or(|choices| fitting(choices) == 1)
            && choices("enum").is_none_or(|words| words.contains(value));
        let pattern = schema.get("pattern").and_then(Value::as_str).map(|pattern| Regex::new(pattern).unwrap());
        let formed = pattern.is_none_or(|pattern| value.as_str().is_some_and(|text| pattern.is_match(text)));
        if !chosen || !formed {
            return false;
        }
        let complete = |fields: &serde_json::Map<String, Value>| {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            required.filter_map(Value::as_str).all(|name| fields.contains_key(name))
        };
        let kinds = match schema.get("type") {
            Some(Value::String(kind)) => vec![kind.as_str()],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            // Choices alone, or fields that must be there.
            _ => return schema.as_bool().unwrap_or(true) && value.as_object().is_none_or(complete),
        };
        let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
        let within = value.as_f64().is_none_or(|number| {
            bound("minimum").is_none_or(|low| number >= low)
                && bound("maximum").is_none_or(|high| number <= high)
                && bound("exclusiveMinimum").is_none_or(|low| number > low)
                && bound("exclusiveMaximum").is_none_or(|high| number < high)
        });
        if !within {
            return false;
        }
        let kind = match value {
            Value::Number(number) if kinds.contains(&"integer") && !number.is_f64() => "integer",
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let parts = match value {
            Value::Array(items) => items.iter().all(|item| fits(root, &schema["items"], item)),
            Value::Object(fields) => {
                let others = schema.get("additionalProperties");
                let field = |(name, value): (&String, &Value)| match schema.pointer(&format!("/properties/{name}")) {
                    Some(schema) => fits(root, schema, value),
                    None => others.is_some_and(|others| fits(root, others, value)),
                };
                complete(fields) && fields.iter().all(field)
            }
            _ => true,
        };
        kinds.contains(&kind) && parts
    }

    fn example() -> Value {
        serde_saphyr::from_str(include_str!("../tests/definitions/good.yaml")).unwrap()
    }

    #[test]
    fn the_schema_takes_the_good_file_and_refuses_damaged_ones() {
        let schema = json_schema();
        let good = example();
        assert!(fits(&schema, &schema, &good));
        type Damage = fn(&mut Value);
        let damages: [Damage; 6] = [
            |file| file["view"] = Value::from(1),
            |file| file["sources"][0]["dedupe_key"] = Value::from("x"),
            |file| drop(file["sources"][0].as_object_mut().unwrap().remove("event_time")),
            |file| file["views"][0]["online"] = Value::from("yes"),
            |file| file["views"][0]["aggregates"][0]["windows"] = Value::from("1h"),
            |file| file["views"][0]["mode"] = serde_json::json!({"intervall": "5m"}),
        ];
        for (index, damage) in damages.iter().enumerate() {
            let mut file = good.clone();
            damage(&mut file);
            assert!(!fits(&schema, &schema, &file), "damage {index}");
        }
    }

    #[test]
    fn the_schema_takes_every_function_and_window() {
        let schema = json_schema();
        let rich: Value = serde_saphyr::from_str(include_str!("../tests/definitions/rich.yaml")).unwrap();
        assert!(fits(&schema, &schema, &rich));
        type Damage = fn(&mut Value);
        let damages: [Damage; 6] = [
            |file| file["views"][0]["aggregates"][0]["n"] = Value::Null,
            |file| file["views"][0]["aggregates"][0]["of"] = Value::Null,
            |file| file["views"][0]["aggregates"][0]["n"] = Value::from("three"),
            |file| file["views"][0]["aggregates"][0]["m"] = Value::from(3),
            |file| file["views"][0]["aggregates"][2]["windows"][0]["series"]["stop"] = Value::from("1h"),
            |file| file["views"][2]["mode"]["batch"] = serde_json::json!({"delay": "1h"}),
        ];
        for (index, damage) in damages.iter().enumerate() {
            let mut file = rich.clone();
            damage(&mut file);
            assert!(!fits(&schema, &schema, &file), "damage {index}");
        }
    }

    #[test]
    fn a_source_is_read_or_the_changes_of_a_view() {
        let schema = json_schema();
        let file = |source| serde_json::json!({ "sources": [source] });
        let changes = serde_json::json!({"name": "s", "changes_of": "v", "select": [{"name": "c", "sql": "n_1h"}]});
        assert!(fits(&schema, &schema, &file(changes.clone())));
        for (field, value) in [("stream", serde_json::json!({"log": {}})), ("event_time", Value::from("changed_at"))] {
            let mut both = changes.clone();
            both[field] = value;
            assert!(!fits(&schema, &schema, &file(both)), "{field}");
        }
    }

    /// What is refused is refused for its value: the same with another one is taken.
    #[test]
    fn misspelled_values_do_not_fit() {
        let schema = json_schema();
        let good = example();
        let rich: Value = serde_saphyr::from_str(include_str!("../tests/definitions/rich.yaml")).unwrap();
        let fits_with = |file: &Value, at: &str, value: Value| {
            let mut file = file.clone();
            *file.pointer_mut(at).unwrap_or_else(|| panic!("nothing at {at}")) = value;
            fits(&schema, &schema, &file)
        };
        let window = "/views/0/aggregates/0/windows/0";
        for (at, sound, unsound) in [
            ("/views/0/aggregates/0/fn", "sum", "summ"),
            ("/views/0/aggregates/0/name", "n", "N"),
            ("/views/0/mode", "continuous", "bogus"),
            ("/views/0/mode/interval", "1h30m", "1"),
            ("/views/0/serving_ttl", "90s", "90"),
            (window, "lifetime", "lifetimes"),
            (window, "10m", "1"),
            (window, "500ms", "1 fortnight"),
            ("/sources/0/lateness", "0s", "-1h"),
            ("/sources/0/schema/amount", "array<int64>", "flot"),
            ("/sources/0/schema/amount", "float32", "array<flot>"),
            ("/sources/0/select/0/type", "int32", "int"),
            ("/sources/0/stream/kafka/format", "json", "jsonn"),
            ("/dimensions/0/schema/seats", "int64", "array<int64>"),
            ("/entities/0/keys/card_id", "string", "float64"),
        ] {
            assert!(fits_with(&good, at, Value::from(sound)), "{at}: {sound}");
            assert!(!fits_with(&good, at, Value::from(unsound)), "{at}: {unsound}");
        }
        // Texts are read as they are spelled, whatever they look like.
        assert!(fits_with(&good, "/views/0/owner", Value::from(5)) && !fits_with(&good, "/views/0/owner", Value::Null));
        let aggregate = |field: &str, value: Value| {
            let mut file = rich.clone();
            file["views"][0]["aggregates"][0][field] = value;
            fits(&schema, &schema, &file)
        };
        for (field, sound, unsound) in [
            ("n", 1000.into(), 1001.into()),
            ("n", 1.into(), 0.into()),
            ("n", 2.into(), 2.5.into()),
            ("percentile", 0.99.into(), 1.into()),
            ("percentile", 0.01.into(), 0.into()),
        ] {
            let (sound, unsound): (Value, Value) = (sound, unsound);
            assert!(aggregate(field, sound.clone()), "{field}: {sound}");
            assert!(!aggregate(field, unsound.clone()), "{field}: {unsound}");
        }
        let series = "/views/0/aggregates/2/windows/0/series/start";
        assert!(fits_with(&rich, series, Value::from("-6h")) && !fits_with(&rich, series, Value::from("6 h")));
        for entry in crate::function::written() {
            for name in entry.names() {
                assert!(fits_with(&good, "/views/0/aggregates/0/fn", Value::from(name)), "{name}");
            }
        }
    }

    #[test]
    fn of_several_ways_one_is_chosen() {
        let schema = json_schema();
        let good = example();
        assert!(fits(&schema, &schema, &good));
        type Damage = fn(&mut Value);
        let damages: [Damage; 8] = [
            |file| file["sources"][1]["stream"] = serde_json::json!({"log": {}, "kafka": {"topic": "t"}}),
            |file| file["sources"][1]["stream"] = serde_json::json!({}),
            |file| drop(file["sources"][1].as_object_mut().unwrap().remove("stream")),
            |file| file["sources"][0]["history"]["csv"] = serde_json::json!({"path": "x"}),
            |file| file["dimensions"][0] = serde_json::json!({"name": "d", "key": "a", "schema": {"a": "int64"}}),
            |file| file["views"][0]["attributes"] = serde_json::json!(["country"]),
            |file| drop(file["views"][0].as_object_mut().unwrap().remove("aggregates")),
            |file| file["views"][0]["mode"]["sawtooth"] = Value::from("1h"),
        ];
        for (index, damage) in damages.iter().enumerate() {
            let mut file = good.clone();
            damage(&mut file);
            assert!(!fits(&schema, &schema, &file), "damage {index}");
        }
    }

    /// Files of definitions below a directory, but for test files.
    fn definition_files(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                definition_files(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "yaml") {
                found.push(path);
            }
        }
    }

    #[test]
    fn what_is_shown_to_users_fits() {
        let schema = json_schema();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files = Vec::new();
        definition_files(&root.join("examples"), &mut files);
        assert!(files.len() > 3, "{files:?}");
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(fits(&schema, &schema, &serde_saphyr::from_str(&text).unwrap()), "{}", path.display());
        }
        let mut shown = 0;
        for page in ["README.md", "docs/definitions.md"] {
            let text = std::fs::read_to_string(root.join(page)).unwrap();
            for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
                let Ok(block) = serde_saphyr::from_str::<Value>(block) else { continue };
                let sections = schema["properties"].as_object().unwrap();
                if block.as_object().is_some_and(|file| file.keys().any(|key| sections.contains_key(key))) {
                    shown += 1;
                    assert!(fits(&schema, &schema, &block), "{page}: {block}");
                }
            }
        }
        assert!(shown > 0);
    }

    #[test]
    fn every_field_is_described() {
        let schema = json_schema();
        assert_eq!(schema["title"], "Freshet definitions");
        let records = schema["$defs"].as_object().unwrap();
        for name in ["RawSource", "RawChanges", "RawDimension", "RawEntity", "RawView", "RawAggregate", "RawService"] {
            assert!(records.contains_key(name), "{name} in {:?}", records.keys());
        }
        for (record, schema) in records {
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                assert!(
                    schema.get("description").is_some() || *schema == Value::Bool(false),
                    "{record}.{field}: {schema}"
                );
            }
        }
    }
}
