//! The embedded logs of one process: each opened once, shared by the intake that reads it and the pushes that feed it.

use std::collections::HashMap;
use std::path::Path;

use freshet_config::definitions::{Definitions, Stream};
use freshet_connectors::log::Log;

use super::IntakeError;

/// Open logs by the name of their source or dimension. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    logs: HashMap<String, Log>,
}

impl Logs {
    /// Opens or creates `data_dir/log/NAME` for every source and dimension that is fed through the embedded log.
    pub fn open(definitions: &Definitions, data_dir: &Path) -> Result<Logs, IntakeError> {
        let mut logs = Logs::default();
        for source in &definitions.sources {
            logs.add(&source.name, source.stream.as_ref(), data_dir)?;
        }
        for dimension in &definitions.dimensions {
            // Ledgers and positions go by these names too, so that this counts whatever the streams are.
            if dimension.changes.is_some() && definitions.source(&dimension.name).is_some() {
                return Err(IntakeError::NameTwice(dimension.name.clone()));
            }
            logs.add(&dimension.name, dimension.changes.as_ref(), data_dir)?;
        }
        Ok(logs)
    }

    fn add(&mut self, name: &str, stream: Option<&Stream>, data_dir: &Path) -> Result<(), IntakeError> {
        if matches!(stream, Some(Stream::Log)) {
            let log = Log::open(&data_dir.join("log").join(name))
                .map_err(|error| IntakeError::Log { input: name.to_string(), error })?;
            self.logs.insert(name.to_string(), log);
        }
        Ok(())
    }

    /// The log of a source or dimension.
    pub fn get(&self, name: &str) -> Option<&Log> {
        self.logs.get(name)
    }
}
