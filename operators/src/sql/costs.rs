//! Functions whose time grows as the product of what they are given: their texts and lists are bounded, so that one event
//! or lookup cannot hold a thread for long. A row with more fails like one that divides by zero.
//!
//! ```text
//! levenshtein                    compares every character with every other
//! strpos, btrim, ltrim, rtrim    look for the second text, or each of its characters, at every place of the first
//! regexp_count, regexp_instr,    look for every match, each of which may look at all that is left
//! regexp_replace(.., 'g')
//! array_has_all, array_has_any   compare every element with every other
//! string_to_array, array_concat  make lists that other functions go through
//! ```
//!
//! All other functions of lists and maps look at every element once, or sort or hash them.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Result, exec_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Longest text that every character of another is compared with.
const MOST_COMPARED_BYTES: usize = 1 << 10;
/// Longest text that is looked at again and again.
const MOST_SEARCHED_BYTES: usize = 16 << 10;
/// Longest text that is made a list of.
const MOST_SPLIT_BYTES: usize = 4 << 10;

/// Most pairs of elements that are compared: a millisecond or so.
const MOST_PAIRS: usize = 1 << 18;
/// Most elements of lists put together.
const MOST_ELEMENTS: usize = 1 << 15;

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

/// The expression with the texts and lists of such functions bounded.
pub(super) fn bound(expression: Expr) -> Result<Expr> {
    let bounded = expression.transform_up(|node| {
        let Expr::ScalarFunction(mut call) = node else { return Ok(Transformed::no(node)) };
        let function = call.func.clone();
        if let Some(limit) = ListLimit::of(function.name()) {
            call.func = Arc::new(ScalarUDF::from(OfLists { function: function.clone(), limit }));
        }
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

/// What lists are bounded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ListLimit {
    /// The product of their lengths.
    Pairs,
    /// The sum.
    Elements,
}

impl ListLimit {
    fn of(function: &str) -> Option<ListLimit> {
        match function {
            "array_has_all" | "array_has_any" => Some(ListLimit::Pairs),
            "array_concat" => Some(ListLimit::Elements),
            _ => None,
        }
    }
}

/// A function of lists that fails where they are too long.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfLists {
    function: Arc<ScalarUDF>,
    limit: ListLimit,
}

/// Types were settled before.
static SETTLED: LazyLock<Signature> = LazyLock::new(|| Signature::variadic_any(Volatility::Immutable));

impl ScalarUDFImpl for OfLists {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &SETTLED
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut lists = Vec::with_capacity(arguments.args.len());
        for list in &arguments.args {
            lists.push((list.to_array(1)?, matches!(list, ColumnarValue::Scalar(_))));
        }
        for row in 0..arguments.number_rows {
            let lengths = lists.iter().map(|(list, is_one)| elements(list, if *is_one { 0 } else { row }));
            match self.limit {
                ListLimit::Pairs => {
                    let pairs = lengths.fold(1usize, usize::saturating_mul);
                    if pairs > MOST_PAIRS {
                        let name = self.name();
                        return exec_err!(
                            "{pairs} pairs of elements are more than the {MOST_PAIRS} that `{name}` compares"
                        );
                    }
                }
                ListLimit::Elements => {
                    let all: usize = lengths.sum();
                    if all > MOST_ELEMENTS {
                        let name = self.name();
                        return exec_err!(
                            "{all} elements are more than the {MOST_ELEMENTS} that `{name}` makes a list of"
                        );
                    }
                }
            }
        }
        self.function.invoke_with_args(arguments)
    }
}

/// Elements of a list in a row; 0 of what is no list.
fn elements(array: &ArrayRef, row: usize) -> usize {
    if row >= array.len() || array.is_null(row) {
        return 0;
    }
    match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value_length(row) as usize,
        DataType::LargeList(_) => array.as_list::<i64>().value_length(row) as usize,
        DataType::FixedSizeList(_, length) => *length as usize,
        _ => 0,
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
