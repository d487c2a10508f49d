//! What a template says, as a tree that can be written down as Go writes it in errors.

use std::fmt;

use super::quote::{Charset, quoted};
use super::signature::Function;

/// A template: what it writes, and the templates that it defines.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) root: Nodes,
    pub(super) defined: Vec<(Box<str>, Nodes)>,
}

pub(super) type Nodes = Vec<Node>;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(Box<str>),
    /// Prints what a pipeline comes to, unless it goes to a variable.
    Action(Pipeline),
    If(Branch),
    /// `with`: the dot is the value.
    With(Branch),
    /// `range`: the same for each element.
    Range(Branch),
    Break,
    Continue,
    Template(Invocation),
}

#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) pipeline: Pipeline,
    pub(super) then: Nodes,
    pub(super) otherwise: Nodes,
}

/// `{{ template "name" pipeline }}`.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    pub(super) offset: usize,
    pub(super) name: Box<str>,
    pub(super) pipeline: Option<Pipeline>,
}

/// Commands, each given what the one before comes to, and the variables that get the last.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) offset: usize,
    pub(super) binding: Binding,
    /// With their dollars.
    pub(super) variables: Vec<Box<str>>,
    pub(super) commands: Vec<Command>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// `:=`.
    Declares,
    /// `=`.
    Assigns,
}

/// A function or a field with its arguments, or an operand alone.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) offset: usize,
    pub(super) operands: Vec<Operand>,
}

#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) offset: usize,
    pub(super) term: Term,
}

#[derive(Clone, Debug)]
pub(super) enum Term {
    Dot,
    Nil,
    Constant(Constant),
    /// `.Labels.site`: at least one.
    Fields(Vec<Box<str>>),
    /// `$x` or `$labels.site`.
    Variable {
        name: Box<str>,
        fields: Vec<Box<str>>,
    },
    Function(Function),
    Nested(Box<Pipeline>),
    /// Fields of a function's result or of a pipeline in parentheses.
    Chain {
        of: Box<Operand>,
        fields: Vec<Box<str>>,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Constant {
    Bool(bool),
    Number(Number),
    Text { quoted: Box<str>, text: Box<str> },
}

/// A number, which is whole or not as its place wants it.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) text: Box<str>,
    pub(super) whole: Option<i64>,
    pub(super) float: f64,
}

impl Number {
    /// Whether it is whole where no type is asked for: it is written without a point or exponent.
    pub(super) fn reads_whole(&self) -> bool {
        let text = self.text.strip_prefix(['+', '-']).unwrap_or(&self.text);
        let is_hexadecimal = text.starts_with("0x") || text.starts_with("0X");
        let is_character = text.starts_with('\'');
        let is_float = if is_hexadecimal && self.text.starts_with('0') {
            text.contains(['p', 'P'])
        } else {
            text.contains(['.', 'e', 'E', 'p', 'P'])
        };
        is_character || !is_float
    }
}

impl Pipeline {
    /// The operand that it is, where it is one alone.
    pub(super) fn only_operand(&self) -> Option<&Operand> {
        match (&*self.commands, &*self.variables) {
            ([Command { operands, .. }], []) => match &**operands {
                [operand] => Some(operand),
                _ => None,
            },
            _ => None,
        }
    }

    fn depends_on_value(&self) -> bool {
        self.commands.iter().flat_map(|command| &command.operands).any(Operand::depends_on_value)
    }
}

impl Operand {
    fn depends_on_value(&self) -> bool {
        match &self.term {
            Term::Dot => true,
            Term::Fields(fields) => fields.first().is_some_and(|field| **field == *"Value"),
            Term::Variable { name, fields } if **name == *"$" => {
                fields.first().is_none_or(|field| **field == *"Value")
            }
            Term::Variable { name, .. } => **name == *"$value",
            Term::Function(function) => function.depends_on_time(),
            Term::Nested(pipeline) => pipeline.depends_on_value(),
            Term::Chain { of, .. } => of.depends_on_value(),
            Term::Nil | Term::Constant(_) => false,
        }
    }
}

impl Tree {
    /// Whether what it writes may change although the labels do not.
    pub(super) fn depends_on_value(&self) -> bool {
        let defined = self.defined.iter().flat_map(|(_, nodes)| nodes);
        self.root.iter().chain(defined).any(Node::depends_on_value)
    }
}

impl Node {
    fn depends_on_value(&self) -> bool {
        match self {
            Self::Text(_) | Self::Break | Self::Continue => false,
            Self::Action(pipeline) => pipeline.depends_on_value(),
            Self::If(branch) | Self::With(branch) | Self::Range(branch) => {
                let nodes = branch.then.iter().chain(&branch.otherwise);
                branch.pipeline.depends_on_value() || nodes.into_iter().any(Self::depends_on_value)
            }
            Self::Template(invocation) => {
                invocation.pipeline.as_ref().is_some_and(Pipeline::depends_on_value)
            }
        }
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.binding == Binding::Assigns { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.variables.join(", "))?;
        }
        for (at, command) in self.commands.iter().enumerate() {
            let bar = if at > 0 { " | " } else { "" };
            write!(f, "{bar}{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, operand) in self.operands.iter().enumerate() {
            let space = if at > 0 { " " } else { "" };
            match &operand.term {
                Term::Nested(pipeline) => write!(f, "{space}({pipeline})")?,
                _ => write!(f, "{space}{operand}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Dot => f.write_str("."),
            Term::Nil => f.write_str("nil"),
            Term::Constant(constant) => constant.fmt(f),
            Term::Fields(fields) => write_fields(f, fields),
            Term::Variable { name, fields } => {
                f.write_str(name)?;
                write_fields(f, fields)
            }
            Term::Function(function) => f.write_str(function.name()),
            Term::Nested(pipeline) => pipeline.fmt(f),
            Term::Chain { of, fields } => {
                match &of.term {
                    Term::Nested(pipeline) => write!(f, "({pipeline})")?,
                    _ => of.fmt(f)?,
                }
                write_fields(f, fields)
            }
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[Box<str>]) -> fmt::Result {
    fields.iter().try_for_each(|field| write!(f, ".{field}"))
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(number) => f.write_str(&number.text),
            Self::Text { quoted, .. } => f.write_str(quoted),
        }
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", quoted(&self.name, Charset::Printable))?;
        if let Some(pipeline) = &self.pipeline {
            write!(f, " {pipeline}")?;
        }
        f.write_str("}}")
    }
}
