//! Values of settings within their ranges.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::raw::{RawEngine, RawHttp, RawKafka, RawSettings, RawStore};
use super::{Clock, EngineSettings, HttpSettings, KafkaSettings, Settings, StoreSettings};
use crate::decode::{At, Pairs, Spelled, shorten};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::resolve::read_span;
use crate::time::Span;

const CODE: &str = "CFG-VALUE";

/// Shortest and longest `engine.epoch`.
const EPOCHS: RangeInclusive<Span> = Span::from_micros(1_000)..=Span::from_secs(3_600);
/// Units of sizes, in bytes.
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// Checks every value. What is refused keeps its default: nobody sees settings with errors.
pub fn settings(raw: RawSettings, errors: &mut Diagnostics) -> Settings {
    let mut settings = Settings::default();
    if let Some(raw) = raw.engine {
        engine(raw, &mut settings.engine, errors);
    }
    if let Some(raw) = raw.http {
        http(raw, &mut settings.http, errors);
    }
    settings.kafka = raw.kafka.map(|raw| kafka(raw, errors));
    if let Some(raw) = raw.store {
        settings.store = store(raw, errors);
    }
    if let Some(written) = raw.offline.and_then(|raw| raw.path) {
        set(&mut settings.offline.path, path("offline.path", &written, errors));
    }
    if let Some(written) = raw.workspace.and_then(|raw| raw.name) {
        set(&mut settings.workspace.name, name("workspace.name", 64, &written, errors));
    }
    settings
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn refuse<T>(written: &At<T>, message: String, hint: impl Into<String>, errors: &mut Diagnostics) {
    errors.push(Diagnostic::new(&written.place, CODE, message).hint(hint));
}

fn engine(raw: RawEngine, settings: &mut EngineSettings, errors: &mut Diagnostics) {
    if let Some(written) = raw.workers {
        set(&mut settings.workers, count("engine.workers", &written, 1..=256, errors));
    }
    if let Some(written) = raw.data_dir {
        set(&mut settings.data_dir, path("engine.data_dir", &written, errors));
    }
    if let Some(span) = raw.epoch.as_ref().and_then(|written| read_span(("engine.epoch", ""), CODE, written, errors)) {
        match (EPOCHS.contains(&span), raw.epoch) {
            (false, Some(written)) => {
                let message = format!("engine.epoch `{}` is out of range", shorten(&written.value.0));
                refuse(&written, message, format!("write {} to {}", EPOCHS.start(), EPOCHS.end()), errors);
            }
            _ => settings.epoch = span,
        }
    }
    if let Some(written) = raw.clock {
        match written.value.as_str() {
            "wall" => settings.clock = Clock::Wall,
            "event" => settings.clock = Clock::Event,
            other => {
                let message = format!("engine.clock `{}` is unknown", shorten(other));
                refuse(&written, message, suggestion(other, ["wall", "event"]), errors);
            }
        }
    }
}

fn http(raw: RawHttp, settings: &mut HttpSettings, errors: &mut Diagnostics) {
    if let Some(written) = raw.listen {
        match written.value.parse::<SocketAddr>() {
            Ok(address) => settings.listen = address,
            Err(_) => {
                let message = format!("http.listen `{}` is not an address and port", shorten(&written.value));
                refuse(
                    &written,
                    message,
                    "write an IP address and a port, such as 127.0.0.1:7070 or [::1]:7070",
                    errors,
                );
            }
        }
    }
    if let Some(written) = raw.threads {
        set(&mut settings.threads, count("http.threads", &written, 1..=256, errors));
    }
    if let Some(written) = raw.max_body {
        set(&mut settings.max_body, bytes("http.max_body", &written, 1 << 10..=1 << 30, errors));
    }
    if let Some(written) = raw.max_batch {
        set(&mut settings.max_batch, count("http.max_batch", &written, 1..=100_000, errors));
    }
    if let Some(written) = raw.max_in_flight {
        set(&mut settings.max_in_flight, count("http.max_in_flight", &written, 1..=1_000_000, errors));
    }
}

fn kafka(raw: RawKafka, errors: &mut Diagnostics) -> KafkaSettings {
    let mut brokers = Vec::new();
    for written in &raw.brokers.value.0 {
        for broker in written.value.split(',').map(str::trim) {
            brokers.extend(host_and_port("kafka.brokers", broker, None, written, errors));
        }
    }
    if raw.brokers.value.0.is_empty() {
        let hint = "write `host:port` of at least one broker";
        refuse(&raw.brokers, "kafka.brokers is empty".to_string(), hint, errors);
    }
    let group = raw.group.filter(|written| {
        let empty = written.value.trim().is_empty();
        if empty {
            refuse(written, "kafka.group is empty".to_string(), "name a group, or leave it out", errors);
        }
        !empty
    });
    let options = raw.options.map(|written| options(&written, errors)).unwrap_or_default();
    KafkaSettings { brokers, group: group.map(|written| written.value), options: options.into_iter().collect() }
}

/// Options of the client, without those that would break what Freshet promises.
fn options(written: &Pairs<At<Spelled>>, errors: &mut Diagnostics) -> Vec<(String, String)> {
    let mut options = Vec::new();
    for (name, value) in &written.entries {
        let reason = match name.value.as_str() {
            "auto.offset.reset" => {
                "Freshet itself decides where each partition is read from, so that no event is skipped or counted twice"
            }
            "enable.auto.commit" | "enable.auto.offset.store" | "auto.commit.interval.ms" => {
                "Freshet keeps the positions in its data directory and commits none to Kafka"
            }
            "isolation.level" => "records of aborted transactions are never events",
            "enable.idempotence" | "acks" | "request.required.acks" => {
                "an ingest is confirmed once it is safe, and weaker settings would lose confirmed events"
            }
            "bootstrap.servers" | "metadata.broker.list" => "brokers are named by kafka.brokers",
            "group.id" => "the group is named by kafka.group",
            _ => {
                options.push((name.value.clone(), value.value.0.clone()));
                continue;
            }
        };
        let message = format!("the Kafka option `{}` cannot be set", name.value);
        errors.push(Diagnostic::new(&name.place, "CFG-KAFKA", message).hint(format!("remove it: {reason}")));
    }
    options
}

fn store(raw: RawStore, errors: &mut Diagnostics) -> StoreSettings {
    match raw.kind.value.as_str() {
        "memory" => {
            let nodes = raw.nodes.as_ref().and_then(|nodes| nodes.0.first()).map(|node| &node.place);
            let given = [
                ("nodes", nodes),
                ("keyspace", raw.keyspace.as_ref().map(|at| &at.place)),
                ("replication", raw.replication.as_ref().map(|at| &at.place)),
            ];
            for (field, place) in given {
                if let Some(place) = place {
                    let message = format!("store.{field} has no meaning for the kind memory");
                    errors.push(Diagnostic::new(place, CODE, message).hint("remove it, or write kind = \"scylla\""));
                }
            }
            StoreSettings::Memory { bytes: raw.memory.and_then(|written| store_bytes(&written, errors)) }
        }
        "scylla" => scylla(raw, errors),
        other => {
            let message = format!("store.kind `{}` is unknown", shorten(other));
            refuse(&raw.kind, message, suggestion(other, ["memory", "scylla"]), errors);
            // Whatever was meant, each value has its range.
            raw.memory.as_ref().map(|written| store_bytes(written, errors));
            StoreTables::read(&raw, errors);
            StoreSettings::default()
        }
    }
}

fn store_bytes(written: &At<Spelled>, errors: &mut Diagnostics) -> Option<usize> {
    bytes("store.memory", written, 1 << 20..=1 << 44, errors)
}

fn scylla(raw: RawStore, errors: &mut Diagnostics) -> StoreSettings {
    if let Some(written) = &raw.memory {
        let message = "store.memory has no meaning for the kind scylla".to_string();
        refuse(written, message, "remove it, or write kind = \"memory\"", errors);
    }
    if raw.nodes.as_ref().is_none_or(|nodes| nodes.0.is_empty()) && !raw.strange {
        refuse(&raw.kind, "store.nodes is empty".to_string(), "write nodes = [\"host:9042\"]", errors);
    }
    let StoreTables { nodes, keyspace, replication } = StoreTables::read(&raw, errors);
    StoreSettings::Scylla {
        nodes,
        keyspace: keyspace.unwrap_or_else(|| "freshet".to_string()),
        replication: replication.unwrap_or(1) as u32,
    }
}

/// Where a cluster keeps its tables.
struct StoreTables {
    nodes: Vec<String>,
    keyspace: Option<String>,
    replication: Option<usize>,
}

impl StoreTables {
    fn read(raw: &RawStore, errors: &mut Diagnostics) -> StoreTables {
        let mut node = |at: &At<String>| host_and_port("store.nodes", &at.value, Some(9042), at, errors);
        let nodes = raw.nodes.iter().flat_map(|nodes| &nodes.0).filter_map(&mut node).collect();
        let keyspace = raw.keyspace.as_ref().and_then(|written| name("store.keyspace", 48, written, errors));
        let replication =
            raw.replication.as_ref().and_then(|written| count("store.replication", written, 1..=16, errors));
        StoreTables { nodes, keyspace, replication }
    }
}

/// A whole number of a range.
fn count(field: &str, written: &At<Spelled>, range: RangeInclusive<usize>, errors: &mut Diagnostics) -> Option<usize> {
    let found = written.value.0.parse().ok().filter(|number| range.contains(number));
    if found.is_none() {
        let message = format!(
            "{field} `{}` is not a whole number from {} to {}",
            shorten(&written.value.0),
            range.start(),
            range.end()
        );
        refuse(written, message, "write a number of that range", errors);
    }
    found
}

/// A size with its unit, in bytes.
fn bytes(field: &str, written: &At<Spelled>, range: RangeInclusive<u64>, errors: &mut Diagnostics) -> Option<usize> {
    let text = written.value.0.as_str();
    let shown = shorten(text);
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (amount, unit) = (&text[..digits], text[digits..].trim());
    let unit_bytes = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
    let (Ok(amount), Some(unit_bytes)) = (amount.parse::<u64>(), unit_bytes) else {
        let message = match unit.is_empty() && digits > 0 {
            true => format!("{field} `{shown}` has no unit"),
            false => format!("{field} `{shown}` is not a size"),
        };
        refuse(
            written,
            message,
            "write a whole number with a unit B, kB, KiB, MB, MiB, GB or GiB, such as 1MiB",
            errors,
        );
        return None;
    };
    let size = amount.checked_mul(unit_bytes).filter(|size| range.contains(size));
    if size.is_none() {
        let hint = format!("write {} B to {} B", range.start(), range.end());
        refuse(written, format!("{field} `{shown}` is out of range"), hint, errors);
    }
    size.and_then(|size| usize::try_from(size).ok())
}

fn path(field: &str, written: &At<String>, errors: &mut Diagnostics) -> Option<PathBuf> {
    if written.value.trim().is_empty() || written.value.contains('\0') {
        refuse(written, format!("{field} is not a path"), "name a directory", errors);
        return None;
    }
    Some(PathBuf::from(&written.value))
}

fn name(field: &str, longest: usize, written: &At<String>, errors: &mut Diagnostics) -> Option<String> {
    let text = &written.value;
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let first = text.starts_with(|c: char| c.is_ascii_lowercase());
    if first && text.len() <= longest && text.chars().all(letters) {
        return Some(text.clone());
    }
    let hint = format!(
        "start with a lower-case letter, go on with lower-case letters, digits and `_`, {longest} characters at most"
    );
    refuse(written, format!("{field} `{}` is not a name", shorten(text)), hint, errors);
    None
}

/// `host:port`; a port may be left out where there is a usual one.
fn host_and_port(
    field: &str,
    text: &str,
    usual_port: Option<u16>,
    written: &At<String>,
    errors: &mut Diagnostics,
) -> Option<String> {
    let (host, port) = match text.rsplit_once(':') {
        // The last colon of a bare IPv6 address parts no port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
        Some(_) => ("", None),
        None => (text, usual_port),
    };
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    match port.filter(|port| *port > 0) {
        Some(port) if !host.is_empty() && host.chars().all(letters) => Some(format!("{host}:{port}")),
        _ => {
            let message = format!("{field}: `{}` is not `host:port`", shorten(text));
            refuse(written, message, "write a host's name or address, a colon and a port from 1 to 65535", errors);
            None
        }
    }
}
