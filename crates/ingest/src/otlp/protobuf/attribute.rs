//! `KeyValue` and `AnyValue`.

use std::borrow::Cow;

use bellwire_model::limits::OTLP_VALUE_NESTING_MAX;

use crate::otlp::fault::Fault;
use crate::otlp::labels::Attribute;
use crate::otlp::value::{Value, check_size, too_deep};
use crate::otlp::wire::{Error, Fields, Wire, parts, text};

/// The key of an `AnyValue`'s text: field 1, of bytes.
const TEXT: u8 = 1 << 3 | 2;

/// A `KeyValue`, its value as text.
pub(super) fn read_attribute(message: &[u8]) -> Result<Attribute<'_>, Fault> {
    let (key, value) = pair(message)?;
    Ok(Attribute { key: text(key)?, value: any(value, OTLP_VALUE_NESTING_MAX)?.into_text() })
}

fn pair(message: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let (mut key, mut value) = (&[][..], &[][..]);
    for field in Fields::of(message) {
        match field? {
            (1, Wire::Bytes(text)) => key = text,
            (2, Wire::Bytes(message)) => value = message,
            (1 | 2, _) => return Err(Error::Mismatch.into()),
            _ => {}
        }
    }
    Ok((key, value))
}

/// An `AnyValue`, with so many levels of lists and maps in one another.
fn any(message: &[u8], levels: usize) -> Result<Value<'_>, Fault> {
    // Nearly all are one short text.
    if let [TEXT, length @ ..0x80, bytes @ ..] = message
        && usize::from(*length) == bytes.len()
    {
        return Ok(Value::Text(text(bytes)?));
    }
    let mut value = Value::Empty;
    for field in Fields::of(message) {
        value = match field? {
            (1, Wire::Bytes(bytes)) => Value::Text(text(bytes)?),
            (2, Wire::Varint(flag)) => Value::Bool(flag != 0),
            (3, Wire::Varint(integer)) => Value::Integer(integer.cast_signed()),
            (4, Wire::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
            (5, Wire::Bytes(list)) => Value::List(values(list, levels)?),
            (6, Wire::Bytes(map)) => Value::Map(pairs(map, levels)?),
            (7, Wire::Bytes(bytes)) => {
                check_size(bytes.len())?;
                Value::Bytes(Cow::Borrowed(bytes))
            }
            (1..=7, _) => return Err(Error::Mismatch.into()),
            _ => value,
        }
    }
    Ok(value)
}

fn values(message: &[u8], levels: usize) -> Result<Vec<Value<'_>>, Fault> {
    check_size(message.len())?;
    let levels = levels.checked_sub(1).ok_or_else(too_deep)?;
    let mut values = Vec::new();
    parts(message, 1, |value| any(value, levels).map(|value| values.push(value)))?;
    Ok(values)
}

fn pairs(message: &[u8], levels: usize) -> Result<Vec<(Cow<'_, str>, Value<'_>)>, Fault> {
    check_size(message.len())?;
    let levels = levels.checked_sub(1).ok_or_else(too_deep)?;
    let mut pairs = Vec::new();
    parts(message, 1, |message| {
        let (key, value) = pair(message)?;
        pairs.push((text(key)?, any(value, levels)?));
        Ok(())
    })?;
    Ok(pairs)
}
