//! What would take long or much is refused, or fails its row alone.

use super::*;

/// Each text is one that would exhaust a stack if it reached the parser, the planner or a destructor.
#[test]
fn deep_and_long_texts_are_refused() {
    let many = 7_000;
    for text in [
        format!("{}1{}", "(".repeat(many), ")".repeat(many)),
        "(".repeat(10_000),
        format!("n{}", "+n".repeat(many)),
        format!("{}ok", "not ".repeat(3_000)),
        format!("{}n", "- ".repeat(many)),
        format!("n{}", "[1]".repeat(5_000)),
        format!("n{}", "::int".repeat(3_000)),
        format!("n{}", " is null".repeat(1_500)),
        format!("case when ok then n {} end", "+then".repeat(3_000)),
        format!("case n{} end", "+end".repeat(3_000)),
        format!("{}1", "case when ok then ".repeat(800)),
        format!("{}n{}", "abs(".repeat(3_000), ")".repeat(3_000)),
        format!("n.{}", "n.".repeat(5_000)),
        format!("{}n", "ok and ".repeat(2_000)),
        "x".repeat(MAX_TEXT_BYTES + 1),
    ] {
        let error = refusal(&text);
        assert_eq!(error.kind, SqlErrorKind::Syntax, "{error}");
    }
}

/// The bounds leave room for what people write, and what they let through runs on an ordinary stack.
#[test]
fn wide_and_fairly_deep_texts_work() {
    let listed = (0..1_000).map(|code| format!("'{code}'")).collect::<Vec<_>>().join(", ");
    assert_eq!(booleans(&format!("country in ({listed})")), [Some(false), Some(false), None, Some(true)]);
    let branches = (0..300).map(|code| format!("when n = {code} then {code} + 1 ")).collect::<String>();
    assert_eq!(integers(&format!("case {branches} else -1 end")), [Some(2), Some(3), Some(1), Some(-1)]);
    let chain = format!("userId{}", " + userId".repeat(MAX_DEPTH));
    assert_eq!(integers(&chain)[0], Some(5 * (MAX_DEPTH as i64 + 1)));
    let nested = format!("{}userId{}", "(".repeat(MAX_DEPTH - 8), ")".repeat(MAX_DEPTH - 8));
    assert_eq!(integers(&nested)[0], Some(5));
    let calls = format!("{}userId{}", "abs(".repeat(MAX_DEPTH / 2), ")".repeat(MAX_DEPTH / 2));
    assert_eq!(integers(&calls)[0], Some(5));
}

#[test]
fn a_written_pattern_is_read_when_the_expression_is() {
    for (text, column) in
        [("regexp_like(country, '[')", 22), ("country ~ '['", 11), ("regexp_replace(country, '[', 'x') = 'x'", 25)]
    {
        let refused = refusal(text);
        assert!(refused.message.ends_with("is no regular expression: unclosed character class"), "{}", refused.message);
        assert_eq!(refused.offset, Some((1, column)), "{text}");
    }
    assert_eq!(booleans("regexp_like(country, '^d')")[0], Some(true));
}

#[test]
fn a_pattern_that_comes_from_an_event_is_refused() {
    for (text, maker, column) in [
        ("regexp_like(country, country)", "regexp_like", 1),
        ("n > 0 and regexp_match(country, 'a' || country)[1] = 'x'", "regexp_match", 11),
        ("regexp_replace(country, upper(country), 'x')", "regexp_replace", 1),
        ("regexp_count(country, case when ok then 'a' else 'b' end)", "regexp_count", 1),
        ("regexp_instr(country, country)", "regexp_instr", 1),
        ("regexp_like(country, 'a', country)", "regexp_like", 1),
        ("country ~ country", "~", 1),
        ("ok and country !~* country", "!~*", 8),
        ("country like country", "like", 1),
        ("country not ilike country", "ilike", 1),
        ("country similar to country", "similar to", 1),
    ] {
        let refused = refusal(text);
        assert_eq!(refused.kind, SqlErrorKind::Unsupported, "{text}: {refused}");
        let message = format!("the pattern of `{maker}` comes from the event, and may take any time to look for");
        assert_eq!((refused.message, refused.offset), (message, Some((1, column))), "{text}");
        assert!(refused.hint.unwrap().starts_with("write the pattern"), "{text}");
    }
    assert_eq!(booleans("country like 'd%' or country ~* '^F' or country similar to '1(2|3)'")[..2], [Some(true); 2]);
    assert_eq!(integers("cast(regexp_count(country, 'D', 1, 'i') as bigint)")[0], Some(1));
    assert_eq!(booleans("country ~ null"), [None; 4]);
}

#[test]
fn a_written_pattern_is_small_when_it_is_compiled() {
    for text in [
        r"country ~ '(a{1000}){1000}'",
        r"regexp_like(country, '\w{200}')",
        r"regexp_replace(country, '(\pL{3,200}){4}', '') = ''",
        r"regexp_like(country, '\w{60}', 'i')",
        &format!("country like '{}'", "%_".repeat(4000)),
    ] {
        let refused = refusal(text);
        assert!(refused.message.contains("` takes more than 1048576 bytes when it is compiled"), "{text}: {refused}");
        assert!(refused.offset.is_some() && refused.hint.is_some(), "{text}");
    }
    for text in [
        r"country ~ '^[^@\s]+@[^@\s]+\.[a-z]{2,24}$'",
        r"regexp_like(country, '^\d{1,3}(\.\d{1,3}){3}$')",
        r"country ~ '^\w{1,10}$'",
        "country like '%some%where%'",
    ] {
        compile(text);
    }
}

