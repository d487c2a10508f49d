//! What `range` goes through.

use super::format::printed;
use super::value::Value;

/// The key and the element of that number, for a range with so many variables.
pub(super) fn entry(
    value: &Value,
    at: usize,
    variables: usize,
) -> Result<Option<(Value, Value)>, String> {
    let place = at as i64;
    let counted = |bound: i64| {
        if variables > 1 {
            let value = printed(value);
            return Err(format!("can't use {value} to iterate over more than one variable"));
        }
        Ok((place < bound).then(|| (Value::Nil, of_type(value, place))))
    };
    Ok(match value {
        Value::Nil => None,
        Value::List(list) => {
            list.get(at).map(|sample| (Value::Whole(place), Value::Sample(sample)))
        }
        Value::Labels(labels) => {
            labels.iter().nth(at).map(|(name, value)| (Value::text(name), Value::text(value)))
        }
        Value::Arguments(arguments) => {
            arguments.iter().nth(at).map(|(name, value)| (Value::text(&**name), value.clone()))
        }
        Value::Whole(bound)
        | Value::Month(bound)
        | Value::Weekday(bound)
        | Value::Duration(bound) => counted(*bound)?,
        Value::Byte(bound) => counted(i64::from(*bound))?,
        other => return Err(format!("range can't iterate over {}", printed(other))),
    })
}

/// A number of the type of another.
fn of_type(other: &Value, number: i64) -> Value {
    match other {
        Value::Byte(_) => Value::Byte(number as u8),
        Value::Month(_) => Value::Month(number),
        Value::Weekday(_) => Value::Weekday(number),
        Value::Duration(_) => Value::Duration(number),
        _ => Value::Whole(number),
    }
}
