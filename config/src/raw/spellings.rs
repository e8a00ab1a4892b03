//! What may be written where a definition takes a text, for the JSON Schema alone: names and words of a closed set, and the
//! forms of spans. Reading them is the resolver's, which has better words; what it takes, these take.
//!
//! A closed set is an `enum`, so that editors propose it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::function::written;
use crate::time::Span;
use crate::value::DataType;

/// Declares a type without values that stands for a form of text in `#[schemars(with = "..")]`.
macro_rules! spelling {
    ($(#[$about:meta])* $name:ident: $schema:expr) => {
        $(#[$about])*
        pub(super) enum $name {}

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

spelling! {
    /// The name of a definition or a feature.
    Name: json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$" })
}

spelling! {
    /// The type of a value.
    TypeName: one_of(DataType::ALL.iter().map(|of| of.name().to_string()))
}

spelling! {
    /// The type of a column that may be exploded.
    ColumnType: one_of(
        DataType::ALL.iter().map(|of| of.name().to_string())
            .chain(DataType::ALL.iter().map(|of| format!("array<{}>", of.name())))
    )
}

spelling! {
    /// The type of a join key.
    KeyType: one_of(DataType::ALL.iter().filter(|of| of.is_key()).map(|of| of.name().to_string()))
}

spelling! {
    /// An aggregate function, by any of its names.
    FunctionName: {
        let mut names: Vec<String> = Vec::new();
        for name in written().map(|entry| entry.name).chain(written().flat_map(|entry| entry.aliases.iter().copied())) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_string());
            }
        }
        one_of(names)
    }
}

spelling! {
    /// A span that is not negative.
    SpanText: json_schema!({ "type": "string", "pattern": span_pattern(""), "examples": ["10m", "1h30m", "7d"] })
}

spelling! {
    /// A span from the instant asked for to another one.
    OffsetText: json_schema!({ "type": "string", "pattern": span_pattern("-?"), "examples": ["-2h", "0h"] })
}

spelling! {
    /// A window's length.
    WindowText: json_schema!({
        "anyOf": [
            { "type": "string", "pattern": span_pattern(""), "examples": ["10m", "1h", "24h", "7d"] },
            { "type": "string", "enum": ["lifetime"], "description": "All events since the view's `lifetime_start`." },
        ]
    })
}

spelling! {
    /// The mode without fields.
    Continuous: json_schema!({
        "type": "string", "enum": ["continuous"], "description": "Windows end at the instant asked for."
    })
}

spelling! {
    /// How records of a stream are encoded.
    StreamFormat: one_of(["json".to_string()])
}

spelling! {
    /// How changes of rows are written.
    ChangelogFormat: one_of(["upsert".to_string(), "debezium".to_string()])
}

fn one_of(words: impl IntoIterator<Item = String>) -> Schema {
    json_schema!({ "type": "string", "enum": words.into_iter().collect::<Vec<_>>() })
}

/// Numbers with units, such as `1h30m`.
fn span_pattern(sign: &str) -> String {
    format!("^{sign}([0-9]+({}))+$", Span::units().collect::<Vec<_>>().join("|"))
}
