//! The payload of a message, as far as it is read. What is not here is skipped.

/// `org.eclipse.tahu.protobuf.Payload`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Payload {
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(super) metrics: Vec<Metric>,
    /// Goes up by one with each message of a node and its devices, and after 255 to 0.
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
}

/// One metric.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    #[prost(bool, optional, tag = "7")]
    pub(super) is_null: Option<bool>,
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14")]
    pub(super) value: Option<Value>,
}

/// Its value, where it is one that can be measured.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub(super) enum Value {
    #[prost(uint32, tag = "10")]
    Int(u32),
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
}

/// Types whose numbers have a sign, written as two's complement.
const INT_8: u32 = 1;
const INT_16: u32 = 2;
const INT_32: u32 = 3;
const INT_64: u32 = 4;
/// The last of the types that are numbers.
pub(super) const BOOLEAN: u32 = 11;
const DATE_TIME: u32 = 13;

/// Whether values of a type can be measured.
pub(super) const fn is_measured(datatype: u32) -> bool {
    matches!(datatype, INT_8..=BOOLEAN | DATE_TIME)
}

impl Metric {
    /// Its value as a number without a sign.
    pub(super) const fn whole(&self) -> Option<u64> {
        match self.value {
            Some(Value::Int(value)) => Some(value as u64),
            Some(Value::Long(value)) => Some(value),
            _ => None,
        }
    }

    /// Its value, where it is of that type.
    pub(super) fn number(&self, datatype: u32) -> Option<f64> {
        Some(match (self.value?, datatype) {
            (Value::Int(value), INT_8) => f64::from(value as i8),
            (Value::Int(value), INT_16) => f64::from(value as i16),
            (Value::Int(value), INT_32) => f64::from(value as i32),
            (Value::Long(value), INT_8..=INT_64) => value as i64 as f64,
            (Value::Int(value), _) => f64::from(value),
            (Value::Long(value), _) => value as f64,
            (Value::Float(value), _) => f64::from(value),
            (Value::Double(value), _) => value,
            (Value::Boolean(value), _) => f64::from(u8::from(value)),
        })
    }
}
