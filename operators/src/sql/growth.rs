//! How long texts can get, known before any event is seen.
//!
//! The law: no text of an expression is longer than [`MOST_FOLD`] times the longest text of its event and
//! [`MOST_FIXED_BYTES`] more, intermediate ones included. Each function has a bound on its result in those of its
//! arguments; what has none is refused. A computed column hands its bound on to the expressions that read it, so that
//! columns in a row cannot do what one expression must not.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, ExprSchema, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{BinaryExpr, Case, Cast, Expr, ExprSchemable, Operator};

use super::error::{SqlError, SqlErrorKind};

/// Most times a text may be as long as the longest text of its event.
pub const MOST_FOLD: u64 = 64;
/// Most bytes of a text that do not depend on the event: those that `lpad` may make of the longest characters.
pub const MOST_FIXED_BYTES: u64 = 256 << 10;

/// No number, instant or truth value is written with more bytes.
const PLAIN_BYTES: u64 = 64;
/// Longest text that one character of a format of instants becomes.
const FORMATTED_BYTES: u64 = 32;
/// The key of a column's bound in its field's metadata.
const METADATA: &str = "freshet.text_bound";

/// A text has at most `fold` times the bytes of the longest text of its event, and `fixed` more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bound {
    pub fold: u64,
    pub fixed: u64,
}

impl Bound {
    const INPUT: Bound = Bound { fold: 1, fixed: 0 };

    const fn fixed(bytes: u64) -> Bound {
        Bound { fold: 0, fixed: bytes }
    }

    fn and(self, other: Bound) -> Bound {
        Bound { fold: self.fold.saturating_add(other.fold), fixed: self.fixed.saturating_add(other.fixed) }
    }

    fn or(self, other: Bound) -> Bound {
        Bound { fold: self.fold.max(other.fold), fixed: self.fixed.max(other.fixed) }
    }

    fn times(self, factor: u64) -> Bound {
        Bound { fold: self.fold.saturating_mul(factor), fixed: self.fixed.saturating_mul(factor) }
    }

    fn is_allowed(self) -> bool {
        self.fold <= MOST_FOLD && self.fixed <= MOST_FIXED_BYTES
    }

    /// What a computed column's field says of its texts.
    pub fn metadata(self) -> HashMap<String, String> {
        HashMap::from([(METADATA.to_string(), format!("{} {}", self.fold, self.fixed))])
    }

    /// Of a column: what its field says, else that it is the event's own.
    fn of_field(field: &Field) -> Bound {
        let written = field.metadata().get(METADATA).and_then(|text| text.split_once(' '));
        let read = written.and_then(|(fold, fixed)| Some((fold.parse().ok()?, fixed.parse().ok()?)));
        read.map_or(Bound::INPUT, |(fold, fixed)| Bound { fold, fixed })
    }
}

/// A text that may grow too long, and the function that makes it, where one does.
#[derive(Debug)]
pub(super) struct TooLong {
    pub function: Option<String>,
    pub error: SqlError,
}

impl From<DataFusionError> for TooLong {
    fn from(error: DataFusionError) -> TooLong {
        TooLong { function: None, error: error.into() }
    }
}

/// The bound of an expression whose types are settled, or what in it has none or too large a one.
pub(super) fn check(expression: &Expr, columns: &DFSchema) -> Result<Bound, TooLong> {
    let bound = match expression {
        Expr::Literal(value, _) => Bound::fixed(literal_bytes(value)),
        Expr::Column(column) => Bound::of_field(columns.field_from_column(column)?),
        Expr::Alias(alias) => check(&alias.expr, columns)?,
        Expr::Cast(Cast { expr, .. }) => check(expr, columns)?.or(Bound::fixed(PLAIN_BYTES)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            check(left, columns)?.and(check(right, columns)?)
        }
        Expr::Case(case) => check_case(case, columns)?,
        Expr::ScalarFunction(call) => check_call(call, columns)?,
        other => all_of(other, columns)?.or(Bound::fixed(PLAIN_BYTES)),
    };
    let bound = if is_text(&expression.get_type(columns)?) { bound } else { Bound::fixed(PLAIN_BYTES) };
    if bound.is_allowed() {
        return Ok(bound);
    }
    let what = match bound.fold > MOST_FOLD {
        true => format!("{}-fold the longest text of the event", shown(bound.fold)),
        false => format!("{} bytes whatever the event", shown(bound.fixed)),
    };
    let function = name(expression);
    let maker = function.as_ref().map_or("a text".to_string(), |name| format!("the text of `{name}`"));
    let message =
        format!("{maker} could grow to {what}: at most {MOST_FOLD}-fold and {MOST_FIXED_BYTES} bytes more are allowed");
    Err(too_long(function, message, "replace by shorter texts, nest fewer of them, or cut with `left` before"))
}

fn shown(number: u64) -> String {
    if number == u64::MAX { "any number of".to_string() } else { number.to_string() }
}

fn too_long(function: Option<String>, message: impl Into<String>, hint: &str) -> TooLong {
    TooLong { function, error: SqlError::new(SqlErrorKind::Unsupported, message).hint(hint) }
}

