//! Bounds that keep every later stage off the end of the stack.
//!
//! Parsing, planning, evaluating and even dropping an expression recurse over its depth, and a chain `a + a + a ...`
//! is as deep as it is long. So the depth is bounded from the tokens, before anything recursive runs.

use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::error::{SqlError, SqlErrorKind};

/// Longest text of an expression, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Most operators and brackets one value may lie under.
pub const MAX_DEPTH: usize = 128;

/// Refuses a text that is too long to be looked at.
pub(super) fn check_length(text: &str) -> Result<(), SqlError> {
    if text.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    let message = format!("the expression has {} bytes, more than {MAX_TEXT_BYTES}", text.len());
    Err(SqlError::new(SqlErrorKind::Syntax, message).hint("split it into computed columns"))
}

/// Refuses tokens whose expression could be deeper than [`MAX_DEPTH`].
///
/// The bound counts, per open bracket or `case`, the operators since the last separator (`,`, `when`, `then`, `else`),
/// and adds them up over all open brackets. Every level of the tree comes from one of those tokens.
pub(super) fn check_depth(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut counter = DepthCounter { open: vec![0], depth: 0, after_operand: false };
    for token in tokens {
        counter.take(&token.token);
        if counter.depth > MAX_DEPTH {
            let message = format!("the expression nests or chains more than {MAX_DEPTH} operators");
            return Err(SqlError::new(SqlErrorKind::Syntax, message)
                .hint("split it into computed columns, or write `in (...)` instead of many `or`")
                .at(token.span.start));
        }
    }
    Ok(())
}

struct DepthCounter {
    /// Operators since the last separator, per open bracket.
    open: Vec<usize>,
    /// The sum of `open`.
    depth: usize,
    /// Whether the last token surely ended an operand. Only then do `then` or `end` end something; after an operator
    /// they are read as columns of those names, and taking them for separators would hide a chain.
    after_operand: bool,
}

impl DepthCounter {
    fn take(&mut self, token: &Token) {
        let keyword = match token {
            Token::Word(word) => Some(word.keyword),
            _ => None,
        };
        let ended = self.after_operand;
        match (token, keyword) {
            (Token::Whitespace(_) | Token::EOF, _) => return,
            (Token::LParen | Token::LBracket | Token::LBrace, _) | (_, Some(Keyword::CASE)) => {
                self.deepen();
                self.open.push(0);
            }
            (Token::RParen | Token::RBracket | Token::RBrace, _) => self.close(),
            (_, Some(Keyword::END)) if ended => self.close(),
            (Token::Comma, _) => self.separate(),
            (_, Some(Keyword::WHEN | Keyword::THEN | Keyword::ELSE)) if ended => self.separate(),
            (Token::Number(..) | Token::SingleQuotedString(_), _) => {}
            (_, Some(Keyword::NoKeyword | Keyword::NULL | Keyword::TRUE | Keyword::FALSE)) => {}
            _ => self.deepen(),
        }
        self.after_operand = matches!(
            token,
            Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen | Token::RBracket | Token::RBrace
        ) || matches!(
            keyword,
            Some(Keyword::NoKeyword | Keyword::NULL | Keyword::TRUE | Keyword::FALSE | Keyword::END)
        );
    }

    fn deepen(&mut self) {
        self.depth += 1;
        if let Some(level) = self.open.last_mut() {
            *level += 1;
        }
    }

    /// What stands before a separator is a sibling of what follows, not its parent.
    fn separate(&mut self) {
        if let Some(level) = self.open.last_mut() {
            self.depth -= std::mem::take(level);
        }
    }

    fn close(&mut self) {
        if self.open.len() > 1 {
            self.depth -= self.open.pop().unwrap_or(0);
        }
    }
}
