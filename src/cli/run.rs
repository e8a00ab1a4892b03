//! `freshet run`: engine and serving on real sources, until a signal comes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use freshet_config::Settings;
use freshet_config::settings;
use freshet_engine::clock::Clock;
use freshet_serving::{Limits, ServerConfig};

use super::arguments;
use crate::data_dir::DataDir;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::node::{Node, NodeOptions};
use crate::trouble::TroubleLog;

/// How often a running engine is asked whether it still works.
const WATCH: Duration = Duration::from_millis(500);

/// Compute and serve features from real sources.
#[derive(Debug, Args)]
pub struct Run {
    /// The directory of definition files.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The settings file; without one, everything is at its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Threads that compute features, 1 to 256, instead of the settings' number.
    #[arg(long, value_name = "N", value_parser = arguments::threads, allow_negative_numbers = true)]
    workers: Option<usize>,
    /// Address and port to serve on, instead of the settings'.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = arguments::listen)]
    listen: Option<SocketAddr>,
    /// Where the log and the ledger are kept, instead of the settings' directory.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Run {
    pub fn run(self) -> Result<(), Failure> {
        super::start_logging("info")?;
        let settings = self.settings()?;
        let plan = super::compile(&self.directory)?;
        let interrupt = Interrupt::listen()?;
        let data_dir = DataDir::open(&settings.engine.data_dir)?;
        let node = Node::start(plan.clone(), data_dir, node_options(settings))?;
        tracing::info!(address = %node.address(), plan = %plan.plan_id, "listening");
        let outcome = serve(&node, &interrupt);
        tracing::info!("stopping; a second signal ends the process at once");
        let stopped = node.stop();
        outcome.and(stopped)
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = match &self.config {
            Some(file) => Settings::load(file).map_err(|errors| Failure::settings(&errors))?,
            None => Settings::default(),
        };
        if let Some(workers) = self.workers {
            settings.engine.workers = workers;
        }
        if let Some(listen) = self.listen {
            settings.http.listen = listen;
        }
        if let Some(data_dir) = &self.data_dir {
            settings.engine.data_dir.clone_from(data_dir);
        }
        Ok(settings)
    }
}

fn serve(node: &Node, interrupt: &Interrupt) -> Result<(), Failure> {
    let mut troubles = TroubleLog::default();
    if node.await_ready(interrupt, &mut troubles)? {
        tracing::info!("ready");
    }
    while !interrupt.wait(WATCH) {
        node.look(&mut troubles)?;
    }
    Ok(())
}

fn node_options(settings: Settings) -> NodeOptions {
    let clock = match settings.engine.clock {
        settings::Clock::Wall => Clock::Wall,
        settings::Clock::Event => Clock::event(),
    };
    NodeOptions {
        workspace: settings.workspace.name,
        workers: settings.engine.workers,
        epoch: settings.engine.epoch,
        kafka: settings.kafka,
        offline: settings.offline.path,
        clock: Arc::new(clock),
        store: settings.store,
        server: ServerConfig {
            listen: settings.http.listen,
            threads: settings.http.threads,
            limits: Limits {
                body_bytes: settings.http.max_body,
                ingest_body_bytes: settings.http.max_body,
                batch_rows: settings.http.max_batch,
                in_flight: settings.http.max_in_flight,
                ..Limits::default()
            },
        },
    }
}
