//! Functions and their parameters: every name that can be written, what it takes, and within which bounds.

use std::ops::RangeInclusive;

use crate::decode::{At, Numeral, shorten};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, suggestion};
use crate::function::{
    DEFAULT_DISTINCT_LIMIT, DEFAULT_DISTINCT_PRECISION, DEFAULT_PERCENTILE_PRECISION, DISTINCT_LIMITS,
    DISTINCT_PRECISIONS, Fraction, Function, LIST_LENGTHS, PERCENTILE_PRECISIONS, TOP_LENGTHS,
};
use crate::raw::RawAggregate;
use crate::resolve::spans::{of, positive_span};
use crate::time::Span;
use crate::value::DataType;

/// Every name a definition may write, with the parameters it takes; required ones are asked for where they are read.
const NAMES: [(&str, &[&str]); 23] = [
    ("count", &[]),
    ("sum", &[]),
    ("mean", &[]),
    ("min", &[]),
    ("max", &[]),
    ("stddev", &[]),
    ("stddev_samp", &[]),
    ("stddev_pop", &[]),
    ("variance", &[]),
    ("var_samp", &[]),
    ("var_pop", &[]),
    ("first", &["n"]),
    ("last", &["n"]),
    ("first_distinct", &["n"]),
    ("last_distinct", &["n"]),
    ("count_distinct", &["limit"]),
    ("approx_count_distinct", &["precision"]),
    ("approx_percentile", &["percentile", "precision"]),
    ("top_k", &["k", "limit"]),
    ("histogram", &["limit"]),
    ("decayed_sum", &["half_life"]),
    ("min_by", &["order"]),
    ("max_by", &["order"]),
];

/// Names that other systems have for something that is called differently here.
const OTHER_WORDS: [(&str, &str); 9] = [
    ("avg", "write `mean`"),
    ("average", "write `mean`"),
    ("first_n", "write `first` with `n`"),
    ("last_n", "write `last` with `n`"),
    ("median", "write `approx_percentile` with `percentile: 0.5`"),
    ("percentile", "write `approx_percentile`"),
    ("distinct_count", "write `count_distinct`, or `approx_count_distinct`"),
    ("mode", "write `top_k` with `k: 1`"),
    ("std", "write `stddev`"),
];

/// Names of the functions that take a column of a type, without those that are other words for one.
pub fn takers(input: DataType) -> Vec<&'static str> {
    let takes = |name: &str| match name {
        "approx_count_distinct" => Function::ApproxCountDistinct { precision: 8 }.takes(input),
        "top_k" | "histogram" => Function::Histogram { limit: 1 }.takes(input),
        "sum" | "mean" | "stddev_samp" | "stddev_pop" | "var_samp" | "var_pop" | "approx_percentile"
        | "decayed_sum" => input.is_number(),
        _ => true,
    };
    let is_alias = |name: &str| matches!(name, "stddev" | "variance");
    NAMES.iter().map(|(name, _)| *name).filter(|name| takes(name) && !is_alias(name)).collect()
}

