//! The planner's sentences in the words of definitions: types are called as columns are, and what to do is said.
//!
//! Law: whoever writes SQL here knows seven types and none of the planner's. A sentence of a known form is said anew; of any
//! other at least the types' names are.

/// A sentence, and what to do where the sentence is enough to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub message: String,
    pub hint: Option<String>,
}

/// What layers of libraries put in front of each other's sentences.
const HEADINGS: [&str; 9] = [
    "compute error: ",
    "invalid argument error: ",
    "external error: ",
    "arrow error: ",
    "error during planning: ",
    "execution error: ",
    "Execution error: ",
    "internal error: ",
    "schema error: ",
];

/// Says the planner's sentence anew.
pub(super) fn said(text: &str) -> Said {
    if let Some(rest) = HEADINGS.iter().find_map(|heading| text.strip_prefix(heading)) {
        return said(rest);
    }
    let known = operation(text).or_else(|| choice(text)).or_else(|| call(text)).or_else(|| value(text));
    known.unwrap_or_else(|| Said { message: types(text), hint: None })
}

fn new(message: String, hint: impl Into<String>) -> Option<Said> {
    Some(Said { message, hint: Some(hint.into()) })
}

/// What stands between two operands in the planner's sentences.
const OPERATORS: [&str; 28] = [
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
    "AND",
    "OR",
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "~",
    "~*",
    "!~",
    "!~*",
    "&",
    "|",
    "BIT_XOR",
    "<<",
    ">>",
    "@>",
    "<@",
    "DIV",
];

/// `LEFT OP RIGHT`: the operands in our words, and the operator.
fn operands(text: &str) -> Option<(String, &'static str, String)> {
    let at = |operator: &&'static str| {
        let (left, right) = text.split_once(&format!(" {operator} "))?;
        Some((types(left), *operator, types(right)))
    };
    OPERATORS.iter().find_map(at)
}

/// Operators whose operands do not go together.
fn operation(text: &str) -> Option<Said> {
    if let Some(rest) = text.strip_prefix("cannot infer common argument type for comparison operation ") {
        let (left, operator, right) = operands(rest)?;
        let message = format!("{} cannot be compared with {} by `{operator}`", a(&left), a(&right));
        return new(message, cast_hint(&left, &right));
    }
    if let Some(rest) = text.strip_prefix("cannot infer common argument type for logical boolean operation ") {
        let (left, operator, right) = operands(rest)?;
        let message = format!("`{operator}` takes true or false on both sides, not {} and {}", a(&left), a(&right));
        return new(message, "compare what is neither, such as `... > 0`");
    }
    let of_text = [
        "cannot infer common string type for string concat operation ",
        "cannot infer common argument type for regex operation ",
    ];
    if let Some(rest) = of_text.iter().find_map(|form| text.strip_prefix(form)) {
        let (left, operator, right) = operands(rest)?;
        let message = format!("`{operator}` takes strings, not {} and {}", a(&left), a(&right));
        return new(message, "write `cast(... as varchar)` around what is none");
    }
    if let Some(rest) =
        text.strip_prefix("there isn't a common type to coerce ").and_then(|rest| rest.strip_suffix(" expression"))
    {
        let (left, rest) = rest.split_once(" and ")?;
        let (right, operator) = rest.rsplit_once(" in ")?;
        let message = format!("`{operator}` takes strings, not {} and {}", a(&types(left)), a(&types(right)));
        return new(message, "write `cast(... as varchar)` around what is none");
    }
    let arithmetic = [
        "cannot coerce arithmetic expression ",
        "cannot get result type for temporal operation ",
        "cannot get result type for arithmetic operation ",
        "cannot get result type for decimal operation ",
        "cannot infer common type for bitwise operation ",
        "cannot infer common argument type for operation ",
    ];
    let rest = arithmetic.iter().find_map(|form| text.strip_prefix(form))?;
    let rest = rest.strip_suffix(" to valid types").or_else(|| Some(rest.split_once(": ")?.0)).unwrap_or(rest);
    let (left, operator, right) = operands(rest)?;
    let message = format!("`{operator}` is not for {} and {}", a(&left), a(&right));
    let hint = match left == "timestamp" || right == "timestamp" {
        true => "write a span such as `interval '1 hour'`, or take two timestamps apart with `-`".to_string(),
        false => cast_hint(&left, &right),
    };
    new(message, hint)
}

