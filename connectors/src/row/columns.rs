//! Arrow builders behind one face, one per column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, ListArray, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::Field;
use freshet_config::definitions::arrow_type;
use freshet_config::value::DataType;

use super::{Cell, Row};

#[derive(Debug)]
pub(super) enum ColumnBuilder {
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    String(StringBuilder),
    Bool(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    List(Box<ListBuilder>),
}

/// Elements, and where each row's end.
#[derive(Debug)]
pub(super) struct ListBuilder {
    elements: ColumnBuilder,
    data_type: DataType,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl ListBuilder {
    fn finish(&mut self) -> ArrayRef {
        let field = Arc::new(Field::new_list_field(arrow_type(self.data_type), true));
        let offsets = OffsetBuffer::from_lengths(std::mem::take(&mut self.lengths));
        let valid = NullBuffer::from(std::mem::take(&mut self.valid));
        // As many elements were appended as the lengths say.
        Arc::new(ListArray::new(field, offsets, self.elements.finish(), Some(valid)))
    }
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

    /// A column of lists.
    pub fn list_of(data_type: DataType) -> ColumnBuilder {
        let elements = ColumnBuilder::new(data_type);
        let list = ListBuilder { elements, data_type, lengths: Vec::new(), valid: Vec::new() };
        ColumnBuilder::List(Box::new(list))
    }

    /// Appends a cell of `row` that was parsed for this column's type; a cell of any other kind counts as null.
    pub fn append(&mut self, cell: Cell, row: &Row) {
        let text = &row.text;
        match (self, cell) {
            (ColumnBuilder::List(b), Cell::List { start, end }) => {
                let items = row.items.get(start..end).unwrap_or_default();
                items.iter().for_each(|item| b.elements.append(*item, row));
                b.lengths.push(items.len());
                b.valid.push(true);
            }
            (ColumnBuilder::List(b), _) => {
                b.lengths.push(0);
                b.valid.push(false);
            }
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
            ColumnBuilder::List(b) => b.finish(),
        }
    }
}
