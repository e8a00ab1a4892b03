//! Rows of Arrow batches as JSON records, as pushed to a stream: instants with their zone, nulls left out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow_json::LineDelimitedWriter;

/// Each row as the text of one JSON object.
pub fn json_records(batch: &RecordBatch) -> Result<Vec<String>, ArrowError> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&zoned(batch)?)?;
    writer.finish()?;
    let text = String::from_utf8(writer.into_inner()).map_err(|error| ArrowError::JsonError(error.to_string()))?;
    Ok(text.lines().map(str::to_string).collect())
}

/// Instants without a zone are UTC: they are written with a `Z`.
fn zoned(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let wanted = match field.data_type() {
            DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, Some("+00:00".into())),
            other => other.clone(),
        };
        columns.push(if wanted == *field.data_type() { column.clone() } else { cast(column, &wanted)? });
        fields.push(Field::new(field.name(), wanted, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray};

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
}
