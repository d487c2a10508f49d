//! From the parser's tree to a [`Plan`].
//!
//! The parser's tree has no places, so it is walked beside the tokens of the text, both in the
//! order of the text: what is refused, and what a note is about, knows where it stands.

mod call;
mod operation;
mod selection;

use bellwire_model::limits::EXPRESSION_DEPTH_MAX;
use promql_parser::parser::Expr;

use super::{Plan, Root, Scalar, Selection, Vector};
use crate::expression::token::{self, Token, TokenKind};
use crate::expression::{self, ExpressionError, ExpressionReason, Tier};
use crate::patterns::Patterns;

type Compiled<T> = Result<T, ExpressionError>;

/// Reads an expression. Its selections follow those that there are already.
pub(super) fn compile(
    text: &str,
    selections: Vec<Selection>,
    patterns: &mut Patterns,
) -> Compiled<Plan> {
    let tokens = token::read(text)?;
    let (parsed, regex_bytes) = expression::parse(text, &tokens, patterns)?;
    let mut compiler = Compiler {
        text,
        tokens: &tokens,
        next: 0,
        depth: 0,
        outer_ms: 0,
        selections,
        patterns,
        regex_bytes,
        on_tick_only: None,
        unkept: None,
    };
    let root = compiler.expression(&parsed)?;
    let Compiler { selections, on_tick_only, unkept, regex_bytes, .. } = compiler;
    let start = tokens[0].start;
    let (selections, hysteresis, replaced) = (selections.into(), None, Box::default());
    Ok(Plan { root, selections, hysteresis, replaced, on_tick_only, unkept, start, regex_bytes })
}

struct Compiler<'a> {
    text: &'a str,
    tokens: &'a [Token],
    /// The token that is next.
    next: usize,
    /// How deep the expression is that is read just now.
    depth: usize,
    /// How far back the subqueries around it look.
    outer_ms: i64,
    selections: Vec<Selection>,
    patterns: &'a mut Patterns,
    /// What its regular expressions take, those of all selectors and of the calls that were read.
    regex_bytes: usize,
    /// The first part that is not evaluated as samples arrive.
    on_tick_only: Option<ExpressionError>,
    /// The first part that a query may have and a rule may not.
    unkept: Option<ExpressionError>,
}

impl Compiler<'_> {
    /// An expression. This recurses, so the functions on its way are kept small.
    fn expression(&mut self, expression: &Expr) -> Compiled<Root> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            return Err(refusal(self.offset(), ExpressionReason::TooDeep));
        }
        // Parentheses are no level of their own.
        let mut inner = expression;
        let mut parentheses = 0;
        self.skip_pluses();
        while let Expr::Paren(paren) = inner {
            self.expect("(");
            self.skip_pluses();
            parentheses += 1;
            inner = &paren.expr;
        }
        let root = self.part(inner)?;
        for _ in 0..parentheses {
            self.expect(")");
        }
        self.depth -= 1;
        Ok(root)
    }

    fn part(&mut self, expression: &Expr) -> Compiled<Root> {
        match expression {
            Expr::Unary(unary) => self.negation(&unary.expr),
            Expr::Binary(binary) => self.operation(binary),
            Expr::Aggregate(aggregate) => self.aggregation(aggregate),
            Expr::Call(call) => self.call(call),
            Expr::VectorSelector(selector) => self.instant(selector),
            Expr::MatrixSelector(matrix) => self.range(matrix),
            Expr::Subquery(subquery) => self.subquery(subquery),
            Expr::NumberLiteral(literal) => {
                self.seek(|token, _| matches!(token.kind, TokenKind::Number | TokenKind::Word));
                Ok(Root::Scalar(Scalar::Number(literal.val)))
            }
            Expr::StringLiteral(literal) => {
                self.seek(|token, _| token.kind == TokenKind::String);
                Ok(Root::Text(literal.val.as_str().into()))
            }
            Expr::Paren(_) | Expr::Extension(_) => {
                unreachable!("parentheses are read above, and the parser makes no extensions")
            }
        }
    }

    fn negation(&mut self, inner: &Expr) -> Compiled<Root> {
        self.expect("-");
        Ok(match self.expression(inner)? {
            Root::Scalar(Scalar::Number(number)) => Root::Scalar(Scalar::Number(-number)),
            Root::Scalar(scalar) => Root::Scalar(Scalar::Negated(Box::new(scalar))),
            Root::Vector(vector) => Root::Vector(Vector::Negated(Box::new(vector))),
            other => unreachable!("the parser negates numbers and vectors, not {other:?}"),
        })
    }

    fn vector(&mut self, expression: &Expr) -> Compiled<Vector> {
        match self.expression(expression)? {
            Root::Vector(vector) => Ok(vector),
            other => unreachable!("the parser has checked that {other:?} is a vector"),
        }
    }

    /// Notes a part for which a rule is evaluated on a tick; the first one is told.
    fn note_tick(&mut self, offset: usize, what: &str) {
        let reason = || ExpressionReason::OnTick { what: what.into(), tier: Tier::Third };
        self.on_tick_only.get_or_insert_with(|| refusal(offset, reason()));
    }

    /// Notes a part that a rule may not have; the first one is told.
    fn note_unkept(&mut self, offset: usize, what: &str) {
        let reason = || ExpressionReason::Unsupported { what: what.into(), tier: Tier::Third };
        self.unkept.get_or_insert_with(|| refusal(offset, reason()));
    }

    /// Where the next token starts.
    fn offset(&self) -> usize {
        self.tokens.get(self.next).map_or(self.text.len(), |token| token.start)
    }

    /// The text of the next token.
    fn peek(&self) -> &str {
        self.tokens.get(self.next).map_or("", |token| &self.text[token.start..token.end])
    }

    fn peeks(&self, word: &str) -> bool {
        self.peek().eq_ignore_ascii_case(word)
    }

    /// Steps past the next token, which is `word`, and says where it starts.
    fn expect(&mut self, word: &str) -> usize {
        debug_assert!(self.peeks(word), "expected `{word}` at {} of {}", self.offset(), self.text);
        let offset = self.offset();
        self.next += 1;
        offset
    }

    /// Steps past the next token if it is `word`.
    fn accept(&mut self, word: &str) -> bool {
        let is_next = self.peeks(word);
        self.next += usize::from(is_next);
        is_next
    }

    /// Steps past the next token that is wanted; what is skipped are signs.
    fn seek(&mut self, wanted: impl Fn(&Token, &str) -> bool) -> usize {
        let found = self.tokens[self.next..]
            .iter()
            .position(|token| wanted(token, &self.text[token.start..token.end]));
        self.next += found.expect("the parser has read this token") + 1;
        self.tokens[self.next - 1].start
    }

    /// Signs that change nothing are not in the tree.
    fn skip_pluses(&mut self) {
        while self.accept("+") {}
    }

    /// Steps past a bracket and all up to the one that closes it.
    fn skip_brackets(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                "(" | "{" | "[" => depth += 1,
                ")" | "}" | "]" => depth -= 1,
                _ => {}
            }
            self.next += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

fn refusal(offset: usize, reason: ExpressionReason) -> ExpressionError {
    ExpressionError { offset, reason }
}

/// A refusal of something that is not evaluated.
fn unsupported<T>(offset: usize, what: impl Into<Box<str>>, tier: Tier) -> Compiled<T> {
    Err(refusal(offset, ExpressionReason::Unsupported { what: what.into(), tier }))
}

fn boxed(names: &promql_parser::label::Labels) -> Box<[Box<str>]> {
    names.labels.iter().map(|name| name.as_str().into()).collect()
}
