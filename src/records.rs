//! Rows of Arrow batches as JSON records, as pushed to a stream: instants with their zone, nulls left out.
//!
//! The law: what a column of a source cannot hold exactly is not made to fit on the way. NaN and infinities are sent by
//! name and values of foreign types in brackets, so that a source which has the column refuses the record.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray, PrimitiveArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow_json::LineDelimitedWriter;
use freshet_connectors::files::is_exact_for_some_column;

/// Each row as the text of one JSON object.
pub fn json_records(batch: &RecordBatch) -> Result<Vec<String>, ArrowError> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&zoned(batch)?)?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner()).map_err(|error| ArrowError::JsonError(error.to_string()))?;
    let mut records: Vec<String> = text.lines().map(str::to_string).collect();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        name_non_finite(field.name(), column, &mut records)?;
    }
    Ok(records)
}

/// Adds what the writer leaves out as if it were null: NaN and infinities, as text that no column of numbers takes.
fn name_non_finite(name: &str, column: &ArrayRef, records: &mut [String]) -> Result<(), ArrowError> {
    let values: Vec<Option<f64>> = match plain(column.data_type()) {
        DataType::Float64 => cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().iter().collect(),
        DataType::Float32 => {
            let narrow = cast(column, &DataType::Float32)?;
            narrow.as_primitive::<Float32Type>().iter().map(|value| value.map(f64::from)).collect()
        }
        _ => return Ok(()),
    };
    for (record, value) in records.iter_mut().zip(values) {
        let Some(value) = value.filter(|value| !value.is_finite()) else { continue };
        let shown = match value {
            f64::INFINITY => "Infinity",
            f64::NEG_INFINITY => "-Infinity",
            _ => "NaN",
        };
        // Every record is an object: it ends with its brace.
        record.pop();
        let before = if record.len() > 1 { "," } else { "" };
        record.push_str(&format!("{before}{}:\"{shown}\"}}", serde_json::Value::from(name)));
    }
    Ok(())
}

fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

/// Instants without a zone are UTC: they are written with a `Z`. Values of types that no column takes exactly are put
/// into brackets.
fn zoned(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let column = &cast(column, plain(field.data_type()))?;
        let wanted = match plain(field.data_type()) {
            // What the writer would call null is left out, to be named afterwards.
            DataType::Float32 => {
                fields.push(Field::new(field.name(), DataType::Float32, true));
                columns.push(Arc::new(finite::<Float32Type>(column, f32::is_finite)));
                continue;
            }
            DataType::Float64 => {
                fields.push(Field::new(field.name(), DataType::Float64, true));
                columns.push(Arc::new(finite::<Float64Type>(column, f64::is_finite)));
                continue;
            }
            DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, Some("+00:00".into())),
            foreign if !is_exact_for_some_column(foreign) => {
                let element = Arc::new(Field::new_list_field(foreign.clone(), true));
                let lists = FixedSizeListArray::try_new(element, 1, column.clone(), column.logical_nulls())?;
                fields.push(Field::new(field.name(), lists.data_type().clone(), true));
                columns.push(Arc::new(lists));
                continue;
            }
            other => other.clone(),
        };
        columns.push(cast(column, &wanted)?);
        fields.push(Field::new(field.name(), wanted, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn finite<T: ArrowPrimitiveType>(column: &ArrayRef, is_finite: fn(T::Native) -> bool) -> PrimitiveArray<T> {
    column.as_primitive::<T>().iter().map(|value| value.filter(|value| is_finite(*value))).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Decimal128Array, Float32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, UInt64Array,
    };

    use super::*;

    #[test]
    fn instants_carry_a_zone_and_nulls_are_left_out() {
        let at = TimestampMicrosecondArray::from(vec![1_383_271_200_000_000, 1_383_271_200_000_001]);
        let batch = RecordBatch::try_from_iter([
            ("at", Arc::new(at) as _),
            ("n", Arc::new(Int64Array::from(vec![Some(i64::MAX), None])) as _),
            ("s", Arc::new(StringArray::from(vec!["a\"b", "ü"])) as _),
        ])
        .unwrap();
        assert_eq!(
            json_records(&batch).unwrap(),
            [
                r#"{"at":"2013-11-01T02:00:00Z","n":9223372036854775807,"s":"a\"b"}"#,
                r#"{"at":"2013-11-01T02:00:00.000001Z","s":"ü"}"#,
            ]
        );
    }

    #[test]
    fn what_no_column_holds_is_never_made_to_fit() {
        let batch = RecordBatch::try_from_iter([
            ("x", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(f64::NEG_INFINITY), None, Some(0.5)])) as _),
            ("\"y", Arc::new(Float32Array::from(vec![None, Some(f32::INFINITY), None, None])) as _),
            ("u", Arc::new(UInt64Array::from(vec![None, None, Some(7), None])) as _),
            ("d", Arc::new(Decimal128Array::from(vec![None, None, None, Some(7)])) as _),
        ])
        .unwrap();
        let records = json_records(&batch).unwrap();
        assert_eq!(records[0], r#"{"x":"NaN"}"#);
        assert_eq!(records[1], r#"{"x":"-Infinity","\"y":"Infinity"}"#);
        assert_eq!(records[2], r#"{"u":[7]}"#);
        assert!(records[3].starts_with(r#"{"x":0.5,"d":["#), "{}", records[3]);
    }
}
