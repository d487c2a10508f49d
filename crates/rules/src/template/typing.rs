//! What fits where: arguments and what functions ask for, in the words of Go's errors.

use super::signature::Parameter;
use super::tree::Constant;
use super::value::Value;

/// Whether a function is given as many arguments as it takes; `written` of them stand behind it.
pub(super) fn check_count(
    (name, takes, more): (&str, &[Parameter], Option<Parameter>),
    written: usize,
    count: usize,
) -> Result<(), String> {
    let wanted = takes.len();
    if more.is_some() && count < wanted {
        let reason =
            format!("wrong number of args for {name}: want at least {wanted} got {written}");
        return Err(reason);
    }
    if more.is_none() && count != wanted {
        let reason = format!("wrong number of args for {name}: want {wanted} got {count}");
        return Err(reason);
    }
    Ok(())
}

/// Whether a value is what a parameter asks for.
pub(super) fn check(value: &Value, parameter: Parameter) -> Result<(), String> {
    let fits = match (parameter, value) {
        (Parameter::Any, _)
        | (Parameter::Text, Value::Text(_))
        | (Parameter::Sample, Value::Sample(_))
        | (Parameter::List, Value::List(_))
        | (Parameter::Duration, Value::Duration(_))
        | (Parameter::Time, Value::Time(_)) => true,
        (parameter, Value::Nil) => parameter.takes_nil(),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let expected = parameter.type_name();
    Err(match value {
        Value::Nil => format!("invalid value; expected {expected}"),
        value => {
            let got = value.type_name();
            format!("wrong type for value; expected {expected}; got {got}")
        }
    })
}

/// A constant as a parameter asks for it.
pub(super) fn constant(constant: &Constant, parameter: Parameter) -> Result<Value, String> {
    match (parameter, constant) {
        (Parameter::Any, constant) => ideal(constant),
        (Parameter::Text, Constant::Text { text, .. }) => Ok(Value::text(&**text)),
        (Parameter::Text, _) => Err(format!("expected string; found {constant}")),
        (Parameter::Duration, Constant::Number(number)) if number.whole.is_some() => {
            Ok(Value::Duration(number.whole.unwrap_or(0)))
        }
        (Parameter::Duration, _) => Err(format!("expected integer; found {constant}")),
        (parameter, _) => {
            let type_name = parameter.type_name();
            Err(format!("can't handle {constant} for arg of type {type_name}"))
        }
    }
}

/// A constant where no type is asked for.
pub(super) fn ideal(constant: &Constant) -> Result<Value, String> {
    Ok(match constant {
        Constant::Bool(value) => Value::Bool(*value),
        Constant::Text { text, .. } => Value::text(&**text),
        Constant::Number(number) if !number.reads_whole() => Value::Number(number.float),
        Constant::Number(number) => {
            let too_large = || format!("{} overflows int", number.text);
            Value::Whole(number.whole.ok_or_else(too_large)?)
        }
    })
}
