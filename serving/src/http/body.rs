//! Request bodies: read within a size, a time and a budget of bytes for the whole server.
//!
//! A body known to be too large is refused before any of it is read. The refusal would be lost if the connection were
//! closed under a caller who is still sending, so some of the rest is read and thrown away first.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header;

use crate::error::{ApiError, ErrorKind};
use crate::limits::Limits;
use crate::state::{Gauge, Held};

/// A whole body, and its share of the server's budget.
#[derive(Debug)]
pub struct Received {
    pub bytes: Bytes,
    _held: Held,
}

/// Reads `body` whole. `limit` is the route's.
pub async fn read(body: Incoming, limit: usize, limits: &Limits, buffered: &Gauge) -> Result<Received, ApiError> {
    if body.size_hint().lower() > limit as u64 {
        let error = too_large(limit);
        linger(body);
        return Err(error);
    }
    match tokio::time::timeout(limits.body_timeout, collect(body, limit, limits, buffered)).await {
        Ok(received) => received,
        Err(_) => {
            let seconds = limits.body_timeout.as_secs_f64();
            let message =
                format!("the request body did not arrive within {seconds} s; send it whole or in smaller parts");
            Err(ApiError::new(ErrorKind::SlowBody, message))
        }
    }
}

async fn collect(mut body: Incoming, limit: usize, limits: &Limits, buffered: &Gauge) -> Result<Received, ApiError> {
    // An amount of nothing always fits.
    let mut held = buffered.take(0, usize::MAX).ok_or_else(no_room)?;
    let mut first = Bytes::new();
    let mut joined: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| broken())?;
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        let length = first.len().max(joined.len());
        if length + data.len() > limit {
            linger(body);
            return Err(too_large(limit));
        }
        if !held.grow(data.len(), limits.buffered_bytes) {
            linger(body);
            return Err(no_room());
        }
        // Most bodies come in one piece, which is used as it is.
        if length == 0 {
            first = data;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&data);
        }
    }
    let bytes = if joined.is_empty() { first } else { joined.into() };
    Ok(Received { bytes, _held: held })
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(ErrorKind::TooLarge, format!("the request body is larger than {limit} bytes; split it"))
}

fn no_room() -> ApiError {
    let mut error = ApiError::new(ErrorKind::Unavailable, "the server holds too many request bodies; try again");
    error.close = true;
    error
}

fn broken() -> ApiError {
    let mut error = ApiError::invalid("the request body breaks off or is badly framed; send all of it");
    error.close = true;
    error
}

/// What is read of a refused body at most, and how long.
const LINGER_BYTES: usize = 8 << 20;
const LINGER: Duration = Duration::from_secs(2);

/// Leaves the body of a request that is answered without it. Whether the connection has to end with the answer: a body
/// that is small by its own account is read behind the answer, and what follows it is as good as before.
pub fn pass_over(request: Request<Incoming>) -> bool {
    if request.body().is_end_stream() {
        return false;
    }
    let small = request.body().size_hint().upper().is_some_and(|bytes| bytes <= PASSED_OVER as u64);
    // Who asks before sending does not send what is refused, and need not say so.
    let asks = request.headers().contains_key(header::EXPECT);
    linger(request.into_body());
    asks || !small
}

/// Largest body that is read for the sake of what follows it.
const PASSED_OVER: usize = 64 << 10;

/// Reads on behind the answer for a while.
pub fn linger(mut body: Incoming) {
    tokio::task::spawn_local(tokio::time::timeout(LINGER, async move {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > LINGER_BYTES {
                break;
            }
        }
    }));
}
