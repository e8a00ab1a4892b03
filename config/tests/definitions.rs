//! Definition files as users write them: what is accepted, what is refused, and in which words.

#[path = "definitions/refused.rs"]
mod refused_cases;
#[path = "definitions/refused_rich.rs"]
mod refused_rich_cases;
#[path = "definitions/refused_values.rs"]
mod refused_values_cases;

use freshet_config::definitions::{
    Changelog, ChangelogFormat, Definitions, Explode, FileFormat, Files, Function, GroupShape, Mode, ServiceFeature,
    Stream, StreamFormat,
};
use freshet_config::diagnostic::suggestion;
use freshet_config::parse;
use freshet_config::time::{EventTime, Span};
use freshet_config::value::DataType;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use refused_cases::CASES;

const GOOD: &str = include_str!("definitions/good.yaml");
/// Every function, kind of window and kind of view.
const RICH: &str = include_str!("definitions/rich.yaml");

/// To leave one of thirteen out would be no shorter.
#[test]
fn few_names_are_all_listed_and_many_in_part() {
    let names: Vec<String> = (10..40).map(|n| format!("name_{n}")).collect();
    let listed = |n: usize| suggestion("?", names[..n].iter().map(String::as_str));
    assert_eq!(listed(16), format!("there is {}", names[..16].join(", ")));
    assert_eq!(listed(17), format!("there are 17, among them {}", names[..12].join(", ")));
}

fn one_file(text: &str) -> Vec<(String, String)> {
    vec![("a.yaml".to_string(), text.to_string())]
}

fn accepted(text: &str) -> Definitions {
    parse(&one_file(text)).unwrap_or_else(|errors| panic!("refused:\n{errors}"))
}

