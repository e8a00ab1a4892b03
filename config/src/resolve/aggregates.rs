//! Aggregates: function, input, windows, and the features they are named after.

use crate::decode::{At, Parts, shorten};
use crate::definitions::{Aggregate, Feature, Function, Mode, Window};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::raw::{RawAggregate, RawWindow};
use crate::resolve::limits::{MAX_AGGREGATES, MAX_FEATURES, MAX_WINDOW_CHARS};
use crate::resolve::names::{Once, check_name};
use crate::resolve::spans::{positive_span, read_span, read_sql};
use crate::resolve::tables::Columns;
use crate::time::Span;
use crate::value::DataType;

/// Functions that are planned: they are refused in other words than misspelled ones.
const PLANNED: [&str; 10] = [
    "approx_count_distinct",
    "approx_percentile",
    "count_distinct",
    "first",
    "first_distinct",
    "last_distinct",
    "first_n",
    "last_n",
    "median",
    "top_k",
];

/// The columns an aggregate may name, as far as the view's source is known.
pub struct ViewColumns<'a> {
    pub source: Option<&'a Columns>,
}

impl ViewColumns<'_> {
    /// The type of a plain column. `None`: an expression, or a column whose type is not known yet.
    fn plain(&self, text: &str) -> Option<DataType> {
        let columns = self.source?;
        columns.columns.get(columns.position(text)?)?.data_type
    }
}

/// The aggregates and features of a view.
#[derive(Default)]
pub struct Outcome {
    pub aggregates: Vec<Aggregate>,
    pub features: Vec<Feature>,
    /// Whether every feature that was meant is there.
    pub complete: bool,
}

/// Resolves the aggregates of a view.
pub fn aggregates(
    owner: &str,
    written: &Parts<RawAggregate>,
    mode: Option<Mode>,
    columns: &ViewColumns<'_>,
    errors: &mut Diagnostics,
) -> Outcome {
    let complete = !written.broken && written.items.len() <= MAX_AGGREGATES;
    let mut outcome = Outcome { complete, ..Outcome::default() };
    let count = written.items.len();
    if count == 0 && !written.broken {
        errors.push(Diagnostic::new(&written.place, "DEF-ARG", format!("{owner} has no aggregates")));
    }
    if count > MAX_AGGREGATES {
        let message = format!("{owner} has {count} aggregates, more than the {MAX_AGGREGATES} allowed");
        errors.push(Diagnostic::new(&written.place, "DEF-SIZE", message).hint("split it into several views"));
    }
    let mut once = Once::of("feature", owner);
    for raw in written.items.iter().take(MAX_AGGREGATES) {
        let user = format!("aggregate `{}` of {owner}", shorten(&raw.name.value));
        check_name(&format!("an aggregate of {owner}"), &raw.name, errors);
        let windows = windows(&user, raw, mode, errors);
        outcome.complete &= windows.len() == raw.windows.items.len() && !raw.windows.broken;
        for (index, (spelling, place, _)) in windows.iter().enumerate() {
            let name = format!("{}_{spelling}", raw.name.value);
            if once.insert(&name, place, errors) {
                outcome.features.push(Feature {
                    name,
                    aggregate: outcome.aggregates.len(),
                    window: index,
                    series: None,
                });
            }
        }
        let windows = windows.into_iter().map(|(_, _, window)| window).collect();
        match aggregate(&user, raw, windows, columns, errors) {
            Some(aggregate) => outcome.aggregates.push(aggregate),
            // Its features stay, so that services may name them: the definitions are refused anyway.
            None => outcome.complete = false,
        }
    }
    if outcome.features.len() > MAX_FEATURES {
        let message = format!("{owner} has {} features, more than the {MAX_FEATURES} allowed", outcome.features.len());
        errors.push(Diagnostic::new(&written.place, "DEF-SIZE", message).hint("split it into several views"));
    }
    outcome
}

fn aggregate(
    user: &str,
    raw: &RawAggregate,
    windows: Vec<Window>,
    columns: &ViewColumns<'_>,
    errors: &mut Diagnostics,
) -> Option<Aggregate> {
    let function = function(user, &raw.function, errors);
    parameters(user, raw, function.is_some(), errors);
    let of = raw.of.as_ref().map(|sql| read_sql(&format!("`of` of {user}"), sql, errors));
    let filter = raw.filter.as_ref().map(|sql| read_sql(&format!("`where` of {user}"), sql, errors));
    let function = function?;
    match &of {
        None if function != Function::Count => {
            let message = format!("{user} has no `of`, and {} needs a column or an expression", function.name());
            errors.push(Diagnostic::new(&raw.name.place, "DEF-ARG", message).hint("add `of: COLUMN`"));
        }
        Some(Some(sql)) => {
            if let Some(input) = columns.plain(&sql.text).filter(|input| !function.takes(*input)) {
                let message = format!("{user}: {} needs a number, and `{}` is {input}", function.name(), sql.text);
                let takers: Vec<&str> =
                    Function::SIMPLE.into_iter().filter(|f| f.takes(input)).map(Function::name).collect();
                let hint = format!("for {input} there are {}", takers.join(", "));
                errors.push(Diagnostic::new(&sql.place, "DEF-TYPE", message).hint(hint));
            }
        }
        _ => {}
    }
    Some(Aggregate {
        name: raw.name.value.clone(),
        function,
        of: of.flatten(),
        order: None,
        filter: filter.flatten(),
        windows,
        place: raw.name.place.clone(),
    })
}

