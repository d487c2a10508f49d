//! Pipelines, commands and operands, with the constants in them.

use super::{Parser, text, unexpected};
use crate::template::fault::{Parsed, TemplateReason, fault};
use crate::template::float::{read_float, without_underscores};
use crate::template::quote::unquoted_character;
use crate::template::signature::Function;
use crate::template::token::{Item, Token};
use crate::template::tree::{Binding, Command, Constant, Number, Operand, Pipeline, Term};

impl Parser<'_> {
    pub(super) fn pipeline(&mut self, context: &str, end: Token) -> Parsed<Pipeline> {
        let first = self.peek_solid()?;
        self.descend(first.offset)?;
        let (binding, variables) = self.declarations(context)?;
        let mut commands = Vec::new();
        loop {
            let item = self.peek_solid()?;
            if item.token == end {
                break;
            }
            if !starts_operand(item.token) {
                return Err(self.unexpected(&item));
            }
            let command = self.command()?;
            if !commands.is_empty() {
                check_takes_arguments(&command)?;
            }
            commands.push(command);
        }
        if commands.is_empty() {
            return Err(fault(self.action, TemplateReason::TooShort));
        }
        self.next_solid()?;
        self.depth -= 1;
        commands.shrink_to_fit();
        Ok(Pipeline { offset: first.offset, binding, variables, commands })
    }

    /// The variables that a pipeline goes to.
    fn declarations(&mut self, context: &str) -> Parsed<(Binding, Vec<Box<str>>)> {
        let mut declared: Vec<Box<str>> = Vec::new();
        loop {
            let start = self.next;
            let item = self.peek_solid()?;
            if item.token != Token::Variable {
                if declared.is_empty() {
                    return Ok((Binding::Declares, declared));
                }
                return Err(self.unexpected(&item));
            }
            self.next_solid()?;
            let sign = self.peek_solid()?;
            let is_comma = sign.token == Token::Mark && sign.text == ",";
            if !is_comma && !matches!(sign.token, Token::Declare | Token::Assign) {
                self.next = start;
                if declared.is_empty() {
                    return Ok((Binding::Declares, declared));
                }
                return Err(self.unexpected(&sign));
            }
            if is_comma && (context != "range" || !declared.is_empty()) {
                return Err(unexpected(&sign));
            }
            self.next_solid()?;
            declared.push(item.text.into());
            self.scope.variables.push(item.text.into());
            match sign.token {
                Token::Declare => return Ok((Binding::Declares, declared)),
                Token::Assign => return Ok((Binding::Assigns, declared)),
                _ => {}
            }
        }
    }

    /// Operands with spaces between them, up to a bar, which is read, or an end, which is not.
    fn command(&mut self) -> Parsed<Command> {
        let offset = self.peek_solid()?.offset;
        let mut operands = Vec::new();
        loop {
            self.peek_solid()?;
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let item = self.token()?;
            match item.token {
                Token::Space => {}
                Token::Pipe => {
                    let next = self.peek_solid()?;
                    if !starts_operand(next.token) {
                        return Err(self.unexpected(&next));
                    }
                    break;
                }
                Token::Close | Token::RightParen => {
                    self.next -= 1;
                    break;
                }
                _ => return Err(self.unexpected(&item)),
            }
        }
        if operands.is_empty() {
            return Err(fault(self.action, TemplateReason::TooShort));
        }
        operands.shrink_to_fit();
        Ok(Command { offset, operands })
    }

    /// A term with the fields right behind it, or nothing where none starts.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        let field = self.peek()?;
        let mut fields: Vec<Box<str>> = Vec::new();
        while self.peek()?.token == Token::Field {
            fields.push(self.token()?.text[1..].into());
        }
        if fields.is_empty() {
            return Ok(Some(operand));
        }
        // Go says that such an operand stands where its second field starts.
        let start = std::mem::replace(&mut operand.offset, field.offset);
        match &mut operand.term {
            Term::Fields(own) | Term::Variable { fields: own, .. } => own.extend(fields),
            Term::Dot | Term::Nil | Term::Constant(_) => return Err(unexpected(&field)),
            _ => {
                let of = Box::new(Operand { offset: start, term: operand.term });
                operand.term = Term::Chain { of, fields };
            }
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let item = self.next_solid()?;
        let term = match item.token {
            Token::Word => word(&item)?,
            Token::Dot => Term::Dot,
            Token::Field => Term::Fields(vec![item.text[1..].into()]),
            Token::Variable => {
                if !self.scope.variables.iter().any(|known| **known == *item.text) {
                    return Err(fault(item.offset, TemplateReason::Variable(item.text.into())));
                }
                Term::Variable { name: item.text.into(), fields: Vec::new() }
            }
            Token::Number => Term::Constant(Constant::Number(number(&item)?)),
            Token::Character => Term::Constant(Constant::Number(character(&item)?)),
            Token::Quoted | Token::Raw => {
                let text = text(&item)?.into();
                Term::Constant(Constant::Text { quoted: item.text.into(), text })
            }
            Token::LeftParen => {
                Term::Nested(Box::new(self.pipeline("parentheses", Token::RightParen)?))
            }
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Operand { offset: item.offset, term }))
    }
}

