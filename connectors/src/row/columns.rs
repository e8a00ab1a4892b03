//! Arrow builders behind one face, one per column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use freshet_config::value::DataType;

use super::Cell;

#[derive(Debug)]
pub(super) enum ColumnBuilder {
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    String(StringBuilder),
    Bool(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    pub fn new(data_type: DataType) -> ColumnBuilder {
        match data_type {
            DataType::Int32 => ColumnBuilder::Int32(Int32Builder::new()),
            DataType::Int64 => ColumnBuilder::Int64(Int64Builder::new()),
            DataType::Float32 => ColumnBuilder::Float32(Float32Builder::new()),
            DataType::Float64 => ColumnBuilder::Float64(Float64Builder::new()),
            DataType::String => ColumnBuilder::String(StringBuilder::new()),
            DataType::Bool => ColumnBuilder::Bool(BooleanBuilder::new()),
            DataType::Timestamp => ColumnBuilder::Timestamp(TimestampMicrosecondBuilder::new()),
        }
    }

    /// Appends a cell that was parsed for this column's type; a cell of any other kind counts as null.
    pub fn append(&mut self, cell: Cell, text: &str) {
        match (self, cell) {
            // Parsing checked that the number fits.
            (ColumnBuilder::Int32(b), Cell::Integer(v)) => b.append_option(i32::try_from(v).ok()),
            (ColumnBuilder::Int32(b), _) => b.append_null(),
            (ColumnBuilder::Int64(b), Cell::Integer(v)) => b.append_value(v),
            (ColumnBuilder::Int64(b), _) => b.append_null(),
            // Parsing rounded to a float32 already: this narrowing is exact.
            (ColumnBuilder::Float32(b), Cell::Float(v)) => b.append_value(v as f32),
            (ColumnBuilder::Float32(b), _) => b.append_null(),
            (ColumnBuilder::Float64(b), Cell::Float(v)) => b.append_value(v),
            (ColumnBuilder::Float64(b), _) => b.append_null(),
            (ColumnBuilder::String(b), Cell::Text { start, end }) => b.append_option(text.get(start..end)),
            (ColumnBuilder::String(b), _) => b.append_null(),
            (ColumnBuilder::Bool(b), Cell::Bool(v)) => b.append_value(v),
            (ColumnBuilder::Bool(b), _) => b.append_null(),
            (ColumnBuilder::Timestamp(b), Cell::Time { at, .. }) => b.append_value(at.micros()),
            (ColumnBuilder::Timestamp(b), _) => b.append_null(),
        }
    }

    pub fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Int32(b) => Arc::new(b.finish()),
            ColumnBuilder::Int64(b) => Arc::new(b.finish()),
            ColumnBuilder::Float32(b) => Arc::new(b.finish()),
            ColumnBuilder::Float64(b) => Arc::new(b.finish()),
            ColumnBuilder::String(b) => Arc::new(b.finish()),
            ColumnBuilder::Bool(b) => Arc::new(b.finish()),
            ColumnBuilder::Timestamp(b) => Arc::new(b.finish()),
        }
    }
}
