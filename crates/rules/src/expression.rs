//! What a rule asks: a selector, and numbers that its value is compared with.
//!
//! The expression is parsed as `PromQL` by `promql-parser`; what this crate cannot evaluate yet is
//! refused with the place where it stands. The parser's tree has no places, so the tree is walked
//! in the order of the text beside the text's tokens.

mod syntax;
mod token;

use promql_parser::parser::{BinaryExpr, Expr, VectorSelector};
use thiserror::Error;

use self::token::{Token, TokenKind};
use crate::selector::Selector;

/// The condition of a rule: series that are selected and for whose value all comparisons hold.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) selector: Selector,
    comparisons: Box<[Comparison]>,
}

#[derive(Clone, Copy, Debug)]
struct Comparison {
    operator: Operator,
    number: f64,
}

/// Compares the series' value, on the left, with a number.
#[derive(Clone, Copy, Debug)]
enum Operator {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
}

/// Why an expression is refused, and where: `offset` counts bytes of its text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct ExpressionError {
    /// Where in the text.
    pub offset: usize,
    /// Why.
    pub reason: ExpressionReason,
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExpressionReason {
    /// There is none.
    #[error("the expression is empty")]
    Empty,
    /// It is no `PromQL`; the text says why.
    #[error("{text}")]
    Syntax {
        /// What is wrong.
        text: Box<str>,
    },
    /// It has more tokens than are read.
    #[error("an expression has at most {} tokens", token::TOKENS_MAX)]
    TooLong,
    /// A function.
    #[error("`{name}(…)`: functions are not supported yet")]
    Function {
        /// Its name.
        name: Box<str>,
    },
    /// An aggregation.
    #[error("`{name}(…)`: aggregations are not supported yet")]
    Aggregation {
        /// Its name.
        name: Box<str>,
    },
    /// An operator between two series, or one that changes a series' value.
    #[error("`{operator}` on a series is not supported yet: only comparisons with a number are")]
    Operator {
        /// The operator.
        operator: Box<str>,
    },
    /// Two selectors compared with each other.
    #[error("`{operator}` between two series is not supported yet")]
    BetweenSeries {
        /// The operator.
        operator: Box<str>,
    },
    /// A part of the language that is not evaluated yet.
    #[error("{0} not supported yet")]
    Unsupported(&'static str),
    /// An expression without a selector.
    #[error("an alert's expression selects series; this one is only a {0}")]
    NoSelector(&'static str),
}

impl Condition {
    /// Reads an expression.
    pub(crate) fn parse(text: &str) -> Result<Self, ExpressionError> {
        let tokens = token::read(text)?;
        let parsed = promql_parser::parser::parse(text)
            .map_err(|said| syntax::error(text, &tokens, &said))?;
        let start = tokens[0].start;
        let mut walk = Walk { text, tokens: &tokens, next: 0 };
        match walk.operand(&parsed)? {
            Operand::Series { selector, comparisons } => {
                Ok(Self { selector, comparisons: comparisons.into() })
            }
            Operand::Number(_) => Err(ExpressionError {
                offset: start,
                reason: ExpressionReason::NoSelector("number"),
            }),
        }
    }

    /// Whether the condition holds for a value of a selected series.
    pub(crate) fn holds(&self, value: f64) -> bool {
        self.comparisons.iter().all(|comparison| comparison.holds(value))
    }
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "PromQL compares exactly")]
    fn holds(self, value: f64) -> bool {
        match self.operator {
            Operator::Greater => value > self.number,
            Operator::GreaterOrEqual => value >= self.number,
            Operator::Less => value < self.number,
            Operator::LessOrEqual => value <= self.number,
            Operator::Equal => value == self.number,
            Operator::NotEqual => value != self.number,
        }
    }
}

impl Operator {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            _ => return None,
        })
    }

    /// The operator that says the same with its sides exchanged.
    fn mirrored(self) -> Self {
        match self {
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Equal | Self::NotEqual => self,
        }
    }
}

/// What a part of an expression comes to.
enum Operand {
    Number(f64),
    Series { selector: Selector, comparisons: Vec<Comparison> },
}

/// Walks the tree and the tokens together, both in the order of the text.
struct Walk<'a> {
    text: &'a str,
    tokens: &'a [Token],
    next: usize,
}

