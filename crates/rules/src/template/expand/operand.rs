//! What operands come to: fields, methods and functions with their arguments.

use std::rc::Rc;

use super::{Expansion, Filled, SEARCH_STEPS, TEXT_BYTES_MAX};
use crate::template::builtin;
use crate::template::format::printed;
use crate::template::method;
use crate::template::place::At;
use crate::template::prometheus;
use crate::template::signature::{Function, Kind, Parameter};
use crate::template::tree::{Operand, Term};
use crate::template::typing;
use crate::template::value::Value;
impl<'t> Expansion<'t> {
    /// What an operand comes to; the arguments are for its last field.
    pub(super) fn operand(
        &mut self,
        operand: &'t Operand,
        dot: &Value,
        arguments: Arguments<'t>,
    ) -> Filled<Value> {
        self.at = At::Operand(operand);
        match &operand.term {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Ok(Value::Nil),
            Term::Constant(constant) => {
                typing::ideal(constant).map_err(|reason| self.error(&reason))
            }
            Term::Fields(fields) => self.fields(dot.clone(), (operand, fields), arguments, dot),
            Term::Variable { name, fields } => {
                let value = self.variables.iter().rfind(|(known, _)| **known == **name);
                let Some((_, value)) = value else {
                    return Err(self.error(&format!("undefined variable: {name}")));
                };
                let value = value.clone();
                self.fields(value, (operand, fields), arguments, dot)
            }
            Term::Function(function) => {
                self.call(*function, At::Operand(operand), (&[], None), dot)
            }
            Term::Nested(pipeline) => self.pipeline(pipeline, dot),
            Term::Chain { of, fields } => {
                let value = self.operand(of, dot, Arguments::NONE)?;
                self.fields(value, (operand, fields), arguments, dot)
            }
        }
    }

    fn fields(
        &mut self,
        mut value: Value,
        (operand, fields): (&'t Operand, &'t [Box<str>]),
        mut arguments: Arguments<'t>,
        dot: &Value,
    ) -> Filled<Value> {
        // Where a field may hold anything, errors name that and not what it holds.
        let mut declared = None;
        for (at, field) in fields.iter().enumerate() {
            let is_last = at + 1 == fields.len();
            let given = if is_last {
                std::mem::replace(&mut arguments, Arguments::NONE)
            } else {
                Arguments::NONE
            };
            let next = match (&value, &**field) {
                (Value::Nil, _) if declared.is_some() => {
                    let reason = format!("nil pointer evaluating interface {{}}.{field}");
                    return Err(self.error(&reason));
                }
                (Value::Nil, _) => Value::Nil,
                (Value::Labels(labels), name) => {
                    let text = labels.get(name).unwrap_or_default();
                    self.check_no_arguments(&given, &format!("{field} is not a method but has"))?;
                    Value::text(text)
                }
                (Value::Arguments(arguments), name) => {
                    self.check_no_arguments(&given, &format!("{field} is not a method but has"))?;
                    arguments.get(name).cloned().unwrap_or(Value::Nil)
                }
                (value, name) => {
                    if let Some(next) = known_field(value, name) {
                        self.check_is_called_without(&given, field)?;
                        next
                    } else if let Some(method) = method::named(value, name) {
                        let arguments = self.arguments(
                            (name, method, None),
                            (given.operands, given.given),
                            dot,
                        )?;
                        method::call(value, name, &arguments)
                            .map_err(|reason| self.called(At::Operand(operand), name, &reason))?
                    } else {
                        let type_name = declared.unwrap_or(value.type_name());
                        let reason = format!("can't evaluate field {field} in type {type_name}");
                        return Err(self.error(&reason));
                    }
                }
            };
            let holds_anything = match &value {
                Value::Arguments(_) => true,
                Value::Data(_) | Value::Sample(_) => **field == *"Value",
                _ => false,
            };
            declared = holds_anything.then_some("interface {}");
            value = next;
        }
        Ok(value)
    }

    fn check_no_arguments(&self, given: &Arguments<'_>, reason: &str) -> Filled<()> {
        if given.is_empty() { Ok(()) } else { Err(self.error(&format!("{reason} arguments"))) }
    }

    fn check_is_called_without(&self, given: &Arguments<'_>, field: &str) -> Filled<()> {
        if given.is_empty() {
            return Ok(());
        }
        let reason = format!("{field} has arguments but cannot be invoked as function");
        Err(self.error(&reason))
    }

