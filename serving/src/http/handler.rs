//! From a request to a reply: limits, then the endpoint's work, then the figures.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};

use super::body::{self, Received};
use super::reply::{self, PLAN_HEADER, Reply};
use super::routes::{Endpoint, check_body, check_framing, check_host};
use super::wire::Heard;
use crate::error::{ApiError, ErrorKind};
use crate::ingest;
use crate::limits::Limits;
use crate::lookup::{self, BufferPool, Buffers, Snapshot};
use crate::metrics::{Finished, Levels, Route, ThreadMetrics};
use crate::page;
use crate::readers::Asked;
use crate::request::{MetadataParams, Text, parse};
use crate::state::{Gauge, Held, ServingState};
use crate::store::RowStore;

/// One serving thread's hands: the shared state and what the thread keeps for itself.
pub struct Handler<S: RowStore> {
    pub state: Arc<ServingState<S>>,
    pub limits: Arc<Limits>,
    pub metrics: Arc<ThreadMetrics>,
    pool: BufferPool,
    snapshot: RefCell<Rc<Snapshot>>,
}

/// What the figures say of a request besides its status.
#[derive(Default)]
struct Notes {
    service: Option<Arc<str>>,
    rows_read: u64,
    rows_found: u64,
}

impl<S: RowStore> Handler<S> {
    pub fn new(state: Arc<ServingState<S>>, limits: Arc<Limits>) -> Handler<S> {
        let snapshot = Snapshot::new(state.catalog.generation(), state.catalog.get());
        let metrics = state.metrics.thread();
        Handler { state, limits, metrics, pool: BufferPool::default(), snapshot: RefCell::new(Rc::new(snapshot)) }
    }

    /// Answers one request. A panic under it is answered 500 and ends neither the thread nor the connection.
    pub async fn handle(&self, request: Request<Incoming>, heard: &Heard) -> Reply {
        let arrived = Instant::now();
        heard.begin_request();
        // What follows a chunked body on its connection may have been framed to deceive a proxy in between.
        let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let mut notes = Notes::default();
        let found = Endpoint::find(request.method(), request.uri().path());
        let route = found.as_ref().map_or(Route::Unknown, |endpoint| endpoint.route());
        let framed = if chunked { check_framing(request.headers(), heard.has_two_lengths()) } else { Ok(()) };
        let answered = match check_host(request.headers()).and(framed).and(found) {
            Ok(endpoint) => {
                let work = AssertUnwindSafe(self.answer(endpoint, request, arrived, &mut notes)).catch_unwind();
                work.await.unwrap_or_else(|_| {
                    self.renew();
                    tracing::error!(route = route.name(), "a request panicked");
                    Err(ApiError::new(ErrorKind::Internal, "the server failed on this request; it is logged"))
                })
            }
            Err(error) => Err(unread(request, error)),
        };
        let mut reply = answered.unwrap_or_else(Reply::from);
        if chunked {
            reply::close(&mut reply);
        }
        let now = Instant::now();
        let finished = Finished {
            route,
            service: notes.service,
            status: reply.status().as_u16(),
            elapsed: now.saturating_duration_since(arrived),
            rows_read: notes.rows_read,
            rows_found: notes.rows_found,
        };
        self.metrics.record(&finished, now);
        reply
    }

    async fn answer(
        &self,
        endpoint: Endpoint,
        request: Request<Incoming>,
        arrived: Instant,
        notes: &mut Notes,
    ) -> Result<Reply, ApiError> {
        match endpoint {
            Endpoint::GetFeatures => self.get_features(request, false, arrived, notes).await,
            Endpoint::GetFeaturesBatch => self.get_features(request, true, arrived, notes).await,
            Endpoint::Metadata => self.metadata(request, notes).await,
            Endpoint::Ingest => self.ingest(request).await,
            Endpoint::Metrics => Ok(bodiless(request, self.scrape())),
            Endpoint::Live => Ok(bodiless(request, reply::json(200, "{\"status\":\"live\"}"))),
            Endpoint::Ready => Ok(bodiless(request, self.ready())),
            Endpoint::Stats => Ok(bodiless(request, self.stats())),
            Endpoint::Page => Ok(bodiless(request, page::reply(&self.state.stats()))),
            Endpoint::Style => Ok(bodiless(request, page::style())),
            Endpoint::Script => Ok(bodiless(request, page::script())),
        }
    }

    async fn get_features(
        &self,
        request: Request<Incoming>,
        batch: bool,
        arrived: Instant,
        notes: &mut Notes,
    ) -> Result<Reply, ApiError> {
        let body = self.body(request, self.limits.body_bytes).await?;
        let _in_flight = self.admit(&self.state.lookups, self.limits.in_flight, "lookups")?;
        let snapshot = self.snapshot();
        let mut buffers = self.pool.take();
        let answer = self.look_up(&snapshot, &body.bytes, batch, arrived, notes, &mut buffers).await;
        self.pool.put(buffers);
        answer.map(|bytes| with_plan(reply::json(200, bytes), &snapshot))
    }

