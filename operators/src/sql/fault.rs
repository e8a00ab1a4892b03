//! How an expression can fail on a row, in few kinds: what a caller may be told, and figures may count.

use std::fmt;

use arrow::error::ArrowError;
use datafusion_common::DataFusionError;

/// The sort of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SqlFault {
    DivisionByZero,
    Overflow,
    /// A value that does not fit the type it is turned into.
    Cast,
    NotFinite,
    /// An instant that no event may carry.
    NoInstant,
    /// What a function refuses or cannot compute.
    Function,
}

impl SqlFault {
    pub(super) fn of(error: &DataFusionError) -> SqlFault {
        match error.find_root() {
            DataFusionError::ArrowError(error, _) => match error.as_ref() {
                ArrowError::DivideByZero => SqlFault::DivisionByZero,
                ArrowError::ArithmeticOverflow(_) => SqlFault::Overflow,
                // `abs` alone says it so: of the least integer, whose positive is beyond its type.
                ArrowError::ComputeError(message) if message.contains("overflow on abs") => SqlFault::Overflow,
                ArrowError::CastError(_) | ArrowError::ParseError(_) => SqlFault::Cast,
                _ => SqlFault::Function,
            },
            _ => SqlFault::Function,
        }
    }
}

impl fmt::Display for SqlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SqlFault::DivisionByZero => "division by zero",
            SqlFault::Overflow => "the result is beyond its type",
            SqlFault::Cast => "a value does not fit the type it is cast to",
            SqlFault::NotFinite => "the result is not a finite number",
            SqlFault::NoInstant => "the result is an instant outside of the years 1700 to 2249",
            SqlFault::Function => "a function cannot compute it",
        })
    }
}
