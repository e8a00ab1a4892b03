//! One NaN and one zero, wherever one is looked at: NaN equals itself and is greater than every number, and zero has no
//! sign.
//!
//! Comparisons order NaN by its sign, and which sign arithmetic gives it is the processor's affair; `in`, `case` and
//! `nullif` compare bits, by which a negative number that is rounded to zero is another one. So what is compared, chosen
//! among or given to a function has the positive ones, and so has a result. Arithmetic on arithmetic needs none of that.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::constants::is_arithmetic;

/// The expression with every NaN that it looks at made the one, and every zero.
pub(super) fn canonical(expression: Expr, columns: &DFSchema) -> Result<Expr> {
    let rewritten = expression.transform_up(|node| match &node {
        Expr::BinaryExpr(BinaryExpr { op, .. }) if is_arithmetic(*op) => Ok(Transformed::no(node)),
        Expr::Negative(_) => Ok(Transformed::no(node)),
        _ => node.map_children(|child| match may_be_nan(&child, columns) {
            true => Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(ONE_NAN.clone(), vec![child])))),
            false => Ok(Transformed::no(child)),
        }),
    })?;
    Ok(rewritten.data)
}

/// Columns hold no NaN and no negative zero, what is asked with has the positive ones, and all else passes on what it is
/// given.
fn may_be_nan(expression: &Expr, columns: &DFSchema) -> bool {
    let computes = match expression {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => is_arithmetic(*op),
        Expr::Negative(_) | Expr::ScalarFunction(_) => true,
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => value.to_bits() != double(*value).to_bits(),
        // Of a text that says so.
        Expr::Cast(cast) => cast.expr.get_type(columns).is_ok_and(|of_type| of_type.is_string()),
        _ => false,
    };
    computes && expression.get_type(columns).is_ok_and(|of_type| of_type.is_floating())
}

static ONE_NAN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(OneNan)));
static ONE_FLOAT: LazyLock<Signature> = LazyLock::new(|| Signature::any(1, Volatility::Immutable));

/// Gives its argument, with the positive NaN for any, and the positive zero. No expression can name it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OneNan;

impl ScalarUDFImpl for OneNan {
    fn name(&self) -> &str {
        "one nan"
    }

    fn signature(&self) -> &Signature {
        &ONE_FLOAT
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(of) = arguments.arg_fields.first() else { return exec_err!("no number") };
        Ok(Arc::new(Field::new(self.name(), of.data_type().clone(), of.is_nullable())))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.into_iter().next() {
            Some(ColumnarValue::Array(array)) => Ok(ColumnarValue::Array(of_array(array))),
            Some(ColumnarValue::Scalar(ScalarValue::Float64(Some(value)))) => {
                Ok(ColumnarValue::Scalar(ScalarValue::Float64(Some(double(value)))))
            }
            Some(ColumnarValue::Scalar(ScalarValue::Float32(Some(value)))) => {
                Ok(ColumnarValue::Scalar(ScalarValue::Float32(Some(single(value)))))
            }
            Some(scalar) => Ok(scalar),
            None => exec_err!("no number"),
        }
    }
}

fn double(value: f64) -> f64 {
    // The sum has no sign where it is zero.
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

fn single(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value + 0.0 }
}

/// The column with the one NaN for any, and the one zero; itself where it holds no others, which is nearly always.
pub(super) fn of_array(array: ArrayRef) -> ArrayRef {
    let replaced = match array.data_type() {
        DataType::Float64 => {
            replaced::<Float64Type>(&array, |value| value.to_bits() != double(value).to_bits(), double)
        }
        DataType::Float32 => {
            replaced::<Float32Type>(&array, |value| value.to_bits() != single(value).to_bits(), single)
        }
        _ => None,
    };
    replaced.unwrap_or(array)
}

fn replaced<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    is_other: impl Fn(T::Native) -> bool,
    the_one: impl Fn(T::Native) -> T::Native,
) -> Option<ArrayRef> {
    let floats = array.as_primitive::<T>();
    let has_others = floats.values().iter().any(|value| is_other(*value));
    has_others.then(|| Arc::new(floats.unary::<_, T>(the_one)) as ArrayRef)
}
