//! Syntax tree to executable expression: resolve, coerce, fold, simplify, and make integer arithmetic checked.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::expressions::BinaryExpr as PhysicalBinary;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::ast;
use datafusion_sql::sqlparser::tokenizer::Location;

use super::constants::is_arithmetic;
use super::error::SqlError;
use super::functions::SCALARS;
use super::growth::{self, Bound};
use super::patterns::{self, Sought};
use super::{alike, bytes, constants, costs, manner, maps, one_nan, place, signature, spans, words};

/// Plans an expression whose names [`super::check`] has found, and bounds the length of its texts.
pub(super) fn plan(
    expression: ast::Expr,
    schema: &Schema,
) -> std::result::Result<(Arc<dyn PhysicalExpr>, Bound), SqlError> {
    let columns = DFSchema::try_from(schema.clone())?;
    // The planner drops places: what is refused later is looked for in what was written.
    let written = expression.clone();
    let logical = maps::keyed(resolve(expression, &columns)?, &columns)?;
    signature::check(&logical, &columns)?;
    manner::check(&logical)?;
    bytes::check(&logical, &columns)?;
    alike::check(&logical, &columns)?;
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::new(columns.clone())).build());
    let logical = simplifier.coerce(logical, &columns)?;
    let logical = check_negations(logical, &columns)?;
    // Before anything is computed, be it a constant.
    let bound = growth::check(&logical, &columns).map_err(|found| {
        let place = found.function.map_or(Location::empty(), |name| place::of_call(&written, &name));
        found.error.at(place)
    })?;
    patterns::check(&logical).map_err(|found| {
        let place = match &found.at {
            Sought::Text(pattern) => place::of_text(&written, pattern),
            Sought::Maker(name) => place::of_call(&written, name),
        };
        found.error.at(place)
    })?;
    let logical = costs::bound(logical)?;
    let logical = one_nan::canonical(logical, &columns)?;
    // Before the simplifier, which folds constants with wrapping arithmetic.
    let logical = constants::fold(logical)?;
    let logical = spans::comparable(logical)?;
    constants::check(&logical, &columns)?;
    let logical = simplifier.simplify(logical)?;
    Ok((checked(&logical, &columns)?, bound))
}

/// Columns keep their case; strings are plain `Utf8`, as everywhere else in the engine.
fn resolve(expression: ast::Expr, columns: &DFSchema) -> Result<Expr> {
    let options = ParserOptions::new().with_enable_ident_normalization(false).with_map_string_types_to_utf8view(false);
    SqlToRel::new_with_options(&*SCALARS, options).sql_to_expr(expression, columns, &mut PlannerContext::new())
}

/// `-x` as `0 - x` for integers: negation alone would wrap around at the smallest one.
fn check_negations(expression: Expr, columns: &DFSchema) -> Result<Expr> {
    let rewritten = expression.transform_up(|node| match node {
        Expr::Negative(inner) => {
            let data_type = inner.get_type(columns)?;
            if !data_type.is_signed_integer() {
                return Ok(Transformed::no(Expr::Negative(inner)));
            }
            let zero = Expr::Literal(ScalarValue::new_zero(&data_type)?, None);
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(zero), Operator::Minus, inner))))
        }
        node => Ok(Transformed::no(node)),
    })?;
    Ok(rewritten.data)
}

/// The executable form, in which integer overflow is an error instead of a wrong number.
pub(super) fn checked(expression: &Expr, columns: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let physical = create_physical_expr(expression, columns, &ExecutionProps::new(), &Default::default())?;
    let rewritten = physical.transform_up(|node| match node.downcast_ref::<PhysicalBinary>() {
        Some(binary) if is_arithmetic(*binary.op()) => {
            let exact = PhysicalBinary::new(binary.left().clone(), *binary.op(), binary.right().clone());
            Ok(Transformed::yes(Arc::new(exact.with_fail_on_overflow(true)) as Arc<dyn PhysicalExpr>))
        }
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(rewritten.data)
}

/// The type name a message shows: ours where there is one.
pub(super) fn type_name(data_type: &DataType) -> String {
    match freshet_config::definitions::column_type(data_type) {
        Some(known) => known.name().to_string(),
        None => words::types(&data_type.to_string()),
    }
}
