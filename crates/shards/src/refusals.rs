//! How the client of a stream is told that there is no room for it now.
//!
//! An `EventSource` closes for good at any status but 200, and hides it from its page. So one that
//! is refused for a while is answered like everybody else, told why in a `bye`, and ended: it comes
//! back by itself, when its `retry:` says.

use std::time::Duration;

use bellwire_process::jittered;
use bellwire_wire::problem::{Code, Problem};

use crate::controls::jittered_retry;

/// What a transient refusal looks like. One that lasts is always a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusals {
    /// A status, and a problem.
    Status,
    /// A stream that consists of a `bye`.
    Stream,
}

impl Refusals {
    /// As the client of a stream of this `Accept` can read them, where it does not say.
    pub(crate) fn of_client(accept: Option<&str>) -> Self {
        // Programs take other forms, too, or do not say.
        let is_event_source =
            accept.is_some_and(|accept| accept.trim().eq_ignore_ascii_case("text/event-stream"));
        if is_event_source { Self::Stream } else { Self::Status }
    }

    /// As the parameter of that name has it.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "status" => Ok(Self::Status),
            "stream" => Ok(Self::Stream),
            other => {
                let detail = format!("`refusals` is `status` or `stream`, not `{other}`");
                Err(Problem::new(Code::ParameterInvalid, detail))
            }
        }
    }

    /// Checks them for who asks for no stream over HTTP.
    pub(crate) fn check_for_status(self) -> Result<(), Problem> {
        if self == Self::Status {
            return Ok(());
        }
        let detail = "`refusals=stream` is for text/event-stream and application/x-ndjson";
        Err(Problem::new(Code::ParameterInvalid, detail))
    }

    /// When to come back, where the refusal is to be told in the stream's own words.
    pub(crate) fn retry(self, problem: &Problem) -> Option<Duration> {
        if self == Self::Status || !problem.is_transient() {
            return None;
        }
        let after = problem.retry_after_s().map(|seconds| Duration::from_secs(seconds.into()));
        Some(after.map_or_else(jittered_retry, |after| after + jittered(after / 2)))
    }
}
