//! Found values, and whether they are the ones expected.

use arrow::array::{Array, ArrayRef, AsArray};
use freshet_config::arrays::value_at;
use freshet_config::value::{FeatureType, Value};
use freshet_engine::dataset::Dataset;

/// How far a double may be from the one written, relative to it: tests write decimals, not bits.
const RELATIVE: f64 = 1e-9;
/// The same for a float32, which has seven digits.
const RELATIVE_FLOAT32: f64 = 1e-6;

/// A feature of a dataset in one row, by its served name.
pub fn found(dataset: &Dataset, feature: &str, feature_type: &FeatureType, row: usize) -> Value {
    let column = feature.replacen('.', "__", 1);
    let mut row = row;
    for batch in &dataset.batches {
        if row < batch.num_rows() {
            return batch.column_by_name(&column).map_or(Value::Null, |array| value(array, feature_type, row));
        }
        row -= batch.num_rows();
    }
    Value::Null
}

fn value(array: &ArrayRef, feature_type: &FeatureType, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match feature_type {
        FeatureType::Scalar(data_type) => value_at(array, *data_type, row),
        FeatureType::List(element) => {
            let elements = array.as_list::<i32>().value(row);
            Value::List((0..elements.len()).map(|index| value(&elements, element, index)).collect())
        }
        FeatureType::Map(key, of) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let entry = |index| (value_at(keys, *key, index), value(values, of, index));
            Value::Map((0..entries.len()).map(entry).collect())
        }
    }
}

/// Whether a found value is the expected one. The order of a map's entries does not count.
pub fn agree(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Float64(a), Value::Float64(b)) => close(*a, *b, RELATIVE),
        (Value::Float32(a), Value::Float32(b)) => close(f64::from(*a), f64::from(*b), RELATIVE_FLOAT32),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            let same = |(key, value): &(Value, Value)| b.iter().any(|(k, found)| k == key && agree(value, found));
            a.len() == b.len() && a.iter().all(same)
        }
        (expected, found) => expected == found,
    }
}

fn close(expected: f64, found: f64, relative: f64) -> bool {
    expected == found || (expected - found).abs() <= expected.abs() * relative
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_agree_to_their_digits_and_everything_else_exactly() {
        let float = Value::Float64;
        assert!(agree(&float(0.333_333_333_3), &float(1.0 / 3.0)));
        assert!(!agree(&float(0.3333), &float(1.0 / 3.0)));
        assert!(!agree(&float(0.0), &float(1e-30)));
        assert!(!agree(&Value::Null, &float(0.0)) && agree(&Value::Null, &Value::Null));
        assert!(!agree(&Value::Int64(1), &Value::Int64(2)));
        let map = |keys: [i64; 2]| Value::Map(keys.map(|key| (Value::Int64(key), float(key as f64))).to_vec());
        assert!(agree(&map([1, 2]), &map([2, 1])) && !agree(&map([1, 2]), &map([1, 3])));
        assert!(!agree(&Value::List(vec![float(1.0)]), &Value::List(Vec::new())));
    }
}
