//! The SQL of definitions that are refused for something else: its errors belong to the same answer.

use arrow::datatypes::{Field, Schema};
use freshet_config::definitions::{Definitions, arrow_schema, column_type};
use freshet_config::diagnostic::Diagnostics;
use freshet_config::resolve::{Expressions, Refused, Written};
use freshet_operators::derived::check_services;
use freshet_operators::sql::{self, Expression};

use super::compile::Compiler;

/// Why definitions are refused, with everything wrong with their SQL, in the words that compiling them would use.
pub fn errors_of(refused: Refused) -> Diagnostics {
    let mut errors = refused.errors;
    errors.extend(check_expressions(&refused.expressions));
    check_services(&refused.derived, &mut errors);
    // There are errors: the result is never the other one.
    errors.into_result(()).err().unwrap_or_default()
}

fn check_expressions(parts: &[Expressions]) -> Diagnostics {
    let none = Definitions::default();
    let mut compiler = Compiler::new(&none);
    for part in parts {
        compiler.unsound.clone_from(&part.untyped);
        compiler.incomplete = !part.complete;
        let mut fields: Vec<Field> = arrow_schema(&part.columns).fields().iter().map(|f| (**f).clone()).collect();
        compiler.computed(&part.select, &mut fields);
        let schema = Schema::new(fields);
        for written in &part.over {
            check(&mut compiler, written, &schema);
        }
    }
    compiler.errors
}

fn check(compiler: &mut Compiler<'_>, written: &Written, schema: &Schema) {
    if written.condition {
        // Only the errors matter.
        compiler.keep(sql::predicate(&written.sql.text, schema), &written.sql, &written.what);
        return;
    }
    let compiled = compiler.keep(Expression::compile(&written.sql.text, schema), &written.sql, &written.what);
    let data_type = compiled.and_then(|compiled| column_type(compiled.data_type()));
    if let (Some((aggregate, function)), Some(data_type)) = (&written.input_of, data_type) {
        compiler.check_input(aggregate, *function, &written.sql, data_type);
    }
}
