//! Types of columns that come from elsewhere, in words: those of features by their names, others as people call them.

use arrow::datatypes::DataType as Arrow;

/// What a message calls the type of an Arrow column: `string`, `uint64`, `decimal(10, 2)`, `list of int64`.
pub fn type_name(arrow: &Arrow) -> String {
    let plain = match arrow {
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => "string",
        Arrow::Boolean => "bool",
        Arrow::Timestamp(..) => "timestamp",
        Arrow::Date32 | Arrow::Date64 => "date",
        Arrow::Time32(_) | Arrow::Time64(_) => "time of day",
        Arrow::Interval(_) | Arrow::Duration(_) => "span",
        Arrow::Binary | Arrow::LargeBinary | Arrow::BinaryView | Arrow::FixedSizeBinary(_) => "binary",
        Arrow::Map(..) => "map",
        Arrow::Struct(_) => "struct",
        Arrow::Decimal32(digits, scale) => return decimal(*digits, *scale),
        Arrow::Decimal64(digits, scale) => return decimal(*digits, *scale),
        Arrow::Decimal128(digits, scale) => return decimal(*digits, *scale),
        Arrow::Decimal256(digits, scale) => return decimal(*digits, *scale),
        Arrow::List(item) | Arrow::LargeList(item) | Arrow::FixedSizeList(item, _) => {
            return format!("list of {}", type_name(item.data_type()));
        }
        Arrow::Dictionary(_, values) => return type_name(values),
        // Numbers and null are called alike there.
        other => return other.to_string().to_ascii_lowercase(),
    };
    plain.to_string()
}

fn decimal(digits: u8, scale: i8) -> String {
    format!("decimal({digits}, {scale})")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, TimeUnit};

    use super::*;

    #[test]
    fn every_type_has_a_name_of_ours() {
        let words = Arrow::Dictionary(Box::new(Arrow::Int32), Box::new(Arrow::Utf8));
        for (arrow, name) in [
            (Arrow::Utf8View, "string"),
            (Arrow::UInt64, "uint64"),
            (Arrow::Float64, "float64"),
            (Arrow::Null, "null"),
            (Arrow::Date32, "date"),
            (Arrow::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), "timestamp"),
            (Arrow::Decimal128(10, 2), "decimal(10, 2)"),
            (Arrow::List(Arc::new(Field::new_list_field(words, true))), "list of string"),
        ] {
            assert_eq!(type_name(&arrow), name);
        }
    }
}
