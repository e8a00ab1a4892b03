//! Values as Arrow arrays and back: the one place that knows how a list or a map of any depth looks in a file.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder,
    ListArray, MapArray, StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType as Arrow, Field, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow::error::ArrowError;

use crate::definitions::arrow_type;
use crate::time::EventTime;
use crate::value::{DataType, FeatureType, Value};

/// The Arrow type of a feature. Elements of lists and values of maps may be null, keys of maps may not.
pub fn feature_arrow_type(feature_type: &FeatureType) -> Arrow {
    match feature_type {
        FeatureType::Scalar(data_type) => arrow_type(*data_type),
        FeatureType::List(element) => {
            Arrow::List(Arc::new(Field::new(Field::LIST_FIELD_DEFAULT_NAME, feature_arrow_type(element), true)))
        }
        FeatureType::Map(key, value) => {
            let entries = Arrow::Struct([key_field(*key), value_field(value)].into());
            // Not all maps are ascending: some functions order theirs by value.
            Arrow::Map(Arc::new(Field::new("entries", entries, false)), false)
        }
    }
}

fn key_field(key: DataType) -> Arc<Field> {
    Arc::new(Field::new("key", arrow_type(key), false))
}

fn value_field(value: &FeatureType) -> Arc<Field> {
    Arc::new(Field::new("value", feature_arrow_type(value), true))
}

/// Gathers values of one type into an array.
pub struct ValueBuilder {
    feature_type: FeatureType,
    values: Values,
}

enum Values {
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    String(StringBuilder),
    Bool(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    List { shape: Nested, elements: Box<ValueBuilder> },
    Map { shape: Nested, keys: Box<ValueBuilder>, values: Box<ValueBuilder> },
}

/// Of each list or map, how many elements it has and whether it is one at all.
#[derive(Default)]
struct Nested {
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl ValueBuilder {
    pub fn new(feature_type: &FeatureType) -> ValueBuilder {
        let values = match feature_type {
            FeatureType::Scalar(DataType::Int32) => Values::Int32(Int32Builder::new()),
            FeatureType::Scalar(DataType::Int64) => Values::Int64(Int64Builder::new()),
            FeatureType::Scalar(DataType::Float32) => Values::Float32(Float32Builder::new()),
            FeatureType::Scalar(DataType::Float64) => Values::Float64(Float64Builder::new()),
            FeatureType::Scalar(DataType::String) => Values::String(StringBuilder::new()),
            FeatureType::Scalar(DataType::Bool) => Values::Bool(BooleanBuilder::new()),
            FeatureType::Scalar(DataType::Timestamp) => Values::Timestamp(TimestampMicrosecondBuilder::new()),
            FeatureType::List(element) => {
                Values::List { shape: Nested::default(), elements: Box::new(ValueBuilder::new(element)) }
            }
            FeatureType::Map(key, value) => Values::Map {
                shape: Nested::default(),
                keys: Box::new(ValueBuilder::new(&FeatureType::Scalar(*key))),
                values: Box::new(ValueBuilder::new(value)),
            },
        };
        ValueBuilder { feature_type: feature_type.clone(), values }
    }

    pub fn feature_type(&self) -> &FeatureType {
        &self.feature_type
    }

    /// Appends a value and returns its bytes, roughly. What does not fit the type becomes null; an entry of a map whose
    /// key does not fit is left out, because a key cannot be null.
    pub fn append(&mut self, value: &Value) -> usize {
        match (&mut self.values, value) {
            (Values::Int32(builder), Value::Int32(v)) => builder.append_value(*v),
            (Values::Int64(builder), Value::Int64(v)) => builder.append_value(*v),
            (Values::Float32(builder), Value::Float32(v)) => builder.append_value(*v),
            (Values::Float64(builder), Value::Float64(v)) => builder.append_value(*v),
            (Values::Bool(builder), Value::Bool(v)) => builder.append_value(*v),
            (Values::Timestamp(builder), Value::Timestamp(v)) => builder.append_value(v.micros()),
            (Values::String(builder), Value::String(v)) => {
                builder.append_value(v);
                return v.len() + 4;
            }
            (Values::List { shape, elements }, Value::List(list)) => {
                shape.push(Some(list.len()));
                return 4 + list.iter().map(|element| elements.append(element)).sum::<usize>();
            }
            (Values::Map { shape, keys, values }, Value::Map(entries)) => {
                let FeatureType::Scalar(key_type) = keys.feature_type else { return 0 };
                let fitting = entries.iter().filter(|(key, _)| key.data_type() == Some(key_type));
                let (mut count, mut bytes) = (0, 4);
                for (key, value) in fitting {
                    bytes += keys.append(key) + values.append(value);
                    count += 1;
                }
                shape.push(Some(count));
                return bytes;
            }
            (values, _) => values.append_null(),
        }
        8
    }

    /// The values appended, which are then gone from here. An error where one array cannot hold all elements of its lists
    /// or maps: their places are 31 bits wide.
    pub fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let scalar: &mut dyn ArrayBuilder = match &mut self.values {
            Values::Int32(builder) => builder,
            Values::Int64(builder) => builder,
            Values::Float32(builder) => builder,
            Values::Float64(builder) => builder,
            Values::String(builder) => builder,
            Values::Bool(builder) => builder,
            Values::Timestamp(builder) => builder,
            Values::List { shape, elements } => {
                let (offsets, nulls) = std::mem::take(shape).finish()?;
                let element = elements.finish()?;
                let field = Field::new(Field::LIST_FIELD_DEFAULT_NAME, element.data_type().clone(), true);
                return Ok(Arc::new(ListArray::try_new(Arc::new(field), offsets, element, Some(nulls))?));
            }
            Values::Map { shape, keys, values } => {
                let (offsets, nulls) = std::mem::take(shape).finish()?;
                let (keys, values) = (keys.finish()?, values.finish()?);
                let FeatureType::Map(key, value) = &self.feature_type else {
                    return Err(ArrowError::InvalidArgumentError(format!("{} is no map", self.feature_type)));
                };
                let fields = [key_field(*key), value_field(value)];
                let entries = StructArray::try_new(fields.into(), vec![keys, values], None)?;
                let field = Field::new("entries", entries.data_type().clone(), false);
                return Ok(Arc::new(MapArray::try_new(Arc::new(field), offsets, entries, Some(nulls), false)?));
            }
        };
        Ok(scalar.finish())
    }
}

impl Values {
    fn append_null(&mut self) {
        match self {
            Values::Int32(builder) => builder.append_null(),
            Values::Int64(builder) => builder.append_null(),
            Values::Float32(builder) => builder.append_null(),
            Values::Float64(builder) => builder.append_null(),
            Values::String(builder) => builder.append_null(),
            Values::Bool(builder) => builder.append_null(),
            Values::Timestamp(builder) => builder.append_null(),
            Values::List { shape, .. } | Values::Map { shape, .. } => shape.push(None),
        }
    }
}

impl Nested {
    fn push(&mut self, length: Option<usize>) {
        self.lengths.push(length.unwrap_or(0));
        self.valid.push(length.is_some());
    }