    async fn look_up(
        &self,
        snapshot: &Snapshot,
        body: &[u8],
        batch: bool,
        arrived: Instant,
        notes: &mut Notes,
        buffers: &mut Buffers,
    ) -> Result<Vec<u8>, ApiError> {
        let now = self.state.clock.now();
        let prepared = lookup::prepare(&snapshot.catalog, body, batch, now, &self.limits, buffers)?;
        notes.service = Some(prepared.service.name.clone());
        // What is wrong with a request is wrong before as afterwards.
        if self.state.readiness.withholds() {
            let reason = self.state.readiness.reason().unwrap_or_default();
            let message = format!("the online store is being filled, ask again: {reason}");
            return Err(ApiError::new(ErrorKind::Unavailable, message));
        }
        let store_time = lookup::fetch(&self.state.store, &prepared, buffers).await?;
        notes.rows_read = buffers.reads.len() as u64;
        notes.rows_found = buffers.rows.found_count() as u64;
        let asked = Asked { at: prepared.options.at, now, complete_from: self.state.complete_from() };
        let answer =
            lookup::write(&prepared, asked, &mut snapshot.readers.borrow_mut(), buffers, (arrived, store_time));
        self.metrics.answered(prepared.service, &buffers.statuses);
        Ok(answer)
    }

    async fn metadata(&self, request: Request<Incoming>, notes: &mut Notes) -> Result<Reply, ApiError> {
        let body = self.body(request, self.limits.body_bytes).await?;
        let params = parse::<MetadataParams>(&body.bytes)?.params;
        if params.service_id.is_some() {
            let message = "`featureServiceId` is not known here; name a service with featureServiceName";
            return Err(ApiError::invalid(message).at("/params/featureServiceId".to_string()));
        }
        let snapshot = self.snapshot();
        let workspace = params.workspace_name.as_ref().map(Text::as_str);
        let service = snapshot.catalog.find(workspace, params.service_name.as_ref().map(Text::as_str))?;
        notes.service = Some(service.name.clone());
        Ok(with_plan(reply::json(200, Bytes::copy_from_slice(&service.metadata)), &snapshot))
    }

    async fn ingest(&self, request: Request<Incoming>) -> Result<Reply, ApiError> {
        let Some(door) = self.state.ingest.clone() else {
            let message = "this process takes no records; send them to one that runs the engine";
            return Err(unread(request, ApiError::new(ErrorKind::Unavailable, message)));
        };
        let body = self.body(request, self.limits.ingest_body_bytes).await?;
        let in_flight = self.admit(&self.state.ingests, self.limits.ingest_in_flight, "ingests")?;
        let snapshot = self.snapshot();
        let catalog = snapshot.catalog.clone();
        // The records stay counted until they are written, even when the caller leaves before.
        let work = move || {
            let _in_flight = in_flight;
            ingest::run(&catalog, door.as_ref(), &body.bytes)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => answer.map(|answer| with_plan(reply::json(answer.status, answer.body), &snapshot)),
            Err(error) => {
                tracing::error!(%error, "an ingest request failed");
                let message = "the server failed while it took the records; some may be durable, so send them again only if they carry a key that tells doubles";
                Err(ApiError::new(ErrorKind::Internal, message))
            }
        }
    }

    async fn body(&self, request: Request<Incoming>, limit: usize) -> Result<Received, ApiError> {
        if let Err(error) = check_body(request.headers()) {
            return Err(unread(request, error));
        }
        body::read(request.into_body(), limit, &self.limits, &self.state.buffered).await
    }

    /// Takes a place among the requests worked on.
    fn admit(&self, gauge: &Gauge, limit: usize, reason: &'static str) -> Result<Held, ApiError> {
        gauge.take(1, limit).ok_or_else(|| {
            self.metrics.shed(reason);
            ApiError::new(ErrorKind::Unavailable, format!("the server works on {limit} {reason} already; try again"))
        })
    }

    /// The current catalog with this thread's readers. Costs one atomic read while the catalog stays.
    fn snapshot(&self) -> Rc<Snapshot> {
        let generation = self.state.catalog.generation();
        let mut held = self.snapshot.borrow_mut();
        if held.generation != generation {
            *held = Rc::new(Snapshot::new(generation, self.state.catalog.get()));
        }
        held.clone()
    }

    /// Throws away readers that a panic may have left half-way.
    fn renew(&self) {
        let snapshot = Snapshot::new(self.state.catalog.generation(), self.state.catalog.get());
        *self.snapshot.borrow_mut() = Rc::new(snapshot);
    }

    fn scrape(&self) -> Reply {
        let levels = Levels {
            in_flight: self.state.lookups.value() + self.state.ingests.value(),
            connections: self.state.connections.value(),
            buffered_bytes: self.state.buffered.value(),
            ready: self.state.readiness.reason().is_none(),
        };
        let plan = self.snapshot().catalog.plan_id().to_string();
        let text = self.state.metrics.render(&plan, levels, Instant::now());
        reply::with_type(200, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"), text)
    }

    fn ready(&self) -> Reply {
        match self.state.readiness.reason() {
            None => reply::json(200, "{\"status\":\"ready\"}"),
            Some(reason) => ApiError::new(ErrorKind::Unavailable, format!("not ready: {reason}")).into(),
        }
    }

    fn stats(&self) -> Reply {
        match serde_json::to_vec(&self.state.stats()) {
            Ok(body) => reply::json(200, body),
            Err(error) => {
                Reply::from(ApiError::new(ErrorKind::Internal, format!("the figures cannot be written: {error}")))
            }
        }
    }
}

/// The refusal of a request whose body nobody reads.
fn unread(request: Request<Incoming>, mut error: ApiError) -> ApiError {
    error.close |= body::pass_over(request);
    error
}

/// The answer to a request that needs no body, and may have one.
fn bodiless(request: Request<Incoming>, mut reply: Reply) -> Reply {
    if body::pass_over(request) {
        reply::close(&mut reply);
    }
    reply
}

fn with_plan(mut reply: Reply, snapshot: &Snapshot) -> Reply {
    reply.headers_mut().insert(PLAN_HEADER, snapshot.plan_header.clone());
    reply
}
