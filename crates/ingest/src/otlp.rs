//! OpenTelemetry's metrics, as OTLP/HTTP brings them: Protocol Buffers or JSON.
//!
//! ```text
//! body ── protobuf ─┐                     ┌── labels ◀── translation
//!                   ├─▶ series ── output ─┤
//! body ── json ─────┘                     └─▶ decoded: samples │ rejections │ changes │ warnings
//!                                                                     ▲
//!                                              what is a change ──────┴── totals
//! ```
//!
//! Names and labels are Prometheus', by its translation and with its defaults, so that rules that
//! match there match here. A point that cannot be taken costs no other.

use std::str;

use bellwire_model::{Timestamp, excerpt};
use thiserror::Error;

mod answer;
mod fault;
mod json;
mod labels;
mod output;
mod point;
mod protobuf;
mod series;
mod settings;
mod targets;
mod totals;
mod translation;
mod value;
mod warnings;
mod wire;

pub use answer::{PartialSuccess, export_response, status};
pub use settings::{Promoted, Settings};
pub use totals::Totals;
pub use translation::{Kind, Strategy, StrategyError};

use self::fault::Fault;
use self::series::Series;
use crate::decoded::Decoded;

/// How a request is written, and its answer too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Encoding {
    /// What a `Content-Type` says, where it is one that OTLP has.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |known| essence.eq_ignore_ascii_case(known);
        if is("application/x-protobuf") || is("application/protobuf") {
            Some(Self::Protobuf)
        } else {
            is("application/json").then_some(Self::Json)
        }
    }

    /// The `Content-Type` of the answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Why nothing of a request could be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The body is no message.
    #[error("the body is not an ExportMetricsServiceRequest in Protocol Buffers: {detail}")]
    Protobuf {
        /// What is wrong.
        detail: String,
    },
    /// The body is not JSON, or not of its format.
    #[error("the body is not an ExportMetricsServiceRequest in JSON: {detail}")]
    Json {
        /// What is wrong.
        detail: String,
    },
}

impl Error {
    /// The stable code of the problem.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Protobuf { .. } => "protobuf_invalid",
            Self::Json { .. } => "json_invalid",
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Json { detail: excerpt(error.to_string()) }
    }
}

/// Reads a request. The line of a sample is the number of its point, from 1; that of `target_info`,
/// which is of no point, is 0. What is rejected are points. Changes are left to [`Totals::settle`].
pub fn decode(
    encoding: Encoding,
    body: &[u8],
    settings: &Settings,
    now: Timestamp,
) -> Result<Decoded, Error> {
    let mut series = Series::new(settings, now);
    match encoding {
        Encoding::Protobuf => match protobuf::read(body, &mut series) {
            Ok(()) => {}
            Err(Fault::Malformed(error)) => {
                return Err(Error::Protobuf { detail: error.to_string() });
            }
            Err(Fault::Refused(refusal)) => {
                return Err(Error::Protobuf { detail: refusal.detail().to_owned() });
            }
        },
        Encoding::Json => {
            let text = str::from_utf8(body)
                .map_err(|error| Error::Json { detail: excerpt(error.to_string()) })?;
            json::read(text, &mut series)?;
        }
    }
    Ok(series.end())
}
