//! Looking a key of a map up that comes from the event: `by_city[request.city]`.
//!
//! The planner reads brackets behind a map as the name of a field, which has to be written. `map_extract` finds any key.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, plan_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{Expr, ExprSchemable, lit};
use datafusion_functions_nested::extract::array_element_udf;
use datafusion_functions_nested::map_extract::map_extract_udf;

/// The expression with such lookups as functions that make them.
pub(super) fn keyed(expression: Expr, columns: &DFSchema) -> Result<Expr> {
    let rewritten = expression.transform_up(|node| match node {
        Expr::ScalarFunction(call) if is_lookup(&call) => looked_up(call, columns).map(Transformed::yes),
        node => Ok(Transformed::no(node)),
    })?;
    Ok(rewritten.data)
}

fn is_lookup(call: &ScalarFunction) -> bool {
    call.func.name() == "get_field" && call.args.iter().skip(1).any(|key| !matches!(key, Expr::Literal(..)))
}

fn looked_up(call: ScalarFunction, columns: &DFSchema) -> Result<Expr> {
    let mut args = call.args.into_iter();
    let Some(mut value) = args.next() else { return plan_err!("a key of no map") };
    for key in args {
        value = match value.get_type(columns)? {
            DataType::Map(..) => array_element_udf().call(vec![map_extract_udf().call(vec![value, key]), lit(1i64)]),
            _ => call.func.call(vec![value, key]),
        };
    }
    Ok(value)
}