impl Walk<'_> {
    /// What an expression comes to. This recurses, so the functions on its way are kept small.
    fn operand(&mut self, expression: &Expr) -> Result<Operand, ExpressionError> {
        match expression {
            Expr::Paren(inner) => self.operand(&inner.expr),
            Expr::Unary(inner) => self.unary(&inner.expr),
            Expr::Binary(binary) => self.binary(binary),
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::NumberLiteral(literal) => {
                self.seek(|token, _| matches!(token.kind, TokenKind::Number | TokenKind::Word));
                Ok(Operand::Number(literal.val))
            }
            unsupported => Err(self.unsupported(unsupported)),
        }
    }

    /// Why an expression that is no selector, number or operator is refused.
    fn unsupported(&mut self, expression: &Expr) -> ExpressionError {
        match expression {
            Expr::Call(call) => {
                let offset = self.seek(|_, text| text == call.func.name);
                refusal(offset, ExpressionReason::Function { name: call.func.name.into() })
            }
            Expr::Aggregate(aggregate) => {
                let name = aggregate.op.to_string();
                let offset = self.seek(|_, text| text.eq_ignore_ascii_case(&name));
                refusal(offset, ExpressionReason::Aggregation { name: name.into() })
            }
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs).err().unwrap_or_else(|| {
                let offset = self.seek(|_, text| text == "[");
                refusal(offset, ExpressionReason::Unsupported("range selectors are"))
            }),
            Expr::Subquery(subquery) => self.operand(&subquery.expr).err().unwrap_or_else(|| {
                let offset = self.seek(|_, text| text == "[");
                refusal(offset, ExpressionReason::Unsupported("subqueries are"))
            }),
            Expr::StringLiteral(_) => {
                let offset = self.seek(|token, _| token.kind == TokenKind::String);
                refusal(offset, ExpressionReason::NoSelector("text"))
            }
            _ => {
                let offset = self.seek(|_, _| true);
                refusal(offset, ExpressionReason::Unsupported("this expression is"))
            }
        }
    }

    fn unary(&mut self, inner: &Expr) -> Result<Operand, ExpressionError> {
        let offset = self.seek(|_, text| text == "-");
        match self.operand(inner)? {
            Operand::Number(number) => Ok(Operand::Number(-number)),
            Operand::Series { .. } => Err(on_series(offset, "-")),
        }
    }

    fn selector(&mut self, selector: &VectorSelector) -> Result<Operand, ExpressionError> {
        if selector.name.is_some() {
            self.seek(|token, _| token.kind == TokenKind::Word);
        }
        if self.peek() == Some("{") || selector.name.is_none() {
            let offset = self.seek(|_, text| text == "{");
            self.seek(|_, text| text == "}");
            if !selector.matchers.or_matchers.is_empty() {
                return Err(refusal(offset, ExpressionReason::Unsupported("`or` in braces is")));
            }
        }
        // A range stands between the selector and its modifiers, and is refused first.
        if self.peek() != Some("[") && (selector.offset.is_some() || selector.at.is_some()) {
            let offset = self.seek(|_, text| text == "@" || text.eq_ignore_ascii_case("offset"));
            let what = if self.text[offset..].starts_with('@') { "`@` is" } else { "`offset` is" };
            return Err(refusal(offset, ExpressionReason::Unsupported(what)));
        }
        Ok(Operand::Series { selector: Selector::new(selector), comparisons: Vec::new() })
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Result<Operand, ExpressionError> {
        let left = self.operand(&binary.lhs)?;
        let (offset, operator) = self.operator(binary, &left)?;
        let right = self.operand(&binary.rhs)?;
        combined(left, right, &operator).map_err(|reason| refusal(offset, reason))
    }

    /// Steps past an operator; refuses one that no right side can make supported.
    fn operator(
        &mut self,
        binary: &BinaryExpr,
        left: &Operand,
    ) -> Result<(usize, Box<str>), ExpressionError> {
        let operator = binary.op.to_string();
        let offset = self.seek(|_, text| text.eq_ignore_ascii_case(&operator));
        if Operator::of(&operator).is_none() && matches!(left, Operand::Series { .. }) {
            return Err(on_series(offset, &operator));
        }
        if binary.return_bool() {
            let offset = self.seek(|_, text| text.eq_ignore_ascii_case("bool"));
            return Err(refusal(offset, ExpressionReason::Unsupported("`bool` is")));
        }
        Ok((offset, operator.into()))
    }

    /// Steps past the next token that is wanted, and says where it starts. What is skipped are
    /// parentheses and signs, which the tree does not show.
    fn seek(&mut self, wanted: impl Fn(&Token, &str) -> bool) -> usize {
        let found = self.tokens[self.next..]
            .iter()
            .position(|token| wanted(token, &self.text[token.start..token.end]));
        self.next += found.expect("the parser has read this token") + 1;
        self.tokens[self.next - 1].start
    }

    /// The text of the next token.
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.next).map(|token| &self.text[token.start..token.end])
    }
}

fn refusal(offset: usize, reason: ExpressionReason) -> ExpressionError {
    ExpressionError { offset, reason }
}

fn on_series(offset: usize, operator: &str) -> ExpressionError {
    refusal(offset, ExpressionReason::Operator { operator: operator.into() })
}

/// What an operator makes of its sides.
fn combined(left: Operand, right: Operand, operator: &str) -> Result<Operand, ExpressionReason> {
    let (mut series, comparison) = match (left, right, Operator::of(operator)) {
        (Operand::Number(left), Operand::Number(right), None) => {
            return arithmetic(operator, left, right)
                .map(Operand::Number)
                .ok_or_else(|| ExpressionReason::Operator { operator: operator.into() });
        }
        (series @ Operand::Series { .. }, Operand::Number(number), Some(operator)) => {
            (series, Comparison { operator, number })
        }
        (Operand::Number(number), series @ Operand::Series { .. }, Some(operator)) => {
            (series, Comparison { operator: operator.mirrored(), number })
        }
        (Operand::Series { .. }, Operand::Series { .. }, _) => {
            return Err(ExpressionReason::BetweenSeries { operator: operator.into() });
        }
        _ => return Err(ExpressionReason::Operator { operator: operator.into() }),
    };
    if let Operand::Series { comparisons, .. } = &mut series {
        comparisons.push(comparison);
    }
    Ok(series)
}

fn arithmetic(operator: &str, left: f64, right: f64) -> Option<f64> {
    Some(match operator {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        "%" => left % right,
        "^" => left.powf(right),
        "atan2" => left.atan2(right),
        _ => return None,
    })
}
