//! `first`, `last`, `first_distinct` and `last_distinct`: the `n` values that came first or last, ascending.

use super::*;

/// The oldest values.
#[derive(Clone, Copy)]
pub struct FirstN(pub u16);

/// The newest values.
#[derive(Clone, Copy)]
pub struct LastN(pub u16);

/// The distinct values that occur first, by first occurrence.
#[derive(Clone, Copy)]
pub struct FirstDistinct(pub u16);

/// The distinct values that occur last, by last occurrence.
#[derive(Clone, Copy)]
pub struct LastDistinct(pub u16);

const N: Parameter =
    Parameter { name: "n", bounds: Bounds::Whole { what: "how many values", low: 1, high: 1000, default: None } };

/// What all four have in common.
macro_rules! list {
    ($name:ident, newest: $newest:literal, distinct: $distinct:literal, naive: $naive:expr, $($constant:tt)*) => {
        impl AggregateFunction for $name {
            $($constant)*
            const PARAMETERS: &'static [Parameter] = &[N];
            const TAKES: Input = Input::Any;
            const GIVES: Output = Output::List;

            fn read(written: &mut Written<'_>) -> Option<$name> {
                // The bounds fit the type.
                written.whole(&N).map(|n| $name(n as u16))
            }

            fn samples() -> Vec<$name> {
                [1, 2, 3, 10, 40].map($name).to_vec()
            }

            fn keeps(self) -> Keeps {
                let $name(n) = self;
                Keeps::Summary(SummaryKind::List { n: usize::from(n), newest: $newest, distinct: $distinct })
            }

            fn value(self, kept: &impl Kept) -> Outcome {
                kept.list(self.0).map(Value::List)
            }

            fn naive(self, plain: &Plain) -> Outcome {
                let all: fn(Vec<Value>, usize) -> Vec<Value> = $naive;
                Ok(Value::List(all(plain.values(), usize::from(self.0))))
            }
        }
    };
}

list! { FirstN, newest: false, distinct: false, naive: |values, n| values.into_iter().take(n).collect(),
    const NAME: &'static str = "first";
    const OTHER_WORDS: &'static [(&'static str, &'static str)] = &[("first_n", "write `first` with `n`")];
    const PAGE: Page = Page { value: "the `n` earliest values, ascending", ..Page::EXACT };
}

list! { LastN, newest: true, distinct: false,
    naive: |mut values, n| values.split_off(values.len().saturating_sub(n)),
    const NAME: &'static str = "last";
    const OTHER_WORDS: &'static [(&'static str, &'static str)] = &[("last_n", "write `last` with `n`")];
    const PAGE: Page = Page { title: "`last` with `n`", value: "the `n` latest values, ascending", ..Page::EXACT };
}

list! { FirstDistinct, newest: false, distinct: true, naive: |values, n| distinct(values.into_iter(), n),
    const NAME: &'static str = "first_distinct";
    const PAGE: Page = Page {
        value: "the `n` distinct values that occur first, ordered by first occurrence",
        source: "A B A C gives A, B, C",
        ..Page::EXACT
    };
}

list! { LastDistinct, newest: true, distinct: true,
    naive: |values, n| {
        let mut newest_first = distinct(values.into_iter().rev(), n);
        newest_first.reverse();
        newest_first
    },
    const NAME: &'static str = "last_distinct";
    const PAGE: Page = Page {
        value: "the `n` distinct values that occur last, ordered by last occurrence",
        source: "A B A C gives B, A, C",
        ..Page::EXACT
    };
}

/// For the naive forms.
fn distinct(values: impl Iterator<Item = Value>, n: usize) -> Vec<Value> {
    let mut seen: Vec<Value> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen.truncate(n);
    seen
}
