//! Replies: a status, a body in memory, and the few headers that depend on the outcome.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::error::ApiError;

/// What the handlers answer with.
pub type Reply = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The plan an answer was made under.
pub const PLAN_HEADER: HeaderName = HeaderName::from_static("x-freshet-plan");

/// A reply with a body of the given type.
pub fn with_type(status: u16, content_type: HeaderValue, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    // Every status comes from a fixed list of valid ones.
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    reply
}

pub fn json(status: u16, body: impl Into<Bytes>) -> Reply {
    with_type(status, JSON, body)
}

/// Marks a reply as the connection's last.
pub fn close(reply: &mut Reply) {
    reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Reply {
        let mut reply = json(error.kind.status(), error.body());
        if let Some(allow) = error.allow {
            reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = error.retry_after_seconds {
            reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if error.close {
            close(&mut reply);
        }
        reply
    }
}