/// `case`, `in`, and others that choose among values.
fn choice(text: &str) -> Option<Said> {
    if let Some(rest) =
        text.strip_prefix("failed to coerce then (").and_then(|rest| rest.split_once(") to common types in CASE"))
    {
        let (then, otherwise) = rest.0.split_once(") and else (")?;
        let mut all = list(then);
        all.extend(list(otherwise).into_iter().filter(|name| name != "None"));
        all.dedup();
        let message = format!("the values of `case` have no type in common: {}", all.join(", "));
        return new(message, "write `cast(... as T)` around those of another type than the first");
    }
    if let Some(rest) =
        text.strip_prefix("failed to coerce case (").and_then(|rest| rest.split_once(") to common types in CASE"))
    {
        let (case, when) = rest.0.split_once(") and when (")?;
        let message = format!("`case` is over {}, and `when` has {}", a(&types(case)), list(when).join(", "));
        return new(message, "write values of the same type behind `when`");
    }
    if let Some(rest) = text.strip_prefix("can not find compatible types to compare ") {
        let (value, among) = rest.split_once(" with [")?;
        let message =
            format!("{} is looked for in a list of {}", a(&types(value)), list(among.trim_end_matches(']')).join(", "));
        return new(message, "write values of the type that is looked for");
    }
    let between =
        text.strip_prefix("failed to coerce types ").and_then(|rest| rest.strip_suffix(" in BETWEEN expression"));
    if let Some((value, bound)) = between.and_then(|rest| rest.split_once(" and ")) {
        let (value, bound) = (types(value), types(bound));
        return new(
            format!("{} is not between values that are each {}", a(&value), a(&bound)),
            cast_hint(&value, &bound),
        );
    }
    if let Some((function, rest)) = text.strip_prefix("for function '").and_then(|rest| rest.split_once("' ")) {
        let pair = rest.split_once(" and ").map(|(left, right)| (left, right.split(' ').next().unwrap_or_default()));
        let (left, right) = pair.map(|(left, right)| (types(left), types(right)))?;
        return new(format!("`{function}` cannot compare {} with {}", a(&left), a(&right)), cast_hint(&left, &right));
    }
    if let Some(rest) = text.strip_prefix("unary operator 'NOT' requires a boolean expression, got ") {
        return new(
            format!("`not` takes true or false, not {}", a(&types(rest))),
            "compare it, such as `not (... > 0)`",
        );
    }
    let sign = text.strip_prefix("unary operator '").and_then(|rest| rest.split_once("' only supports"));
    if let Some((sign, _)) = sign {
        return new(
            format!("`{sign}` in front takes a number"),
            "write `cast(... as double)` around it, or leave the sign out",
        );
    }
    if text.starts_with("negation only supports") {
        return new(
            "`-` in front takes a number".to_string(),
            "write `cast(... as double)` around it, or leave the sign out",
        );
    }
    None
}

/// Functions that do not take what they are given.
fn call(text: &str) -> Option<Said> {
    const CAST: &str = "write `cast(... as T)` around what has another type, or take another function";
    if let Some(rest) = text.strip_prefix("failed to coerce arguments to satisfy a call to '") {
        let (name, rest) = rest.split_once("' function: coercion from ")?;
        let (given, _) = rest.split_once(" to the signature ")?;
        return new(format!("`{name}` does not take ({})", list(given).join(", ")), CAST);
    }
    // A function's own reason is inside of the sentence on all functions.
    if let Some((_, inner)) = text.split_once(" user-defined coercion failed with: ") {
        let inner = inner.trim_start_matches("Error during planning: ");
        let name = text.split('\'').nth(1)?;
        return call(inner).or_else(|| new(format!("`{name}` does not take its arguments"), CAST));
    }
    if let Some((name, _)) = text.split_once(" does not support zero arguments") {
        return new(format!("`{}` takes an argument, and is given none", name.trim_matches('\'')), "add what it is of");
    }
    if let Some((name, given)) = text.split_once(" does not support type ") {
        return new(format!("`{name}` does not take {}", a(&types(given))), CAST);
    }
    let rest = text.strip_prefix("the function '").or_else(|| text.strip_prefix("function '"))?;
    let (name, rest) = rest.split_once("' ")?;
    let counted =
        ["expected ", "expects "].iter().find_map(|form| rest.strip_prefix(form)?.split_once(" but received "));
    if let Some((wanted, given)) = counted.filter(|(wanted, _)| wanted.contains("argument")) {
        let wanted = wanted.replace("argument(s)", "arguments");
        return new(format!("`{name}` takes {wanted}, and is given {given}"), "add or remove arguments");
    }
    if let Some((wanted, given)) = counted {
        return new(format!("`{name}` takes {}, not {}", a(&types(wanted)), a(&types(given))), CAST);
    }
    if let Some(rest) = rest.strip_prefix("requires ") {
        let (wanted, given) = rest.split_once(", but received ")?;
        let given =
            given.split_once(" (DataType: ").map_or(given, |(_, exact)| exact.split(')').next().unwrap_or(exact));
        return new(format!("`{name}` takes {}, not {}", a(&types(wanted)), a(&types(given))), CAST);
    }
    if rest.starts_with("failed to match any signature") {
        return new(format!("`{name}` does not take its arguments"), CAST);
    }
    None
}

