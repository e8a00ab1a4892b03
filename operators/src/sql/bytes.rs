//! Bytes, such as those of digests: digests and encodings take them, and they compare with bytes alone.
//!
//! The planner reads bytes as text where text is wanted, which nearly no digest is: a comparison would be false for ever,
//! and a function would fail on every row.

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::expr::{Like, ScalarFunction};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use super::alike::{chosen, compared};
use super::error::{SqlError, SqlErrorKind};
use super::patterns::{is_like, is_match};
use super::plan::type_name;
use super::walk::first_error;
use super::words::a;

/// What to do with bytes where a text is wanted.
pub(super) const ADVICE: &str = "write `encode(..., 'hex')`, or `cast(... as varchar)` where the bytes are text";

const TAKING_BYTES: [&str; 15] = [
    "encode",
    "decode",
    "digest",
    "md5",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "arrow_cast",
    "arrow_typeof",
    "coalesce",
    "nullif",
    "nvl2",
    "greatest",
    "least",
];

pub(super) fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

/// The first use of bytes, from the outside in, as what they are not.
pub(super) fn check(expression: &Expr, columns: &DFSchema) -> Result<(), SqlError> {
    first_error(expression, |node| check_node(node, columns))
}

fn check_node(node: &Expr, columns: &DFSchema) -> Result<(), SqlError> {
    let type_of = |part: &Expr| part.get_type(columns).ok().filter(|found| *found != DataType::Null);
    let any_bytes = |parts: &[&Expr]| parts.iter().any(|part| type_of(part).is_some_and(|found| is_bytes(&found)));
    for met in [compared(node), chosen(node)].into_iter().flatten() {
        let types: Vec<DataType> = met.values().filter_map(type_of).collect();
        if let (true, Some(other)) = (types.iter().any(is_bytes), types.iter().find(|found| !is_bytes(found))) {
            let message = format!("`{}` takes values of one type, not {} and a binary", met.by, a(&type_name(other)));
            return Err(SqlError::new(SqlErrorKind::Type, message).hint(ADVICE));
        }
    }
    let (name, parts): (String, Vec<&Expr>) = match node {
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let takes_bytes = TAKING_BYTES.contains(&func.name());
            (func.name().to_string(), if takes_bytes { Vec::new() } else { args.iter().collect() })
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if *op == Operator::StringConcat || is_match(*op) || is_like(*op) =>
        {
            (op.to_string(), vec![left.as_ref(), right.as_ref()])
        }
        Expr::Like(Like { expr, pattern, .. }) => ("like".to_string(), vec![expr.as_ref(), pattern.as_ref()]),
        Expr::SimilarTo(Like { expr, pattern, .. }) => {
            ("similar to".to_string(), vec![expr.as_ref(), pattern.as_ref()])
        }
        _ => return Ok(()),
    };
    match any_bytes(&parts) {
        true => Err(SqlError::new(SqlErrorKind::Type, format!("`{name}` takes no binary")).hint(ADVICE)),
        false => Ok(()),
    }
}
