//! What functions take and give, as closed sets: each with its words for messages and for the reference page.

use crate::value::{DataType, FeatureType, Value};

/// The types of column that a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Any,
    Numbers,
    /// What can be the key of a map: everything but floats.
    Keys,
    StringsAndIntegers,
}

impl Input {
    pub fn takes(self, input: DataType) -> bool {
        match self {
            Input::Any => true,
            Input::Numbers => input.is_number(),
            Input::Keys => input.is_key(),
            Input::StringsAndIntegers => input.is_integer() || input == DataType::String,
        }
    }

    /// Completes "needs".
    pub(crate) fn wanted(self) -> &'static str {
        match self {
            Input::Any => "a column",
            Input::Numbers => "a number",
            Input::Keys => "a type other than a float",
            Input::StringsAndIntegers => "a string or an integer",
        }
    }

    /// On the reference page.
    pub(super) fn words(self) -> &'static str {
        match self {
            Input::Any => "any type",
            Input::Numbers => "numbers",
            Input::Keys => "all but floats",
            Input::StringsAndIntegers => "strings, int32, int64",
        }
    }
}

/// The type of what a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// That of its column.
    Same,
    Int64,
    Float64,
    /// A list of values of its column.
    List,
    /// How often which value of its column.
    Counts,
}

impl Output {
    pub(super) fn of(self, input: DataType) -> FeatureType {
        match self {
            Output::Same => input.into(),
            Output::Int64 => DataType::Int64.into(),
            Output::Float64 => DataType::Float64.into(),
            Output::List => FeatureType::List(Box::new(input.into())),
            Output::Counts => FeatureType::Map(input, Box::new(DataType::Int64.into())),
        }
    }

    /// On the reference page.
    pub(super) fn words(self) -> &'static str {
        match self {
            Output::Same => "T",
            Output::Int64 => "int64",
            Output::Float64 => "float64",
            Output::List => "list of T",
            Output::Counts => "map of T to int64",
        }
    }

    /// What functions give for nothing, unless they say otherwise: what counts has counted nothing, the others know nothing.
    pub(super) const fn of_nothing(self) -> Value {
        match self {
            Output::Same | Output::Float64 => Value::Null,
            Output::Int64 => Value::Int64(0),
            Output::List => Value::List(Vec::new()),
            Output::Counts => Value::Map(Vec::new()),
        }
    }
}
