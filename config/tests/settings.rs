//! Settings files: defaults, what is accepted, and what is refused in which words.

use std::path::PathBuf;

use freshet_config::settings::{Clock, Settings, StoreSettings};
use freshet_config::time::Span;
use proptest::prelude::*;

fn variable(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("db.internal".to_string()),
        "SASL_PASSWORD" => Some("hunter2".to_string()),
        "TRICK" => Some("${HOST}".to_string()),
        _ => None,
    }
}

fn refused(text: &str) -> Vec<String> {
    match Settings::parse("freshet.toml", text, &variable) {
        Ok(settings) => panic!("accepted: {settings:?}"),
        Err(errors) => errors.iter().map(|error| error.to_string()).collect(),
    }
}

/// A file, and the lines it is refused with (places without the file's name).
#[rustfmt::skip]
const CASES: &[(&str, &[&str])] = &[
    ("[engin]\n", &[
        "1:2: unknown field `engin` in a settings file [CFG-SHAPE]; did you mean `engine`?",
    ]),
    ("[engine]\nworker = 2\n", &[
        "2:1: unknown field `worker` in the section [engine] [CFG-SHAPE]; did you mean `workers`?",
    ]),
    ("[engine]\nworkers = 0\n", &[
        "2:11: engine.workers `0` is not a whole number from 1 to 256 [CFG-VALUE]; write a number of that range",
    ]),
    ("[engine]\nworkers = \"two\"\n", &[
        "2:11: engine.workers `two` is not a whole number from 1 to 256 [CFG-VALUE]; write a number of that range",
    ]),
    ("[engine]\nworkers = -1\ndata_dir = \"\"\nclock = \"walls\"\n", &[
        "2:11: engine.workers `-1` is not a whole number from 1 to 256 [CFG-VALUE]; write a number of that range",
        "3:12: engine.data_dir is not a path [CFG-VALUE]; name a directory",
        "4:9: engine.clock `walls` is unknown [CFG-VALUE]; did you mean `wall`?",
    ]),
    ("[engine]\nepoch = 20\n", &[
        "2:9: engine.epoch `20` has no unit [CFG-VALUE]; write a unit w, d, h, m, s, ms or us, such as 10m or 30s",
    ]),
    ("[engine]\nepoch = \"30\"\n", &[
        "2:9: engine.epoch `30` has no unit [CFG-VALUE]; write a unit w, d, h, m, s, ms or us, such as 10m or 30s",
    ]),
    ("[engine]\nepoch = \"10d\"\n", &[
        "2:9: engine.epoch `10d` is out of range [CFG-VALUE]; write 1ms to 1h",
    ]),
    ("[engine]\nepoch = \"0s\"\n", &[
        "2:9: engine.epoch `0s` is out of range [CFG-VALUE]; write 1ms to 1h",
    ]),
    ("[engine]\nepoch = [\"1s\"]\n", &[
        "2:9: `epoch` takes text, not a list [CFG-SHAPE]; write one text, without brackets",
    ]),
    ("engine = 3\n", &[
        "1:10: `engine` takes the section [engine] (a map), not a number [CFG-SHAPE]; write the section [engine], and its fields below",
    ]),
    ("[http]\nlisten = \"localhost:7070\"\nmax_body = 1048576\nmax_batch = 1e9\n", &[
        "2:10: http.listen `localhost:7070` is not an address and port [CFG-VALUE]; write an IP address and a port, such as 127.0.0.1:7070 or [::1]:7070",
        "3:12: http.max_body `1048576` has no unit [CFG-VALUE]; write a whole number with a unit B, kB, KiB, MB, MiB, GB or GiB, such as 1MiB",
        "4:13: http.max_batch `1e9` is not a whole number from 1 to 100000 [CFG-VALUE]; write a number of that range",
    ]),
    ("[http]\nmax_body = \"1 parsec\"\n", &[
        "2:12: http.max_body `1 parsec` is not a size [CFG-VALUE]; write a whole number with a unit B, kB, KiB, MB, MiB, GB or GiB, such as 1MiB",
    ]),
    ("[http]\nmax_body = \"99999999999999999999GiB\"\n", &[
        "2:12: http.max_body `99999999999999999999GiB` is not a size [CFG-VALUE]; write a whole number with a unit B, kB, KiB, MB, MiB, GB or GiB, such as 1MiB",
    ]),
    ("[http]\nmax_body = \"2GiB\"\n", &[
        "2:12: http.max_body `2GiB` is out of range [CFG-VALUE]; write 1024 B to 1073741824 B",
    ]),
    ("[kafka]\n", &[
        "1:1: the section [kafka] needs the field `brokers` [CFG-SHAPE]; add `brokers`",
    ]),
    ("[kafka]\nbrokers = \"\"\n", &[
        "2:11: kafka.brokers: `` is not `host:port` [CFG-VALUE]; write a host's name or address, a colon and a port from 1 to 65535",
    ]),
    ("[kafka]\nbrokers = []\n", &[
        "2:11: kafka.brokers is empty [CFG-VALUE]; write `host:port` of at least one broker",
    ]),
    ("[kafka]\nbrokers = \"a:9092, b, c:0, d:99999, e f:1, ::1\"\n", &[
        "2:11: kafka.brokers: `::1` is not `host:port` [CFG-VALUE]; write a host's name or address, a colon and a port from 1 to 65535",
        "2:11: kafka.brokers: `b` is not `host:port` [CFG-VALUE]; write a host's name or address, a colon and a port from 1 to 65535",
        "2:11: kafka.brokers: `c:0` is not `host:port` [CFG-VALUE]; write a host's name or address, a colon and a port from 1 to 65535",
        "2:11: kafka.brokers: `d:99999` is not `host:port` [CFG-VALUE]; write a host's name or address, a colon and a port from 1 to 65535",
        "2:11: kafka.brokers: `e f:1` is not `host:port` [CFG-VALUE]; write a host's name or address, a colon and a port from 1 to 65535",
    ]),
    (
        "[kafka]\nbrokers = \"a:1\"\n[kafka.options]\n\"auto.offset.reset\" = \"latest\"\n\"enable.auto.commit\" = true\n",
        &[
        "4:1: the Kafka option `auto.offset.reset` cannot be set [CFG-KAFKA]; remove it: Freshet itself decides where each partition is read from, so that no event is skipped or counted twice",
        "5:1: the Kafka option `enable.auto.commit` cannot be set [CFG-KAFKA]; remove it: Freshet keeps the positions in its data directory and commits none to Kafka",
    ],
    ),
    ("[store]\nnodes = [\"a\"]\n", &[
        "1:1: the section [store] needs the field `kind` [CFG-SHAPE]; add `kind`",
    ]),
    ("[store]\nkind = \"memory\"\nmemory = \"10\"\n", &[
        r#"3:10: store.memory `10` has no unit [CFG-VALUE]; write a whole number with a unit B, kB, KiB, MB, MiB, GB or GiB, such as 1MiB"#,
    ]),
    ("[store]\nkind = \"memory\"\nmemory = \"1kB\"\n", &[
        r#"3:10: store.memory `1kB` is out of range [CFG-VALUE]; write 1048576 B to 17592186044416 B"#,
    ]),
    ("[store]\nkind = \"scylla\"\nnodes = [\"a\"]\nmemory = \"1GiB\"\n", &[
        r#"4:10: store.memory has no meaning for the kind scylla [CFG-VALUE]; remove it, or write kind = "memory""#,
    ]),
    ("[store]\nkind = \"memory\"\nnodes = [\"a\"]\nreplication = 3\n", &[
        r#"3:10: store.nodes has no meaning for the kind memory [CFG-VALUE]; remove it, or write kind = "scylla""#,
        r#"4:15: store.replication has no meaning for the kind memory [CFG-VALUE]; remove it, or write kind = "scylla""#,
    ]),
    ("[store]\nkind = \"scyla\"\n", &[
        "2:8: store.kind `scyla` is unknown [CFG-VALUE]; did you mean `scylla`?",
    ]),
    ("[store]\nkind = \"scyla\"\nmemory = \"1\"\nnodes = [\"a\"]\nreplication = 99\n", &[
        "2:8: store.kind `scyla` is unknown [CFG-VALUE]; did you mean `scylla`?",
        "3:10: store.memory `1` has no unit [CFG-VALUE]; write a whole number with a unit B, kB, KiB, MB, MiB, GB or GiB, such as 1MiB",
        "5:15: store.replication `99` is not a whole number from 1 to 16 [CFG-VALUE]; write a number of that range",
    ]),
    ("[store]\nkind = [1]\nreplication = 99\nnode = []\n", &[
        "2:8: `kind` takes text, not a list [CFG-SHAPE]; write one text, without brackets",
        "3:15: store.replication `99` is not a whole number from 1 to 16 [CFG-VALUE]; write a number of that range",
        "4:1: unknown field `node` in the section [store] [CFG-SHAPE]; did you mean `nodes`?",
    ]),
    ("[store]\nkind = \"scylla\"\nkeyspace = \"Drop Table\"\nreplication = 0\n", &[
        r#"2:8: store.nodes is empty [CFG-VALUE]; write nodes = ["host:9042"]"#,
        "3:12: store.keyspace `Drop Table` is not a name [CFG-VALUE]; start with a lower-case letter, go on with lower-case letters, digits and `_`, 48 characters at most",
        "4:15: store.replication `0` is not a whole number from 1 to 16 [CFG-VALUE]; write a number of that range",
    ]),
    ("[workspace]\nname = \"../prod\"\n", &[
        "2:8: workspace.name `../prod` is not a name [CFG-VALUE]; start with a lower-case letter, go on with lower-case letters, digits and `_`, 64 characters at most",
    ]),
    ("[offline]\npath = \"${NOWHERE}/x\"\n", &[
        "2:8: the environment variable `NOWHERE` is not set [CFG-ENV]; set it, or write the value here",
    ]),
    ("[offline]\npath = \"${NOWHERE\"\n", &[
        "2:8: `${` has no closing `}` [CFG-ENV]; write `${NAME}`, or `$${` for the characters themselves",
    ]),
    ("[offline]\npath = \"${a b}\"\n", &[
        "2:8: `a b` cannot name an environment variable [CFG-ENV]; use letters, digits and `_`, starting with a letter",
    ]),
    ("[http]\nlisten = \"${SASL_PASSWORD}\"\n", &[
        "2:10: http.listen `${SASL_PASSWORD}` is not an address and port [CFG-VALUE]; write an IP address and a port, such as 127.0.0.1:7070 or [::1]:7070",
    ]),
    ("[kafka]\nbrokers = \"a:1,${SASL_PASSWORD}\"\n", &[
        "2:11: kafka.brokers: `a:1,${SASL_PASSWORD}` is not `host:port` [CFG-VALUE]; write a host's name or address, a colon and a port from 1 to 65535",
    ]),
    ("[engine]\nworkers = 1\nworkers = 2\n", &[
        "3:1: the file is not valid TOML: duplicate key [CFG-TOML]",
    ]),
    ("[engine\nworkers = 1\n\n[http]\nthreads = = 2\n", &[
        "1:8: the file is not valid TOML: unclosed table, expected `]` [CFG-TOML]",
        "5:11: the file is not valid TOML: extra `=`, expected nothing [CFG-TOML]",
        "5:13: the file is not valid TOML: unexpected key or value, expected newline, `#` [CFG-TOML]",
    ]),
];

