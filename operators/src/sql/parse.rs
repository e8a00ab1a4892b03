//! Text to syntax tree, within bounds and to the last token.

use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::error::{SqlError, SqlErrorKind};
use super::limits;

/// Reads one expression and nothing after it.
pub(super) fn parse(text: &str) -> Result<Expr, SqlError> {
    limits::check_length(text)?;
    let dialect = GenericDialect {};
    let mut tokens = Tokenizer::new(&dialect, text).tokenize_with_location()?;
    if tokens.iter().all(|token| matches!(token.token, Token::Whitespace(_) | Token::EOF)) {
        return Err(SqlError::new(SqlErrorKind::Syntax, "the expression is empty"));
    }
    limits::check_depth(&tokens)?;
    quote_parts(&mut tokens);
    let mut parser = Parser::new(&dialect).with_recursion_limit(limits::MAX_DEPTH).with_tokens_with_locations(tokens);
    let expression = parser.parse_expr()?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(expression),
        token => Err(SqlError::new(SqlErrorKind::Syntax, format!("`{token}` follows the end of the expression"))
            .at(rest.span.start)),
    }
}

/// Quotes the parts of names such as `user.interval`: before or after a dot no word is one of SQL's.
fn quote_parts(tokens: &mut [TokenWithSpan]) {
    let is_space = |token: &&TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    for i in 0..tokens.len() {
        if !matches!(tokens[i].token, Token::Word(_)) {
            continue;
        }
        let next = tokens[i + 1..].iter().find(|token| !is_space(token)).map(|token| &token.token);
        let before = tokens[..i].iter().rev().find(|token| !is_space(token)).map(|token| &token.token);
        let is_part = next == Some(&Token::Period) || before == Some(&Token::Period) && next != Some(&Token::LParen);
        if let (true, Token::Word(word)) = (is_part, &mut tokens[i].token)
            && word.quote_style.is_none()
        {
            (word.quote_style, word.keyword) = (Some('"'), Keyword::NoKeyword);
        }
    }
}
