//! Qualified names: `request.amount`, `card_txn.amount_sum_1h`.
//!
//! Law: `a.b` names the column called `a.b`, whole; the planner never sees two parts. So which things there are to
//! name, and what their names mean, is decided by whoever lays out the columns.

use std::ops::ControlFlow;

use arrow::datatypes::Schema;
use datafusion_sql::sqlparser::ast::{AccessExpr, Expr, Ident, Visit, VisitMut, Visitor, VisitorMut};

use super::error::SqlError;
use super::{on_planner, parse};

/// How an expression names its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// By one name.
    Columns,
    /// By one name, or by a qualifier and a name.
    Qualified,
}

/// A column that an expression names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// As the column is called: `request_timestamp`, `request.amount`.
    pub name: String,
    /// Line and column within the expression's text, both from 1.
    pub offset: Option<(usize, usize)>,
}

impl Reference {
    /// The two parts of a qualified name.
    pub fn parts(&self) -> Option<(&str, &str)> {
        self.name.split_once('.')
    }
}

/// The distinct columns an expression names, in the order of first use.
pub fn references(text: &str) -> Result<Vec<Reference>, SqlError> {
    on_planner(|| {
        let mut collector = Collector { found: Vec::new() };
        let _ = rewritten(parse::parse(text)?, Naming::Qualified).visit(&mut collector);
        Ok(collector.found)
    })
}

/// A text that is a column's name, which may be a word of SQL's, such as `user` or `interval`.
pub(super) fn column(text: &str, schema: &Schema) -> Option<Expr> {
    let name = text.trim();
    schema.column_with_name(name).map(|_| Expr::Identifier(Ident::with_quote('"', name)))
}

/// The expression with one name per column.
pub(super) fn rewritten(mut expression: Expr, naming: Naming) -> Expr {
    if naming == Naming::Qualified {
        let _ = VisitMut::visit(&mut expression, &mut Joiner);
    }
    expression
}

struct Joiner;

impl VisitorMut for Joiner {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::CompoundIdentifier(parts) => {
                if let Some(name) = joined(parts.iter()) {
                    *expression = Expr::Identifier(name);
                }
            }
            // `a.b[1]`: the parser leaves the dots of the name among the accesses.
            Expr::CompoundFieldAccess { root, access_chain } => {
                if let (Expr::Identifier(first), Some(AccessExpr::Dot(Expr::Identifier(second)))) =
                    (root.as_ref(), access_chain.first())
                    && let Some(name) = joined([first, second].into_iter())
                {
                    **root = Expr::Identifier(name);
                    access_chain.remove(0);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `a.b` as one quoted name, at the place of its first part.
fn joined<'a>(parts: impl Iterator<Item = &'a Ident> + Clone) -> Option<Ident> {
    let first = parts.clone().next()?;
    let text = parts.map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
    Some(Ident { value: text, quote_style: Some('"'), span: first.span })
}

struct Collector {
    found: Vec<Reference>,
}

impl Visitor for Collector {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expression
            && !self.found.iter().any(|known| known.name == name.value)
        {
            let start = name.span.start;
            let offset = (start.line > 0).then_some((start.line as usize, start.column as usize));
            self.found.push(Reference { name: name.value.clone(), offset });
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        references(text).unwrap().into_iter().map(|reference| reference.name).collect()
    }

    #[test]
    fn every_name_is_found_once_and_with_its_place() {
        assert_eq!(
            names("request.amount / nullif(card.mean_1h, 0) + card.mean_1h - x"),
            ["request.amount", "card.mean_1h", "x"]
        );
        assert_eq!(names("case when a.b is null then 1 else c.d[1] + c.d[e.f] end"), ["a.b", "c.d", "e.f"]);
        assert_eq!(names("1 + 2"), [""; 0]);
        let words_of_sql = "user.count_1h + user . user / \"user\".interval + count(request.case) + end.end";
        assert_eq!(names(words_of_sql), ["user.count_1h", "user.user", "user.interval", "request.case", "end.end"]);
        let found = references("1 +\n  request.amount").unwrap();
        assert_eq!(found[0].offset, Some((2, 3)));
        assert_eq!(found[0].parts(), Some(("request", "amount")));
    }
}
