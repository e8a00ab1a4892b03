//! What a record is called in a topic: records of one row, or of one event that comes again, have one name.
//!
//! Law: Kafka puts records of one key into one partition, and a partition is read in the order in which it was written. So
//! the one that came last, or first, is the same at every start. Between partitions there is no order.

use arrow::array::RecordBatch;
use freshet_config::arrays::value_at;
use freshet_config::definitions::{Column, Dimension, Source};
use freshet_config::value::{DataType, Value};

/// The columns that name a record.
#[derive(Debug, Default)]
pub(super) struct MessageKey {
    columns: Vec<(usize, DataType)>,
}

impl MessageKey {
    /// The row of a changelog, else what tells doubles; other events have no name.
    pub fn of_source(source: &Source) -> MessageKey {
        let columns: Vec<usize> = match &source.changelog {
            Some(changelog) => changelog.key.clone(),
            None => source.dedup_key.into_iter().collect(),
        };
        MessageKey::new(&source.schema, &columns)
    }

    pub fn of_dimension(dimension: &Dimension) -> MessageKey {
        MessageKey::new(&dimension.schema, &dimension.key)
    }

    fn new(schema: &[Column], columns: &[usize]) -> MessageKey {
        MessageKey { columns: columns.iter().map(|column| (*column, schema[*column].data_type)).collect() }
    }

    /// The key of a row: one value as text, as most producers write it, several as a JSON array of such texts. `None`
    /// where a part is null, and where records have no name.
    pub fn of_row(&self, batch: &RecordBatch, row: usize) -> Option<String> {
        let part = |(column, data_type): &(usize, DataType)| text(value_at(batch.column(*column), *data_type, row));
        let mut parts: Vec<String> = self.columns.iter().map(part).collect::<Option<_>>()?;
        match parts.len() {
            0 => None,
            1 => parts.pop(),
            _ => serde_json::to_string(&parts).ok(),
        }
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Int32(number) => Some(number.to_string()),
        Value::Int64(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::String(text) => Some(text),
        Value::Timestamp(at) => Some(at.to_string()),
        // No other type names anything.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use freshet_config::definitions::arrow_schema;

    use super::*;

    #[test]
    fn one_value_is_its_text_and_several_are_told_apart() {
        let column = |name: &str, data_type| Column { name: name.to_string(), data_type };
        let schema = [column("id", DataType::Int64), column("city", DataType::String)];
        let ids = Int64Array::from(vec![Some(-7), None]);
        let cities = StringArray::from(vec!["a\",\"b", "c"]);
        let batch = RecordBatch::try_new(arrow_schema(&schema), vec![Arc::new(ids), Arc::new(cities)]).unwrap();
        let keys = |columns: &[usize]| [0, 1].map(|row| MessageKey::new(&schema, columns).of_row(&batch, row));
        assert_eq!(keys(&[0]), [Some("-7".to_string()), None]);
        assert_eq!(keys(&[1, 0]), [Some(r#"["a\",\"b","-7"]"#.to_string()), None]);
        assert_eq!(keys(&[]), [None, None]);
    }
}
