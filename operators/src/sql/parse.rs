//! Text to syntax tree, within bounds and to the last token.

use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::error::{SqlError, SqlErrorKind};
use super::limits;

/// Reads one expression and nothing after it.
pub(super) fn parse(text: &str) -> Result<Expr, SqlError> {
    limits::check_length(text)?;
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location()?;
    if tokens.iter().all(|token| matches!(token.token, Token::Whitespace(_) | Token::EOF)) {
        return Err(SqlError::new(SqlErrorKind::Syntax, "the expression is empty"));
    }
    limits::check_depth(&tokens)?;
    let mut parser = Parser::new(&dialect).with_recursion_limit(limits::MAX_DEPTH).with_tokens_with_locations(tokens);
    let expression = parser.parse_expr()?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(expression),
        token => Err(SqlError::new(SqlErrorKind::Syntax, format!("`{token}` follows the end of the expression"))
            .at(rest.span.start)),
    }
}
