//! Fills a template in, step by step as Go's `text/template` does, so that errors name the place
//! that Go names.

mod operand;

use std::rc::Rc;

use self::operand::Arguments;
use super::format::printed;
use super::place::At;
use super::range;
use super::surroundings::Fill;
use super::tree::{Binding, Branch, Command, Invocation, Node, Pipeline, Term, Tree};
use super::value::{Data, Value};

/// Bytes of what a template writes, and of each text that it makes: annotations are cut far
/// below.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// What one expansion may do: nodes and functions, with 16 bytes of text for one of them.
const STEPS_MAX: usize = 500_000;
/// What a query counts for, and a regular expression, which is compiled each time.
const SEARCH_STEPS: usize = 1_000;
/// Blocks, parentheses and templates within each other while a template is filled in.
const DEPTH_MAX: usize = 100;
/// The text that a template comes to, or why there is none, in Prometheus' words.
pub(super) fn expand(
    (tree, text): (&Tree, &str),
    name: &str,
    fill: &Fill<'_>,
) -> Result<String, String> {
    let data = Rc::new(Data {
        labels: fill.labels.clone(),
        external_labels: fill.externals.labels.clone(),
        external_url: (*fill.externals.url).into(),
        value: fill.value,
    });
    let variables = vec![
        ("$", Value::Data(Rc::clone(&data))),
        ("$labels", Value::Labels(data.labels.clone())),
        ("$externalLabels", Value::Labels(data.external_labels.clone())),
        ("$externalURL", Value::Text(Rc::clone(&data.external_url))),
        ("$value", Value::Number(data.value)),
    ];
    let mut expansion = Expansion {
        tree,
        source: text,
        name,
        template: name,
        fill,
        text: String::new(),
        variables,
        at: At::Nowhere,
        depth: 0,
        steps: 0,
    };
    expansion.nodes(&tree.root, &Value::Data(data))?;
    Ok(expansion.text)
}

struct Expansion<'t> {
    tree: &'t Tree,
    source: &'t str,
    /// The name of the whole, and of the template within it that is filled in.
    name: &'t str,
    template: &'t str,
    fill: &'t Fill<'t>,
    text: String,
    /// The innermost last.
    variables: Vec<(&'t str, Value)>,
    /// Where an error has happened, should one happen.
    at: At<'t>,
    depth: usize,
    steps: usize,
}

/// How it goes on behind a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

type Filled<T> = Result<T, String>;

impl<'t> Expansion<'t> {
    fn nodes(&mut self, nodes: &'t [Node], dot: &Value) -> Filled<Flow> {
        self.descend()?;
        for node in nodes {
            match self.node(node, dot)? {
                Flow::On => {}
                flow => {
                    self.depth -= 1;
                    return Ok(flow);
                }
            }
        }
        self.depth -= 1;
        Ok(Flow::On)
    }

