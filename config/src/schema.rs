//! The JSON Schema of definition files, for editors.

use serde_json::Value;

use crate::function::describe;
use crate::raw::RawFile;

/// The schema of one file, draft 2020-12. It knows shapes only; references and types are the resolver's.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(RawFile).to_value();
    let records = schema.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten();
    for (name, record) in records {
        let fields = record.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten();
        for (field, schema) in fields {
            refuse_null(schema);
            let described = (name == "RawAggregate").then(|| describe(field)).flatten();
            if let (Some(text), Some(schema)) = (described, schema.as_object_mut()) {
                schema.insert("description".to_string(), Value::from(text));
            }
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
}

#[cfg(test)]
mod tests {
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
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            return choices.iter().any(|choice| fits(root, choice, value));
        }
        let kinds = match schema.get("type") {
            Some(Value::String(kind)) => vec![kind.as_str()],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return schema.as_bool().unwrap_or(false),
        };
        let kind = match value {
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
                let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
                let complete = required.filter_map(Value::as_str).all(|name| fields.contains_key(name));
                let others = schema.get("additionalProperties");
                let field = |(name, value): (&String, &Value)| match schema.pointer(&format!("/properties/{name}")) {
                    Some(schema) => fits(root, schema, value),
                    None => others.is_some_and(|others| fits(root, others, value)),
                };
                complete && fields.iter().all(field)
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
        let mut good = example();
        // Labels are read as they are spelled; an editor may well ask for quotes.
        good["views"][0]["tags"]["tier"] = Value::from("1");
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
