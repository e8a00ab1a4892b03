//! Rows on their way to a file: values gathered column by column.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use freshet_config::definitions::{Column, arrow_type};
use freshet_config::value::{DataType, Value};

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
    data_type: DataType,
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
}

/// The column, what it takes, and what it was given.
type Misfit = (String, String, String);

impl Columns {
    pub(super) fn new(view: &OfflineView) -> Columns {
        let times = time_columns();
        let slices: [(&[Column], bool); 3] = [(&view.keys, false), (&times, false), (&view.features, true)];
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for (slice, nullable) in slices {
            for column in slice {
                fields.push(Field::new(&column.name, arrow_type(column.data_type), nullable));
                let values = Values::new(column.data_type);
                columns.push(Builder { name: column.name.clone(), data_type: column.data_type, values });
            }
        }
        let groups = slices.map(|(slice, nullable)| (slice.len(), nullable));
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
            self.bytes += column.values.push(value);
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows gathered, which are then gone from here.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        let arrays = self.columns.iter_mut().map(|column| column.values.finish()).collect();
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
                match value.data_type() {
                    Some(found) if found == column.data_type => {}
                    None if nullable => {}
                    found => {
                        let found = found.map_or("null", DataType::name);
                        return Err((column.name.clone(), column.data_type.to_string(), found.to_string()));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Values {
    fn new(data_type: DataType) -> Values {
        match data_type {
            DataType::Int32 => Values::Int32(Int32Builder::new()),
            DataType::Int64 => Values::Int64(Int64Builder::new()),
            DataType::Float32 => Values::Float32(Float32Builder::new()),
            DataType::Float64 => Values::Float64(Float64Builder::new()),
            DataType::String => Values::String(StringBuilder::new()),
            DataType::Bool => Values::Bool(BooleanBuilder::new()),
            DataType::Timestamp => Values::Timestamp(TimestampMicrosecondBuilder::new()),
        }
    }

    /// Appends a value, which is null or of this type, and returns its bytes.
    fn push(&mut self, value: &Value) -> usize {
        match (self, value) {
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
            (values, _) => values.push_null(),
        }
        8
    }

    fn push_null(&mut self) {
        match self {
            Values::Int32(builder) => builder.append_null(),
            Values::Int64(builder) => builder.append_null(),
            Values::Float32(builder) => builder.append_null(),
            Values::Float64(builder) => builder.append_null(),
            Values::String(builder) => builder.append_null(),
            Values::Bool(builder) => builder.append_null(),
            Values::Timestamp(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Values::Int32(builder) => builder,
            Values::Int64(builder) => builder,
            Values::Float32(builder) => builder,
            Values::Float64(builder) => builder,
            Values::String(builder) => builder,
            Values::Bool(builder) => builder,
            Values::Timestamp(builder) => builder,
        };
        builder.finish()
    }
}
