//! `KeyValue` and `AnyValue`.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bellwire_model::limits::OTLP_VALUE_NESTING_MAX;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::number::{Double, Signed};
use crate::decoded::Refusal;
use crate::otlp::labels::Attribute;
use crate::otlp::value::{Value, check_size, too_deep};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// Either alphabet is read, with padding or without: so has Protocol Buffers' JSON it.
const ALPHABETS: [GeneralPurpose; 2] =
    [GeneralPurpose::new(&STANDARD, LENIENT), GeneralPurpose::new(&URL_SAFE, LENIENT)];

/// A pair whose value is not yet looked into.
#[derive(Deserialize)]
pub(super) struct KeyValue<'a> {
    key: Option<String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct AnyValue<'a> {
    #[serde(rename = "stringValue")]
    text: Option<String>,
    #[serde(rename = "boolValue")]
    flag: Option<bool>,
    #[serde(rename = "intValue")]
    integer: Option<Signed>,
    #[serde(rename = "doubleValue")]
    double: Option<Double>,
    #[serde(rename = "arrayValue", borrow)]
    list: Option<Values<&'a RawValue>>,
    #[serde(rename = "kvlistValue", borrow)]
    map: Option<Values<KeyValue<'a>>>,
    #[serde(rename = "bytesValue")]
    bytes: Option<String>,
}

#[derive(Deserialize)]
struct Values<T> {
    values: Option<Vec<T>>,
}

impl<'a> KeyValue<'a> {
    pub(super) fn read(self) -> Result<Attribute<'a>, Refusal> {
        let (key, value) = self.pair(OTLP_VALUE_NESTING_MAX)?;
        Ok(Attribute { key, value: value.into_text() })
    }

    fn pair(self, levels: usize) -> Result<(Cow<'a, str>, Value<'a>), Refusal> {
        let value = self.value.map_or(Ok(Value::Empty), |json| any(json.get(), levels))?;
        Ok((Cow::Owned(self.key.unwrap_or_default()), value))
    }
}

/// An `AnyValue`, with so many levels of lists and maps in one another.
fn any(json: &str, levels: usize) -> Result<Value<'_>, Refusal> {
    let read: Option<AnyValue<'_>> = serde_json::from_str(json).map_err(|_| no_value())?;
    let value = read.unwrap_or_default();
    let deeper = || {
        check_size(json.len())?;
        levels.checked_sub(1).ok_or_else(too_deep)
    };
    if let Some(text) = value.text {
        Ok(Value::Text(Cow::Owned(text)))
    } else if let Some(flag) = value.flag {
        Ok(Value::Bool(flag))
    } else if let Some(Signed(integer)) = value.integer {
        Ok(Value::Integer(integer))
    } else if let Some(Double(double)) = value.double {
        Ok(Value::Double(double))
    } else if let Some(Values { values }) = value.list {
        let levels = deeper()?;
        let values = values.into_iter().flatten().map(|value| any(value.get(), levels));
        Ok(Value::List(values.collect::<Result<_, _>>()?))
    } else if let Some(Values { values }) = value.map {
        let levels = deeper()?;
        let pairs = values.into_iter().flatten().map(|pair| pair.pair(levels));
        Ok(Value::Map(pairs.collect::<Result<_, _>>()?))
    } else if let Some(text) = value.bytes {
        check_size(text.len())?;
        let bytes = ALPHABETS.iter().find_map(|alphabet| alphabet.decode(&text).ok());
        Ok(Value::Bytes(Cow::Owned(bytes.ok_or_else(no_value)?)))
    } else {
        Ok(Value::Empty)
    }
}

fn no_value() -> Refusal {
    Refusal::new("type_invalid", "the value of an attribute cannot be read")
}