fn function(user: &str, written: &At<String>, errors: &mut Diagnostics) -> Option<Function> {
    let found = match written.value.as_str() {
        "stddev" => Some(Function::StddevSamp),
        "variance" => Some(Function::VarSamp),
        name => Function::SIMPLE.into_iter().find(|f| f.name() == name),
    };
    if found.is_none() {
        let all = Function::SIMPLE.map(Function::name);
        let shown = shorten(&written.value);
        let planned = PLANNED.contains(&written.value.as_str());
        let (message, hint) = match planned {
            true => {
                (format!("{user}: the function `{shown}` is not supported yet"), format!("there is {}", all.join(", ")))
            }
            false => (format!("{user}: unknown function `{shown}`"), suggestion(&written.value, all)),
        };
        errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint(hint));
    }
    found
}

/// Parameters of planned functions: known fields that nothing takes yet.
fn parameters(user: &str, raw: &RawAggregate, known_function: bool, errors: &mut Diagnostics) {
    let given = [("n", &raw.n), ("percentile", &raw.percentile), ("precision", &raw.precision), ("by", &raw.by)];
    // After an unsupported function its parameters are no errors of their own.
    for (name, written) in given.into_iter().filter(|_| known_function) {
        if let Some(written) = written {
            let message = format!("{user}: `{name}` is not supported yet for {}", shorten(&raw.function.value));
            errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint("remove it"));
        }
    }
}

type Spelling = (String, crate::diagnostic::Place, Window);

/// The sound windows of an aggregate, each with the user's spelling of it.
fn windows(user: &str, raw: &RawAggregate, mode: Option<Mode>, errors: &mut Diagnostics) -> Vec<Spelling> {
    if raw.windows.items.is_empty() && !raw.windows.broken {
        let message = format!("{user} has no windows");
        errors.push(Diagnostic::new(&raw.windows.place, "DEF-WINDOW", message).hint("write windows such as [1h, 24h]"));
    }
    raw.windows.items.iter().filter_map(|written| window(user, written, mode, errors)).collect()
}

fn window(user: &str, written: &At<RawWindow>, mode: Option<Mode>, errors: &mut Diagnostics) -> Option<Spelling> {
    let RawWindow { size: spelled, offset } = &written.value;
    let what = format!("{user}: the window");
    let text = &spelled.value.0;
    if text == "lifetime" {
        let message = format!("{what} `lifetime` is not supported yet");
        errors.push(Diagnostic::new(&spelled.place, "DEF-WINDOW", message).hint("write a span, such as 365d"));
        return None;
    }
    let size = positive_span((&what, ""), "DEF-WINDOW", spelled, errors)?;
    if text.len() > MAX_WINDOW_CHARS {
        let message = format!("{what} `{}` is spelled with more than {MAX_WINDOW_CHARS} characters", shorten(text));
        errors.push(Diagnostic::new(&spelled.place, "DEF-WINDOW", message).hint(format!("write {size}")));
        return None;
    }
    if let Some(Mode::Interval(step)) = mode {
        multiple(&what, text, size, step, spelled, errors)?;
    }
    if let Some(offset) = offset {
        let span = read_span((&format!("{user}: the offset"), ""), "DEF-WINDOW", offset, errors)?;
        if span != Span::ZERO {
            let message = format!("{user}: the offset `{}` is not supported yet", shorten(&offset.value.0));
            errors.push(Diagnostic::new(&offset.place, "DEF-WINDOW", message).hint("leave the offset out"));
            return None;
        }
    }
    Some((text.clone(), written.place.clone(), Window { size, offset: Span::ZERO }))
}

/// Windows of a tiled view are made of whole tiles.
fn multiple(
    what: &str,
    text: &str,
    size: Span,
    step: Span,
    spelled: &At<crate::decode::Spelled>,
    errors: &mut Diagnostics,
) -> Option<()> {
    if size.micros() % step.micros() == 0 {
        return Some(());
    }
    let below = Span::from_micros(size.micros() - size.micros() % step.micros());
    let above = Span::from_micros(below.micros() + step.micros());
    let hint = if below > Span::ZERO { format!("write {below} or {above}") } else { format!("write {above}") };
    let message = format!("{what} `{text}` is not a multiple of the view's interval {step}");
    errors.push(Diagnostic::new(&spelled.place, "DEF-WINDOW", message).hint(hint));
    None
}
