//! Fills a template in.

use bellwire_model::Labels;

use super::Fill;
use super::function::{Function, call};
use super::parse::{Command, Node, Operand, Pipeline};
use crate::evaluation::Element;
use crate::number::go_text;

/// What an expression in a template comes to.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    Labels(Labels),
    Element(Element),
    List(Vec<Element>),
    /// What the dot is at first: it has the labels, the value, and the externals.
    Data,
}

impl Value {
    /// As Go's templates print it.
    pub(super) fn print(&self) -> String {
        match self {
            Self::Nil => "<no value>".into(),
            Self::Bool(value) => value.to_string(),
            Self::Whole(value) => value.to_string(),
            Self::Number(value) => go_text(*value),
            Self::Text(text) => text.clone(),
            Self::Labels(labels) => map(labels),
            Self::Element(element) => {
                format!("map[Labels:{} Value:{}]", map(&element.labels), go_text(element.value))
            }
            Self::List(elements) => {
                let one = |element: &Element| Self::Element(element.clone()).print();
                format!("[{}]", elements.iter().map(one).collect::<Vec<_>>().join(" "))
            }
            Self::Data => "<data>".into(),
        }
    }

    /// Whether `if` takes it for true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Whole(value) => *value != 0,
            Self::Number(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::List(elements) => !elements.is_empty(),
            Self::Element(_) | Self::Data => true,
        }
    }
}

fn map(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    format!("map[{}]", pairs.join(" "))
}

pub(super) type Filled<T> = Result<T, String>;

/// Fills in what a template says.
pub(super) fn expand(nodes: &[Node], fill: &Fill<'_>) -> Filled<String> {
    let mut expansion = Expansion { fill, text: String::new(), variables: Vec::new() };
    expansion.nodes(nodes, &Value::Data)?;
    Ok(expansion.text)
}

struct Expansion<'a> {
    fill: &'a Fill<'a>,
    text: String,
    /// The variables that the template has made, the innermost last.
    variables: Vec<(Box<str>, Value)>,
}

impl Expansion<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Filled<()> {
        let known = self.variables.len();
        for node in nodes {
            self.node(node, dot)?;
        }
        self.variables.truncate(known);
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Filled<()> {
        match node {
            Node::Text(text) => self.text.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.text.push_str(&value.print());
            }
            Node::Assign { name, pipeline, is_new } => {
                let value = self.pipeline(pipeline, dot)?;
                let held = self.variables.iter_mut().rfind(|(held, _)| held == name);
                match held.filter(|_| !is_new) {
                    Some(held) => held.1 = value,
                    None => self.variables.push((name.clone(), value)),
                }
            }
            Node::If { condition, then, otherwise } => {
                let holds = self.pipeline(condition, dot)?.is_true();
                self.nodes(if holds { then } else { otherwise }, dot)?;
            }
            Node::With { variable, pipeline, then, otherwise } => {
                let value = self.pipeline(pipeline, dot)?;
                if !value.is_true() {
                    return self.nodes(otherwise, dot);
                }
                let known = self.variables.len();
                self.variables.extend(variable.iter().map(|name| (name.clone(), value.clone())));
                self.nodes(then, &value)?;
                self.variables.truncate(known);
            }
            Node::Range { variables, pipeline, body, otherwise } => {
                let value = self.pipeline(pipeline, dot)?;
                self.range(value, variables, (body, otherwise), dot)?;
            }
        }
        Ok(())
    }

    fn range(
        &mut self,
        value: Value,
        variables: &[Box<str>],
        (body, otherwise): (&[Node], &[Node]),
        dot: &Value,
    ) -> Filled<()> {
        let entries: Vec<(Value, Value)> = match value {
            Value::List(elements) => {
                let entry = |(at, element): (usize, Element)| {
                    (Value::Whole(at as i64), Value::Element(element))
                };
                elements.into_iter().enumerate().map(entry).collect()
            }
            Value::Labels(labels) => labels
                .iter()
                .map(|(name, value)| (Value::Text(name.into()), Value::Text(value.into())))
                .collect(),
            Value::Nil => Vec::new(),
            other => return Err(format!("range can't iterate over {}", other.print())),
        };
        if entries.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (key, value) in entries {
            let known = self.variables.len();
            match variables {
                [] => {}
                [one] => self.variables.push((one.clone(), value.clone())),
                [one, other, ..] => {
                    self.variables.push((one.clone(), key));
                    self.variables.push((other.clone(), value.clone()));
                }
            }
            self.nodes(body, &value)?;
            self.variables.truncate(known);
        }
        Ok(())
    }

    fn pipeline(&self, pipeline: &Pipeline, dot: &Value) -> Filled<Value> {
        let mut value = None;
        for command in &pipeline.0 {
            value = Some(self.command(command, value, dot)?);
        }
        value.ok_or_else(|| "an empty pipeline".into())
    }

    /// A command; what the one before came to is its last argument.
    fn command(&self, command: &Command, given: Option<Value>, dot: &Value) -> Filled<Value> {
        let [first, rest @ ..] = &*command.0 else { return Err("an empty command".into()) };
        let Operand::Function(function) = first else {
            if !rest.is_empty() || given.is_some() {
                return Err("only functions take arguments".into());
            }
            return self.operand(first, dot);
        };
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            let value = self.operand(operand, dot)?;
            // `and` and `or` stop where the outcome is known.
            let decides = match function {
                Function::And => !value.is_true(),
                Function::Or => value.is_true(),
                _ => false,
            };
            if decides {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(given);
        call(*function, arguments, self.fill)
    }

    fn operand(&self, operand: &Operand, dot: &Value) -> Filled<Value> {
        Ok(match operand {
            Operand::Text(text) => Value::Text(text.to_string()),
            Operand::Number(number) => Value::Number(*number),
            Operand::Whole(whole) => Value::Whole(*whole),
            Operand::Bool(value) => Value::Bool(*value),
            Operand::Nil => Value::Nil,
            Operand::Dot { fields } => return self.fields(dot.clone(), fields),
            Operand::Variable { name, fields } => {
                return self.fields(self.variable(name), fields);
            }
            Operand::Function(function) => return call(*function, Vec::new(), self.fill),
            Operand::Nested { pipeline, fields } => {
                return self.fields(self.pipeline(pipeline, dot)?, fields);
            }
        })
    }

    fn variable(&self, name: &str) -> Value {
        if let Some((_, value)) = self.variables.iter().rfind(|(held, _)| **held == *name) {
            return value.clone();
        }
        match name {
            "labels" => Value::Labels(self.fill.labels.clone()),
            "value" => Value::Number(self.fill.value),
            "externalLabels" => Value::Labels(self.fill.externals.labels.clone()),
            "externalURL" => Value::Text(self.fill.externals.url.to_string()),
            _ => Value::Data,
        }
    }

    fn fields(&self, mut value: Value, fields: &[Box<str>]) -> Filled<Value> {
        for field in fields {
            value = match (value, &**field) {
                (Value::Data, "Labels") => self.variable("labels"),
                (Value::Data, "Value") => self.variable("value"),
                (Value::Data, "ExternalLabels") => self.variable("externalLabels"),
                (Value::Data, "ExternalURL") => self.variable("externalURL"),
                (Value::Element(element), "Labels") => Value::Labels(element.labels),
                (Value::Element(element), "Value") => Value::Number(element.value),
                // A label that is not there reads as empty.
                (Value::Labels(labels), name) => {
                    Value::Text(labels.get(name).unwrap_or_default().to_owned())
                }
                (value, field) => return Err(format!("{} has no field {field}", value.print())),
            };
        }
        Ok(value)
    }
}
