//! The text of a template to a tree.

use super::function::Function;
use super::token::{Parsed, Piece, Token, fault, pieces};
use super::{TemplateError, TemplateReason};

/// Levels of blocks and parentheses; the tree is walked by recursion.
pub(super) const DEPTH_MAX: usize = 32;

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(Box<str>),
    /// Prints what a pipeline comes to.
    Print(Pipeline),
    /// `{{ $x := … }}` and `{{ $x = … }}`.
    Assign {
        name: Box<str>,
        pipeline: Pipeline,
        is_new: bool,
    },
    If {
        condition: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `with`: the dot, and the variable if there is one, are the value.
    With {
        variable: Option<Box<str>>,
        pipeline: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `range`: the same for each element, with its number if there are two variables.
    Range {
        variables: Vec<Box<str>>,
        pipeline: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// Commands, each given what the one before comes to.
#[derive(Clone, Debug)]
pub(super) struct Pipeline(pub(super) Vec<Command>);

/// A function with its arguments, or an operand alone.
#[derive(Clone, Debug)]
pub(super) struct Command(pub(super) Vec<Operand>);

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Text(Box<str>),
    Number(f64),
    Whole(i64),
    Bool(bool),
    Nil,
    /// `.` or `.Labels.site`.
    Dot {
        fields: Box<[Box<str>]>,
    },
    /// `$x` or `$labels.site`; `$` alone has an empty name.
    Variable {
        name: Box<str>,
        fields: Box<[Box<str>]>,
    },
    Function(Function),
    Nested {
        pipeline: Pipeline,
        fields: Box<[Box<str>]>,
    },
}

impl Pipeline {
    /// The operand that it is, where it is one alone.
    pub(super) fn only_operand(&self) -> Option<&Operand> {
        match &*self.0 {
            [Command(operands)] => match &**operands {
                [operand] => Some(operand),
                _ => None,
            },
            _ => None,
        }
    }

    fn depends_on_value(&self) -> bool {
        self.0.iter().flat_map(|command| &command.0).any(|operand| match operand {
            Operand::Dot { fields } => fields.first().is_none_or(|field| **field == *"Value"),
            Operand::Variable { name, .. } => name.is_empty() || **name == *"value",
            Operand::Function(function) => *function == Function::Query,
            Operand::Nested { pipeline, .. } => pipeline.depends_on_value(),
            _ => false,
        })
    }
}

impl Node {
    pub(super) fn depends_on_value(&self) -> bool {
        let any = |nodes: &[Self]| nodes.iter().any(Self::depends_on_value);
        match self {
            Self::Text(_) => false,
            Self::Print(pipeline) | Self::Assign { pipeline, .. } => pipeline.depends_on_value(),
            Self::If { condition: pipeline, then, otherwise }
            | Self::With { pipeline, then, otherwise, .. }
            | Self::Range { pipeline, body: then, otherwise, .. } => {
                pipeline.depends_on_value() || any(then) || any(otherwise)
            }
        }
    }
}

/// Reads a whole template.
pub(super) fn nodes(text: &str) -> Parsed<Vec<Node>> {
    let mut parser = Parser {
        pieces: pieces(text)?,
        next: 0,
        variables: ["labels", "value", "externalLabels", "externalURL", ""]
            .map(Into::into)
            .to_vec(),
    };
    let (nodes, end) = parser.block(0)?;
    match end {
        None => Ok(nodes),
        Some((offset, word)) => Err(fault(offset, TemplateReason::Unexpected(word))),
    }
}

struct Parser {
    pieces: Vec<Piece>,
    next: usize,
    /// The variables that exist here.
    variables: Vec<Box<str>>,
}

/// What ended a block: `end` or `else`, where, and the rest of its action.
type BlockEnd = Option<(usize, Box<str>)>;

impl Parser {
    /// The nodes up to `end`, `else`, or the end of the text.
    fn block(&mut self, depth: usize) -> Parsed<(Vec<Node>, BlockEnd)> {
        let known = self.variables.len();
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.get_mut(self.next) {
            let (offset, tokens) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(std::mem::take(text)));
                    self.next += 1;
                    continue;
                }
                Piece::Action { offset, tokens } => (*offset, &*tokens),
            };
            if depth > DEPTH_MAX {
                return Err(fault(offset, TemplateReason::TooDeep));
            }
            let word = match tokens.first() {
                Some((_, Token::Word(word))) => word.clone(),
                _ => Box::default(),
            };
            if matches!(&*word, "end" | "else") {
                self.variables.truncate(known);
                return Ok((nodes, Some((offset, word))));
            }
            self.next += 1;
            nodes.push(self.node(offset, &word, depth)?);
        }
        self.variables.truncate(known);
        Ok((nodes, None))
    }

    /// The node that an action begins; blocks are read to their ends.
    fn node(&mut self, offset: usize, word: &str, depth: usize) -> Parsed<Node> {
        let Piece::Action { tokens, .. } = &mut self.pieces[self.next - 1] else {
            unreachable!("the caller has seen an action")
        };
        let tokens = std::mem::take(tokens);
        let keyword = match word {
            "if" => "if",
            "with" => "with",
            "range" => "range",
            "define" | "template" | "block" | "break" | "continue" => {
                return Err(fault(offset, TemplateReason::Unsupported(word.into())));
            }
            _ => {
                let mut reader = Reader { tokens: &tokens, next: 0, offset };
                return self.simple(&mut reader);
            }
        };
        let mut reader = Reader { tokens: &tokens, next: 1, offset };
        self.control(keyword, &mut reader, depth)
    }

    /// A pipeline that is printed or assigned.
    fn simple(&mut self, reader: &mut Reader<'_>) -> Parsed<Node> {
        let assigned = match reader.tokens {
            [(_, Token::Variable(name)), (_, Token::Mark(mark @ (":=" | "="))), ..] => {
                Some((name.clone(), *mark == ":="))
            }
            _ => None,
        };
        let Some((name, is_new)) = assigned else {
            let pipeline = self.pipeline(reader, 0)?;
            reader.end()?;
            return Ok(Node::Print(pipeline));
        };
        reader.next = 2;
        let pipeline = self.pipeline(reader, 0)?;
        reader.end()?;
        if is_new {
            self.variables.push(name.clone());
        } else if !self.variables.contains(&name) {
            return Err(fault(reader.offset, TemplateReason::Variable(format!("${name}").into())));
        }
        Ok(Node::Assign { name, pipeline, is_new })
    }

    /// `if`, `with` or `range`, to its end.
    fn control(
        &mut self,
        keyword: &'static str,
        reader: &mut Reader<'_>,
        depth: usize,
    ) -> Parsed<Node> {
        let known = self.variables.len();
        let variables = if keyword == "if" { Vec::new() } else { reader.declared(keyword) };
        let pipeline = self.pipeline(reader, 0)?;
        reader.end()?;
        self.variables.extend(variables.iter().cloned());
        let (then, end) = self.block(depth + 1)?;
        self.variables.truncate(known);
        let no_end = || fault(reader.offset, TemplateReason::NoEnd(keyword));
        let (_, word) = end.ok_or_else(no_end)?;
        let otherwise = if *word == *"else" {
            self.otherwise(keyword, reader.offset, depth)?
        } else {
            self.next += 1;
            Vec::new()
        };
        Ok(match keyword {
            "if" => Node::If { condition: pipeline, then, otherwise },
            "with" => {
                let variable = variables.into_iter().next();
                Node::With { variable, pipeline, then, otherwise }
            }
            _ => Node::Range { variables, pipeline, body: then, otherwise },
        })
    }

    /// What follows `else`: another condition, or nodes up to `end`.
    fn otherwise(
        &mut self,
        keyword: &'static str,
        offset: usize,
        depth: usize,
    ) -> Parsed<Vec<Node>> {
        let Piece::Action { offset: place, tokens } = &mut self.pieces[self.next] else {
            unreachable!("a block ends with an action")
        };
        let (place, tokens) = (*place, std::mem::take(tokens));
        self.next += 1;
        if let Some((at, Token::Word(word))) = tokens.get(1) {
            let mut reader = Reader { tokens: &tokens, next: 2, offset: place };
            return match &**word {
                "if" => Ok(vec![self.control("if", &mut reader, depth + 1)?]),
                "with" => Ok(vec![self.control("with", &mut reader, depth + 1)?]),
                word => Err(fault(*at, TemplateReason::Unexpected(word.into()))),
            };
        }
        let (nodes, end) = self.block(depth + 1)?;
        match end {
            Some((_, word)) if *word == *"end" => {
                self.next += 1;
                Ok(nodes)
            }
            Some((at, word)) => Err(fault(at, TemplateReason::Unexpected(word))),
            None => Err(fault(offset, TemplateReason::NoEnd(keyword))),
        }
    }

    fn pipeline(&self, reader: &mut Reader<'_>, depth: usize) -> Parsed<Pipeline> {
        if depth > DEPTH_MAX {
            return Err(fault(reader.offset, TemplateReason::TooDeep));
        }
        let mut commands = Vec::new();
        loop {
            let first = reader.next;
            let mut operands = Vec::new();
            while let Some(operand) = self.operand(reader, depth)? {
                // Only a function takes arguments, be they behind it or before the bar.
                let is_given = !operands.is_empty() || !commands.is_empty();
                let takes = matches!(operands.first().unwrap_or(&operand), Operand::Function(_));
                if is_given && !takes {
                    reader.next = if operands.is_empty() { first } else { reader.next - 1 };
                    return Err(reader.unexpected());
                }
                operands.push(operand);
            }
            if operands.is_empty() {
                return Err(reader.unexpected());
            }
            commands.push(Command(operands));
            if !reader.accept("|") {
                return Ok(Pipeline(commands));
            }
        }
    }

    fn operand(&self, reader: &mut Reader<'_>, depth: usize) -> Parsed<Option<Operand>> {
        let Some((offset, token)) = reader.tokens.get(reader.next) else { return Ok(None) };
        reader.next += 1;
        Ok(Some(match token {
            Token::Text(text) => Operand::Text(text.clone()),
            Token::Number(number) => Operand::Number(*number),
            Token::Whole(whole) => Operand::Whole(*whole),
            Token::Dot => Operand::Dot { fields: reader.fields(None) },
            Token::Variable(name) if !self.variables.contains(name) => {
                return Err(fault(*offset, TemplateReason::Variable(format!("${name}").into())));
            }
            Token::Variable(name) => {
                Operand::Variable { name: name.clone(), fields: reader.fields(None) }
            }
            Token::Word(word) => match &**word {
                "true" => Operand::Bool(true),
                "false" => Operand::Bool(false),
                "nil" => Operand::Nil,
                word => match word.strip_prefix('.') {
                    Some(field) => Operand::Dot { fields: reader.fields(Some(field)) },
                    None => Operand::Function(
                        Function::named(word)
                            .ok_or_else(|| fault(*offset, TemplateReason::Function(word.into())))?,
                    ),
                },
            },
            Token::Mark("(") => {
                let pipeline = self.pipeline(reader, depth + 1)?;
                if !reader.accept(")") {
                    return Err(reader.unexpected());
                }
                Operand::Nested { pipeline, fields: reader.fields(None) }
            }
            Token::Mark(_) | Token::Field(_) => {
                reader.next -= 1;
                return Ok(None);
            }
        }))
    }
}

