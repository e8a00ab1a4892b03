//! Modes: how windows move with the instant asked for.

use crate::decode::{At, shorten};
use crate::definitions::Mode;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::raw::{RawBatch, RawMode};
use crate::resolve::sources::SourceShape;
use crate::resolve::spans::{bounded_span, of, positive_span};
use crate::time::Span;

const CHOICES: &str = "write `continuous`, `{interval: 5m}`, `{batch: {schedule: 1h, delay: 10m}}` or `{sawtooth: 1h}`";

/// Resolves the mode of a view.
pub fn mode(owner: &str, written: Option<&At<RawMode>>, errors: &mut Diagnostics) -> Option<Mode> {
    let Some(written) = written else { return Some(Mode::Continuous) };
    let steps = match &written.value {
        RawMode::Record(steps) => steps,
        RawMode::Word(word) if word == "continuous" => return Some(Mode::Continuous),
        RawMode::Word(word) => {
            let verdict = match word.as_str() {
                "interval" | "batch" | "sawtooth" => "needs its span",
                _ => "is unknown",
            };
            let message = format!("the mode `{}` of {owner} {verdict}", shorten(word));
            errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint(CHOICES));
            return None;
        }
    };
    match (&steps.interval, &steps.batch, &steps.sawtooth) {
        (Some(step), None, None) => {
            positive_span(("the interval", &of(owner)), "DEF-WINDOW", step, errors).map(Mode::Interval)
        }
        (None, Some(batch), None) => self::batch(owner, batch, errors),
        (None, None, Some(step)) => {
            positive_span(("the sawtooth step", &of(owner)), "DEF-WINDOW", step, errors).map(Mode::Sawtooth)
        }
        (None, None, None) if steps.strange => None,
        _ => {
            let message = format!("the mode of {owner} needs exactly one of `interval`, `batch` and `sawtooth`");
            errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint(CHOICES));
            None
        }
    }
}

fn batch(owner: &str, written: &RawBatch, errors: &mut Diagnostics) -> Option<Mode> {
    let schedule = positive_span(("the schedule", &of(owner)), "DEF-WINDOW", &written.schedule, errors);
    let delay = match &written.delay {
        Some(delay) => bounded_span(("the delay", &of(owner)), "DEF-WINDOW", delay, errors),
        None => Some(Span::ZERO),
    };
    Some(Mode::Batch { schedule: schedule?, delay: delay? })
}

/// An event is late once its slice may be closed: a lateness shorter than a step would drop events at random. The other
/// modes count their steps to the windows, so that a source's lateness comes on top.
pub fn lateness(owner: &str, mode: Mode, source: &SourceShape, written: &At<RawMode>, errors: &mut Diagnostics) {
    let Mode::Interval(step) = mode else { return };
    let Some(lateness) = source.lateness.filter(|lateness| *lateness < step) else { return };
    let message =
        format!("the interval {step} of {owner} is longer than the lateness {lateness} of source `{}`", source.name);
    let hint = format!("raise the source's lateness to at least {step}, or write a shorter interval");
    errors.push(Diagnostic::new(&written.place, "DEF-LATE", message).hint(hint));
}