/// The rendered lines of the errors of some files.
fn refused(files: &[(String, String)]) -> Vec<String> {
    match parse(files) {
        Ok(_) => panic!("accepted: {files:?}"),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The lines of a case. `{functions}` stands for the functions that take the type named before.
fn expected_lines(lines: &[&str]) -> Vec<String> {
    let line = |line: &&str| {
        let of_type = DataType::ALL.iter().find(|of| line.ends_with(&format!("for {of} there are {{functions}}")));
        let functions = of_type.map_or(String::new(), |of| Function::names_for(*of).join(", "));
        format!("a.yaml:{}", line.replace("{functions}", &functions))
    };
    lines.iter().map(line).collect()
}

/// The good file with one piece of text replaced, which must be there.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the good file holds no `{from}`");
    GOOD.replacen(from, to, 1)
}

/// The view and the feature that a service lists.
fn place(feature: &ServiceFeature) -> (usize, usize) {
    match *feature {
        ServiceFeature::View { view, feature } => (view, feature),
        ServiceFeature::Realtime { .. } => panic!("there are no realtime views"),
    }
}

#[test]
fn every_mistake_is_refused_with_its_place_and_a_hint() {
    for (from, to, expected) in CASES {
        let expected = expected_lines(expected);
        assert_eq!(refused(&one_file(&changed(from, to))), expected, "`{from}` -> `{to}`");
    }
}

#[test]
fn every_mistake_in_functions_and_windows_is_refused_with_its_place_and_a_hint() {
    for (from, to, expected) in refused_rich_cases::CASES.iter().chain(refused_values_cases::CASES) {
        assert!(RICH.contains(from), "the rich file holds no `{from}`");
        let expected = expected_lines(expected);
        let found = refused(&one_file(&RICH.replacen(from, to, 1)));
        assert_eq!(found, expected, "`{from}` -> `{to}`");
    }
}

#[test]
fn an_exploded_column_has_the_type_of_its_elements() {
    let lists = changed("tailnum: string, ts", "tailnum: array<string>, ts");
    let written = |step: &str| lists.replacen("dedup_key: txn_id", &format!("dedup_key: txn_id\n    {step}"), 1);
    let definitions = accepted(&written("explode: {column: tailnum}"));
    let source = &definitions.sources[1];
    assert_eq!(source.explode, Some(Explode { column: 5, name: "tailnum".into() }));
    assert_eq!(source.schema[5].data_type, DataType::String);
    // What follows knows the element by its own name, and the record's column no more.
    let renamed = written("explode: {column: tailnum, as: plane}");
    let unknown = "a.yaml:12:43: no column `tailnum`";
    assert!(refused(&one_file(&renamed))[0].starts_with(unknown), "{:?}", refused(&one_file(&renamed)));
    let joined = accepted(&renamed.replace("on: {tailnum: tailnum}", "on: {tailnum: plane}"));
    assert_eq!(joined.sources[1].event_columns()[5].name, "plane");
    assert_eq!(joined.sources[1].enrich[0].on, [5]);
    assert_ne!(joined.plan_id(), definitions.plan_id());
}

#[test]
fn changelogs_name_their_rows() {
    let changelog = |text: &str| {
        let definitions = accepted(&changed("dedup_key: txn_id", text));
        definitions.sources[1].changelog.clone().unwrap()
    };
    let upsert = Changelog { key: vec![0], format: ChangelogFormat::Upsert, version: None };
    assert_eq!(changelog("changelog: {key: txn_id}"), upsert);
    assert_eq!(
        changelog("changelog: {key: [card_id, txn_id], format: debezium, version: seq}"),
        Changelog { key: vec![1, 0], format: ChangelogFormat::Debezium, version: Some(7) }
    );
    let plain = accepted(GOOD);
    assert_eq!(plain.sources[1].changelog, None);
    assert_ne!(plain.plan_id(), accepted(&changed("dedup_key: txn_id", "changelog: {key: txn_id}")).plan_id());
}

#[test]
fn a_good_file_means_what_it_says() {
    let definitions = accepted(GOOD);
    let names: Vec<&str> = definitions.sources.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["logins", "transactions"], "sections are ordered by name");

    let logins = &definitions.sources[0];
    assert_eq!(logins.stream, Some(Stream::Log));
    assert_eq!(logins.lateness, Span::from_secs(86_400), "24 hours unless written");
    let transactions = &definitions.sources[1];
    assert_eq!(transactions.stream, Some(Stream::Kafka { topic: "txn.v1".into(), format: StreamFormat::Json }));
    assert_eq!(transactions.history, Some(Files { format: FileFormat::Parquet, path: "data/txn/".into() }));
    let columns: Vec<String> = transactions.schema.iter().map(|c| format!("{} {}", c.name, c.data_type)).collect();
    let file_order = ["txn_id string", "card_id int64", "merchant_id int64", "amount float64", "country string"];
    assert_eq!(columns[..5], file_order);
    assert_eq!((transactions.event_time, transactions.dedup_key, transactions.tie_breaker), (6, Some(0), Some(7)));
    assert_eq!(transactions.lateness, Span::from_secs(3_600));
    let join = &transactions.enrich[0];
    assert_eq!((join.dimension, join.on.as_slice()), (0, &[5][..]));
    assert_eq!(join.columns, [(2, "seats".to_string()), (1, "plane_year".to_string())]);
    assert_eq!(transactions.select[0].data_type, Some(DataType::Float64));
    assert_eq!(transactions.select[1].data_type, None);
    assert_eq!(transactions.select[1].sql.text, "country <> 'DE'");
    assert_eq!(transactions.select[1].sql.place.to_string(), "a.yaml:14:29");
    assert_eq!(definitions.dimensions[0].key, [0]);

    let view = &definitions.views[0];
    assert_eq!((view.name.as_str(), view.source, view.entity), ("card_txn", 1, 0));
    assert_eq!(view.key_columns, ["card_id"]);
    assert_eq!(view.mode, Mode::Interval(Span::from_secs(300)));
    let features: Vec<(&str, usize, usize)> =
        view.features.iter().map(|f| (f.name.as_str(), f.aggregate, f.window)).collect();
    assert_eq!(
        features,
        [
            ("txn_count_10m", 0, 0),
            ("txn_count_1h", 0, 1),
            ("txn_count_24h", 0, 2),
            ("amount_sum_1h", 1, 0),
            ("amount_sum_24h", 1, 1),
            ("seats_max_1h", 2, 0),
        ]
    );
    assert_eq!(view.aggregates[1].of.as_ref().map(|sql| sql.text.as_str()), Some("amount"));
    assert_eq!((view.online, view.offline), (true, true));
    assert_eq!(view.serving_ttl, Some(Span::from_secs(30 * 86_400)));
    assert_eq!(view.feature_start.map(|at| at.to_string()), Some("2025-01-01T00:00:00Z".to_string()));
    assert_eq!(view.tags, [("family".to_string(), "velocity".to_string()), ("tier".to_string(), "1".to_string())]);
    assert_eq!(definitions.views[1].key_columns, ["user"]);
    assert_eq!((definitions.views[1].mode, definitions.views[1].offline), (Mode::Continuous, false));

    let served: Vec<(usize, usize)> = definitions.services[0].features.iter().map(place).collect();
    let named_once = [(1, 0), (0, 3), (0, 0), (0, 1), (0, 2), (0, 4), (0, 5)];
    assert_eq!(served, named_once);
}

