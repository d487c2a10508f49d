//! What the server and its client say when something is not done, as errors of the log.

use async_nats::jetstream::account::Account;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::{self, ErrorCode};
use bellwire_shared_log::Error;

/// Why the server has not done something.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no stream.
    Missing,
    /// A register is of another generation.
    Generation,
    /// A register is being set, or an append that it fences is being stored, on several servers: they
    /// take but one at a time. Nothing was done.
    Busy,
    /// Any other reason.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<jetstream::Error> for Failure {
    fn from(error: jetstream::Error) -> Self {
        let said = error.to_string();
        let other = match error.error_code() {
            ErrorCode::STREAM_NOT_FOUND => return Self::Missing,
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE => return Self::Generation,
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT
            | ErrorCode::STREAM_EXPECTED_LAST_SEQ_PER_SUBJECT_NOT_READY => return Self::Busy,
            ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::MEMORY_RESOURCES_EXCEEDED
            | ErrorCode::STORAGE_RESOURCES_EXCEEDED => Error::Full(said),
            ErrorCode::STREAM_STORE_FAILED if is_full(&said) => Error::Full(said),
            ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                Error::Unfit(format!(
                    "JetStream is not there: enable it in the server's configuration, and for our \
                     account ({said})"
                ))
            }
            // Servers that are about to start are missing as well.
            ErrorCode::CLUSTER_NO_PEERS => Error::Away(format!(
                "too few servers are there to keep the log: start them, or ask for fewer replicas \
                 ({said})"
            )),
            ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => Error::Unfit(format!(
                "the log cannot be kept on several servers, which these are not: ask for fewer \
                     replicas ({said})"
            )),
            ErrorCode::STREAM_SUBJECT_OVERLAP => Error::Unfit(format!(
                "another stream has our subjects: remove it, or give the cluster another name \
                 ({said})"
            )),
            ErrorCode::MAXIMUM_STREAMS_LIMIT
            | ErrorCode::MAXIMUM_CONSUMERS_LIMIT
            | ErrorCode::STREAM_MAX_BYTES_REQUIRED
            | ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => Error::Refused(said),
            _ => Error::Away(said),
        };
        Self::Other(other)
    }
}

/// Whether a store that failed has failed for want of room.
fn is_full(said: &str) -> bool {
    ["maximum", "no space left"].iter().any(|reason| said.contains(reason))
}

/// An error of the client has that of the server within it, in its kind or behind it.
macro_rules! from_client {
    ($($kind:path),*) => {
        $(impl From<async_nats::error::Error<$kind>> for Failure {
            fn from(error: async_nats::error::Error<$kind>) -> Self {
                use $kind as Kind;
                match error.kind() {
                    Kind::JetStream(said) => said.into(),
                    _ => of_source(&error),
                }
            }
        })*
    };
}

from_client!(
    jetstream::stream::LastRawMessageErrorKind,
    jetstream::stream::PurgeErrorKind,
    jetstream::stream::ConsumerErrorKind,
    jetstream::context::GetStreamErrorKind
);

impl From<jetstream::context::CreateStreamError> for Failure {
    fn from(error: jetstream::context::CreateStreamError) -> Self {
        match error.kind() {
            jetstream::context::CreateStreamErrorKind::JetStream(said) => said.into(),
            _ => of_source(&error),
        }
    }
}

impl From<jetstream::context::RequestError> for Failure {
    fn from(error: jetstream::context::RequestError) -> Self {
        of_source(&error)
    }
}

impl From<jetstream::context::PublishError> for Failure {
    fn from(error: jetstream::context::PublishError) -> Self {
        match error.kind() {
            // Nobody takes messages of this subject.
            PublishErrorKind::StreamNotFound => Self::Missing,
            PublishErrorKind::MaxPayloadExceeded => Error::Refused(error.to_string()).into(),
            _ => of_source(&error),
        }
    }
}

fn of_source(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(said) = error.downcast_ref::<jetstream::Error>() {
            return said.clone().into();
        }
        next = error.source();
    }
    Error::Away(error.to_string()).into()
}

/// Whether JetStream is there for us, as the account says.
pub(super) fn enabled(
    account: Result<Account, jetstream::context::AccountError>,
) -> Result<(), Error> {
    use jetstream::context::AccountErrorKind as Kind;
    let failure = match account {
        Ok(_) => return Ok(()),
        Err(error) => match error.kind() {
            Kind::JetStream(said) => said.into(),
            Kind::JetStreamUnavailable => Error::Unfit(
                "JetStream is not there: start nats-server with `-js`, or with `jetstream` in its \
                 configuration"
                    .to_owned(),
            )
            .into(),
            _ => of_source(&error),
        },
    };
    Err(failure.into_error())
}

impl Failure {
    /// The error where nothing else is known of it.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Missing => Error::Away("the stream is not there".to_owned()),
            Self::Generation => Error::Away("a register has been set meanwhile".to_owned()),
            Self::Busy => Error::Away("the register is being set, time and again".to_owned()),
            Self::Other(error) => error,
        }
    }
}
