//! The numbers that an expression compares something with, and what that something is: so that whoever
//! looks at an alert sees how far its value is from where it began.
//!
//! It is found in the text, between the brackets: `a > 90 and b < 5` compares `a` with 90 and `b` with
//! 5. Where it cannot be told, as where two vectors are compared, nothing is said.

mod narrowing;
mod unit;

use bellwire_model::Labels;
use bellwire_model::limits::THRESHOLDS_TOLD_MAX;

use crate::expression::token::{self, Token, TokenKind};
use crate::plan::{Operator, Plan, Root, Scalar};

use self::unit::Measure;

/// Something that is compared with a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// What is compared, as the expression writes it.
    pub left: Box<str>,
    /// How, as if the number stood on the right: `>`, `>=`, `<`, `<=`, `==` or `!=`.
    pub operator: &'static str,
    /// The number.
    pub value: f64,
    /// The metric that it is in the unit of, where it is in that of one.
    pub metric: Option<Box<str>>,
    /// Whether it is that by the second.
    pub is_per_second: bool,
    /// What is compared, of the part of one alert alone: another expression, which can be followed.
    /// Nothing where there is none.
    pub query: Option<String>,
}

/// What decides over an alert whose rule has this expression and sets labels of these names: as far as
/// it is a comparison with a number, in the order of the text. Takes as long as the expression to read.
pub fn thresholds(expression: &str, alert: &Labels, own: &[&str]) -> Vec<Threshold> {
    let Ok(tokens) = token::read(expression) else { return Vec::new() };
    let text = Text { text: expression, tokens: &tokens };
    let mut found = Vec::new();
    text.conditions(&mut found);
    found.truncate(THRESHOLDS_TOLD_MAX);
    for threshold in &mut found {
        threshold.complete(alert, own);
    }
    found
}

impl Threshold {
    fn new(left: Text<'_>, operator: &'static str, value: f64) -> Self {
        let left = left.as_str().into();
        Self { left, operator, value, metric: None, is_per_second: false, query: None }
    }

    /// Finds out what it is of.
    fn complete(&mut self, alert: &Labels, own: &[&str]) {
        let Ok(plan) = Plan::parse(&self.left) else { return };
        if let Some(Measure { metric, is_per_second }) = Measure::of(&plan) {
            (self.metric, self.is_per_second) = (Some(metric), is_per_second);
        }
        self.query = narrowing::narrowed(&self.left, &plan, (alert, own));
    }
}

/// A piece of an expression.
#[derive(Clone, Copy)]
struct Text<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl<'a> Text<'a> {
    fn word(&self, token: &Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    fn as_str(&self) -> &'a str {
        match self.tokens {
            [] => "",
            [first, .., last] => &self.text[first.start..last.end],
            [only] => &self.text[only.start..only.end],
        }
    }

    fn piece(self, tokens: &'a [Token]) -> Self {
        Self { tokens, ..self }
    }

    /// Without the brackets around all of it.
    fn bare(self) -> Self {
        let mut bare = self;
        while let [first, .., last] = bare.tokens
            && bare.word(first) == "("
            && bare.closing(0) == Some(bare.tokens.len() - 1)
            && bare.word(last) == ")"
        {
            bare.tokens = &bare.tokens[1..bare.tokens.len() - 1];
        }
        bare
    }