/// Names, functions, windows and types of all features of a view of the user's, one line each.
fn features(definitions: &Definitions, served_as: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for view in definitions.views.iter().filter(|view| view.served_as == served_as) {
        for feature in &view.features {
            let aggregate = &view.aggregates[feature.aggregate];
            let windows = &aggregate.windows[feature.window..feature.window + feature.series.unwrap_or(1)];
            let windows: Vec<String> = windows.iter().map(|w| format!("{} at {}", w.size, w.offset)).collect();
            let types = [("amount", DataType::Float64), ("cents", DataType::Int64)];
            let input = aggregate.of.as_ref().map(|of| {
                types
                    .into_iter()
                    .find(|(name, _)| *name == of.text.trim_matches('"'))
                    .map_or(DataType::String, |(_, of_type)| of_type)
            });
            let of_type = view.feature_type(feature, input, view.group.as_ref().map(|_| DataType::String));
            assert!(of_type.fits(&view.empty_value(feature)), "{of_type} has no {}", view.empty_value(feature));
            lines.push(format!(
                "{} {} {:?} [{}] {of_type} {}",
                view.name,
                feature.name,
                aggregate.function,
                windows.join(", "),
                view.empty_value(feature)
            ));
        }
    }
    lines
}

#[test]
fn every_function_and_window_means_what_it_says() {
    let definitions = accepted(RICH);
    assert_eq!(
        features(&definitions, "lists"),
        [
            "lists last_amounts_1h LastN(3) [1h at 0s] list<float64> []",
            "lists last_amounts_1h_offset_2h LastN(3) [1h at -2h] list<float64> []",
            "lists p95_1d ApproxPercentile { percentile: 0.95, precision: 100 } [1d at 0s] float64 null",
            "lists p95_lifetime ApproxPercentile { percentile: 0.95, precision: 100 } [unbounded at 0s] float64 null",
            "lists hourly_series_6h_0h_1h_2h Count [2h at -4h, 2h at -3h, 2h at -2h, 2h at -1h, 2h at 0s] list<int64> \
             [0, 0, 0, 0, 0]",
            "lists merchants_lifetime_offset_1d ApproxCountDistinct { precision: 10 } [unbounded at -1d] int64 0",
            "lists exact_1d CountDistinct { limit: 50 } [1d at 0s] int64 0",
            "lists top_7d TopK { k: 3, limit: 1000 } [7d at 0s] map<string, int64> {}",
            "lists decayed_7d DecayedSum { half_life: Span(21600000000) } [7d at 0s] float64 null",
            "lists dearest_1d MaxBy [1d at 0s] string null",
        ]
    );
    assert_eq!(
        features(&definitions, "by_vertical"),
        [
            "by_vertical@vertical spent_30m Sum [30m at 0s] map<string, float64> {}",
            "by_vertical@vertical seen_1h Count [1h at 0s] map<string, int64> {}",
            "by_vertical total_30m Sum [30m at 0s] float64 null",
            "by_vertical@merchant shops_series_1h_10m_20m_10m Count [10m at -50m, 10m at -30m, 10m at -10m] \
             list<map<string, int64>> [{}, {}, {}]",
        ]
    );
    assert_eq!(
        features(&definitions, "per_merchant"),
        [
            "per_merchant merchant_keys_3h GroupKeys [3h at 0s] list<string> []",
            "per_merchant merchant_keys_1d GroupKeys [1d at 0s] list<string> []",
            "per_merchant spent_3h Sum [3h at 0s] list<float64> []",
            "per_merchant spent_1d Sum [1d at 0s] list<float64> []",
            "per_merchant paid_1d FirstDistinct(2) [1d at 0s] list<list<int64>> []",
        ]
    );
    assert_eq!(
        features(&definitions, "newest"),
        [
            "newest merchant Latest [2d at 0s] string null",
            "newest amount Latest [2d at 0s] float64 null",
            "newest big Latest [2d at 0s] string null",
        ]
    );
    let view = |name| &definitions.views[definitions.view(name).unwrap()];
    let start = |at: Option<EventTime>| at.map(|at| at.to_string()).unwrap_or_default();
    let lists = view("lists");
    assert_eq!(start(lists.lifetime_start), "2024-01-01T00:00:00Z", "a date is its midnight");
    assert_eq!((start(lists.feature_start), lists.longest_window()), ("2025-01-01T00:00:00Z".into(), Span::UNBOUNDED));
    assert_eq!(lists.aggregates[7].order.as_ref().map(|sql| sql.text.as_str()), Some("amount"));
    assert_eq!(view("by_vertical@vertical").group.as_ref().map(|group| group.shape), Some(GroupShape::Map));
    assert_eq!(view("by_vertical").group, None);
    let category =
        view("by_vertical@vertical").group.as_ref().map(|group| (group.column.text.as_str(), group.name.as_str()));
    assert_eq!(category, Some(("\"vertical\"", "vertical")), "quoted: a column may be called like a word of SQL");
    let (day, hour) = (Span::from_secs(86_400), Span::from_secs(3_600));
    let batch = view("per_merchant");
    assert_eq!(batch.group.as_ref().map(|group| group.shape), Some(GroupShape::Aligned));
    assert_eq!(batch.mode, Mode::Batch { schedule: day, delay: hour });
    assert_eq!(batch.longest_window(), Span::from_secs(49 * 3_600), "a batch shows up to a schedule and a delay later");
    let newest = view("newest");
    assert_eq!((newest.attributes, newest.mode), (true, Mode::Sawtooth(hour)));
    assert_eq!((newest.feature_start, start(newest.lifetime_start)), (None, "2025-01-01T12:00:00Z".into()));
    // A whole view is served in the order written, whatever became of it.
    let places = definitions.services[0].features.iter().map(place);
    let served = places.map(|(view, feature)| &definitions.views[view].features[feature].name);
    let served: Vec<&str> = served.map(String::as_str).collect();
    assert_eq!(
        served[..5],
        ["spent_30m", "total_30m", "seen_1h", "shops_series_1h_10m_20m_10m", "hourly_series_6h_0h_1h_2h"]
    );
    assert_eq!(served[5..], ["merchant_keys_3h", "merchant_keys_1d", "spent_3h", "spent_1d", "paid_1d", "big"]);
}

