//! Windows: plain ones, shifted ones, lifetimes and series, each with what it adds to its feature's name.
//!
//! A feature is named after its window as the user spelled it: `1h`, `1h_offset_2h`, `lifetime`,
//! `series_6h_0h_1h_2h` (start, end, step, size). The signs of offsets are left out: they can only be negative.

use crate::decode::{At, Spelled, shorten};
use crate::definitions::{Mode, Window};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::raw::{RawAggregate, RawSeries, RawWindow};
use crate::resolve::limits::{MAX_SERIES_WINDOWS, MAX_SPAN, MAX_WINDOW_CHARS};
use crate::resolve::spans::{positive_span, read_span};
use crate::time::Span;

/// What windows depend on in their view.
#[derive(Clone, Copy)]
pub struct Frame {
    /// `None`: unsound, so that nothing is measured by it.
    pub mode: Option<Mode>,
    /// Whether a `lifetime_start` is written.
    pub has_lifetime_start: bool,
}

/// One entry of an aggregate's windows.
#[derive(Clone, Debug)]
pub struct Spelling {
    /// What it adds to the feature's name.
    pub suffix: String,
    pub place: Place,
    /// One window, or those of a series, the oldest first.
    pub windows: Vec<Window>,
    pub is_series: bool,
}

/// The sound windows of an aggregate.
pub fn windows(user: &str, raw: &RawAggregate, frame: Frame, errors: &mut Diagnostics) -> Vec<Spelling> {
    if raw.windows.items.is_empty() && !raw.windows.broken {
        let message = format!("{user} has no windows");
        errors.push(Diagnostic::new(&raw.windows.place, "DEF-WINDOW", message).hint("write windows such as [1h, 24h]"));
    }
    raw.windows.items.iter().filter_map(|written| spelling(user, written, frame, errors)).collect()
}

fn spelling(user: &str, written: &At<RawWindow>, frame: Frame, errors: &mut Diagnostics) -> Option<Spelling> {
    let place = written.place.clone();
    match &written.value {
        RawWindow { size: Some(size), offset, series: None, .. } => {
            let (suffix, window) = window(user, size, offset.as_ref(), frame, errors)?;
            Some(Spelling { suffix, place, windows: vec![window], is_series: false })
        }
        RawWindow { size: None, offset: None, series: Some(raw), .. } => {
            let (suffix, windows) = series(user, raw, frame, errors)?;
            Some(Spelling { suffix, place, windows, is_series: true })
        }
        RawWindow { size: None, series: None, strange: true, .. } => None,
        _ => {
            let message = format!("{user}: a window needs either `size`, with or without `offset`, or `series` alone");
            let hint = "write `{size: 1h, offset: -2h}` or `{series: {start: -6h, end: 0h, step: 1h, size: 2h}}`";
            errors.push(Diagnostic::new(&place, "DEF-WINDOW", message).hint(hint));
            None
        }
    }
}

/// A window that stands alone, and its spelling.
fn window(
    user: &str,
    size: &At<Spelled>,
    offset: Option<&At<Spelled>>,
    frame: Frame,
    errors: &mut Diagnostics,
) -> Option<(String, Window)> {
    let shift = offset.map(|offset| self::offset(&format!("{user}: the offset"), offset, frame, errors));
    let span = if size.value.0 == "lifetime" {
        lifetime(user, size, frame, errors)
    } else {
        bounded_window(&format!("{user}: the window"), size, frame, errors)
    };
    let shift = shift.unwrap_or(Some(Span::ZERO))?;
    let mut suffix = size.value.0.clone();
    if let Some(offset) = offset.filter(|_| shift < Span::ZERO) {
        suffix = format!("{suffix}_offset_{}", unsigned(offset));
    }
    Some((suffix, Window { size: span?, offset: shift }))
}

fn lifetime(user: &str, written: &At<Spelled>, frame: Frame, errors: &mut Diagnostics) -> Option<Span> {
    if frame.has_lifetime_start {
        return Some(Span::UNBOUNDED);
    }
    let message = format!("{user}: the window `lifetime` needs the view's lifetime_start");
    let hint = "add `lifetime_start: 2024-01-01` to the view, or write a span";
    errors.push(Diagnostic::new(&written.place, "DEF-WINDOW", message).hint(hint));
    None
}

/// A window's length, measured by the view's mode.
pub fn bounded_window(what: &str, written: &At<Spelled>, frame: Frame, errors: &mut Diagnostics) -> Option<Span> {
    let size = positive_span((what, ""), "DEF-WINDOW", written, errors)?;
    spelled_shortly(what, written, size, errors)?;
    match frame.mode {
        Some(Mode::Interval(step)) => multiple(what, written, size, step, errors)?,
        Some(Mode::Sawtooth(step)) if size < step => {
            let message = format!("{what} `{}` is shorter than the view's sawtooth step {step}", written.value.0);
            let hint = format!("write a step of at most {size}, or a longer window");
            errors.push(Diagnostic::new(&written.place, "DEF-WINDOW", message).hint(hint));
            return None;
        }
        _ => {}
    }
    Some(size)
}

