//! Rows on their way to a file: values gathered column by column.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use freshet_config::arrays::{ValueBuilder, feature_arrow_type};
use freshet_config::value::{DataType, FeatureType, Value};

use super::{OfflineView, time_columns};

/// Builders of all columns: keys, the two instants, features.
pub(super) struct Columns {
    schema: SchemaRef,
    columns: Vec<Builder>,
    /// How many columns come from each slice of a row, and whether they may be null.
    groups: [(usize, bool); 3],
    rows: usize,
    bytes: usize,
}

struct Builder {
    name: String,
    values: ValueBuilder,
}

/// The column, what it takes, and what it was given.
type Misfit = (String, String, String);

impl Columns {
    pub(super) fn new(view: &OfflineView) -> Columns {
        let times = time_columns();
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        let mut add = |name: &str, feature_type: &FeatureType, nullable| {
            fields.push(Field::new(name, feature_arrow_type(feature_type), nullable));
            columns.push(Builder { name: name.to_string(), values: ValueBuilder::new(feature_type) });
        };
        for column in view.keys.iter().chain(&times) {
            add(&column.name, &column.data_type.into(), false);
        }
        for (name, feature_type) in &view.features {
            add(name, feature_type, true);
        }
        let groups = [(view.keys.len(), false), (times.len(), false), (view.features.len(), true)];
        Columns { schema: Arc::new(Schema::new(fields)), columns, groups, rows: 0, bytes: 0 }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the values gathered, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a row given as keys, instants and features; all of it or nothing.
    pub(super) fn append(&mut self, row: [&[Value]; 3]) -> Result<(), Misfit> {
        self.check(row)?;
        for (column, value) in self.columns.iter_mut().zip(row.into_iter().flatten()) {
            self.bytes += column.values.append(value);
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows gathered, which are then gone from here.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let arrays = self.columns.iter_mut().map(|column| column.values.finish()).collect::<Result<_, _>>()?;
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(self.schema(), arrays)
    }

    fn check(&self, row: [&[Value]; 3]) -> Result<(), Misfit> {
        let mut columns = self.columns.iter();
        for (values, (count, nullable)) in row.into_iter().zip(self.groups) {
            let columns = columns.by_ref().take(count);
            if values.len() != count {
                let names: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
                return Err((names.join("`, `"), format!("{count} values"), format!("{} values", values.len())));
            }
            for (column, value) in columns.zip(values) {
                let wanted = column.values.feature_type();
                if !wanted.fits(value) || value.is_null() && !nullable {
                    return Err((column.name.clone(), wanted.to_string(), shape(value).to_string()));
                }
            }
        }
        Ok(())
    }
}

/// What a value is, for a message about one that does not fit.
fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::List(_) => "another list",
        Value::Map(_) => "another map",
        scalar => scalar.data_type().map_or("null", DataType::name),
    }
}