fn name(expression: &Expr) -> Option<String> {
    match expression {
        Expr::ScalarFunction(call) => Some(call.func.name().to_string()),
        Expr::BinaryExpr(BinaryExpr { op: Operator::StringConcat, .. }) => Some("||".to_string()),
        _ => None,
    }
}

/// Everything but numbers, instants and truth values has a length that can grow.
fn is_text(data_type: &DataType) -> bool {
    !(data_type.is_primitive() || matches!(data_type, DataType::Boolean | DataType::Null))
}

fn literal_bytes(value: &ScalarValue) -> u64 {
    text(value).map_or(PLAIN_BYTES, |text| text.len() as u64)
}

fn text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

/// The text of a literal, however the planner has wrapped it.
fn literal(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(value, _) => text(value),
        Expr::Cast(Cast { expr, .. }) => literal(expr),
        Expr::Alias(alias) => literal(&alias.expr),
        _ => None,
    }
}

/// The parts together, each of them checked.
fn all_of(expression: &Expr, columns: &DFSchema) -> Result<Bound, TooLong> {
    let mut sum = Ok(Bound::default());
    expression.apply_children(|part| {
        sum = match (&sum, check(part, columns)) {
            (Ok(sum), Ok(bound)) => Ok(sum.and(bound)),
            (_, Err(error)) => Err(error),
            (Err(_), _) => return Ok(TreeNodeRecursion::Stop),
        };
        Ok(if sum.is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    sum
}

fn check_case(case: &Case, columns: &DFSchema) -> Result<Bound, TooLong> {
    let conditions = case.expr.iter().chain(case.when_then_expr.iter().map(|(when, _)| when));
    for condition in conditions {
        check(condition, columns)?;
    }
    let results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let mut longest = Bound::default();
    for result in results {
        longest = longest.or(check(result, columns)?);
    }
    Ok(longest)
}

fn check_call(call: &ScalarFunction, columns: &DFSchema) -> Result<Bound, TooLong> {
    let bounds = call.args.iter().map(|argument| check(argument, columns)).collect::<Result<Vec<_>, _>>()?;
    let all = bounds.iter().fold(Bound::default(), |sum, bound| sum.and(*bound)).or(Bound::fixed(PLAIN_BYTES));
    let argument = |index: usize| bounds.get(index).copied().unwrap_or_default();
    let literal = |index: usize| call.args.get(index).and_then(literal);
    Ok(match call.func.name() {
        "replace" => {
            // An empty text is found before every character and at the end.
            let found = literal(1).map_or(0, |text| text.len() as u64);
            let by = replacement(call, argument(2))?;
            match found {
                0 => argument(0).times(by.saturating_add(1)).and(Bound::fixed(by)),
                found => argument(0).times(by.div_ceil(found).max(1)),
            }
        }
        // A pattern may match nothing before every character, and each two bytes of the replacement may stand for all
        // that was found.
        "regexp_replace" => {
            let by = replacement(call, argument(2))?;
            argument(0).times(by.saturating_add(1)).and(Bound::fixed(by))
        }
        // Groups may hold each other.
        "regexp_match" => argument(0).times(1 + literal(1).map_or(0, |text| text.matches('(').count() as u64)),
        // One byte may become four.
        "translate" => argument(0).times(4),
        // Two bytes may become three in lower case and six in upper case.
        "lower" => argument(0).times(2),
        "upper" | "initcap" => argument(0).times(3),
        // The number of characters is written, and bounded where it is.
        "lpad" | "rpad" => Bound::fixed(padded_chars(call).saturating_mul(4)),
        "concat_ws" => {
            let between = argument(0).times(bounds.len().saturating_sub(2) as u64);
            bounds.iter().skip(1).fold(between, |sum, bound| sum.and(*bound))
        }
        "coalesce" | "greatest" | "least" | "nvl" | "nvl2" => {
            bounds.iter().fold(Bound::default(), |longest, bound| longest.or(*bound))
        }
        "encode" => argument(0).times(2),
        "to_char" => argument(1).times(FORMATTED_BYTES).or(Bound::fixed(PLAIN_BYTES)),
        // The others give parts of their arguments, or put them together.
        _ => all,
    })
}

/// Bytes of what takes the place of each match: known, for the product of two texts of an event has no bound.
fn replacement(call: &ScalarFunction, by: Bound) -> Result<u64, TooLong> {
    if by.fold == 0 {
        return Ok(by.fixed);
    }
    let name = call.func.name().to_string();
    let message =
        format!("the replacement in `{name}` comes from the event, so that the text could grow without bound");
    Err(too_long(Some(name), message, "write the replacement as a text"))
}

fn padded_chars(call: &ScalarFunction) -> u64 {
    match call.args.get(1) {
        Some(Expr::Literal(ScalarValue::Int64(Some(chars)), _)) => u64::try_from(*chars).unwrap_or(0),
        Some(Expr::Literal(ScalarValue::Int32(Some(chars)), _)) => u64::try_from(*chars).unwrap_or(0),
        // Refused before planning where it is no written number; the planner may still have wrapped it.
        Some(Expr::Cast(Cast { expr, .. })) => match &**expr {
            Expr::Literal(ScalarValue::Int64(Some(chars)), _) => u64::try_from(*chars).unwrap_or(0),
            _ => u64::MAX,
        },
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, AsArray, RecordBatch, StringArray};
    use arrow::datatypes::Schema;
    use proptest::prelude::*;

    use super::super::Expression;

    /// Expressions over the texts `s` and `t`, most of which make texts longer.
    fn texts() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![Just("s"), Just("t"), Just("'xyz'"), Just("''"), Just("'ß'")].prop_map(str::to_string);
        leaf.prop_recursive(3, 12, 3, |inner| {
            let some = (inner.clone(), inner.clone(), inner);
            let from = prop::sample::select(vec!["''", "'a'", "'xy'", "'ß'"]);
            let to = prop::sample::select(vec!["''", "'ab'", "'ıııııı'", "rpad('q', 5, 'é')"]);
            let pattern = prop::sample::select(vec!["''", "'x*'", "'(.)'", "'((.+))'"]);
            let into = prop::sample::select(vec!["''", "'-'", "'\\1\\1\\1'", "'[\\1]'"]);
            (0..11, some, from, to, pattern, into).prop_map(|(kind, (a, b, c), from, to, pattern, into)| match kind {
                0 => format!("replace({a}, {from}, {to})"),
                1 => format!("regexp_replace({a}, {pattern}, {into}, 'g')"),
                2 => format!("{a} || {b}"),
                3 => format!("concat({a}, {b}, {c})"),
                4 => format!("concat_ws({a}, {b}, {c}, {a})"),
                5 => format!("translate({a}, 'ax', 'ß€')"),
                6 => format!("upper(lower({a}))"),
                7 => format!("lpad({a}, 9, 'ß')"),
                8 => format!("case when {a} = {b} then {b} else coalesce({c}, {a}) end"),
                9 => format!("initcap(reverse({a}))"),
                _ => format!("overlay({a} placing {b} from 2)"),
            })
        })
    }

    fn schema() -> Schema {
        Schema::new(["s", "t"].map(|name| super::Field::new(name, super::DataType::Utf8, true)).to_vec())
    }

    proptest! {
        #[test]
        fn no_text_is_longer_than_its_bound(
            text in texts(),
            rows in prop::collection::vec(("[axyıßȺŉΐ ]{0,6}", "[axyıßȺŉΐ ]{0,6}"), 1..6),
        ) {
            // Some are refused, which is what the bound is for.
            let Ok(expression) = Expression::compile(&text, &schema()) else { return Ok(()) };
            let (s, t): (Vec<String>, Vec<String>) = rows.iter().cloned().unzip();
            let columns: [Arc<dyn Array>; 2] = [Arc::new(StringArray::from(s)), Arc::new(StringArray::from(t))];
            let batch = RecordBatch::try_new(Arc::new(schema()), columns.to_vec()).unwrap();
            let evaluated = expression.evaluate(&batch).unwrap();
            let bound = expression.text_bound();
            for (value, (s, t)) in evaluated.array.as_string::<i32>().iter().zip(&rows) {
                let most = bound.fold * s.len().max(t.len()) as u64 + bound.fixed;
                let length = value.map_or(0, str::len) as u64;
                prop_assert!(length <= most, "{text} gives {length} bytes of {s:?} and {t:?}, more than {most}");
            }
        }
    }

    #[test]
    fn computed_columns_hand_their_bound_on() {
        let first = Expression::compile("replace(s, 'a', 'aaaaaaaa')", &schema()).unwrap();
        let mut fields = schema().fields().to_vec();
        fields.push(Arc::new(first.field("long")));
        let grown = Schema::new(fields);
        assert!(Expression::compile("replace(long, 'a', 'aaaaaaaa')", &grown).is_ok());
        let refused = Expression::compile("replace(long, 'a', 'aaaaaaaaa')", &grown).unwrap_err();
        assert_eq!(
            refused.message,
            "the text of `replace` could grow to 72-fold the longest text of the event: at most 64-fold and 262144 \
             bytes more are allowed"
        );
    }

    #[test]
    fn growth_without_bound_is_refused_at_its_place() {
        for (text, column) in [
            ("replace(replace(replace(s,'a',rpad('a',5000,'a')),'a',rpad('a',5000,'a')),'a',rpad('a',5000,'a'))", 17),
            ("1 + character_length(replace(s, 'a', t))", 22),
            ("regexp_replace(s, '.', t)", 1),
            ("coalesce(t, regexp_replace(s, '(.*)', rpad('', 100, '\\1'), 'g'))", 13),
            ("concat(rpad(s, 65536, 'a'), rpad(s, 65536, 'a'))", 1),
        ] {
            let refused = Expression::compile(text, &schema()).unwrap_err();
            assert_eq!(refused.offset, Some((1, column)), "{text}: {refused}");
        }
        let many = vec!["s"; 65].join(", ");
        assert!(Expression::compile(&format!("concat({many})"), &schema()).is_err());
        assert!(Expression::compile(&format!("concat({})", &many[3..]), &schema()).is_ok());
    }
}
