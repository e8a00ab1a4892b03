//! Calls of functions with arguments they do not take, said in the types that columns have.
//!
//! The planner finds them too, at some places as an error of its own; here they are found first, at all places alike.

use std::collections::BTreeSet;

use datafusion_common::{DFSchema, DataFusionError};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::{
    ArrayFunctionArgument, ArrayFunctionSignature, Coercion, Expr, ExprSchemable, TypeSignature, TypeSignatureClass,
};

use super::error::{SqlError, SqlErrorKind};
use super::plan::type_name;
use super::walk::first_error;
use super::words::{a, types};

/// The first call, from the outside in, whose arguments are known and do not fit.
pub(super) fn check(expression: &Expr, columns: &DFSchema) -> Result<(), SqlError> {
    first_error(expression, |node| match node {
        Expr::ScalarFunction(call) => check_call(call, columns),
        _ => Ok(()),
    })
}

fn check_call(call: &ScalarFunction, columns: &DFSchema) -> Result<(), SqlError> {
    // Its branches have no common type yet: the planner judges it when they have.
    if call.args.iter().any(|argument| matches!(argument, Expr::Case(_))) {
        return Ok(());
    }
    let fields: Result<Vec<_>, _> = call.args.iter().map(|argument| Ok(argument.to_field(columns)?.1)).collect();
    // An argument without a type is itself what is wrong.
    let Ok(fields) = fields.map_err(|_: DataFusionError| ()) else { return Ok(()) };
    let Err(error) = fields_with_udf(&fields, call.func.as_ref()) else { return Ok(()) };
    let given: Vec<String> = fields.iter().map(|field| type_name(field.data_type())).collect();
    let name = call.func.name();
    Err(refusal(name, &call.func.signature().type_signature, &given).unwrap_or_else(|| with_types(error, name, &given)))
}

/// The function's own words; where it has none, what it is given.
fn with_types(error: DataFusionError, name: &str, given: &[String]) -> SqlError {
    let mut error = SqlError::from(error);
    if error.message.ends_with("does not take its arguments") {
        error.message = format!("`{name}` does not take ({})", given.join(", "));
    }
    error
}

/// `None` where the function alone knows what it takes.
fn refusal(name: &str, signature: &TypeSignature, given: &[String]) -> Option<SqlError> {
    let mut ways = Vec::new();
    add_ways(signature, given.len(), &mut ways)?;
    let fitting: BTreeSet<&Vec<String>> = ways.iter().filter(|way| way.len() == given.len()).collect();
    if fitting.is_empty() {
        let counts: BTreeSet<usize> = ways.iter().map(Vec::len).collect();
        let plural = if counts.iter().eq([&1]) { "argument" } else { "arguments" };
        let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
        let given = if given.is_empty() { "none".to_string() } else { given.len().to_string() };
        let message = format!("`{name}` takes {} {plural}, and is given {given}", either(&counts));
        return Some(SqlError::new(SqlErrorKind::Type, message).hint("add or remove arguments"));
    }
    let (wanted, given): (Vec<String>, String) = match given {
        [given] => (fitting.iter().map(|way| a(&way[0])).collect(), a(given)),
        _ => {
            let listed = |names: &[String]| format!("({})", names.join(", "));
            (fitting.iter().map(|way| listed(way)).collect(), listed(given))
        }
    };
    let hint = "write `cast(... as T)` around what has another type, or take another function";
    Some(SqlError::new(SqlErrorKind::Type, format!("`{name}` takes {}, not {given}", either(&wanted))).hint(hint))
}

/// Adds the lists of arguments a signature names; for any number of them, with as many as are given.
fn add_ways(signature: &TypeSignature, given: usize, ways: &mut Vec<Vec<String>>) -> Option<()> {
    let uniform = |name: &str, count: usize| vec![name.to_string(); count];
    match signature {
        TypeSignature::OneOf(signatures) => {
            for signature in signatures {
                add_ways(signature, given, ways)?;
            }
        }
        TypeSignature::Exact(wanted) => ways.push(wanted.iter().map(type_name).collect()),
        TypeSignature::Coercible(wanted) => ways.push(wanted.iter().map(class_name).collect()),
        TypeSignature::Uniform(count, wanted) => {
            ways.extend(wanted.iter().map(|wanted| uniform(&type_name(wanted), *count)));
        }
        TypeSignature::Variadic(wanted) => {
            ways.extend(wanted.iter().map(|wanted| uniform(&type_name(wanted), given.max(1))));
        }
        TypeSignature::Numeric(count) => ways.push(uniform("number", *count)),
        TypeSignature::String(count) => ways.push(uniform("string", *count)),
        TypeSignature::Any(count) => ways.push(uniform("value", *count)),
        TypeSignature::VariadicAny => ways.push(uniform("value", given.max(1))),
        TypeSignature::ArraySignature(wanted) => ways.push(list_arguments(wanted)),
        TypeSignature::Nullary => ways.push(Vec::new()),
        TypeSignature::Comparable(_) | TypeSignature::UserDefined => return None,
    }
    Some(())
}

fn list_arguments(signature: &ArrayFunctionSignature) -> Vec<String> {
    let name = |argument: &ArrayFunctionArgument| match argument {
        ArrayFunctionArgument::Array => "list",
        ArrayFunctionArgument::Element => "element",
        ArrayFunctionArgument::Index => "int64",
        ArrayFunctionArgument::String => "string",
    };
    match signature {
        ArrayFunctionSignature::Array { arguments, .. } => arguments.iter().map(|a| name(a).to_string()).collect(),
        ArrayFunctionSignature::RecursiveArray => vec!["list".to_string()],
        ArrayFunctionSignature::MapArray => vec!["map".to_string()],
    }
}

fn class_name(wanted: &Coercion) -> String {
    let name = match wanted.desired_type() {
        TypeSignatureClass::Any => "value",
        TypeSignatureClass::Timestamp => "timestamp",
        TypeSignatureClass::Time => "time of day",
        TypeSignatureClass::Interval | TypeSignatureClass::Duration => "span",
        TypeSignatureClass::Integer => "integer",
        TypeSignatureClass::Float => "float64",
        TypeSignatureClass::Decimal => "decimal",
        TypeSignatureClass::Numeric => "number",
        TypeSignatureClass::Binary => "binary",
        TypeSignatureClass::Native(native) => return types(&native.to_string()),
    };
    name.to_string()
}

/// `a, b or c`.
fn either(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}
