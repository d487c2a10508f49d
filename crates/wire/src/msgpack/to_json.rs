//! `MessagePack` to JSON in one pass, without building the values in between.

use bellwire_model::limits::NESTING_MAX;

use super::read::{Fault, MsgpackError, Reader, Value};
use crate::write;

/// The JSON of a value.
///
/// Where `data`, a member of the outermost map, is binary, it becomes base64, and the map gets
/// `"encoding":"base64"`, as events have it in JSON. Numbers that are not finite become the
/// strings `"NaN"`, `"+Inf"`, `"-Inf"`.
pub fn to_json(bytes: &[u8]) -> Result<Vec<u8>, MsgpackError> {
    let mut out = Vec::with_capacity(2 * bytes.len());
    write_as_json(&mut out, bytes)?;
    Ok(out)
}

/// Appends what [`to_json`] returns. After an error, what came before it is there.
pub(crate) fn write_as_json(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), MsgpackError> {
    let mut transcoder = Transcoder { reader: Reader(bytes), out };
    let result = transcoder.next(0);
    let rest = transcoder.reader.0;
    let result = result.and(if rest.is_empty() { Ok(()) } else { Err(Fault::Trailing) });
    result.map_err(|fault| MsgpackError { offset: bytes.len() - rest.len(), fault })
}

struct Transcoder<'a, 'o> {
    reader: Reader<'a>,
    out: &'o mut Vec<u8>,
}

impl Transcoder<'_, '_> {
    fn next(&mut self, depth: usize) -> Result<(), Fault> {
        let value = self.reader.next()?;
        self.value(value, depth)
    }

    /// Writes a value; of an array or map, what follows its head is read.
    fn value(&mut self, value: Value<'_>, depth: usize) -> Result<(), Fault> {
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Unsigned(number) => write::integer(self.out, number),
            Value::Integer(number) => write::integer(self.out, number),
            Value::Float32(number) => write::number(self.out, shortest(number)),
            Value::Float64(number) => write::number(self.out, number),
            Value::Text(text) => write::string(self.out, text),
            Value::Binary(_) => return Err(Fault::Binary),
            Value::Array(_) | Value::Map(_) if depth >= NESTING_MAX => return Err(Fault::Nesting),
            Value::Array(items) => return self.array(items, depth),
            Value::Map(members) => return self.map(members, depth),
        }
        Ok(())
    }

    fn array(&mut self, items: usize, depth: usize) -> Result<(), Fault> {
        self.out.push(b'[');
        for index in 0..items {
            if index > 0 {
                self.out.push(b',');
            }
            self.next(depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(&mut self, members: usize, depth: usize) -> Result<(), Fault> {
        let mut has_binary = false;
        self.out.push(b'{');
        for index in 0..members {
            if index > 0 {
                self.out.push(b',');
            }
            let Value::Text(name) = self.reader.next()? else { return Err(Fault::Key) };
            write::string(self.out, name);
            self.out.push(b':');
            match self.reader.next()? {
                Value::Binary(bytes) if depth == 0 && name == "data" => {
                    has_binary = true;
                    self.out.push(b'"');
                    write::base64(self.out, bytes);
                    self.out.push(b'"');
                }
                value => self.value(value, depth + 1)?,
            }
        }
        if has_binary {
            self.out.extend_from_slice(b",\"encoding\":\"base64\"");
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// The double that the shortest decimal of this number stands for: 0.1 and not
/// 0.10000000149011612, since a sensor that sends four bytes means the former.
fn shortest(number: f32) -> f64 {
    if number.is_finite() {
        number.to_string().parse().unwrap_or(number.into())
    } else {
        number.into()
    }
}
