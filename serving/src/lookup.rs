//! A lookup's way: body -> keys -> one call to the store -> values at the instant asked for -> answer.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_operators::derived::{DerivedColumn, DerivedInputs, evaluate};
use freshet_operators::row::Status;
use hyper::header::HeaderValue;

use crate::answer::{AnswerOptions, RowValues, ServerCost, write_metadata, write_row};
use crate::catalog::{Catalog, ServedService};
use crate::error::{ApiError, ErrorKind};
use crate::limits::Limits;
use crate::readers::{Asked, Readers};
use crate::request::{FeatureParams, JoinKeyMap, Selection, Text, encode_row, parse, read_context};
use crate::store::{KeyReads, RowSink, RowStore, StoreError};

/// A request understood: what to read is in the buffers, what to write is here.
pub struct Prepared<'c> {
    pub service: &'c ServedService,
    pub options: AnswerOptions,
    /// `None` for a single lookup.
    batch_rows: Option<usize>,
    deadline: Duration,
}

/// Buffers of one lookup, kept for the next.
#[derive(Debug, Default)]
pub struct Buffers {
    keys: Vec<Value>,
    pub reads: KeyReads,
    /// Reads by row and view of the service.
    slots: Vec<Option<usize>>,
    pub rows: RowSink,
    /// The request fields of one row after the other's.
    context: Vec<Value>,
    /// Values of one row; of every row where features are derived from them.
    values: Vec<RowValues>,
    /// Statuses of the answer, one row's after the other's.
    pub statuses: Vec<Status>,
}

/// Understands a body. `batch` tells the two routes apart.
pub fn prepare<'c>(
    catalog: &'c Catalog,
    body: &[u8],
    batch: bool,
    now: EventTime,
    limits: &Limits,
    buffers: &mut Buffers,
) -> Result<Prepared<'c>, ApiError> {
    buffers.reads.clear();
    buffers.slots.clear();
    buffers.context.clear();
    let params = parse::<FeatureParams>(body)?.params;
    refuse_other_locators(&params)?;
    let workspace = params.workspace_name.as_ref().map(Text::as_str);
    let service = catalog.find(workspace, params.service_name.as_ref().map(Text::as_str))?;
    let request_options = params.request_options.unwrap_or_default();
    let options = AnswerOptions {
        selection: params.metadata_options.as_ref().map(Selection::new).unwrap_or_default(),
        coerce_null_counts: request_options.coerce_null_counts.is_some_and(|flag| flag.0),
        at: request_options.instant(now)?,
    };
    let ignore_extra = request_options.ignore_extra_context.is_some_and(|flag| flag.0);
    let deadline = request_options.deadline(limits.lookup_timeout)?;
    let batch_rows = if batch {
        let rows = params.rows.ok_or_else(|| {
            ApiError::invalid("a batch lookup needs `requestData`, a list of rows")
                .at("/params/requestData".to_string())
        })?;
        if params.join_keys.is_some() {
            let message = "a batch lookup takes its join keys from `requestData`";
            return Err(ApiError::invalid(message).at("/params/joinKeyMap".to_string()));
        }
        if rows.len() > limits.batch_rows {
            let message = format!("a batch of {} rows passes the limit of {}; split it", rows.len(), limits.batch_rows);
            return Err(ApiError::invalid(message).at("/params/requestData".to_string()));
        }
        for (index, row) in rows.iter().enumerate() {
            let pointer = || format!("/params/requestData/{index}");
            read_context(
                &service.plan,
                row.context.as_ref(),
                ignore_extra,
                || format!("{}/requestContextMap", pointer()),
                &mut buffers.context,
            )?;
            let none = JoinKeyMap::default();
            add_row(service, row.join_keys.as_ref().unwrap_or(&none), pointer, buffers)?;
        }
        Some(rows.len())
    } else {
        if params.rows.is_some() {
            let message = "`requestData` belongs to get-features-batch; a single lookup takes `joinKeyMap`";
            return Err(ApiError::invalid(message).at("/params/requestData".to_string()));
        }
        let pointer = || "/params".to_string();
        read_context(
            &service.plan,
            params.context.as_ref(),
            ignore_extra,
            || format!("{}/requestContextMap", pointer()),
            &mut buffers.context,
        )?;
        add_row(service, &params.join_keys.unwrap_or_default(), pointer, buffers)?;
        None
    };
    Ok(Prepared { service, options, batch_rows, deadline })
}

fn add_row(
    service: &ServedService,
    keys: &JoinKeyMap<'_>,
    pointer: impl Fn() -> String + Copy,
    buffers: &mut Buffers,
) -> Result<(), ApiError> {
    let pointer = || format!("{}/joinKeyMap", pointer());
    let Buffers { keys: values, reads, slots, .. } = buffers;
    encode_row(&service.plan, keys, pointer, values, reads, slots)
}

fn refuse_other_locators(params: &FeatureParams<'_>) -> Result<(), ApiError> {
    for (given, name) in [
        (params.service_id.is_some(), "featureServiceId"),
        (params.view_name.is_some(), "featureViewName"),
        (params.view_id.is_some(), "featureViewId"),
    ] {
        if given {
            let message = format!("`{name}` is not known here; name a service with featureServiceName");
            return Err(ApiError::invalid(message).at(format!("/params/{name}")));
        }
    }
    Ok(())
}

