//! Parameters of functions: their names, their bounds, and the words for them in messages, in the JSON Schema and on the
//! reference page. How they are read is in `resolve/functions.rs`.

/// A parameter as one function takes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// A field of aggregates.
    pub name: &'static str,
    pub bounds: Bounds,
}

/// What may be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bounds {
    /// A whole number.
    Whole {
        /// What it is the number of; empty where only experts will ask.
        what: &'static str,
        low: i64,
        high: i64,
        /// Required without.
        default: Option<i64>,
    },
    /// A number between 0 and 1, neither of which it is. Required.
    Fraction,
    /// A positive span: the age at which a value counts half. Required.
    HalfLife,
    /// A column or an SQL expression: what rows are compared by. Required.
    Order,
}

/// The most distinct values of an exact function.
pub(super) const LIMIT: Parameter = Parameter {
    name: "limit",
    bounds: Bounds::Whole { what: "the most distinct values", low: 1, high: 10_000, default: Some(1000) },
};

/// The values that tests draw for [`LIMIT`]: some are small enough to be too small.
pub(super) const LIMITS_DRAWN: [u32; 4] = [2, 5, 30, 1000];

impl Parameter {
    /// What to write where it is missing.
    pub(crate) fn needed(&self) -> String {
        match self.bounds {
            Bounds::Whole { what, low, high, .. } => format!("{what}, from {low} to {high}"),
            Bounds::Fraction => "a number between 0 and 1, such as 0.95".to_string(),
            Bounds::HalfLife => "the age at which a value counts half, such as 6h".to_string(),
            Bounds::Order => "a column or an expression that events are compared by".to_string(),
        }
    }

    /// The least and the greatest number, and whether these are among what may be written; `None`: it is no number.
    pub(super) fn range(&self) -> Option<(f64, f64, bool)> {
        match self.bounds {
            Bounds::Whole { low, high, .. } => Some((low as f64, high as f64, true)),
            Bounds::Fraction => Some((0.0, 1.0, false)),
            Bounds::HalfLife | Bounds::Order => None,
        }
    }

    /// In the JSON Schema.
    pub(super) fn described(&self) -> String {
        match self.bounds {
            Bounds::Whole { what, low, high, default } => {
                let range =
                    if what.is_empty() { format!("{low} to {high}") } else { format!("{what}, {low} to {high}") };
                match default {
                    Some(default) if what.is_empty() => format!("{range}, {default} unless written"),
                    Some(default) => format!("{range}; {default} unless written"),
                    None => range,
                }
            }
            Bounds::Fraction => "between 0 and 1, such as `0.95`".to_string(),
            Bounds::HalfLife => "the age at which a value counts half, such as `6h`".to_string(),
            Bounds::Order => "what events are compared by, a column or an SQL expression".to_string(),
        }
    }

    /// On the reference page.
    pub(super) fn words(&self) -> String {
        let bounds = match self.bounds {
            Bounds::Whole { low, high, default: Some(default), .. } => format!("{low} to {high}, default {default}"),
            Bounds::Whole { low, high, default: None, .. } => format!("{low} to {high}, required"),
            Bounds::Fraction => "between 0 and 1, required".to_string(),
            Bounds::HalfLife => "a positive span, required".to_string(),
            Bounds::Order => "a column or SQL expression, required".to_string(),
        };
        format!("`{}`: {bounds}", self.name)
    }
}
