//! The SQL of definitions that are refused for something else: its errors belong to the same answer.

use arrow::datatypes::{Field, Schema};
use freshet_config::definitions::{Definitions, arrow_schema};
use freshet_config::diagnostic::Diagnostics;
use freshet_config::resolve::Expressions;
use freshet_operators::sql::{self, Expression};

use super::compile::Compiler;

/// Everything wrong with the expressions, each in the words that compiling the definitions would use.
pub fn check_expressions(parts: &[Expressions]) -> Diagnostics {
    let none = Definitions::default();
    let mut compiler = Compiler::new(&none);
    for part in parts {
        let mut fields: Vec<Field> = arrow_schema(&part.columns).fields().iter().map(|f| (**f).clone()).collect();
        compiler.computed(&part.select, &mut fields);
        let schema = Schema::new(fields);
        for written in &part.over {
            // Only the errors matter.
            let _ = match written.condition {
                true => {
                    compiler.keep(sql::predicate(&written.sql.text, &schema), &written.sql, &written.what).is_some()
                }
                false => {
                    let compiled = Expression::compile(&written.sql.text, &schema);
                    compiler.keep(compiled, &written.sql, &written.what).is_some()
                }
            };
        }
    }
    compiler.errors
}
