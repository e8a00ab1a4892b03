//! Join keys as bytes: what is stored reads back, and whatever else the bytes are is no key.

use freshet_config::time::EventTime;
use freshet_config::value::{DataType, Value, decode_key, encode_key};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(Value::Int32),
        any::<i64>().prop_map(Value::Int64),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|us| Value::Timestamp(EventTime::from_micros(us))),
        ".{0,40}".prop_map(Value::String),
    ]
}

fn types(values: &[Value]) -> Vec<DataType> {
    values.iter().map(|value| value.data_type().unwrap()).collect()
}

proptest! {
    #[test]
    fn keys_read_back_and_no_two_are_one(values in vec(value(), 1..5), other in vec(value(), 1..5)) {
        let (mut bytes, mut others) = (Vec::new(), Vec::new());
        encode_key(&values, &mut bytes).unwrap();
        encode_key(&other, &mut others).unwrap();
        prop_assert_eq!(decode_key(&types(&values), &bytes), Some(values.clone()));
        prop_assert!(types(&values) != types(&other) || values == other || bytes != others);
        for end in 0..bytes.len() {
            prop_assert_eq!(decode_key(&types(&values), &bytes[..end]), None);
        }
    }

    /// A length of four gigabytes among them.
    #[test]
    fn damaged_keys_are_read_or_refused(
        values in vec(value(), 1..5),
        wounds in vec((any::<Index>(), prop_oneof![Just(0xff), any::<u8>()]), 1..6),
        noise in vec(any::<u8>(), 0..60),
    ) {
        let types = types(&values);
        let mut bytes = Vec::new();
        encode_key(&values, &mut bytes).unwrap();
        for (at, byte) in wounds {
            if !bytes.is_empty() {
                *at.get_mut(&mut bytes) = byte;
            }
        }
        for bytes in [bytes, noise, vec![0xff; 64]] {
            let Some(read) = decode_key(&types, &bytes) else { continue };
            prop_assert_eq!(read.len(), types.len());
            // Truth values have many bytes of which two are written.
            if !types.contains(&DataType::Bool) {
                let mut again = Vec::new();
                encode_key(&read, &mut again).unwrap();
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
