//! Why a row was not read.

use super::codec::VERSION;

/// Why a row was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RowError {
    #[error("the row does not cover the instant asked for")]
    NotCovered,
    #[error(
        "the row was written in format {0}, and this build reads format {VERSION}; start the engine of this build, which \
         writes every live row again"
    )]
    Version(u8),
    #[error(
        "the row was written for other definitions of the view; start the engine with these, which writes every live row \
         again"
    )]
    Layout,
    #[error("the row's bytes are damaged; start the engine again, which writes every live row again")]
    Damaged,
}
