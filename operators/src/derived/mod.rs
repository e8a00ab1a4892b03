//! Derived features: SQL over a request's fields, features of views, other derived features and the request's instant.
//!
//! Law: a value depends on its own row alone: its request fields, its features as they are read at its instant, and
//! the instant. A feature without a value enters as what is read for it: null, or what its function gives for nothing.
//! An expression that fails on a row is null there, with status ERROR; what is derived from it goes on with null.
//! Which rows are evaluated together never shows.

mod circles;
mod compile;
mod evaluate;
mod names;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use freshet_config::value::DataType;

use crate::sql::{Expression, SqlFault};

pub use compile::compile_services;
pub use evaluate::evaluate;

/// The name by which SQL knows the instant a row is asked for.
pub const INSTANT: &str = "request_timestamp";

/// One derived feature of a service.
#[derive(Clone, Debug)]
pub struct DerivedStep {
    /// As it is served: `derived.ratio`, `ratios.amount_ratio`.
    pub name: String,
    pub data_type: DataType,
    /// The expression as written.
    pub sql: String,
    /// Where the columns of `schema` come from.
    inputs: Vec<Input>,
    schema: SchemaRef,
    expression: Expression,
}

/// Where a column of an expression comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Index into [`ServicePlan::request`](crate::lookup::ServicePlan::request).
    Request(usize),
    /// Index into [`ServicePlan::inputs`](crate::lookup::ServicePlan::inputs).
    Feature(usize),
    /// The instant asked for.
    Instant,
    /// Index into [`ServicePlan::derived`](crate::lookup::ServicePlan::derived), of an earlier step.
    Derived(usize),
}

/// What the derived features of a service are computed from: columns of one length.
#[derive(Clone, Debug)]
pub struct DerivedInputs {
    /// One per request field of the service.
    pub request: Vec<ArrayRef>,
    /// One per input feature of the service.
    pub features: Vec<ArrayRef>,
    /// Microseconds; its length is the number of rows.
    pub instants: ArrayRef,
}

/// One derived feature at every row.
#[derive(Clone, Debug)]
pub struct DerivedColumn {
    pub data_type: DataType,
    /// Null where the expression failed.
    pub array: ArrayRef,
    /// Rows on which it failed, ascending, and how.
    pub failed: Vec<(usize, SqlFault)>,
}
