//! Real servers for tests: started on free loopback ports in a temporary directory, stopped when dropped.
//!
//! A test binary takes this file in with `#[path]`. A server that cannot be started fails the test with one sentence
//! that says what to do; `tests/services/prerequisites` provides what the servers need.

#![allow(dead_code)] // No test binary uses all of it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to stop by itself before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// A free port can be taken by somebody else before the server binds it.
const PORT_ATTEMPTS: usize = 3;

/// A server of this test alone.
pub struct Service {
    name: &'static str,
    directory: TempDir,
    ports: [u16; 2],
    /// `None` between [`Service::kill`] or [`Service::stop`] and [`Service::start`].
    pid: Option<u32>,
}

impl Service {
    /// A Kafka broker without topics, which it does not create by itself.
    pub fn kafka() -> Service {
        Service::new("kafka")
    }

    /// A Kafka broker that [`Service::start`] will start: its address is known, and nobody listens there yet.
    pub fn kafka_later() -> Service {
        Service::later("kafka")
    }

    /// A Cassandra node without keyspaces, in the data centre `datacenter1`. What it has acknowledged survives a kill.
    pub fn cassandra() -> Service {
        Service::new("cassandra")
    }

    /// As [`Service::kafka_later`].
    pub fn cassandra_later() -> Service {
        Service::later("cassandra")
    }

    fn later(name: &'static str) -> Service {
        let directory = TempDir::with_prefix(format!("freshet-{name}-")).expect("a temporary directory");
        Service { name, directory, ports: free_ports(), pid: None }
    }

    fn new(name: &'static str) -> Service {
        let mut refusal = String::new();
        for _ in 0..PORT_ATTEMPTS {
            let directory = TempDir::with_prefix(format!("freshet-{name}-")).expect("a temporary directory");
            let mut service = Service { name, directory, ports: free_ports(), pid: None };
            match service.try_start() {
                Ok(()) => return service,
                Err(error) => refusal = error,
            }
            // The script's word for a server that was run and ended; everything else fails again in the same way.
            if !refusal.contains("did not start") {
                break;
            }
        }
        panic!("{}", refusal.trim_end());
    }

    /// `host:port` for clients; the same after a restart.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Ends the server as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(pid) = self.pid.take() {
            signal(pid, "KILL");
            self.wait(pid, STOP_PATIENCE);
        }
    }

    /// Ends the server as an operator would, by force if it does not heed.
    pub fn stop(&mut self) {
        if let Some(pid) = self.pid.take() {
            signal(pid, "TERM");
            if !self.wait(pid, STOP_PATIENCE) {
                signal(pid, "KILL");
                self.wait(pid, STOP_PATIENCE);
            }
        }
    }

    /// Starts the server again on the data it had, at the same address.
    pub fn start(&mut self) {
        if let Err(error) = self.try_start() {
            panic!("{}", error.trim_end());
        }
    }

    fn try_start(&mut self) -> Result<(), String> {
        let script = scripts().join(self.name).join("start");
        let output = Command::new("bash")
            .arg(&script)
            .arg(self.directory.path())
            .args(self.ports.map(|port| port.to_string()))
            .env("SERVICES_CACHE", jar_cache())
            .env("SERVICE_OWNER", std::process::id().to_string())
            .output()
            .map_err(|e| format!("{} cannot be run with bash: {e}", script.display()))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        let pid = printed.lines().last().and_then(|line| line.trim().parse().ok());
        self.pid = Some(pid.ok_or_else(|| format!("{} printed no pid but `{printed}`", script.display()))?);
        Ok(())
    }

    /// Whether the server was gone within `patience`.
    fn wait(&self, pid: u32, patience: Duration) -> bool {
        let started = Instant::now();
        while runs(pid) {
            if started.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

/// `tests/services` of the repository, whichever of its packages the test belongs to.
fn scripts() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of_repository = |root: &Path| root.join("tests/services/jvm.sh").exists();
    let root = package.ancestors().find(|root| of_repository(root)).unwrap_or(package);
    root.join("tests/services")
}

/// Beside the build's own output, so that `cargo clean` removes it and every test binary shares it.
fn jar_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("services")
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free loopback port"));
    listeners.map(|listener| listener.local_addr().expect("a bound socket has an address").port())
}

/// A port on which nobody listens.
pub fn closed_port() -> u16 {
    free_ports()[0]
}

fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: a program of that name is not installed everywhere.
    let status = Command::new("bash").args(["-c", &format!("kill -{name} {pid} 2>/dev/null")]).status();
    assert!(status.is_ok(), "bash cannot be run");
}

/// Whether the process runs; one that ended and was not yet waited for by its parent has no command line.
fn runs(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}
