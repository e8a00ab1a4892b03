//! The shipped examples, running: definitions inside the binary, one process, and a terminal to watch.

mod board;
pub mod flights;
pub mod fraud;
mod prober;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use freshet_config::settings::{EngineSettings, StoreSettings};
use freshet_engine::clock::Clock;
use freshet_serving::{Limits, ServerConfig};
use tempfile::TempDir;

use crate::data_dir::DataDir;
use crate::exit::Failure;
use crate::node::NodeOptions;

pub use crate::cli::DemoPlace as Place;

/// Where a demo keeps its data: the directory asked for, or one that goes away with the demo.
struct DemoDir {
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl DemoDir {
    fn open(asked: Option<&Path>) -> Result<DemoDir, Failure> {
        if let Some(path) = asked {
            return Ok(DemoDir { path: path.to_path_buf(), _temporary: None });
        }
        let temporary = tempfile::Builder::new().prefix("freshet-demo-").tempdir();
        let temporary = temporary
            .map_err(|error| Failure::cannot_write(format!("cannot create a temporary directory: {error}")))?;
        Ok(DemoDir { path: temporary.path().to_path_buf(), _temporary: Some(temporary) })
    }

    fn own(&self) -> Result<DataDir, Failure> {
        DataDir::open(&self.path)
    }
}

/// One process with everything in memory, at the settings' defaults.
fn node_options(place: &Place, data: &Path, clock: Arc<Clock>) -> NodeOptions {
    NodeOptions {
        workspace: "prod".to_string(),
        workers: place.workers,
        epoch: EngineSettings::default().epoch,
        kafka: None,
        offline: data.join("offline"),
        clock,
        store: StoreSettings::default(),
        server: ServerConfig { listen: place.listen, threads: 1, limits: Limits::default() },
    }
}
