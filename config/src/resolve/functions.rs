//! Functions and their parameters, as they are written.

use crate::decode::{At, Numeral, Spelled, shorten};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, suggestion};
use crate::function::{Bounds, Entry, Fraction, Function, Parameter, written};
use crate::raw::RawAggregate;
use crate::resolve::spans::{of, positive_span};
use crate::time::Span;

/// Resolves the function of an aggregate with its parameters. `None`: an error was recorded.
pub fn function(user: &str, raw: &RawAggregate, errors: &mut Diagnostics) -> Option<Function> {
    let name = &raw.function.value;
    let called_so = || written().filter(|entry| entry.names().any(|known| known == name));
    let Some(meant) = called_so().find(|entry| (entry.is_meant)(raw)) else {
        let message = format!("{user}: unknown function `{}`", shorten(name));
        let hint = match written().flat_map(|entry| entry.other_words).find(|(word, _)| word.eq_ignore_ascii_case(name))
        {
            Some((_, hint)) => hint.to_string(),
            None => suggestion(name, written().flat_map(Entry::names).collect::<Vec<_>>()),
        };
        errors.push(Diagnostic::new(&raw.function.place, "DEF-ARG", message).hint(hint));
        return None;
    };
    let before = errors.iter().len();
    let known: Vec<&str> = called_so().flat_map(|entry| entry.parameters).map(|parameter| parameter.name).collect();
    foreign_parameters(user, name, &known, raw, errors);
    let function = (meant.read)(&mut Written { user, raw, errors });
    function.filter(|_| errors.iter().len() == before)
}

/// The parameters that are numbers, by name.
fn numbers(raw: &RawAggregate) -> [(&'static str, &Option<At<Numeral>>); 5] {
    [
        ("n", &raw.n),
        ("k", &raw.k),
        ("limit", &raw.limit),
        ("percentile", &raw.percentile),
        ("precision", &raw.precision),
    ]
}

/// The parameters that are texts, by name.
fn texts(raw: &RawAggregate) -> [(&'static str, &Option<At<Spelled>>); 2] {
    [("half_life", &raw.half_life), ("order", &raw.order)]
}

/// Parameters that belong to other functions.
fn foreign_parameters(user: &str, name: &str, known: &[&str], raw: &RawAggregate, errors: &mut Diagnostics) {
    let numbers = numbers(raw).into_iter().filter_map(|(name, written)| Some((name, &written.as_ref()?.place)));
    let texts = texts(raw).into_iter().filter_map(|(name, written)| Some((name, &written.as_ref()?.place)));
    for (parameter, place) in numbers.chain(texts).filter(|(parameter, _)| !known.contains(parameter)) {
        let message = format!("{user}: `{parameter}` is no parameter of {name}");
        let hint = match known {
            [] => "it takes none".to_string(),
            _ => format!("it takes {}", known.join(" and ")),
        };
        errors.push(Diagnostic::new(place, "DEF-ARG", message).hint(hint));
    }
}

/// An aggregate as it is written, for its function to read its parameters from.
pub(crate) struct Written<'a> {
    user: &'a str,
    raw: &'a RawAggregate,
    errors: &'a mut Diagnostics,
}

impl<'a> Written<'a> {
    /// A whole number within its bounds. Without a default it must be there.
    pub fn whole(&mut self, parameter: &Parameter) -> Option<i64> {
        let Bounds::Whole { low, high, default, .. } = parameter.bounds else { return None };
        let Some(written) = self.number(parameter) else {
            return default.or_else(|| self.missing(parameter));
        };
        let text = &written.value.0;
        if let Some(number) = text.parse::<i64>().ok().filter(|number| (low..=high).contains(number)) {
            return Some(number);
        }
        let message = format!(
            "{}: `{}` of {} is {}, not a whole number from {low} to {high}",
            self.user,
            parameter.name,
            self.raw.function.value,
            shorten(text)
        );
        let nearest = match text.parse::<f64>() {
            Ok(number) if number > high as f64 => high,
            Ok(number) if number < low as f64 => low,
            Ok(number) if number.is_finite() => number.round() as i64,
            _ => low,
        };
        self.refuse(&written.place, message, format!("write {nearest}"))
    }

    /// A number between 0 and 1.
    pub fn fraction(&mut self, parameter: &Parameter) -> Option<Fraction> {
        let Some(written) = self.number(parameter) else { return self.missing(parameter) };
        let number = written.value.0.parse::<f64>().ok();
        let fraction = number.and_then(Fraction::new);
        if fraction.is_none() {
            let shown = shorten(&written.value.0);
            let message = format!("{}: the {} {shown} does not lie between 0 and 1", self.user, parameter.name);
            // Who writes 95 means 0.95.
            let meant = number.filter(|n| *n > 1.0 && *n < 100.0).map_or(0.95, |n| n / 100.0);
            return self.refuse(&written.place, message, format!("write {meant}"));
        }
        fraction
    }

    pub fn half_life(&mut self, parameter: &Parameter) -> Option<Span> {
        let Some(written) = &self.raw.half_life else { return self.missing(parameter) };
        positive_span(("the half-life", &of(self.user)), "DEF-ARG", written, self.errors)
    }

    /// What rows are compared by, which is read with the aggregate's other SQL. It must be there.
    pub fn order(&mut self, parameter: &Parameter) -> Option<()> {
        if self.raw.order.is_none() {
            return self.missing(parameter);
        }
        Some(())
    }

    fn number(&self, parameter: &Parameter) -> Option<&'a At<Numeral>> {
        let written = numbers(self.raw).into_iter().find(|(name, _)| *name == parameter.name);
        written.and_then(|(_, written)| written.as_ref())
    }

    fn missing<T>(&mut self, parameter: &Parameter) -> Option<T> {
        let message = format!("{}: {} needs the parameter `{}`", self.user, self.raw.function.value, parameter.name);
        let hint = format!("add `{}`: {}", parameter.name, parameter.needed());
        self.refuse(&self.raw.function.place, message, hint)
    }

    fn refuse<T>(&mut self, place: &Place, message: String, hint: String) -> Option<T> {
        self.errors.push(Diagnostic::new(place, "DEF-ARG", message).hint(hint));
        None
    }
}