/// A shift to before the instant asked for: zero or negative, and made of whole tiles.
fn offset(what: &str, written: &At<Spelled>, frame: Frame, errors: &mut Diagnostics) -> Option<Span> {
    let span = read_span((what, ""), "DEF-WINDOW", written, errors)?;
    spelled_shortly(what, written, span, errors)?;
    let shown = shorten(&written.value.0);
    if span > Span::ZERO {
        let message = format!("{what} `{shown}` is positive, and no window reaches beyond the instant asked for");
        let hint = format!("write zero or a negative span, such as -{span}");
        errors.push(Diagnostic::new(&written.place, "DEF-WINDOW", message).hint(hint));
        return None;
    }
    if span.micros() < -MAX_SPAN.micros() {
        let message = format!("{what} `{shown}` is further back than the {MAX_SPAN} (10 years) allowed");
        errors.push(Diagnostic::new(&written.place, "DEF-WINDOW", message).hint("write a shorter span"));
        return None;
    }
    if let Some(Mode::Interval(step)) = frame.mode {
        multiple(what, written, span, step, errors)?;
    }
    Some(span)
}

/// The windows of a series, the oldest first, and its spelling.
fn series(user: &str, raw: &RawSeries, frame: Frame, errors: &mut Diagnostics) -> Option<(String, Vec<Window>)> {
    let part = |name: &str| format!("{user}: the {name} of the series");
    let start = offset(&part("start"), &raw.start, frame, errors);
    let end = offset(&part("end"), &raw.end, frame, errors);
    let step = positive_span((&part("step"), ""), "DEF-WINDOW", &raw.step, errors)
        .filter(|step| spelled_shortly(&part("step"), &raw.step, *step, errors).is_some());
    let step = match (step, frame.mode) {
        (Some(step), Some(Mode::Interval(tile))) => {
            multiple(&part("step"), &raw.step, step, tile, errors).map(|()| step)
        }
        (step, _) => step,
    };
    let size = bounded_window(&part("size"), &raw.size, frame, errors);
    let (start, end, step, size) = (start?, end?, step?, size?);
    let mut refuse = |place: &Place, message: String, hint: String| {
        errors.push(Diagnostic::new(place, "DEF-WINDOW", message).hint(hint));
    };
    // All four are at most ten years: no sum overflows.
    let room = end.micros() - start.micros() - size.micros();
    let length = Span::from_micros(end.micros() - start.micros());
    if length <= Span::ZERO {
        let message = format!("{} `{}` is not before its end {end}", part("start"), raw.start.value.0);
        let earlier = Span::from_micros(end.micros() - 6 * size.micros().max(step.micros()));
        refuse(&raw.start.place, message, format!("write a start further back, such as {earlier}"));
        return None;
    }
    if room < 0 {
        let message = format!("{} `{}` does not fit into the {length} of the series", part("size"), raw.size.value.0);
        refuse(&raw.size.place, message, format!("write less than {length}, or a start further back"));
        return None;
    }
    let count = room / step.micros() + 1;
    if count < 2 {
        let message = format!("{} `{}` leaves room for one window only", part("step"), raw.step.value.0);
        let hint = match Span::from_micros(room) {
            Span::ZERO => format!("write a size of less than {length}, or a start further back"),
            room => format!("write a step of at most {room}, or a start further back"),
        };
        refuse(&raw.step.place, message, hint);
        return None;
    }
    if count > MAX_SERIES_WINDOWS {
        let message =
            format!("{} `{}` makes {count} windows, more than {MAX_SERIES_WINDOWS}", part("step"), raw.step.value.0);
        refuse(&raw.step.place, message, "write a longer step".to_string());
        return None;
    }
    let rest = room % step.micros();
    if rest > 0 {
        let message = format!(
            "{} `{}` does not fit: the last window of {size} ends {} before the end of the series",
            part("step"),
            raw.step.value.0,
            Span::from_micros(rest)
        );
        let fitting = Span::from_micros(end.micros() - rest);
        refuse(
            &raw.step.place,
            message,
            format!("write `end: {fitting}`, or a step that divides {}", Span::from_micros(room)),
        );
        return None;
    }
    let window =
        |i: i64| Window { size, offset: Span::from_micros(start.micros() + i * step.micros() + size.micros()) };
    let suffix =
        format!("series_{}_{}_{}_{}", unsigned(&raw.start), unsigned(&raw.end), raw.step.value.0, raw.size.value.0);
    Some((suffix, (0..count).map(window).collect()))
}

/// A spelling becomes part of names.
fn spelled_shortly(what: &str, written: &At<Spelled>, span: Span, errors: &mut Diagnostics) -> Option<()> {
    if written.value.0.len() <= MAX_WINDOW_CHARS {
        return Some(());
    }
    let shown = shorten(&written.value.0);
    let message = format!("{what} `{shown}` is spelled with more than {MAX_WINDOW_CHARS} characters");
    errors.push(Diagnostic::new(&written.place, "DEF-WINDOW", message).hint(format!("write {span}")));
    None
}

fn unsigned(written: &At<Spelled>) -> &str {
    written.value.0.trim_start_matches('-')
}

/// Windows of a tiled view are made of whole tiles, and so is where they end.
fn multiple(what: &str, written: &At<Spelled>, span: Span, step: Span, errors: &mut Diagnostics) -> Option<()> {
    let rest = span.micros() % step.micros();
    if rest == 0 {
        return Some(());
    }
    // Towards zero, and the next one away from it.
    let near = Span::from_micros(span.micros() - rest);
    let far = Span::from_micros(near.micros() + rest.signum() * step.micros());
    let hint = if near == Span::ZERO { format!("write {far}") } else { format!("write {near} or {far}") };
    let message = format!("{what} `{}` is not a multiple of the view's interval {step}", shorten(&written.value.0));
    errors.push(Diagnostic::new(&written.place, "DEF-WINDOW", message).hint(hint));
    None
}