    /// Where the bracket closes that opens here.
    fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (place, token) in self.tokens.iter().enumerate().skip(open) {
            match self.word(token) {
                "(" | "{" | "[" => depth += 1,
                ")" | "}" | "]" => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(place);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The tokens that stand in no bracket.
    fn outer(self) -> impl Iterator<Item = (usize, &'a Token)> {
        let mut depth = 0_usize;
        self.tokens.iter().enumerate().filter(move |(_, token)| {
            let is_outer = depth == 0;
            if token.kind == TokenKind::Mark {
                match self.word(token) {
                    "(" | "{" | "[" => depth += 1,
                    ")" | "}" | "]" => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            is_outer
        })
    }

    /// The pieces between these words, each with the word before it.
    fn split(self, words: &[&str]) -> Vec<(Option<&'a str>, Self)> {
        let (mut pieces, mut start, mut before) = (Vec::new(), 0, None);
        for (place, token) in self.outer() {
            let word = self.word(token);
            let is_split = token.kind == TokenKind::Word
                && words.iter().any(|split| word.eq_ignore_ascii_case(split));
            if is_split {
                pieces.push((before, self.piece(&self.tokens[start..place])));
                (start, before) = (place + 1, Some(word));
            }
        }
        pieces.push((before, self.piece(&self.tokens[start..])));
        pieces
    }

    /// Without `on (…)` or `ignoring (…)`, by which sets are matched.
    fn unmatched(self) -> Self {
        let is_matching = |token: &Token| {
            let word = self.word(token);
            ["on", "ignoring"].iter().any(|matching| word.eq_ignore_ascii_case(matching))
        };
        match self.tokens {
            [first, second, ..] if is_matching(first) && self.word(second) == "(" => {
                let end = self.closing(1).map_or(self.tokens.len(), |end| end + 1);
                self.piece(&self.tokens[end..])
            }
            _ => self,
        }
    }

    /// The conditions that it is made of; what must not be is none.
    fn conditions(self, found: &mut Vec<Threshold>) {
        let bare = self.bare();
        for (_, alternative) in bare.split(&["or"]) {
            let pieces = alternative.unmatched().split(&["and", "unless"]);
            let is_one = pieces.len() == 1;
            for (before, piece) in pieces {
                if before.is_some_and(|word| word.eq_ignore_ascii_case("unless")) {
                    continue;
                }
                let piece = piece.unmatched();
                // Brackets around it may hold more of them.
                if is_one && piece.tokens.len() == bare.tokens.len() {
                    piece.comparisons(found);
                } else {
                    piece.conditions(found);
                }
            }
        }
    }

    /// What is compared here, where that is with numbers.
    fn comparisons(self, found: &mut Vec<Threshold>) {
        let mut marks = self.outer().filter_map(|(place, token)| {
            let operator = Operator::of(self.word(token)).filter(|it| it.is_comparison())?;
            (token.kind == TokenKind::Mark).then_some((place, operator))
        });
        let Some((first, operator)) = marks.next() else { return };
        let places: Vec<(usize, Operator)> = [(first, operator)].into_iter().chain(marks).collect();
        let left = self.piece(&self.tokens[..first]);
        let mut sides = Vec::with_capacity(places.len());
        for (at, (place, operator)) in places.iter().enumerate() {
            let end = places.get(at + 1).map_or(self.tokens.len(), |(next, _)| *next);
            sides.push((*operator, self.piece(&self.tokens[place + 1..end])));
        }
        if let [(operator, right)] = sides[..]
            && let Some(value) = left.constant()
        {
            if right.constant().is_none() && !right.gives_number() {
                found.push(Threshold::new(right.bare(), written(operator.turned()), value));
            }
            return;
        }
        let numbers: Option<Vec<f64>> = sides.iter().map(|(_, side)| side.constant()).collect();
        let numbers = numbers.unwrap_or_default();
        for ((operator, _), value) in sides.iter().zip(numbers) {
            found.push(Threshold::new(left.bare(), written(*operator), value));
        }
    }

    /// Whether it begins with `bool`: then what it comes to is no value of either side.
    fn gives_number(&self) -> bool {
        self.tokens.first().is_some_and(|token| self.word(token).eq_ignore_ascii_case("bool"))
    }

    /// The number that it always is.
    fn constant(&self) -> Option<f64> {
        match Plan::parse(self.as_str()).ok()?.root {
            Root::Scalar(scalar) => scalar.constant(),
            _ => None,
        }
    }
}

fn written(operator: Operator) -> &'static str {
    match operator {
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::NotEqual => "!=",
        _ => "==",
    }
}

impl Scalar {
    /// The number that it always is.
    fn constant(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Negated(scalar) => Some(-scalar.constant()?),
            Self::Operation(operation) => {
                let (operator, left, right) = &**operation;
                Some(operator.number(left.constant()?, right.constant()?))
            }
            Self::Time | Self::OfVector(_) => None,
        }
    }
}

impl Operator {
    /// The same comparison with its sides exchanged.
    fn turned(self) -> Self {
        match self {
            Self::Greater => Self::Less,
            Self::Less => Self::Greater,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::LessOrEqual => Self::GreaterOrEqual,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(expression: &str) -> Vec<String> {
        let found = thresholds(expression, &Labels::empty(), &[]);
        found.iter().map(|it| format!("{} {} {}", it.left, it.operator, it.value)).collect()
    }

    #[test]
    fn what_is_compared_with_a_number_is_told_and_nothing_else() {
        let cases: &[(&str, &[&str])] = &[
            ("temperature > 90", &["temperature > 90"]),
            ("((temperature)) >= -1.5e3", &["temperature >= -1500"]),
            ("90 < temperature", &["temperature > 90"]),
            ("temperature{site=\"a > 1\"} > 2 * 10 ^ 3", &["temperature{site=\"a > 1\"} > 2000"]),
            ("sum by (job) (rate(x[5m])) / 2 != 0", &["sum by (job) (rate(x[5m])) / 2 != 0"]),
            ("x > 5 < 10", &["x > 5", "x < 10"]),
            ("(a > 1 and on (job) b < 2) or c == 3", &["a > 1", "b < 2", "c == 3"]),
            ("a > 1 unless on () b > 2", &["a > 1"]),
            ("(a > 1) or (b > 2 unless c)", &["a > 1", "b > 2"]),
            ("a > Inf", &["a > inf"]),
            ("a # > 7\n > 1", &["a > 1"]),
            ("a > bool 1", &[]),
            ("1 < bool a", &[]),
            ("a > b", &[]),
            ("a > on (job) group_left () b", &[]),
            ("a > time() - 60", &[]),
            ("a > scalar(b)", &[]),
            ("1 > 2", &[]),
            ("absent(up)", &[]),
            ("a > 1 > b", &[]),
            ("sum(a > 1)", &[]),
            ("a >", &[]),
            ("", &[]),
        ];
        for (expression, expected) in cases {
            assert_eq!(told(expression), *expected, "{expression}");
        }
        let many = ["a > 1"; THRESHOLDS_TOLD_MAX + 1].join(" or ");
        assert_eq!(told(&many).len(), THRESHOLDS_TOLD_MAX);
        let deep = format!("{}a > 1{}", "(".repeat(700), ")".repeat(700));
        assert!(told(&deep).len() <= 1);
    }
}