/// Resolves the function of an aggregate with its parameters. `None`: an error was recorded.
pub fn function(user: &str, raw: &RawAggregate, errors: &mut Diagnostics) -> Option<Function> {
    let written = &raw.function.value;
    let Some((name, known)) = NAMES.iter().find(|(name, _)| name == written) else {
        let message = format!("{user}: unknown function `{}`", shorten(written));
        let hint = match OTHER_WORDS.iter().find(|(word, _)| word == written) {
            Some((_, hint)) => hint.to_string(),
            None => suggestion(written, NAMES.map(|(name, _)| name)),
        };
        errors.push(Diagnostic::new(&raw.function.place, "DEF-ARG", message).hint(hint));
        return None;
    };
    let before = errors.iter().len();
    foreign_parameters(user, name, known, raw, errors);
    let mut parameters = Parameters { user, function: name, place: &raw.function.place, errors };
    let function = match *name {
        "count" => Some(Function::Count),
        "sum" => Some(Function::Sum),
        "mean" => Some(Function::Mean),
        "min" => Some(Function::Min),
        "max" => Some(Function::Max),
        "stddev" | "stddev_samp" => Some(Function::StddevSamp),
        "stddev_pop" => Some(Function::StddevPop),
        "variance" | "var_samp" => Some(Function::VarSamp),
        "var_pop" => Some(Function::VarPop),
        "last" if raw.n.is_none() => Some(Function::Last),
        "last" => parameters.length("n", &raw.n, LIST_LENGTHS).map(Function::LastN),
        "first" => parameters.length("n", &raw.n, LIST_LENGTHS).map(Function::FirstN),
        "first_distinct" => parameters.length("n", &raw.n, LIST_LENGTHS).map(Function::FirstDistinct),
        "last_distinct" => parameters.length("n", &raw.n, LIST_LENGTHS).map(Function::LastDistinct),
        "count_distinct" => parameters.limit(&raw.limit).map(|limit| Function::CountDistinct { limit }),
        "histogram" => parameters.limit(&raw.limit).map(|limit| Function::Histogram { limit }),
        "top_k" => {
            let (k, limit) = (parameters.length("k", &raw.k, TOP_LENGTHS), parameters.limit(&raw.limit));
            k.zip(limit).map(|(k, limit)| Function::TopK { k, limit })
        }
        "approx_count_distinct" => {
            let default = i64::from(DEFAULT_DISTINCT_PRECISION);
            let precision = parameters.whole_or("precision", &raw.precision, DISTINCT_PRECISIONS, default);
            precision.map(|p| Function::ApproxCountDistinct { precision: p as u8 })
        }
        "approx_percentile" => {
            let percentile = parameters.percentile(&raw.percentile);
            let default = i64::from(DEFAULT_PERCENTILE_PRECISION);
            let precision = parameters.whole_or("precision", &raw.precision, PERCENTILE_PRECISIONS, default);
            let precision = precision.map(|p| p as u16);
            percentile
                .zip(precision)
                .map(|(percentile, precision)| Function::ApproxPercentile { percentile, precision })
        }
        "decayed_sum" => parameters.half_life(raw).map(|half_life| Function::DecayedSum { half_life }),
        "min_by" | "max_by" => {
            if raw.order.is_none() {
                parameters.missing("order", "a column or an expression that events are compared by");
            }
            Some(if *name == "min_by" { Function::MinBy } else { Function::MaxBy })
        }
        // Unreachable: the names above are all of `NAMES`, which a test holds them to.
        _ => None,
    };
    function.filter(|_| errors.iter().len() == before)
}

/// Parameters that belong to other functions.
fn foreign_parameters(user: &str, name: &str, known: &[&str], raw: &RawAggregate, errors: &mut Diagnostics) {
    let numbers = [
        ("n", &raw.n),
        ("k", &raw.k),
        ("limit", &raw.limit),
        ("percentile", &raw.percentile),
        ("precision", &raw.precision),
    ];
    let numbers = numbers.into_iter().filter_map(|(name, written)| Some((name, &written.as_ref()?.place)));
    let texts = [("half_life", &raw.half_life), ("order", &raw.order)];
    let texts = texts.into_iter().filter_map(|(name, written)| Some((name, &written.as_ref()?.place)));
    for (parameter, place) in numbers.chain(texts).filter(|(parameter, _)| !known.contains(parameter)) {
        let message = format!("{user}: `{parameter}` is no parameter of {name}");
        let hint = match known {
            [] => "it takes none".to_string(),
            _ => format!("it takes {}", known.join(" and ")),
        };
        errors.push(Diagnostic::new(place, "DEF-ARG", message).hint(hint));
    }
}

/// Reads the parameters of one function.
struct Parameters<'a> {
    user: &'a str,
    function: &'a str,
    place: &'a Place,
    errors: &'a mut Diagnostics,
}