#[test]
fn every_mistake_is_refused_with_its_place() {
    for (text, expected) in CASES {
        let expected: Vec<String> = expected.iter().map(|line| format!("freshet.toml:{line}")).collect();
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn an_error_of_shape_hides_no_error_of_a_value() {
    let text = "[engine]\nworkers = 0\nepoch = [1]\nclok = \"wall\"\n[http]\nthreads = 999\n[store]\nkind = \"scylla\"\n\
                nodes = 7\n[workspace]\nname = \"A\"\n";
    let lines = refused(text);
    let starts = ["2:11: engine.workers", "3:9: `epoch`", "4:1: unknown field `clok`", "6:11: http.threads"];
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(&format!("freshet.toml:{start}")), "{lines:#?}");
    }
    assert!(lines[4].starts_with("freshet.toml:9:9: `nodes`") && lines[5].contains("workspace.name"), "{lines:#?}");
    assert_eq!(lines.len(), 6, "half a section [store] is not judged: {lines:#?}");
}

#[test]
fn nothing_written_means_the_defaults() {
    let settings = Settings::parse("freshet.toml", "# nothing\n[engine]\n[http]\n", &variable).unwrap();
    assert_eq!(settings, Settings::default());
    assert_eq!((settings.engine.workers, settings.engine.epoch), (1, Span::from_micros(20_000)));
    assert_eq!((settings.engine.data_dir, settings.engine.clock), (PathBuf::from("data"), Clock::Wall));
    assert_eq!((settings.http.listen.to_string().as_str(), settings.http.max_body), ("127.0.0.1:7070", 1 << 20));
    assert_eq!((settings.http.max_batch, settings.http.max_in_flight), (1_000, 512));
    assert_eq!((settings.kafka, settings.store), (None, StoreSettings::default()));
    assert_eq!((settings.offline.path, settings.workspace.name.as_str()), (PathBuf::from("offline"), "prod"));
}

