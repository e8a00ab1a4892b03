//! Values of Arrow columns in a form that compares across types of one kind.

use std::fmt;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType as Arrow, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Bool(bool),
    /// Microseconds since 1970.
    Time(i64),
    List(Vec<Cell>),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Null => f.write_str("null"),
            Cell::Int(v) => v.fmt(f),
            Cell::Float(v) => write!(f, "{v:?}"),
            Cell::Text(v) => write!(f, "{v:?}"),
            Cell::Bool(v) => v.fmt(f),
            Cell::Time(v) => freshet_config::time::EventTime::from_micros(*v).fmt(f),
            Cell::List(cells) => {
                f.write_str("[")?;
                for (index, cell) in cells.iter().enumerate() {
                    write!(f, "{}{cell}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

impl Cell {
    /// Doubles to 1e-7 relative, everything else exactly.
    pub fn agrees(&self, other: &Cell) -> bool {
        match (self, other) {
            (Cell::Float(a), Cell::Float(b)) => (a - b).abs() <= 1e-7 * a.abs().max(b.abs()),
            (Cell::List(a), Cell::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.agrees(b)),
            (a, b) => a == b,
        }
    }
}

/// A whole Parquet file as one batch.
pub fn read(path: &Path) -> Result<RecordBatch, String> {
    let failed = |error: &dyn fmt::Display| format!("cannot read {}: {error}", path.display());
    let file = File::open(path).map_err(|error| failed(&error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(&error))?;
    let schema = builder.schema().clone();
    let reader = builder.build().map_err(|error| failed(&error))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
    concat_batches(&schema, &batches).map_err(|error| failed(&error))
}

/// A column of a batch as cells.
pub fn column(batch: &RecordBatch, name: &str) -> Result<Vec<Cell>, String> {
    let array = batch.column_by_name(name).ok_or_else(|| {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        format!("there is no column {name} among {}", names.join(", "))
    })?;
    cells(array).map_err(|error| format!("column {name}: {error}"))
}

fn cells(array: &ArrayRef) -> Result<Vec<Cell>, String> {
    let to = |target: &Arrow| cast(array, target).map_err(|error| error.to_string());
    let found = array.data_type();
    if found.is_integer() {
        let array = to(&Arrow::Int64)?;
        return Ok(array.as_primitive::<Int64Type>().iter().map(|v| v.map_or(Cell::Null, Cell::Int)).collect());
    }
    Ok(match found {
        Arrow::Null => vec![Cell::Null; array.len()],
        Arrow::Float32 | Arrow::Float64 => {
            let array = to(&Arrow::Float64)?;
            array.as_primitive::<Float64Type>().iter().map(|v| v.map_or(Cell::Null, Cell::Float)).collect()
        }
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View | Arrow::Dictionary(..) => {
            let array = to(&Arrow::Utf8)?;
            let text = |v: Option<&str>| v.map_or(Cell::Null, |v| Cell::Text(v.to_string()));
            array.as_string::<i32>().iter().map(text).collect()
        }
        Arrow::Boolean => array.as_boolean().iter().map(|v| v.map_or(Cell::Null, Cell::Bool)).collect(),
        Arrow::Timestamp(..) => {
            let array = to(&Arrow::Timestamp(TimeUnit::Microsecond, None))?;
            array.as_primitive::<TimestampMicrosecondType>().iter().map(|v| v.map_or(Cell::Null, Cell::Time)).collect()
        }
        Arrow::List(_) => {
            let list = |v: Option<ArrayRef>| v.map_or(Ok(Cell::Null), |v| cells(&v).map(Cell::List));
            array.as_list::<i32>().iter().map(list).collect::<Result<_, _>>()?
        }
        other => return Err(format!("{other} is not compared")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_agree_to_seven_digits_and_nothing_else_does() {
        assert!(Cell::Float(1.0).agrees(&Cell::Float(1.0 + 9e-8)));
        assert!(!Cell::Float(1.0).agrees(&Cell::Float(1.0 + 2e-7)));
        assert!(!Cell::Float(0.0).agrees(&Cell::Float(1e-12)));
        assert!(!Cell::Float(f64::NAN).agrees(&Cell::Float(f64::NAN)));
        assert!(!Cell::Int(1).agrees(&Cell::Float(1.0)));
        assert!(!Cell::Null.agrees(&Cell::Int(0)));
        assert!(Cell::List(vec![Cell::Float(2.0)]).agrees(&Cell::List(vec![Cell::Float(2.0 + 1e-8)])));
        assert!(!Cell::List(vec![Cell::Int(2)]).agrees(&Cell::List(Vec::new())));
    }
}
