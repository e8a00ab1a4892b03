//! Checks of one part of an expression, made of all of them.

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::Expr;

/// The first error that a check finds, from the outside in.
pub(super) fn first_error<E>(expression: &Expr, mut check: impl FnMut(&Expr) -> Result<(), E>) -> Result<(), E> {
    let mut found = Ok(());
    let walked = expression.apply(|node| {
        found = check(node);
        Ok(if found.is_err() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    // Nothing in the walk fails by itself.
    debug_assert!(walked.is_ok());
    found
}
