//! Functions whose time grows as the product of what they are given: their texts are bounded, so that one event cannot
//! hold a worker for minutes. A row whose text is longer fails like one that divides by zero.
//!
//! ```text
//! levenshtein                    compares every character with every other
//! strpos, btrim, ltrim, rtrim    look for the second text, or each of its characters, at every place of the first
//! regexp_count, regexp_instr,    look for every match, each of which may look at all that is left
//! regexp_replace(.., 'g')
//! string_to_array                makes lists whose elements functions of two lists compare with each other
//! ```

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Result, exec_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Longest text that every character of another is compared with.
const MOST_COMPARED_BYTES: usize = 1 << 10;
/// Longest text that is looked at again and again.
const MOST_SEARCHED_BYTES: usize = 16 << 10;
/// Longest text that is made a list of.
const MOST_SPLIT_BYTES: usize = 4 << 10;

/// Which arguments of a call are bounded, and by how many bytes.
fn bounds(call: &ScalarFunction) -> &'static [(usize, usize)] {
    match call.func.name() {
        "levenshtein" => &[(0, MOST_COMPARED_BYTES), (1, MOST_COMPARED_BYTES)],
        "strpos" | "btrim" | "ltrim" | "rtrim" => &[(1, MOST_COMPARED_BYTES)],
        "regexp_count" | "regexp_instr" => &[(0, MOST_SEARCHED_BYTES)],
        "string_to_array" => &[(0, MOST_SPLIT_BYTES)],
        // Without flags it looks for one match.
        "regexp_replace" if call.args.len() > 3 => &[(0, MOST_SEARCHED_BYTES)],
        _ => &[],
    }
}

/// The expression with the texts of such functions bounded.
pub(super) fn bound(expression: Expr) -> Result<Expr> {
    let bounded = expression.transform_up(|node| {
        let Expr::ScalarFunction(mut call) = node else { return Ok(Transformed::no(node)) };
        let function = call.func.clone();
        for (argument, most_bytes) in bounds(&call) {
            if let Some(text) = call.args.get_mut(*argument) {
                let limit = Limit::new(function.name(), *most_bytes);
                *text =
                    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(limit)), vec![text.clone()]));
            }
        }
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    })?;
    Ok(bounded.data)
}

/// Gives its argument, and fails where that is a text of too many bytes. No expression can name it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Limit {
    /// The function that is bounded.
    function: String,
    most_bytes: usize,
    signature: Signature,
}

impl Limit {
    fn new(function: &str, most_bytes: usize) -> Limit {
        Limit { function: function.to_string(), most_bytes, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Limit {
    fn name(&self) -> &str {
        "no longer than"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = arguments.args.into_iter().next() else { return exec_err!("no text to bound") };
        let longest = match &value {
            ColumnarValue::Array(array) => longest(array),
            ColumnarValue::Scalar(scalar) => longest(&scalar.to_array()?),
        };
        if longest > self.most_bytes {
            let Limit { function, most_bytes, .. } = self;
            return exec_err!("a text of {longest} bytes is longer than the {most_bytes} that `{function}` takes");
        }
        Ok(value)
    }
}

/// Bytes of the longest text; 0 of what is no text.
fn longest(array: &ArrayRef) -> usize {
    fn most<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> usize {
        texts.flatten().map(str::len).max().unwrap_or(0)
    }
    match array.data_type() {
        DataType::Utf8 => most(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => most(array.as_string::<i64>().iter()),
        DataType::Utf8View => most(array.as_string_view().iter()),
        _ => 0,
    }
}
