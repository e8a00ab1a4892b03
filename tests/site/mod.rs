//! What a process runs on, in a temporary directory: definitions, settings and data; and what it says of itself over HTTP.

use std::fs;

use serde_json::Value;

use crate::process::{Running, drain};

/// A directory of definitions, of settings, and of data.
pub struct Site(tempfile::TempDir);

impl Site {
    /// `settings` are what a test needs beside the data directory and a free port to listen at: more of `[engine]`, then
    /// other sections.
    pub fn new(definitions: &str, settings: &str) -> Site {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().join("data");
        let settings = format!("http.listen = \"127.0.0.1:0\"\n[engine]\ndata_dir = {data:?}\n{settings}");
        let written = fs::create_dir(dir.path().join("definitions"))
            .and_then(|()| fs::write(dir.path().join("definitions/sales.yaml"), definitions))
            .and_then(|()| fs::write(dir.path().join("freshet.toml"), settings));
        written.expect("a temporary directory is written");
        Site(dir)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// `freshet run`, as soon as it listens; and its URL.
    pub fn run(&self) -> (Running, String) {
        let arguments = [&self.path("definitions"), "--config", &self.path("freshet.toml")];
        let (running, url, log) = Running::listen(&arguments, &[]);
        drain(log);
        (running, url)
    }
}

/// Status and body of a GET.
pub fn ask(url: &str, path: &str) -> (u16, Value) {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let mut answer = agent.get(&format!("{url}{path}")).call().expect("an answer");
    let body = answer.body_mut().read_to_string().expect("text");
    (answer.status().as_u16(), serde_json::from_str(&body).expect("JSON"))
}
