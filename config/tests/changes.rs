//! Sources that are the changes of a view: what they resolve to, and what is refused in which words.

use freshet_config::definitions::{Column, Definitions, ServiceFeature};
use freshet_config::parse;
use freshet_config::value::DataType;

const CHAIN: &str = "\
sources:
  - {name: z_transactions, stream: {log: {}}, schema: {card: int64, merchant: string, amount: float64, ts: timestamp}, event_time: ts}
  - name: card_states
    changes_of: card_txn
    select:
      - {name: over, sql: \"n_1h > 5\"}
  - {name: a_merchant_states, changes_of: merchants, lateness: 1h}
entities:
  - {name: card, keys: {card_id: int64}}
  - {name: merchant, keys: {merchant: string}}
views:
  - name: card_txn
    source: z_transactions
    entity: card
    keys: {card_id: card}
    aggregates:
      - {name: by_merchant, fn: count, by: merchant, windows: [1h]}
      - {name: n, fn: count, windows: [1h]}
      - {name: amount, fn: last, n: 3, of: amount, windows: [1h]}
      - {name: merchant, fn: last, of: merchant, windows: [1h]}
      - {name: mean, fn: mean, of: \"amount * 2\", windows: [1h]}
      - {name: worth, fn: max, of: \"amount * 2\", windows: [1h]}
  - name: merchants
    source: card_states
    entity: merchant
    keys: {merchant: merchant_1h}
    mode: {interval: 5m}
    aggregates:
      - {name: cards, fn: count, windows: [1d], where: over}
  - name: all_merchants
    source: a_merchant_states
    entity: merchant
    aggregates:
      - {name: peaks, fn: max, of: cards_1d, windows: [1d]}
services:
  - {name: s, features: [all_merchants.peaks_1d, card_txn]}
";

fn resolved(text: &str) -> Result<Definitions, Vec<String>> {
    parse(&[("a.yaml".to_string(), text.to_string())])
        .map_err(|errors| errors.iter().map(|e| e.to_string().replacen("a.yaml:", "", 1)).collect())
}

#[test]
fn changes_know_their_view_its_keys_and_its_single_values() {
    let definitions = resolved(CHAIN).unwrap();
    let names: Vec<&str> = definitions.sources.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["a_merchant_states", "card_states", "z_transactions"]);
    assert_eq!(definitions.sources_in_order(), [2, 1, 0], "a source comes after the one it follows from");
    let states = &definitions.sources[1];
    let changes = states.changes_of.as_ref().unwrap();
    let view = &definitions.views[changes.view];
    // The first part of the user's view is the one by category.
    assert_eq!((view.name.as_str(), view.group.is_some()), ("card_txn", false));
    let carried: Vec<&str> = changes.features.iter().map(|f| view.features[*f].name.as_str()).collect();
    assert_eq!(carried, ["n_1h", "merchant_1h", "mean_1h", "worth_1h"]);
    assert_eq!(changes.left_out, ["by_merchant_1h", "amount_1h"]);
    let column = |name: &str, data_type| Column { name: name.to_string(), data_type };
    assert_eq!(states.schema, [column("changed_at", DataType::Timestamp), column("card_id", DataType::Int64)]);
    assert_eq!((states.event_time, states.stream.is_none(), states.history.is_none()), (0, true, true));
    let merchants = definitions.sources[0].changes_of.as_ref().unwrap();
    assert_eq!(definitions.views[merchants.view].name, "merchants");
    assert_eq!(definitions.views[merchants.view].source, 1);
    let served = definitions.services[0].features.iter().map(|served| match served {
        ServiceFeature::View { view, feature } => definitions.views[*view].features[*feature].name.as_str(),
        ServiceFeature::Realtime { .. } => panic!("there is no realtime view"),
    });
    let served: Vec<&str> = served.collect();
    assert_eq!(served, ["peaks_1d", "by_merchant_1h", "n_1h", "amount_1h", "merchant_1h", "mean_1h", "worth_1h"]);
}

#[test]
fn definitions_without_changes_keep_their_plan_id() {
    let without = "sources:\n  - {name: s, stream: {log: {}}, schema: {k: int64, at: timestamp}, event_time: at}\n";
    let json = serde_json::to_string(&resolved(without).unwrap()).unwrap();
    assert!(!json.contains("changes_of"), "{json}");
}

/// A change of the text, and the lines it is refused with.
#[rustfmt::skip]
const CASES: &[(&str, &str, &[&str])] = &[
    ("changes_of: card_txn", "changes_of: card_tx", &[
        "4:17: unknown view `card_tx` in source `card_states` [DEF-REF]; did you mean `card_txn`?",
    ]),
    ("changes_of: merchants, lateness", "changes_of: merchants, stream: {log: {}}, lateness", &[
        "7:54: unknown field `stream` in source of changes `a_merchant_states` [DEF-YAML]; there is changes_of, description, lateness, name, select",
    ]),
    ("    changes_of: card_txn\n", "    changes_of: card_txn\n    event_time: changed_at\n    dedup_key: n_1h\n", &[
        "5:5: unknown field `event_time` in source of changes `card_states` [DEF-YAML]; there is changes_of, description, lateness, name, select",
        "6:5: unknown field `dedup_key` in source of changes `card_states` [DEF-YAML]; there is changes_of, description, lateness, name, select",
    ]),
    ("source: z_transactions\n", "source: card_states\n", &[
        "4:17: source `card_states` follows from itself: it is the changes of view `card_txn` over source `card_states` [DEF-CYCLE]; let one of the sources be read from a stream or a history",
    ]),
    ("source: z_transactions\n", "source: a_merchant_states\n", &[
        "7:43: source `a_merchant_states` follows from itself: it is the changes of view `merchants` over source `card_states`, the changes of view `card_txn` over source `a_merchant_states` [DEF-CYCLE]; let one of the sources be read from a stream or a history",
    ]),
    ("keys: {merchant: merchant_1h}", "keys: {merchant: amount_1h}", &[
        "26:22: source `card_states` has no column `amount_1h` for the join key `merchant` of view `merchants` [DEF-COL]; the columns are changed_at, card_id, n_1h, merchant_1h, mean_1h, worth_1h, n_1h_before, merchant_1h_before, mean_1h_before, worth_1h_before, over",
    ]),
    ("keys: {merchant: merchant_1h}", "keys: {merchant: n_1h}", &[
        "26:22: the join key `n_1h` of view `merchants` is int64 in source `card_states`, but string in entity `merchant` [DEF-TYPE]; declare both with one type",
    ]),
    ("{name: over, sql", "{name: n_1h, sql", &[
        "6:16: the column `n_1h` of source `card_states` is defined twice, first at a.yaml:4:17 and again here [DEF-DUP]; rename or remove one of the two",
    ]),
    ("keys: {card_id: int64}", "keys: {changed_at: int64}", &[
        "4:17: source `card_states`: the changes of view `card_txn` would have two columns `changed_at` [DEF-DUP]; rename the aggregate, the attribute or the key",
    ]),
    ("cards, fn: count, windows: [1d], where: over", "cards, fn: last, n: 2, of: n_1h, windows: [1d]", &[
        "7:43: source `a_merchant_states` is the changes of view `merchants`, none of whose features changes can carry [DEF-ARG]; changes carry single values, and no decayed sums: add an aggregate that gives one",
    ]),
    ("lateness: 1h", "lateness: -1h", &[
        "7:64: the lateness `-1h` of source `a_merchant_states` is negative [DEF-LATE]; write zero or a positive span, such as 1h",
    ]),
    // What follows from an unsound view is not blamed for it.
    ("source: z_transactions\n", "source: transactions\n", &[
        "13:13: unknown source `transactions` in view `card_txn` [DEF-REF]; did you mean `z_transactions`?",
    ]),
];

#[test]
fn every_mistake_is_refused_with_its_place_and_a_hint() {
    let mut wrong = Vec::new();
    for (from, to, expected) in CASES {
        assert!(CHAIN.contains(from), "no `{from}`");
        let mut text = CHAIN.replacen(from, to, 1);
        if to.contains("changed_at: int64") {
            text = text.replacen("keys: {card_id: card}", "keys: {changed_at: card}", 1);
        }
        let lines = resolved(&text).err().unwrap_or_default();
        if lines != *expected {
            wrong.push(format!("`{from}` -> `{to}`: {lines:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
