//! What can go wrong, as types: `code()` is for programs, the text for people.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::problem::Problem;
use crate::tls::TlsError;

/// An error of somebody else's, kept as the reason of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whatever a client has to say of what went wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refuses, or something before it does.
    #[error(transparent)]
    Problem(#[from] Box<Problem>),
    /// There is no connection, or none any more: following goes on by itself.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// No TLS handshake with this server will do as long as neither side is set up otherwise.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What came is not what Bellwire sends.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The function that gives tokens has failed; following asks it again.
    #[error("the function that gives tokens has failed")]
    Token(#[source] BoxError),
    /// What was to be sent is handed back.
    #[error(transparent)]
    Unsent(#[from] Box<UnsentError>),
    /// Another connection has come with the same ticket.
    #[error("another connection has come with the same ticket")]
    Displaced,
    /// What the application asks for is wrong; nothing was asked of the server.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
}

impl Error {
    /// What it is, for programs: stable, and the same as in the clients of other languages.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => problem.code(),
            Self::Connection(error) => error.code(),
            Self::Tls(error) => error.code(),
            Self::Protocol(error) => error.code(),
            Self::Token(_) => "token_unavailable",
            Self::Unsent(error) => error.reason.code(),
            Self::Displaced => "displaced",
            Self::Argument(_) => "argument_invalid",
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// Nobody was reached.
    #[error("cannot connect to {server}")]
    Failed {
        /// Host and port.
        server: String,
        /// What the system says.
        source: BoxError,
    },
    /// The request was sent, or a part of it, and there was no answer.
    #[error("no answer from {server}")]
    Unanswered {
        /// Host and port.
        server: String,
        /// Why not.
        source: BoxError,
    },
    /// It broke off in the midst of an answer.
    #[error("the connection broke")]
    Lost(#[source] BoxError),
    /// The stream came to an end that nobody has foretold.
    #[error("the connection ended")]
    Ended,
    /// The server has said that it ends the stream.
    #[error("the server said bye ({reason})")]
    Bye {
        /// One of the reasons of [`ControlKind::Bye`](crate::ControlKind::Bye).
        reason: String,
    },
    /// Nothing came for too long.
    #[error("nothing came for {:.1} s", silence.as_secs_f64())]
    Silent {
        /// For how long.
        silence: Duration,
    },
}

impl ConnectionError {
    fn code(&self) -> &'static str {
        match self {
            Self::Failed { .. } | Self::Unanswered { .. } => "connection_failed",
            Self::Lost(_) | Self::Ended | Self::Bye { .. } => "connection_lost",
            Self::Silent { .. } => "connection_silent",
        }
    }
}

/// What came is not what Bellwire sends.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// It is no HTTP.
    #[error("no answer from {server} that could be HTTP")]
    NotHttp {
        /// Host and port.
        server: String,
        /// What is wrong with it.
        source: BoxError,
    },
    /// It is HTTP, and no stream.
    #[error("the server answers with `{content_type}`, not with a stream of events")]
    NoStream {
        /// Of the answer.
        content_type: String,
    },
    /// It is a stream, of something else.
    #[error("what comes are no events of Bellwire")]
    NoEvent,
    /// It is an answer that says something else than was asked.
    #[error("the server's answer is not understood")]
    NoAnswer(#[source] serde_json::Error),
    /// An answer is larger than any that is read whole.
    #[error("the server's answer has more than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// It can be no event: something between has changed it.
    #[error("what came is no event: something between has changed it")]
    Malformed(#[source] BoxError),
}

impl ProtocolError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "frame_malformed",
            _ => "not_bellwire",
        }
    }
}

/// What was to be sent, back in the hands of the application.
#[derive(Debug, Error)]
#[error("{request}: {reason}")]
#[non_exhaustive]
pub struct UnsentError {
    /// Method and path.
    pub request: String,
    /// Why it is handed back.
    pub reason: UnsentReason,
    /// Of an event: the key under which it can be sent again, and is there once all the same.
    pub idempotency_key: Option<String>,
    /// Whether the server may have taken it although nobody heard of it.
    pub may_be_taken: bool,
    /// What was to be sent.
    pub body: Bytes,
    /// What the last try came to, where there was one.
    #[source]
    pub last: Option<Box<Error>>,
}

/// Why something is handed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnsentReason {
    /// Too much waits already.
    #[error("too much waits to be sent: wait until some of it has been")]
    QueueFull,
    /// The time was over, or another try might do it twice.
    #[error("there was no answer")]
    Unanswered,
}

impl UnsentReason {
    fn code(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Unanswered => "unanswered",
        }
    }
}

/// What an application asks for that cannot be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// The server's address cannot be read.
    #[error("`{text}` is no URL such as http://127.0.0.1:8080")]
    Url {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// The server's address has another scheme.
    #[error("`{text}`: `{scheme}` is neither http nor https")]
    Scheme {
        /// What was given.
        text: String,
        /// Its scheme.
        scheme: String,
    },
    /// Certificates to trust were named for a server that shows none.
    #[error("certificates to trust are for servers that speak TLS: write https in `{url}`")]
    TrustUnused {
        /// The server's address.
        url: String,
    },
    /// The file of certificates to trust cannot be read.
    #[error("cannot read certificates from {}", path.display())]
    TrustFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: BoxError,
    },
    /// The file of certificates to trust has none.
    #[error("{} holds no certificate in PEM", path.display())]
    TrustEmpty {
        /// The file.
        path: PathBuf,
    },
    /// Nobody is trusted.
    #[error("this system trusts no certificate: name some to trust ({reasons})")]
    TrustNobody {
        /// What the system says.
        reasons: String,
    },
    /// A header cannot have this value.
    #[error("`{name}` has no control characters")]
    Header {
        /// The header.
        name: &'static str,
    },
    /// The path of a request cannot be read.
    #[error("the path `{path}`")]
    Path {
        /// What was given, with the server's own path before it.
        path: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// What is to be published cannot be written as JSON.
    #[error("it cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}
