//! Realtime views, request fields and derived features as users write them.

use freshet_config::definitions::{Definitions, ServiceFeature};
use freshet_config::parse;
use freshet_config::value::DataType;

const GOOD: &str = "
sources:
  - {name: txn, stream: {log: {}}, schema: {id: int64, amount: float64, ts: timestamp}, event_time: ts}
entities:
  - {name: card, keys: {id: int64}}
views:
  - {name: card_txn, source: txn, entity: card, aggregates: [{name: n, fn: count, windows: [1h]}]}
realtime:
  - name: ratios
    request: {amount: float64}
    features:
      - {name: amount_ratio, type: float64, sql: \"request.amount / card_txn.n_1h\"}
      - {name: big, type: bool, sql: \"request.amount > 100\"}
    owner: risk
services:
  - name: fraud
    features: [ratios.big, card_txn, ratios]
    request: {amount: float64, label: string}
    derived:
      - {name: loud, type: string, sql: \"upper(request.label)\"}
";

fn resolved(text: &str) -> Result<Definitions, Vec<String>> {
    parse(&[("a.yaml".to_string(), text.to_string())])
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn realtime_features_are_listed_like_those_of_views() {
    let definitions = resolved(GOOD).unwrap();
    let service = &definitions.services[0];
    let realtime = |feature| ServiceFeature::Realtime { realtime: 0, feature };
    assert_eq!(service.features, [realtime(1), ServiceFeature::View { view: 0, feature: 0 }, realtime(0)]);
    let fields: Vec<(&str, DataType)> = service.request.iter().map(|f| (f.name.as_str(), f.data_type)).collect();
    assert_eq!(fields, [("amount", DataType::Float64), ("label", DataType::String)]);
    assert_eq!(service.derived[0].sql.place.to_string(), "a.yaml:20:41");
    assert_eq!(definitions.realtime[0].owner.as_deref(), Some("risk"));
    let alone = GOOD.replace("features: [ratios.big, card_txn, ratios]", "features: []");
    assert!(resolved(&alone).unwrap().services[0].features.is_empty(), "derived features are features");
}

#[test]
fn mistakes_are_refused_with_their_place_and_a_hint() {
    for (from, to, expected) in [
        (
            "[ratios.big,",
            "[ratio.big,",
            "17:16: unknown view `ratio` in service `fraud` [DEF-REF]; did you mean `ratios`?",
        ),
        (
            "ratios.big",
            "ratios.bug",
            "17:16: unknown feature `bug` of realtime view `ratios` in service `fraud` [DEF-REF]; did you mean `big`?",
        ),
        ("name: ratios", "name: card_txn", "9:11: realtime view `card_txn` has the name of a view [DEF-DUP]"),
        ("name: ratios", "name: request", "9:11: realtime view `request` has a name that is reserved"),
        ("name: card_txn", "name: derived", "7:12: view `derived` has a name that is reserved"),
        (
            "label: string",
            "label: text",
            "18:39: unknown type `text` of request field `label` of service `fraud` [DEF-TYPE]; write `string`",
        ),
        ("type: bool", "type: boolen", "13:27: unknown type `boolen` of feature `big` of realtime view `ratios`"),
        (
            "name: big",
            "name: amount_ratio",
            "13:16: the feature `amount_ratio` of realtime view `ratios` is defined twice",
        ),
        ("type: string, ", "", "20:9: derived feature `loud` needs the field `type`"),
        ("\"upper(request.label)\"", "\" \"", "20:41: the sql of derived feature `loud` of service `fraud` is empty"),
        ("    owner: risk", "    ownr: risk", "14:5: unknown field `ownr` in realtime view `ratios`"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let errors = resolved(&GOOD.replacen(from, to, 1)).unwrap_err();
        assert!(errors.iter().any(|line| line.starts_with(&format!("a.yaml:{expected}"))), "{expected}\n{errors:#?}");
    }
}

#[test]
fn request_fields_have_a_bound() {
    let many: Vec<String> = (0..101).map(|i| format!("f{i}: int64")).collect();
    let text = GOOD.replace("label: string", &many.join(", "));
    let errors = resolved(&text).unwrap_err();
    assert!(errors[0].contains("has 102 request fields, more than the 100 allowed [DEF-SIZE]"), "{errors:?}");
}