/// Reads the rows that [`prepare`] listed, within the deadline; gives the time the store took.
pub async fn fetch<S: RowStore>(
    store: &S,
    prepared: &Prepared<'_>,
    buffers: &mut Buffers,
) -> Result<Duration, ApiError> {
    let started = Instant::now();
    buffers.rows.reset(buffers.reads.len());
    if !buffers.reads.is_empty() {
        let reading = store.get_many(&buffers.reads, &mut buffers.rows);
        match tokio::time::timeout(prepared.deadline, reading).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                let millis = prepared.deadline.as_millis();
                let message = format!("the online store gave no rows within {millis} ms; try again or allow more time");
                return Err(ApiError::new(ErrorKind::Deadline, message));
            }
        }
    }
    Ok(started.elapsed())
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        let kind = match error {
            StoreError::Unavailable(_) => ErrorKind::Unavailable,
            StoreError::Failed(_) => ErrorKind::Internal,
        };
        ApiError::new(kind, error.to_string())
    }
}

/// Writes the whole answer. Synchronous: once the rows are here nothing waits.
pub fn write(
    prepared: &Prepared<'_>,
    asked: Asked,
    readers: &mut Readers,
    buffers: &mut Buffers,
    times: (Instant, Duration),
) -> Vec<u8> {
    let Prepared { service, options, batch_rows, .. } = prepared;
    let (arrived, store_time) = times;
    let mut out = Vec::with_capacity(expected_bytes(service, options.selection, batch_rows.unwrap_or(1)));
    buffers.statuses.clear();
    out.extend_from_slice(b"{\"result\":");
    if batch_rows.is_some() {
        out.push(b'[');
    }
    let rows = batch_rows.unwrap_or(1);
    let derives = !service.plan.derived.is_empty();
    let held = if derives { rows } else { 1 };
    if buffers.values.len() < held {
        buffers.values.resize_with(held, RowValues::default);
    }
    let derived = if derives { derive(service, readers, buffers, rows, asked) } else { Vec::new() };
    for row in 0..rows {
        if row > 0 {
            out.push(b',');
        }
        if !derives {
            read_row(service, readers, buffers, row, 0, asked);
        }
        let Some(values) = buffers.values.get(if derives { row } else { 0 }) else { continue };
        let derived = |step: usize| derived.get(step).map(|column: &DerivedColumn| column.value(row));
        write_row(&mut out, service, values, derived, options, &mut buffers.statuses);
    }
    if batch_rows.is_some() {
        out.push(b']');
    }
    let cost = ServerCost { server_time: arrived.elapsed(), store_time, store_bytes: buffers.rows.byte_len() };
    write_metadata(&mut out, service, options, &buffers.statuses, *batch_rows, &cost);
    out.push(b'}');
    out
}

/// Reads request row `row` into place `held` of the values.
fn read_row(
    service: &ServedService,
    readers: &mut Readers,
    buffers: &mut Buffers,
    row: usize,
    held: usize,
    asked: Asked,
) {
    let width = service.plan.views.len();
    let slots = buffers.slots.get(row * width..(row + 1) * width).unwrap_or(&[]);
    if let Some(values) = buffers.values.get_mut(held) {
        readers.read(&service.plan, slots, &buffers.rows, asked, values);
    }
}

/// Reads all rows of a request and computes its derived features, one column each.
fn derive(
    service: &ServedService,
    readers: &mut Readers,
    buffers: &mut Buffers,
    rows: usize,
    asked: Asked,
) -> Vec<DerivedColumn> {
    for row in 0..rows {
        read_row(service, readers, buffers, row, row, asked);
    }
    let read = |row: usize, place| buffers.values.get(row).and_then(|values| values.feature(place));
    let inputs = DerivedInputs::gather(&service.plan, &vec![asked.at; rows], &buffers.context, read);
    evaluate(&service.plan.derived, &inputs)
}

/// A guess that is seldom too small.
fn expected_bytes(service: &ServedService, selection: Selection, rows: usize) -> usize {
    let features = service.plan.features.len();
    let metadata: usize = (0..features).map(|feature| service.fragment(feature, selection).len() + 80).sum();
    128 + rows * (24 + features * 20) + if selection.any_feature() { metadata } else { 0 }
}

/// Buffers of one thread, taken for a request and put back.
#[derive(Default)]
pub struct BufferPool(RefCell<Vec<Buffers>>);

/// Buffers kept by one thread, and the bytes of rows beyond which they are rather given back.
const POOLED: usize = 64;
const POOLED_BYTES: usize = 1 << 20;
/// Rows whose values one set of buffers keeps room for.
const POOLED_ROWS: usize = 16;

impl BufferPool {
    pub fn take(&self) -> Buffers {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    pub fn put(&self, mut buffers: Buffers) {
        buffers.values.truncate(POOLED_ROWS);
        buffers.context.clear();
        let mut pool = self.0.borrow_mut();
        if pool.len() < POOLED && buffers.rows.byte_len() <= POOLED_BYTES {
            pool.push(buffers);
        }
    }
}

/// One thread's view of a catalog and its readers; replaced when the catalog is.
pub struct Snapshot {
    pub generation: u64,
    pub catalog: Arc<Catalog>,
    pub readers: RefCell<Readers>,
    /// The plan's id, as sent with every answer.
    pub plan_header: HeaderValue,
}

impl Snapshot {
    pub fn new(generation: u64, catalog: Arc<Catalog>) -> Snapshot {
        let readers = RefCell::new(Readers::new(catalog.view_count()));
        // Sixteen hexadecimal digits are a valid header.
        let plan_header = HeaderValue::from_str(&catalog.plan_id().to_string()).unwrap_or(HeaderValue::from_static(""));
        Snapshot { generation, catalog, readers, plan_header }
    }
}