    fn finish(self) -> Result<(OffsetBuffer<i32>, NullBuffer), ArrowError> {
        let total: usize = self.lengths.iter().sum();
        if i32::try_from(total).is_err() {
            return Err(ArrowError::OffsetOverflowError(total));
        }
        Ok((OffsetBuffer::from_lengths(self.lengths), NullBuffer::from(self.valid)))
    }
}

/// Values of one type as an array; see [`ValueBuilder::append`] for those of another.
pub fn feature_array<'a>(
    feature_type: &FeatureType,
    values: impl IntoIterator<Item = &'a Value>,
) -> Result<ArrayRef, ArrowError> {
    let mut builder = ValueBuilder::new(feature_type);
    for value in values {
        builder.append(value);
    }
    builder.finish()
}

/// The value in a row of a column of this type.
pub fn value_at(array: &ArrayRef, data_type: DataType, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match data_type {
        DataType::Int32 => Value::Int32(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::Int64(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Value::Float32(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::Float64(array.as_primitive::<Float64Type>().value(row)),
        DataType::String => Value::String(array.as_string::<i32>().value(row).to_string()),
        DataType::Bool => Value::Bool(array.as_boolean().value(row)),
        DataType::Timestamp => {
            Value::Timestamp(EventTime::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(row)))
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn lists_of_maps_become_arrays_of_their_type() {
        let map = FeatureType::Map(DataType::String, Box::new(DataType::Int64.into()));
        let feature_type = FeatureType::List(Box::new(map));
        let entry = |key: &str, value| (Value::String(key.into()), value);
        let rows = [
            Value::List(vec![Value::Map(vec![entry("b", Value::Int64(2)), entry("a", Value::Null)]), Value::Null]),
            Value::Null,
            Value::List(Vec::new()),
            Value::List(vec![Value::Map(Vec::new())]),
            Value::Int64(5),
        ];
        assert!(rows[..4].iter().all(|row| feature_type.fits(row)));
        assert!(!feature_type.fits(&rows[4]));
        let array = feature_array(&feature_type, &rows).unwrap();
        assert_eq!(array.data_type(), &feature_arrow_type(&feature_type));
        assert_eq!((array.len(), array.null_count()), (5, 2));
        let lists = array.as_list::<i32>();
        assert_eq!([0, 1, 2, 3, 4].map(|row| lists.value_length(row)), [2, 0, 0, 1, 0]);
        let first = lists.value(0);
        let maps = first.as_map();
        assert!(maps.is_null(1));
        assert_eq!(maps.value(0).column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(maps.value(0).column(1).null_count(), 1);
    }

    #[test]
    fn a_finished_builder_begins_anew() {
        let mut builder = ValueBuilder::new(&FeatureType::List(Box::new(DataType::Float32.into())));
        builder.append(&Value::List(vec![Value::Float32(1.5)]));
        assert_eq!(builder.finish().unwrap().len(), 1);
        assert_eq!(builder.finish().unwrap().len(), 0);
        builder.append(&Value::List(vec![Value::Float32(2.5), Value::Null]));
        let array = builder.finish().unwrap();
        assert_eq!(array.as_list::<i32>().value_length(0), 2);
    }

    #[test]
    fn an_entry_without_a_fitting_key_is_left_out() {
        let feature_type = FeatureType::Map(DataType::Int64, Box::new(DataType::Bool.into()));
        let rows = [Value::Map(vec![(Value::Null, Value::Bool(true)), (Value::Int64(1), Value::Bool(false))])];
        assert_eq!(feature_array(&feature_type, &rows).unwrap().as_map().value_length(0), 1);
    }
}