/// Values that are not of the type they are turned into.
fn value(text: &str) -> Option<Said> {
    const INSTANT: &str = "write an instant such as '2026-01-31T12:00:00Z'";
    if text.starts_with("divide by zero") {
        return new("it divides by zero".to_string(), "write `x / nullif(y, 0)` where a divisor may be 0");
    }
    if text.contains("to Nanosecond") || text.starts_with("the dates that can be represented as nanoseconds") {
        return new(
            "it is outside the years 1700 to 2249, in which instants lie".to_string(),
            "write an instant in them",
        );
    }
    if text.contains("overflow on abs") || text.starts_with("overflow happened on ") {
        return new("the result is beyond its type".to_string(), "write a number that fits, or `cast(... as double)`");
    }
    if text.starts_with("invalid escape character") {
        return new("what stands behind `escape` is not one character".to_string(), "write one, such as `escape '!'`");
    }
    if text.starts_with("unsupported data type Array(") {
        return new("it takes formats that are constants only".to_string(), "write the format as a text");
    }
    if let Some((shown, wanted)) = text
        .trim_start_matches("cast error: ")
        .strip_prefix("Can't cast value ")
        .and_then(|rest| rest.split_once(" to type "))
    {
        let wanted = match wanted {
            "Int8" => "tinyint".to_string(),
            "Int16" => "smallint".to_string(),
            other => types(other),
        };
        return new(format!("{shown} does not fit into {}", a(&wanted)), "cast it to a wider type, or to double");
    }
    if text.contains("Unable to cast to Date") {
        return new("it is no date".to_string(), "write a date such as '2026-01-31'");
    }
    if let Some((_, sum)) = text.split_once("Overflow happened on: ") {
        return new(format!("{sum} is beyond its type"), "write a number that fits, or `cast(... as double)`");
    }
    if let Some((_, shown)) = text.split_once("Invalid input syntax for type interval: ") {
        return new(format!("{shown} is no span"), "write a number and a unit, such as `interval '90 minutes'`");
    }
    if let Some(rest) = text.strip_prefix("unsupported CAST from ") {
        let (from, to) = rest.split_once(" to ")?;
        let message = format!("{} cannot be cast to {}", a(&types(from)), a(&types(to)));
        return new(message, "compare it, or take another type");
    }
    if let Some(name) = text.strip_prefix("unsupported SQL type ") {
        let types = "write int, bigint, real, double, varchar, boolean or timestamp";
        return new(format!("`{}` is no type here", name.to_ascii_lowercase()), types);
    }
    if let Some(text) = text.strip_prefix("invalid HexStringLiteral ") {
        return new(format!("{text} is no text of hexadecimal digits"), "write a string as 'text'");
    }
    // What follows is the syntax tree.
    if text.starts_with("unsupported ast node") || text.contains("{ expr: ") {
        return new(
            "the expression has a part that cannot be used here".to_string(),
            "write it with columns of one event, operators and functions",
        );
    }
    let text = ["cast error: ", "parser error: "].iter().find_map(|form| text.strip_prefix(form)).unwrap_or(text);
    if let Some(rest) = text
        .strip_prefix("Error parsing timestamp from ")
        .or_else(|| text.strip_prefix("error parsing timestamp from "))
    {
        let shown = rest.rsplit_once(": ").map_or(rest, |(shown, _)| shown);
        return new(format!("{shown} is no timestamp"), INSTANT);
    }
    let forms = ["Cannot cast string ", "cannot cast string ", "Cannot cast value ", "cannot cast value "];
    let rest = forms.iter().find_map(|form| text.strip_prefix(form))?;
    let (shown, wanted) = rest.split_once(" to value of ")?;
    let wanted = types(wanted.trim_end_matches(" type"));
    let hint = if wanted == "timestamp" {
        INSTANT.to_string()
    } else {
        format!("write {} there, or compare with a string", a(&wanted))
    };
    new(format!("{shown} is no {wanted}"), hint)
}

/// What to do where two types meet that have nothing in common.
fn cast_hint(left: &str, right: &str) -> String {
    if left == "timestamp" || right == "timestamp" {
        return "write an instant such as '2026-01-31T12:00:00Z', or take parts of it with `date_part`".to_string();
    }
    let target = [left, right].into_iter().find(|name| *name != "string").and_then(sql_type).unwrap_or("varchar");
    format!("write `cast(... as {target})` around one of them")
}

/// What SQL calls our type in a cast.
fn sql_type(name: &str) -> Option<&'static str> {
    use freshet_config::value::DataType;
    DataType::ALL.into_iter().find(|data_type| data_type.name() == name).map(super::sql_name)
}