fn starts_operand(token: Token) -> bool {
    matches!(
        token,
        Token::Word
            | Token::Field
            | Token::Dot
            | Token::Variable
            | Token::Quoted
            | Token::Raw
            | Token::Character
            | Token::Number
            | Token::LeftParen
    )
}

/// Whether what stands behind a bar can take what comes through it.
fn check_takes_arguments(command: &Command) -> Parsed<()> {
    let Some(first) = command.operands.first() else { return Ok(()) };
    match first.term {
        Term::Dot | Term::Nil | Term::Constant(_) => {
            Err(fault(first.offset, TemplateReason::NoFunction(first.to_string().into())))
        }
        _ => Ok(()),
    }
}

/// What a word stands for where an operand is wanted.
fn word(item: &Item<'_>) -> Parsed<Term> {
    Ok(match item.text {
        "true" => Term::Constant(Constant::Bool(true)),
        "false" => Term::Constant(Constant::Bool(false)),
        "nil" => Term::Nil,
        "block" | "break" | "continue" | "define" | "else" | "end" | "if" | "range"
        | "template" | "with" => return Err(unexpected(item)),
        name => {
            let unknown = || fault(item.offset, TemplateReason::Function(name.into()));
            Term::Function(Function::named(name).ok_or_else(unknown)?)
        }
    })
}

fn character(item: &Item<'_>) -> Parsed<Number> {
    let number = unquoted_character(item.text)
        .ok_or_else(|| fault(item.offset, TemplateReason::Text(item.text.into())))?;
    Ok(Number { text: item.text.into(), whole: Some(number.into()), float: number.into() })
}

fn number(item: &Item<'_>) -> Parsed<Number> {
    let refusal = || fault(item.offset, TemplateReason::Number(item.text.into()));
    let text = item.text;
    let number = match whole(text) {
        // What is too large for a whole number of Go's may be loaded, though not used.
        Some(whole) if whole <= i128::from(u64::MAX) && whole >= i128::from(i64::MIN) => {
            Some((i64::try_from(whole).ok(), whole as f64))
        }
        None if text.contains(['.', 'e', 'E', 'p', 'P']) => read_float(text).ok().map(|float| {
            let is_whole = float.fract() == 0.0 && float.abs() < 2_f64.powi(63);
            (is_whole.then_some(float as i64), float)
        }),
        _ => None,
    };
    let (whole, float) = number.ok_or_else(refusal)?;
    Ok(Number { text: text.into(), whole, float })
}

/// A whole number with its sign, in any base that Go knows.
fn whole(text: &str) -> Option<i128> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0o") => (&lower[2..], 8),
        Some("0b") => (&lower[2..], 2),
        _ if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        _ => (&*lower, 10),
    };
    // An underscore may stand between digits, and behind the sign of a base.
    let digits = if radix == 10 { digits } else { digits.strip_prefix('_').unwrap_or(digits) };
    let digits = without_underscores(digits)?;
    let is_number = digits.chars().all(|c| c.is_digit(radix));
    let number = i128::from_str_radix(&digits, radix).ok().filter(|_| is_number)?;
    Some(if text.starts_with('-') { -number } else { number })
}