    /// Calls a function; where it fails, the place is `place`.
    pub(super) fn call(
        &mut self,
        function: Function,
        place: At<'t>,
        (operands, given): (&'t [Operand], Option<Value>),
        dot: &Value,
    ) -> Filled<Value> {
        let (kind, name) = (function.kind(), function.name());
        let (takes, more) = function.parameters();
        let count = operands.len() + usize::from(given.is_some());
        typing::check_count((name, takes, more), operands.len(), count)
            .map_err(|reason| self.error(&reason))?;
        if matches!(kind, Kind::And | Kind::Or) {
            // They stop where the outcome is known.
            let mut value = Value::Nil;
            for operand in operands {
                value = self.argument(operand, Parameter::Any, dot)?;
                if value.is_true() == (kind == Kind::Or) {
                    return Ok(value);
                }
            }
            return Ok(given.unwrap_or(value));
        }
        let callee = operands.first().map(ToString::to_string);
        let arguments = self.arguments((name, takes, more), (operands, given), dot)?;
        self.step(match kind {
            Kind::Query | Kind::Match | Kind::Replace => SEARCH_STEPS,
            _ => 1,
        })?;
        let outcome = if kind == Kind::Call {
            Err(not_callable(callee, &arguments))
        } else {
            builtin::call(kind, &arguments, TEXT_BYTES_MAX)
                .or_else(|| prometheus::call(kind, &arguments, self.fill))
                .unwrap_or_else(|| Err("these arguments have no meaning".into()))
        };
        let value = outcome.map_err(|reason| self.called(place, name, &reason))?;
        match &value {
            Value::Text(text) | Value::Html(text) => {
                self.step(text.len() / 16)?;
                self.check_length(text.len())?;
            }
            Value::List(list) => self.step(list.len())?,
            _ => {}
        }
        Ok(value)
    }

    fn arguments(
        &mut self,
        (name, takes, more): (&str, &'static [Parameter], Option<Parameter>),
        (operands, given): (&'t [Operand], Option<Value>),
        dot: &Value,
    ) -> Filled<Vec<Value>> {
        let count = operands.len() + usize::from(given.is_some());
        typing::check_count((name, takes, more), operands.len(), count)
            .map_err(|reason| self.error(&reason))?;
        let parameter = |at: usize| takes.get(at).copied().or(more).unwrap_or(Parameter::Any);
        let mut arguments = Vec::with_capacity(count);
        for (at, operand) in operands.iter().enumerate() {
            arguments.push(self.argument(operand, parameter(at), dot)?);
        }
        if let Some(given) = given {
            let parameter = parameter(operands.len());
            typing::check(&given, parameter).map_err(|reason| self.error(&reason))?;
            arguments.push(given);
        }
        Ok(arguments)
    }

    fn argument(
        &mut self,
        operand: &'t Operand,
        parameter: Parameter,
        dot: &Value,
    ) -> Filled<Value> {
        self.at = At::Operand(operand);
        let type_name = parameter.type_name();
        match &operand.term {
            Term::Nil if parameter.takes_nil() => Ok(Value::Nil),
            Term::Nil => Err(self.error(&format!("cannot assign nil to {type_name}"))),
            Term::Constant(constant) => {
                typing::constant(constant, parameter).map_err(|reason| self.error(&reason))
            }
            _ => {
                let value = self.operand(operand, dot, Arguments::NONE)?;
                typing::check(&value, parameter).map_err(|reason| self.error(&reason))?;
                Ok(value)
            }
        }
    }
}

/// What a field is given that may be a method.
pub(super) struct Arguments<'t> {
    pub(super) operands: &'t [Operand],
    pub(super) given: Option<Value>,
}

impl Arguments<'_> {
    pub(super) const NONE: Self = Self { operands: &[], given: None };

    pub(super) fn is_empty(&self) -> bool {
        self.operands.is_empty() && self.given.is_none()
    }
}

/// A field of what Prometheus gives templates.
fn known_field(value: &Value, name: &str) -> Option<Value> {
    Some(match (value, name) {
        (Value::Data(data), "Labels") => Value::Labels(data.labels.clone()),
        (Value::Data(data), "ExternalLabels") => Value::Labels(data.external_labels.clone()),
        (Value::Data(data), "ExternalURL") => Value::Text(Rc::clone(&data.external_url)),
        (Value::Data(data), "Value") => Value::Number(data.value),
        (Value::Sample(sample), "Labels") => Value::Labels(sample.labels.clone()),
        (Value::Sample(sample), "Value") => Value::Number(sample.value),
        _ => return None,
    })
}

/// `call` takes functions, and no value of a template is one.
fn not_callable(callee: Option<String>, arguments: &[Value]) -> String {
    match arguments.first() {
        None | Some(Value::Nil) => "call of nil".into(),
        Some(value) => {
            let callee = callee.unwrap_or_else(|| printed(value));
            format!("non-function {callee} of type {}", value.type_name())
        }
    }
}
