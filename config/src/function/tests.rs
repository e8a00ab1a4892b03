use std::collections::BTreeSet;

use super::*;
use crate::value::DataType;

/// A function as definitions write it: what it serializes to, with the names of its parameters.
fn written_as(function: Function) -> String {
    let entry = function.entry();
    let mut text = format!("fn: {}", entry.name);
    let json = serde_json::to_value(function).unwrap();
    let parts = json.as_object().and_then(|variant| variant.values().next());
    for parameter in entry.parameters {
        let value = match (parts, parameter.bounds) {
            (_, Bounds::Order) => "v".to_string(),
            (Some(parts), Bounds::HalfLife) => format!("{}us", parts[parameter.name]),
            (Some(serde_json::Value::Object(parts)), _) => parts[parameter.name].to_string(),
            (Some(only), _) => only.to_string(),
            (None, _) => panic!("{text} does not say its `{}`", parameter.name),
        };
        text.push_str(&format!(", {}: {value}", parameter.name));
    }
    text
}

/// The function of an aggregate over a column, or the errors.
fn resolved(aggregate: &str, input: DataType) -> Result<Function, String> {
    let text = format!(
        "sources:\n  - {{name: s, stream: {{log: {{}}}}, schema: {{k: int64, v: {input}, at: timestamp}}, event_time: at}}\n\
         entities:\n  - {{name: e, keys: {{k: int64}}}}\n\
         views:\n  - {{name: v, source: s, entity: e, aggregates: [{{name: a, of: v, windows: [1h], {aggregate}}}]}}\n"
    );
    let definitions = crate::parse(&[("a.yaml".to_string(), text)]).map_err(|errors| errors.to_string())?;
    Ok(definitions.views[0].aggregates[0].function)
}

#[test]
fn every_function_is_read_as_it_is_written() {
    for function in Function::samples().concat() {
        let text = written_as(function);
        for input in DataType::ALL {
            match resolved(&text, input) {
                Ok(read) => assert_eq!((read, function.takes(input)), (function, true), "{text} of {input}"),
                Err(errors) => assert!(!function.takes(input) && errors.contains("DEF-TYPE"), "{text}: {errors}"),
            }
            assert_eq!(Function::names_for(input).contains(&function.name()), function.takes(input));
        }
    }
}

#[test]
fn a_parameter_has_its_default_or_must_be_there() {
    for entry in written().filter(|entry| entry.name != "last") {
        let input = DataType::ALL.into_iter().find(|input| entry.takes.takes(*input)).unwrap();
        let required = |parameter: &&Parameter| !matches!(parameter.bounds, Bounds::Whole { default: Some(_), .. });
        let missing: Vec<&str> = entry.parameters.iter().filter(required).map(|parameter| parameter.name).collect();
        match resolved(&format!("fn: {}", entry.name), input) {
            Ok(_) => assert!(missing.is_empty(), "{}", entry.name),
            Err(errors) => {
                for name in &missing {
                    assert!(errors.contains(&format!("{} needs the parameter `{name}`", entry.name)), "{errors}");
                }
                assert_eq!(errors.lines().count(), missing.len(), "{errors}");
            }
        }
    }
}

#[test]
fn no_two_functions_have_one_name() {
    let mut known = BTreeSet::new();
    for entry in written().filter(|entry| entry.name != "last") {
        entry.names().for_each(|name| assert!(known.insert(name), "{name}"));
    }
    for (word, hint) in written().flat_map(|entry| entry.other_words) {
        assert!(!known.contains(word), "{word} is a name here");
        let named = hint.split('`').nth(1).unwrap_or_default();
        assert!(known.contains(named) || named == "last", "{word}: {hint}");
    }
}

/// What becomes of a value is read off its type: an empty value of another would be served as something else.
#[test]
fn empty_values_are_of_the_type_given() {
    for function in Function::samples().concat() {
        for input in DataType::ALL.into_iter().filter(|input| function.takes(*input)) {
            assert!(function.output(Some(input)).fits(&function.empty()), "{function:?} of {input}");
        }
    }
}
