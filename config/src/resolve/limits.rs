//! How much a definition may hold. Every limit is named in the message that refuses what goes beyond it.

use crate::time::Span;

/// Most definitions of one kind, over all files.
pub const MAX_DEFINITIONS: usize = 10_000;
/// Most columns of a source (joined and computed ones included) or of a dimension.
pub const MAX_COLUMNS: usize = 256;
/// Most key columns of an entity or a dimension.
pub const MAX_KEYS: usize = 16;
/// Most aggregates of a view.
pub const MAX_AGGREGATES: usize = 256;
/// Most features of a view, and of a service.
pub const MAX_FEATURES: usize = 2_048;
/// Most request fields of a service, those of its realtime views included.
pub const MAX_REQUEST_FIELDS: usize = 100;
/// Longest SQL expression, in bytes.
pub const MAX_SQL_BYTES: usize = 16 << 10;
/// Longest name, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// Most windows of a series.
pub const MAX_SERIES_WINDOWS: i64 = 64;
/// Longest spelling of a window, which becomes part of its features' names.
pub const MAX_WINDOW_CHARS: usize = 24;
/// Longest window, interval, lateness and time to live: ten years, three leap days included.
pub const MAX_SPAN: Span = Span::from_secs(3_653 * 86_400);
/// The lateness of a source that declares none.
pub const DEFAULT_LATENESS: Span = Span::from_secs(86_400);
