//! Features of one key at one instant, and how near a found value must be.

use freshet_config::definitions::Function;
use freshet_config::time::EventTime;
use freshet_config::value::Value;
use freshet_operators::reference::{ReferenceEvent, evaluate};
use freshet_operators::view::ViewPlan;

use super::{Key, categories};

/// Of a decayed sum: how far it may be from the exact one, relative to the sum of the absolute terms.
const DECAYED: f64 = 1.0 / (1u64 << 49) as f64;

/// What a feature must be.
pub struct Expected {
    pub value: Value,
    /// Of a decayed sum that of the absolute values, in the shape of `value`; others must agree to the last bit.
    scale: Option<Value>,
    /// Events of the key: terms of the naive sum, which rounds at each.
    terms: usize,
}

/// The features of a key, in the order of the view.
pub fn expected(plan: &ViewPlan, key: &Key, at: EventTime) -> Vec<Expected> {
    let terms = key.events.len();
    if plan.before_start(at) {
        let nothing = |_| Expected { value: Value::Null, scale: None, terms };
        return plan.features.iter().map(nothing).collect();
    }
    let values = |of: &dyn Fn(&ReferenceEvent) -> ReferenceEvent| match &plan.categories {
        Some(by) => categories::features(by, key, at, of),
        None => {
            let events: Vec<ReferenceEvent> = key.events.iter().map(of).collect();
            evaluate(plan, &events, at).into_iter().map(|(value, _)| value).collect()
        }
    };
    let found: Vec<Value> = values(&ReferenceEvent::clone);
    let decays = |function: Function| !function.is_exact();
    let scales = match plan.features.iter().any(|feature| decays(feature.function)) {
        true => values(&absolute),
        false => Vec::new(),
    };
    let mut scales = scales.into_iter();
    let one = |(feature, value): (&freshet_operators::view::FeaturePlan, Value)| {
        let scale = scales.next().filter(|_| decays(feature.function));
        Expected { value, scale, terms }
    };
    plan.features.iter().zip(found).map(one).collect()
}

fn absolute(event: &ReferenceEvent) -> ReferenceEvent {
    let value = |value: &Value| match value {
        Value::Int32(value) => Value::Int32(value.saturating_abs()),
        Value::Int64(value) => Value::Int64(value.saturating_abs()),
        Value::Float32(value) => Value::Float32(value.abs()),
        Value::Float64(value) => Value::Float64(value.abs()),
        other => other.clone(),
    };
    ReferenceEvent { values: event.values.iter().map(value).collect(), ..event.clone() }
}

impl Expected {
    /// Whether a found value is the expected one.
    pub fn is(&self, found: &Value) -> bool {
        match &self.scale {
            None => same(&self.value, found),
            Some(scale) => near(&self.value, found, scale, DECAYED + self.terms as f64 * f64::EPSILON),
        }
    }
}

/// Equal to the last bit.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float64(a), Value::Float64(b)) => a.to_bits() == b.to_bits(),
        (Value::Float32(a), Value::Float32(b)) => a.to_bits() == b.to_bits(),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
        }
        (a, b) => a == b,
    }
}

fn near(a: &Value, b: &Value, scale: &Value, relative: f64) -> bool {
    match (a, b, scale) {
        (Value::Float64(a), Value::Float64(b), Value::Float64(scale)) => {
            (a - b).abs() <= scale * relative + f64::MIN_POSITIVE
        }
        (Value::List(a), Value::List(b), Value::List(scale)) => {
            a.len() == b.len() && a.iter().zip(b).zip(scale).all(|((a, b), scale)| near(a, b, scale, relative))
        }
        (Value::Map(a), Value::Map(b), Value::Map(scale)) => {
            let mut entries = a.iter().zip(b).zip(scale);
            a.len() == b.len() && entries.all(|((a, b), scale)| a.0 == b.0 && near(&a.1, &b.1, &scale.1, relative))
        }
        (a, b, _) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(value: Value, scale: Option<Value>) -> Expected {
        Expected { value, scale, terms: 2 }
    }

    #[test]
    fn decayed_sums_may_be_off_by_their_bound_and_others_by_nothing() {
        let float = Value::Float64;
        let third: f64 = 1.0 / 3.0;
        let next = f64::from_bits(third.to_bits() + 1);
        assert!(expected(float(third), None).is(&float(third)));
        assert!(!expected(float(third), None).is(&float(next)));
        assert!(!expected(float(0.0), None).is(&float(-0.0)));
        // What is added up may be much larger than what is left of it.
        assert!(expected(float(third), Some(float(1.0))).is(&float(next)));
        assert!(expected(float(third), Some(float(1e9))).is(&float(third + 1e-6)));
        assert!(!expected(float(third), Some(float(1.0))).is(&float(third + 1e-12)));
        assert!(!expected(float(third), Some(float(1.0))).is(&Value::Null));
        let list = |value| Value::List(vec![Value::Null, float(value)]);
        assert!(expected(list(third), Some(list(1.0))).is(&list(next)));
        assert!(!expected(list(third), Some(list(1.0))).is(&Value::List(vec![float(third)])));
        let map = |key, value| Value::Map(vec![(Value::Int64(key), float(value))]);
        assert!(expected(map(1, third), Some(map(1, 1.0))).is(&map(1, next)));
        assert!(!expected(map(1, third), Some(map(1, 1.0))).is(&map(2, third)));
    }
}
