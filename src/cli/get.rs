//! `freshet get`: the features of a service for one set of join keys, from a running Freshet.

use std::collections::BTreeMap;

use clap::Args;
use freshet_config::time::EventTime;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::arguments;
use crate::client::{Client, DEFAULT_URL, GET_FEATURES, METADATA};
use crate::exit::Failure;
use crate::output::{self, Table};

/// Look features up.
#[derive(Debug, Args)]
pub struct Get {
    /// The feature service.
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Join keys of the service, such as card_id=4242; an empty value is the empty text.
    #[arg(value_name = "KEY=VALUE", value_parser = arguments::key_value)]
    keys: Vec<(String, String)>,
    /// A request field of the service, such as amount=3.5; `null` is a value nobody knows. Repeat it for each field.
    #[arg(long = "request", value_name = "FIELD=VALUE", value_parser = arguments::key_value)]
    request: Vec<(String, String)>,
    /// A join key whose value is not known: features with it are MISSING_DATA.
    #[arg(long, value_name = "KEY")]
    null: Vec<String>,
    /// The instant to answer for; now unless written. RFC 3339 with a zone.
    #[arg(long, value_name = "INSTANT", value_parser = arguments::instant)]
    as_of: Option<EventTime>,
    /// The server to ask.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Get {
    pub fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.url)?;
        let context = self.context(&client)?;
        let answer = client.post(GET_FEATURES, self.body(context)?.to_string().as_bytes())?;
        let read = answer.success()?;
        if self.json {
            return output::line(&String::from_utf8_lossy(&answer.body));
        }
        let values = values(&answer.body).ok_or_else(no_features)?;
        output::print(&table(values, &read)?.text())
    }

    /// The request fields in their types, for which the server is asked.
    fn context(&self, client: &Client) -> Result<serde_json::Map<String, Value>, Failure> {
        let mut context = serde_json::Map::new();
        if self.request.is_empty() {
            return Ok(context);
        }
        let question = json!({"params": {"featureServiceName": self.service}});
        let metadata = client.post(METADATA, question.to_string().as_bytes())?.success()?;
        let fields = metadata["inputRequestContextKeys"].as_array().map_or(&[][..], Vec::as_slice);
        for (name, text) in &self.request {
            let field = fields.iter().find(|field| field["name"] == name.as_str());
            let data_type = field.and_then(|field| field["dataType"]["type"].as_str()).unwrap_or_default();
            if context.insert(name.clone(), field_value(data_type, text)).is_some() {
                return Err(Failure::usage(format!("the request field `{name}` is given twice; give each once")));
            }
        }
        Ok(context)
    }

    fn body(&self, context: serde_json::Map<String, Value>) -> Result<Value, Failure> {
        let mut keys = serde_json::Map::new();
        let given = self.keys.iter().map(|(key, value)| (key, join_key(value)));
        for (key, value) in given.chain(self.null.iter().map(|key| (key, Value::Null))) {
            if keys.insert(key.clone(), value).is_some() {
                return Err(Failure::usage(format!("the join key `{key}` is given twice; give each once")));
            }
        }
        let mut options = json!({});
        if let Some(at) = self.as_of {
            options["asOf"] = at.to_string().into();
        }
        Ok(json!({"params": {
            "featureServiceName": self.service,
            "joinKeyMap": keys,
            "requestContextMap": context,
            "requestOptions": options,
            "metadataOptions": {
                "includeNames": true,
                "includeEffectiveTimes": true,
                "includeServingStatus": true,
            },
        }}))
    }
}

/// Text serves every type of join key but bool.
fn join_key(value: &str) -> Value {
    match value {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => Value::String(text.to_string()),
    }
}

/// A request field as its type is written in JSON. What does not fit goes as text, and the server says what is wrong.
fn field_value(data_type: &str, text: &str) -> Value {
    match (data_type, text) {
        (_, "null") => Value::Null,
        ("boolean", "true") => Value::Bool(true),
        ("boolean", "false") => Value::Bool(false),
        ("float64" | "float32", number) => {
            let read = number.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            read.map_or_else(|| Value::String(number.to_string()), Value::Number)
        }
        (_, text) => Value::String(text.to_string()),
    }
}

fn no_features() -> Failure {
    Failure::unavailable("the server's answer has no features; is it Freshet?")
}

/// The features of an answer as the server wrote them: a number that is read and written again may be another one.
fn values(body: &[u8]) -> Option<Vec<String>> {
    let answer: BTreeMap<String, &RawValue> = serde_json::from_slice(body).ok()?;
    let result: BTreeMap<String, &RawValue> = serde_json::from_str(answer.get("result")?.get()).ok()?;
    let features: Vec<&RawValue> = serde_json::from_str(result.get("features")?.get()).ok()?;
    let shown = |json: &&RawValue| serde_json::from_str(json.get()).unwrap_or_else(|_| json.get().to_string());
    Some(features.iter().map(shown).collect())
}

fn table(values: Vec<String>, answer: &Value) -> Result<Table, Failure> {
    let metadata = answer["metadata"]["features"].as_array().ok_or_else(no_features)?;
    let mut table = Table::new(["feature", "value", "status", "effective time"]);
    for (value, about) in values.into_iter().zip(metadata) {
        let text = |name: &str| about[name].as_str().unwrap_or_default().to_string();
        let status = match about["statusReason"].as_str() {
            Some(reason) => format!("{}: {reason}", text("status")),
            None => text("status"),
        };
        table.row([text("name"), value, status, text("effectiveTime")]);
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_fields_are_written_in_their_types() {
        assert_eq!(field_value("float64", "3.5"), json!(3.5));
        assert_eq!(field_value("float32", "NaN"), json!("NaN"));
        assert_eq!(field_value("int64", "7"), json!("7"));
        assert_eq!(field_value("string", "true"), json!("true"));
        assert_eq!(field_value("boolean", "true"), json!(true));
        assert_eq!(field_value("timestamp", "null"), Value::Null);
    }

    #[test]
    fn an_answer_becomes_a_table() {
        let body = br#"{"result": {"features": ["3", null, 1568.6299999999999, null]}}"#;
        let answer = json!({
            "metadata": {"features": [
                {"name": "v.count_1h", "status": "PRESENT", "effectiveTime": "2026-01-01T00:00:00Z"},
                {"name": "v.last_1h", "status": "MISSING_DATA", "effectiveTime": "2026-01-01T00:00:00Z"},
                {"name": "v.sum_1h", "status": "PRESENT", "effectiveTime": "2026-01-01T00:00:00Z"},
                {"name": "derived.x", "status": "ERROR", "statusReason": "the sum is beyond int64"},
            ]},
        });
        let text = table(values(body).unwrap(), &answer).unwrap().text();
        let lines: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["v.count_1h", "3", "PRESENT", "2026-01-01T00:00:00Z"]);
        assert_eq!(lines[1], ["v.last_1h", "null", "MISSING_DATA", "2026-01-01T00:00:00Z"]);
        assert_eq!(lines[2][1], "1568.6299999999999");
        assert!(text.lines().last().unwrap().contains("ERROR: the sum is beyond int64"), "{text}");
        assert!(table(Vec::new(), &json!({})).is_err());
        assert_eq!(values(b"{}"), None);
    }
}