/// A list of types in our words.
fn list(text: &str) -> Vec<String> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(types(text[start..at].trim()));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(types(text[start..].trim()));
    parts
}

/// With its article.
pub(super) fn a(name: &str) -> String {
    match name {
        "null" => "null".to_string(),
        _ if name.starts_with(['i', 'e']) => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

/// Every name of a type in a text in our words.
pub(super) fn types(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word: usize = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, behind) = rest.split_at(word);
        match ours(name) {
            Some((ours, nested)) => {
                said.push_str(ours);
                rest = if nested { without_parentheses(behind) } else { behind };
            }
            None if word > 0 => {
                said.push_str(name);
                rest = behind;
            }
            None => {
                said.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    said
}

/// Our word for a type of the planner's, and whether its parameters follow in parentheses.
fn ours(name: &str) -> Option<(&'static str, bool)> {
    Some(match name {
        "Utf8" | "LargeUtf8" | "Utf8View" | "String" => ("string", false),
        "Numeric" => ("number", false),
        "Boolean" => ("bool", false),
        "Int8" | "Int16" | "UInt8" | "UInt16" | "Int32" => ("int32", false),
        "Int64" | "UInt32" | "UInt64" => ("int64", false),
        "Float16" | "Float32" => ("float32", false),
        "Float64" => ("float64", false),
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => ("decimal", true),
        "Timestamp" => ("timestamp", true),
        "Date" | "Date32" | "Date64" => ("date", false),
        "Time" | "Time32" | "Time64" => ("time of day", true),
        "Interval" | "Duration" => ("span", true),
        "Null" => ("null", false),
        "List" | "LargeList" | "FixedSizeList" | "ListView" | "LargeListView" => ("list", true),
        "Map" => ("map", true),
        "Struct" => ("struct", true),
        "Binary" | "LargeBinary" | "BinaryView" | "FixedSizeBinary" => ("binary", true),
        "Dictionary" => ("string", true),
        _ => return None,
    })
}

fn without_parentheses(text: &str) -> &str {
    if !text.starts_with('(') {
        return text;
    }
    let mut depth = 0usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[at + 1..];
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_called_as_columns_are() {
        for (text, expected) in [
            ("Utf8 > Int64", "string > int64"),
            ("Timestamp(Microsecond, None)", "timestamp"),
            ("Timestamp(µs)", "timestamp"),
            ("List(Field { name: \"x\", data_type: Int64 }) and Map(Field(x), false)", "list and map"),
            ("Decimal128(3, 1), Null", "decimal, null"),
            ("Utf8ish Float", "Utf8ish Float"),
            ("List(", "list"),
            ("", ""),
        ] {
            assert_eq!(types(text), expected);
        }
    }

    #[test]
    fn known_sentences_are_said_anew() {
        for (text, message, hint) in [
            (
                "cannot infer common argument type for comparison operation Boolean > Int64",
                "a bool cannot be compared with an int64 by `>`",
                "write `cast(... as boolean)` around one of them",
            ),
            (
                "cannot infer common argument type for logical boolean operation Int64 AND Boolean",
                "`AND` takes true or false on both sides, not an int64 and a bool",
                "compare what is neither, such as `... > 0`",
            ),
            (
                "cannot coerce arithmetic expression Utf8 - Timestamp(Microsecond, None) to valid types",
                "`-` is not for a string and a timestamp",
                "write a span such as `interval '1 hour'`, or take two timestamps apart with `-`",
            ),
            (
                "there isn't a common type to coerce Int64 and Utf8 in LIKE expression",
                "`LIKE` takes strings, not an int64 and a string",
                "write `cast(... as varchar)` around what is none",
            ),
            (
                "failed to coerce then (Utf8, List(Int64)) and else (Int64) to common types in CASE WHEN expression",
                "the values of `case` have no type in common: string, list, int64",
                "write `cast(... as T)` around those of another type than the first",
            ),
            (
                "function 'round' expects 2 arguments but received 3",
                "`round` takes 2 arguments, and is given 3",
                "add or remove arguments",
            ),
        ] {
            assert_eq!(said(text), Said { message: message.into(), hint: Some(hint.into()) });
        }
        for (text, message) in [
            (
                "cast error: Overflow converting 9999-12-31 00:00:00 to Nanosecond",
                "it is outside the years 1700 to 2249, in which instants lie",
            ),
            ("cast error: Can't cast value inf to type Int64", "inf does not fit into an int64"),
            ("Int64Array overflow on abs(-9223372036854775808)", "the result is beyond its type"),
        ] {
            assert_eq!(said(text).message, message);
        }
        assert_eq!(said("something about Utf8"), Said { message: "something about string".into(), hint: None });
    }
}
