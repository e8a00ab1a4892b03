//! Asking a running Freshet over HTTP.

use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;

use crate::exit::{Failure, Status};

/// Where `freshet run` and `freshet demo` listen unless told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:7070";
pub const GET_FEATURES: &str = "/api/v1/feature-service/get-features";
pub const METADATA: &str = "/api/v1/feature-service/metadata";
pub const INGEST: &str = "/ingest";

/// One answer is waited for at most this long.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Answers are small; one larger than this is not Freshet's.
const MOST_BYTES: u64 = 64 << 20;

/// A client of one server; its connections are kept.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    url: String,
}

/// A status and a body, whatever the status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// Seconds after which the server wants to be asked again.
    pub retry_after: Option<u64>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("`{0}` is no address of a server: write http://HOST:PORT")]
    Url(String),
    #[error("cannot reach {url}: {cause}; is `freshet run` or `freshet demo` running there?")]
    Unreachable { url: String, cause: String },
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let status = match &error {
            ClientError::Url(_) => Status::Usage,
            ClientError::Unreachable { .. } => Status::Unavailable,
        };
        Failure::new(status, error.to_string())
    }
}

impl Client {
    /// `url` is `http://HOST:PORT`, with or without a slash behind it.
    pub fn new(url: &str) -> Result<Client, ClientError> {
        let refuse = || ClientError::Url(url.to_string());
        let host = url.strip_prefix("http://").ok_or_else(refuse)?.trim_end_matches('/');
        if host.is_empty() || host.contains(['/', '?', '#', ' ']) {
            return Err(refuse());
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A proxy stands between networks; a feature server is asked directly.
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .build();
        Ok(Client { agent: Agent::new_with_config(config), url: format!("http://{host}") })
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Result<Answer, ClientError> {
        let request = self.agent.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let mut response = request.send(body).map_err(|error| self.unreachable(&error))?;
        let retry_after = retry_after(&response);
        let read = response.body_mut().with_config().limit(MOST_BYTES).read_to_vec();
        let body = read.map_err(|error| self.unreachable(&error))?;
        Ok(Answer { status: response.status().as_u16(), body, retry_after })
    }

    fn unreachable(&self, error: &ureq::Error) -> ClientError {
        let said = error.to_string();
        // `io: Connection refused (os error 111)`: what helps is in the middle.
        let cause = said.strip_prefix("io: ").unwrap_or(&said);
        let cause = cause.split(" (os error ").next().unwrap_or(cause);
        let mut letters = cause.chars();
        let cause = letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect());
        ClientError::Unreachable { url: self.url.clone(), cause }
    }
}

fn retry_after(response: &Response<ureq::Body>) -> Option<u64> {
    response.headers().get("retry-after")?.to_str().ok()?.parse().ok()
}

impl Answer {
    /// The body as JSON when the status says success, else what the server said was wrong.
    pub fn success(&self) -> Result<serde_json::Value, Failure> {
        let body: Result<serde_json::Value, _> = serde_json::from_slice(&self.body);
        if (200..300).contains(&self.status) {
            return body.map_err(|error| {
                Failure::unavailable(format!("the server's answer is no JSON, is it Freshet? {error}"))
            });
        }
        let said = body.ok().and_then(|body| body["message"].as_str().map(str::to_string));
        let message = said.unwrap_or_else(|| format!("the server answered {} without a reason", self.status));
        let status = match self.status {
            400..500 => Status::Data,
            502..=504 | 507 => Status::Unavailable,
            _ => Status::Internal,
        };
        Err(Failure::new(status, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_pass() {
        for good in ["http://127.0.0.1:7070", "http://localhost:7070/", "http://[::1]:1"] {
            Client::new(good).unwrap();
        }
        for bad in ["127.0.0.1:7070", "https://x", "http://", "http://a/b", "http://a b", ""] {
            let message = Client::new(bad).unwrap_err().to_string();
            assert!(message.contains(&format!("`{bad}` is no address of a server")), "{message}");
        }
    }

    #[test]
    fn refusals_say_what_the_server_said() {
        let answer = |status, body: &str| Answer { status, body: body.into(), retry_after: None };
        let refused = answer(404, r#"{"message":"unknown feature service `x`"}"#).success().unwrap_err();
        assert_eq!(refused, Failure::data("unknown feature service `x`"));
        assert_eq!(answer(503, "").success().unwrap_err().status, Status::Unavailable);
        assert_eq!(answer(500, "[]").success().unwrap_err().status, Status::Internal);
        assert_eq!(answer(200, "[1]").success().unwrap(), serde_json::json!([1]));
    }
}