#[test]
fn an_unbounded_window_or_a_bare_attribute_has_no_end() {
    let definitions = accepted(&RICH.replace("    ttl: 2d\n", "").replace("    mode: {sawtooth: 1h}\n", ""));
    let newest = &definitions.views[definitions.view("newest").unwrap()];
    assert_eq!((newest.mode, newest.longest_window()), (Mode::Continuous, Span::UNBOUNDED));
}

#[test]
fn the_plan_id_follows_what_changes_values_and_nothing_else() {
    let plan = accepted(GOOD).plan_id();
    let moved = "  - name: user_logins\n    source: logins\n";
    for (from, to) in [
        ("description: card velocity", "description: how fast a card pays"),
        ("owner: risk-team", "owner: somebody-else"),
        ("views:\n", "# a comment\nviews:\n\n"),
        (moved, "  - source: logins\n    name: user_logins\n"),
        ("{name: txn_count, fn: count,", "{fn: count, name: txn_count,"),
        ("lateness: 1h", "lateness: 60m"),
    ] {
        assert_eq!(accepted(&changed(from, to)).plan_id(), plan, "`{from}` -> `{to}`");
    }
    for (from, to) in [
        ("[10m, 1h, 24h]", "[10m, 1h, 48h]"),
        ("[10m, 1h, 24h]", "[10m, 60m, 24h]"),
        ("where: \"amount > 0\"", "where: \"amount > 1\""),
        ("lateness: 1h", "lateness: 2h"),
        ("{interval: 5m}", "continuous"),
    ] {
        assert_ne!(accepted(&changed(from, to)).plan_id(), plan, "`{from}` -> `{to}`");
    }
    let rich = accepted(RICH).plan_id();
    for (from, to) in [
        ("fn: last, n: 3", "fn: last, n: 4"),
        ("percentile: 0.95", "percentile: 0.96"),
        ("half_life: 6h", "half_life: 7h"),
        ("order: amount", "order: cents"),
        ("by: vertical", "by: merchant"),
        ("secondary_key: merchant", "secondary_key: vertical"),
        ("lifetime_start: 2024-01-01", "lifetime_start: 2024-01-02"),
        ("delay: 1h", "delay: 2h"),
        ("ttl: 2d", "ttl: 3d"),
        ("size: 1h, offset: -2h", "size: 1h, offset: -3h"),
    ] {
        assert!(RICH.contains(from), "the rich file holds no `{from}`");
        assert_ne!(accepted(&RICH.replacen(from, to, 1)).plan_id(), rich, "`{from}` -> `{to}`");
    }
    let (first, second) = GOOD.split_at(GOOD.find("entities:").unwrap());
    let apart = [("z.yaml".to_string(), first.to_string()), ("b.yaml".to_string(), second.to_string())];
    assert_eq!(parse(&apart).unwrap().plan_id(), plan, "which file a definition stands in does not count");
}

