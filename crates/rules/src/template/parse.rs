//! Tokens to a tree, by the rules of Go's `text/template/parse`.

use super::fault::{DEPTH_MAX, Parsed, TemplateError, TemplateReason, fault};
use super::float::{read_float, without_underscores};
use super::quote::{unquoted, unquoted_character};
use super::signature::Function;
use super::token::{Item, Token, items};
use super::tree::{
    Binding, Branch, Command, Constant, Invocation, Node, Nodes, Number, Operand, Pipeline, Term,
    Tree,
};

/// Reads a whole template, which knows the variables `known` from the start.
pub(super) fn tree(text: &str, known: &[&str]) -> Parsed<Tree> {
    let (items, ending) = items(text);
    let variables = known.iter().map(|name| (*name).into()).collect();
    let scope = Scope { variables, ranges: 0 };
    let mut parser =
        Parser { items, next: 0, ending, scope, depth: 0, defined: Vec::new(), action: 0 };
    let root = parser.whole()?;
    Ok(Tree { root, defined: parser.defined })
}

struct Parser<'t> {
    items: Vec<Item<'t>>,
    next: usize,
    /// What is wrong behind the last token.
    ending: Option<TemplateError>,
    scope: Scope,
    depth: usize,
    defined: Vec<(Box<str>, Nodes)>,
    /// Where the action starts that is read.
    action: usize,
}

/// What may be named within a template.
struct Scope {
    /// With their dollars.
    variables: Vec<Box<str>>,
    /// How many `range` are open.
    ranges: usize,
}

/// What ended a list of nodes.
enum Ending {
    End,
    /// `else`; what follows it where that is `if` or `with`, whose word is read next.
    Else,
    ElseThen,
}

impl<'t> Parser<'t> {
    fn whole(&mut self) -> Parsed<Nodes> {
        let mut nodes = Nodes::new();
        loop {
            let item = self.token()?;
            match item.token {
                Token::End => {
                    // Most have one node, and there are very many templates.
                    nodes.shrink_to_fit();
                    return Ok(nodes);
                }
                Token::Text => nodes.push(Node::Text(item.text.into())),
                _ => {
                    self.action = item.offset;
                    let word = self.peek_solid()?;
                    match (word.token, word.text) {
                        (Token::Word, "define") => {
                            self.next_solid()?;
                            self.define()?;
                        }
                        (Token::Word, "end" | "else") => return Err(unexpected(&word)),
                        _ => nodes.extend(self.node()?),
                    }
                }
            }
        }
    }

    /// `{{ define "name" }}` to its end; it knows none of the variables around it.
    fn define(&mut self) -> Parsed<()> {
        let start = self.action;
        let name = self.template_name()?;
        self.expect(Token::Close)?;
        let outer = std::mem::replace(&mut self.scope, Scope::inner());
        let nodes = self.body("define", start)?;
        self.scope = outer;
        self.install(name, nodes, start)
    }

