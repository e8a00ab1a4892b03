//! What the list of functions becomes: an enum whose methods go to the file of each, and what is known of each without
//! its parameters.

use super::{AggregateFunction, Function, Input, Output, Page, Parameter};
use crate::raw::RawAggregate;
use crate::resolve::functions::Written;
use crate::value::Value;

/// What is known of a function without parameters: the constants of its file.
pub(crate) struct Entry {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub other_words: &'static [(&'static str, &'static str)],
    pub is_written: bool,
    pub is_meant: fn(&RawAggregate) -> bool,
    pub parameters: &'static [Parameter],
    pub takes: Input,
    pub gives: Output,
    pub empty: Value,
    pub needs_column: bool,
    pub is_exact: bool,
    pub moves: bool,
    pub page: Page,
    pub read: fn(&mut Written<'_>) -> Option<Function>,
    pub samples: fn() -> Vec<Function>,
}

impl Entry {
    pub(super) const fn of<F: AggregateFunction>() -> Entry {
        Entry {
            name: F::NAME,
            aliases: F::ALIASES,
            other_words: F::OTHER_WORDS,
            is_written: F::IS_WRITTEN,
            is_meant: F::is_meant,
            parameters: F::PARAMETERS,
            takes: F::TAKES,
            gives: F::GIVES,
            empty: F::EMPTY,
            needs_column: F::NEEDS_COLUMN,
            is_exact: F::IS_EXACT,
            moves: F::MOVES,
            page: F::PAGE,
            read: |written| F::read(written).map(Into::into),
            samples: || F::samples().into_iter().map(Into::into).collect(),
        }
    }

    /// The names it is written by.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.aliases.iter().copied().chain([self.name])
    }
}

/// The functions that can be written, in the order of the list.
pub(crate) fn written() -> impl Iterator<Item = &'static Entry> + Clone {
    super::LIST.iter().filter(|entry| entry.is_written)
}

/// Makes [`Function`](super::Function) of the list: a variant per line, of the shape of the function's own type, and the
/// methods that go to its file.
macro_rules! functions {
    ($($file:ident :: $name:ident $(($($part:ident : $part_type:ty),*))? $({ $($field:ident : $field_type:ty),* })?,)*) => {
        /// An aggregate function with its parameters, which lie within their bounds. What each means is in its own file.
        ///
        /// "Ascending" is ascending event time, ties in the canonical order of events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        pub enum Function {
            $($name $(($($part_type),*))? $({ $($field: $field_type),* })?,)*
        }

        /// In the order of the reference page.
        static LIST: &[Entry] = &[$(Entry::of::<$file::$name>()),*];

        impl Function {
            fn entry(self) -> &'static Entry {
                match self {
                    $(Function::$name { .. } => const { &Entry::of::<$file::$name>() },)*
                }
            }

            /// What must be kept of its column.
            pub fn keeps(self) -> Keeps {
                match self {
                    $(Function::$name $(($($part),*))? $({ $($field),* })? => {
                        $file::$name $(($($part),*))? $({ $($field),* })?.keeps()
                    })*
                }
            }

            /// The value, from what was kept. Of a column without values it is not asked: see [`Function::empty`].
            #[inline]
            pub fn value(self, kept: &impl Kept) -> Outcome {
                match self {
                    $(Function::$name $(($($part),*))? $({ $($field),* })? => {
                        $file::$name $(($($part),*))? $({ $($field),* })?.value(kept)
                    })*
                }
            }

            /// The value again, by definition and nothing else: slow and obvious, sharing no code with [`Function::value`].
            pub fn naive(self, plain: &Plain) -> Outcome {
                match self {
                    $(Function::$name $(($($part),*))? $({ $($field),* })? => {
                        $file::$name $(($($part),*))? $({ $($field),* })?.naive(plain)
                    })*
                }
            }
        }

        $(
            impl From<$file::$name> for Function {
                fn from(function: $file::$name) -> Function {
                    let $file::$name $(($($part),*))? $({ $($field),* })? = function;
                    Function::$name $(($($part),*))? $({ $($field),* })?
                }
            }
        )*
    };
}
pub(super) use functions;