#[test]
fn everything_written_is_read() {
    let text = r#"
engine = {workers = 4, data_dir = "/var/lib/freshet", epoch = "100ms", clock = "event"}
[http]
listen = "[::1]:80"
threads = "2"
max_body = "2 MiB"
max_batch = 10
max_in_flight = 20
[kafka]
brokers = "a:9092, [::1]:9093,${HOST}:9094"
group = "freshet"
options = {"sasl.password" = "${SASL_PASSWORD}", "fetch.wait.max.ms" = 10, "debug" = "$${literal} ${TRICK}"}
[store]
kind = "scylla"
nodes = ["${HOST}", "b:9999"]
keyspace = "features"
replication = 3
[offline]
path = "/data/offline"
[workspace]
name = "staging"
"#;
    let settings = Settings::parse("freshet.toml", text, &variable).unwrap();
    let shown = format!("{settings:?}");
    assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "values of options are not shown: {shown}");
    assert_eq!((settings.engine.workers, settings.engine.epoch), (4, Span::from_micros(100_000)));
    assert_eq!((settings.engine.data_dir, settings.engine.clock), (PathBuf::from("/var/lib/freshet"), Clock::Event));
    assert_eq!((settings.http.listen.to_string().as_str(), settings.http.threads), ("[::1]:80", 2));
    assert_eq!((settings.http.max_body, settings.http.max_batch, settings.http.max_in_flight), (2 << 20, 10, 20));
    let kafka = settings.kafka.unwrap();
    assert_eq!(kafka.brokers, ["a:9092", "[::1]:9093", "db.internal:9094"]);
    assert_eq!(kafka.group.as_deref(), Some("freshet"));
    assert_eq!(kafka.options["sasl.password"], "hunter2");
    assert_eq!(kafka.options["fetch.wait.max.ms"], "10");
    assert_eq!(kafka.options["debug"], "${literal} ${HOST}", "what a variable holds is not looked at again");
    let nodes = vec!["db.internal:9042".to_string(), "b:9999".to_string()];
    let scylla = StoreSettings::Scylla { nodes, keyspace: "features".to_string(), replication: 3 };
    assert_eq!(settings.store, scylla);
    assert_eq!((settings.offline.path, settings.workspace.name.as_str()), (PathBuf::from("/data/offline"), "staging"));
}

#[test]
fn the_embedded_store_may_be_bounded() {
    let text = "[store]\nkind = \"memory\"\nmemory = \"2GiB\"\n";
    let settings = Settings::parse("freshet.toml", text, &variable).unwrap();
    assert_eq!(settings.store, StoreSettings::Memory { bytes: Some(2 << 30) });
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("freshet.toml");
    let line = Settings::load(&path).unwrap_err().to_string();
    assert!(line.starts_with(&path.display().to_string()) && line.contains("[CFG-FILE]"), "{line}");
    std::fs::write(&path, b"[engine]\nworkers = 3 # \xff").unwrap();
    assert!(Settings::load(&path).unwrap_err().to_string().contains("not UTF-8 at byte 23 [CFG-FILE]"));
    std::fs::write(&path, "[engine]\nworkers = 3\n").unwrap();
    assert_eq!(Settings::load(&path).unwrap().engine.workers, 3);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_reading_panic(text in "(\\[|\\]|\\{|\\}|=|\"|\n|\\.|\\$\\{|,|#|[\\PC]|engine|http|kafka|store|brokers|workers|options){0,60}") {
        let _ = Settings::parse("freshet.toml", &text, &variable);
    }
}