/// One row short, one long.
fn texts(expression: &str, long: usize) -> (Vec<bool>, Option<String>) {
    let schema = arrow_schema(&["s", "t"].map(|name| Column { name: name.into(), data_type: DataType::String }));
    let column = |other: &str| -> ArrayRef { Arc::new(StringArray::from(vec!["ab".to_string(), other.repeat(long)])) };
    let batch = RecordBatch::try_new(schema.clone(), vec![column("a"), column("b")]).unwrap();
    let evaluated = Expression::compile(expression, &schema).unwrap().evaluate(&batch).unwrap();
    (evaluated.array.iter_nulls(), evaluated.first_failure)
}

trait Nulls {
    fn iter_nulls(&self) -> Vec<bool>;
}

impl Nulls for ArrayRef {
    fn iter_nulls(&self) -> Vec<bool> {
        (0..self.len()).map(|row| self.is_null(row)).collect()
    }
}

#[test]
fn lists_whose_comparison_would_take_long_fail_their_row_alone() {
    let field = Arc::new(Field::new_list_field(arrow_type(DataType::Int64), true));
    let list = |first: i64, length: i64| {
        let values = Int64Array::from_iter_values(first..first + length);
        ListArray::new(
            field.clone(),
            OffsetBuffer::from_lengths([2, length as usize]),
            {
                let both = [&Int64Array::from(vec![1, 2]) as &dyn Array, &values];
                concat(&both).unwrap()
            },
            None,
        )
    };
    let evaluated = |expression: &str, lengths: (i64, i64)| {
        let (a, b): (ArrayRef, ArrayRef) = (Arc::new(list(0, lengths.0)), Arc::new(list(1 << 40, lengths.1)));
        let columns = [("a", a, true), ("b", b, true)];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let evaluated = Expression::compile(expression, &batch.schema()).unwrap().evaluate(&batch).unwrap();
        (evaluated.array.iter_nulls(), evaluated.first_failure)
    };
    let failed = |why: &str| (vec![false, true], Some(why.to_string()));
    for function in ["array_has_any", "array_has_all", "arrays_overlap", "list_has_all"] {
        let expression = format!("{function}(a, b)");
        assert_eq!(evaluated(&expression, (512, 512)), (vec![false; 2], None), "{function}");
        let name = if function.ends_with("all") { "array_has_all" } else { "array_has_any" };
        let why = format!("262656 pairs of elements are more than the 262144 that `{name}` compares");
        assert_eq!(evaluated(&expression, (513, 512)), failed(&why), "{function}");
    }
    let count = "cast(cardinality(array_concat(a, b)) as bigint)";
    assert_eq!(evaluated(count, (10_000, 10_000)), (vec![false; 2], None));
    let why = "60000 elements are more than the 32768 that `array_concat` makes a list of";
    assert_eq!(evaluated(count, (30_000, 30_000)), failed(why));
    // These look at every element once.
    for function in ["array_except", "array_intersect", "array_union"] {
        let expression = format!("cast(cardinality({function}(a, b)) as bigint)");
        assert_eq!(evaluated(&expression, (10_000, 10_000)), (vec![false; 2], None), "{function}");
    }
    // What is written counts as one list for all rows.
    assert_eq!(evaluated("array_has_any(a, make_array(1, 2, 3))", (60_000, 1)), (vec![false; 2], None));
    assert!(evaluated("array_has_any(a, make_array(1, 2, 3, 4, 5))", (60_000, 1)).1.is_some());
}

#[test]
fn texts_whose_comparison_would_take_long_fail_their_row_alone() {
    for (text, function, most) in [
        ("levenshtein(s, t)", "levenshtein", 1024),
        ("levenshtein(s, 'x')", "levenshtein", 1024),
        ("strpos(s, t)", "strpos", 1024),
        ("position(t in s)", "strpos", 1024),
        ("ltrim(s, t)", "ltrim", 1024),
        ("trim(both t from s)", "btrim", 1024),
        ("regexp_count(s, 'a.*b')", "regexp_count", 16384),
        ("regexp_instr(s, 'b', 1, 3)", "regexp_instr", 16384),
        ("regexp_replace(s, 'a', '', 'g')", "regexp_replace", 16384),
        ("array_length(string_to_array(s, 'a'))", "string_to_array", 4096),
    ] {
        let (nulls, failure) = texts(text, most);
        assert_eq!((nulls, failure), (vec![false; 2], None), "{text}");
        let (nulls, failure) = texts(text, most + 1);
        let message = format!("a text of {} bytes is longer than the {most} that `{function}` takes", most + 1);
        assert_eq!((nulls, failure), (vec![false, true], Some(message)), "{text}");
    }
    // What is written, or looked at once, has no bound of its own.
    for text in ["strpos(s, 'a')", "regexp_replace(s, 'a', '')", "regexp_like(s, 'a+$')", "contains(s, 'b')"] {
        assert_eq!(texts(text, 100_000), (vec![false; 2], None), "{text}");
    }
}
