//! Tokens to a tree, by the rules of Go's `text/template/parse`.

mod expression;

use super::fault::{DEPTH_MAX, Parsed, TemplateError, TemplateReason, fault};
use super::quote::unquoted;
use super::token::{Item, Token, items};
use super::tree::{Branch, Invocation, Node, Nodes, Tree};

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

/// Whether a template says nothing, so that another of its name may say it.
fn is_empty(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}

fn text(item: &Item<'_>) -> Parsed<String> {
    unquoted(item.text).ok_or_else(|| fault(item.offset, TemplateReason::Text(item.text.into())))
}
