//! How one process of Freshet runs: `freshet.toml` -> [`Settings`], all errors at once.
//!
//! Every section and field may be left out; what it then is stands in [`Settings::default`]. Spans and sizes carry
//! their unit. `${NAME}` in a text is replaced by the environment variable, `$${` stands for a literal `${`.

mod check;
mod environment;
mod raw;
mod toml;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decode::{Decode, Shape};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::time::Span;

/// Largest settings file, in bytes.
pub const MAX_SETTINGS_BYTES: usize = 1 << 20;

/// How one process of Freshet runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub engine: EngineSettings,
    pub http: HttpSettings,
    /// `None` when there is no section `[kafka]`: Kafka streams cannot be read then.
    pub kafka: Option<KafkaSettings>,
    pub store: StoreSettings,
    pub offline: OfflineSettings,
    pub workspace: WorkspaceSettings,
}

/// `[engine]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// Threads that compute features, 1 to 256; 1 unless written.
    pub workers: usize,
    /// Where the log, checkpoints and the ledger are kept; `data` unless written.
    pub data_dir: PathBuf,
    /// Shortest time between two epochs, 1 ms to 1 h; 20 ms unless written.
    pub epoch: Span,
    /// What closes epochs; the wall clock unless written.
    pub clock: Clock,
}

/// What closes epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The time of day.
    Wall,
    /// The largest event time seen: replays of old data behave as when it was new.
    Event,
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Address and port served; `127.0.0.1:7070` unless written.
    pub listen: SocketAddr,
    /// Threads that serve, 1 to 256; 1 unless written.
    pub threads: usize,
    /// Largest request body in bytes, 1 KiB to 1 GiB; 1 MiB unless written.
    pub max_body: usize,
    /// Most lookups of one batch request, 1 to 100000; 1000 unless written.
    pub max_batch: usize,
    /// Most requests worked on at once, 1 to 1000000; 512 unless written. More are refused with 503.
    pub max_in_flight: usize,
}

/// `[kafka]`
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port` of each broker to start from, at least one.
    pub brokers: Vec<String>,
    /// Consumer group that progress is reported under; nothing is read from it.
    pub group: Option<String>,
    /// Passed to the client as they are; those that would lose or repeat events are refused.
    pub options: BTreeMap<String, String>,
}

/// Values of options may be secrets: their names are shown, they are not.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.options.keys().collect();
        let mut shown = f.debug_struct("KafkaSettings");
        shown.field("brokers", &self.brokers).field("group", &self.group).field("options", &names).finish()
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// In the process, rebuilt when it starts.
    Memory {
        /// Most bytes of keys, rows and tables, 1 MiB to 16 TiB; no bound unless written.
        bytes: Option<usize>,
    },
    Scylla {
        /// `host:port` of each node to start from, at least one; port 9042 unless written.
        nodes: Vec<String>,
        /// `freshet` unless written.
        keyspace: String,
        /// Copies of each row, 1 to 16; 1 unless written.
        replication: u32,
    },
}

/// `[offline]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfflineSettings {
    /// Where the offline store keeps its files; `offline` unless written.
    pub path: PathBuf,
}

/// `[workspace]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceSettings {
    /// `prod` unless written.
    pub name: String,
}

impl Default for StoreSettings {
    fn default() -> StoreSettings {
        StoreSettings::Memory { bytes: None }
    }
}

impl Default for EngineSettings {
    fn default() -> EngineSettings {
        EngineSettings {
            workers: 1,
            data_dir: PathBuf::from("data"),
            epoch: Span::from_micros(20_000),
            clock: Clock::Wall,
        }
    }
}

impl Default for HttpSettings {
    fn default() -> HttpSettings {
        HttpSettings {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7070),
            threads: 1,
            max_body: 1 << 20,
            max_batch: 1_000,
            max_in_flight: 512,
        }
    }
}

impl Default for OfflineSettings {
    fn default() -> OfflineSettings {
        OfflineSettings { path: PathBuf::from("offline") }
    }
}

impl Default for WorkspaceSettings {
    fn default() -> WorkspaceSettings {
        WorkspaceSettings { name: "prod".to_string() }
    }
}

impl Settings {
    /// Reads a settings file, with the variables of the process's environment.
    pub fn load(path: &Path) -> Result<Settings, Diagnostics> {
        let file: Arc<str> = path.display().to_string().into();
        let refuse = |message: String, hint: &str| {
            let place = Place::new(&file, 0, 0);
            Diagnostics::from(Diagnostic::new(&place, "CFG-FILE", message).hint(hint))
        };
        let unreadable =
            |error| refuse(format!("cannot read the settings: {error}"), "check the path and its permissions");
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(path).map_err(unreadable)?;
        opened.take(MAX_SETTINGS_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() > MAX_SETTINGS_BYTES {
            let message = format!("the file holds more than the {MAX_SETTINGS_BYTES} bytes settings may");
            return Err(refuse(message, "is this the right file?"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            refuse(format!("the settings are not UTF-8 at byte {at}"), "save the file as UTF-8")
        })?;
        Settings::parse(&file, &text, &|name| std::env::var(name).ok())
    }

    /// Reads settings from text. `file` is used for places only; `variable` looks an environment variable up.
    pub fn parse(file: &str, text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Settings, Diagnostics> {
        let mut shape = Shape::new("CFG-SHAPE");
        let mut tree = self::toml::read(&file.into(), text, &mut shape.errors);
        if !shape.errors.is_empty() {
            // What was read around an error of syntax is not what was meant.
            return shape.errors.into_result(Settings::default());
        }
        let mut written = environment::Written::new();
        environment::interpolate(&mut tree, variable, &mut written, &mut shape.errors);
        let raw = raw::RawSettings::decode(&tree, &mut shape);
        let mut errors = shape.errors;
        // With errors of shape the settings are refused anyway; the values of what is sound are checked all the same.
        let settings = raw.map(|raw| check::settings(raw, &mut errors)).unwrap_or_default();
        environment::masked(errors, &written).into_result(settings)
    }
}
