//! The row: a value and its known future.
//!
//! Law: between events a window's value changes only when slices leave or enter it, and those instants are known. So a
//! row holds, per window, a core (the fold of the slices that count at every instant from `as_of` to the horizon) and
//! the slices that leave or enter before the horizon; the reader only adds. A key with few slices carries all of them
//! instead of cores and is exact for ever.
//!
//! ```text
//! [version u8][kind u8][layout tag u32][as_of i64][dense: horizon - as_of, varint][number of slices, varint]
//! dense, per window: [rows, varint], and if there are rows, per column of the window:
//!     [nulls, varint], and if a value is left:
//!     [summed doubles: values outside the lanes, varint][those: wide][lanes: sum][squares][min][max][last]
//!     then every summary of the window (`summaries`, the `read` of each kind)
//! per slice: [(time - time of the slice before) << 1 | has nulls, varint; the first from as_of, zigzag]
//!     [nulls: varint]? [values of stored columns that are not null]
//! ```
//! Rows of views by category hold many of these: see `categories`.
//! Values: double 8 bytes, float 4, bool 1, integers and timestamps zigzag varint, strings varint length and bytes.

pub(crate) mod categories;
pub(crate) mod codec;
mod error;
mod fold;
mod kept;
mod preamble;
mod read;
mod status;
mod summaries;

pub use categories::Assembly;
pub use error::RowError;
pub use fold::{Fold, Members};
pub use read::{Coverage, Reader, as_of, describe};
pub use status::{Reason, Status};
pub(crate) use summaries::{HAS_LANES, HAS_WIDE};

use freshet_config::value::Value;

/// One feature as read.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureValue {
    pub value: Value,
    pub status: Status,
}

impl FeatureValue {
    fn error(reason: Reason) -> FeatureValue {
        FeatureValue { value: Value::Null, status: Status::Error(reason) }
    }
}
