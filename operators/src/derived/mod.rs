//! Derived features: SQL over a request's fields, features of views, other derived features and the request's instant.
//!
//! Law: a value depends on its own row alone: its request fields, its features as they are read at its instant, and
//! the instant. A feature without a value enters as what is read for it: null, or what its function gives for nothing.
//! An expression that fails on a row is null there, with status ERROR; what is derived from it goes on with null, and where
//! that makes a null it is an ERROR too, for a null that nobody can explain is no missing value.
//! Which rows are evaluated together never shows.

mod circles;
mod compile;
mod evaluate;
mod names;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use freshet_config::value::DataType;

use crate::row::Reason;
use crate::sql::Expression;

pub use compile::{check_services, compile_services};
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

impl DerivedStep {
    /// How its SQL names an input.
    pub fn input_name(&self, input: usize) -> Option<&str> {
        self.schema.fields().get(input).map(|field| field.name().as_str())
    }

    /// How its SQL names one of [`ServicePlan::inputs`](crate::lookup::ServicePlan::inputs).
    pub fn feature_name(&self, feature: usize) -> Option<&str> {
        self.input_name(self.inputs.iter().position(|input| *input == Input::Feature(feature))?)
    }
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
    /// Per input feature the rows in which it is an error, ascending.
    pub failed: Vec<Vec<usize>>,
    /// Per input feature the rows in which it is stale, ascending.
    pub stale: Vec<Vec<usize>>,
    /// Microseconds; its length is the number of rows.
    pub instants: ArrayRef,
}

/// One derived feature at every row.
#[derive(Clone, Debug)]
pub struct DerivedColumn {
    pub data_type: DataType,
    /// Null where the expression failed.
    pub array: ArrayRef,
    /// Rows in which it is an error, ascending, and why.
    pub failed: Vec<(usize, Reason)>,
    /// Rows in which it is made of what is stale, ascending: nobody knows what it would be.
    pub stale: Vec<usize>,
}
