//! The real binary as a process of a test: started, listened to, signalled, and killed when the test fails.

#![allow(dead_code)] // No test binary uses all of it.

use std::io::BufRead;
use std::io::BufReader;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything in these tests takes, so that a hang fails instead of lasting.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Environment variables of a process.
pub type Variables<'a> = [(&'a str, &'a str)];

fn command(arguments: &[&str], variables: &Variables<'_>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet"));
    command.args(arguments).env_remove("FRESHET_LOG").envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs a command of the binary to its end.
pub fn freshet(arguments: &[&str]) -> Output {
    command(arguments, &[]).output().expect("the binary runs")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A process that is killed when a test fails before its end.
pub struct Running(Child);

impl Running {
    pub fn start(arguments: &[&str], variables: &Variables<'_>) -> Running {
        let mut command = command(arguments, variables);
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs"))
    }

    /// `freshet run` with these arguments, once it is ready; and its URL. The rest of its log is thrown away as it
    /// comes.
    pub fn serve(arguments: &[&str], variables: &Variables<'_>) -> (Running, String) {
        let (running, url, mut log) = Running::listen(arguments, variables);
        find(&mut log, |line| line.contains("ready").then_some(()));
        drain(log);
        (running, url)
    }

    /// As [`Running::serve`], as soon as it listens; and the rest of its log, which must be read or [drained](drain).
    pub fn listen(arguments: &[&str], variables: &Variables<'_>) -> (Running, String, BufReader<ChildStderr>) {
        let mut running = Running::start(&[&["run"], arguments].concat(), variables);
        let mut log = running.stderr();
        let address = find(&mut log, |line| {
            let (_, rest) = line.split_once("listening address=")?;
            rest.split_whitespace().next().map(str::to_string)
        });
        (running, format!("http://{address}"), log)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().expect("piped and not taken before"))
    }

    pub fn stderr(&mut self) -> BufReader<ChildStderr> {
        BufReader::new(self.0.stderr.take().expect("piped and not taken before"))
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("bash").args(["-c", &format!("kill -{name} {}", self.0.id())]).status();
        assert!(sent.expect("bash runs").success());
    }

    pub fn end(mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait().expect("a child can be waited for") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the process does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already over in all good cases.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Throws the rest of a log away as it comes.
pub fn drain(mut log: BufReader<ChildStderr>) {
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
}

/// Reads lines up to one that `wanted` takes something from.
pub fn find<T>(lines: &mut impl BufRead, wanted: impl Fn(&str) -> Option<T>) -> T {
    let mut seen = String::new();
    loop {
        let before = seen.len();
        let read = lines.read_line(&mut seen).expect("text");
        assert!(read > 0, "the output ended before what was awaited:\n{seen}");
        if let Some(found) = wanted(seen[before..].trim_end()) {
            return found;
        }
    }
}