/// Reads the tokens of one action.
struct Reader<'a> {
    tokens: &'a [(usize, Token)],
    next: usize,
    /// Where the action starts.
    offset: usize,
}

impl Reader<'_> {
    fn accept(&mut self, mark: &'static str) -> bool {
        let is_next = matches!(self.tokens.get(self.next), Some((_, Token::Mark(m))) if *m == mark);
        self.next += usize::from(is_next);
        is_next
    }

    fn end(&self) -> Parsed<()> {
        if self.next == self.tokens.len() { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> TemplateError {
        let Some((offset, token)) = self.tokens.get(self.next) else {
            return fault(self.offset, TemplateReason::TooShort);
        };
        let text = match token {
            Token::Mark(mark) => (*mark).into(),
            Token::Field(name) => format!(".{name}").into(),
            Token::Word(word) => word.clone(),
            Token::Variable(name) => format!("${name}").into(),
            Token::Text(text) => format!("{text:?}").into(),
            Token::Number(number) => number.to_string().into(),
            Token::Whole(whole) => whole.to_string().into(),
            Token::Dot => ".".into(),
        };
        fault(*offset, TemplateReason::Unexpected(text))
    }

    /// The fields right behind an operand.
    fn fields(&mut self, first: Option<&str>) -> Box<[Box<str>]> {
        let mut fields: Vec<Box<str>> = first.map(Into::into).into_iter().collect();
        while let Some((_, Token::Field(name))) = self.tokens.get(self.next) {
            fields.push(name.clone());
            self.next += 1;
        }
        fields.into()
    }

    /// The variables of `range $i, $x := …` and `with $x := …`.
    fn declared(&mut self, keyword: &str) -> Vec<Box<str>> {
        match &self.tokens[self.next..] {
            [(_, Token::Variable(one)), (_, Token::Mark(":=")), ..] => {
                self.next += 2;
                vec![one.clone()]
            }
            [
                (_, Token::Variable(one)),
                (_, Token::Mark(",")),
                (_, Token::Variable(other)),
                (_, Token::Mark(":=")),
                ..,
            ] if keyword == "range" => {
                self.next += 4;
                vec![one.clone(), other.clone()]
            }
            _ => Vec::new(),
        }
    }
}
