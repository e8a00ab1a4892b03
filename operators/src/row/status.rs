//! What is said of a value besides the value: how far it can be trusted, and why there is none.

use std::fmt;

use freshet_config::function::Refusal;
use freshet_config::value::DataType;

use super::RowError;
use crate::sql::SqlFault;

/// How far a served value can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Present,
    /// A key never seen, or an empty window (whose counts are 0 all the same).
    MissingData,
    /// Older than `serving_ttl`.
    Expired,
    /// The row does not cover the instant asked for.
    Stale,
    /// The value cannot be given.
    Error(Reason),
}

/// Why a value cannot be given. Known when it is read, from the row and the feature's function: rows do not hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The window sees more categories than it may, or more are known from its beginning on than are kept.
    TooManyCategories { limit: usize, most_kept: usize },
    /// The window has more distinct values than the function may count.
    TooManyValues { limit: u32 },
    /// A sum of integers that is not of their type.
    Overflow(DataType),
    /// A result beyond the largest number of its type.
    NotFinite(DataType),
    /// SQL that failed on this row.
    Expression(SqlFault),
    /// Something that SQL took here has no value for a reason of its own: an input of a step of the service's derived ones.
    Input { step: u32, input: u32 },
    /// The row cannot be read.
    Row(RowError),
}

impl Status {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Status::Present => "PRESENT",
            Status::MissingData => "MISSING_DATA",
            Status::Expired => "EXPIRED",
            Status::Stale => "STALE",
            Status::Error(_) => "ERROR",
        }
    }

    pub fn is_error(self) -> bool {
        self.reason().is_some()
    }

    /// Why there is no value, of an error.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Status::Error(reason) => Some(reason),
            _ => None,
        }
    }
}

impl Reason {
    /// One word per kind, for figures.
    pub fn word(self) -> &'static str {
        match self {
            Reason::TooManyCategories { .. } => "too_many_categories",
            Reason::TooManyValues { .. } => "too_many_values",
            Reason::Overflow(_) => "overflow",
            Reason::NotFinite(_) => "not_finite",
            Reason::Expression(_) => "expression",
            Reason::Input { .. } => "input",
            Reason::Row(_) => "row",
        }
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Reason {
        match refusal {
            Refusal::TooManyValues { limit } => Reason::TooManyValues { limit },
            Refusal::Overflow(data_type) => Reason::Overflow(data_type),
            Refusal::NotFinite(data_type) => Reason::NotFinite(data_type),
            Refusal::Damaged => Reason::Row(RowError::Damaged),
            Refusal::NotKept => Reason::Row(RowError::Layout),
        }
    }
}

/// In words for whoever asked for the value.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::TooManyCategories { limit, most_kept } => {
                write!(f, "more than {limit} categories in the window, or {most_kept} from its beginning on")
            }
            Reason::TooManyValues { limit } => write!(f, "more than {limit} distinct values in the window"),
            Reason::Overflow(data_type) => write!(f, "the sum is beyond {data_type}"),
            Reason::NotFinite(data_type) => write!(f, "the result is no finite {data_type}"),
            Reason::Expression(fault) => write!(f, "the expression failed: {fault}"),
            // Which one is known to the service: `ServicePlan::explain`.
            Reason::Input { .. } => f.write_str("what it is computed from is an error"),
            Reason::Row(error) => error.fmt(f),
        }
    }
}
