//! `min_by` and `max_by`: the value in the row whose `order` is least or greatest; of equals the newest wins.

use std::cmp::Ordering;

use super::*;

#[derive(Clone, Copy)]
pub struct MinBy;

#[derive(Clone, Copy)]
pub struct MaxBy;

const ORDER: Parameter = Parameter { name: "order", bounds: Bounds::Order };

/// What both have in common.
macro_rules! chosen {
    ($name:ident, $greatest:literal, $better:expr, $($constant:tt)*) => {
        impl AggregateFunction for $name {
            $($constant)*
            const PARAMETERS: &'static [Parameter] = &[ORDER];
            const TAKES: Input = Input::Any;
            const GIVES: Output = Output::Same;

            fn read(written: &mut Written<'_>) -> Option<$name> {
                written.order(&ORDER).map(|()| $name)
            }

            fn samples() -> Vec<$name> {
                vec![$name]
            }

            fn keeps(self) -> Keeps {
                Keeps::By { greatest: $greatest }
            }

            fn value(self, kept: &impl Kept) -> Outcome {
                kept.chosen()
            }

            fn naive(self, plain: &Plain) -> Outcome {
                Ok(chosen(plain, $better))
            }
        }
    };
}

chosen! { MinBy, false, Ordering::Less,
    const NAME: &'static str = "min_by";
    const PAGE: Page = Page {
        value: "`of` in the event whose `order` is least; of equals the latest",
        nulls: "an event with a null in either does not count",
        ..Page::EXACT
    };
}

chosen! { MaxBy, true, Ordering::Greater,
    const NAME: &'static str = "max_by";
    const PAGE: Page = Page {
        value: "`of` in the event whose `order` is greatest; of equals the latest",
        nulls: "an event with a null in either does not count",
        ..Page::EXACT
    };
}

/// For the naive forms: the value of the newest row whose order is better than or equal to all others'.
fn chosen(plain: &Plain, better: Ordering) -> Value {
    let mut best: Option<&PlainEvent> = None;
    for event in plain.events.iter().filter(|event| !event.order.is_null() && !event.value.is_null()) {
        let wins = best.is_none_or(|best| {
            let compared = plain::compare(&event.order, &best.order);
            compared == better || compared == Ordering::Equal
        });
        if wins {
            best = Some(event);
        }
    }
    best.map_or(Value::Null, |event| event.value.clone())
}