impl Parameters<'_> {
    fn missing(&mut self, parameter: &str, what: &str) {
        let message = format!("{}: {} needs the parameter `{parameter}`", self.user, self.function);
        self.errors.push(Diagnostic::new(self.place, "DEF-ARG", message).hint(format!("add `{parameter}`: {what}")));
    }

    /// A whole number within bounds.
    fn whole(&mut self, parameter: &str, written: &At<Numeral>, bounds: RangeInclusive<i64>) -> Option<i64> {
        let text = &written.value.0;
        if let Some(number) = text.parse::<i64>().ok().filter(|number| bounds.contains(number)) {
            return Some(number);
        }
        let (low, high) = bounds.into_inner();
        let message = format!(
            "{}: `{parameter}` of {} is {}, not a whole number from {low} to {high}",
            self.user,
            self.function,
            shorten(text)
        );
        let nearest = match text.parse::<f64>() {
            Ok(number) if number > high as f64 => high,
            Ok(number) if number < low as f64 => low,
            Ok(number) if number.is_finite() => number.round() as i64,
            _ => low,
        };
        self.errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint(format!("write {nearest}")));
        None
    }

    fn whole_or(
        &mut self,
        parameter: &str,
        written: &Option<At<Numeral>>,
        bounds: RangeInclusive<i64>,
        default: i64,
    ) -> Option<i64> {
        match written {
            Some(written) => self.whole(parameter, written, bounds),
            None => Some(default),
        }
    }

    /// A required number of values. The bounds fit the type.
    fn length(&mut self, parameter: &str, written: &Option<At<Numeral>>, bounds: RangeInclusive<i64>) -> Option<u16> {
        let Some(written) = written else {
            self.missing(parameter, &format!("how many values, from {} to {}", bounds.start(), bounds.end()));
            return None;
        };
        self.whole(parameter, written, bounds).map(|length| length as u16)
    }

    fn limit(&mut self, written: &Option<At<Numeral>>) -> Option<u32> {
        let limit = self.whole_or("limit", written, DISTINCT_LIMITS, i64::from(DEFAULT_DISTINCT_LIMIT));
        limit.map(|limit| limit as u32)
    }

    fn percentile(&mut self, written: &Option<At<Numeral>>) -> Option<Fraction> {
        let Some(written) = written else {
            self.missing("percentile", "a number between 0 and 1, such as 0.95");
            return None;
        };
        let number = written.value.0.parse::<f64>().ok();
        let fraction = number.and_then(Fraction::new);
        if fraction.is_none() {
            let shown = shorten(&written.value.0);
            let message = format!("{}: the percentile {shown} does not lie between 0 and 1", self.user);
            // Who writes 95 means 0.95.
            let meant = number.filter(|n| *n > 1.0 && *n < 100.0).map_or(0.95, |n| n / 100.0);
            self.errors.push(Diagnostic::new(&written.place, "DEF-ARG", message).hint(format!("write {meant}")));
        }
        fraction
    }

    fn half_life(&mut self, raw: &RawAggregate) -> Option<Span> {
        let Some(written) = &raw.half_life else {
            self.missing("half_life", "the age at which a value counts half, such as 6h");
            return None;
        };
        positive_span(("the half-life", &of(self.user)), "DEF-ARG", written, self.errors)
    }
}

#[cfg(test)]
mod page;

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::default()
    }

    pub fn written(name: &str) -> RawAggregate {
        let number = |text: &str| Some(At { value: Numeral(text.into()), place: place() });
        let text = |text: &str| Some(At { value: crate::decode::Spelled(text.into()), place: place() });
        let known = NAMES.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, known)| known);
        let takes = |parameter: &str| known.contains(&parameter);
        RawAggregate {
            name: At { value: "a".into(), place: place() },
            function: At { value: name.into(), place: place() },
            of: None,
            windows: crate::decode::Parts { items: Vec::new(), broken: false, place: place() },
            filter: None,
            by: None,
            n: takes("n").then(|| number("3")).flatten(),
            k: takes("k").then(|| number("3")).flatten(),
            limit: takes("limit").then(|| number("7")).flatten(),
            percentile: takes("percentile").then(|| number("0.5")).flatten(),
            precision: None,
            half_life: takes("half_life").then(|| text("6h")).flatten(),
            order: takes("order").then(|| text("amount")).flatten(),
        }
    }

    #[test]
    fn every_name_makes_a_function_that_takes_what_is_said_of_it() {
        for (name, _) in NAMES {
            let mut errors = Diagnostics::default();
            let function = function("x", &written(name), &mut errors);
            let function = function.unwrap_or_else(|| panic!("{name}: {errors}"));
            if !["stddev", "variance"].contains(&name) {
                assert_eq!(function.name(), name);
            }
            for input in DataType::ALL.into_iter().filter(|_| function.name() == name) {
                assert_eq!(takers(input).contains(&name), function.takes(input), "{name} of {input}");
            }
        }
    }
}
