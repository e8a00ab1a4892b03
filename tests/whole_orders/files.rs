//! Parquet files of the whole-system test: history and dimension written, offline rows read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use freshet_config::time::EventTime;
use freshet_config::value::{DataType, FeatureType, Value};
use freshet_operators::view::ViewPlan;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Order, SHOPS, commission};

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let file = File::create(path).expect("a temporary file is written");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("the schema is one of parquet's");
    writer.write(&batch).expect("a temporary file is written");
    writer.close().expect("a temporary file is written");
}

pub fn write_history(path: &Path, orders: &[Order]) {
    let times: TimestampMicrosecondArray = orders.iter().map(|order| Some(order.at.micros())).collect();
    write(
        path,
        vec![
            ("order_id", Arc::new(StringArray::from_iter_values(orders.iter().map(|order| &order.id)))),
            ("shopper_id", Arc::new(Int64Array::from_iter_values(orders.iter().map(|order| order.shopper)))),
            ("shop", Arc::new(StringArray::from_iter_values(orders.iter().map(|order| order.shop)))),
            ("amount", Arc::new(Float64Array::from_iter_values(orders.iter().map(|order| order.amount)))),
            ("items", Arc::new(Int32Array::from_iter_values(orders.iter().map(|order| order.items)))),
            ("paid", Arc::new(BooleanArray::from_iter(orders.iter().map(|order| Some(order.paid))))),
            ("at", Arc::new(times.with_timezone("UTC"))),
        ],
    );
}

pub fn write_shops(path: &Path) {
    let known = || SHOPS.iter().filter_map(|shop| Some((*shop, commission(shop)?)));
    write(
        path,
        vec![
            ("shop", Arc::new(StringArray::from_iter_values(known().map(|(shop, _)| shop)))),
            ("commission", Arc::new(Float64Array::from_iter_values(known().map(|(_, commission)| commission)))),
        ],
    );
}

/// Per key, the row known last: the instant it is valid from, and its features.
pub fn offline_rows(directory: &Path, plan: &ViewPlan) -> BTreeMap<i64, (EventTime, Vec<Value>)> {
    let mut rows: BTreeMap<i64, (i64, EventTime, Vec<Value>)> = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("the view has a directory") {
        let file = File::open(entry.expect("an entry").path()).expect("the file is there");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|reader| reader.build());
        for batch in reader.expect("a parquet file") {
            let batch = batch.expect("a whole file");
            let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("no column `{name}`"));
            let keys = column("shopper_id").as_primitive::<Int64Type>();
            let valid_from = column("valid_from").as_primitive::<TimestampMicrosecondType>();
            let known_at = column("known_at").as_primitive::<TimestampMicrosecondType>();
            for row in 0..batch.num_rows() {
                let known_at = known_at.value(row);
                if rows.get(&keys.value(row)).is_some_and(|(before, ..)| *before > known_at) {
                    continue;
                }
                let values = plan.features.iter().map(|f| value(column(&f.name), &f.data_type, row)).collect();
                let from = EventTime::from_micros(valid_from.value(row));
                rows.insert(keys.value(row), (known_at, from, values));
            }
        }
    }
    rows.into_iter().map(|(key, (_, from, values))| (key, (from, values))).collect()
}

fn value(array: &ArrayRef, data_type: &FeatureType, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let FeatureType::Scalar(data_type) = data_type else { panic!("the example has no feature of type {data_type}") };
    match data_type {
        DataType::Int32 => Value::Int32(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::Int64(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::Float64(array.as_primitive::<Float64Type>().value(row)),
        DataType::String => Value::String(array.as_string::<i32>().value(row).to_string()),
        DataType::Timestamp => {
            Value::Timestamp(EventTime::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(row)))
        }
        other => panic!("the example has no feature of type {other}"),
    }
}