#[test]
fn all_errors_of_all_files_come_at_once_in_the_order_of_places() {
    let files = [
        ("a.yaml".to_string(), changed("source: transactions", "source: transactons").replace("fn: sum,", "fn: summ,")),
        ("b.yaml".to_string(), "entities:\n  - {name: card, keys: {card_id: int64}}\n".to_string()),
        ("c.yaml".to_string(), "services:\n  - {name: s, features: [card_tx]}\n".to_string()),
    ];
    assert_eq!(
        refused(&files),
        [
            "a.yaml:30:13: unknown source `transactons` in view `card_txn` [DEF-REF]; did you mean `transactions`?",
            "a.yaml:36:32: aggregate `amount_sum` of view `card_txn`: unknown function `summ` [DEF-ARG]; did you mean `sum`?",
            "b.yaml:2:12: the entity `card` is defined twice, first at a.yaml:26:12 and again here [DEF-DUP]; \
             rename or remove one of the two",
            "c.yaml:2:26: unknown view `card_tx` in service `s` [DEF-REF]; did you mean `card_txn`?",
        ]
    );
}

#[test]
fn one_mistake_is_one_error() {
    // What refers to something unsound, or to something in a file that cannot be read, is not called unknown.
    let unsound = changed("event_time: ts", "event_tme: ts");
    assert_eq!(
        refused(&one_file(&unsound)),
        ["a.yaml:6:5: unknown field `event_tme` in source `transactions` [DEF-YAML]; did you mean `event_time`?"]
    );
    let unreadable = [
        ("a.yaml".to_string(), "entities: [\n".to_string()),
        ("b.yaml".to_string(), GOOD.replace("  - {name: user, keys: {user_id: int64}}\n", "")),
    ];
    let lines = refused(&unreadable);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("a.yaml:") && lines[0].contains("[DEF-YAML]"), "{lines:?}");
}