    fn node(&mut self, node: &'t Node, dot: &Value) -> Filled<Flow> {
        self.step(1)?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.write(&printed(&value))?;
                }
            }
            Node::If(branch) => return self.branch(branch, dot, |_| dot.clone()),
            Node::With(branch) => return self.branch(branch, dot, Value::clone),
            Node::Range(branch) => return self.range(branch, dot),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Template(invocation) => self.invoke(invocation, dot)?,
        }
        Ok(Flow::On)
    }

    fn write(&mut self, text: &str) -> Filled<()> {
        self.step(text.len() / 16)?;
        self.text.push_str(text);
        self.check_length(self.text.len())
    }

    fn branch(
        &mut self,
        branch: &'t Branch,
        dot: &Value,
        inner_dot: impl Fn(&Value) -> Value,
    ) -> Filled<Flow> {
        let known = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = if value.is_true() {
            self.nodes(&branch.then, &inner_dot(&value))?
        } else {
            self.nodes(&branch.otherwise, dot)?
        };
        self.variables.truncate(known);
        Ok(flow)
    }

    fn range(&mut self, branch: &'t Branch, dot: &Value) -> Filled<Flow> {
        let known = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let mark = self.variables.len();
        let mut has_run = false;
        let mut at = 0;
        let variables = branch.pipeline.variables.len();
        let entry = |at: usize| range::entry(&value, at, variables);
        while let Some((key, element)) = entry(at).map_err(|reason| self.error(&reason))? {
            has_run = true;
            self.step(1)?;
            self.bind(&branch.pipeline, key, &element)?;
            let flow = self.nodes(&branch.then, &element)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
            at += 1;
        }
        let flow = if has_run { Flow::On } else { self.nodes(&branch.otherwise, dot)? };
        self.variables.truncate(known);
        Ok(flow)
    }

    /// Gives the variables of a range what belongs to one element.
    fn bind(&mut self, pipeline: &'t Pipeline, key: Value, element: &Value) -> Filled<()> {
        match (&*pipeline.variables, pipeline.binding) {
            ([], _) => {}
            ([one], Binding::Assigns) => self.assign(one, element.clone())?,
            ([one, other, ..], Binding::Assigns) => {
                self.assign(one, key)?;
                self.assign(other, element.clone())?;
            }
            (variables, Binding::Declares) => {
                let last = self.variables.len() - 1;
                self.variables[last].1 = element.clone();
                if variables.len() > 1 {
                    self.variables[last - 1].1 = key;
                }
            }
        }
        Ok(())
    }

    fn assign(&mut self, name: &str, value: Value) -> Filled<()> {
        match self.variables.iter_mut().rfind(|(known, _)| *known == name) {
            Some(variable) => {
                variable.1 = value;
                Ok(())
            }
            None => Err(self.error(&format!("undefined variable: {name}"))),
        }
    }

    fn invoke(&mut self, invocation: &'t Invocation, dot: &Value) -> Filled<()> {
        self.at = At::Invocation(invocation);
        let defined = self.tree.defined.iter().find(|(name, _)| *name == invocation.name);
        let (name, nodes): (&str, &[Node]) = match defined {
            Some((name, nodes)) => (name, nodes),
            None if *invocation.name == *self.name => (self.name, &self.tree.root),
            None => {
                return Err(self.error(&format!("template {:?} not defined", invocation.name)));
            }
        };
        let dot = match &invocation.pipeline {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Nil,
        };
        // A template knows nothing of the variables around its invocation.
        let outer = std::mem::replace(&mut self.variables, vec![("$", dot.clone())]);
        let caller = std::mem::replace(&mut self.template, name);
        self.nodes(nodes, &dot)?;
        self.template = caller;
        self.variables = outer;
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &'t Pipeline, dot: &Value) -> Filled<Value> {
        self.descend()?;
        self.at = At::Pipeline(pipeline);
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, value, dot)?);
        }
        let value = value.unwrap_or(Value::Nil);
        for name in &pipeline.variables {
            match pipeline.binding {
                Binding::Assigns => self.assign(name, value.clone())?,
                Binding::Declares => self.variables.push((name, value.clone())),
            }
        }
        self.depth -= 1;
        Ok(value)
    }

    /// A command; what the one before came to is its last argument.
    fn command(
        &mut self,
        command: &'t Command,
        given: Option<Value>,
        dot: &Value,
    ) -> Filled<Value> {
        self.step(1)?;
        let [first, rest @ ..] = &*command.operands else { return Ok(Value::Nil) };
        let takes_none = |expansion: &Self| {
            if rest.is_empty() && given.is_none() {
                return Ok(());
            }
            let text = match &first.term {
                Term::Nested(pipeline) => pipeline.to_string(),
                _ => first.to_string(),
            };
            Err(expansion.error(&format!("can't give argument to non-function {text}")))
        };
        match &first.term {
            Term::Function(function) => {
                self.at = At::Operand(first);
                self.call(*function, At::Command(command), (rest, given), dot)
            }
            Term::Nested(pipeline) => {
                takes_none(self)?;
                self.pipeline(pipeline, dot)
            }
            Term::Fields(_) | Term::Chain { .. } => {
                self.operand(first, dot, Arguments { operands: rest, given })
            }
            Term::Variable { fields, .. } => {
                self.at = At::Operand(first);
                if fields.is_empty() {
                    takes_none(self)?;
                }
                self.operand(first, dot, Arguments { operands: rest, given })
            }
            Term::Nil => {
                self.at = At::Operand(first);
                takes_none(self)?;
                Err(self.error("nil is not a command"))
            }
            Term::Dot | Term::Constant(_) => {
                self.at = At::Operand(first);
                takes_none(self)?;
                self.operand(first, dot, Arguments::NONE)
            }
        }
    }

    fn descend(&mut self) -> Filled<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(&format!("exceeded maximum template depth ({DEPTH_MAX})")));
        }
        Ok(())
    }

    fn step(&mut self, count: usize) -> Filled<()> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > STEPS_MAX {
            return Err(self.error(&format!("exceeded {STEPS_MAX} steps")));
        }
        Ok(())
    }

    fn check_length(&self, bytes: usize) -> Filled<()> {
        if bytes > TEXT_BYTES_MAX {
            return Err(self.error(&format!("exceeded {TEXT_BYTES_MAX} bytes of text")));
        }
        Ok(())
    }

    fn called(&mut self, place: At<'t>, name: &str, reason: &str) -> String {
        self.at = place;
        self.error(&format!("error calling {name}: {reason}"))
    }

    fn error(&self, reason: &str) -> String {
        self.at.error(self.source, (self.name, self.template), reason)
    }
}