    fn install(&mut self, name: Box<str>, nodes: Nodes, offset: usize) -> Parsed<()> {
        // What is empty gives way to what is not.
        match self.defined.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) if is_empty(known) => *known = nodes,
            Some(_) if is_empty(&nodes) => {}
            Some(_) => return Err(fault(offset, TemplateReason::DefinedTwice(name))),
            None => self.defined.push((name, nodes)),
        }
        Ok(())
    }

    /// The nodes up to an `end`.
    fn body(&mut self, keyword: &'static str, start: usize) -> Parsed<Nodes> {
        match self.nodes(keyword, start)? {
            (nodes, Ending::End) => Ok(nodes),
            _ => Err(fault(self.action, TemplateReason::Unexpected("else".into()))),
        }
    }

    /// The nodes up to `end` or `else`, for the action of that keyword.
    fn nodes(&mut self, keyword: &'static str, start: usize) -> Parsed<(Nodes, Ending)> {
        self.descend(start)?;
        let mut nodes = Nodes::new();
        let ending = loop {
            let item = self.token()?;
            match item.token {
                Token::End => return Err(fault(start, TemplateReason::NoEnd(keyword))),
                Token::Text => nodes.push(Node::Text(item.text.into())),
                _ => {
                    self.action = item.offset;
                    let word = self.peek_solid()?;
                    match (word.token, word.text) {
                        (Token::Word, "end") => {
                            self.next_solid()?;
                            self.expect(Token::Close)?;
                            break Ending::End;
                        }
                        (Token::Word, "else") => {
                            self.next_solid()?;
                            break self.after_else()?;
                        }
                        _ => nodes.extend(self.node()?),
                    }
                }
            }
        };
        self.depth -= 1;
        Ok((nodes, ending))
    }

    fn after_else(&mut self) -> Parsed<Ending> {
        let word = self.peek_solid()?;
        if word.token == Token::Word && matches!(word.text, "if" | "with") {
            return Ok(Ending::ElseThen);
        }
        self.expect(Token::Close)?;
        Ok(Ending::Else)
    }

    fn descend(&mut self, offset: usize) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(fault(offset, TemplateReason::TooDeep));
        }
        Ok(())
    }

    /// What an action says, its braces read.
    fn node(&mut self) -> Parsed<Option<Node>> {
        let word = self.peek_solid()?;
        let keyword = if word.token == Token::Word { word.text } else { "" };
        let node = match keyword {
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "break" | "continue" => {
                self.next_solid()?;
                self.expect(Token::Close)?;
                if self.scope.ranges == 0 {
                    let reason = TemplateReason::OutsideRange(keyword.into());
                    return Err(fault(word.offset, reason));
                }
                if keyword == "break" { Node::Break } else { Node::Continue }
            }
            "template" => {
                self.next_solid()?;
                let offset = self.peek_solid()?.offset;
                let name = self.template_name()?;
                let pipeline = if self.peek_solid()?.token == Token::Close {
                    self.next_solid()?;
                    None
                } else {
                    Some(self.pipeline("template", Token::Close)?)
                };
                Node::Template(Invocation { offset, name, pipeline })
            }
            "block" => Node::Template(self.block()?),
            "define" => return Err(unexpected(&word)),
            _ => Node::Action(self.pipeline("action", Token::Close)?),
        };
        Ok(Some(node))
    }

    /// `{{ block "name" pipeline }}`: a template that is used where it is defined.
    fn block(&mut self) -> Parsed<Invocation> {
        self.next_solid()?;
        let (start, offset) = (self.action, self.peek_solid()?.offset);
        let name = self.template_name()?;
        let pipeline = Some(self.pipeline("block", Token::Close)?);
        let outer = std::mem::replace(&mut self.scope, Scope::inner());
        let nodes = self.body("block", start)?;
        self.scope = outer;
        self.install(name.clone(), nodes, start)?;
        Ok(Invocation { offset, name, pipeline })
    }

    fn template_name(&mut self) -> Parsed<Box<str>> {
        let item = self.next_solid()?;
        match item.token {
            Token::Quoted | Token::Raw => text(&item).map(Into::into),
            _ => Err(self.unexpected(&item)),
        }
    }

    /// `if`, `with` or `range`, to its end.
    fn branch(&mut self, keyword: &'static str) -> Parsed<Branch> {
        let start = self.action;
        self.next_solid()?;
        let known = self.scope.variables.len();
        let pipeline = self.pipeline(keyword, Token::Close)?;
        let ranges = usize::from(keyword == "range");
        self.scope.ranges += ranges;
        let (then, ending) = self.nodes(keyword, start)?;
        self.scope.ranges -= ranges;
        let otherwise = match ending {
            Ending::End => Nodes::new(),
            Ending::Else => self.body(keyword, start)?,
            Ending::ElseThen => self.else_then(keyword)?,
        };
        self.scope.variables.truncate(known);
        Ok(Branch { pipeline, then, otherwise })
    }

    /// `else if` within `if`, and `else with` within `with`.
    fn else_then(&mut self, keyword: &'static str) -> Parsed<Nodes> {
        let word = self.peek_solid()?;
        if word.text != keyword {
            return Err(unexpected(&word));
        }
        self.descend(word.offset)?;
        let branch = self.branch(keyword)?;
        self.depth -= 1;
        Ok(vec![if keyword == "if" { Node::If(branch) } else { Node::With(branch) }])
    }

    fn pipeline(&mut self, context: &str, end: Token) -> Parsed<Pipeline> {
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

    fn peek(&self) -> Parsed<Item<'t>> {
        match self.items.get(self.next) {
            Some(item) => Ok(*item),
            None => Err(self.ending.clone().expect("a text without faults ends with its end")),
        }
    }

    fn token(&mut self) -> Parsed<Item<'t>> {
        let item = self.peek()?;
        self.next += 1;
        Ok(item)
    }

    fn next_solid(&mut self) -> Parsed<Item<'t>> {
        self.peek_solid()?;
        self.token()
    }

    /// The next token that is no space; those before it are passed over.
    fn peek_solid(&mut self) -> Parsed<Item<'t>> {
        while self.peek()?.token == Token::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn expect(&mut self, token: Token) -> Parsed<()> {
        let item = self.next_solid()?;
        if item.token == token { Ok(()) } else { Err(self.unexpected(&item)) }
    }

    fn unexpected(&self, item: &Item<'_>) -> TemplateError {
        match item.token {
            Token::Close => fault(self.action, TemplateReason::TooShort),
            _ => unexpected(item),
        }
    }
}

impl Scope {
    /// Within a template that is defined.
    fn inner() -> Self {
        Self { variables: vec!["$".into()], ranges: 0 }
    }
}

fn unexpected(item: &Item<'_>) -> TemplateError {
    fault(item.offset, TemplateReason::Unexpected(item.text.into()))
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

/// Whether a template says nothing, so that another of its name may say it.
fn is_empty(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
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

fn text(item: &Item<'_>) -> Parsed<String> {
    unquoted(item.text).ok_or_else(|| fault(item.offset, TemplateReason::Text(item.text.into())))
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