#[test]
fn sizes_are_capped_and_the_cap_is_named() {
    let columns: Vec<String> = (0..300).map(|i| format!("c{i}: int64")).collect();
    let wide = changed("schema: {user: int64,", &format!("schema: {{{}, user: int64,", columns.join(", ")));
    assert_eq!(
        refused(&one_file(&wide)),
        [
            "a.yaml:17:13: source `logins` has 302 columns, more than the 256 allowed [DEF-SIZE]; leave out columns that nothing names"
        ]
    );
    let long = "x".repeat(300);
    let line = &refused(&one_file(&changed("name: fraud_v1", &format!("name: {long}"))))[0];
    assert!(line.contains("cannot be the name of a service [DEF-NAME]") && line.len() < 400, "{line}");
    let sql = changed("amount * 0.9", &format!("amount * {}", "1".repeat(20_000)));
    assert_eq!(
        refused(&one_file(&sql)),
        ["a.yaml:13:48: the expression of column `amount_eur` of source `transactions` has 20009 bytes, \
          more than the 16384 allowed [DEF-SIZE]; split it into computed columns"]
    );
    for nothing in ["", "# empty\n", "views: []\n"] {
        let line = "a.yaml: the files define nothing [DEF-YAML]; add a section, such as `sources:` or `views:`";
        assert_eq!(refused(&one_file(nothing)), [line]);
    }
}

#[test]
fn a_secret_is_never_repeated() {
    for (from, to) in [
        ("topic: txn.v1,", "topic: txn.v1, password: hunter2,"),
        ("\"data/txn/\"", "\"s3://me:hunter2@bucket/txn\""),
        ("owner: risk-team", "owner: \"password=hunter2\""),
        ("tags: {", "tags: {api_key: hunter2, "),
    ] {
        let lines = refused(&one_file(&changed(from, to)));
        assert!(lines.iter().any(|line| line.contains("[DEF-SECRET]")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:?}");
    }
    accepted(&changed("merchant_id: int64", "password: string"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes cut out, doubled and put in at random places: an answer, never a panic.
    #[test]
    fn no_text_makes_parsing_panic(edits in vec((any::<Index>(), 0..40usize, "[\\PC\n\t:{}\\[\\]&*!|>'\"%@`,#-]{0,12}"), 1..6)) {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (at, cut, insert) in edits {
            let start = at.index(text.len() + 1);
            let end = (start + cut).min(text.len());
            text.splice(start..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(errors) = parse(&one_file(&text)) {
            prop_assert!(errors.iter().all(|error| !error.message.contains('\n') && !error.message.is_empty()));
        }
    }

    /// Words exchanged for others of the same file: what survives reading as YAML reaches every check.
    #[test]
    fn no_exchange_of_words_makes_resolving_panic(swaps in vec((any::<Index>(), any::<Index>()), 1..5)) {
        for text in [GOOD, RICH] {
            let mut words: Vec<&str> = text.split_inclusive([' ', '\n', ',', '{', '[', ':']).collect();
            for (from, to) in &swaps {
                let (from, to) = (from.index(words.len()), to.index(words.len()));
                words[to] = words[from];
            }
            let _ = parse(&one_file(&words.concat()));
        }
    }
}
